//! The simulated service, seen from outside: plain HTTP, nothing of our own client.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use longhaul::testing::{Finish, Seen, Side, Simulator, SimulatorBuilder};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MINUTE: Duration = Duration::from_secs(60);
const KEY: &str = "Ocp-Apim-Subscription-Key";

/// A simulator and a bare client of it.
struct Bench {
    service: Simulator,
    http: Client,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

async fn bench(builder: SimulatorBuilder) -> Bench {
    Bench { service: builder.start().await.unwrap(), http: bare() }
}

fn bare() -> Client {
    let builder = Client::builder().no_proxy().retry(reqwest::retry::never());
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Tasks that are finished as soon as they are submitted.
fn quick() -> SimulatorBuilder {
    Simulator::builder().task_duration(Duration::ZERO)
}

async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

impl Bench {
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, self.service.url().join(path).unwrap())
            .bearer_auth(self.service.bearer())
            .header(KEY, self.service.subscription_key())
    }

    async fn get(&self, path: &str) -> Reply {
        send(self.call(Method::GET, path)).await
    }

    async fn submit(&self, body: Value) -> String {
        let reply = send(self.call(Method::POST, "exports").body(body.to_string())).await;
        assert!(reply.status.is_success(), "{reply:?}");
        reply.json()["TaskUid"].as_str().unwrap().to_owned()
    }

    async fn poll(&self, uid: &str) -> Reply {
        self.get(&format!("tasks/{uid}")).await
    }

    /// A fresh signed link to the result of a finished task.
    async fn link(&self, uid: &str) -> String {
        let reply = self.get(&format!("results/{uid}")).await;
        reply.json()["Result"].as_str().unwrap().to_owned()
    }

    fn fetch(&self, link: &str) -> RequestBuilder {
        self.http.get(link)
    }

    /// What arrives of a body, and whether it is all.
    async fn read(&self, link: &str, from: usize) -> (Vec<u8>, bool) {
        let request = self.fetch(link).header("Range", format!("bytes={from}-"));
        let mut response = request.send().await.unwrap();
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return (bytes, true),
                Err(_) => return (bytes, false),
            }
        }
    }
}

