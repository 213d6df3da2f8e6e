//! Sitecore Send: a window for each route, and refusals inside a 200.

use std::time::Duration;

use futures::future::{FutureExt, join_all};
use futures::stream::StreamExt;
use http::Method;
use longhaul::credentials::Secrets;
use longhaul::testing::{SitecoreSend, SitecoreSendBuilder, reply, script};
use longhaul::{Client, ClientBuilder, Error, ErrorKind, Profile};
use serde_json::{Value, json};

use super::{is_long, shrunk};
use crate::support::callsites::listen;
use crate::support::log::Log;
use crate::support::{millis, shown};

const KEY: &str = "5f2b-a-key-that-nobody-may-see";

async fn start(builder: SitecoreSendBuilder) -> SitecoreSend {
    let service = builder.start().await.unwrap();
    service.add_key(KEY);
    service
}

fn client(service: &SitecoreSend, profile: Profile) -> ClientBuilder {
    Client::builder(service.url()).profile(profile).secrets(Secrets::new().set("api_key", KEY)).no_proxy()
}

async fn call(client: &Client, method: Method, path: &str) -> Result<Value, Error> {
    client.request(method, path).json(&json!({})).send().await?.json().await
}

/// Each route with the number of requests of one window.
const ROUTES: [(Method, &str, usize); 3] = [
    (Method::POST, "subscribers/1/subscribe_many.json", 2),
    (Method::POST, "subscribers/1/subscribe.json", 10),
    (Method::POST, "subscribers/1/unsubscribe.json", 20),
];

#[tokio::test]
async fn each_route_fills_its_window_and_one_more_request_waits_for_the_next() {
    let factor = if is_long() { 1 } else { 5 };
    let service = start(SitecoreSend::builder().shrink_windows(factor)).await;
    let client = client(&service, shrunk(&Profile::sitecore_send(), factor)).build().unwrap();
    let calls = ROUTES.iter().flat_map(|(method, path, count)| {
        (0..=*count).map(|_| call(&client, method.clone(), path)).collect::<Vec<_>>()
    });
    let calls = join_all(calls).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    assert_eq!((service.counts().requests(), service.counts().throttled()), (35, 0));
    let log = service.log();
    let (first, later) = log.split_at(32);
    for (_, path, count) in ROUTES {
        let of_route = |log: &[longhaul::testing::Seen]| log.iter().filter(|seen| seen.path().ends_with(path)).count();
        assert_eq!((of_route(first), of_route(later)), (count, 1), "{path}");
    }
}

/// The documented limits, all of them, each with one request more than its window admits.
#[tokio::test]
async fn every_documented_route_is_limited() {
    let factor = if is_long() { 1 } else { 40 };
    let service = start(SitecoreSend::builder().shrink_windows(factor)).await;
    let client = client(&service, shrunk(&Profile::sitecore_send(), factor)).build().unwrap();
    let routes = [
        (Method::GET, "campaigns/7/stats/opens.json", 2),
        (Method::POST, "subscribers/1/subscribe.json", 10),
        (Method::POST, "subscribers/1/subscribe_many.json", 2),
        (Method::POST, "subscribers/unsubscribe.json", 20),
        (Method::POST, "subscribers/1/unsubscribe.json", 20),
        (Method::POST, "subscribers/1/7/unsubscribe.json", 20),
        (Method::DELETE, "subscribers/1/delete.json", 40),
        (Method::DELETE, "subscribers/1/delete_many.json", 8),
        (Method::POST, "campaigns/transactional/send.json", 6),
    ];
    let calls = routes.iter().flat_map(|(method, path, count)| {
        (0..=*count).map(|_| call(&client, method.clone(), path)).collect::<Vec<_>>()
    });
    let calls = join_all(calls).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!((service.counts().requests(), service.counts().throttled()), (137, 0));
}

