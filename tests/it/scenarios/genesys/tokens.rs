//! Tokens: of a login host, refreshed ahead, replaced once after a 401, and revoked.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use http::{Method, StatusCode};
use longhaul::credentials::{MemoryStore, Secrets};
use longhaul::testing::{Genesys, Recorded, Side, reply, script};
use longhaul::{Client, Credential, ErrorKind, OAuth};
use serde_json::json;

use super::{builder, client, get, profile, scripted, secrets};
use crate::support::{HOUR, MINUTE, millis, secs};

#[tokio::test]
async fn secrets_go_to_the_login_host_and_tokens_to_the_api() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
    let log = service.log();
    let first = &log[0];
    assert_eq!((first.side(), first.method(), first.path()), (Side::Token, &Method::POST, "/oauth/token"));
    assert!(first.header_names().iter().any(|name| name == "authorization"), "Basic");
    assert_eq!(log[1].side(), Side::Api);
    assert_eq!((service.counts().logins(), service.counts().misplaced_credentials()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_client_is_named_by_basic_at_the_host_of_the_region() {
    let service = script([
        reply(200).json(json!({"access_token": "t", "token_type": "bearer", "expires_in": 86_400})).at("/oauth/token"),
        reply(200),
    ]);
    let secrets = Secrets::new().set("client_id", "an-id").set("client_secret", "a-secret");
    let client = scripted(&service).secrets(secrets).build().unwrap();
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
    let requests = service.requests();
    assert_eq!(requests[0].url().as_str(), "https://login.mypurecloud.com/oauth/token");
    let basic = format!("Basic {}", STANDARD.encode("an-id:a-secret"));
    assert_eq!(requests[0].header("authorization"), Some(basic.as_str()));
    assert_eq!(requests[0].body().as_ref(), b"grant_type=client_credentials");
    assert_eq!(requests[1].url().as_str(), "https://api.mypurecloud.com/api/v2/users/me");
    assert_eq!(requests[1].header("authorization"), Some("Bearer t"));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_five_minutes_before_its_end() {
    let token = |name: &str| reply(200).json(json!({"access_token": name, "expires_in": 86_400})).at("/oauth/token");
    let service = script([token("one"), token("two"), reply(200), reply(200), reply(200), reply(200)]);
    let secrets = Secrets::new().set("client_id", "i").set("client_secret", "s");
    let client = scripted(&service).secrets(secrets).build().unwrap();
    let tokens = || service.requests().iter().filter(|request| request.url().path() == "/oauth/token").count();
    let bearer = || service.requests().last().map(|last| last.header("authorization").unwrap().to_owned()).unwrap();
    get(&client, "users/me").await.unwrap();
    tokio::time::sleep(24 * HOUR - 5 * MINUTE - secs(1)).await;
    get(&client, "users/me").await.unwrap();
    assert_eq!((tokens(), bearer()), (1, "Bearer one".to_owned()));
    tokio::time::sleep(secs(2)).await;
    get(&client, "users/me").await.unwrap();
    client.settle().await;
    assert_eq!(tokens(), 2);
    get(&client, "users/me").await.unwrap();
    assert_eq!((tokens(), bearer()), (2, "Bearer two".to_owned()));
}

#[tokio::test]
async fn short_lives_are_never_seen_to_end() {
    let service = Genesys::builder().token_life(secs(2)).rate(10_000).start().await.unwrap();
    let client = client(&service);
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < secs(4) {
        assert_eq!(get(&client, "users/me").await.unwrap(), 200);
        tokio::time::sleep(millis(50)).await;
    }
    assert_eq!(service.counts().unauthorized(), 0);
    assert!((2..=5).contains(&service.counts().logins()), "{:?}", service.counts());
}

#[tokio::test]
async fn a_401_costs_one_refresh_and_one_retry() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
    service.void_tokens();
    // Many at once: one of them fetches the token for all.
    let calls = join_all((0..10).map(|_| get(&client, "users/me"))).await;
    assert!(calls.iter().all(|call| matches!(call, Ok(200))));
    assert_eq!((service.counts().logins(), service.counts().other_calls()), (2, 11));
    assert!((1..=10).contains(&service.counts().unauthorized()));
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_an_error() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
    service.fail_next(2, 401, None);
    let error = client.get("users/me").send().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthorized, Some(StatusCode::UNAUTHORIZED)));
    assert_eq!((service.counts().requests(), service.counts().logins()), (3, 2));
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
}

