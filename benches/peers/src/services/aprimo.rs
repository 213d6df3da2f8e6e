//! Aprimo: 130 requests at once, where the service keeps a queue of 100.

use std::time::Duration;

use futures::future::try_join_all;
use longhaul::credentials::Secrets;
use longhaul::testing::Aprimo;
use longhaul::{Client, Profile};

use super::LATENCY;
use super::by_hand::{Loop, WITHOUT_HINTS, http};
use super::side::{Course, LONGHAUL, Polls, Side, Table};
use crate::Failure;

pub(super) async fn table() -> Result<Table, Failure> {
    let (own, loops) = tokio::try_join!(longhaul(), try_join_all(WITHOUT_HINTS.map(by_hand_side)))?;
    Ok(Table {
        title: format!("Aprimo: {CALLS} calls at once at 15/s and a queue of 100"),
        ideal: Duration::from_secs(1) * (CALLS - 15) / 15,
        polls: Polls::None,
        sides: [own].into_iter().chain(loops).collect(),
    })
}

async fn longhaul() -> Result<Side, Failure> {
    let service = Aprimo::builder().latency(LATENCY).start().await?;
    service.add_client("app", "secret");
    let profile = Profile::aprimo().variable("env", "acme").map_oauth(|oauth| oauth.token_url(service.token_url()));
    let secrets = Secrets::new().set("client_id", "app").set("client_secret", "secret");
    let client = Client::builder(service.url()).profile(profile).secrets(secrets).no_proxy().build()?;
    let calls = (0..CALLS).map(|_| async {
        client.get("api/core/records").send().await?.bytes().await?;
        Ok(())
    });
    let course = Course::run(calls, usize::MAX).await;
    Ok(Side::new(LONGHAUL, service.counts(), course))
}

async fn by_hand_side(by_hand: Loop) -> Result<Side, Failure> {
    let service = Aprimo::builder().latency(LATENCY).start().await?;
    let request = http()?.get(service.url().join("api/core/records")?.as_str()).header("API-VERSION", "1");
    let request = request.bearer_auth(service.log_in("app").expose());
    let calls = (0..CALLS).map(|_| async {
        by_hand.call(&request).await?;
        Ok(())
    });
    let course = Course::run(calls, by_hand.at_once()).await;
    Ok(Side::new(by_hand.subject, service.counts(), course))
}

const CALLS: u32 = 130;
