//! How much a service, a file or a setting can make the client hold, and for how long.

use futures::TryStreamExt;
use longhaul::limits::Learned;
use longhaul::protocols::{Next, PageRule, Source};
use longhaul::testing::{reply, script};
use longhaul::{Client, ErrorKind, Protocol, Throttle};
use serde_json::{Value, json};

use super::{accepted, client};

#[tokio::test(start_paused = true)]
async fn cookies_beyond_their_bounds_go_back_to_nobody() {
    let cookie = |name: &str, length: usize| format!("{name}={}; Path=/", "x".repeat(length));
    let mut answer = accepted().header("set-cookie", &cookie("small", 7)).header("set-cookie", &cookie("large", 5000));
    for at in 0..10 {
        answer = answer.header("set-cookie", &cookie(&format!("c{at}"), 4000));
    }
    let service = script([answer, reply(200)]);
    let task = client(&service).task().with_cookies().post("x").submit::<Value>().await.unwrap();
    assert!(task.token().to_string().len() < 20_000);
    task.await.unwrap();
    let sent = service.requests()[1].header("cookie").unwrap().to_owned();
    assert!(sent.contains("small=xxxxxxx") && sent.contains("c0=") && !sent.contains("large"), "{sent:.80}");
    assert!(sent.len() < 16 * 1024 + 200, "{}", sent.len());
}