#[tokio::test]
async fn leads_from_a_submit_to_the_bytes_of_its_result() {
    let bench = bench(Simulator::builder().task_duration(Duration::from_millis(400))).await;
    let reply = send(bench.call(Method::POST, "exports").body(r#"{"size":123457}"#)).await;
    assert_eq!(reply.status, 201);
    let uid = bench.service.tasks().remove(0);
    let status_url = bench.service.url().join(&format!("tasks/{uid}")).unwrap();
    assert_eq!(reply.json(), json!({ "TaskUid": uid, "Location": status_url }));
    assert_eq!(reply.header("location"), status_url.as_str());
    assert_eq!(reply.header("retry-after"), "");

    let mut words = Vec::new();
    let mut percents = Vec::new();
    let finished = loop {
        let reply = bench.poll(&uid).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.header("x-correlation-id").is_empty());
        let body = reply.json();
        words.push(body["Status"].as_str().unwrap().to_owned());
        percents.push(body["PercentComplete"].as_u64().unwrap());
        if body["Status"] == "finished" {
            break reply;
        }
        assert_eq!((reply.header("retry-after"), &body["RetryAfter"]), ("0.2", &json!(200)));
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    words.dedup();
    assert_eq!(words, ["accepted", "started", "finished"]);
    assert!(percents.is_sorted(), "{percents:?}");
    assert_eq!(percents.last(), Some(&100));

    let results = bench.service.url().join(&format!("results/{uid}")).unwrap();
    assert_eq!(finished.header("location"), results.as_str());
    assert_eq!(finished.json()["Location"], results.as_str());
    let result = bench.get(results.as_str()).await.json();
    assert_eq!((&result["TaskUid"], &result["Rows"]), (&json!(uid), &json!(1_234)));

    let link = result["Result"].as_str().unwrap();
    assert!(link.starts_with(bench.service.storage_url().as_str()), "{link}");
    let bytes = send(bench.fetch(link)).await.body;
    let content = bench.service.expected(&uid).unwrap();
    assert_eq!(content.len(), 123_457);
    assert!(content.verify(bytes.as_slice()).unwrap());

    let counts = bench.service.counts();
    assert_eq!((counts.submits(), counts.follow_ups(), counts.downloads()), (1, 1, 1));
    assert_eq!(counts.polls(), percents.len() as u64);
    assert_eq!(counts.requests(), 2 + percents.len() as u64);
    assert_eq!(counts.storage_bytes(), 123_457);
    assert_eq!(counts.misplaced_credentials(), 0);
}

#[tokio::test]
async fn finishes_with_the_link_where_it_was_asked_to() {
    let signed = bench(quick().finish(Finish::Signed)).await;
    let reply = signed.poll(&signed.submit(json!({})).await).await;
    let link = reply.header("location");
    assert!(link.contains("/exports/") && link.contains("&sig="), "{link}");
    assert_eq!(reply.json()["Location"], link);
    assert_eq!(send(signed.fetch(link)).await.status, 200);

    let only = bench(quick().finish(Finish::ResultOnly)).await;
    let reply = only.poll(&only.submit(json!({ "format": "csv" })).await).await;
    let body = reply.json();
    assert_eq!((reply.header("location"), &body["Location"]), ("", &Value::Null));
    let link = body["Result"].as_str().unwrap();
    assert!(link.contains(".csv?"), "{link}");
    assert_eq!(send(only.fetch(link)).await.status, 200);
}

#[tokio::test]
async fn answers_a_submit_as_it_was_asked_to() {
    let bench = bench(
        quick().accept_status(202).relative_locations(true).hint_on_submit(true).retry_after(Duration::from_secs(2)),
    )
    .await;
    let reply = send(bench.call(Method::POST, "exports")).await;
    assert_eq!(reply.status, 202);
    let uid = bench.service.tasks().remove(0);
    let path = format!("/farmsandfields/v1/tasks/{uid}");
    assert_eq!((reply.header("location"), reply.header("retry-after")), (path.as_str(), "2"));
    assert_eq!(reply.json()["Location"], path);
    let finished = bench.poll(&uid).await;
    assert_eq!(finished.header("location"), format!("/farmsandfields/v1/results/{uid}"));
    assert!(bench.link(&uid).await.starts_with("http://"));
}

#[tokio::test]
async fn refuses_to_start_with_a_status_that_does_not_fit() {
    for builder in [
        Simulator::builder().accept_status(204),
        Simulator::builder().accept_status(404),
        Simulator::builder().fail_polls(1, 200),
        Simulator::builder().fail_storage(1, 99),
    ] {
        let error = builder.start().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn fails_the_tasks_that_it_should() {
    let bench = bench(quick().fail_every(2)).await;
    let asked = bench.submit(json!({ "fail": "no such farm" })).await;
    let second = bench.submit(json!({})).await;
    let third = bench.submit(json!({})).await;

    let reply = bench.poll(&asked).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["Status"]), (StatusCode::OK, &json!("failed")));
    assert_eq!(body["Error"], json!({ "code": "ExportFailed", "message": "no such farm" }));
    assert_eq!(body["CorrelationId"], reply.header("x-correlation-id"));

    assert_eq!(bench.poll(&second).await.json()["Status"], "failed");
    assert_eq!(bench.poll(&third).await.json()["Status"], "finished");
    assert_eq!(bench.get(&format!("results/{second}")).await.status, 404);
    assert_eq!(bench.service.tasks(), [asked, second, third]);
}

#[tokio::test]
async fn cancels_a_task_that_has_not_ended() {
    let bench = bench(Simulator::builder()).await;
    let running = bench.submit(json!({ "duration_ms": 3_600_000 })).await;
    let ended = bench.submit(json!({ "duration_ms": 0 })).await;
    for (uid, word) in [(running, "canceled"), (ended, "finished")] {
        let reply = send(bench.call(Method::DELETE, &format!("tasks/{uid}"))).await;
        assert_eq!(reply.status, 202);
        assert_eq!(bench.poll(&uid).await.json()["Status"], word);
    }
    assert_eq!(bench.service.counts().cancels(), 2);
}

#[tokio::test]
async fn knows_only_its_own_paths_and_methods() {
    let bench = bench(quick()).await;
    for (method, path, status) in [
        (Method::GET, "tasks/none", 404),
        (Method::DELETE, "tasks/none", 404),
        (Method::GET, "results/none", 404),
        (Method::GET, "fields", 404),
        (Method::GET, "/elsewhere", 404),
        (Method::GET, "exports", 405),
        (Method::POST, "farms", 405),
        (Method::PUT, "tasks/none", 405),
    ] {
        let reply = send(bench.call(method, path)).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.json()["statusCode"], status, "{path}");
        assert!(reply.json()["message"].is_string());
    }
    let broken = send(bench.call(Method::POST, "exports").body("{")).await;
    assert_eq!(broken.status, 400);
    let farms = bench.get("farms").await.json();
    assert_eq!(farms[0]["id"], 1);
    assert!(farms[0]["name"].is_string());
    assert_eq!(bench.service.counts().other_calls(), 6);
}

#[tokio::test]
async fn wants_both_the_token_and_the_key() {
    let bench = bench(Simulator::builder().bearer("token-1").subscription_key("key-1")).await;
    assert_eq!((bench.service.bearer(), bench.service.subscription_key()), ("token-1", "key-1"));
    let url = bench.service.url().join("farms").unwrap();
    let get = || bench.http.get(url.clone());
    for (request, status) in [
        (get(), 401),
        (get().bearer_auth("token-1"), 401),
        (get().header(KEY, "key-1"), 401),
        (get().bearer_auth("token-2").header(KEY, "key-1"), 401),
        (get().bearer_auth("token-1").header(KEY, "key-2"), 401),
        (get().basic_auth("token-1", None::<&str>).header(KEY, "key-1"), 401),
        (get().bearer_auth("token-1").header(KEY, "key-1"), 200),
    ] {
        let reply = send(request).await;
        assert_eq!(reply.status, status);
        if status == 401 {
            assert_eq!(reply.json()["statusCode"], 401);
            assert!(!reply.header("www-authenticate").is_empty());
        }
    }
    assert_eq!(bench.service.counts().unauthorized(), 6);
    assert_eq!(bench.service.counts().other_calls(), 1);
}

#[tokio::test]
async fn lets_everybody_in_when_it_is_open() {
    let service = Simulator::builder().open().start().await.unwrap();
    let reply = send(bare().get(service.url().join("farms").unwrap())).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn refuses_what_is_over_the_limit_and_forgets_it() {
    let window = Duration::from_secs(120);
    let bench = bench(quick().limit(100, Duration::from_secs(1)).limit(3, window)).await;
    let uid = bench.submit(json!({})).await;
    assert_eq!(bench.get("farms").await.status, 200);
    assert_eq!(bench.poll(&uid).await.status, 200);
    for _ in 0..5 {
        let reply = bench.get("farms").await;
        assert_eq!(reply.status, 429);
        let seconds: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=120).contains(&seconds), "{seconds}");
        let message = format!("Rate limit is exceeded. Try again in {seconds} seconds.");
        assert_eq!(reply.json(), json!({ "statusCode": 429, "message": message }));
    }
    let counts = bench.service.counts();
    assert_eq!((counts.throttled(), counts.other_calls(), counts.requests()), (5, 1, 8));
}

