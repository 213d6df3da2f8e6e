//! Genesys Cloud: its limits and their headers, its errors, its jobs, its login host.

use std::time::Duration;

use longhaul::testing::{Genesys, GenesysBuilder, JobEnd, LimitHeaders};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::{Reply, bare, form, send};
use crate::support::millis;

struct Bench {
    service: Genesys,
    http: Client,
    token: String,
}

impl Bench {
    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.at(path)).bearer_auth(&self.token)
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        send(self.http.post(self.at(path)).bearer_auth(&self.token).body(body.to_string())).await
    }

    fn at(&self, path: &str) -> url::Url {
        self.service.url().join("api/v2/").unwrap().join(path).unwrap()
    }

    async fn read(&self, path: &str) -> Value {
        send(self.get(path)).await.json()
    }
}

async fn bench(builder: GenesysBuilder) -> Bench {
    let service = builder.start().await.unwrap();
    let token = service.log_in().expose().to_owned();
    Bench { service, http: bare(), token }
}

#[tokio::test]
async fn states_the_limit_in_each_answer_and_refuses_with_its_error_body() {
    let bench = bench(Genesys::builder().rate(2)).await;
    let first = send(bench.get("users/me")).await;
    let stated = |reply: &Reply, name: &str| reply.header(&format!("inin-ratelimit-{name}")).to_owned();
    assert_eq!((stated(&first, "count"), stated(&first, "allowed")), ("1".to_owned(), "2".to_owned()));
    let reset: u64 = stated(&first, "reset").parse().unwrap();
    assert!((50..=60).contains(&reset), "{reset}");
    assert_eq!(send(bench.get("users")).await.status, 200);
    let refused = send(bench.get("users/me")).await;
    assert_eq!((refused.status, stated(&refused, "count")), (429, "3".to_owned()));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    let body = refused.json();
    assert_eq!((&body["code"], &body["status"]), (&json!("too.many.requests.retry.after"), &json!(429)));
    assert_eq!(body["limit"], json!({ "key": "token.rate.per.minute", "value": "2" }));
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with("Rate limit exceeded the maximum [2] requests within [60] seconds"), "{message}");
    assert!(message.ends_with(&format!("Retry the request in [{wait}] seconds")), "{message}");
    assert!(!body["contextId"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn speaks_the_other_dialect_or_none_and_can_leave_out_the_wait() {
    let bench = bench(Genesys::builder().rate(1).limit_headers(LimitHeaders::XRateLimit).retry_after(false)).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let first = send(bench.get("users/me")).await;
    assert_eq!((first.header("x-rate-limit-limit"), first.header("x-rate-limit-remaining")), ("1", "0"));
    let reset: u64 = first.header("x-rate-limit-reset").parse().unwrap();
    assert!((now + 50..=now + 90).contains(&reset), "{reset} at {now}");
    assert!(first.header("inin-ratelimit-count").is_empty());
    let refused = send(bench.get("users/me")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, ""));

    let silent = super::genesys::bench(Genesys::builder().limit_headers(LimitHeaders::Absent)).await;
    let answer = send(silent.get("users/me")).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().contains("limit")));
}

#[tokio::test]
async fn counts_a_prefix_apart_and_opens_each_window_anew() {
    let bench = bench(Genesys::builder().rate(2).prefix_rate("/api/v2/analytics/", 1).window(millis(1_500))).await;
    let query = || bench.post("analytics/conversations/details/query", json!({}));
    assert_eq!([query().await.status, query().await.status], [200, 429]);
    assert_eq!(send(bench.get("users/me")).await.status, 200);
    assert_eq!(send(bench.get("scim/v2/users")).await.header("inin-ratelimit-allowed"), "120");
    tokio::time::sleep(millis(1_500)).await;
    assert_eq!(query().await.status, 200);
    bench.service.set_prefix_rate("/api/v2/analytics/", 2);
    assert_eq!(query().await.status, 200);
    bench.service.set_rate(0);
    assert_eq!(send(bench.get("users/me")).await.status, 429);
}

