//! Waits that a service asks for, of any length and form: kept everywhere, or an error at once that carries them.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, Method, StatusCode};
use longhaul::limits::{Clock, HintFact, HintRule, Priority, RequestKey, Unit};
use longhaul::protocols::Source;
use longhaul::testing::{Script, reply, script};
use longhaul::{Client, Error, ErrorKind, PollPolicy, Profile, Protocol, ResumeToken, RetryPolicy, Throttle};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{DAY, SECOND, accepted};

/// Waits of more than a day, in seconds: 60 seconds more, a week, and the longest there is.
const LONG: [u64; 3] = [86_460, 7 * 86_400, 400 * 86_400];

async fn run(client: &Client) -> Result<Value, Error> {
    client.task().post("exports").submit::<Value>().await?.await?.value()
}

async fn get(client: &Client, path: &str) -> Result<StatusCode, Error> {
    client.request(Method::GET, path).send().await.map(|response| response.status())
}

/// The pause before the request of this number.
fn gap(service: &Script, number: usize) -> Duration {
    service.gaps()[number - 1]
}

/// Headers that ask for so many seconds, in their various forms.
fn forms(seconds: u64) -> Vec<(&'static str, String)> {
    // The scripts begin in 2030.
    let at = UNIX_EPOCH + Duration::from_secs(1_893_456_000 + seconds);
    let date = httpdate::fmt_http_date(at);
    vec![
        ("retry-after", seconds.to_string()),
        ("retry-after", format!("{seconds}s")),
        ("retry-after", format!("PT{seconds}S")),
        ("retry-after", format!("\"{seconds}\"")),
        ("retry-after", format!("{seconds};")),
        ("retry-after", format!("1, {seconds}")),
        ("retry-after", date),
        ("retry-after-ms", (seconds * 1000).to_string()),
        ("x-ms-retry-after-ms", (seconds * 1000).to_string()),
        ("x-amz-retry-after", (seconds * 1000).to_string()),
        ("x-ratelimit-retry-after", seconds.to_string()),
        ("x-rate-limit-retry-after-seconds", seconds.to_string()),
    ]
}

