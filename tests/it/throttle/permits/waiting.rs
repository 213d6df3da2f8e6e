//! Those that wait: their wakers, their runtime, and what they leave behind when they are dropped.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

use futures::future::FutureExt;
use http::StatusCode;
use longhaul::limits::{Permit, Priority, RequestKey, Scope};
use longhaul::testing::{reply, script};
use longhaul::{Limit, Throttle};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, timeout};

use super::{HOUR, MINUTE, SECOND, get, headers, passes, send};

/// A task of another executor: its waker is all that is left of it, and it held a permit.
#[expect(dead_code, reason = "it is dropped with the last waker")]
struct Holds(Mutex<Option<Permit>>);

impl Wake for Holds {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_is_dropped_without_the_lock() {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let throttle = Throttle::new();
            throttle.add_limit(Limit::concurrent(2)).unwrap();
            let (held, _other) =
                (send(&throttle, &RequestKey::new()).unwrap(), send(&throttle, &RequestKey::new()).unwrap());
            let mut waiting = Box::pin(throttle.acquire(Priority::Call, &RequestKey::new()));
            let task = Arc::new(Holds(Mutex::new(Some(held))));
            let waker = Waker::from(task.clone());
            assert!(waiting.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
            // That task is given up by its executor, and somebody else goes on with the wait.
            drop((waker, task));
            let _ = waiting.poll_unpin(&mut Context::from_waker(Waker::noop()));
        });
        let _ = sender.send(());
    });
    assert!(receiver.recv_timeout(5 * SECOND).is_ok(), "deadlock");
}

#[test]
fn a_runtime_without_a_timer_panics_and_does_not_hang() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per(1, SECOND / 10)).unwrap();
    assert!(passes(&throttle, &RequestKey::new()));
    let (sender, receiver) = channel();
    thread::spawn(move || {
        runtime.block_on(async { throttle.acquire(Priority::Call, &RequestKey::new()).await }).map(drop).ok();
        let _ = sender.send(());
    });
    let ended = receiver.recv_timeout(5 * SECOND);
    assert_ne!(ended, Err(RecvTimeoutError::Timeout), "it neither panics nor goes");
}

#[tokio::test(start_paused = true)]
async fn the_heart_beats_in_the_queue() {
    let running = || reply(200).json(json!({"status": "running"}));
    let service = script([reply(202).header("location", "/v1/tasks/1"), running(), running()]);
    let client = service.client().build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap().heartbeat(10 * SECOND);
    let _first = task.advance().await;
    client.throttle().pause(10 * MINUTE);
    let begun = Instant::now();
    for _ in 0..2 {
        let _ = timeout(HOUR, task.advance()).await;
    }
    assert!(begun.elapsed() < MINUTE, "no sign of life for {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_dropped_leave_the_slot_to_the_next() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::concurrent(1).scope(Scope::Credential)).unwrap();
    let keys = get("/x").credential("c");
    let holder = send(&throttle, &keys).unwrap();
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(throttle.acquire(Priority::Call, &keys))).collect();
    assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
    waiting.truncate(2);
    drop(holder);
    sleep(5 * SECOND).await;
    drop(waiting);
    assert!(passes(&throttle, &keys));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_was_due_for_one_who_left_delays_nobody() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::per_second(1)).unwrap();
    throttle.add_limit(Limit::concurrent(1).scope(Scope::route("/r"))).unwrap();
    let (other, both) = (get("/a"), get("/r"));

    // The window pauses for an hour; one who waits for that leaves, and the pause is ended by hand.
    let hour = headers(&[("retry-after", "3600")]);
    send(&throttle, &other).unwrap().heard(StatusCode::TOO_MANY_REQUESTS, &hour);
    let mut waits = Box::pin(throttle.acquire(Priority::Call, &other));
    assert!(waits.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(waits);
    throttle.resume();
    for _ in 0..70 {
        sleep(2 * SECOND).await;
        assert!(passes(&throttle, &other));
    }

    // One that waits for the place on its route finds the window all in flight, and that is answered.
    sleep(2 * SECOND).await;
    let mut first = send(&throttle, &both).unwrap();
    first.answered();
    sleep(2 * SECOND).await;
    let mut second = Box::pin(throttle.acquire(Priority::Call, &both));
    assert!(second.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut third = send(&throttle, &other).unwrap();
    drop(first);
    third.answered();
    timeout(5 * SECOND, second).await.expect("its window opens after a second").unwrap().answered();
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_an_answer_makes_passes_on_though_the_timer_sleeps() {
    let throttle = Throttle::new();
    throttle.add_limit(Limit::concurrent(1)).unwrap();
    let mut first = send(&throttle, &RequestKey::new()).unwrap();
    let mut idle = Box::pin(throttle.acquire(Priority::Call, &RequestKey::new()));
    assert!(idle.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    let next = tokio::spawn(throttle.acquire(Priority::Call, &RequestKey::new()));

    // Nothing is due but the end of the first, two minutes from now.
    sleep(SECOND).await;
    first.answered();
    drop(first);
    let passed = timeout(SECOND, next).await.expect("the one that is not polled holds up nobody");
    passed.unwrap().unwrap().answered();
    drop(idle);
}
