//! Schedules at work: retries and polls that follow them. Over a script, on a paused clock.

use std::time::Duration;

use longhaul::retries::Schedule;
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{ErrorKind, PollPolicy, Profile, RetryPolicy, State};
use serde_json::Value;

use crate::support::secs;

fn broken(times: usize) -> Script {
    script(std::iter::repeat_n(reply(500), times))
}

async fn ask(service: &Script, retry: RetryPolicy) -> longhaul::Result<()> {
    let client = service.client().retry(retry).build().unwrap();
    client.request(http::Method::GET, "things").send().await.map(drop)
}

fn polls(answers: impl IntoIterator<Item = Canned>) -> Script {
    script([reply(202).header("location", "/v1/tasks/7")].into_iter().chain(answers))
}

async fn submit(service: &Script, schedule: Schedule) -> longhaul::Task<Value> {
    let client =
        service.client().poll_policy(PollPolicy::standard().without_jitter().schedule(schedule)).build().unwrap();
    client.task().post("exports").submit().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn realtime_retries_four_times_within_thirty_seconds() {
    let service = broken(9);
    assert_eq!(ask(&service, RetryPolicy::realtime()).await.unwrap_err().attempts(), 5);
    assert_eq!(service.gaps(), [3, 9, 27, 30].map(secs));
}

#[tokio::test(start_paused = true)]
async fn batch_goes_up_the_ladder_and_stays_on_its_last_step() {
    let service = broken(30);
    assert_eq!(ask(&service, RetryPolicy::batch()).await.unwrap_err().attempts(), 21);
    let gaps = service.gaps();
    assert_eq!(gaps[..4], [3, 9, 27, 300].map(secs));
    assert_eq!(gaps[4..], [secs(600); 16]);
}

#[tokio::test(start_paused = true)]
async fn retries_end_where_the_schedule_ends() {
    let schedule = Schedule::custom(|_| [secs(2), secs(5)].into_iter());
    let service = broken(9);
    let error = ask(&service, RetryPolicy::standard().schedule(schedule).retries(9)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Rejected, 3));
    assert_eq!(service.gaps(), [secs(2), secs(5)]);
    // Also where the service says when to come again.
    let service = script([reply(503).header("retry-after", "7"), reply(200)]);
    assert!(ask(&service, RetryPolicy::standard().schedule(Schedule::steps([]))).await.is_err());
    assert_eq!(service.left(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_download_ends_where_the_schedule_ends() {
    let retry = RetryPolicy::standard().schedule(Schedule::custom(|_| [secs(2), secs(5)].into_iter()));
    let service = script(std::iter::repeat_n(reply(500), 9));
    let client = service.client().retry(retry).build().unwrap();
    let link = "https://store.example.net/7?sig=x";
    client.download(link).to_memory(1000).await.unwrap_err();
    assert_eq!(service.gaps(), [secs(2), secs(5)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_polls_by_the_schedule_where_the_service_does_not_say() {
    let hint = || reply(202).header("retry-after", "60");
    let service = polls([reply(202), reply(202), reply(202), hint(), reply(202), reply(200)]);
    submit(&service, Schedule::steps([2, 7, 4].map(secs))).await.await.unwrap();
    // What it asked once holds on.
    assert_eq!(service.gaps(), [2, 7, 4, 4, 60, 60].map(secs));
}

#[tokio::test(start_paused = true)]
async fn a_zero_hint_leaves_the_choice_to_the_schedule() {
    let service = polls([reply(202).header("retry-after", "0"), reply(200)]);
    submit(&service, Schedule::steps([2, 7].map(secs))).await.await.unwrap();
    assert_eq!(service.gaps(), [secs(2), secs(7)]);
}

#[tokio::test(start_paused = true)]
async fn floor_and_ceiling_hold_for_a_schedule() {
    let service = polls([reply(202), reply(200)]);
    let steps = Schedule::steps([Duration::ZERO, secs(1_000)]);
    let pace = PollPolicy::standard().floor(secs(1)).ceiling(secs(90)).schedule(steps);
    let client = service.client().poll_policy(pace).build().unwrap();
    client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert_eq!(service.gaps(), [secs(1), secs(90)]);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_goes_before_the_protocols_default() {
    let started = || reply(200).json(serde_json::json!({"Status": "started"}));
    let service =
        script([reply(201).json(serde_json::json!({"TaskUid": "7", "Location": "tasks/7"})), started(), started()]);
    let pace = PollPolicy::standard().schedule(Schedule::constant(secs(5)));
    let client = service.client().profile(Profile::smag_task()).poll_policy(pace).build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    while service.left() > 0 {
        task.advance().await.unwrap().unwrap();
    }
    assert!(task.explain().contains("the poll policy's schedule"), "{}", task.explain());
    assert_eq!(service.gaps(), [secs(5), secs(5)]);
}

#[tokio::test(start_paused = true)]
async fn each_task_has_pauses_of_its_own() {
    let accepted = || reply(202).header("location", "/v1/tasks/7");
    let service = script([accepted(), reply(202), reply(200), accepted(), reply(202), reply(200)]);
    let client = service.client().poll_policy(PollPolicy::standard().schedule(Schedule::ladder())).build().unwrap();
    for _ in 0..2 {
        client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    }
    assert_eq!(service.gaps(), [3, 9, 0, 3, 9].map(secs));
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_with_a_token_where_the_schedule_ends() {
    let service = polls([reply(202), reply(202), reply(202)]);
    let schedule = Schedule::custom(|_| [secs(2), secs(7)].into_iter());
    let mut task = submit(&service, schedule).await;
    // What the last poll told is told.
    for polls in 0..3 {
        let update = task.advance().await.unwrap().unwrap();
        assert_eq!((update.polls(), update.next_poll().is_some()), (polls, polls < 2));
    }
    let error = task.advance().await.unwrap().unwrap_err();
    assert!(task.advance().await.is_none());
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(error.to_string().contains("the poll policy's schedule has ended"), "{error}");
    assert_eq!(error.last_update().unwrap().state(), State::Running);
    assert_eq!(service.gaps(), [secs(2), secs(7)]);
    // The task goes on, and so may the wait.
    let client = service.client().build().unwrap();
    service.then(reply(200));
    client.resume::<Value>(error.token().unwrap().clone()).unwrap().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_before_the_schedule() {
    let service = polls(std::iter::repeat_n(reply(202), 9));
    let task = submit(&service, Schedule::ladder()).await.timeout(secs(20));
    let error = task.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(!error.to_string().contains("schedule"), "{error}");
    // Two steps of the ladder, and last looks shortly before the deadline.
    assert_eq!(service.gaps(), [3.0, 9.0, 7.0, 0.75].map(Duration::from_secs_f64));
}