/// A client of a user that has logged in, which keeps its tokens in `store`.
fn logged_in(service: &Genesys, store: &MemoryStore) -> Client {
    let oauth = OAuth::refresh_only(service.token_url(), service.client_id())
        .client_secret(service.client_secret())
        .token(service.log_in())
        .store(store.clone());
    Client::for_profile(profile(service)).credential(Credential::oauth(oauth)).no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_refresh_token_is_replaced_with_each_use() {
    let service = Genesys::start().await.unwrap();
    let store = MemoryStore::new();
    let client = logged_in(&service, &store);
    for refreshes in 0..4 {
        assert_eq!(get(&client, "users/me").await.unwrap(), 200);
        assert_eq!((service.counts().refreshes(), service.counts().logins()), (refreshes, 0));
        service.void_tokens();
    }
}

#[tokio::test]
async fn a_user_logs_in_with_a_code_and_the_refresh_token_is_used_from_then_on() {
    let service = Genesys::start().await.unwrap();
    let redirect = "http://127.0.0.1:9000/back";
    let authorize = service.login_url().join("oauth/authorize").unwrap();
    let oauth = OAuth::authorization_code(authorize, service.token_url(), service.client_id(), redirect)
        .client_secret(service.client_secret());
    let login = oauth.login().unwrap();
    let client =
        Client::for_profile(profile(&service)).credential(Credential::oauth(oauth)).no_proxy().build().unwrap();
    let challenge = login.url().query_pairs().find(|(name, _)| name == "code_challenge").unwrap().1.into_owned();
    let back = format!("{redirect}?code={}&state={}", service.authorize(redirect, &challenge), login.state());
    client.log_in(login, back).await.unwrap();
    for refreshes in 0..3 {
        assert_eq!(get(&client, "users/me").await.unwrap(), 200);
        assert_eq!((service.counts().logins(), service.counts().refreshes()), (1, refreshes));
        service.void_tokens();
    }
}

#[tokio::test]
async fn calls_that_begin_at_once_fetch_one_token() {
    let service = Genesys::builder().latency(millis(20)).start().await.unwrap();
    let client = client(&service);
    let calls = join_all((0..50).map(|_| get(&client, "users/me"))).await;
    assert!(calls.iter().all(|call| matches!(call, Ok(200))));
    assert_eq!(service.counts().token_requests(), 1);
}

#[tokio::test]
async fn revokes_its_token_at_the_api_or_its_session_at_the_login_host() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
    client.revoke().await.unwrap();
    let last = service.log().pop().unwrap();
    assert_eq!((last.side(), last.method(), last.path()), (Side::Api, &Method::DELETE, "/api/v2/tokens/me"));
    assert_eq!((last.status(), service.counts().revocations()), (Some(StatusCode::OK), 1));

    let session = service.login_url().join("oauth/sessions/me").unwrap();
    let profile = profile(&service).map_oauth(|oauth| oauth.revoke(format!("DELETE {session}")));
    let client = builder(&service).profile(profile).secrets(secrets(&service)).build().unwrap();
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
    client.revoke().await.unwrap();
    let last = service.log().pop().unwrap();
    assert_eq!((last.side(), last.path(), last.status()), (Side::Token, "/oauth/sessions/me", Some(StatusCode::OK)));
    assert_eq!((service.counts().revocations(), service.counts().misplaced_credentials()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_an_error_that_shows_none() {
    let service = script([reply(401).json(json!({"error": "invalid_client"})).at("/oauth/token")]);
    let secrets = Secrets::new().set("client_id", "i").set("client_secret", "hush-hush");
    let client = scripted(&service).secrets(secrets).build().unwrap();
    let error = client.get("users/me").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenRefused);
    assert!(!format!("{error} {error:?} {client:?}").contains("hush-hush"));
    assert_eq!(service.requests().iter().map(Recorded::at).max(), Some(Duration::ZERO), "not tried again");
}
