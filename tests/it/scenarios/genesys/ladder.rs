//! The ladder: 3, 9 and 27 seconds, then 5 and 10 minutes, unless the service asks to wait for longer.

use std::time::Duration;

use longhaul::testing::{Canned, reply, script};
use longhaul::{ErrorKind, RetryPolicy};
use serde_json::json;

use super::{get, open};
use crate::support::{MINUTE, secs};

/// A refusal as the service words it, with or without a `Retry-After`.
fn refused(retry_after: Option<&str>) -> Canned {
    let message =
        "Rate limit exceeded the maximum [300] requests within [60] seconds. Retry the request in [90] seconds";
    let body = json!({ "message": message, "code": "too.many.requests.retry.after", "status": 429 });
    match retry_after {
        Some(wait) => reply(429).header("retry-after", wait).json(body),
        None => reply(429).json(body),
    }
}

/// A refusal that only states when the window of the limit ends.
fn spent(header: &str, reset: &str) -> Canned {
    let (count, allowed) = match header {
        "inin-ratelimit-reset" => (("inin-ratelimit-count", "301"), "inin-ratelimit-allowed"),
        _ => (("x-rate-limit-remaining", "0"), "x-rate-limit-limit"),
    };
    refused(None).header(count.0, count.1).header(allowed, "300").header(header, reset)
}

fn pauses(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().map(|&seconds| secs(seconds)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_the_longer_of_the_step_and_the_services() {
    let failed = || reply(500);
    let asked = |wait| refused(Some(wait));
    for (answers, expected) in [
        ((0..7).map(|_| failed()).collect::<Vec<_>>(), &[3, 9, 27, 300, 600, 600, 600][..]),
        (vec![reply(502), reply(503), reply(504)], &[3, 9, 27]),
        (vec![asked("42")], &[42]),
        (vec![asked("1")], &[3]),
        (vec![failed(), asked("5"), asked("60"), asked("60"), asked("700")], &[3, 9, 60, 300, 700]),
        (vec![refused(None), refused(None), refused(None), refused(None), refused(None)], &[60, 60, 60, 300, 600]),
        (vec![failed(), refused(None), failed()], &[3, 60, 27]),
        (vec![spent("inin-ratelimit-reset", "17")], &[17]),
        (vec![spent("x-rate-limit-reset", "1893456023")], &[23]),
        (vec![reply(503).header("retry-after", "20"), failed()], &[20, 9]),
    ] {
        let service = script(answers.into_iter().chain([reply(200)]));
        let client = open(&service).build().unwrap();
        assert_eq!(get(&client, "users/me").await.unwrap(), 200);
        assert_eq!(service.gaps(), pauses(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn unattended_work_tries_for_hours_and_a_person_for_a_minute() {
    let failures = || script((0..40).map(|_| reply(500)));
    let batch = failures();
    let client = open(&batch).build().unwrap();
    client.get("users/me").send().await.unwrap_err();
    assert_eq!(batch.requests().len(), 21);
    assert_eq!(batch.gaps()[..6], pauses(&[3, 9, 27, 300, 600, 600]));

    let realtime = failures();
    let client = open(&realtime).retry(RetryPolicy::realtime()).build().unwrap();
    client.get("users/me").send().await.unwrap_err();
    assert_eq!(realtime.gaps(), pauses(&[3, 9, 27, 30]));
}

#[tokio::test(start_paused = true)]
async fn gives_up_where_the_vendors_own_client_does() {
    let policy = RetryPolicy::batch().give_up_over(3 * MINUTE);
    for (asked, requests) in [("180", 2), ("181", 1)] {
        let service = script([refused(Some(asked)), reply(200)]);
        let client = open(&service).retry(policy.clone()).build().unwrap();
        let answer = client.get("users/me").send().await;
        assert_eq!(service.requests().len(), requests, "{asked}");
        if let Err(error) = answer {
            assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Throttled, Some(secs(181))));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_holds_up_the_next_one_under_the_same_token() {
    let service = script([refused(Some("42")), reply(200), reply(200)]);
    let client = open(&service).build().unwrap();
    let (first, second) = tokio::join!(get(&client, "users/me"), async {
        tokio::time::sleep(secs(1)).await;
        get(&client, "routing/queues").await
    });
    assert_eq!((first.unwrap(), second.unwrap()), (200, 200));
    let at: Vec<Duration> = service.requests().iter().map(longhaul::testing::Recorded::at).collect();
    assert_eq!(at[0], Duration::ZERO);
    assert!(at[1..].iter().all(|at| *at >= secs(42)), "{at:?}");
}
