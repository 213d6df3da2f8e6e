//! Genesys Cloud: three windows' worth of calls, under a limit that only the headers of the answers state.

use std::time::Duration;

use futures::future::try_join_all;
use longhaul::credentials::Secrets;
use longhaul::testing::Genesys;
use longhaul::{Client, Profile};

use super::LATENCY;
use super::by_hand::{Loop, WITH_HINTS, http};
use super::side::{Course, LONGHAUL, Polls, Side, Table};
use crate::{Failure, Length};

pub(super) async fn table(length: Length) -> Result<Table, Failure> {
    let window = Duration::from_secs(length.pick(10, 60));
    let loops = try_join_all(WITH_HINTS.map(|by_hand| by_hand_side(by_hand, window)));
    let (blind, told, loops) = tokio::try_join!(longhaul(window, Start::Blind), longhaul(window, Start::Told), loops)?;
    Ok(Table {
        title: format!("Genesys Cloud: {CALLS} calls at {RATE} in {} s, stated by headers", window.as_secs()),
        ideal: window * ((CALLS - 1) / RATE),
        polls: Polls::None,
        sides: [blind, told].into_iter().chain(loops).collect(),
    })
}

/// Whether the limit is known when most calls are made.
#[derive(Clone, Copy)]
enum Start {
    /// All calls at once, before any answer has stated the limit.
    Blind,
    /// One call, and the others when it is answered.
    Told,
}

async fn longhaul(window: Duration, start: Start) -> Result<Side, Failure> {
    let service = serve(window).await?;
    let base = service.url().join("api/v2")?;
    let profile = Profile::genesys().base(base).map_oauth(|oauth| oauth.token_url(service.token_url()));
    let secrets = Secrets::new().set("client_id", service.client_id()).set("client_secret", service.client_secret());
    let client = Client::for_profile(profile).secrets(secrets).no_proxy().build()?;
    let call = || async {
        client.get("users/me").send().await?.bytes().await?;
        Ok(())
    };
    let (subject, course) = match start {
        Start::Blind => (LONGHAUL, Course::run((0..CALLS).map(|_| call()), usize::MAX).await),
        Start::Told => {
            let first = Course::run([call()], 1).await;
            let others = Course::run((1..CALLS).map(|_| call()), usize::MAX).await;
            ("longhaul, after a first call", first.and(&others))
        }
    };
    Ok(Side::new(subject, service.counts(), course))
}

async fn by_hand_side(by_hand: Loop, window: Duration) -> Result<Side, Failure> {
    let service = serve(window).await?;
    let request = http()?.get(service.url().join("api/v2/users/me")?.as_str());
    let request = request.bearer_auth(service.log_in().expose());
    let calls = (0..CALLS).map(|_| async {
        by_hand.call(&request).await?;
        Ok(())
    });
    let course = Course::run(calls, by_hand.at_once()).await;
    Ok(Side::new(by_hand.subject, service.counts(), course))
}

async fn serve(window: Duration) -> Result<Genesys, Failure> {
    Ok(Genesys::builder().rate(RATE).window(window).latency(LATENCY).start().await?)
}

const CALLS: u32 = 180;
const RATE: u32 = 60;
