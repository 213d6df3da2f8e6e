//! Templates that are filled with what a service names its task.

use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode};
use longhaul::http::Reply;
use longhaul::protocols::{Cursor, Exchange, Next, PageRule, Source};
use longhaul::testing::{reply, script};
use longhaul::{ErrorKind, Protocol};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{asked, client};

const HOSTILE: [&str; 14] = [
    "../../users/me",
    "//evil.example/x",
    "/../x",
    "https://evil.example/x",
    "https:evil.example",
    "..",
    ".",
    "a/../../../users",
    "%2e%2e/%2e%2e/users",
    "\\\\evil.example\\x",
    "?admin=1",
    "#x",
    "a/./../b",
    "javascript:alert(1)",
];

fn exchange(text: &str) -> Exchange {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hostile_name_picks_no_other_target() {
    let protocol = Protocol::auto()
        .id(Source::pointer("/name"))
        .status_template("{+id}")
        .start("ready", exchange("PUT {+id}/start"))
        .cancel(exchange("POST {+id}:cancel {}"))
        .cleanup(exchange("DELETE {+id}"))
        .pages(PageRule::new("{+id}/rows", Source::pointer("/rows/*")).next(Next::url(Source::pointer("/next"))));
    for name in HOSTILE {
        let service = script([
            reply(202).json(json!({"name": name})),
            reply(200).json(json!({"name": name, "status": "ready"})),
            reply(200),
            reply(200).json(json!({"status": "running"})),
            reply(200),
            reply(200).json(json!({"status": "succeeded"})),
            reply(200).json(json!({"rows": []})),
            reply(200),
        ]);
        let client = client(&service);
        let submitted = client.task().protocol(protocol.clone()).post("jobs").submit::<Value>().await;
        if name.starts_with("https://") {
            assert_eq!(submitted.unwrap_err().kind(), ErrorKind::NoStatusUrl, "{name}");
            assert_eq!(service.requests().len(), 1, "{name}");
            continue;
        }
        let mut task = submitted.unwrap();
        for _ in 0..3 {
            task.advance().await.unwrap().unwrap();
        }
        task.handle().cancel().await.unwrap();
        let outcome = task.await.unwrap();
        let rows: Vec<Value> = futures::TryStreamExt::try_collect(outcome.pages()).await.unwrap();
        assert!(rows.is_empty());
        outcome.cleanup().await.unwrap();
        let seen = service.requests();
        assert_eq!(seen.len(), 8, "{name}: {:?}", asked(&service));
        for seen in &seen {
            assert_eq!(seen.url().host_str(), Some("api.example.com"), "{name}: {}", seen.url());
            assert!(seen.url().path().starts_with("/v1/"), "{name}: {}", seen.url());
            assert!(seen.url().query().is_none() && seen.url().fragment().is_none(), "{name}: {}", seen.url());
        }
        assert!(seen[4].url().path().ends_with(":cancel"), "{name}: {}", seen[4].url());
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_bent_is_a_warning() {
    for (name, warns) in [("../x", true), ("//h/x", true), ("a/./b", true), ("operations/7", false), ("a..b", false)] {
        let service =
            script([reply(202).json(json!({"name": name})), reply(200).json(json!({"name": name, "done": true}))]);
        let protocol = Protocol::google_operations();
        let task = client(&service).task().protocol(protocol).post("jobs").submit::<Value>().await.unwrap();
        let warning = task.last_update().warning().map(str::to_owned);
        assert_eq!(warning.as_ref().is_some_and(|warning| warning.contains(name)), warns, "{name}: {warning:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_names_that_services_give_are_asked_for_below_the_base() {
    for (name, path) in [
        ("operations/7", "/v1/operations/7"),
        ("projects/x/operations/7", "/v1/projects/x/operations/7"),
        ("/operations/7", "/v1/operations/7"),
        ("operations/rwo 7", "/v1/operations/rwo%207"),
    ] {
        let service = script([
            reply(200).json(json!({"name": name})),
            reply(200),
            reply(200).json(json!({"name": name, "done": true, "response": 7})),
        ]);
        let protocol = Protocol::google_operations();
        let task = client(&service).task().protocol(protocol).post("jobs").submit::<Value>().await.unwrap();
        task.handle().cancel().await.unwrap();
        assert_eq!(task.await.unwrap().value().unwrap(), json!(7));
        let seen = service.requests();
        assert_eq!((seen[1].url().path(), seen[2].url().path()), (&*format!("{path}:cancel"), path), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_template_of_the_callers_may_lead_anywhere() {
    for (template, url) in [
        ("/v2/tasks/{id}", "https://api.example.com/v2/tasks/7"),
        ("../tasks/{id}", "https://api.example.com/tasks/7"),
        ("tasks?id={id}", "https://api.example.com/v1/tasks?id=7"),
        ("https://status.example.com/{id}", "https://status.example.com/7"),
        ("op:{id}", "https://api.example.com/v1/op:7"),
    ] {
        let service = script([reply(202).json(json!({"id": "7"})), reply(200).json(json!({"status": "succeeded"}))]);
        let protocol = Protocol::auto().status_template(template);
        client(&service).task().protocol(protocol).post("jobs").submit::<Value>().await.unwrap().await.unwrap();
        assert_eq!(service.requests()[1].url().as_str(), url);
    }
}

proptest! {
    #[test]
    fn no_name_leads_out_of_its_template(
        name in prop_oneof![any::<String>(), r"[./\\:%2eE@?#a\t]{0,12}", r"(//|/|\.\./|%2e%2e/|https://|a){0,5}[a-z.]{0,5}"],
        at in 0..5_usize,
    ) {
        let (template, root) = [
            ("{+id}", "https://a.example/v1/"),
            ("jobs/{id}", "https://a.example/v1/jobs/"),
            ("jobs/{id}/x", "https://a.example/v1/jobs/"),
            ("/v2/{+id}/status", "https://a.example/v2/"),
            ("jobs?id={id}", "https://a.example/v1/jobs?id="),
        ][at];
        let url: url::Url = "https://a.example/v1/exports".parse().unwrap();
        let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
        let body = json!({"name": name}).to_string();
        let accepted = Reply::new(StatusCode::ACCEPTED, url, HeaderMap::new(), body);
        let protocol = Protocol::auto().id(Source::pointer("/name")).status_template(template);
        let _ = protocol.read(&mut cursor, &accepted, SystemTime::UNIX_EPOCH);
        if let Some(url) = cursor.status_url() {
            prop_assert!(url.expose().starts_with(root), "{name:?} at {template}: {}", url.expose());
        }
    }
}