#[tokio::test]
async fn a_refusal_inside_a_200_is_retried() {
    for round_down in [false, true] {
        let builder =
            SitecoreSend::builder().shrink_windows(20).round_down(round_down).clock_ahead(Duration::from_secs(86_400));
        let service = start(builder).await;
        let client = client(&service, Profile::sitecore_send()).build().unwrap();
        service.throttle_next(2);
        call(&client, Method::POST, "subscribers/1/subscribe.json").await.unwrap();
        assert_eq!((service.counts().requests(), service.counts().throttled()), (3, 2));
        assert_eq!(client.stats().throttled(), 2);
    }
}

/// On a paused clock: after the end of the window, 50 milliseconds later for each attempt, and five times at most.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_retried_after_its_window_and_five_times_at_most() {
    let refused = || {
        reply(200)
            .header("date", "Wed, 10 Jul 2024 14:12:42 GMT")
            .header("x-ratelimit-firstcall", "07/10/2024 14:12:42")
            .header("x-ratelimit-expires", "07/10/2024 14:12:52")
            .json(json!({ "Code": 429, "Error": "RATE_LIMITING", "Context": null }))
    };
    let service = script((0..7).map(|_| refused()));
    // Not the script's own client, which brings its own retries.
    let client = Client::builder("https://api.example.com/v1/").http(service.clone()).profile(Profile::sitecore_send());
    let client = client.build().unwrap();
    let error = call(&client, Method::POST, "subscribers/1/subscribe.json").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), service.left()), (ErrorKind::Throttled, 6, 1));
    let waits: Vec<_> = (1..=5).map(|attempt| millis(10_000 + 50 * attempt)).collect();
    assert_eq!(service.gaps(), waits);
}

#[tokio::test]
async fn an_error_inside_a_200_is_an_error() {
    let service = start(SitecoreSend::builder()).await;
    let client = client(&service, Profile::sitecore_send()).build().unwrap();
    let error = call(&client, Method::POST, "subscribers/1/nothing.json").await.unwrap_err();
    assert_eq!((error.kind(), service.counts().requests()), (ErrorKind::Rejected, 1));
    assert!(error.to_string().contains("NOT_FOUND"), "{error}");
}

#[tokio::test]
async fn the_api_key_is_in_no_error_no_debug_and_no_event() {
    let log = Log::default();
    let _guard = listen(&log);
    let service = start(SitecoreSend::builder().shrink_windows(1_000)).await;
    let client = client(&service, Profile::sitecore_send()).build().unwrap();
    let mut events = client.events();
    service.throttle_next(1);
    call(&client, Method::POST, "subscribers/1/subscribe.json").await.unwrap();
    let not_found = call(&client, Method::GET, "nothing.json").await.unwrap_err();

    let wrong_key = Secrets::new().set("api_key", "another-secret-key");
    let wrong = Client::builder(service.url()).profile(Profile::sitecore_send()).secrets(wrong_key).no_proxy();
    let denied = call(&wrong.build().unwrap(), Method::GET, "lists.json").await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Unauthorized);

    // Nobody listens there.
    let dead = Client::builder("http://127.0.0.1:1/v3").profile(Profile::sitecore_send());
    let dead = dead.secrets(Secrets::new().set("api_key", KEY)).no_proxy().build().unwrap();
    let unreachable = dead.get("lists.json").timeout(millis(200)).send().await.unwrap_err();

    let mut said = format!("{client:?} {service:?} {:?} {:?}", service.log(), client.stats());
    for error in [&not_found, &denied, &unreachable] {
        said += &shown(error);
    }
    let mut heard = 0;
    while let Some(Some(event)) = events.next().now_or_never() {
        said += &format!("{event:?} {event}");
        heard += 1;
    }
    said += &log.text();
    assert!(heard > 0 && log.text().contains("subscribe.json"));
    for secret in [KEY, "another-secret-key"] {
        assert!(!said.contains(secret), "{said}");
    }
}
