//! The crate `backoff` itself: its sequences drive retries and polls, and ours stand where it wants one.

use std::time::{Duration, Instant};

use backoff::ExponentialBackoff;
use backoff::backoff::{Backoff, Stop, Zero};
use longhaul::retries::Schedule;
use longhaul::testing::{reply, script};
use longhaul::{ErrorKind, PollPolicy, RetryPolicy};
use serde_json::Value;

use crate::support::secs;

fn exponential() -> ExponentialBackoff {
    ExponentialBackoff { initial_interval: secs(2), randomization_factor: 0.0, ..ExponentialBackoff::default() }
}

/// What it gives by itself.
fn by_itself(count: usize) -> Vec<Duration> {
    let mut clone = exponential().clone();
    clone.reset();
    (0..count).map(|_| clone.next_backoff().unwrap()).collect()
}

fn retries(schedule: Schedule) -> RetryPolicy {
    RetryPolicy::standard().retries(5).schedule(schedule)
}

/// A sequence that ends after two pauses.
#[derive(Clone)]
struct Twice(u64);

impl Backoff for Twice {
    fn reset(&mut self) {
        self.0 = 0;
    }

    fn next_backoff(&mut self) -> Option<Duration> {
        self.0 += 1;
        (self.0 <= 2).then(|| secs(self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn its_exponential_backoff_drives_the_retries_of_each_request() {
    let service = script(std::iter::repeat_n(reply(500), 12));
    let client = service.client().retry(retries(Schedule::backoff(exponential()))).build().unwrap();
    for _ in 0..2 {
        client.request(http::Method::GET, "things").send().await.unwrap_err();
    }
    let expected = by_itself(5);
    assert_eq!(expected[..3], [2.0, 3.0, 4.5].map(Duration::from_secs_f64));
    assert_eq!(service.gaps(), [&*expected, &[Duration::ZERO], &*expected].concat());
}

#[tokio::test(start_paused = true)]
async fn retry_after_wins_over_it_and_it_wins_over_a_shorter_one() {
    let refused = |hint| reply(503).header("retry-after", hint);
    let service = script([refused("60"), refused("1"), reply(500), reply(200)]);
    let client = service.client().retry(retries(Schedule::backoff(exponential()))).build().unwrap();
    client.request(http::Method::GET, "things").send().await.unwrap();
    assert_eq!(service.gaps(), [60.0, 3.0, 4.5].map(Duration::from_secs_f64));
}

#[tokio::test(start_paused = true)]
async fn its_end_ends_the_retries() {
    let service = script(std::iter::repeat_n(reply(500), 9));
    let client = service.client().retry(retries(Schedule::backoff(Twice(9)))).build().unwrap();
    let error = client.request(http::Method::GET, "things").send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Rejected, 3));
    assert_eq!(service.gaps(), [secs(1), secs(2)]);
}

#[tokio::test(start_paused = true)]
async fn it_drives_the_polls_of_a_task_and_the_service_still_wins() {
    let accepted = reply(202).header("location", "/v1/tasks/7");
    let hint = reply(202).header("retry-after", "60");
    let service = script([accepted, reply(202), reply(202), reply(202), hint, reply(200)]);
    let pace = PollPolicy::standard().without_jitter().schedule(Schedule::backoff(exponential()));
    let client = service.client().poll_policy(pace).build().unwrap();
    client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert_eq!(service.gaps(), [by_itself(4), vec![secs(60)]].concat());
}

#[tokio::test(start_paused = true)]
async fn its_end_ends_the_wait_with_a_token() {
    let accepted = || reply(202).header("location", "/v1/tasks/7");
    let service = script([accepted(), reply(202), reply(202), reply(202)]);
    let client =
        service.client().poll_policy(PollPolicy::standard().schedule(Schedule::backoff(Twice(9)))).build().unwrap();
    let error = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(error.to_string().contains("the poll policy's schedule has ended") && error.token().is_some(), "{error}");
    assert_eq!(service.gaps(), [secs(1), secs(2)]);
}

#[test]
fn its_jitter_does_not_pass_our_longest() {
    let theirs = ExponentialBackoff {
        initial_interval: secs(10),
        max_interval: secs(10),
        randomization_factor: 0.5,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    let schedule = Schedule::backoff(theirs);
    assert!(schedule.delays(0).take(500).any(|pause| pause > secs(10)), "by itself it passes its own maximum");
    assert!(schedule.longest(secs(10)).delays(0).take(500).all(|pause| pause <= secs(10)));
}

#[test]
fn our_pauses_are_a_backoff_that_starts_again() {
    for schedule in [
        Schedule::standard(),
        Schedule::decorrelated(secs(1), secs(60)),
        Schedule::custom(|seed| (0..3).map(move |step| secs(seed + step))),
        Schedule::backoff(exponential()),
    ] {
        let mut pauses = schedule.delays(7);
        let first: Vec<_> = (0..6).map(|_| pauses.next_backoff()).collect();
        pauses.reset();
        let again: Vec<_> = (0..6).map(|_| pauses.next_backoff()).collect();
        assert_eq!(first, again, "{schedule:?}");
        assert_eq!(first, schedule.delays(7).map(Some).chain([None; 6]).take(6).collect::<Vec<_>>());
    }
}

#[test]
fn our_pauses_drive_its_retry() {
    let steps = Schedule::steps([2, 30].map(Duration::from_millis));
    let (begun, mut tries) = (Instant::now(), 0);
    let answer = backoff::retry_notify(
        steps.delays(0),
        || {
            tries += 1;
            if tries < 4 { Err(backoff::Error::transient("not yet")) } else { Ok(tries) }
        },
        |_, pause: Duration| assert!([2, 30].map(Duration::from_millis).contains(&pause)),
    );
    assert_eq!(answer.unwrap(), 4);
    assert!(begun.elapsed() >= Duration::from_millis(2 + 30 + 30));
    let ended = Schedule::steps([]).delays(0);
    let gave_up = backoff::retry(ended, || Err::<(), _>(backoff::Error::transient("no")));
    assert!(matches!(gave_up, Err(backoff::Error::Transient { err: "no", .. })));
}

#[test]
fn its_smallest_ones_serve_too_and_none_is_written_down() {
    let zero = Schedule::backoff(Of(|| Box::new(Zero {})));
    assert_eq!(zero.delays(0).nth(100), Some(Duration::ZERO));
    assert_eq!(Schedule::backoff(Of(|| Box::new(Stop {}))).delays(0).next(), None);
    assert!(serde_json::to_string(&zero).unwrap_err().to_string().contains("is code"));
}

/// One of its types that cannot be cloned, made anew for each look.
#[derive(Clone)]
struct Of(fn() -> Box<dyn Backoff>);

impl Backoff for Of {
    fn next_backoff(&mut self) -> Option<Duration> {
        (self.0)().next_backoff()
    }
}
