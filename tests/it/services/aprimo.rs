use std::time::Duration;

use futures::future::join_all;
use longhaul::testing::{Aprimo, AprimoBuilder, OrderEnd};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::{Reply, bare, form, send};
use crate::support::HOUR;

struct Bench {
    service: Aprimo,
    http: Client,
    token: String,
}

impl Bench {
    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.service.url().join(path).unwrap()).bearer_auth(&self.token).header("API-VERSION", "1")
    }

    async fn order(&self, body: Value) -> Reply {
        let request = self.http.post(self.service.url().join("api/core/orders").unwrap()).body(body.to_string());
        send(request.bearer_auth(&self.token).header("API-VERSION", "1").header("Accept", "application/hal+json")).await
    }
}

async fn bench(builder: AprimoBuilder) -> Bench {
    let service = builder.start().await.unwrap();
    service.add_client("app", "secret");
    let token = service.log_in("app").expose().to_owned();
    Bench { service, http: bare(), token }
}

fn files(count: usize) -> Value {
    json!({ "type": "download", "targets": vec![json!({ "recordId": "1" }); count] })
}

/// While the requests arrive the queue moves on, on a slow machine by some places.
#[tokio::test]
async fn of_130_requests_at_once_15_start_at_once_and_100_late_and_15_are_refused() {
    let bench = bench(Aprimo::builder()).await;
    let answered = std::sync::Mutex::new(Vec::new());
    let requests = (0..130).map(|_| async {
        let status = send(bench.get("api/core/records")).await.status;
        answered.lock().unwrap().push(status);
    });
    join_all(requests).await;
    let (answered, counts, log) = (answered.into_inner().unwrap(), bench.service.counts(), bench.service.log());
    let spread = log[129].at() - log[0].at();
    let moved_on = usize::try_from(spread.as_micros() * 15 / 1_000_000).unwrap();
    let refused = answered.iter().filter(|&&status| status == 429).count();
    assert!(refused <= 15 && refused + moved_on >= 15, "{refused} are refused, and {moved_on} places got free");
    assert_eq!((counts.requests(), counts.throttled()), (130, refused as u64));
    if moved_on == 0 {
        assert_eq!(counts.held(), 100);
        let log: Vec<_> = log.iter().map(|seen| seen.status().unwrap().as_u16()).collect();
        assert_eq!(log, [vec![200; 115], vec![429; 15]].concat(), "those that came last are refused");
    }
    let last_refusal = answered.iter().rposition(|&status| status == 429).unwrap_or_default();
    assert!(last_refusal < 15 + refused + moved_on, "nobody waits in order to be refused");
}

#[tokio::test]
async fn an_order_names_its_files_at_signed_links_of_another_origin() {
    let bench = bench(Aprimo::builder().order_duration(Duration::ZERO)).await;
    bench.service.end_next(1, OrderEnd::PartiallyFailed);
    let reply = bench.order(files(3)).await;
    assert_eq!((reply.status, reply.header("content-type")), (201, "application/hal+json"));
    let id = &bench.service.orders()[0];
    assert_eq!(reply.header("location"), bench.service.url().join(&format!("api/core/order/{id}")).unwrap().as_str());
    let body = reply.json();
    assert_eq!(
        (&body["id"], &body["status"], &body["failedTargetsCount"]),
        (&json!(id), &json!("PartiallyFailed"), &json!(1))
    );
    let links = body["deliveredFiles"].as_array().unwrap();
    assert_eq!(links.len(), 2);
    for (number, link) in links.iter().enumerate() {
        let link = link.as_str().unwrap();
        assert_eq!(Some(send(bench.http.get(link)).await.text), bench.service.expected(id, number));
        let (unsigned, _) = link.split_once('?').unwrap();
        assert_eq!(send(bench.http.get(unsigned).bearer_auth("x")).await.status, 403);
    }
    let counts = bench.service.counts();
    assert_eq!((counts.downloads(), counts.misplaced_credentials()), (4, 2));
}

#[tokio::test]
async fn a_status_is_spelt_in_every_way() {
    let bench = bench(Aprimo::builder().order_duration(Duration::ZERO)).await;
    bench.service.end_next(1, OrderEnd::Failed);
    let submitted = bench.order(files(1)).await.json();
    let path = format!("api/core/order/{}", submitted["id"].as_str().unwrap());
    let mut words = vec![submitted["status"].clone()];
    for _ in 0..2 {
        words.push(send(bench.get(&path)).await.json()["status"].clone());
    }
    assert_eq!(words, ["Failed", "failed", "FAILED"]);
}

#[tokio::test]
async fn some_orders_are_finished_at_once() {
    let bench = bench(Aprimo::builder().order_duration(HOUR).at_once_every(2)).await;
    let mut asked_to = files(1);
    asked_to["disableProcessing"] = json!("Yes");
    for (body, word) in [(files(1), "Pending"), (files(1), "Success"), (asked_to, "Success")] {
        assert_eq!(bench.order(body).await.json()["status"], word);
    }
}

#[tokio::test]
async fn a_version_and_a_token_are_required() {
    let bench = bench(Aprimo::builder()).await;
    let url = bench.service.url().join("api/core/records").unwrap();
    let no_version = send(bench.http.get(url.clone()).bearer_auth(&bench.token)).await;
    assert_eq!(no_version.status, 400);
    assert!(no_version.json()["exceptionType"].is_string() && no_version.json()["exceptionMessage"].is_string());
    assert_eq!(send(bench.get("api/core/records").header("Accept", "text/html")).await.status, 406);
    assert_eq!(bench.order(json!({ "type": "download" })).await.status, 400);
    bench.service.void_tokens();
    let denied = send(bench.get("api/core/records")).await;
    assert_eq!((denied.status, denied.text.as_str()), (401, "null"));
}

#[tokio::test]
async fn a_token_is_for_the_scope_api_and_for_ten_minutes() {
    let bench = bench(Aprimo::builder()).await;
    let ask = |body: &str| form(bench.http.post(bench.service.token_url()), body.to_owned());
    let whole = "grant_type=client_credentials&client_id=app&client_secret=secret";
    assert_eq!(send(ask(whole)).await.json()["error"], "invalid_scope");
    for request in [
        ask(&format!("{whole}&scope=api")),
        ask("grant_type=client_credentials&scope=api").basic_auth("app", Some("secret")),
    ] {
        let granted = send(request).await;
        assert_eq!((granted.status, &granted.json()["expires_in"]), (200, &json!(600)));
    }
    assert_eq!(bench.service.counts().logins(), 2);
}