#[tokio::test(start_paused = true)]
async fn polls_wait_for_as_long_as_they_are_asked() {
    for seconds in LONG {
        for status in [202, 429, 503, 502, 500, 408] {
            for (name, value) in forms(seconds) {
                let service = script([accepted(), reply(status).header(name, &value), reply(200).json(7)]);
                let value_of = run(&service.client().build().unwrap()).await.unwrap();
                let waited = gap(&service, 2).as_secs();
                assert_eq!(value_of, json!(7));
                assert!((seconds - 2..=seconds).contains(&waited), "{status} {name}: {value}: {waited}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_poll_waits_for_what_the_submit_asked() {
    for seconds in LONG {
        for (name, value) in forms(seconds) {
            let service = script([accepted().header(name, &value), reply(200).json(7)]);
            run(&service.client().build().unwrap()).await.unwrap();
            let waited = gap(&service, 1).as_secs();
            assert!((seconds - 2..=seconds).contains(&waited), "{name}: {value}: {waited}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retries_wait_for_as_long_as_they_are_asked() {
    for seconds in LONG {
        for status in [429, 503, 502, 408] {
            let service = script([reply(status).header("retry-after", &seconds.to_string()), reply(200)]);
            get(&service.client().build().unwrap(), "farms").await.unwrap();
            assert_eq!(service.gaps(), [Duration::from_secs(seconds)], "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_carries_the_wait_that_ends_it() {
    let asks = |status: u16| reply(status).header("retry-after", "90000");
    let asked = Some(Duration::from_secs(90_000));
    for status in [429, 503, 502] {
        let service = script([asks(status)]);
        let call = service.client().build().unwrap().request(Method::GET, "farms").timeout(4 * SECOND);
        let error = call.send().await.unwrap_err();
        assert_eq!((error.retry_after(), service.requests().len()), (asked, 1), "{error}");

        let service = script([asks(status)]);
        let policy = RetryPolicy::standard().give_up_over(DAY);
        let error = get(&service.client().retry(policy).build().unwrap(), "farms").await.unwrap_err();
        assert_eq!((error.retry_after(), service.requests().len()), (asked, 1), "{error}");
        assert!(error.to_string().contains("longer than the retry policy allows"), "{error}");
    }
    for answers in [
        vec![accepted().header("retry-after", "90000")],
        vec![accepted(), asks(202)],
        vec![accepted(), asks(429)],
        vec![accepted(), asks(503)],
        // What was asked before holds where an answer does not say it again.
        vec![accepted().header("retry-after", "2"), asks(202).header("retry-after", "1")],
        vec![accepted(), asks(302).header("location", "/v1/tasks/8")],
    ] {
        let count = answers.len();
        let service = script(answers);
        let client = service.client().build().unwrap();
        let task = client.task().post("exports").submit::<Value>().await.unwrap();
        let begun = Instant::now();
        let error = task.timeout(60 * SECOND).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::DeadlineExceeded, asked), "{error}");
        assert!(begun.elapsed() <= 3 * SECOND, "at once: {:?}", begun.elapsed());
        assert_eq!(service.requests().len(), count);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_refusal_of_a_result_is_waited_for_or_carried() {
    let done = || reply(200).json(json!({"status": "Succeeded", "resourceLocation": "/v1/results/7"}));
    let begun = || reply(202).header("operation-location", "/v1/tasks/7");
    for status in [429, 503, 502] {
        let asks = || reply(status).header("retry-after", "90000");
        let service = script([begun(), done(), asks(), reply(200).json(7)]);
        assert_eq!(run(&service.client().build().unwrap()).await.unwrap(), json!(7));
        assert_eq!(gap(&service, 3), Duration::from_secs(90_000), "{status}");

        let service = script([begun(), done(), asks()]);
        let task = service.client().build().unwrap().task().post("exports").submit::<Value>().await.unwrap();
        let error = task.timeout(60 * SECOND).await.unwrap_err();
        assert_eq!((error.retry_after(), service.requests().len()), (Some(Duration::from_secs(90_000)), 3), "{error}");
        assert!(error.token().is_some(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_long_pause_learns_of_it_at_once() {
    let service = script([reply(429).header("retry-after", "864000"), reply(200)]);
    let client = service.client().retry(RetryPolicy::none()).build().unwrap();
    get(&client, "farms").await.unwrap_err();
    let call = client.request(Method::GET, "farms").timeout(60 * SECOND);
    let error = call.send().await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::DeadlineExceeded, Some(10 * DAY)), "{error}");
    assert_eq!(service.requests().len(), 1);
    get(&client, "farms").await.unwrap();
    assert_eq!(service.gaps(), [10 * DAY]);
}

#[tokio::test(start_paused = true)]
async fn of_several_waits_the_longest_counts() {
    for pairs in [
        &[("retry-after", "1"), ("retry-after", "90000")][..],
        &[("retry-after", "90000"), ("retry-after", "1")],
        &[("retry-after", "soon"), ("retry-after", "90000"), ("retry-after", "-1")],
        &[("retry-after-ms", "1000"), ("retry-after", "90000")],
        &[("retry-after", "1"), ("x-ratelimit-retry-after", "90000")],
        &[("x-amz-retry-after", "90000000"), ("retry-after", "1")],
    ] {
        for status in [202, 429, 503] {
            let refused = pairs.iter().fold(reply(status), |reply, (name, value)| reply.header(name, value));
            let service = script([accepted(), refused, reply(200).json(7)]);
            run(&service.client().build().unwrap()).await.unwrap();
            assert_eq!(gap(&service, 2), Duration::from_secs(90_000), "{status} {pairs:?}");
        }
    }
    // A place in the body, and a header beside it.
    for (header, body, waited) in [("1", 90, 90), ("90", 1, 90), ("soon", 90, 90)] {
        let protocol = Protocol::auto().interval(Source::pointer("/wait"), Unit::Seconds);
        let pending = reply(202).header("retry-after", header).json(json!({"wait": body}));
        let service = script([accepted(), pending, reply(200).json(7)]);
        let client = service.client().profile(Profile::auto().protocol(protocol)).build().unwrap();
        run(&client).await.unwrap();
        assert_eq!(gap(&service, 2), Duration::from_secs(waited), "{header} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_reset_beside_a_429_is_the_wait() {
    for (name, value) in [
        ("x-rate-limit-reset", "1893456060"),
        ("x-ratelimit-reset", "60"),
        ("x-ratelimit-reset", "Tue, 01 Jan 2030 00:01:00 GMT"),
        ("ratelimit-reset", "60"),
    ] {
        let service = script([reply(429).header(name, value), reply(200)]);
        get(&service.client().build().unwrap(), "farms").await.unwrap();
        assert_eq!(service.gaps(), [60 * SECOND], "{name}: {value}");
        let service = script([accepted(), reply(429).header(name, value), reply(200).json(7)]);
        run(&service.client().build().unwrap()).await.unwrap();
        assert!((58..=60).contains(&gap(&service, 2).as_secs()), "{name}: {value}");
    }
    // Beside what is left, it says nothing of the refusal.
    let service =
        script([reply(429).header("x-ratelimit-reset", "60").header("x-ratelimit-remaining", "5"), reply(200)]);
    get(&service.client().build().unwrap(), "farms").await.unwrap();
    assert_eq!(service.gaps(), [SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_spent_for_days_is_kept() {
    let ten_days = 1_893_456_000 + 864_000;
    for (name, value) in [
        ("x-ratelimit-reset", ten_days.to_string()),
        ("x-ratelimit-reset", format!("{ten_days}000")),
        ("x-ratelimit-reset", "2030-01-11T00:00:00Z".into()),
        ("x-ratelimit-reset", "2030-01-11T00:00:00".into()),
        ("x-ratelimit-reset", "240h".into()),
        ("x-ratelimit-reset", "P10D".into()),
        ("x-ratelimit-reset-after", "864000".into()),
        ("ratelimit", "\"daily\";r=0;t=864000".into()),
    ] {
        let spent = reply(200).header("x-ratelimit-limit", "100").header("x-ratelimit-remaining", "0");
        let service = script([spent.header(name, &value), reply(200)]);
        let client = service.client().build().unwrap();
        get(&client, "farms").await.unwrap();
        let call = client.request(Method::GET, "farms").timeout(60 * SECOND);
        let error = call.send().await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::DeadlineExceeded, Some(10 * DAY)), "{error}");
        get(&client, "farms").await.unwrap();
        assert_eq!(service.gaps(), [10 * DAY], "{name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_of_the_service_is_kept_as_a_header_is() {
    for (unit, value, waited) in [
        (Unit::Seconds, json!(864_000), 864_000),
        (Unit::Milliseconds, json!(864_000_000), 864_000),
        (Unit::Text, json!("Please try again in 7h41m36s."), 27_696),
        (Unit::Text, json!("Try again in 2 hours 5 minutes"), 7_500),
        (Unit::Text, json!("wait 1,200 seconds"), 1_200),
        (Unit::Rfc3339, json!("2030-01-11T00:00:00"), 864_000),
        (Unit::Seconds, json!("PT20M"), 1_200),
    ] {
        let rule = HintRule::new(Source::pointer("/wait"), HintFact::Delay).unit(unit);
        let refused = reply(429).header("retry-after", "1").json(json!({"wait": value}));
        let service = script([refused, reply(200)]);
        let client = service.client().profile(Profile::auto().hint(rule)).build().unwrap();
        get(&client, "farms").await.unwrap();
        assert_eq!(service.gaps(), [Duration::from_secs(waited)], "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_is_left_alone_for_as_long_as_it_asks() {
    for seconds in LONG {
        for status in [429, 503, 500] {
            let service =
                script([reply(status).header("retry-after", &seconds.to_string()), reply(200).body("0123456789")]);
            let patient = RetryPolicy::standard().give_up_over(Duration::from_secs(400 * 24 * 3_600));
            let client = service.client().retry(patient).build().unwrap();
            let bytes = memory(&client).await.unwrap();
            assert_eq!((bytes.len(), service.gaps()), (10, vec![Duration::from_secs(seconds)]), "{status}");
        }
    }
    // More than an hour in silence is for those who ask for it.
    let service = script([reply(503).header("retry-after", "3601"), reply(200).body("0123456789")]);
    let error = memory(&service.client().build().unwrap()).await.unwrap_err();
    assert_eq!((error.retry_after(), service.requests().len()), (Some(Duration::from_secs(3_601)), 1), "{error}");
    let service = script([reply(503).header("retry-after", "90000")]);
    let policy = RetryPolicy::standard().give_up_over(DAY);
    let client = service.client().retry(policy).build().unwrap();
    let error = memory(&client).await.unwrap_err();
    assert_eq!((error.retry_after(), service.requests().len()), (Some(Duration::from_secs(90_000)), 1), "{error}");
}

async fn memory(client: &Client) -> Result<bytes::Bytes, Error> {
    client.download("https://store.example.com/7?sig=S").to_memory(1000).await
}

#[tokio::test(start_paused = true)]
async fn a_resumed_task_waits_for_what_is_left() {
    let start = UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    for (asked, passed) in [(10 * DAY, 3 * DAY), (400 * DAY, DAY), (DAY + SECOND, SECOND), (2 * DAY, 5 * DAY)] {
        let service = script([accepted().header("retry-after", &asked.as_secs().to_string())]);
        let task = service.client().clock(Clock::starting_at(start)).build().unwrap();
        let token = task.task().post("exports").submit::<Value>().await.unwrap().token().to_string();
        tokio::time::sleep(passed).await;

        let token: ResumeToken = token.parse().unwrap();
        let service = script([reply(200).json(7)]);
        let client = service.client().clock(Clock::starting_at(start + passed)).build().unwrap();
        let begun = Instant::now();
        client.resume::<Value>(token.clone()).unwrap().await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), asked.saturating_sub(passed).as_secs(), "{asked:?} {passed:?}");

        // A clock that was set back makes no wait longer than it was.
        let service = script([reply(200).json(7)]);
        let client = service.client().clock(Clock::starting_at(start - 300 * DAY)).build().unwrap();
        let begun = Instant::now();
        client.resume::<Value>(token).unwrap().await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), asked.as_secs(), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_wait_past_the_deadline_ends_at_once() {
    let start = UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let service = script([accepted().header("retry-after", "864000")]);
    let client = service.client().clock(Clock::starting_at(start)).build().unwrap();
    let token = client.task().post("exports").submit::<Value>().await.unwrap().token();
    let begun = Instant::now();
    let error = client.resume::<Value>(token).unwrap().timeout(60 * SECOND).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::DeadlineExceeded, Some(10 * DAY)), "{error}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_asks_for_nothing_and_breaks_nothing() {
    for value in [
        "-1",
        "-60s",
        "NaN",
        "inf",
        "soon",
        "one hour",
        "1e9",
        "34560001",
        "99999999999999999999",
        "P400D1D",
        "1h30",
        "9999-12-31T23:59:59Z",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "2 heures 5 minutes",
        "",
    ] {
        for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-retry-after"] {
            let service = script([accepted(), reply(429).header(name, value), reply(200).json(7)]);
            run(&service.client().build().unwrap()).await.unwrap();
            let waited = gap(&service, 2);
            // One second, or of a reset without a unit what its size makes of it.
            assert!(waited >= SECOND && waited < DAY, "{name}: {value}: {waited:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn settings_without_end_saturate() {
    let endless = Duration::MAX;
    for pace in [
        PollPolicy::standard().floor(endless),
        PollPolicy::standard().ceiling(endless),
        PollPolicy::standard().floor(endless).ceiling(endless).without_jitter(),
    ] {
        let service = script([accepted().header("retry-after", "60"), reply(202), reply(200).json(7)]);
        let client = service.client().poll_policy(pace.clone()).build().unwrap();
        let task = client.task().post("exports").submit::<Value>().await.unwrap();
        let ended = tokio::time::timeout(DAY, task.timeout(endless).heartbeat(endless)).await;
        let is_held = pace != PollPolicy::standard().ceiling(endless);
        assert_eq!(ended.is_err(), is_held, "{pace:?}: {ended:?}");
    }
    let throttle = Throttle::new();
    throttle.pause(endless);
    let acquire = throttle.acquire(Priority::Call, &RequestKey::new()).hold(endless).deadline(Instant::now() + DAY);
    assert_eq!(acquire.await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    throttle.resume();
    let mut permit = throttle.try_acquire(Priority::Call, &RequestKey::new()).unwrap();
    permit.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
}
