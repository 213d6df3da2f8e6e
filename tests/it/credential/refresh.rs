//! Credentials that refresh themselves, beside a service that issues the tokens, over real sockets.

use std::time::{Duration, SystemTime};

use futures::future::join_all;
use http::{Method, StatusCode};
use longhaul::credentials::{CredentialStore, MemoryStore, TokenAnswer};
use longhaul::limits::{Clock, Scope};
use longhaul::testing::{self, Side, Simulator, SimulatorBuilder, TokenTrouble};
use longhaul::{Client, ClientBuilder, Credential, ErrorKind, Limit, OAuth, RetryPolicy};
use serde_json::{Value, json};

use crate::support::{HOUR, MINUTE, SECOND};

fn service() -> SimulatorBuilder {
    Simulator::builder().tokens(HOUR).hint_on_submit(true)
}

fn program(service: &Simulator) -> OAuth {
    OAuth::client_credentials(service.token_url(), service.client_id(), service.client_secret())
}

fn user(service: &Simulator) -> OAuth {
    let at = "https://login.example.com/authorize";
    OAuth::authorization_code(at, service.token_url(), service.client_id(), BACK).client_secret(service.client_secret())
}

const BACK: &str = "http://127.0.0.1:9000/back";

/// A client with these tokens, and the key that the service wants beside.
fn client(service: &Simulator, oauth: OAuth) -> Client {
    builder(service, oauth).build().unwrap()
}

fn builder(service: &Simulator, oauth: OAuth) -> ClientBuilder {
    let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key());
    testing::client(service).credential(Credential::oauth(oauth).and(key))
}

/// Logs a user in, and gives the token.
async fn logged_in(service: &Simulator, client: &Client, oauth: &OAuth) {
    let login = oauth.login().unwrap();
    let query: std::collections::HashMap<_, _> = login.url().query_pairs().into_owned().collect();
    let code = service.authorize(&query["redirect_uri"], &query["code_challenge"]);
    let back = format!("{BACK}?code={code}&state={}", login.state());
    client.log_in(login, back).await.unwrap();
}

async fn farms(client: &Client) -> longhaul::Result<StatusCode> {
    client.request(Method::GET, "farms").send().await.map(|response| response.status())
}

fn clean(service: &Simulator) {
    assert_eq!(service.counts().misplaced_credentials(), 0, "{:?}", service.log());
}

#[tokio::test]
async fn a_task_runs_to_its_end_and_leaks_no_token() {
    let service = service().start().await.unwrap();
    let client = client(&service, program(&service));
    let task = client.task().post("exports").json(&json!({"size": 1000})).submit::<Value>().await.unwrap();
    let handle = task.handle();
    let outcome = task.await.unwrap();
    assert_eq!(outcome.download().to_memory(10_000).await.unwrap().len(), 1000);
    let _ = handle.cancel().await;
    let counts = service.counts();
    assert_eq!((counts.logins(), counts.unauthorized()), (1, 0), "{counts:?}");
    // Polls, cancel, API results, and the storage: each saw what it may see.
    clean(&service);
    let with = |side| {
        service
            .log()
            .iter()
            .filter(|seen| seen.side() == side && seen.header_names().contains(&http::header::AUTHORIZATION))
            .count()
    };
    assert!(with(Side::Api) >= 3 && with(Side::Storage) == 0 && with(Side::Token) == 1);
}

/// A client with these tokens whose clock is ahead, as if so much time had passed.
fn later(service: &Simulator, oauth: OAuth, by: Duration) -> Client {
    let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key());
    let client = testing::client(service).credential(Credential::oauth(oauth).and(key));
    client.clock(Clock::starting_at(SystemTime::now() + by)).build().unwrap()
}

#[tokio::test]
async fn a_thousand_requests_over_an_expiring_token_refresh_it_once() {
    let service = service().refreshable().start().await.unwrap();
    let oauth = program(&service).store(MemoryStore::new());
    farms(&client(&service, oauth.clone())).await.unwrap();
    // In the last five minutes of its life, and at the end of its successor's: there all wait for one.
    for (refreshes, after) in [(1, HOUR - 3 * MINUTE), (2, 2 * HOUR)] {
        let client = later(&service, oauth.clone(), after);
        let answers = join_all((0..1000).map(|_| farms(&client))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(StatusCode::OK))), "{answers:?}");
        client.settle().await;
        let counts = service.counts();
        assert_eq!((counts.logins(), counts.refreshes(), counts.unauthorized()), (1, refreshes, 0), "{counts:?}");
    }
    clean(&service);
}