#[tokio::test]
async fn a_client_that_waits_as_asked_is_let_in_again() {
    let bench = bench(Simulator::builder().limit(2, Duration::from_millis(1_000))).await;
    let refused = loop {
        let reply = bench.get("farms").await;
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.get("farms").await.status, 200);
}

#[tokio::test]
async fn loses_and_fails_the_first_polls_of_each_task() {
    let wait = Duration::from_millis(1_500);
    let bench = bench(quick().lose_first_polls(1).fail_polls(2, 503).trouble_retry_after(wait)).await;
    for _ in 0..2 {
        let uid = bench.submit(json!({})).await;
        assert_eq!(bench.poll(&uid).await.status, 404);
        for _ in 0..2 {
            let reply = bench.poll(&uid).await;
            assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1.5"));
        }
        assert_eq!(bench.poll(&uid).await.json()["Status"], "finished");
    }
}

#[tokio::test]
async fn notices_polls_that_come_too_early() {
    let wait = Duration::from_millis(60);
    let bench = bench(Simulator::builder().task_duration(Duration::from_secs(60)).retry_after(wait)).await;
    let uid = bench.submit(json!({})).await;
    for _ in 0..3 {
        bench.poll(&uid).await;
        tokio::time::sleep(wait).await;
    }
    assert_eq!(bench.service.counts().early_polls(), 0);

    let hasty = self::bench(Simulator::builder().task_duration(MINUTE).retry_after(MINUTE)).await;
    let one = hasty.submit(json!({})).await;
    let other = hasty.submit(json!({})).await;
    for uid in [&one, &other, &one, &one] {
        hasty.poll(uid).await;
    }
    assert_eq!(hasty.service.counts().early_polls(), 2);
}

