//! One poll for many tasks: who goes with whom and when, and that no task depends on another.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{join_all, poll_fn};
use longhaul::protocols::{PollMany, Source};
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, ErrorKind, Limit, Profile, Protocol, Task};
use serde_json::{Value, json};

use super::exchange;
use crate::support::{asked, client, secs};

fn many() -> PollMany {
    PollMany::new(exchange("GET jobs?ids={ids}"), 10).items(Source::pointer("/jobs/*"))
}

fn jobs(many: PollMany) -> Protocol {
    Protocol::auto().named("jobs").status_template("jobs/{id}").poll_many(many)
}

/// Returns a token of a task with this id, which may be polled at once.
async fn token(id: u32, client: &Client, service: &Script, protocol: &Protocol) -> longhaul::ResumeToken {
    service.then(reply(202).json(json!({"id": id})));
    let start = client.task().protocol(protocol.clone()).post("jobs");
    start.submit::<Value>().await.unwrap().token()
}

/// Returns tasks with the ids from 1 on, which are all due at once, and a service that has seen no poll.
async fn tasks(count: u32, client: &Client, service: &Script, protocol: &Protocol) -> Vec<Task<Value>> {
    let mut tasks = Vec::new();
    for id in 1..=count {
        let token = token(id, client, service, protocol).await;
        tasks.push(client.resume_with(token, protocol.clone()).unwrap());
    }
    tasks
}

fn job(id: u32, status: &str) -> Value {
    json!({"id": id, "status": status, "result": id * 10})
}

fn list(jobs: impl IntoIterator<Item = Value>) -> Canned {
    reply(200).json(json!({"jobs": jobs.into_iter().collect::<Vec<_>>()}))
}

fn done(ids: impl IntoIterator<Item = u32>) -> Canned {
    list(ids.into_iter().map(|id| job(id, "succeeded")))
}

async fn values(tasks: Vec<Task<Value>>) -> Vec<u64> {
    join_all(tasks).await.into_iter().map(|outcome| outcome.unwrap().value().unwrap().as_u64().unwrap()).collect()
}

/// Polls a future once, and drops it.
async fn is_pending<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Returns the polls: all requests but the submits.
fn polls(service: &Script) -> Vec<String> {
    asked(service).into_iter().filter(|line| line != "POST /v1/jobs").collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_due_share_requests_and_each_reads_its_own_status() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let tasks = tasks(12, &client, &service, &protocol).await;
    // In any order, and with tasks of other people.
    service.then(done((1..=11).rev().chain([99])));
    service.then(done([12, 11]));
    assert_eq!(values(tasks).await, (1..=12).map(|id| id * 10).collect::<Vec<_>>());
    assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,2,3,4,5,6,7,8,9,10", "GET /v1/jobs?ids=11,12"]);
    assert_eq!(service.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_kind_share_polls_that_follow_their_submits() {
    let service = script([reply(202).json(json!({"id": 1})), reply(202).json(json!({"id": 2}))]);
    let client = service.client().profile(Profile::auto().kind("job", jobs(many()))).build().unwrap();
    let one: Task<Value> = client.task().kind("job").post("jobs").submit().await.unwrap();
    let two: Task<Value> = client.task().kind("job").post("jobs").submit().await.unwrap();
    service.then(list([job(1, "running"), job(2, "running")]));
    service.then(done([1, 2]));
    let outcomes = join_all([one, two]).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().last_update().polls() == 2));
    assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,2"; 2]);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_wait_for_a_permit_go_with_the_first_that_gets_one() {
    let (service, protocol) = (script([]), jobs(many()));
    let tokens = client(&service);
    let limited = service.client().limit(Limit::per(1, secs(60))).build().unwrap();
    let mut tasks = Vec::new();
    for id in 1..=25 {
        let token = token(id, &tokens, &service, &protocol).await;
        tasks.push(limited.resume_with(token, protocol.clone()).unwrap());
    }
    for ids in [1..=10, 11..=20, 21..=25] {
        service.then(done(ids));
    }
    assert_eq!(values(tasks).await.len(), 25);
    assert_eq!(polls(&service).len(), 3);
    assert_eq!(service.gaps()[25..], [secs(60), secs(60)]);
}