#[tokio::test]
async fn a_thousand_refusals_at_once_refresh_once() {
    let service = service().refreshable().start().await.unwrap();
    let client = client(&service, program(&service));
    farms(&client).await.unwrap();
    for round in 1..=3 {
        service.void_tokens();
        let answers = join_all((0..1000).map(|_| farms(&client))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(StatusCode::OK))), "{answers:?}");
        let counts = service.counts();
        assert_eq!((counts.logins(), counts.refreshes()), (1, round), "{counts:?}");
        assert!(counts.unauthorized() <= 1000 * round);
    }
    clean(&service);
}

#[tokio::test]
async fn a_poll_is_sent_again_after_its_token_was_refused() {
    let service = service().start().await.unwrap();
    let client = client(&service, program(&service));
    let mut task = client.task().post("exports").json(&json!({"duration_ms": 300})).submit::<Value>().await.unwrap();
    task.advance().await.unwrap().unwrap();
    service.void_tokens();
    task.await.unwrap();
    assert_eq!(service.counts().logins(), 2);
}

#[tokio::test]
async fn a_refresh_goes_on_where_who_asked_for_it_is_dropped() {
    let service = service().token_latency(Duration::from_millis(300)).start().await.unwrap();
    let store = MemoryStore::new();
    let client = client(&service, program(&service).store(store.clone()));
    let waits = tokio::time::timeout(Duration::from_millis(50), farms(&client)).await;
    assert!(waits.is_err());
    client.settle().await;
    assert!(store.load().await.unwrap().is_some());
    farms(&client).await.unwrap();
    assert_eq!((service.counts().logins(), service.counts().token_requests()), (1, 1));
}

#[tokio::test]
async fn a_user_logs_in_is_refreshed_and_logs_out() {
    let service = service().start().await.unwrap();
    let store = MemoryStore::new();
    let oauth = user(&service).store(store.clone()).revoke_at(service.revoke_url());
    let client = client(&service, oauth.clone());
    let error = farms(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, true), "{error}");
    logged_in(&service, &client, &oauth).await;
    farms(&client).await.unwrap();
    let first = store.load().await.unwrap().unwrap();
    service.void_tokens();
    farms(&client).await.unwrap();
    let second = store.load().await.unwrap().unwrap();
    assert_ne!(first.expose_refresh(), second.expose_refresh());
    client.revoke().await.unwrap();
    assert_eq!((store.load().await.unwrap(), service.counts().revocations()), (None, 1));
    assert!(farms(&client).await.unwrap_err().needs_login());
    clean(&service);
}

#[tokio::test]
async fn a_login_that_is_void_says_so_and_a_new_one_mends_it() {
    let service = service().start().await.unwrap();
    let oauth = user(&service);
    let client = client(&service, oauth.clone());
    logged_in(&service, &client, &oauth).await;
    farms(&client).await.unwrap();
    service.void_logins();
    let asked = service.counts().token_requests();
    for error in join_all((0..100).map(|_| farms(&client))).await.into_iter().map(Result::unwrap_err) {
        assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, true), "{error}");
        assert_eq!(error.fault().and_then(longhaul::Fault::code), Some("invalid_grant"));
        assert!(error.to_string().contains("log in again"), "{error}");
    }
    // A refresh token that is refused is not shown again and again.
    assert_eq!(service.counts().token_requests(), asked + 1);
    logged_in(&service, &client, &oauth).await;
    farms(&client).await.unwrap();
}

#[tokio::test]
async fn two_processes_share_a_stored_token_and_do_not_void_it() {
    let service = service().start().await.unwrap();
    let store = MemoryStore::new();
    let oauth = user(&service).store(store.clone());
    let first = client(&service, oauth.clone());
    logged_in(&service, &first, &oauth).await;
    let logins = service.counts().logins();
    let second = client(&service, oauth.clone());
    farms(&second).await.unwrap();
    assert_eq!(service.counts().refreshes(), 0);
    service.void_tokens();
    farms(&second).await.unwrap();
    // The first still has the old refresh token, which is spent: it looks into the store before it uses it.
    farms(&first).await.unwrap();
    assert_eq!((service.counts().logins(), service.counts().refreshes()), (logins, 1));
}

