//! Alerts and summaries that say what to change: long tasks, idle limits, limits that do not fit.

use std::time::{Duration, SystemTime};

use http::Method;
use longhaul::limits::{Clock, Priority, Scope};
use longhaul::telemetry::{Alert, AlertKind, Alerts, RefusalCause, Severity};
use longhaul::testing::{reply, script};
use longhaul::{Client, Limit};
use serde_json::{Value, json};

use crate::support::secs;

fn kinds(client: &Client) -> Vec<AlertKind> {
    client.stats().alerts().iter().map(Alert::kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_for_long_is_reported_once_and_until_it_ends() {
    const HOUR: Duration = secs(60 * 60);
    let running = || reply(200).header("retry-after", "3600").json(json!({"status": "running"}));
    let submit = |id: &str| {
        reply(202).header("location", &format!("tasks/{id}")).header("retry-after", "3600").json(json!({"id": id}))
    };
    let service = script(
        [submit("t1").at("exports"), submit("t2").at("exports"), reply(200).json(7).at("tasks/t2")]
            .into_iter()
            .chain((0..29).map(|_| running().at("tasks/t1")))
            .chain([reply(200).json(7).at("tasks/t1")]),
    );
    let alerts = Alerts::none().running_for(24 * HOUR);
    let client = service.client().alerts(alerts).build().unwrap();
    let mut events = client.events();
    let mut long = client.task().post("exports").submit::<Value>().await.unwrap();
    client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    // The submit, and a poll an hour.
    for _ in 0..24 {
        long.advance().await.unwrap().unwrap();
    }
    assert_eq!((kinds(&client), client.summary().long_tasks().count()), (vec![], 0));
    long.advance().await.unwrap().unwrap();
    let stats = client.stats();
    let alert = &stats.alerts()[0];
    assert_eq!((alert.kind(), alert.severity()), (AlertKind::RunningForLong, Severity::Warning));
    assert_eq!(alert.about(), Some("t1"));
    assert_eq!(alert.text(), "the task `t1` has been running for 86400s");
    let token = long.token();
    for _ in 0..5 {
        long.advance().await.unwrap().unwrap();
    }
    let summary = client.summary();
    assert_eq!(summary.long_tasks().collect::<Vec<_>>(), [("t1", 29 * HOUR)]);
    assert!(summary.to_string().contains("tasks that run for long: 1\n  t1: for 104400s"), "{summary}");

    // A resumed task is as old as its submit, at the first poll already.
    let later = SystemTime::UNIX_EPOCH + secs(1_893_456_000) + 30 * HOUR;
    let other = script([running()]).client().clock(Clock::starting_at(later)).alerts(alerts).build().unwrap();
    let mut resumed = other.resume::<Value>(token).unwrap();
    resumed.advance().await.unwrap().unwrap();
    assert_eq!(other.summary().long_tasks().collect::<Vec<_>>(), [("t1", 30 * HOUR)]);
    assert_eq!(kinds(&other), [AlertKind::RunningForLong]);
    drop(resumed);

    long.await.unwrap();
    assert_eq!(client.summary().long_tasks().count(), 0);
    tokio::time::advance(secs(301)).await;
    assert_eq!(kinds(&client), []);
    let mut told = 0;
    while let Some(Some(event)) = futures::FutureExt::now_or_never(futures::StreamExt::next(&mut events)) {
        told +=
            usize::from(matches!(event, longhaul::Event::Alert(alert) if alert.kind() == AlertKind::RunningForLong));
    }
    assert_eq!(told, 1, "it is told once");
}

#[tokio::test(start_paused = true)]
async fn a_long_task_that_fails_stops_or_is_dropped_is_long_no_more() {
    let accepted = || reply(202).header("location", "tasks/1").header("retry-after", "100");
    let running = || reply(200).header("retry-after", "100").json(json!({"status": "running"}));
    for (end, dropped) in
        [(reply(200).json(json!({"status": "failed"})), false), (reply(404), false), (running(), true)]
    {
        let service = script([accepted(), running(), running(), end]);
        let client = service.client().alerts(Alerts::none().running_for(secs(150))).build().unwrap();
        let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
        for _ in 0..3 {
            task.advance().await.unwrap().unwrap();
        }
        let long: Vec<_> = client.summary().long_tasks().map(|(name, age)| (name.to_owned(), age)).collect();
        assert_eq!(long, [("https://api.example.com/v1/tasks/1".to_owned(), secs(200))], "it has no id");
        if dropped {
            drop(task);
        } else {
            task.await.unwrap_err();
        }
        assert_eq!(client.summary().long_tasks().count(), 0);
    }
    let alerts = Alerts::standard().running_for(Duration::ZERO);
    let error = Client::builder("https://api.example.com").alerts(alerts).build().unwrap_err();
    assert!(error.to_string().contains("running_for(0ns)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn limits_that_no_request_has_matched_are_in_the_summary() {
    let service = script((0..9).map(|_| reply(200)));
    let client = service
        .client()
        .limit(Limit::per_second(100))
        .limit(Limit::per_minute(2).scope(Scope::route("GET campaings/*")))
        .limit(Limit::per_minute(3).scope(Scope::route("lists/{list}")).named("lists"))
        .limit(Limit::per_minute(4).scope(Scope::route("/farms")))
        .limit(Limit::per_minute(5).scope(Scope::route("files/*.csv")))
        .limit(Limit::per_minute(6).scope(Scope::TokenEndpoint))
        .limit(Limit::per_minute(7).scope(Scope::route("POST **")).soft())
        .build()
        .unwrap();
    let unmatched = || client.summary().unmatched().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(unmatched(), <[&str; 0]>::default(), "nothing was sent that could match");
    client.request(Method::GET, "farms").send().await.unwrap();
    let route = "2 per 60s of the route GET campaings/*";
    let (keyed, soft) = ("lists: 3 per 60s of the route lists/{list}", "7 per 60s of the route POST **");
    let others = ["4 per 60s of the route /farms", "5 per 60s of the route files/*.csv"];
    assert_eq!(unmatched(), [route, keyed, others[0], others[1], soft]);
    // To ask what a request would meet is none.
    let _ = client.throttle().explain(Priority::Call, &client.request_key(&Method::GET, "lists/7").unwrap());
    assert_eq!(unmatched().len(), 5);
    client.request(Method::GET, "lists/7").send().await.unwrap();
    client.request(Method::POST, "farms").send().await.unwrap();
    assert_eq!(unmatched(), [route, others[0], others[1]]);
    // A key that is forgotten was matched all the same.
    let keys = |key: u32| client.request_key(&Method::GET, &format!("lists/x{key}")).unwrap();
    tokio::time::advance(secs(600)).await;
    for key in 0..600 {
        let _ = client.throttle().explain(Priority::Call, &keys(key));
    }
    assert_eq!(unmatched(), [route, others[0], others[1]]);
    let text = client.summary().to_string();
    assert!(text.contains(&format!("  {route}: no request has matched it so far")), "{text}");
    assert!(!text.contains(&format!("{route}: 0 % used")), "{text}");
    assert!(text.contains("  100 per 1s of the account: "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_declared_limit_above_the_stated_one_is_named_once_refused() {
    const SAID: &str = "the declared limit `10 per 1s of the account` is higher than the service's, which states fewer";
    for (headers, ours) in [
        ([("ratelimit-policy", "\"a\";q=5;w=1"), ("ratelimit", "\"a\";r=0;t=1")], true),
        ([("ratelimit-policy", "\"a\";q=5;w=60"), ("ratelimit", "\"a\";r=0;t=1")], true),
        ([("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", "0")], false),
        ([("ratelimit-policy", "\"a\";q=10;w=1"), ("ratelimit", "\"a\";r=0;t=1")], false),
        ([("ratelimit-policy", "\"a\";q=500;w=60"), ("ratelimit", "\"a\";r=0;t=1")], false),
        ([("retry-after", "1"), ("date", "Tue, 01 Jan 2030 00:00:00 GMT")], false),
    ] {
        let refusal = headers.iter().fold(reply(429), |refusal, (name, value)| refusal.header(name, value));
        let service = script([refusal, reply(200)]);
        let client = service.client().limit(Limit::per_second(10)).build().unwrap();
        client.request(Method::GET, "farms").send().await.unwrap();
        let stats = client.stats();
        let blames: Vec<_> = stats.refusals().iter().map(|one| (one.limit(), one.cause())).collect();
        let cause = if ours { RefusalCause::NoKnownLimit } else { RefusalCause::WithinKnownLimits };
        assert_eq!(blames, [("10 per 1s of the account", cause)], "{headers:?}");
        assert_eq!(stats.alerts().iter().any(|alert| alert.text().starts_with(SAID)), ours, "{headers:?}");
        let text = client.summary().to_string();
        assert_eq!(text.contains(SAID), ours, "{headers:?} {text}");
        assert!(text.contains("the declared limit `10 per 1s of the account` is higher than the service's"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_limit_refused_thrice_is_too_high_or_shared() {
    let refused = || reply(429).header("retry-after", "1");
    let service = script([refused(), reply(200), refused(), reply(200), refused(), reply(200)]);
    let client = service.client().limit(Limit::per_minute(100).named("calls")).build().unwrap();
    let ask = async || client.request(Method::GET, "farms").send().await.unwrap();
    ask().await;
    ask().await;
    assert_eq!(kinds(&client), [AlertKind::Throttled]);
    ask().await;
    assert_eq!(kinds(&client), [AlertKind::Throttled, AlertKind::DeclaredTooHigh]);
    let stats = client.stats();
    let alert = stats.alerts().iter().find(|alert| alert.kind() == AlertKind::DeclaredTooHigh).unwrap();
    let said = "the declared limit `calls: 100 per 60s of the account` is higher than the service's, or others spend it \
                too: refused 3 times though it was kept";
    assert_eq!((alert.text(), alert.about()), (said, Some("calls: 100 per 60s of the account")));
    assert!(client.summary().to_string().contains(said));
    assert_eq!(client.summary().refusals()[0].count(), 3);
    tokio::time::advance(secs(700)).await;
    assert_eq!(kinds(&client), []);

    // Without a declared limit, there is none that could be too high.
    let service = script([refused(), reply(200), refused(), reply(200), refused(), reply(200)]);
    let client = service.client().limit(Limit::per_minute(100).soft()).build().unwrap();
    for _ in 0..3 {
        client.request(Method::GET, "farms").send().await.unwrap();
    }
    assert_eq!(kinds(&client), [AlertKind::Throttled]);
    assert!(client.summary().refusals().is_empty() && !client.summary().to_string().contains("declared limit"));
}
