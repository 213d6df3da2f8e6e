//! Secrets never show: in Debug, Display, errors and their sources, updates, tokens.

use std::fmt::Debug;

use longhaul::testing::{Canned, reply, script};
use longhaul::{Client, Credential, Error, Profile, SecretUrl};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::shown;

const SECRETS: [&str; 6] = ["T0KEN", "K3Y", "Q3Y", "S1GNATURE", "sig=", "PA55"];

fn check(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} shows in: {shown}");
    }
}

fn check_error(error: &Error) {
    check(&shown(error));
    if let Some(token) = error.token() {
        check(&format!("{token} {token:?}"));
    }
}

fn check_debug(thing: &impl Debug) {
    check(&format!("{thing:?} {thing:#?}"));
}

fn credential() -> Credential {
    Credential::bearer("T0KEN")
        .and(Credential::api_key_header("X-Key", "K3Y"))
        .and(Credential::api_key_query("apikey", "Q3Y"))
}

const LINK: &str = "https://store.example.net/7.parquet?se=2030-01-01&sig=S1GNATURE";

/// Answers that put secrets wherever a service can put them.
fn nasty() -> Vec<Vec<Canned>> {
    let accepted = || reply(202).header("location", "/v1/tasks/7?apikey=Q3Y&sig=S1GNATURE");
    let finished = || reply(200).json(json!({"Status": "finished", "Result": LINK}));
    vec![
        vec![reply(400).json(json!({"message": format!("see {LINK} with Bearer T0KEN")}))],
        vec![reply(400).body(format!("sig=S1GNATURE at {LINK}"))],
        vec![reply(302).header("location", LINK)],
        vec![reply(202).header("location", "http://u:PA55@store.example.net/7?sig=S1GNATURE")],
        vec![reply(0).lost()],
        vec![accepted(), reply(401)],
        vec![accepted(), reply(403).json(json!({"error": {"code": "X", "message": LINK}}))],
        vec![accepted(), reply(200).json(json!({"Status": "failed", "Error": {"message": format!("at {LINK}")}}))],
        vec![accepted(), reply(307).header("location", "http://evil.example/?sig=S1GNATURE")],
        vec![
            accepted(),
            reply(200).header("retry-after", "sig=S1GNATURE").json(json!({"Status": "started"})),
            reply(410),
        ],
        vec![accepted(), finished(), reply(403).body(format!("<Error>{LINK}</Error>")), finished(), reply(403)],
        vec![accepted(), finished(), reply(200).header("content-length", "9").body("half").cut()],
    ]
}

#[test]
fn no_answer_of_a_service_makes_a_secret_show() {
    for answers in nasty() {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(
            async {
                let service = script(answers);
                let client = service.client().profile(Profile::smag_task()).credential(credential()).build().unwrap();
                check_debug(&client);
                let task = client.task().post("exports?apikey=Q3Y").header("X-Key", "K3Y").submit::<Value>().await;
                check_debug(&client.task().post("exports?sig=S1GNATURE").header("Authorization", "T0KEN"));
                let mut task = match task {
                    Ok(task) => task,
                    Err(error) => return check_error(&error),
                };
                loop {
                    check_debug(&task);
                    check_debug(&task.handle());
                    check(&task.handle().token().to_string());
                    match task.advance().await {
                        Some(Ok(update)) => check_debug(&update),
                        Some(Err(error)) => check_error(&error),
                        None => break,
                    }
                }
                match task.await {
                    Ok(outcome) => {
                        check_debug(&outcome);
                        check_debug(&outcome.download());
                        check_error(&outcome.download().to_memory(100).await.unwrap_err());
                    }
                    Err(error) => check_error(&error),
                }
            },
        );
    }
}

#[test]
fn set_up_shows_no_secret() {
    let builder = Client::builder("https://api.example.com").credential(credential());
    check_debug(&builder);
    check_debug(&builder.clone().build().unwrap());
    check_debug(&credential());
    check_error(&Client::builder("https://u:PA55@api.example.com").build().unwrap_err());
    check_error(&builder.clone().proxy("http://u:PA55@:x").build().unwrap_err());
    check_error(
        &builder
            .credential(Credential::bearer("T0KEN\n"))
            .credential(Credential::bearer("T0K\nEN"))
            .build()
            .unwrap_err(),
    );
    check_debug(&SecretUrl::parse(LINK).unwrap());
    check_debug(&Client::builder("https://api.example.com").build().unwrap().download(LINK));
}

proptest! {
    /// Whatever stands around it, the query of a URL in a service's words does not show.
    #[test]
    fn a_link_in_any_text_is_cut(before in ".{0,40}", after in "[ \\n\"'<>),]{1,3}.{0,40}") {
        let service = script([reply(400).json(json!({"message": format!("{before}{LINK}{after}")}))]);
        let error = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(async { service.client().build().unwrap().task().post("x").submit::<Value>().await.unwrap_err() });
        prop_assert!(!format!("{error} {error:?}").contains("S1GNATURE"), "{error}");
    }
}
