//! SMAG: the journey of a task, waits in two units, limits that change during the day, tokens as JSON.

mod journey;
mod limits;
mod tokens;
mod waits;

use std::time::SystemTime;

use longhaul::credentials::Secrets;
use longhaul::limits::Clock;
use longhaul::testing::{Script, Simulator};
use longhaul::{Client, ClientBuilder, Error, Profile};

use crate::support::secs;

/// The profile, at the ports of a simulated service.
fn profile(service: &Simulator) -> Profile {
    let (login, refresh) = (service.login_url(), service.refresh_url());
    Profile::smag_task()
        .base(service.url())
        .map_oauth(|oauth| oauth.token_url(login.clone()).refresh_at(refresh.clone()))
}

fn secrets(service: &Simulator) -> Secrets {
    Secrets::new()
        .set("subscription_key", service.subscription_key())
        .set("application_id", service.client_id())
        .set("user_name", service.user())
        .set("password", service.password())
}

fn builder(service: &Simulator) -> ClientBuilder {
    Client::for_profile(profile(service)).secrets(secrets(service)).no_proxy()
}

/// The profile over a script, with secrets that are easy to find.
fn scripted(service: &Script) -> ClientBuilder {
    let start = SystemTime::UNIX_EPOCH + secs(1_893_456_000);
    Client::for_profile(Profile::smag_task())
        .http(service.clone())
        .storage_http(service.clone())
        .clock(Clock::starting_at(start))
}

/// The status of an ordinary call, whose body is read, so that its bytes count.
async fn farms(client: &Client) -> Result<u16, Error> {
    let answer = client.get("farms").send().await?;
    let status = answer.status().as_u16();
    answer.bytes().await?;
    Ok(status)
}
