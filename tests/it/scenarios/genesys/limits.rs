//! Limits: learned from the headers of each answer, apart for each microservice.

use futures::future::join_all;
use http::Method;
use longhaul::limits::Scope;
use longhaul::testing::{Genesys, LimitHeaders, Side, reply, script};
use longhaul::{Client, Limit};
use serde_json::json;

use super::{WINDOW, builder, client, get, open, profile, quick_retries, secrets};
use crate::scenarios::is_long;
use crate::support::{MINUTE, secs};

#[tokio::test]
async fn a_hundred_calls_at_sixty_a_window_are_never_refused_once_the_limit_is_known() {
    let window = if is_long() { MINUTE } else { WINDOW };
    for headers in [LimitHeaders::Inin, LimitHeaders::XRateLimit] {
        let service = Genesys::builder().rate(60).window(window).limit_headers(headers).start().await.unwrap();
        let client = client(&service);
        assert_eq!(get(&client, "users/me").await.unwrap(), 200);
        let calls = join_all((1..100).map(|_| get(&client, "users/me"))).await;
        assert!(calls.iter().all(|call| matches!(call, Ok(200))), "{headers:?}");
        assert_eq!((service.counts().throttled(), service.counts().other_calls()), (0, 100), "{headers:?}");
    }
}

#[tokio::test]
async fn a_limit_that_changes_is_followed_from_the_next_answer_on() {
    let service = Genesys::builder().rate(60).window(WINDOW).start().await.unwrap();
    let client = builder(&service).retry(quick_retries()).build().unwrap();
    for _ in 0..10 {
        get(&client, "users/me").await.unwrap();
    }
    service.set_rate(20);
    get(&client, "users/me").await.unwrap();
    let calls = join_all((0..25).map(|_| get(&client, "users/me"))).await;
    assert!(calls.iter().all(|call| matches!(call, Ok(200))));
    assert_eq!(service.counts().throttled(), 0);
    service.set_rate(180);
    get(&client, "users/me").await.unwrap();
    let calls = join_all((0..100).map(|_| get(&client, "users/me"))).await;
    assert!(calls.iter().all(|call| matches!(call, Ok(200))));
    assert_eq!((service.counts().throttled(), service.counts().other_calls()), (0, 137));
}

#[tokio::test]
async fn without_headers_a_refusal_holds_up_the_rest_and_no_call_is_lost() {
    let service = Genesys::builder().rate(10).window(WINDOW).limit_headers(LimitHeaders::Absent).start().await.unwrap();
    let client = builder(&service).retry(quick_retries()).build().unwrap();
    let mut answered = 0;
    for _ in 0..25 {
        answered += u16::from(get(&client, "users/me").await.unwrap() == 200);
    }
    assert_eq!(answered, 25);
    let throttled = service.counts().throttled();
    assert!((1..=3).contains(&throttled), "{throttled}");
}

/// A client whose profile knows that the analytics have a limit of their own.
fn aware(service: &Genesys) -> Client {
    let analytics = Limit::per_minute(300).scope(Scope::route("analytics/**")).named("analytics");
    builder(service).profile(profile(service).limit(analytics)).secrets(secrets(service)).build().unwrap()
}

#[tokio::test]
async fn a_full_limit_of_one_microservice_holds_up_no_call_elsewhere() {
    for is_aware in [true, false] {
        let service = Genesys::builder().prefix_rate("/api/v2/analytics/", 2).start().await.unwrap();
        let client = if is_aware { aware(&service) } else { client(&service) };
        let query = || async {
            let request = client.post("analytics/conversations/details/query").json(&json!({}));
            request.send().await.map(|answer| answer.status().as_u16())
        };
        assert_eq!((query().await.unwrap(), query().await.unwrap()), (200, 200));
        // The third waits for the minute to end, with or without having been refused.
        let third = tokio::spawn({
            let client = client.clone();
            async move { client.post("analytics/conversations/details/query").json(&json!({})).send().await }
        });
        for _ in 0..5 {
            assert_eq!(get(&client, "users/me").await.unwrap(), 200, "aware: {is_aware}");
            let created = client.post("outbound/contactlists/1/contacts").json(&json!([])).send().await.unwrap();
            assert_eq!(created.status(), 200);
        }
        assert!(!third.is_finished(), "aware: {is_aware}");
        third.abort();
        let throttled = service.counts().throttled();
        assert!(throttled <= 1, "aware: {is_aware}, {throttled}");
    }
}

#[tokio::test]
async fn each_token_has_a_limit_of_its_own() {
    let service = Genesys::builder().rate(3).start().await.unwrap();
    let clients = [client(&service), client(&service)];
    for client in &clients {
        for _ in 0..3 {
            assert_eq!(get(client, "users/me").await.unwrap(), 200);
        }
    }
    assert_eq!((service.counts().throttled(), service.counts().logins()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn scim_has_a_hundred_and_twenty_a_minute() {
    let service = script((0..131).map(|_| reply(200)));
    let client = open(&service).build().unwrap();
    let calls = join_all((0..130).map(|_| get(&client, "scim/v2/users")));
    let (calls, other) = tokio::join!(calls, get(&client, "users/me"));
    assert!(calls.iter().all(|call| matches!(call, Ok(200))) && other.unwrap() == 200);
    let at_once = service.requests().iter().filter(|request| request.at() < secs(60)).count();
    assert_eq!(at_once, 121, "120 of SCIM, and the other call");
}

#[tokio::test]
async fn polls_and_pages_count_towards_the_same_limit_as_submits() {
    let service = Genesys::builder().rate(10).window(WINDOW).rows(12).page_size(2).start().await.unwrap();
    let client = builder(&service).retry(quick_retries()).build().unwrap();
    let jobs = (0..3).map(|_| async {
        let path = "analytics/conversations/details/jobs";
        let outcome = super::submit(&client, "conversation_details", path).await.unwrap().await.unwrap();
        let rows: Vec<serde_json::Value> = futures::TryStreamExt::try_collect(outcome.pages()).await.unwrap();
        rows.len()
    });
    assert_eq!(join_all(jobs).await, [12, 12, 12]);
    let counts = service.counts();
    assert_eq!((counts.submits(), counts.polls(), counts.follow_ups()), (3, 9, 18));
    assert!(counts.throttled() <= 3, "{counts:?}");
    let refused = service.log().into_iter().filter(|seen| seen.side() == Side::Api && *seen.method() == Method::POST);
    assert!(refused.count() >= 3);
}
