//! Secrets that a service repeats: none shows in what is made of its answers.

use std::time::Duration;

use futures::StreamExt;
use http::Method;
use longhaul::credentials::Token;
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, Credential, Error, Event, OAuth, Profile, RetryPolicy, SecretUrl};
use serde_json::{Value, json};

use crate::support;

const SECRETS: [&str; 9] = [
    "SUBKEYSECRET",
    "BEARERSECRET",
    "QUERY/SECRET",
    "QUERY%2FSECRET",
    "PASSWORDSECRET",
    "dXNlcjpQQVNTV09SRFNFQ1JFVA==", // user:PASSWORDSECRET
    "ACCESSSECRET",
    "REFRESHSECRET",
    "FORMERSECRET",
];

fn credential() -> Credential {
    Credential::bearer("BEARERSECRET")
        .and(Credential::api_key_header("Ocp-Apim-Subscription-Key", "SUBKEYSECRET"))
        .and(Credential::api_key_query("apikey", "QUERY/SECRET"))
}

fn said() -> String {
    let said = SECRETS.join("', '");
    format!("Access denied due to invalid subscription key SUBKEYSECRET. Also seen: '{said}'.")
}

#[track_caller]
fn clean(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} shows in: {text}");
    }
}

/// All that can be read of an error, but for the raw body.
fn shown(error: &Error) -> String {
    let mut text = format!("{}{:?} {:?}", support::shown(error), error.explain(), error.last_update());
    if let Some(fault) = error.fault() {
        text += &format!(" {fault} {fault:?} {:?} {:?} {:?}", fault.code(), fault.message(), fault.correlation_id());
    }
    text
}

fn plain(service: &Script, credential: Credential) -> Client {
    service.client().credential(credential).retry(RetryPolicy::none()).build().unwrap()
}

async fn refused(client: &Client) -> Error {
    client.request(Method::GET, "farms").send().await.unwrap_err()
}

/// Answers that repeat what they were sent, each in another place.
fn echoes(status: u16) -> [Canned; 4] {
    [
        reply(status).json(json!({"error": {"message": said()}})),
        reply(status).json(json!({"code": said(), "message": "no", "correlationId": said()})),
        reply(status).body(said()),
        reply(status).header("x-request-id", "SUBKEYSECRET").header("x-ms-error-code", "BEARERSECRET"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_shows_no_part_of_the_credential() {
    for status in [400, 401, 403, 429, 500] {
        for answer in echoes(status) {
            let error = refused(&plain(&script([answer]), credential())).await;
            clean(&shown(&error), &SECRETS[..4]);
        }
    }
    let body = r#"{"error":{"message":"Access denied due to invalid subscription key SUBKEYSECRET."}}"#;
    let error = refused(&plain(&script([reply(401).body(body)]), credential())).await;
    let fault = error.fault().unwrap();
    assert_eq!(fault.message(), Some("Access denied due to invalid subscription key …."));
    assert_eq!(fault.body(), body.as_bytes(), "the raw body is what came");
}

#[tokio::test(start_paused = true)]
async fn a_password_shows_neither_plain_nor_encoded() {
    let client = plain(&script(echoes(401)), Credential::basic("user", "PASSWORDSECRET"));
    for _ in 0..4 {
        clean(&shown(&refused(&client).await), &SECRETS[4..6]);
    }
    let client = plain(&script([reply(401).body("no user `user` with Basic dXNlcjpQQVNTV09SRFNFQ1JFVA==")]), {
        Credential::basic("user", "PASSWORDSECRET")
    });
    let error = refused(&client).await;
    assert_eq!(error.fault().and_then(|fault| fault.message()), Some("no user `user` with Basic …"));
}

#[tokio::test(start_paused = true)]
async fn a_secret_cut_with_its_message_does_not_show() {
    let body = format!("{}SUBKEYSECRET", "x".repeat(292));
    let error = refused(&plain(&script([reply(401).body(body)]), credential())).await;
    clean(&shown(&error), &["SUBKEY"]);
}

#[tokio::test(start_paused = true)]
async fn words_of_three_bytes_are_no_secrets() {
    let client = plain(&script([reply(400).body("the farm")]), Credential::api_key_header("X-Key", "the"));
    assert_eq!(refused(&client).await.fault().and_then(|fault| fault.message()), Some("the farm"));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_fetched_do_not_show_while_in_use_and_after() {
    let token = |access| reply(200).json(json!({"access_token": access, "refresh_token": "REFRESHSECRET"}));
    let [first, .., last] = echoes(403);
    let service = script([token("FORMERSECRET"), first, reply(401), token("ACCESSSECRET"), last]);
    let oauth = OAuth::client_credentials("https://login.example.com/token", "my-id", "CLIENTSECRET");
    let client = plain(&service, Credential::oauth(oauth));
    clean(&shown(&refused(&client).await), &["FORMERSECRET", "REFRESHSECRET"]);
    clean(&shown(&refused(&client).await), &SECRETS[6..]);

    // One that was replaced while the answer was on its way.
    let slow = reply(403).body(said()).after(Duration::from_secs(5));
    let service = script([reply(200), slow, reply(401), token("ACCESSSECRET"), reply(200)]);
    let given = Token::new("FORMERSECRET").refreshed_by("REFRESHSECRET");
    let oauth = OAuth::refresh_only("https://login.example.com/token", "my-id").token(given);
    let client = plain(&service, Credential::oauth(oauth));
    client.request(Method::GET, "farms").send().await.unwrap();
    let (error, _) = tokio::join!(refused(&client), client.request(Method::GET, "others").send());
    clean(&shown(&error), &SECRETS[6..]);
}

#[tokio::test(start_paused = true)]
async fn a_task_tells_of_none() {
    let accepted = || reply(202).header("location", "/v1/tasks/7");
    let ended = json!({"Status": "failed", "Error": {"code": "BEARERSECRET", "message": said()}});
    for answers in [
        vec![reply(400).json(json!({"message": said()}))],
        vec![reply(202).json(json!({"Status": said()}))],
        vec![accepted(), reply(200).json(ended)],
        vec![accepted(), reply(200).json(json!({"Status": said()})), reply(410).body(said())],
        vec![
            accepted(),
            reply(200).header("retry-after", "SUBKEYSECRET").json(json!({"Status": "started"})),
            reply(401),
        ],
        vec![accepted(), reply(500).body(said()), reply(403).body(said())],
    ] {
        let service = script(answers);
        let client = service.client().profile(Profile::smag_task()).credential(credential()).build().unwrap();
        let mut events = client.events();
        let mut text = String::new();
        match client.task().post("exports").submit::<Value>().await {
            Err(error) => text += &shown(&error),
            Ok(mut task) => {
                while let Some(update) = task.advance().await {
                    match update {
                        Ok(update) => text += &format!("{update:?} {:?} {:?}", update.word(), update.warning()),
                        Err(error) => text += &shown(&error),
                    }
                    text += &task.explain();
                }
                let _ = task.await.map_err(|error| text += &shown(&error));
            }
        }
        while let Some(Some(event)) = futures::FutureExt::now_or_never(events.next()) {
            text += &format!("{event:?}");
            assert!(!matches!(event, Event::Missed { .. }));
        }
        clean(&text, &SECRETS[..4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_from_the_api_shows_none() {
    let client = plain(&script([reply(403).body(said())]), credential());
    let link = SecretUrl::parse(&format!("{}files/7", client.base())).unwrap();
    clean(&shown(&client.download(link.expose()).to_memory(100).await.unwrap_err()), &SECRETS[..4]);
}