#[tokio::test(start_paused = true)]
async fn an_etag_beyond_its_bound_is_left_out_with_a_warning() {
    for (length, sent) in [(1000, true), (1100, false)] {
        let etag = format!("\"{}\"", "e".repeat(length));
        let running = || reply(200).header("etag", &etag).json(json!({"status": "running"}));
        let service = script([reply(202).header("operation-location", "/v1/t"), running(), running()]);
        let protocol = Protocol::auto().conditional();
        let mut task = client(&service).task().protocol(protocol).post("x").submit::<Value>().await.unwrap();
        task.advance().await.unwrap().unwrap();
        let update = task.advance().await.unwrap().unwrap();
        task.advance().await.unwrap().unwrap();
        assert_eq!(update.warning().is_some_and(|warning| warning.contains("ETag")), !sent, "{:?}", update.warning());
        assert_eq!(service.requests()[2].header("if-none-match").is_some(), sent, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_url_beyond_its_bound_is_no_url() {
    for (length, kind) in [(15_000, None), (17_000, Some(ErrorKind::NoStatusUrl))] {
        let service = script([reply(202).header("location", &format!("/v1/{}", "x".repeat(length))), reply(200)]);
        let submitted = client(&service).task().post("x").submit::<Value>().await;
        match (submitted, kind) {
            (Ok(task), None) => drop(task.await.unwrap()),
            (Err(error), Some(kind)) => {
                assert_eq!(error.kind(), kind);
                assert!(
                    error.to_string().contains("location") && error.to_string().contains("17004 bytes"),
                    "{error:.200}"
                );
            }
            (other, _) => panic!("{length}: {other:?}"),
        }
    }
    let link = format!("https://store.example.net/{}", "x".repeat(17_000));
    let service = script([
        reply(202).header("operation-location", "/v1/t"),
        reply(200).json(json!({"status": "succeeded", "file": link})),
    ]);
    let protocol = Protocol::auto().result(Source::pointer("/file"), longhaul::protocols::ResultKind::Link);
    let task = client(&service).task().protocol(protocol).post("x").submit::<Value>().await.unwrap();
    let error = task.await.unwrap_err();
    assert!(error.kind() == ErrorKind::ResultUnavailable && error.to_string().contains("bytes long"), "{error:.200}");
    let path = "x".repeat(17_000);
    let error = client(&service).request(http::Method::GET, path).send().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Request && error.to_string().contains("bytes long"), "{error:.200}");
}

#[tokio::test(start_paused = true)]
async fn pages_without_rows_lead_on_for_a_while_and_not_for_ever() {
    let rule = PageRule::new("rows", Source::pointer("/rows/*")).next(Next::cursor(Source::pointer("/next"), "cursor"));
    let protocol = Protocol::auto().pages(rule);
    for (empty, rows) in [(900, Some(2)), (5_000, None)] {
        let page = |at: u32, rows: Value| reply(200).json(json!({"rows": rows, "next": at.to_string()}));
        let pages = [page(1, json!([1]))].into_iter().chain((2..empty).map(|at| page(at, json!([]))));
        let start = [accepted(), reply(200).json(json!({"status": "succeeded"}))];
        let service = script(start.into_iter().chain(pages).chain([reply(200).json(json!({"rows": [2]}))]));
        let task = client(&service).task().protocol(protocol.clone()).post("x").submit::<Value>().await.unwrap();
        let read: Result<Vec<u32>, _> = task.await.unwrap().pages::<u32>().try_collect().await;
        match (read, rows) {
            (Ok(read), Some(rows)) => assert_eq!(read.len(), rows),
            (Err(error), None) => assert!(error.to_string().contains("1000 pages in a row"), "{error}"),
            (other, _) => panic!("{empty}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_of_many_small_maps_is_not_read() {
    let heavy = format!("[{}]", vec![r#"{"":0}"#; 149_000].join(","));
    let service = script([
        reply(202).header("operation-location", "/v1/t"),
        reply(200).body(format!("{{\"status\":\"succeeded\",\"x\":{heavy}}}")),
        reply(200).json(json!({"status": "succeeded", "result": 7})),
    ]);
    let mut task = client(&service).task().post("x").submit::<Value>().await.unwrap();
    task.advance().await.unwrap().unwrap();
    let update = task.advance().await.unwrap().unwrap();
    let warning = update.warning().unwrap_or_default().to_owned();
    assert!(!update.state().is_terminal() && warning.contains("larger"), "{:?}: {warning}", update.state());
    assert_eq!(task.await.unwrap().value().unwrap(), json!(7));

    let service = script([accepted(), reply(200).body(heavy.clone())]);
    let task = client(&service).task().post("x").submit::<Value>().await.unwrap();
    let outcome = task.await.unwrap();
    let bytes = outcome.download().to_memory(2 << 20).await.unwrap();
    assert!(bytes == heavy.as_bytes(), "{} bytes", bytes.len());
    assert_eq!(service.requests().len(), 2, "the answer that came is what is downloaded");
}

#[test]
fn a_reader_without_a_client_does_not_read_them_either() {
    let url: url::Url = "https://api.example.com/v1/t".parse().unwrap();
    let heavy = format!("[{}]", vec![r#"{"":0}"#; 149_000].join(","));
    for (body, done) in
        [(format!("{{\"status\":\"succeeded\",\"x\":{heavy}}}"), false), (r#"{"status":"succeeded"}"#.into(), true)]
    {
        let now = std::time::SystemTime::UNIX_EPOCH;
        let mut cursor = longhaul::protocols::Cursor::new(http::Method::POST, &url, now);
        let answer = |status: u16, header: Option<&str>, body: String| {
            let headers = header.map(|value| ("operation-location".parse().unwrap(), value.parse().unwrap()));
            let status = http::StatusCode::from_u16(status).unwrap();
            longhaul::http::Reply::new(status, url.clone(), headers.into_iter().collect(), body)
        };
        let protocol = Protocol::auto();
        let _ = protocol.read(&mut cursor, &answer(202, Some("/v1/t"), String::new()), now);
        match protocol.read(&mut cursor, &answer(200, None, body), now) {
            longhaul::protocols::Step::Wait(report) => {
                assert!(!done && report.warning().is_some_and(|why| why.contains("small objects")), "{report:?}");
            }
            longhaul::protocols::Step::Done(..) => assert!(done),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_learned_limit_that_cannot_have_been_found_is_not_taken_on() {
    let origin = "https://api.example.com";
    for (count, seconds, taken) in [
        (4, json!(1), 1),
        (4, json!(86_400), 1),
        (4, json!(1e300), 0),
        (4, json!(86_401), 0),
        (0, json!(1), 0),
        (4, json!(0), 0),
    ] {
        let entry = json!({"origin": origin, "account": "", "count": count, "seconds": seconds});
        let learned: Learned = serde_json::from_value(json!([entry])).unwrap();
        let throttle = Throttle::new();
        throttle.recall(&learned);
        assert_eq!(throttle.learned().limits().count(), taken, "{count} {seconds}");
    }
    for wrong in [json!(-1), json!("x")] {
        let entry = json!({"origin": origin, "account": "", "count": 4, "seconds": wrong});
        assert!(serde_json::from_value::<Learned>(json!([entry])).is_err(), "{wrong}");
    }
    let many: Vec<Value> =
        (0..5_000).map(|at| json!({"origin": origin, "account": at.to_string(), "count": 1, "seconds": 1})).collect();
    let throttle = Throttle::new();
    throttle.recall(&serde_json::from_value(Value::from(many)).unwrap());
    assert_eq!(throttle.learned().limits().count(), 1024);
}

#[test]
fn accounts_that_nobody_has_any_more_are_given_up() {
    let throttle = Throttle::new();
    let base = "https://api.example.com/".parse().unwrap();
    let kept = throttle.account(&base, "kept");
    kept.add_limit(longhaul::Limit::per_second(1)).unwrap();
    let counters = || {
        let shown = format!("{throttle:?}");
        let counters = shown.split("counters: ").nth(1).and_then(|rest| rest.split(',').next().map(str::to_owned));
        counters.unwrap().trim().parse::<usize>().unwrap()
    };
    for at in 0..5_000 {
        let account = throttle.account(&base, &at.to_string());
        account.add_limit(longhaul::Limit::per_second(1)).unwrap();
        drop(account.try_acquire(longhaul::limits::Priority::Call, &longhaul::limits::RequestKey::new()));
    }
    assert!(counters() < 2_000, "{}", counters());
    assert_eq!(kept.limits().len(), 1, "an account that somebody has keeps its limits");
}

#[test]
fn an_allowed_origin_is_named_in_full() {
    let built = |base: &str, origin: &str| Client::builder(base).allow_origin(origin).build().map(drop);
    for (origin, why) in [
        ("*", "`*`"),
        ("https://*.example.com", "`*`"),
        ("https://eu.example.com/v1", "path"),
        ("https://eu.example.com/?a", "query"),
        ("https://eu.example.com/#a", "fragment"),
        ("https://me@eu.example.com", "user"),
        ("https://me:pw@eu.example.com", "user"),
        ("http://eu.example.com", "plain http"),
        ("ftp://eu.example.com", "neither http nor https"),
        ("eu.example.com", "has no scheme"),
        ("", "no URL"),
    ] {
        let error = built("https://api.example.com", origin).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{origin}");
        assert!(error.to_string().contains(why) && !error.to_string().contains("pw"), "{origin}: {error}");
    }
    for (base, origin) in [
        ("https://api.example.com", "https://eu.example.com"),
        ("https://api.example.com", " https://eu.example.com:8443/ "),
        ("http://127.0.0.1:80", "http://127.0.0.1:81"),
    ] {
        built(base, origin).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_of_another_id_is_a_warning() {
    for (accepted, status, warns) in [
        (json!({"id": "a"}), json!({"id": "b", "status": "running"}), true),
        (json!({"jobId": "a"}), json!({"jobId": "b", "status": "running"}), true),
        (json!({"jobId": "a"}), json!({"id": "x", "jobId": "a", "status": "running"}), false),
        (json!({"id": "a"}), json!({"id": "a", "status": "running"}), false),
        (json!({"id": "7"}), json!({"id": "/subscriptions/s/operations/7", "status": "running"}), false),
        (json!({"id": "a"}), json!({"status": "running"}), false),
        (json!({}), json!({"id": "b", "status": "running"}), false),
    ] {
        let service = script([
            reply(202).header("operation-location", "/v1/t").json(accepted.clone()),
            reply(200).json(status.clone()),
        ]);
        let mut task = client(&service).task().post("x").submit::<Value>().await.unwrap();
        task.advance().await.unwrap().unwrap();
        let update = task.advance().await.unwrap().unwrap();
        let warned = update.warning().is_some_and(|warning| warning.contains("the status has the id"));
        assert_eq!(warned, warns, "{accepted} {status}: {:?}", update.warning());
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_many_small_maps_is_an_error_below_a_larger_limit() {
    let rule = || PageRule::rows(Source::pointer("/*"));
    let heavy = format!("[{}]", vec![r#"{"":0}"#; 149_000].join(","));
    let service = script([reply(200).header("content-type", "application/json").body(heavy)]);
    let pages = client(&service).pages::<Value>(http::Method::GET, "rows", rule());
    let error = pages.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains("small objects") && error.to_string().contains("smaller pages"), "{error}");
    assert_eq!(service.requests().len(), 1, "it is not asked for again");

    // Rows of two short members are read up to the limit, whatever that is.
    let rows = format!("[{}]", vec![r#"{"id":71234,"v":0.25}"#; 150_000].join(","));
    let service = script([reply(200).header("content-type", "application/json").body(rows)]);
    let client = super::builder(&service).body_limit(4 << 20).build().unwrap();
    let rows: Vec<Value> = client.pages(http::Method::GET, "rows", rule()).try_collect().await.unwrap();
    assert_eq!(rows.len(), 150_000);
}
