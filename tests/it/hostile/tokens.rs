//! Tokens that somebody edited.

use std::time::SystemTime;

use longhaul::credentials::FileKey;
use longhaul::testing::{reply, script};
use longhaul::{Client, ErrorKind, Protocol, ResumeToken, Task};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{accepted, asked, builder, client, secs};

fn key() -> FileKey {
    FileKey::new([7; 32])
}

/// A task whose token has all that a token can have.
async fn rich(client: &Client, protocol: Option<Protocol>) -> Task<Value> {
    let new = client.task().post("exports?api-version=3").plain_header("X-Tenant", "t7").header("Accept", "text/csv");
    let new = protocol.into_iter().fold(new, longhaul::TaskBuilder::protocol);
    new.idempotency_key("k7").submit().await.unwrap()
}

fn rich_answer() -> longhaul::testing::Canned {
    let body = json!({"id": "j7", "urls": {"cancel": "/v1/stop/7"}});
    reply(202).header("operation-location", "/v1/tasks/7").header("location", "/v1/results/7").json(body)
}

/// The text with a member changed.
fn edited(text: &str, at: &str, value: impl Into<Value>) -> String {
    let mut token: Value = serde_json::from_str(text).unwrap();
    put(&mut token, at, value.into());
    token.to_string()
}