#[tokio::test]
async fn takes_at_least_its_latency_and_stays_in_order() {
    let latency = Duration::from_millis(30);
    let bench = bench(Simulator::builder().latency(latency).jitter(latency)).await;
    let start = Instant::now();
    let (one, two) = tokio::join!(bench.get("farms"), bench.get("farms"));
    assert!(start.elapsed() >= latency);
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    assert!(bench.service.log().is_sorted_by_key(Seen::at));
}

#[tokio::test]
async fn signs_every_link_anew() {
    let bench = bench(quick().finish(Finish::Signed)).await;
    let uid = bench.submit(json!({})).await;
    let first = bench.poll(&uid).await.header("location").to_owned();
    let second = bench.poll(&uid).await.header("location").to_owned();
    assert_ne!(first, second);
    assert_eq!(send(bench.fetch(&first)).await.status, 200);

    bench.service.expire_links();
    let refused = send(bench.fetch(&second)).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("<Code>AuthenticationFailed</Code>"));
    assert!(refused.text().contains("not valid in the specified time frame"));
    let fresh = bench.poll(&uid).await.header("location").to_owned();
    assert_eq!(send(bench.fetch(&fresh)).await.status, 200);
}

#[tokio::test]
async fn opens_no_result_without_its_own_unchanged_link() {
    let bench = bench(quick()).await;
    let uid = bench.submit(json!({})).await;
    let other = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    for changed in [
        link.replace(&uid, &other),
        link.replacen("se=2", "se=3", 1),
        link.split_once("&sig=").unwrap().0.to_owned(),
        link.split_once('?').unwrap().0.to_owned(),
        link.replace(".parquet", ".csv"),
    ] {
        assert_ne!(changed, link);
        let reply = send(bench.fetch(&changed)).await;
        assert_eq!(reply.status, 403);
        assert!(reply.text().contains("Signature did not match"), "{}", reply.text());
        assert!(!reply.header("x-ms-version").is_empty());
    }
    let posted = send(bench.http.post(&link)).await;
    assert_eq!((posted.status.as_u16(), posted.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn a_link_lives_no_longer_than_it_should() {
    let bench = bench(quick().link_life(Duration::from_millis(300))).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    assert!(link.contains('.'), "{link}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(send(bench.fetch(&link)).await.status, 403);
}

#[tokio::test]
async fn serves_ranges_and_heads() {
    let bench = bench(quick().result_size(1_000)).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let content = bench.service.expected(&uid).unwrap();
    for (range, content_range, bytes) in [
        ("bytes=0-0", "bytes 0-0/1000", 0..1),
        ("bytes=10-19", "bytes 10-19/1000", 10..20),
        ("bytes=990-", "bytes 990-999/1000", 990..1_000),
        ("bytes=990-5000", "bytes 990-999/1000", 990..1_000),
    ] {
        let reply = send(bench.fetch(&link).header("Range", range)).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-range")), (206, content_range));
        assert_eq!(reply.header("content-length"), (bytes.end - bytes.start).to_string());
        assert_eq!(reply.body, content.bytes(bytes));
    }
    let beyond = send(bench.fetch(&link).header("Range", "bytes=1000-")).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */1000"));

    let whole = send(bench.fetch(&link)).await;
    assert_eq!((whole.status.as_u16(), whole.header("accept-ranges")), (200, "bytes"));
    let head = send(bench.http.head(&link)).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "1000"));
    assert!(head.body.is_empty());
    for name in ["etag", "last-modified", "accept-ranges", "x-ms-version"] {
        assert_eq!(head.header(name), whole.header(name));
        assert!(!head.header(name).is_empty(), "{name}");
    }
    let again = send(bench.http.head(&link)).await;
    assert_eq!(again.status, 200, "the connection is still in step after a HEAD");
}

#[tokio::test]
async fn keeps_to_the_version_that_a_client_asks_for() {
    let bench = bench(quick().result_size(500)).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let before = send(bench.fetch(&link)).await;
    let (tag, date) = (before.header("etag"), before.header("last-modified"));
    let weak = format!("W/{tag}");
    let status = async |name: &str, value: &str| send(bench.fetch(&link).header(name, value)).await.status.as_u16();

    assert_eq!(status("If-Match", tag).await, 200);
    assert_eq!(status("If-Match", &format!("\"x\", {tag}")).await, 200);
    assert_eq!(status("If-Match", "*").await, 200);
    assert_eq!(status("If-Match", &weak).await, 412);
    assert_eq!(status("If-Unmodified-Since", date).await, 200);

    bench.service.replace_results();
    assert_eq!(status("If-Match", tag).await, 412);
    assert_eq!(status("If-Unmodified-Since", date).await, 412);
    let ignored = send(bench.fetch(&link).header("Range", "bytes=0-9").header("If-Range", tag)).await;
    assert_eq!(ignored.status, 206);

    let after = send(bench.fetch(&link)).await;
    assert_eq!(after.body.len(), before.body.len());
    assert_ne!((after.header("etag"), &after.body), (tag, &before.body));
    let content = bench.service.expected(&uid).unwrap();
    assert!(content.verify(after.body.as_slice()).unwrap());
    assert!(!content.verify(before.body.as_slice()).unwrap());
}

#[tokio::test]
async fn cuts_every_body_after_exactly_as_many_bytes() {
    let bench = bench(quick().cut_bodies_every(100_000)).await;
    let uid = bench.submit(json!({ "size": 350_000 })).await;
    let link = bench.link(&uid).await;
    let mut bytes = Vec::new();
    for expected in [(100_000, false), (100_000, false), (100_000, false), (50_000, true)] {
        let (part, complete) = bench.read(&link, bytes.len()).await;
        assert_eq!((part.len(), complete), expected);
        bytes.extend(part);
    }
    let content = bench.service.expected(&uid).unwrap();
    assert!(content.verify(bytes.as_slice()).unwrap());
    assert_eq!(bench.service.counts().storage_bytes(), 350_000);
}

#[tokio::test]
async fn cuts_the_first_bodies_of_each_result() {
    let bench = bench(quick().cut_bodies(2, 0)).await;
    for _ in 0..2 {
        let uid = bench.submit(json!({ "size": 5_000 })).await;
        let link = bench.link(&uid).await;
        for expected in [(0, false), (0, false), (5_000, true), (5_000, true)] {
            let (part, complete) = bench.read(&link, 0).await;
            assert_eq!((part.len(), complete), expected);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_short_enough_uses_up_no_cut() {
    let bench = bench(quick().cut_bodies(1, 3_000)).await;
    let uid = bench.submit(json!({ "size": 5_000 })).await;
    let link = bench.link(&uid).await;
    assert_eq!(bench.read(&link, 2_000).await.0.len(), 3_000);
    let (part, complete) = bench.read(&link, 1_999).await;
    assert_eq!((part.len(), complete), (3_000, false));
    assert!(bench.read(&link, 1_999).await.1);
}

#[tokio::test]
async fn sends_no_faster_than_its_rate() {
    let bench = bench(quick().storage_rate(1_000_000)).await;
    let uid = bench.submit(json!({ "size": 150_000 })).await;
    let link = bench.link(&uid).await;
    let start = Instant::now();
    let bytes = send(bench.fetch(&link)).await.body;
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert!(bench.service.expected(&uid).unwrap().verify(bytes.as_slice()).unwrap());
}

#[tokio::test]
async fn fails_the_first_requests_to_storage() {
    let bench = bench(quick().fail_storage(2, 503).trouble_retry_after(Duration::from_secs(3))).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    for _ in 0..2 {
        let reply = send(bench.fetch(&link)).await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "3"));
        assert!(reply.text().contains("<Error><Code>"));
    }
    assert_eq!(send(bench.fetch(&link)).await.status, 200);
    assert_eq!(bench.service.counts().downloads(), 3);
}

#[tokio::test]
async fn can_be_without_ranges_and_validators() {
    let bench = bench(quick().ignore_ranges(true).no_validators(true).result_size(700)).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let request = bench.fetch(&link).header("Range", "bytes=700-").header("If-Match", "\"x\"");
    let reply = send(request).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 700));
    for name in ["accept-ranges", "etag", "last-modified", "content-range"] {
        assert_eq!(reply.header(name), "", "{name}");
    }
}

#[tokio::test]
async fn serves_the_far_end_of_ten_gigabytes() {
    let bench = bench(quick()).await;
    let size = 10_000_000_000_u64;
    let uid = bench.submit(json!({ "size": size })).await;
    let link = bench.link(&uid).await;
    let range = format!("bytes={}-", size - 1_000);
    let reply = send(bench.fetch(&link).header("Range", range)).await;
    assert_eq!(reply.status, 206);
    let content = bench.service.expected(&uid).unwrap();
    assert_eq!(reply.body, content.bytes(size - 1_000..size));

    let mut response = bench.fetch(&link).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first, content.bytes(0..first.len() as u64));
    drop(response);
    assert!(bench.service.counts().storage_bytes() < size);
}

