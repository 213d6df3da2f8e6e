//! Without a runtime: errors, no panics, but where tokio itself would.

use futures::TryStreamExt;
use http::Method;
use longhaul::limits::{Priority, RequestKey};
use longhaul::testing::{reply, script};
use longhaul::{Error, ErrorKind, Limit, Throttle};
use serde_json::Value;

use crate::support::secs;

/// Polls a future to its end without a runtime, as another executor would.
fn outside<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
    }
}

fn no_runtime(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(
        error.to_string().contains("no tokio runtime here") && error.to_string().contains("#[tokio::main]"),
        "{error}"
    );
}

#[test]
fn each_request_is_an_error_and_nothing_is_sent() {
    let service = script([reply(200), reply(200), reply(200)]);
    let client = service.client().build().unwrap();
    no_runtime(&outside(client.request(Method::GET, "farms").send()).unwrap_err());
    no_runtime(&outside(client.request(Method::GET, "farms").timeout(secs(5)).send()).unwrap_err());
    no_runtime(&outside(client.task().post("exports").submit::<Value>()).unwrap_err());
    no_runtime(&outside(client.task().post("exports").timeout(secs(5)).submit::<Value>()).unwrap_err());
    for link in ["https://store.example.net/7?sig=S", "https://api.example.com/v1/files/7"] {
        no_runtime(&outside(client.download(link).to_memory(10)).unwrap_err());
        no_runtime(&outside(client.download(link).to_file("/no/such/folder/7")).unwrap_err());
        no_runtime(&outside(client.download(link).stream().try_next()).unwrap_err());
    }
    outside(client.revoke()).unwrap_err();
    outside(client.settle());
    assert!(service.requests().is_empty());
}

#[test]
fn an_awaited_task_ends_with_a_token() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let accepted = || reply(202).header("location", "tasks/1").header("retry-after", "60");
    let service = script([accepted(), accepted(), reply(200).json(7), reply(200).json(8)]);
    let client = service.client().build().unwrap();
    let submit = || client.task().post("exports").submit::<u32>();
    let (first, second) = runtime.block_on(async { (submit().await.unwrap(), submit().await.unwrap()) });
    let error = outside(first.into_future()).unwrap_err();
    no_runtime(&error);
    // A resume needs none, and the wait goes on where there is one.
    let resumed = client.resume::<u32>(error.token().unwrap().clone()).unwrap();
    assert_eq!(runtime.block_on(resumed.into_future()).unwrap().value().unwrap(), 7);
    // What is known already is told without one, and what has ended too.
    let mut second = second;
    assert!(outside(second.advance()).unwrap().is_ok());
    runtime.block_on(second.advance()).unwrap().unwrap();
    let outcome = outside(second.into_future()).unwrap();
    assert_eq!(outcome.value().unwrap(), 8);
    assert_eq!(outside(outcome.download().to_memory(10)).unwrap(), "8");
}

#[test]
fn a_free_permit_needs_no_runtime() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_minute(1)).unwrap();
    outside(throttle.acquire(Priority::Call, &RequestKey::new())).unwrap().answered();
}

#[test]
#[should_panic(expected = "runtime")]
fn a_permit_that_is_waited_for_panics() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_minute(1)).unwrap();
    throttle.try_acquire(Priority::Call, &RequestKey::new()).unwrap().answered();
    let _ = outside(throttle.acquire(Priority::Call, &RequestKey::new()));
}
