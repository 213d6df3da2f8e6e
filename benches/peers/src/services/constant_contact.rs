//! Constant Contact: two tenants under one API key, whose limit of 4 a second they share.

use std::time::Duration;

use futures::future::try_join_all;
use longhaul::credentials::Secrets;
use longhaul::testing::ConstantContact;
use longhaul::{Client, Profile, Throttle};

use super::LATENCY;
use super::by_hand::{Loop, WITHOUT_HINTS, http};
use super::side::{Course, LONGHAUL, Polls, Side, Table};
use crate::{Failure, Length};

pub(super) async fn table(length: Length) -> Result<Table, Failure> {
    let calls = length.pick(60, 200);
    let loops = try_join_all(WITHOUT_HINTS.map(|by_hand| by_hand_side(by_hand, calls)));
    let (own, loops) = tokio::try_join!(longhaul(calls), loops)?;
    Ok(Table {
        title: format!("Constant Contact: {calls} calls of two tenants of one API key at 4/s"),
        ideal: Duration::from_secs(u64::from((calls - 1) / 4)),
        polls: Polls::None,
        sides: [own].into_iter().chain(loops).collect(),
    })
}

async fn longhaul(calls: u32) -> Result<Side, Failure> {
    let service = start().await?;
    let throttle = Throttle::new();
    let tenant = |name| {
        let token = service.log_in(KEY, name);
        let secrets = Secrets::new()
            .set("client_id", KEY)
            .set("client_secret", "secret")
            .set("access_token", token.expose())
            .set("refresh_token", token.expose_refresh().unwrap_or_default());
        let profile = Profile::constant_contact().map_oauth(|oauth| oauth.token_url(service.token_url()));
        let client = Client::builder(service.url()).profile(profile).account(KEY).secrets(secrets);
        client.throttle(&throttle).no_proxy().build()
    };
    let clients = [tenant(TENANTS.0)?, tenant(TENANTS.1)?];
    let calls = clients.iter().cycle().zip(0..calls).map(|(client, _)| async move {
        client.get("account/summary").send().await?.bytes().await?;
        Ok(())
    });
    let course = Course::run(calls, usize::MAX).await;
    Ok(Side::new(LONGHAUL, service.counts(), course))
}

async fn by_hand_side(by_hand: Loop, calls: u32) -> Result<Side, Failure> {
    let service = start().await?;
    let (http, url) = (http()?, format!("{}/account/summary", service.url()));
    let requests = [TENANTS.0, TENANTS.1].map(|name| http.get(&url).bearer_auth(service.log_in(KEY, name).expose()));
    let calls = requests.iter().cycle().zip(0..calls).map(|(request, _)| async move {
        by_hand.call(request).await?;
        Ok(())
    });
    let course = Course::run(calls, by_hand.at_once()).await;
    Ok(Side::new(by_hand.subject, service.counts(), course))
}

async fn start() -> Result<ConstantContact, Failure> {
    let service = ConstantContact::builder().latency(LATENCY).start().await?;
    service.add_client(KEY, "secret");
    Ok(service)
}

const KEY: &str = "key-1";
const TENANTS: (&str, &str) = ("farm", "mill");
