//! Waits: a body in milliseconds and a header in seconds, of which the longer counts.

use longhaul::retries::Schedule;
use longhaul::testing::{Canned, RefusalHint, Simulator, reply, script};
use longhaul::{Credential, RetryPolicy, Task};
use serde_json::{Value, json};

use super::{builder, farms, scripted};
use crate::support::{millis, secs};

/// A refusal whose header states seconds and whose body milliseconds.
fn refused(header: Option<&str>, body: Value) -> Canned {
    match header {
        Some(seconds) => reply(429).header("retry-after", seconds).json(body),
        None => reply(429).json(body),
    }
}

fn quick() -> RetryPolicy {
    RetryPolicy::standard().schedule(Schedule::constant(millis(1)))
}

#[tokio::test(start_paused = true)]
async fn the_longer_of_both_waits_counts_each_in_its_own_unit() {
    let words = "Rate limit is exceeded. Try again in 60 seconds.";
    for (header, body, wait) in [
        (Some("2"), json!({ "RetryAfter": 1_500 }), secs(2)),
        (Some("1"), json!({ "RetryAfter": 2_500 }), millis(2_500)),
        (Some("30"), json!({ "RetryAfter": 30_000 }), secs(30)),
        (None, json!({ "RetryAfter": 45_000 }), secs(45)),
        (None, json!({ "Retry-After": 45_000 }), secs(45)),
        (Some("5"), json!({}), secs(5)),
        (None, json!({ "statusCode": 429, "message": words }), secs(60)),
        (Some("90"), json!({ "message": words, "RetryAfter": 1_000 }), secs(90)),
        // A header in seconds is never read as milliseconds, and a body never as seconds.
        (Some("3000"), json!({ "RetryAfter": 3_000 }), secs(3_000)),
        (None, json!({ "RetryAfter": 800 }), millis(800)),
    ] {
        let service = script([refused(header, body.clone()), reply(200)]);
        let client = scripted(&service).credential(Credential::none()).retry(quick()).build().unwrap();
        assert_eq!(farms(&client).await.unwrap(), 200);
        assert_eq!(service.gaps(), [wait], "{header:?} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_poll_waits_as_long_and_the_task_goes_on() {
    let location = "https://api.smag.tech/farmsandfields/v1/tasks/7";
    let service = script([
        reply(201).header("location", location).header("retry-after", "10").json(json!({ "TaskUid": "7" })),
        refused(Some("1"), json!({ "RetryAfter": 20_000 })),
        reply(200).json(json!({ "Status": "finished", "Result": "https://files.example/7?sig=x" })),
    ]);
    let client = scripted(&service).credential(Credential::none()).build().unwrap();
    let task: Task<Value> = client.task().post("exports").submit().await.unwrap();
    task.await.unwrap();
    let gaps = service.gaps();
    assert!(gaps[0] >= secs(10) && gaps[1] >= secs(20) && gaps[1] < secs(30), "{gaps:?}");
}

#[tokio::test]
async fn a_client_that_waits_as_asked_is_refused_once() {
    for hint in [RefusalHint::Header, RefusalHint::Body, RefusalHint::HeaderAndBody, RefusalHint::Absent] {
        let service = Simulator::smag().limit(3, millis(1_500)).refusal_hint(hint).start().await.unwrap();
        let client = builder(&service).retry(quick()).feedback(longhaul::limits::Feedback::Budgets).build().unwrap();
        for _ in 0..4 {
            assert_eq!(farms(&client).await.unwrap(), 200);
        }
        assert_eq!((service.counts().throttled(), service.counts().other_calls()), (1, 4), "{hint:?}");
    }
}
