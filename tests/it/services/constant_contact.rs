use std::time::Duration;

use longhaul::testing::{ActivityEnd, ConstantContact, ConstantContactBuilder};
use reqwest::{Client, RequestBuilder};
use serde_json::json;

use super::{Reply, bare, form, send};
use crate::support::HOUR;

struct Bench {
    service: ConstantContact,
    http: Client,
    token: String,
}

impl Bench {
    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.service.url())).bearer_auth(&self.token)
    }

    fn post(&self, path: &str, body: impl std::fmt::Display) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.service.url())).bearer_auth(&self.token).body(body.to_string())
    }

    async fn export(&self) -> Reply {
        send(self.post("/activities/contact_exports", json!({ "fields": ["email_address"] }))).await
    }
}

async fn bench(builder: ConstantContactBuilder) -> Bench {
    let service = builder.start().await.unwrap();
    service.add_client("key", "secret");
    let token = service.log_in("key", "farm").expose().to_owned();
    Bench { service, http: bare(), token }
}

/// A service that is never in the way, and whose activities are over at once.
fn quick() -> ConstantContactBuilder {
    ConstantContact::builder().per_second(1_000).activity_duration(Duration::ZERO).token_spacing(Duration::ZERO)
}

#[tokio::test]
async fn an_export_ends_with_a_table_at_a_link_that_is_a_path() {
    let bench = bench(quick().contacts(3)).await;
    let submitted = bench.export().await;
    assert_eq!(submitted.status, 201);
    let id = submitted.json()["activity_id"].as_str().unwrap().to_owned();
    assert_eq!(submitted.json()["_links"]["self"]["href"], format!("/v3/activities/{id}"));

    let polled = send(bench.get(&format!("/activities/{id}"))).await.json();
    assert_eq!((&polled["state"], &polled["percent_done"]), (&json!("completed"), &json!(100)));
    let href = polled["_links"]["results"]["href"].as_str().unwrap();
    let table = send(bench.get(href.strip_prefix("/v3").unwrap())).await;
    assert_eq!((table.status, table.header("content-type")), (200, "text/csv"));
    assert_eq!(Some(&table.text), bench.service.csv(&id).as_ref());
    assert_eq!(table.text.lines().count(), 4);
    let without = bench.http.get(bench.service.url().join(href).unwrap());
    assert_eq!(send(without).await.status, 401);
}

#[tokio::test]
async fn a_running_activity_has_no_result_unless_its_link_comes_early() {
    for early in [false, true] {
        let bench = bench(quick().activity_duration(HOUR).results_early(early)).await;
        let submitted = bench.export().await.json();
        assert_eq!((&submitted["state"], &submitted["percent_done"]), (&json!("initialized"), &json!(0)));
        let href = submitted["_links"]["results"]["href"].as_str();
        assert_eq!(href.is_some(), early);
        if let Some(href) = href {
            assert_eq!(send(bench.get(href.strip_prefix("/v3").unwrap())).await.status, 404);
        }
    }
}

#[tokio::test]
async fn activities_end_as_they_are_told_to() {
    let bench = bench(quick()).await;
    let ends = [ActivityEnd::Cancelled, ActivityEnd::Failed, ActivityEnd::TimedOut];
    for end in ends {
        bench.service.end_next(1, end);
    }
    for word in ["cancelled", "failed", "timed_out", "completed"] {
        let body = bench.export().await.json();
        assert_eq!(body["state"], word);
        assert_eq!(body["_links"].get("results").is_some(), word == "completed");
        assert_eq!(body["activity_errors"].as_array().unwrap().is_empty(), word != "failed");
    }
}

