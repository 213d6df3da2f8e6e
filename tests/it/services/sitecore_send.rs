use std::time::{Duration, SystemTime};

use longhaul::testing::{SitecoreSend, SitecoreSendBuilder};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use super::{Reply, bare, send};
use crate::support::HOUR;

struct Bench {
    service: SitecoreSend,
    http: Client,
}

impl Bench {
    fn call(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        let url = format!("{}/{path}.json?apikey={key}", self.service.url());
        self.http.request(method, url).body("{}")
    }

    async fn code(&self, method: Method, path: &str) -> u64 {
        let reply = send(self.call(method, path, "key")).await;
        assert_eq!(reply.status, 200);
        reply.json()["Code"].as_u64().unwrap()
    }
}

async fn bench(builder: SitecoreSendBuilder) -> Bench {
    let service = builder.start().await.unwrap();
    service.add_key("key");
    service.add_key("another");
    Bench { service, http: bare() }
}

#[tokio::test]
async fn each_route_has_its_own_window_whatever_it_names() {
    let bench = bench(SitecoreSend::builder()).await;
    let routes = [
        (Method::GET, "campaigns/*/stats/opens", 2),
        (Method::POST, "subscribers/*/subscribe", 10),
        (Method::POST, "subscribers/*/subscribe_many", 2),
        (Method::POST, "subscribers/unsubscribe", 20),
        (Method::POST, "subscribers/*/unsubscribe", 20),
        (Method::POST, "subscribers/*/c/unsubscribe", 20),
        (Method::DELETE, "subscribers/*/delete", 40),
        (Method::DELETE, "subscribers/*/delete_many", 8),
        (Method::POST, "campaigns/transactional/send", 6),
    ];
    for (method, path, limit) in routes {
        for number in 0..limit {
            assert_eq!(bench.code(method.clone(), &path.replace('*', &number.to_string())).await, 0, "{path}");
        }
        assert_eq!(bench.code(method.clone(), path).await, 429, "{path}");
        let of_another_key = send(bench.call(method, path, "another")).await;
        assert_eq!(of_another_key.json()["Code"], 0, "{path}");
    }
    for _ in 0..50 {
        assert_eq!(bench.code(Method::GET, "lists").await, 0);
    }
    assert_eq!(bench.service.counts().throttled(), 9);
}

fn window(reply: &Reply) -> (jiff::Timestamp, jiff::Timestamp) {
    let moment = |name| {
        let parsed = jiff::civil::DateTime::strptime("%m/%d/%Y %H:%M:%S", reply.header(name)).unwrap();
        parsed.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
    };
    (moment("x-ratelimit-firstcall"), moment("x-ratelimit-expires"))
}

#[tokio::test]
async fn a_refusal_states_its_window_by_the_clock_of_the_service() {
    let margin = jiff::SignedDuration::from_mins(1);
    for (builder, is_ahead) in
        [(SitecoreSend::builder().clock_ahead(HOUR), true), (SitecoreSend::builder().clock_behind(HOUR), false)]
    {
        let bench = bench(builder).await;
        bench.service.throttle_next(1);
        let refused = send(bench.call(Method::POST, "subscribers/1/subscribe", "key")).await;
        assert_eq!(refused.json(), json!({ "Code": 429, "Error": "RATE_LIMITING", "Context": null }));
        let (first, expires) = window(&refused);
        assert_eq!(expires.duration_since(first).as_secs(), 10);
        let shift = first.duration_since(jiff::Timestamp::try_from(SystemTime::now()).unwrap());
        assert!((shift.abs() - jiff::SignedDuration::from_hours(1)).abs() < margin);
        assert_eq!(shift.is_positive(), is_ahead);
        let date = httpdate::parse_http_date(refused.header("date")).unwrap();
        assert!(first.duration_since(jiff::Timestamp::try_from(date).unwrap()).abs() < margin);

        let admitted = send(bench.call(Method::POST, "subscribers/1/subscribe", "key")).await;
        assert_eq!((&admitted.json()["Code"], admitted.header("x-ratelimit-expires")), (&json!(0), ""));
    }
}

#[tokio::test]
async fn a_shrunk_window_opens_again() {
    let bench = bench(SitecoreSend::builder().shrink_windows(1_000)).await;
    for _ in 0..2 {
        for _ in 0..2 {
            assert_eq!(bench.code(Method::POST, "subscribers/1/subscribe_many").await, 0);
        }
        // Longer than the ten milliseconds of the window.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn errors_travel_in_the_envelope() {
    let bench = bench(SitecoreSend::builder()).await;
    let get = |path: &str| bench.http.get(format!("{}/{path}", bench.service.url()));
    for (request, code) in [
        (get("lists.json"), 401),
        (get("lists.json?apikey=wrong"), 401),
        (get("lists.json?apiKey=key"), 0),
        (get("lists?apikey=key"), 404),
        (bench.call(Method::POST, "subscribers/unsubscribe", "key").body("no JSON"), 400),
    ] {
        let reply = send(request).await;
        assert_eq!((reply.status, &reply.json()["Code"]), (200, &json!(code)));
        assert_eq!(reply.json()["Error"].is_null(), code == 0);
    }
}
