//! What errors say: where it went wrong, why, and nothing twice.

use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, StatusCode};
use longhaul::credentials::{CredentialStore, StoreError, Token};
use longhaul::retries::Schedule;
use longhaul::testing::{Canned, reply, script};
use longhaul::{Client, Credential, Error, ErrorKind, OAuth, RetryPolicy};
use serde_json::{Value, json};

use crate::support::chain;

const ENDPOINT: &str = "https://login.example.com/tenant/token?code=F00D";

fn oauth() -> OAuth {
    OAuth::client_credentials(ENDPOINT, "my-id", "my-secret")
}

fn client(answers: impl IntoIterator<Item = Canned>, credential: Credential) -> Client {
    script(answers).client().credential(credential).retry(RetryPolicy::none()).build().unwrap()
}

async fn refused(client: &Client) -> Error {
    client.request(Method::GET, "farms").send().await.unwrap_err()
}

async fn no_token(answers: impl IntoIterator<Item = Canned>) -> Error {
    refused(&client(answers, Credential::oauth(oauth()))).await
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_is_none_is_named() {
    let html = || reply(200).header("content-type", "text/html").body("<!doctype html><p>Welcome</p>");
    for (answer, status) in [
        (reply(404), 404),
        (reply(404).json(json!({"error": "not_found"})), 404),
        (reply(404).body("<html>"), 404),
        (reply(405), 405),
        (html(), 200),
        (reply(200).body("\n <html></html>"), 200),
    ] {
        let error = no_token([answer]).await;
        assert_eq!(error.url(), Some("https://login.example.com/tenant/token?…"), "{error}");
        assert_eq!(error.status(), StatusCode::from_u16(status).ok(), "{error}");
        let text = error.to_string();
        assert!(text.contains("the URL of the token endpoint looks wrong"), "{text}");
        assert!(!text.contains("id, secret and scope"), "{text}");
    }
    // Any other answer tells where it came from, too.
    let error = no_token([reply(400).json(json!({"error": "invalid_scope"}))]).await;
    assert_eq!((error.status(), error.url().is_some()), (Some(StatusCode::BAD_REQUEST), true), "{error}");
    assert!(error.to_string().contains("id, secret and scope"), "{error}");
    let error = no_token((0..5).map(|_| reply(0).unsent())).await;
    assert!(error.url().is_some() && error.status().is_none(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_code_is_said_once_and_its_message_is_not_lost() {
    for (status, body) in [
        (400, json!({"error": {"code": "invalid_client", "message": "who are you"}})),
        (401, json!({"error": "invalid_client", "error_description": "who are you"})),
        (400, json!({"error": "unknown", "message": "who are you"})),
        (400, json!({"error": {"type": "unknown", "description": "who are you"}})),
    ] {
        let error = no_token([reply(status).json(body)]).await;
        let code = error.fault().and_then(|fault| fault.code()).unwrap().to_owned();
        let text = error.to_string();
        assert_eq!(text.matches(&code).count(), 1, "{text}");
        assert_eq!(text.matches("who are you").count(), 1, "{text}");
    }
    // That of the API stands beside no other.
    let body = json!({"error": {"code": "C0DE", "message": "no"}});
    let error = refused(&client([reply(400).json(body)], Credential::none())).await;
    assert!(error.to_string().contains("C0DE: no"), "{error}");
}

struct Full;

impl CredentialStore for Full {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn save(&self, _: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Err("the disk is full".into())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_printed_chain_says_nothing_twice() {
    let token = || reply(200).json(json!({"access_token": "T", "expires_in": 3600}));
    let store = refused(&client([token()], Credential::oauth(oauth().store(Full)))).await;
    assert_eq!(store.kind(), ErrorKind::Store);
    assert!(!store.to_string().contains("the old one"), "there is none: {store}");
    let refresh = no_token([reply(400).json(json!({"error": "invalid_client"}))]).await;
    let asked = no_token((0..5).map(|_| reply(503).header("retry-after", "70"))).await;
    for error in [store, refresh, asked] {
        let lines = chain(&error);
        let mut told = lines.clone();
        told.dedup();
        assert_eq!(told, lines);
        assert!(lines.len() <= 2, "{lines:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_names_what_failed_last() {
    // The token endpoint is down.
    let dead = script((0..9).map(|_| reply(0).unsent()));
    let client = dead.client().credential(Credential::oauth(oauth())).build().unwrap();
    let error = client.request(Method::GET, "farms").timeout(Duration::from_secs(2)).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(error.to_string().contains("token endpoint: no connection to the host"), "{error}");
    let dead = script((0..9).map(|_| reply(502)));
    let client = dead.client().credential(Credential::oauth(oauth())).build().unwrap();
    let task = client.task().post("exports").timeout(Duration::from_secs(2)).submit::<Value>().await;
    let error = task.map(drop).unwrap_err();
    assert!(error.to_string().contains("token endpoint: it answered with 502"), "{error}");

    // The error does not report the failure of an earlier fetch.
    let silent = script([reply(502)].into_iter().chain((0..9).map(|_| reply(0).silent())));
    let client = silent.client().credential(Credential::oauth(oauth())).build().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let error = client.request(Method::GET, "farms").timeout(Duration::from_secs(2)).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(!error.to_string().contains("token endpoint:"), "{error}");

    // The host breaks off, and then says nothing.
    let policy = RetryPolicy::standard().schedule(Schedule::constant(Duration::from_secs(1)));
    let client = script([reply(0).unsent(), reply(0).silent()]).client().retry(policy).build().unwrap();
    let error = client.request(Method::GET, "farms").timeout(Duration::from_secs(5)).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::DeadlineExceeded, 1), "{error}");
    assert!(error.to_string().contains("no connection to the host") && error.url().is_some(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_task_names_the_trouble_before_it() {
    for (answer, named) in [
        (
            reply(503).json(json!({"error": {"message": "The tenant is being moved."}})),
            "503: The tenant is being moved.",
        ),
        (reply(200).header("content-type", "text/html").body("<p>Sign in</p>"), "HTML"),
        (reply(0).unsent(), "no connection"),
    ] {
        let accepted = reply(202).header("location", "tasks/1");
        let service = script([accepted].into_iter().chain((0..99).map(|_| answer.clone())));
        let client = service.client().build().unwrap();
        let task = client.task().post("exports").timeout(Duration::from_secs(90)).submit::<Value>().await.unwrap();
        let error = task.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert!(error.to_string().contains("the last answer: "), "{error}");
        assert!(error.to_string().ends_with("Error::token() holds what resumes it"), "{error}");
        assert!(error.token().is_some() && error.to_string().contains(named), "{named}: {error}");
    }
    // One that answers has no trouble.
    let pending = (0..99).map(|_| reply(200).json(json!({"status": "running"})));
    let service = script([reply(202).header("location", "tasks/1")].into_iter().chain(pending));
    let client = service.client().build().unwrap();
    let task = client.task().post("exports").timeout(Duration::from_secs(90)).submit::<Value>().await.unwrap();
    let error = task.await.unwrap_err();
    assert!(!error.to_string().contains("the last answer"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_401_without_a_credential_says_so() {
    let none = "the client has no credential";
    let error = refused(&client([reply(401)], Credential::none())).await;
    assert!(error.to_string().contains(none), "{error}");
    assert!(!error.to_string().contains("was not accepted"), "{error}");
    let task = client([reply(401)], Credential::none()).task().post("x").submit::<Value>().await;
    let error = task.map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::Unauthorized && error.to_string().contains(none), "{error}");
    let error = refused(&client([reply(401)], Credential::bearer("T0KEN"))).await;
    assert!(!error.to_string().contains(none), "{error}");
    // One that comes with the request is a credential too.
    let client = client([reply(401)], Credential::none());
    let error = client.request(Method::GET, "x").header("authorization", "Bearer T0KEN").send().await.unwrap_err();
    assert!(!error.to_string().contains(none), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_login_blames_no_endpoint() {
    let back = "http://127.0.0.1:9000/back";
    let oauth = OAuth::authorization_code("https://login.example.com/authorize", ENDPOINT, "my-id", back);
    let client = client([], Credential::oauth(oauth.clone()));
    for (redirected, why) in [
        ("C0DE0", "pass the whole URL that the browser was redirected to"),
        ("http://127.0.0.1:9000/back", "pass the whole URL that the browser was redirected to"),
        ("/back?state=other&code=C0DE0", "another state"),
        ("/back?state=STATE", "has no code"),
        ("/back?state=STATE&error=access_denied", "`access_denied`"),
    ] {
        let login = oauth.login().unwrap();
        let redirected = redirected.replace("STATE", login.state());
        let error = client.log_in(login, redirected).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TokenRefused);
        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error} {error:?}").contains("C0DE0"), "{error}");
        assert!(!error.to_string().contains("endpoint"), "nobody asked it: {error}");
    }
}
