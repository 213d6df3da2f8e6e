use longhaul::limits::Scope;
use longhaul::telemetry::{Latency, RefusalCause, RetryReason};
use longhaul::testing::{self, Simulator, reply, script};
use longhaul::{Limit, Throttle};

use super::*;

#[tokio::test(start_paused = true)]
async fn requests_are_told_apart_by_route_and_host() {
    let took = |ms: u64| ok().after(millis(ms));
    let service = script([took(100), took(200), took(300), took(50), reply(404).after(millis(10)), reply(0).lost()]);
    let client = plain(&service).build().unwrap();
    for path in ["tasks/1", "tasks/2", "tasks/3?key=S3CRET", "farms", "farms", "farms"] {
        ask(&client, path).await;
    }
    let stats = client.stats();
    let told: Vec<_> = stats
        .routes()
        .iter()
        .map(|route| (route.name(), route.requests(), route.succeeded(), route.failed(), route.broken()))
        .collect();
    assert_eq!(told, [("GET api.example.com/v1/farms", 3, 1, 1, 1), ("GET api.example.com/v1/tasks/*", 3, 3, 0, 0)]);
    let tasks = stats.routes()[1].latency();
    assert_eq!((tasks.count(), tasks.average(), tasks.max(), tasks.p99()), (3, millis(200), millis(300), millis(300)));
    assert!(tasks.p50() >= millis(200) && tasks.p50() <= millis(202), "{tasks}");
    assert_eq!(stats.routes()[1].success_rate(), Some(1.0));
    assert_eq!((stats.hosts()[0].name(), stats.hosts()[0].requests()), ("api.example.com", 6));
    assert_eq!((stats.latency().count(), stats.latency().average()), (5, millis(132)));
    assert_eq!((stats.success_rate(), stats.authentication_rate()), (Some(4.0 / 6.0), Some(1.0)));
}