fn put(token: &mut Value, at: &str, value: Value) {
    let (parent, name) = at.rsplit_once('/').unwrap();
    match token.pointer_mut(parent) {
        Some(Value::Object(members)) => drop(members.insert(name.to_owned(), value)),
        Some(Value::Array(items)) => {
            if let Some(item) = name.parse().ok().and_then(|at: usize| items.get_mut(at)) {
                *item = value;
            }
        }
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_sealed_token_refuses_any_edit() {
    let service = script([accepted()]);
    let task = client(&service).task().post("exports").submit::<Value>().await.unwrap();
    let text = task.token().seal(&key()).unwrap();
    assert!(!text.contains("tasks") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    ResumeToken::open_sealed(&text, &key()).unwrap();
    for at in 0..text.len() {
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut edited = text.clone();
        edited.replace_range(at..=at, other);
        let error = ResumeToken::open_sealed(&edited, &key()).map(drop);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidToken, "at {at}");
    }
    for (text, why) in [
        (text[..text.len() / 8 * 4].to_owned(), "changed"),
        (String::new(), "cut"),
        (format!("{text}AAAA"), "changed"),
        (task.token().to_string(), "not sealed"),
        ("a token".to_owned(), "not the text of a sealed token"),
    ] {
        let error = ResumeToken::open_sealed(&text, &key()).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidToken && error.to_string().contains(why), "{why}: {error}");
    }
    let other = ResumeToken::open_sealed(&text, &FileKey::new([8; 32])).unwrap_err();
    assert!(other.to_string().contains("another key"), "{other}");
}

#[tokio::test(start_paused = true)]
async fn a_sealed_token_keeps_all_that_a_plain_one_leaves_out() {
    let service = script([
        reply(202).header("operation-location", "https://status.example.net/7"),
        reply(200).json(json!({"word": "FINE"})),
    ]);
    let client = client(&service);
    let protocol =
        Protocol::auto().state(longhaul::protocols::Source::pointer("/word")).word("fine", longhaul::State::Succeeded);
    let new =
        client.task().protocol(protocol).post("exports").header("X-Other", "o7").secret_header("X-Mine", "hunter2");
    let task = new.submit::<Value>().await.unwrap();
    let text = task.token().seal(&key()).unwrap();
    let token = ResumeToken::open_sealed(&text, &key()).unwrap();
    let again = token.seal(&key()).unwrap();
    assert_ne!(text, again, "each seal is another text");
    let resumed = client.resume::<Value>(ResumeToken::open_sealed(&again, &key()).unwrap()).unwrap();
    assert!(!resumed.token().to_string().contains("o7"), "in plain text it is left out still");
    resumed.await.unwrap();
    assert_eq!(asked(&service)[1], ("GET https://status.example.net/7".to_owned(), false));

    let service = script([accepted(), reply(200)]);
    let client = super::client(&service);
    let new = client.task().post("exports").header("X-Other", "o7").secret_header("X-Mine", "hunter2");
    let text = new.submit::<Value>().await.unwrap().token().seal(&key()).unwrap();
    client.resume::<Value>(ResumeToken::open_sealed(&text, &key()).unwrap()).unwrap().await.unwrap();
    let seen = service.requests();
    assert_eq!((seen[1].header("x-other"), seen[1].header("x-mine")), (Some("o7"), None));
}

#[tokio::test(start_paused = true)]
async fn a_protocol_in_plain_text_is_used_only_if_passed_again() {
    let protocol = || Protocol::auto().named("jobs").status_template("jobs/{id}");
    let done = reply(200).json(json!({"status": "succeeded", "result": 1}));
    let service = script([reply(202).json(json!({"id": "7"})), done]);
    let client = client(&service);
    let text = rich(&client, Some(protocol())).await.token().to_string();
    let poll = edited(&text, "/given/poll", "DELETE users/me");
    for text in [&text, &poll, &edited(&text, "/given/cancel", "POST users/me {\"admin\": true}")] {
        let error = client.resume::<Value>(text.parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidToken);
        assert!(error.to_string().contains("resume_with"), "{error}");
    }
    client.resume_with::<Value>(poll.parse().unwrap(), protocol()).unwrap().await.unwrap();
    assert_eq!(asked(&service)[1].0, "GET https://api.example.com/v1/jobs/7", "by the protocol that was passed");
    let other = client.resume_with::<Value>(text.parse().unwrap(), Protocol::auto()).unwrap_err();
    assert!(other.kind() == ErrorKind::InvalidToken && other.to_string().contains("`jobs`"), "{other}");
    // A protocol that an edit brings in is no better.
    let service = script([accepted()]);
    let plain = super::client(&service).task().post("x").submit::<Value>().await.unwrap().token().to_string();
    let given = serde_json::to_value(protocol().poll("DELETE users/me".parse().unwrap())).unwrap();
    let error = client.resume::<Value>(edited(&plain, "/given", given).parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("resume_with"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_url_in_plain_text_must_be_of_a_trusted_origin() {
    let service = script([rich_answer()]);
    let client = client(&service);
    let text = rich(&client, None).await.token().to_string();
    for (at, place) in [
        ("/cursor/status_url", "its status URL"),
        ("/cursor/last_location", "its last Location"),
        ("/cursor/following", "the URL that is followed"),
        ("/cursor/request_url", "the URL of its submit"),
        ("/cursor/extra/cancel_url", "its URL for a cancel"),
    ] {
        for url in [
            "https://evil.example/x",
            "http://api.example.com/x",
            "https://api.example.com:8443/x",
            "https://me@api.example.com/x",
            "https://api.example.com.evil.example/x",
            "file:///etc/passwd",
            "no URL",
        ] {
            let error = client.resume::<Value>(edited(&text, at, url).parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidToken, "{at} {url}");
            assert!(error.to_string().contains(place), "{at} {url}: {error}");
        }
        let own = edited(&text, at, "https://api.example.com/v1/other");
        drop(client.resume::<Value>(own.parse().unwrap()).unwrap());
        let allowed = builder(&service).allow_origin("https://eu.example.com").build().unwrap();
        drop(allowed.resume::<Value>(edited(&text, at, "https://eu.example.com/x").parse().unwrap()).unwrap());
    }
    let long = edited(&text, "/cursor/status_url", format!("https://api.example.com/{}", "x".repeat(20_000)));
    assert!(client.resume::<Value>(long.parse().unwrap()).unwrap_err().to_string().contains("longer"));
    let base = client.resume::<Value>(edited(&text, "/base", "https://evil.example/").parse().unwrap()).unwrap_err();
    assert!(base.to_string().contains("evil.example"), "{base}");
}

#[tokio::test(start_paused = true)]
async fn headers_in_plain_text_that_frame_or_route_are_dropped() {
    let service = script([rich_answer(), reply(200).json(json!({"status": "succeeded", "result": 1}))]);
    let client = client(&service);
    let text = rich(&client, None).await.token().to_string();
    let headers = json!([
        ["host", "evil.example"],
        ["Content-Length", "3"],
        ["transfer-encoding", "chunked"],
        ["connection", "close"],
        ["proxy-authorization", "x"],
        ["expect", "100-continue"],
        ["x-forwarded-host", "evil.example"],
        ["forwarded", "host=evil.example"],
        ["x-http-method-override", "DELETE"],
        ["x-original-url", "/admin"],
        ["authorization", "Bearer 0THER"],
        ["x-tenant", "t7"],
        ["accept", "text/csv"],
    ]);
    let token: ResumeToken = edited(&text, "/headers", headers).parse().unwrap();
    client.resume::<Value>(token).unwrap().await.unwrap();
    let seen = &service.requests()[1];
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "proxy-authorization",
        "expect",
        "x-forwarded-host",
        "forwarded",
        "x-http-method-override",
        "x-original-url",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("authorization"), Some("Bearer T0KEN"), "the client's own");
    assert_eq!((seen.header("x-tenant"), seen.header("accept")), (Some("t7"), Some("text/csv")));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_never_left_the_process_is_taken_as_it_is() {
    let service = script([
        reply(202).header("operation-location", "https://status.example.net/7"),
        reply(200).json(json!({"status": "succeeded", "result": 1})),
    ]);
    let client = client(&service);
    let task = rich(&client, Some(Protocol::auto().named("mine"))).await;
    client.resume::<Value>(task.token()).unwrap().await.unwrap();
    assert_eq!(asked(&service)[1].0, "GET https://status.example.net/7");
}

// What a plain token holds.

#[tokio::test(start_paused = true)]
async fn a_plain_token_holds_no_header_that_nobody_named_as_plain() {
    let secrets = [
        ("dpop", "S3CRET-1"),
        ("x-jwt-assertion", "S3CRET-2"),
        ("x-csrf", "S3CRET-3"),
        ("x-functions-code", "S3CRET-4"),
        ("x-custom", "Bearer S3CRET-5"),
        ("x-gateway", "S3CRET-6"),
        ("x-amz-security-token", "S3CRET-7"),
        ("cookie", "a=S3CRET-8"),
        ("prefer", "Bearer S3CRET-9"),
    ];
    let service = script([accepted(), reply(200)]);
    let new = secrets.iter().fold(client(&service).task().post("x"), |new, (name, value)| new.header(*name, *value));
    let new = new.plain_header("x-tenant", "t7").header("x-request-id", "r7").header("accept", "text/csv");
    let task = new.submit::<Value>().await.unwrap();
    let text = task.token().to_string();
    assert!(!text.contains("S3CRET"), "{text}");
    assert!(["t7", "r7", "text/csv"].iter().all(|plain| text.contains(plain)), "{text}");
    task.await.unwrap();
    assert!(service.requests()[1].header("x-gateway").is_some(), "the task itself has them");
    // A resumed one hands on what it has.
    let service = script([reply(200)]);
    let resumed = client(&service).resume::<Value>(text.parse().unwrap()).unwrap();
    assert_eq!(resumed.token().to_string(), text);
    resumed.await.unwrap();
    assert_eq!(service.requests()[0].header("x-tenant"), Some("t7"));
}

#[tokio::test(start_paused = true)]
async fn a_plain_token_holds_no_secret_of_a_query() {
    for name in
        ["auth_token", "client_secret", "subscription_key", "sid", "sas", "jwt", "authToken", "X-Api-Key", "otp"]
    {
        let service = script([reply(202).header("location", format!("/v1/tasks/7?{name}=S3CRET").as_str())]);
        let client = client(&service);
        let task = client.task().post("exports").query([(name, "S3CRET"), ("api-version", "3")]).submit::<Value>();
        let task = task.await.unwrap();
        let text = task.token().to_string();
        assert!(!text.contains("S3CRET"), "{name}: {text}");
        assert!(text.contains("api-version=3"), "{name}: the rest of the submit's query stays: {text}");
        assert!(!task.token().can_resume(), "{name}");
        assert!(task.handle().token_with_signed_urls().to_string().contains("S3CRET"), "{name}");
    }
    for query in ["q=Bearer%20S3CRET", "q=eyJhbGciOi.eyJzdWIi.S3CRET"] {
        let service = script([reply(202).header("location", format!("/v1/tasks/7?{query}").as_str())]);
        let task = client(&service).task().post("exports").submit::<Value>().await.unwrap();
        assert!(!task.token().to_string().contains("S3CRET"), "{query}");
    }
    for query in ["api-version=3", "page_token=p7", "statusCode=1", "job=7", "partition_key=x"] {
        let service = script([reply(202).header("location", format!("/v1/tasks/7?{query}").as_str())]);
        let task = client(&service).task().post("exports").submit::<Value>().await.unwrap();
        assert!(task.token().can_resume() && task.token().to_string().contains(query), "{query}");
    }
}

// Any edit at all.

const PLACES: [&str; 24] = [
    "/base",
    "/protocol",
    "/kind",
    "/given",
    "/version",
    "/not_before",
    "/headers",
    "/headers/0/0",
    "/headers/0/1",
    "/cursor/phase",
    "/cursor/kind",
    "/cursor/method",
    "/cursor/id",
    "/cursor/status_url",
    "/cursor/request_url",
    "/cursor/last_location",
    "/cursor/following",
    "/cursor/submitted",
    "/cursor/firing",
    "/cursor/extra",
    "/cursor/extra/cancel_url",
    "/cursor/extra/query",
    "/cursor/extra/cookies",
    "/cursor/extra/bare",
];

fn hostile() -> impl Strategy<Value = Value> {
    let texts = [
        "https://evil.example/x",
        "https://api.example.com/v1/users/me",
        "http://api.example.com/x",
        "//evil.example",
        "../../x",
        "host",
        "content-length",
        "evil\r\nhost: x",
        "poll",
        "result",
        "moved",
        "start",
        "submit",
        "monitor",
        "bare",
        "DELETE",
        "auto",
        "",
    ];
    prop_oneof![
        proptest::sample::select(texts.to_vec()).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([["host", "evil.example"], ["transfer-encoding", "chunked"]])),
        Just(json!([["a", "b"]])),
        Just(json!([{"name": "a", "value": "b", "origin": "https://evil.example", "path": "/"}])),
        Just(json!({"cancel_url": "https://evil.example/x", "query": [["admin", "1"]]})),
        Just(serde_json::to_value(Protocol::auto().poll("DELETE https://evil.example/x".parse().unwrap())).unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_edit_of_a_plain_token_sends_a_request_elsewhere(
        edits in proptest::collection::vec((proptest::sample::select(PLACES.to_vec()), hostile()), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let service = script([rich_answer()]);
            let client = client(&service);
            let mut token: Value = serde_json::from_str(&rich(&client, None).await.token().to_string()).unwrap();
            for (at, value) in edits {
                put(&mut token, at, value);
            }
            let Ok(token) = token.to_string().parse::<ResumeToken>() else { return };
            let Ok(mut task) = client.resume::<Value>(token) else { return };
            (0..6).for_each(|_| service.then(reply(200).json(json!({"status": "running"}))));
            for _ in 0..3 {
                let _ = tokio::time::timeout(secs(100_000), task.advance()).await;
            }
            let _ = task.handle().cancel().await;
            for seen in &service.requests()[1..] {
                assert_eq!(seen.url().origin().ascii_serialization(), "https://api.example.com");
                for name in ["host", "content-length", "transfer-encoding", "connection"] {
                    assert_eq!(seen.header(name), None, "{name}");
                }
            }
        });
    }
}

#[test]
fn a_token_of_another_clock_waits_a_day_at_most() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let service = script([accepted(), reply(200)]);
        let client = client(&service);
        let text = client.task().post("x").submit::<Value>().await.unwrap().token().to_string();
        let far = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() * 1000;
        let token = edited(&text, "/not_before", u64::try_from(far).unwrap());
        client.resume::<Value>(token.parse().unwrap()).unwrap().await.unwrap();
        assert!(service.gaps()[0] <= secs(24 * 60 * 60), "{:?}", service.gaps());
    });
}