#[tokio::test]
async fn notices_secrets_that_went_to_the_wrong_origin() {
    let bench = bench(quick()).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let (token, key) = (bench.service.bearer(), bench.service.subscription_key());
    let get = || bench.fetch(&link);
    assert_eq!(send(get().header("X-Fine", "1")).await.status, 200);
    assert_eq!(bench.service.counts().misplaced_credentials(), 0);
    let signed = |path: &str| format!("{path}?sv=1&sig=abc");
    for (count, request) in (1..).zip([
        get().bearer_auth("another"),
        get().header(KEY, "another"),
        get().header("Cookie", "a=b"),
        get().header("Referer", "http://example.com/"),
        get().header("X-Other", format!("<{token}>")),
        get().header("X-Other", format!("<{key}>")),
        bench.fetch(&format!("{link}&key={key}")),
        bench.call(Method::GET, &signed("farms")),
    ]) {
        assert_eq!(send(request).await.status, 200);
        assert_eq!(bench.service.counts().misplaced_credentials(), count);
    }
}

#[tokio::test]
async fn logs_every_request_and_no_secret() {
    let bench = bench(quick()).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    send(bench.fetch(&link)).await;
    let log = bench.service.log();
    let lines: Vec<_> = log
        .iter()
        .map(|seen| (seen.side(), seen.method().as_str(), seen.path(), seen.status().unwrap().as_u16()))
        .collect();
    let results = format!("/farmsandfields/v1/results/{uid}");
    let export = format!("/exports/{uid}.parquet");
    assert_eq!(
        lines,
        [
            (Side::Api, "POST", "/farmsandfields/v1/exports", 201),
            (Side::Api, "GET", results.as_str(), 200),
            (Side::Storage, "GET", export.as_str(), 200),
        ]
    );
    assert!(log.is_sorted_by_key(Seen::at));
    assert!(log[0].header_names().iter().any(|name| name == "authorization"));

    let builder = Simulator::builder().bearer("token-7").subscription_key("key-7");
    let shown = format!("{log:?} {:?} {builder:?} {:?}", bench.service, bench.service.counts());
    for secret in [bench.service.bearer(), bench.service.subscription_key(), "sig=", "token-7", "key-7"] {
        assert!(!shown.contains(secret));
    }
}