#[tokio::test]
async fn requires_a_token_of_its_own_which_ends_alone_or_with_its_session() {
    let bench = bench(Genesys::builder()).await;
    for request in [bench.http.get(bench.at("users/me")), bench.http.get(bench.at("users/me")).bearer_auth("other")] {
        let reply = send(request).await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!("bad.credentials")));
    }
    let token = bench.service.log_in();
    let revoke = send(bench.http.delete(bench.at("tokens/me")).bearer_auth(token.expose())).await;
    assert_eq!(revoke.status, 200);
    let call = send(bench.http.get(bench.at("users/me")).bearer_auth(token.expose())).await;
    assert_eq!(call.status, 401);
    let refresh = |token: &longhaul::credentials::Token| {
        let body = format!("grant_type=refresh_token&refresh_token={}", token.expose_refresh().unwrap());
        let request = bench.http.post(bench.service.token_url());
        send(form(request.basic_auth(bench.service.client_id(), Some(bench.service.client_secret())), body))
    };
    let next = refresh(&token).await;
    assert_eq!((next.status, &next.json()["expires_in"]), (200, &json!(86_400)));
    assert_eq!(refresh(&token).await.status, 400, "valid once");

    let token = bench.service.log_in();
    let session = bench.service.login_url().join("oauth/sessions/me").unwrap();
    assert_eq!(send(bench.http.delete(session.clone()).bearer_auth(token.expose())).await.status, 200);
    assert_eq!(refresh(&token).await.status, 400);
    assert_eq!(send(bench.http.delete(session).bearer_auth(token.expose())).await.status, 401);
}

#[tokio::test]
async fn leads_through_pages_by_its_cursors_alone() {
    let bench = bench(Genesys::builder().rows(3).page_size(2).busy_polls(1)).await;
    let id = bench.post("analytics/conversations/details/jobs", json!({})).await.json()["jobId"].clone();
    let job = format!("analytics/conversations/details/jobs/{}", id.as_str().unwrap());
    assert_eq!(send(bench.get(&format!("{job}/results"))).await.status, 400, "not complete");
    assert_eq!(
        (&bench.read(&job).await["state"], &bench.read(&job).await["state"]),
        (&json!("QUEUED"), &json!("FULFILLED"))
    );
    let first = bench.read(&format!("{job}/results?pageSize=9")).await;
    assert_eq!(first["conversations"].as_array().unwrap().len(), 2);
    let last = bench.read(&format!("{job}/results?cursor={}", first["cursor"].as_str().unwrap())).await;
    assert_eq!((last["conversations"].as_array().unwrap().len(), last.get("cursor")), (1, None));
    assert_eq!(send(bench.get(&format!("{job}/results?cursor=2"))).await.status, 400);
    assert_eq!(send(bench.get("audits/query/none")).await.status, 404);
    assert_eq!(bench.post("audits/query", json!([])).await.status, 400);
}

#[tokio::test]
async fn starts_recordings_only_when_they_are_ready_and_two_at_a_time() {
    let bench = bench(Genesys::builder().busy_polls(1)).await;
    let id = bench.post("recording/jobs", json!({})).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("recording/jobs/{id}");
    let start = |state: &str| {
        send(bench.http.put(bench.at(&path)).bearer_auth(&bench.token).body(json!({ "state": state }).to_string()))
    };
    assert_eq!(start("PROCESSING").await.status, 400);
    assert_eq!(
        (&bench.read(&path).await["state"], &bench.read(&path).await["state"]),
        (&json!("PENDING"), &json!("READY"))
    );
    assert_eq!(start("FULFILLED").await.status, 400);
    assert_eq!(start("PROCESSING").await.json()["state"], "PROCESSING");
    assert_eq!(start("PROCESSING").await.status, 400);
    assert_eq!(bench.post("recording/jobs", json!({})).await.status, 202);
    let third = bench.post("recording/jobs", json!({})).await;
    assert_eq!((third.status, &third.json()["limit"]["key"]), (429, &json!("recording.jobs.concurrent")));
    assert_eq!(
        (&bench.read(&path).await["state"], &bench.read(&path).await["state"]),
        (&json!("PROCESSING"), &json!("FULFILLED"))
    );
    assert_eq!(bench.post("recording/jobs", json!({})).await.status, 202);
}

