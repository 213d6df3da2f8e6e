//! SMAG: tasks at once, under a limit of calls that nobody states and that falls during the run.

use std::time::Duration;

use futures::future::try_join_all;
use longhaul::credentials::Secrets;
use longhaul::testing::{Finish, Simulator};
use longhaul::{Client, Profile};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::by_hand::{Loop, OF_TASKS, http, json};
use super::side::{Course, LONGHAUL, Polls, Side, Table};
use super::{LATENCY, SECOND};
use crate::{Failure, Length};

pub(super) async fn table(length: Length) -> Result<Table, Failure> {
    let (life, asked, change) = length.pick((6, 1, 4), (60, 15, 20));
    let [life, asked, change] = [life, asked, change].map(Duration::from_secs);
    let times = Times { life, asked, change };
    let loops = try_join_all(OF_TASKS.map(|by_hand| by_hand_side(by_hand, times)));
    let (own, loops) = tokio::try_join!(longhaul(times), loops)?;
    Ok(Table {
        title: format!(
            "SMAG: {TASKS} tasks of {} s at once, polled every {} s, at {WIDE}/s, after {} s {NARROW}/s",
            life.as_secs(),
            asked.as_secs(),
            change.as_secs()
        ),
        // The last poll of each task, as soon as the narrow limit allows it.
        ideal: life + SECOND * ((TASKS - 1) / NARROW),
        polls: Polls::Some,
        sides: [own].into_iter().chain(loops).collect(),
    })
}

#[derive(Clone, Copy)]
struct Times {
    /// How long a task takes.
    life: Duration,
    /// How long the service asks to wait between polls.
    asked: Duration,
    /// When the limit falls.
    change: Duration,
}

async fn longhaul(times: Times) -> Result<Side, Failure> {
    let service = start(times).await?;
    let profile = Profile::smag_task().base(service.url());
    let profile = profile.map_oauth(|oauth| oauth.token_url(service.login_url()).refresh_at(service.refresh_url()));
    let secrets = Secrets::new()
        .set("subscription_key", service.subscription_key())
        .set("application_id", service.client_id())
        .set("user_name", service.user())
        .set("password", service.password());
    let client = Client::for_profile(profile).secrets(secrets).no_proxy().build()?;
    let tasks = (0..TASKS).map(|_| async {
        client.task().post("exports").json(&json!({})).submit::<Value>().await?.await?;
        Ok(())
    });
    let (course, ()) = tokio::join!(Course::run(tasks, usize::MAX), fall(&service, times));
    Ok(Side::new(LONGHAUL, service.counts(), course))
}

async fn by_hand_side(by_hand: Loop, times: Times) -> Result<Side, Failure> {
    let service = start(times).await?;
    let http = http()?;
    let credentials = json!({
        "ApplicationId": service.client_id(), "UserName": service.user(), "Password": service.password(),
    });
    let keyed =
        |request: reqwest::RequestBuilder| request.header("Ocp-Apim-Subscription-Key", service.subscription_key());
    let login = by_hand.call(&json(keyed(http.post(service.login_url().as_str())), &credentials)).await?;
    let token = login.text("Token")?;
    let submit = keyed(http.post(service.url().join("exports")?.as_str())).bearer_auth(token);
    let submit = json(submit, &json!({}));
    let tasks = (0..TASKS).map(|_| async {
        let mut answer = by_hand.call(&submit).await?;
        let poll = keyed(http.get(answer.text("Location")?)).bearer_auth(token);
        while answer.text("Status").ok() != Some("finished") {
            by_hand.rest(&answer).await;
            answer = by_hand.call(&poll).await?;
        }
        Ok(())
    });
    let (course, ()) = tokio::join!(Course::run(tasks, by_hand.at_once()), fall(&service, times));
    Ok(Side::new(by_hand.subject, service.counts(), course))
}

async fn start(times: Times) -> Result<Simulator, Failure> {
    let service = Simulator::smag().task_duration(times.life).retry_after(times.asked).finish(Finish::Signed);
    Ok(service.limit(WIDE, SECOND).latency(LATENCY).start().await?)
}

/// Lets the limit fall at its time.
async fn fall(service: &Simulator, times: Times) {
    sleep(times.change).await;
    service.set_limit(NARROW, SECOND);
}

const TASKS: u32 = 40;
const WIDE: u32 = 10;
const NARROW: u32 = 5;
