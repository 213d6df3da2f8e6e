//! Aprimo: a queue behind the tenant's limit, orders that may be finished at once, and several files.

use std::time::Duration;

use futures::future::{join, join_all};
use longhaul::credentials::Secrets;
use longhaul::testing::{Aprimo, AprimoBuilder, OrderEnd};
use longhaul::{Client, ClientBuilder, ErrorKind, Outcome, Profile, State};
use serde_json::{Value, json};

use crate::support::{SECOND, secs};

async fn start(builder: AprimoBuilder) -> Aprimo {
    let service = builder.start().await.unwrap();
    service.add_client("app", "secret");
    service
}

fn client(service: &Aprimo) -> ClientBuilder {
    let profile = Profile::aprimo().variable("env", "acme").map_oauth(|oauth| oauth.token_url(service.token_url()));
    let secrets = Secrets::new().set("client_id", "app").set("client_secret", "secret");
    Client::builder(service.url()).profile(profile).secrets(secrets).no_proxy()
}

fn ordered(files: usize) -> Value {
    let target = json!({ "recordId": "1", "targetTypes": ["Document"], "assetType": "LatestVersionOfMasterFile" });
    json!({ "type": "download", "targets": vec![target; files] })
}

async fn order(client: &Client, body: &Value) -> longhaul::Result<Outcome<Value>> {
    client.task().kind("order").post("api/core/orders").json(body).submit::<Value>().await?.await
}

#[tokio::test]
async fn of_130_requests_at_once_none_is_refused() {
    let service = start(Aprimo::builder()).await;
    let client = client(&service).build().unwrap();
    let calls = join_all((0..130).map(|_| client.get("api/core/records").send())).await;
    assert!(calls.iter().all(Result::is_ok));
    let counts = service.counts();
    assert_eq!((counts.requests(), counts.throttled(), counts.unauthorized()), (130, 0, 0));
    assert_eq!(counts.logins(), 1);
}

/// The limit is the tenant's: an integration that keeps none fills the queue, and the refusals meet us, too.
#[tokio::test]
async fn the_refusals_that_another_integration_causes_are_retried() {
    let service = start(Aprimo::builder().queue(5)).await;
    let client = client(&service).build().unwrap();
    // It has its token before the others come.
    client.get("api/core/records").send().await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let other = service.log_in("another integration");
    let records = service.url().join("api/core/records").unwrap();
    let noise = || http.get(records.clone()).bearer_auth(other.expose()).header("API-VERSION", "1").send();
    let ours = (0..15).map(|_| client.get("api/core/records").send());
    let (_, ours) = join(join_all((0..40).map(|_| noise())), join_all(ours)).await;
    assert!(ours.iter().all(Result::is_ok));
    let refused = service.counts().throttled();
    assert!(client.stats().throttled() > 0 && refused > client.stats().throttled(), "{refused}");
}

#[tokio::test]
async fn an_order_that_is_finished_at_once_is_not_polled() {
    let service = start(Aprimo::builder()).await;
    let client = client(&service).build().unwrap();
    let mut body = ordered(1);
    body["disableProcessing"] = json!("Yes");
    let outcome = order(&client, &body).await.unwrap();
    assert_eq!((outcome.state(), outcome.links().len()), (State::Succeeded, 1));
    assert_eq!((service.counts().submits(), service.counts().polls()), (1, 0));
}

#[tokio::test]
async fn words_in_any_spelling_and_several_files_without_a_credential() {
    let service = start(Aprimo::builder().order_duration(SECOND)).await;
    let client = client(&service).build().unwrap();
    for (number, files) in [3, 1].into_iter().enumerate() {
        let outcome = order(&client, &ordered(files)).await.unwrap();
        let id = service.orders()[number].clone();
        assert_eq!((outcome.state(), outcome.links().len()), (State::Succeeded, files));
        for (number, download) in outcome.downloads().into_iter().enumerate() {
            let bytes = download.to_memory(1 << 20).await.unwrap();
            assert_eq!(Some(String::from_utf8(bytes.to_vec()).unwrap()), service.expected(&id, number));
        }
    }
    let counts = service.counts();
    assert!(counts.downloads() >= 4 && counts.polls() >= 2, "{counts:?}");
    assert_eq!((counts.misplaced_credentials(), counts.throttled()), (0, 0));
}

#[tokio::test]
async fn an_order_that_fails_in_part_or_as_a_whole_says_so() {
    let service = start(Aprimo::builder().order_duration(Duration::from_millis(100))).await;
    let client = client(&service).build().unwrap();
    service.end_next(1, OrderEnd::PartiallyFailed);
    let outcome = order(&client, &ordered(3)).await.unwrap();
    assert_eq!((outcome.state(), outcome.links().len()), (State::PartiallySucceeded, 2));
    for (end, kind) in [(OrderEnd::Failed, ErrorKind::TaskFailed), (OrderEnd::Cancelled, ErrorKind::TaskCanceled)] {
        service.end_next(1, end);
        let error = order(&client, &ordered(3)).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let said = error.fault().and_then(|fault| fault.message()).unwrap_or_default().to_owned();
        assert_eq!(said.contains("No target could be delivered"), end == OrderEnd::Failed, "{said}");
    }
}

#[tokio::test]
async fn a_token_that_expired_or_was_revoked_is_replaced() {
    let service = start(Aprimo::builder().token_life(secs(2))).await;
    let client = client(&service).build().unwrap();
    let call = || async { client.get("api/core/records").send().await.unwrap() };
    call().await;
    tokio::time::sleep(secs(3)).await;
    call().await;
    let counts = service.counts();
    assert!(counts.logins() >= 2);
    assert_eq!((counts.requests(), counts.unauthorized()), (2, 0));

    service.void_tokens();
    call().await;
    assert_eq!(service.counts().requests(), 3 + service.counts().unauthorized());
    assert!(service.counts().unauthorized() <= 1);
}

/// A 401 here has `null` as its body.
#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let service = start(Aprimo::builder()).await;
    let client = client(&service).build().unwrap();
    for round in 1..=2 {
        client.get("api/core/records").send().await.unwrap();
        let counts = service.counts();
        assert_eq!((counts.logins(), counts.unauthorized()), (round, round - 1));
        service.void_tokens();
    }
}