#[tokio::test]
async fn answers_that_are_no_token_are_errors_that_say_what_came() {
    let service = service().start().await.unwrap();
    for (trouble, kind, words) in [
        (TokenTrouble::NotJson, ErrorKind::TokenUnavailable, "no JSON"),
        (TokenTrouble::NoToken, ErrorKind::TokenUnavailable, "no token at /access_token"),
        (TokenTrouble::Denied(StatusCode::OK, "invalid_scope"), ErrorKind::TokenRefused, "invalid_scope"),
        (
            TokenTrouble::Denied(StatusCode::BAD_REQUEST, "invalid_client"),
            ErrorKind::TokenRefused,
            "id, secret and scope",
        ),
        (TokenTrouble::Status(StatusCode::NOT_FOUND), ErrorKind::TokenRefused, "answered with 404"),
        (TokenTrouble::Redirect, ErrorKind::TokenRefused, "not followed"),
    ] {
        let client = client(&service, program(&service));
        service.token_trouble(1, trouble);
        let error = farms(&client).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{trouble:?}: {error}");
        assert!(error.to_string().contains(words), "{trouble:?}: {error}");
        assert!(!error.needs_login(), "a program cannot log in: {error}");
    }
    for trouble in [
        TokenTrouble::NoExpiry,
        TokenTrouble::ExpiresIn(0),
        TokenTrouble::ExpiresIn(-5),
        TokenTrouble::ExpiresInText(0),
        TokenTrouble::ExpiresInText(3600),
        TokenTrouble::Lost,
        TokenTrouble::Status(StatusCode::BAD_GATEWAY),
        TokenTrouble::Wait(StatusCode::TOO_MANY_REQUESTS, Duration::from_secs(1)),
    ] {
        // A request whose answer is lost holds its slot of the endpoint's limit until its timeout and a second.
        let client = builder(&service, program(&service)).attempt_timeout(SECOND).build().unwrap();
        service.token_trouble(1, trouble);
        assert_eq!(farms(&client).await.unwrap(), StatusCode::OK, "{trouble:?}");
    }
    clean(&service);
}

#[tokio::test]
async fn an_endpoint_that_hangs_keeps_nobody_past_the_deadline() {
    let service = service().start().await.unwrap();
    let client = client(&service, program(&service));
    service.token_trouble(1, TokenTrouble::Hang);
    let call = client.request(Method::GET, "farms").timeout(Duration::from_millis(200));
    let error = call.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(service.counts().requests(), 0);
}

#[tokio::test]
async fn the_token_endpoint_has_a_limit_of_its_own() {
    let service = service().start().await.unwrap();
    let throttle = longhaul::Throttle::new();
    let of = |name: &str| {
        let credential = Credential::oauth(program(&service).param("audience", name))
            .and(Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key()));
        testing::client(&service).throttle(&throttle).credential(credential).build().unwrap()
    };
    let clients = ["a", "b", "c"].map(of);
    assert!(clients[0].throttle().limits().contains(&Limit::per_second(1).scope(Scope::TokenEndpoint)));
    let answers = join_all(clients.iter().map(farms)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(StatusCode::OK))), "{answers:?}");
    let at: Vec<_> = service.log().iter().filter(|seen| seen.side() == Side::Token).map(testing::Seen::at).collect();
    assert_eq!(at.len(), 3);
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(1)), "{at:?}");
}

#[tokio::test]
async fn smags_own_way_is_spoken_too() {
    let service = service().start().await.unwrap();
    let body =
        json!({"ApplicationId": service.client_id(), "UserName": service.user(), "Password": service.password()});
    let oauth = OAuth::json(service.login_url(), &body).answer(TokenAnswer::smag());
    let store = MemoryStore::new();
    let client = client(&service, oauth.store(store.clone()));
    farms(&client).await.unwrap();
    let token = store.load().await.unwrap().unwrap();
    let left = token.expiry().unwrap().duration_since(token.obtained_at()).unwrap();
    // By the `exp` of its JWT.
    // It is exact to the millisecond.
    assert!(left > HOUR - Duration::from_secs(5) && left.as_millis() <= HOUR.as_millis(), "{left:?}");
    assert!(token.expose_refresh().is_some());
    clean(&service);
}

#[tokio::test]
async fn a_token_request_refused_for_good_is_not_retried() {
    let service = service().start().await.unwrap();
    let oauth = OAuth::client_credentials(service.token_url(), service.client_id(), "wrong");
    let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key());
    let client = testing::client(&service).credential(Credential::oauth(oauth).and(key)).retry(RetryPolicy::standard());
    let client = client.build().unwrap();
    let error = farms(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenRefused);
    assert!(error.to_string().contains("look at the client's id, secret and scope"), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
    assert_eq!(service.counts().token_requests(), 1);
}