#[tokio::test(start_paused = true)]
async fn routes_beyond_256_are_counted_as_one() {
    let service = script((0..300).map(|_| ok()));
    let client = plain(&service).build().unwrap();
    for number in 0..300 {
        let word: String = format!("{number:03}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        ask(&client, &word).await;
    }
    let routes = client.stats().routes().to_vec();
    assert_eq!((routes.len(), routes[0].name(), routes[0].requests()), (257, "other", 44));
}

#[tokio::test(start_paused = true)]
async fn statuses_retries_refusals_and_pauses_are_counted() {
    let service = script([
        reply(429).header("retry-after", "2"),
        reply(502),
        reply(0).unsent(),
        reply(0).lost(),
        ok(),
        reply(401),
        reply(503).header("retry-after", "1"),
        ok(),
    ]);
    let client = service.client().retry(RetryPolicy::standard().retries(9)).build().unwrap();
    ask(&client, "farms").await;
    ask(&client, "farms").await;
    ask(&client, "farms").await;
    let stats = client.stats();
    let statuses: Vec<_> = stats.statuses().collect();
    assert_eq!(statuses, [(200, 2), (401, 1), (429, 1), (502, 1), (503, 1)]);
    assert_eq!((stats.answers_of_class(2), stats.answers_of_class(4), stats.answers_of_class(5)), (2, 2, 2));
    for (reason, count) in [
        (RetryReason::Throttled, 2),
        (RetryReason::Transient, 1),
        (RetryReason::Unsent, 1),
        (RetryReason::Lost, 1),
        (RetryReason::Unauthorized, 0),
    ] {
        assert_eq!(stats.retries_for(reason), count, "{reason}");
    }
    assert_eq!((stats.retries(), stats.broken(), stats.unsent(), stats.pauses()), (5, 2, 1, 2));
    let refusals: Vec<_> = stats.refusals().iter().map(|one| (one.limit(), one.cause(), one.count())).collect();
    assert_eq!(refusals, [("the route GET api.example.com/v1/farms", RefusalCause::NoKnownLimit, 2)]);
    assert_eq!(stats.authentication_rate(), Some(5.0 / 6.0));
}

#[tokio::test(start_paused = true)]
async fn a_minute_has_the_requests_of_its_sixty_seconds() {
    let service = script((0..60).map(|_| ok()));
    let client = plain(&service).limit(Limit::per_minute(60)).build().unwrap();
    for _ in 0..45 {
        ask(&client, "farms").await;
    }
    let stats = client.stats();
    assert_eq!((stats.requests_per_minute(), stats.limits().len()), (45, 1));
    let limit = &stats.limits()[0];
    assert_eq!(format!("{}: {limit}", limit.label()), "60 per 60s of the account: 45 of 60 (75 %)");
    assert_eq!((limit.used(), limit.of(), limit.left(), limit.window()), (45, Some(60), Some(15), Some(secs(60))));
    tokio::time::advance(secs(30)).await;
    ask(&client, "farms").await;
    assert_eq!(client.stats().requests_per_minute(), 46);
    tokio::time::advance(secs(30)).await;
    assert_eq!(client.stats().requests_per_minute(), 1);
    assert_eq!(client.stats().limits()[0].to_string(), "1 of 60 (2 %)");
    assert_eq!((client.stats().requests(), client.stats().recent_latency().count()), (46, 46));
    tokio::time::advance(secs(10 * 60)).await;
    assert_eq!(*client.stats().recent_latency(), Latency::default());
}

#[tokio::test(start_paused = true)]
async fn the_use_of_every_kind_of_limit_is_told() {
    let throttle = Throttle::new();
    for limit in [
        Limit::per_second(4),
        Limit::per_second(15).and_server_queue(100).scope(Scope::Host),
        Limit::per_day(10, "UTC"),
        Limit::bytes_per(1000, secs(60)),
        Limit::concurrent(2),
        Limit::per_minute(1).scope(Scope::TokenEndpoint).soft(),
    ] {
        throttle.add_limit(limit).unwrap();
    }
    let keys = longhaul::limits::RequestKey::request(&Method::GET, &"https://a.example/farms".parse().unwrap());
    let mut permit = throttle.try_acquire(longhaul::limits::Priority::Call, &keys).unwrap();
    permit.sent();
    permit.charge(250);
    let shown: Vec<_> = throttle.usage().iter().map(|limit| format!("{}: {limit}", limit.label())).collect();
    assert_eq!(
        shown,
        [
            "4 per 1s of all accounts: 1 of 4 (25 %)",
            "15 per 1s with 100 queued of the host at a.example: 1 of 15 (7 %)",
            "10 per day in UTC of all accounts: 1 of 10 (10 %)",
            "1000 bytes per 60s of all accounts: 250 of 1000 (25 %)",
            "2 at once of all accounts: 1 of 2 (50 %)",
            "1 per 60s of the token endpoint: 0 of 1 (0 %)",
        ]
    );
    assert_eq!(throttle.usage()[0].in_flight(), 1);
    throttle.pause(secs(3));
    let paused = throttle.usage();
    assert_eq!(paused.last().map(ToString::to_string).as_deref(), Some("1 in flight, paused for 3.0s"));
    assert_eq!(paused.last().and_then(longhaul::limits::LimitUsage::paused), Some(secs(3)));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_the_service_states_is_a_limit_too() {
    let told = |left: &str| ok().header("x-ratelimit-limit", "100").header("x-ratelimit-remaining", left);
    let service = script([
        told("60").header("x-ratelimit-reset", "30"),
        ok().header("x-ratelimit-remaining", "7").header("x-ratelimit-reset", "30"),
    ]);
    let client = plain(&service).build().unwrap();
    ask(&client, "farms").await;
    let stats = client.stats();
    let limit = &stats.limits()[0];
    assert_eq!((limit.to_string().as_str(), limit.is_stated()), ("40 of 100 (40 %)", true));
    ask(&client, "farms").await;
    let stats = client.stats();
    let limit = &stats.limits()[0];
    assert_eq!((limit.to_string().as_str(), limit.of(), limit.left()), ("7 left", None, Some(7)));
    tokio::time::advance(secs(31)).await;
    assert!(client.stats().limits().is_empty(), "it is over");
}

#[tokio::test(start_paused = true)]
async fn of_two_counts_the_one_with_less_left_is_told() {
    let told = |left: &str| {
        let answer = ok().header("x-ratelimit-limit", "100").header("x-ratelimit-reset", "30");
        answer.header("x-ratelimit-remaining", left)
    };
    let service = script([told("60"), told("99")]);
    let client = plain(&service).limit(Limit::per_minute(100)).build().unwrap();
    for expected in [("40 of 100 (40 %)", true), ("2 of 100 (2 %)", false)] {
        ask(&client, "farms").await;
        let stats = client.stats();
        let [limit] = stats.limits() else { panic!("{:?}", stats.limits()) };
        assert_eq!((limit.to_string().as_str(), limit.is_stated()), expected);
    }
}

#[tokio::test]
async fn the_numbers_are_those_of_the_service() {
    let service = Simulator::builder().task_duration(millis(50)).fail_every(7).start().await.unwrap();
    let client = testing::client(&service).limit(Limit::per_second(20)).build().unwrap();
    let run = async || {
        let task = client.task().post("exports").submit::<serde_json::Value>().await?;
        task.await
    };
    let ended = futures::future::join_all((0..8).map(|_| run())).await;
    let (stats, counts) = (client.stats(), service.counts());
    assert_eq!((stats.requests(), stats.throttled()), (counts.requests(), counts.throttled()));
    assert_eq!(stats.routes().iter().map(longhaul::telemetry::Endpoint::requests).sum::<u64>(), stats.requests());
    assert_eq!(stats.tasks().of("succeeded"), ended.iter().filter(|ended| ended.is_ok()).count() as u64);
    assert_eq!(stats.tasks().alive_in_all(), 0);
    let polls = stats.routes().iter().find(|route| route.name().ends_with("/tasks/*")).unwrap();
    assert_eq!(polls.requests(), stats.polls());
    assert!(polls.latency().p50() > Duration::ZERO && polls.latency().p50() <= polls.latency().max());
}