#[tokio::test]
async fn a_connection_can_be_used_again_after_a_refusal() {
    let bench = bench(quick()).await;
    let url = bench.service.url();
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    let head = "POST /farmsandfields/v1/exports HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[b' '; 200_000]).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 401");
        let mut rest = Vec::new();
        while !rest.ends_with(b"}") {
            rest.push(stream.read_u8().await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let bench = bench(quick()).await;
    let request = bench.call(Method::POST, "exports").body(vec![b' '; 1024 * 1024 + 1]);
    assert_eq!(send(request).await.status, 413);
    assert!(bench.service.tasks().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_many_at_once_and_admits_exactly_the_limit() {
    let bench = bench(quick().limit(150, Duration::from_secs(600))).await;
    let calls = (0..300).map(|_| bench.get("farms"));
    let replies = futures::future::join_all(calls).await;
    let admitted = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(admitted, 150);
    assert_eq!(bench.service.counts().throttled(), 150);
}

#[tokio::test]
async fn stops_when_it_is_dropped() {
    let Bench { service, http } = bench(Simulator::builder().storage_rate(10)).await;
    let bench = Bench { service, http };
    let uid = bench.submit(json!({ "duration_ms": 0 })).await;
    let link = bench.link(&uid).await;
    let mut body = bench.fetch(&link).send().await.unwrap();
    let ports = [bench.service.url(), bench.service.storage_url()].map(|url| url.port().unwrap());

    drop(bench.service);
    let stopped = tokio::time::timeout(MINUTE / 6, async {
        while let Ok(Some(_)) = body.chunk().await {}
        for port in ports {
            while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    });
    stopped.await.unwrap();
}

#[test]
fn can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Debug + 'static>() {}
    shared::<Simulator>();
    shared::<SimulatorBuilder>();
}