#[tokio::test]
async fn imports_take_json_or_a_form_with_a_file_and_have_no_result() {
    let bench = bench(quick()).await;
    let json_import = json!({ "import_data": [{ "email": "a@b.example" }], "list_ids": ["1"] });
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nemail\na@b.example\n\
                     c@d.example\n\r\n--b\r\nContent-Disposition: form-data; name=\"list_ids\"\r\n\r\n1\r\n--b--\r\n";
    let file = |kind: &str| bench.post("/activities/contacts_file_import", multipart).header("Content-Type", kind);
    for (request, items) in
        [(bench.post("/activities/contacts_json_import", json_import), 1), (file("multipart/form-data; boundary=b"), 2)]
    {
        let reply = send(request).await;
        assert_eq!((reply.status, &reply.json()["status"]["items_total_count"]), (201, &json!(items)));
        assert_eq!(reply.json()["_links"].get("results"), None);
    }
    for request in [
        file("text/csv"),
        bench.post("/activities/contacts_json_import", json!({ "import_data": [] })),
        bench.post("/activities/contact_exports", "no JSON"),
    ] {
        let reply = send(request).await;
        assert_eq!(reply.status, 400);
        assert!(reply.json()[0]["error_key"].is_string() && reply.json()[0]["error_message"].is_string());
    }
    assert_eq!(bench.service.counts().submits(), 5);
}

#[tokio::test]
async fn an_api_key_has_one_limit_for_all_accounts_and_none_for_another_key() {
    let bench = bench(ConstantContact::builder()).await;
    let neighbour = bench.service.log_in("key", "mill").expose().to_owned();
    let stranger = bench.service.log_in("another key", "mill").expose().to_owned();
    let mut statuses = Vec::new();
    for token in [&bench.token, &neighbour, &bench.token, &neighbour, &bench.token, &neighbour, &stranger] {
        let request = bench.http.get(format!("{}/account/summary", bench.service.url()));
        let reply = send(request.bearer_auth(token)).await;
        if reply.status == 429 {
            assert!(reply.json()[0]["error_key"].is_string());
            assert_eq!(reply.header("retry-after"), "");
        }
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429, 200]);
    assert_eq!(bench.service.counts().throttled(), 2);
}

#[tokio::test]
async fn a_day_ends_the_quota_and_an_earlier_gateway_says_so_with_403() {
    let bench = bench(quick().per_day(2).day(HOUR).legacy_refusals(true)).await;
    let mut last = send(bench.get("/activities")).await;
    for status in [200, 403] {
        last = send(bench.get("/activities")).await;
        assert_eq!(last.status, status);
    }
    assert_eq!(last.json()[0]["error_key"], "mashery.not.authorized.over.qps");
}

#[tokio::test]
async fn an_account_has_only_so_many_unfinished_activities() {
    let bench = bench(quick().activity_duration(HOUR).queued_activities(2)).await;
    let statuses = [bench.export().await.status, bench.export().await.status, bench.export().await.status];
    assert_eq!(statuses, [201, 201, 429]);
    let other = bench.service.log_in("key", "mill");
    let request = bench.http.post(format!("{}/activities/contact_exports", bench.service.url())).body("{}");
    assert_eq!(send(request.bearer_auth(other.expose())).await.status, 201);
    let list = send(bench.get("/activities?state=initialized&limit=1")).await.json();
    assert_eq!(list["activities"].as_array().unwrap().len(), 1);
    assert_eq!(send(bench.get("/activities?limit=501")).await.status, 400);
}

#[tokio::test]
async fn the_token_endpoint_takes_one_request_a_second() {
    let bench = bench(quick().token_spacing(HOUR)).await;
    let refresh = bench.service.log_in("key", "farm").expose_refresh().unwrap().to_owned();
    let body = format!("grant_type=refresh_token&refresh_token={refresh}");
    let ask = || form(bench.http.post(bench.service.token_url()).basic_auth("key", Some("secret")), body.clone());
    let first = send(ask()).await;
    assert_eq!((first.status, &first.json()["expires_in"]), (200, &json!(86_400)));
    assert_ne!(first.json()["refresh_token"], refresh);
    assert_eq!(send(ask()).await.status, 429);
    assert_eq!(bench.service.counts().tokens_throttled(), 1);
    let token = first.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(token.split('.').count(), 3);
    assert_eq!(
        send(bench.http.get(format!("{}/activities", bench.service.url())).bearer_auth(&token)).await.status,
        200
    );
    bench.service.void_tokens();
    assert_eq!(send(bench.get("/activities")).await.status, 401);
}
