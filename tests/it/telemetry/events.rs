use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use longhaul::limits::{Priority, RequestKey};
use longhaul::telemetry::{Alerts, RefusalCause, RetryReason};
use longhaul::{Credential, Event, Limit, OAuth};

use super::*;

/// What is there already.
fn told(events: &mut (impl futures::Stream<Item = Event> + Unpin)) -> Vec<Event> {
    // Without tokio's budget, which ends after 128.
    std::iter::from_fn(|| tokio::task::unconstrained(events.next()).now_or_never().flatten()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_told_with_its_reason_and_pause() {
    let service = script([reply(502), ok()]);
    let client = service.client().retry(RetryPolicy::standard()).alerts(Alerts::none()).build().unwrap();
    let mut events = client.events();
    ask(&client, "farms/1?key=S3CRET").await;
    let [Event::Retrying { request, reason, attempts, pause }] = &told(&mut events)[..] else { panic!() };
    assert_eq!(
        (&**request, *reason, *attempts),
        ("GET https://api.example.com/v1/farms/1?…", RetryReason::Transient, 1)
    );
    assert!(service.gaps()[0] - *pause < millis(1), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_than_the_threshold_is_slow() {
    let service = script([ok().after(secs(10)), ok().after(millis(10_001)), reply(0).silent()]);
    let client = plain(&service).build().unwrap();
    let mut events = client.events();
    for _ in 0..3 {
        ask(&client, "farms").await;
    }
    let request: Arc<str> = "GET https://api.example.com/v1/farms".into();
    let slow = |took| Event::Slow { request: request.clone(), took };
    assert_eq!(told(&mut events), [slow(millis(10_001)), slow(secs(60))]);
    assert_eq!(client.stats().slow(), 2);

    let service = script([ok().after(millis(101))]);
    let client = plain(&service).slow_after(millis(100)).build().unwrap();
    let mut events = client.events();
    ask(&client, "farms").await;
    assert_eq!(told(&mut events), [slow(millis(101))]);
}

#[tokio::test(start_paused = true)]
async fn a_nearly_used_limit_is_told_once_and_again_after_two_minutes() {
    let service = empty();
    let client = plain(&service).limit(Limit::per_minute(10)).alerts(Alerts::none()).build().unwrap();
    let mut events = client.events();
    let rounds = async |count: usize| {
        for _ in 0..count {
            answers(&client, &service, [ok()]).await;
            tokio::time::advance(secs(1)).await;
        }
    };
    rounds(7).await;
    assert_eq!(told(&mut events), []);
    rounds(1).await;
    let near =
        |used| Event::NearLimit { limit: "10 per 60s of the account".into(), used, of: Some(10), left: 10 - used };
    assert_eq!(told(&mut events), [near(8)]);
    rounds(2).await;
    assert_eq!(told(&mut events), []);
    tokio::time::advance(secs(55)).await;
    rounds(10).await;
    assert_eq!(told(&mut events), [], "its rest was shorter");
    tokio::time::advance(secs(140)).await;
    rounds(7).await;
    assert_eq!(told(&mut events), []);
    rounds(1).await;
    assert_eq!(told(&mut events), [near(8)]);
}

#[tokio::test(start_paused = true)]
async fn fewer_than_ten_that_are_left_of_a_stated_budget_are_told() {
    let left = |left: &str| ok().header("x-ratelimit-remaining", left).header("x-ratelimit-reset", "300");
    let service = script([left("10"), left("9"), ok()]);
    let client = plain(&service).alerts(Alerts::none()).build().unwrap();
    let mut events = client.events();
    for _ in 0..3 {
        ask(&client, "farms").await;
        tokio::time::advance(secs(1)).await;
    }
    let near: Vec<_> = told(&mut events).into_iter().filter(|event| matches!(event, Event::NearLimit { .. })).collect();
    assert_eq!(near.len(), 1, "{near:?}");
    assert!(matches!(&near[0], Event::NearLimit { of: None, left: 9, .. }), "{near:?}");
}

#[tokio::test(start_paused = true)]
async fn the_stream_has_the_throttles_events_and_ends_with_the_client() {
    let service = script([ok()]);
    let client = plain(&service).limit(Limit::per_second(1)).build().unwrap();
    let events = client.events();
    client.throttle().acquire(Priority::Call, &RequestKey::new()).await.unwrap().answered();
    ask(&client, "farms").await;
    drop(client);
    let events: Vec<_> = events.collect().await;
    assert!(matches!(events[..], [Event::Waiting { .. }, Event::Granted { .. }]), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_loses_the_oldest_and_is_told_how_many() {
    let service = script((0..1100).map(|_| ok().after(millis(2))));
    let client = plain(&service).slow_after(millis(1)).build().unwrap();
    let mut events = client.events();
    for _ in 0..1100 {
        ask(&client, "farms").await;
    }
    let told = told(&mut events);
    assert_eq!(told[0], Event::Missed { count: 76 });
    assert_eq!(told.len(), 1025);
}

#[tokio::test(start_paused = true)]
async fn no_secret_shows_in_what_is_told() {
    let credential = Credential::bearer("T0KEN").and(Credential::api_key_query("apikey", "Q3Y"));
    let link = "https://u.example/x?sig=S1GNATURE";
    let refusal = || reply(429).header("retry-after", "1").header("x-ratelimit-limit", link).body(link);
    let service = script([refusal(), reply(503).after(secs(11)), reply(0).lost(), reply(401)]);
    let client = service.client().credential(credential).retry(RetryPolicy::standard()).build().unwrap();
    let mut events = client.events();
    ask(&client, "farms/S3CRETpathThatIsVeryLongAndLooksLikeAKey1?sig=S1GNATURE&code=C0DE").await;
    let events = told(&mut events);
    assert!(events.len() > 6, "{events:?}");
    let (stats, summary) = (client.stats(), client.summary());
    let mut shown = format!("{events:?} {stats:?} {summary:?} {summary}");
    stats.alerts().iter().for_each(|alert| shown += &alert.to_string());
    for secret in ["T0KEN", "Q3Y", "S1GNATURE", "sig=", "C0DE"] {
        assert!(!shown.contains(secret), "{secret} shows in: {shown}");
    }
    assert!(!format!("{stats:?} {summary}").contains("S3CRET"), "routes leave ids out");
}

#[tokio::test(start_paused = true)]
async fn events_and_tokens_are_one_line_each() {
    let (limit, credential): (Arc<str>, Arc<str>) = ("60 per 60s of the account".into(), "oauth".into());
    let request: Arc<str> = "GET https://api.example.com/v1/farms".into();
    let refused = Event::Refused {
        status: http::StatusCode::TOO_MANY_REQUESTS,
        request: request.clone(),
        credential: Some(credential.clone()),
        limit: limit.clone(),
        cause: RefusalCause::WithinKnownLimits,
    };
    for (event, line) in [
        (
            Event::Waiting { class: Priority::Poll, limit: limit.clone(), ahead: 3, at_least: millis(1500) },
            "waiting for `60 per 60s of the account`: Poll, 3 before it, 1.5s at least",
        ),
        (
            refused,
            "refused with 429: GET https://api.example.com/v1/farms with oauth, by `60 per 60s of the account`, spent by \
             others",
        ),
        (Event::Paused { limit: limit.clone(), during: secs(3) }, "paused for 3.0s: `60 per 60s of the account`"),
        (
            Event::Retrying { request: request.clone(), reason: RetryReason::Lost, attempts: 2, pause: secs(4) },
            "again in 4.0s (lost, 2 so far): GET https://api.example.com/v1/farms",
        ),
        (
            Event::Refreshed { credential: credential.clone(), valid_for: Some(secs(3600)) },
            "token refreshed: oauth, good for 3600s",
        ),
        (
            Event::RefreshFailed { credential, why: "no".into(), needs_login: true },
            "token not refreshed: oauth, a new login is needed: no",
        ),
        (
            Event::NearLimit { limit, used: 48, of: Some(60), left: 12 },
            "near its limit, 48 of 60: `60 per 60s of the account`",
        ),
        (Event::Ignored { what: "a\nb".into() }, "a b"),
        (Event::StoreDown { why: "full".into() }, "the store of shared limits does not answer: full"),
        (Event::StoreBack { after: secs(3) }, "the store of shared limits answers again, after 3.0s"),
        (Event::LeaseLost { limit: "a".into() }, "its lease was over, and its slots went to others: `a`"),
        (Event::SlotsOwed { limit: "a".into(), slots: 3 }, "3 slots too many are lent: `a`"),
        (Event::LimitsDiffer { limit: "a".into(), count: 3 }, "another process declares 3, which counts: `a`"),
        (Event::ClockSetBack, "the wall clock was set back"),
        (Event::Missed { count: 7 }, "7 events were missed"),
    ] {
        assert_eq!(event.to_string(), line);
    }

    let answer = serde_json::json!({"access_token": "T0KEN", "expires_in": 3600});
    let service = script([reply(200).json(answer), ok()]);
    let oauth = OAuth::client_credentials("https://login.example.com/token", "id", "secret");
    let client = plain(&service).credential(Credential::oauth(oauth)).build().unwrap();
    ask(&client, "farms").await;
    tokio::time::advance(secs(90)).await;
    let token = client.stats().tokens()[0].to_string();
    assert_eq!(token, "oauth: active, refreshed 90s ago, 3510s left; 1 refresh, 0 failed");
    client.revoke().await.unwrap();
    assert_eq!(client.stats().tokens()[0].to_string(), "oauth: none in use; 1 refresh, 0 failed");
}
