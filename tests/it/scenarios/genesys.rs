//! Genesys Cloud: jobs of each kind, limits per token and microservice, the ladder of retries, tokens of a login host.

mod chunks;
mod jobs;
mod ladder;
mod limits;
mod refusals;
mod tokens;

use std::time::{Duration, SystemTime};

use http::Method;
use longhaul::credentials::Secrets;
use longhaul::limits::Clock;
use longhaul::retries::Schedule;
use longhaul::testing::{Genesys, Script, Seen, Side};
use longhaul::{Client, ClientBuilder, Credential, Error, PollPolicy, Profile, RetryPolicy, Task};
use serde_json::{Value, json};

use crate::support::{millis, secs};

/// The profile, at the ports of a simulated service.
fn profile(service: &Genesys) -> Profile {
    let (base, revoke) = (service.url().join("api/v2").unwrap(), service.url().join("api/v2/tokens/me").unwrap());
    let token_url = service.token_url();
    Profile::genesys()
        .base(base)
        .map_oauth(|oauth| oauth.token_url(token_url.clone()).revoke(format!("DELETE {revoke}")))
}

fn secrets(service: &Genesys) -> Secrets {
    Secrets::new().set("client_id", service.client_id()).set("client_secret", service.client_secret())
}

/// A client that polls often.
fn builder(service: &Genesys) -> ClientBuilder {
    let often = PollPolicy::standard().schedule(Schedule::constant(millis(20)));
    Client::for_profile(profile(service)).secrets(secrets(service)).poll_policy(often).no_proxy()
}

fn client(service: &Genesys) -> Client {
    builder(service).build().unwrap()
}

/// The profile with its own retries, over a script.
fn scripted(service: &Script) -> ClientBuilder {
    let start = SystemTime::UNIX_EPOCH + secs(1_893_456_000);
    Client::for_profile(Profile::genesys())
        .http(service.clone())
        .storage_http(service.clone())
        .clock(Clock::starting_at(start))
}

/// As [`scripted`], without a login.
fn open(service: &Script) -> ClientBuilder {
    scripted(service).credential(Credential::none())
}

/// Retries without long pauses of the client's own.
fn quick_retries() -> RetryPolicy {
    RetryPolicy::standard().schedule(Schedule::constant(millis(20)))
}

async fn submit(client: &Client, kind: &str, path: &str) -> Result<Task<Value>, Error> {
    let body = json!({ "interval": "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z" });
    client.task().kind(kind).post(path).json(&body).submit().await
}

/// The status of an ordinary call.
async fn get(client: &Client, path: &str) -> Result<u16, Error> {
    Ok(client.get(path).send().await?.status().as_u16())
}

/// The requests to the API: method and path.
fn lines(service: &Genesys) -> Vec<String> {
    let of_api = |seen: &&Seen| seen.side() == Side::Api;
    let line = |seen: &Seen| format!("{} {}", seen.method(), seen.path().trim_start_matches("/api/v2/"));
    service.log().iter().filter(of_api).map(line).collect()
}

/// How many requests of this method the API got.
fn sent(service: &Genesys, method: &Method) -> usize {
    service.log().iter().filter(|seen| seen.side() == Side::Api && seen.method() == *method).count()
}

const WINDOW: Duration = Duration::from_secs(2);
