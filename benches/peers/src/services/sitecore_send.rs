//! Sitecore Send: a window for each of three routes, each filled, and one call more.

use std::time::Duration;

use futures::future::try_join_all;
use longhaul::credentials::Secrets;
use longhaul::testing::SitecoreSend;
use longhaul::{Client, Profile};
use serde_json::json;

use super::LATENCY;
use super::by_hand::{Loop, WITHOUT_HINTS, http, json};
use super::side::{Course, LONGHAUL, Polls, Side, Table};
use crate::Failure;

pub(super) async fn table() -> Result<Table, Failure> {
    let (own, loops) = tokio::try_join!(longhaul(), try_join_all(WITHOUT_HINTS.map(by_hand_side)))?;
    Ok(Table {
        title: "Sitecore Send: 2, 10 and 20 calls of three routes, and one more of each, in windows of 10 s".to_owned(),
        ideal: Duration::from_secs(10),
        polls: Polls::None,
        sides: [own].into_iter().chain(loops).collect(),
    })
}

async fn longhaul() -> Result<Side, Failure> {
    let service = start().await?;
    let secrets = Secrets::new().set("api_key", KEY);
    let profile = Profile::sitecore_send();
    let client = Client::builder(service.url()).profile(profile).secrets(secrets).no_proxy().build()?;
    let client = &client;
    let calls = calls().map(|path| async move {
        client.post(path).json(&json!({})).send().await?.bytes().await?;
        Ok(())
    });
    let course = Course::run(calls, usize::MAX).await;
    Ok(Side::new(LONGHAUL, service.counts(), course))
}

async fn by_hand_side(by_hand: Loop) -> Result<Side, Failure> {
    let service = start().await?;
    let (http, url) = (http()?, service.url());
    let calls = calls().map(|path| json(http.post(format!("{url}/{path}?apikey={KEY}")), &json!({})));
    let calls = calls.map(|request| async move {
        by_hand.call(&request).await?;
        Ok(())
    });
    let course = Course::run(calls, by_hand.at_once()).await;
    Ok(Side::new(by_hand.subject, service.counts(), course))
}

async fn start() -> Result<SitecoreSend, Failure> {
    let service = SitecoreSend::builder().latency(LATENCY).start().await?;
    service.add_key(KEY);
    Ok(service)
}

/// The path of each call.
fn calls() -> impl Iterator<Item = &'static str> {
    ROUTES.into_iter().flat_map(|(path, count)| (0..=count).map(move |_| path))
}

/// Each route with the number of calls of one window.
const ROUTES: [(&str, u32); 3] = [
    ("subscribers/1/subscribe_many.json", 2),
    ("subscribers/1/subscribe.json", 10),
    ("subscribers/1/unsubscribe.json", 20),
];

const KEY: &str = "a-key";
