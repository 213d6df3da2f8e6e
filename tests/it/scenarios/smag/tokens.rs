//! Tokens: a JSON of SMAG's own, a JWT of 24 hours, a key at each request to the API.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use longhaul::credentials::Secrets;
use longhaul::testing::{Canned, Simulator, reply, script};
use serde_json::{Value, json};

use super::{builder, farms, scripted};
use crate::support::{HOUR, MINUTE, millis, secs};

/// The answer to a login, with a JWT that ends so many seconds after 1970.
fn login(name: &str, exp: u64) -> Canned {
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": name, "exp": exp }).to_string());
    reply(200)
        .json(json!({ "Token": format!("e30.{claims}.c2ln"), "Refresh_Token": "r", "UserId": "u", "Identity": {} }))
}

fn named() -> Secrets {
    Secrets::new()
        .set("subscription_key", "k3y")
        .set("application_id", "app")
        .set("user_name", "me")
        .set("password", "pw")
}

const START: u64 = 1_893_456_000;
const PATH: &str = "/authentication-operational/v1/api/authentication";
const REFRESH: &str = "/authentication-operational/v1/api/oauth2/refresh_token";

#[tokio::test(start_paused = true)]
async fn logs_in_with_its_own_json_and_the_key_of_the_gateway() {
    let service = script([login("me", START + 86_400).at(PATH), reply(200)]);
    let client = scripted(&service).secrets(named()).build().unwrap();
    assert_eq!(farms(&client).await.unwrap(), 200);
    let requests = service.requests();
    let body: Value = serde_json::from_slice(requests[0].body()).unwrap();
    assert_eq!(body, json!({ "ApplicationId": "app", "UserName": "me", "Password": "pw" }));
    assert_eq!(requests[0].header("ocp-apim-subscription-key"), Some("k3y"));
    assert_eq!(requests[0].header("authorization"), None);
    assert!(requests[1].header("authorization").unwrap().starts_with("Bearer e30."));
    assert_eq!(requests[1].header("ocp-apim-subscription-key"), Some("k3y"));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_day_is_refreshed_ahead_by_its_exp() {
    let ends = [START + 86_400, START + 2 * 86_400];
    let tokens = [login("me", ends[0]).at(PATH), login("me", ends[1]).at(REFRESH)];
    let service = script(tokens.into_iter().chain((0..4).map(|_| reply(200))));
    let client = scripted(&service).secrets(named()).build().unwrap();
    let at = |path: &str| service.requests().iter().filter(|request| request.url().path() == path).count();
    let tokens = || (at(PATH), at(REFRESH));
    farms(&client).await.unwrap();
    tokio::time::sleep(24 * HOUR - 5 * MINUTE - secs(1)).await;
    farms(&client).await.unwrap();
    assert_eq!(tokens(), (1, 0));
    tokio::time::sleep(secs(2)).await;
    farms(&client).await.unwrap();
    client.settle().await;
    assert_eq!(tokens(), (1, 1));
    farms(&client).await.unwrap();
    let bearers: Vec<_> =
        service.requests().iter().filter_map(|request| request.header("authorization").map(str::to_owned)).collect();
    assert_ne!(bearers.first(), bearers.last());
}

#[tokio::test]
async fn short_lives_are_never_seen_to_end() {
    let service = Simulator::smag().tokens(secs(2)).start().await.unwrap();
    let client = builder(&service).build().unwrap();
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < secs(4) {
        assert_eq!(farms(&client).await.unwrap(), 200);
        tokio::time::sleep(millis(50)).await;
    }
    let counts = service.counts();
    assert_eq!((counts.tokens_refused(), counts.misplaced_credentials(), counts.logins()), (0, 0, 1));
    assert!((1..=5).contains(&counts.refreshes()), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_endpoint_that_knows_no_such_form_is_replaced_by_a_login() {
    let service = script([
        login("me", START + 600).at(PATH),
        login("me", START + 1_200).at(PATH),
        reply(404).at(REFRESH),
        reply(200),
        reply(200),
    ]);
    let client = scripted(&service).secrets(named()).build().unwrap();
    farms(&client).await.unwrap();
    tokio::time::sleep(11 * MINUTE).await;
    farms(&client).await.unwrap();
    let bearers: Vec<_> =
        service.requests().iter().filter_map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    assert_ne!(bearers[0], bearers[1]);
}

#[tokio::test]
async fn a_refresh_token_that_was_lost_is_replaced_by_a_login() {
    let service = Simulator::smag().start().await.unwrap();
    let client = builder(&service).build().unwrap();
    assert_eq!(farms(&client).await.unwrap(), 200);
    service.void_tokens();
    assert_eq!(farms(&client).await.unwrap(), 200);
    assert_eq!((service.counts().logins(), service.counts().refreshes()), (1, 1));
    service.void_logins();
    assert_eq!(farms(&client).await.unwrap(), 200);
    assert_eq!((service.counts().logins(), service.counts().refreshes()), (2, 1));
}