#[tokio::test(start_paused = true)]
async fn no_task_is_polled_before_the_service_asked_and_others_a_part_of_their_pause_earlier() {
    // Task 1 is polled after 100 s. Task 2 began 20 s later, so its own pause ends at 120 s.
    for (asks, early, expected) in [
        // Its own choice: a quarter of 100 s.
        (false, 0.25, ["0 POST", "20 POST", "100 1,2"].as_slice()),
        (false, 0.1, &["0 POST", "20 POST", "100 1", "120 2"]),
        (false, 0.0, &["0 POST", "20 POST", "100 1", "120 2"]),
        // The service's: never.
        (true, 1.0, &["0 POST", "20 POST", "100 1", "120 2"]),
    ] {
        let pace = longhaul::retries::Schedule::constant(secs(100)).without_jitter();
        let service = script([]);
        let protocol = jobs(many().early(early));
        let policy = longhaul::PollPolicy::standard().without_jitter().schedule(pace);
        let client = service.client().poll_policy(policy).build().unwrap();
        let accepted = |id: u32| {
            let answer = reply(202).json(json!({"id": id}));
            if asks { answer.header("retry-after", "100") } else { answer }
        };
        let start = |id: u32| {
            service.then(accepted(id));
            client.task().protocol(protocol.clone()).post("jobs").submit::<Value>()
        };
        let one = start(1).await.unwrap();
        tokio::time::sleep(secs(20)).await;
        let two = start(2).await.unwrap();
        service.then(done([1, 2]));
        service.then(done([2]));
        let (one, two) = tokio::join!(one, two);
        one.and(two).unwrap();
        let line = |seen: &longhaul::testing::Recorded| {
            let what = seen.url().query().map_or(seen.method().as_str(), |query| query.trim_start_matches("ids="));
            format!("{} {what}", seen.at().as_secs())
        };
        let lines: Vec<_> = service.requests().iter().map(line).collect();
        assert_eq!(lines, expected, "{asks} {early}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_missing_is_polled_alone_at_once_and_for_good_after_the_third_time() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let tasks = tasks(2, &client, &service, &protocol).await;
    let running = || reply(200).json(job(2, "running")).at("jobs/2");
    for _ in 0..4 {
        service.then(list([job(1, "running")]));
        service.then(running());
    }
    service.then(done([1]));
    service.then(reply(200).json(job(2, "succeeded")).at("jobs/2"));
    assert_eq!(values(tasks).await, [10, 20]);
    let both = "GET /v1/jobs?ids=1,2";
    let (one, two) = ("GET /v1/jobs?ids=1", "GET /v1/jobs/2");
    let polls = polls(&service);
    assert_eq!(polls[..6], [both, two, both, two, both, two]);
    assert_eq!(polls[6..].iter().filter(|line| *line == one).count(), 2, "{polls:?}");
    assert_eq!(polls[6..].iter().filter(|line| *line == two).count(), 2, "{polls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_dropped_or_no_longer_awaited_leaves_the_request_to_the_others() {
    for is_dropped in [true, false] {
        let (service, protocol) = (script([]), jobs(many()));
        let client = client(&service);
        let mut tasks = tasks(3, &client, &service, &protocol).await;
        service.then(done([1, 2, 3]).after(secs(9)));
        let mut leader = Some(tasks.remove(0));
        tokio::time::sleep(secs(1)).await;
        // The first is due, and sends; its answer is still out.
        assert!(is_pending(leader.as_mut().unwrap().advance()).await);
        if is_dropped {
            leader = None;
        }
        let others = tokio::time::timeout(secs(60), values(tasks)).await.expect("they wait for the leader");
        assert_eq!(others, [20, 30]);
        assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,2,3"], "nothing is sent again");
        if let Some(leader) = leader {
            assert_eq!(leader.await.unwrap().value().unwrap(), 10);
            assert_eq!(polls(&service).len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_awaited_takes_no_old_answer_and_holds_up_nobody() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let mut tasks = tasks(3, &client, &service, &protocol).await;
    service.then(list([job(1, "succeeded"), job(2, "succeeded"), job(3, "running")]));
    let idle = tasks.pop().unwrap();
    assert_eq!(values(tasks).await, [10, 20]);
    assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,2,3"]);
    tokio::time::sleep(secs(3600)).await;
    service.then(reply(200).json(job(3, "succeeded")).at("jobs/3"));
    assert_eq!(idle.await.unwrap().value().unwrap(), 30);
    assert_eq!(polls(&service)[1..], ["GET /v1/jobs/3"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_awaited_for_a_while_asks_no_earlier_than_its_old_answer_says() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let mut tasks = tasks(2, &client, &service, &protocol).await;
    service.then(list([job(1, "succeeded"), job(2, "running")]).header("retry-after", "60"));
    let idle = tasks.pop().unwrap();
    assert_eq!(values(tasks).await, [10]);
    tokio::time::sleep(secs(5)).await;
    service.then(done([2]));
    assert_eq!(idle.await.unwrap().value().unwrap(), 20);
    assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,2", "GET /v1/jobs?ids=2"]);
    assert!(service.gaps().last().unwrap() >= &secs(60), "{:?}", service.gaps());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_task_is_not_asked_for() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let mut tasks = tasks(3, &client, &service, &protocol).await;
    drop(tasks.remove(1));
    service.then(done([1, 3]));
    assert_eq!(values(tasks).await, [10, 30]);
    assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,3"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_of_its_task_alone() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let mut tasks = tasks(2, &client, &service, &protocol).await;
    service.then(done([1, 2]).after(secs(30)));
    let (late, other) = (tasks.remove(0).timeout(secs(10)), tasks.remove(0));
    let (late, other) = tokio::join!(late, other);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(other.unwrap().value().unwrap(), 20);
    assert_eq!(polls(&service).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_load_makes_all_wait_and_costs_one_request() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let tasks = tasks(3, &client, &service, &protocol).await;
    let before = service.requests().len();
    service.then(reply(429).header("retry-after", "40"));
    service.then(reply(0).lost());
    service.then(done([1, 2, 3]));
    assert_eq!(values(tasks).await, [10, 20, 30]);
    assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,2,3"; 3]);
    assert!(service.gaps()[before] >= secs(40), "{:?}", service.gaps());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_take_the_request_gets_single_polls_for_a_minute() {
    for unfit in [
        reply(404),
        reply(400),
        reply(413),
        reply(200).json(json!({"error": 1})),
        reply(307).header("location", "/v1/x"),
    ] {
        let (service, protocol) = (script([]), jobs(many()));
        let client = client(&service);
        let tasks = tasks(2, &client, &service, &protocol).await;
        service.then(unfit.clone());
        for id in [1, 2] {
            let path = format!("jobs/{id}");
            service.then(reply(202).json(job(id, "running")).header("retry-after", "30").at(&path));
            service.then(reply(202).json(job(id, "running")).header("retry-after", "50").at(&path));
        }
        service.then(done([1, 2]));
        assert_eq!(values(tasks).await, [10, 20], "{unfit:?}");
        let both = "GET /v1/jobs?ids=1,2";
        let (one, two) = ("GET /v1/jobs/1", "GET /v1/jobs/2");
        assert_eq!(polls(&service), [both, one, two, one, two, both], "{unfit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_whose_request_for_several_fails_again_and_again_are_polled_alone() {
    for failed in [reply(500), reply(504), reply(0).silent()] {
        let (service, protocol) = (script([]), jobs(many()));
        let client = client(&service);
        let tasks = tasks(2, &client, &service, &protocol).await;
        service.then(failed.clone());
        service.then(failed.clone());
        for id in [1, 2] {
            service.then(reply(200).json(job(id, "succeeded")).at(format!("jobs/{id}")));
        }
        assert_eq!(values(tasks).await, [10, 20], "{failed:?}");
        let both = "GET /v1/jobs?ids=1,2";
        let polls = polls(&service);
        assert_eq!((&polls[..2], polls.len()), (&[both.to_owned(), both.to_owned()][..], 4), "{failed:?}: {polls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_in_a_json_body() {
    let service = script([]);
    let ids = PollMany::new(exchange(r#"POST jobs/status {"ids": ["{ids}"]}"#), 2).id(Source::pointer("/jobId"));
    let protocol = jobs(ids);
    let client = client(&service);
    let tasks = tasks(2, &client, &service, &protocol).await;
    service.then(
        reply(200).json(json!([{"jobId": "2", "status": "failed"}, {"jobId": 1, "status": "done", "result": 1}])),
    );
    let outcomes = join_all(tasks).await;
    assert_eq!(outcomes[0].as_ref().unwrap().value().unwrap(), 1);
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::TaskFailed);
    let poll = service.requests().pop().unwrap();
    assert_eq!((poll.url().path(), &poll.body()[..]), ("/v1/jobs/status", &br#"{"ids":["1","2"]}"#[..]));
    assert_eq!(poll.header("content-type"), Some("application/json"));
}

#[tokio::test(start_paused = true)]
async fn tasks_with_other_headers_or_with_cookies_share_nothing() {
    let service = script([]);
    let client = client(&service);
    let protocol = jobs(many());
    let start = |id: u32, tenant: &'static str, cookies: bool| {
        service.then(reply(202).json(json!({"id": id})));
        let task = client.task().protocol(protocol.clone()).post("jobs").header("x-tenant", tenant);
        if cookies { task.with_cookies() } else { task }.submit::<Value>()
    };
    let tasks = vec![
        start(1, "a", false).await.unwrap(),
        start(2, "b", false).await.unwrap(),
        start(3, "a", false).await.unwrap(),
        start(4, "a", true).await.unwrap(),
    ];
    service.then(done([1, 3]));
    service.then(done([2]));
    service.then(reply(200).json(job(4, "succeeded")).at("jobs/4"));
    assert_eq!(values(tasks).await, [10, 20, 30, 40]);
    let mut polls = polls(&service);
    polls.sort();
    assert_eq!(polls, ["GET /v1/jobs/4", "GET /v1/jobs?ids=1,3", "GET /v1/jobs?ids=2"]);
    let tenants: Vec<_> =
        service.requests()[4..6].iter().map(|seen| seen.header("x-tenant").unwrap().to_owned()).collect();
    assert_eq!(tenants, ["a", "b"]);
}

/// Nothing of one request's headers is taken for the task's own.
#[tokio::test(start_paused = true)]
async fn headers_of_the_list_are_not_those_of_a_task() {
    let (service, protocol) = (script([]), jobs(many()).conditional());
    let client = client(&service);
    let tasks = tasks(2, &client, &service, &protocol).await;
    let listed =
        list([job(1, "running"), job(2, "running")]).header("etag", "\"1\"").header("location", "/v1/elsewhere");
    service.then(listed.header("retry-after", "33"));
    service.then(done([1, 2]));
    let before = service.requests().len();
    assert_eq!(values(tasks).await, [10, 20]);
    assert_eq!(polls(&service), ["GET /v1/jobs?ids=1,2"; 2]);
    assert_eq!(service.gaps()[before], secs(33));
    assert!(service.requests().iter().all(|seen| seen.header("if-none-match").is_none()));
}

/// Any order of awaiting: every task ends, with its own value, and in no more requests than tasks.
#[tokio::test(start_paused = true)]
async fn tasks_awaited_in_turns_on_several_futures_all_end() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let mut tasks = tasks(20, &client, &service, &protocol).await;
    for _ in 0..40 {
        service.then(done(1..=20).after(Duration::from_millis(700)));
    }
    let chance = &mut fastrand_like(7);
    let mut seen = 0;
    while !tasks.is_empty() {
        let at = usize::try_from(chance()).unwrap() % tasks.len();
        let mut task = tasks.swap_remove(at);
        // Some are looked at and left, some are awaited.
        let is_done = !is_pending(&mut task).await;
        if is_done {
            seen += 1;
        } else if chance().is_multiple_of(3) {
            task.await.unwrap();
            seen += 1;
        } else {
            tasks.push(task);
            tokio::time::sleep(Duration::from_millis(u64::from(chance() % 900))).await;
        }
    }
    assert_eq!(seen, 20);
    assert!(polls(&service).len() <= 20, "{:?}", polls(&service));
}

/// A fixed sequence of numbers.
fn fastrand_like(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    }
}

/// On several threads, in real time: whoever is woken drives the requests on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_on_several_threads_all_end() {
    let (service, protocol) = (script([]), jobs(many()));
    let client = client(&service);
    let tasks = tasks(200, &client, &service, &protocol).await;
    for _ in 0..200 {
        service.then(done(1..=200).after(Duration::from_millis(3)));
    }
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    for (task, id) in tasks.into_iter().zip(1..) {
        assert_eq!(task.await.unwrap().unwrap().value().unwrap(), id * 10);
    }
    let polls = polls(&service);
    assert!((20..=200).contains(&polls.len()), "{}", polls.len());
}