#[tokio::test]
async fn finds_the_recordings_of_a_batch_one_after_the_other() {
    let bench = bench(Genesys::builder().busy_polls(2).file_size(100).link_life(Duration::from_secs(60))).await;
    bench.service.lose_recording("b", "gone");
    let list = ["a", "b"].map(|id| json!({ "recordingId": id }));
    let id =
        bench.post("recording/batchrequests", json!({ "batchDownloadRequestList": list })).await.json()["id"].clone();
    let path = format!("recording/batchrequests/{}", id.as_str().unwrap());
    let mut found = Vec::new();
    let mut last = Value::Null;
    for _ in 0..3 {
        last = bench.read(&path).await;
        found.push((last["resultCount"].as_u64().unwrap(), last["errorCount"].as_u64().unwrap()));
    }
    assert_eq!(found, [(0, 0), (1, 0), (2, 1)]);
    assert_eq!(last["results"][1], json!({ "recordingId": "b", "errorMsg": "gone" }));
    let link = last["results"][0]["resultUrl"].as_str().unwrap();
    let file = send(bench.http.get(link)).await;
    assert_eq!((file.status, file.text.as_bytes()), (200, bench.service.file("a").as_slice()));
    let forged = link.replacen("/a?", "/b?", 1);
    assert_eq!(send(bench.http.get(forged)).await.status, 403);
    bench.service.expire_links();
    assert_eq!(send(bench.http.get(link)).await.status, 403);
    assert_eq!(bench.service.counts().misplaced_credentials(), 0);
    send(bench.http.get(link).bearer_auth(&bench.token)).await;
    assert_eq!(bench.service.counts().misplaced_credentials(), 1);
}

#[tokio::test]
async fn counts_the_progress_of_an_export_in_two_ways() {
    for (fraction, percents) in [(false, [0.0, 50.0, 100.0]), (true, [0.0, 0.5, 1.0])] {
        let bench = bench(Genesys::builder().percentage_as_fraction(fraction)).await;
        bench.service.end_next_job(JobEnd::Partial);
        let id = bench.post("analytics/reporting/exports", json!({})).await.json()["id"].clone();
        let path = format!("analytics/reporting/exports/{}", id.as_str().unwrap());
        let mut seen = Vec::new();
        let mut last = Value::Null;
        for _ in 0..3 {
            last = bench.read(&path).await;
            seen.push(last["percentageComplete"].as_f64().unwrap());
        }
        assert_eq!((seen.as_slice(), &last["status"]), (percents.as_slice(), &json!("COMPLETED_WITH_PARTIAL_RESULTS")));
        let listed = bench.read("analytics/reporting/exports").await;
        assert_eq!((&listed["total"], &listed["entities"][0]["id"]), (&json!(1), &id));
        let download = send(bench.http.get(last["downloadUrl"].as_str().unwrap()).bearer_auth(&bench.token)).await;
        assert_eq!(download.status, 303);
        assert!(download.header("location").starts_with(bench.service.storage_url().as_str()));
    }
}

#[tokio::test]
async fn fails_as_often_as_it_is_told() {
    let bench = bench(Genesys::builder()).await;
    bench.service.fail_next(2, 503, Some(Duration::from_millis(1_200)));
    bench.service.fail_next(1, 403, None);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let reply = send(bench.get("users/me")).await;
        seen.push((reply.status, reply.header("retry-after").to_owned()));
    }
    let expected = [(503, "2"), (503, "2"), (403, ""), (200, "")].map(|(status, wait)| (status, wait.to_owned()));
    assert_eq!(seen, expected);
}
