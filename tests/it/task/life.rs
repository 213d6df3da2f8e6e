//! A task from submit to outcome: waits, updates, drops, deadlines. Over a script, on a paused clock.

use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use longhaul::testing::{Script, reply, script};
use longhaul::{Client, ErrorKind, Protocol, ResumeToken, State, Task, Update};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{accepted, client, paused, secs};

async fn submit(service: &Script) -> Task<Value> {
    client(service).task().post("exports").json(&json!({"farms": [1]})).submit().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn honours_retry_after_then_follows_location() {
    let service = script([
        accepted().header("retry-after", "60"),
        reply(202).header("retry-after", "120"),
        reply(303).header("location", "/v1/results/7"),
        reply(200).json(json!({"rows": 7})),
    ]);
    let outcome = submit(&service).await.await.unwrap();
    assert_eq!(outcome.value().unwrap(), json!({"rows": 7}));
    assert_eq!(service.gaps(), [secs(60), secs(120), secs(0)]);
    let asked: Vec<_> =
        service.requests().iter().map(|seen| format!("{} {}", seen.method(), seen.url().path())).collect();
    assert_eq!(asked, ["POST /v1/exports", "GET /v1/tasks/7", "GET /v1/tasks/7", "GET /v1/results/7"]);
    assert_eq!(service.requests()[0].body().as_ref(), b"{\"farms\":[1]}");
}

#[tokio::test(start_paused = true)]
async fn a_hint_holds_until_another_comes() {
    let service = script([accepted(), reply(202).header("retry-after", "7"), reply(202), reply(202), reply(200)]);
    submit(&service).await.await.unwrap();
    assert_eq!(service.gaps(), [secs(1), secs(7), secs(7), secs(7)]);
}

#[tokio::test(start_paused = true)]
async fn without_hints_the_pause_grows_with_age() {
    let service = script([accepted()].into_iter().chain((0..200).map(|_| reply(202))).chain([reply(200)]));
    submit(&service).await.await.unwrap();
    let gaps = service.gaps();
    assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1]), "{gaps:?}");
    assert_eq!((gaps[0], gaps[200]), (secs(1), secs(30)));
}

#[tokio::test(start_paused = true)]
async fn smag_is_asked_soon_and_then_every_five_minutes() {
    let started = || reply(200).json(json!({"Status": "started"}));
    let service = script([
        reply(201).json(json!({"TaskUid": "7", "Location": "tasks/7"})),
        started(),
        started(),
        reply(200).json(json!({"Status": "finished", "Result": "https://store.example.net/7?sig=x"})),
    ]);
    let client = service.client().profile(longhaul::Profile::smag_task()).build().unwrap();
    let task = client.task().post("exports").submit::<Value>().await.unwrap();
    assert_eq!(task.handle().id().as_deref(), Some("7"));
    let outcome = task.await.unwrap();
    assert_eq!(outcome.links()[0].expose(), "https://store.example.net/7?sig=x");
    assert_eq!(service.gaps(), [secs(1), secs(300), secs(300)]);
}

#[tokio::test(start_paused = true)]
async fn the_first_update_comes_at_once_and_the_last_tells_the_end() {
    let service = script([
        accepted().header("retry-after", "60"),
        reply(202).json(json!({"status": "running", "percentComplete": 40})),
        reply(200).json(json!({"id": 7, "status": "Failed", "error": {"code": "Quota", "message": "too big"}})),
    ]);
    let mut task = submit(&service).await;
    let first = task.updates().next().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!((first.state(), first.next_poll(), first.polls()), (State::Accepted, Some(secs(60)), 0));
    let rest: Vec<Update> = task.updates().try_collect().await.unwrap();
    assert_eq!(rest.iter().map(Update::state).collect::<Vec<_>>(), [State::Running, State::Failed]);
    assert_eq!((rest[0].percent(), rest[0].word(), rest[1].polls()), (Some(40.0), Some("running"), 2));
    assert!(task.advance().await.is_none());

    let error = task.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TaskFailed);
    let fault = error.fault().unwrap();
    assert_eq!((fault.code(), fault.message()), (Some("Quota"), Some("too big")));
    assert_eq!(error.last_update().unwrap().state(), State::Failed);
}

#[tokio::test(start_paused = true)]
async fn what_finished_at_the_submit_needs_no_poll() {
    let service = script([reply(200).json(json!({"rows": 7}))]);
    let mut task = submit(&service).await;
    let updates: Vec<Update> = task.updates().try_collect().await.unwrap();
    assert_eq!(updates.iter().map(Update::state).collect::<Vec<_>>(), [State::Succeeded]);
    assert_eq!(task.await.unwrap().value().unwrap(), json!({"rows": 7}));
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_shape_does_not_lose_the_result() {
    let service = script([reply(200).json(json!({"rows": "many"}))]);
    let task = client(&service).task().post("exports").submit::<u32>().await.unwrap();
    let outcome = task.await.unwrap();
    assert_eq!(outcome.value().unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(outcome.text().unwrap(), r#"{"rows":"many"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_failed_poll_is_a_warning_and_one_attempt() {
    let service = script([
        accepted(),
        reply(500),
        reply(0).lost(),
        reply(0).unsent(),
        reply(202).body("cut").cut(),
        reply(200).json(json!(1)),
    ]);
    let mut task = submit(&service).await;
    let updates: Vec<Update> = task.updates().try_collect().await.unwrap();
    let warned: Vec<_> = updates.iter().map(|update| update.warning().is_some()).collect();
    assert_eq!(warned, [false, true, true, true, true, false]);
    assert_eq!(service.requests().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_hangs_is_given_up_and_asked_again() {
    let service = script([accepted(), reply(200).silent(), reply(200).json(json!(1))]);
    submit(&service).await.await.unwrap();
    assert_eq!(service.gaps()[1], secs(60) + Duration::from_millis(3050), "the attempt's timeout, and 5 % of the age");
}

#[tokio::test(start_paused = true)]
async fn trouble_ends_the_wait_after_ten_minutes_with_a_token() {
    let service = script([accepted()].into_iter().chain((0..1000).map(|_| reply(503))));
    let error = submit(&service).await.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StatusUnreadable);
    assert!(error.elapsed().unwrap() > secs(600) && error.polls().unwrap() > 10, "{error:?}");
    let token = error.token().unwrap().clone();

    let service = script([reply(200).json(json!(1))]);
    assert_eq!(client(&service).resume::<Value>(token).unwrap().await.unwrap().value().unwrap(), json!(1));
}

#[tokio::test(start_paused = true)]
async fn a_hint_past_the_deadline_ends_the_wait_at_once() {
    let service = script([accepted().header("retry-after", "5"), reply(202).header("retry-after", "60")]);
    let mut task = submit(&service).await.timeout(secs(30));
    let begun = tokio::time::Instant::now();
    let error = loop {
        match task.advance().await.unwrap() {
            Ok(update) => assert!(update.state() != State::Succeeded),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(begun.elapsed(), secs(5));
    assert_eq!((error.retry_after(), error.polls()), (Some(secs(60)), Some(1)));
    assert_eq!(error.last_update().unwrap().hint(), Some(secs(60)));
    assert!(error.token().unwrap().can_resume());
    assert!(task.advance().await.is_none());
    assert_eq!(task.await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn our_own_pause_is_cut_for_a_last_look_before_the_deadline() {
    let service = script([accepted()].into_iter().chain((0..1000).map(|_| reply(202))));
    let begun = tokio::time::Instant::now();
    let error = submit(&service).await.timeout(secs(500)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    let last = Duration::from_millis(499_750);
    assert_eq!((begun.elapsed(), service.requests().last().unwrap().at()), (last, last));
    assert!(error.to_string().contains("the next poll would come after it"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_binds_a_poll_that_hangs_and_a_submit() {
    let service = script([accepted(), reply(200).silent()]);
    let begun = tokio::time::Instant::now();
    let error = submit(&service).await.timeout(secs(10)).await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, secs(10)));

    let service = script([reply(503).header("retry-after", "60")]);
    let task = client(&service).task().post("exports").timeout(secs(10)).submit::<Value>().await;
    assert_eq!(task.unwrap_err().kind(), ErrorKind::Throttled);
    assert_eq!(service.requests().len(), 1, "a retry would come after the deadline");
}

#[tokio::test(start_paused = true)]
async fn a_nudge_cuts_our_own_pause_and_never_the_services() {
    let service = script([accepted(), reply(202), reply(202).header("retry-after", "60"), reply(200)]);
    let client =
        service.client().profile(longhaul::Profile::auto().protocol(Protocol::auto().default_interval(secs(300))));
    let mut task = client.build().unwrap().task().post("exports").submit::<Value>().await.unwrap();
    let handle = task.handle();
    let mut updates = task.updates();
    updates.next().await.unwrap().unwrap();
    updates.next().await.unwrap().unwrap();
    let nudging = async {
        tokio::time::sleep(secs(10)).await;
        handle.nudge();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        update = updates.next() => assert_eq!(update.unwrap().unwrap().hint(), Some(secs(60))),
        () = nudging => {}
    }
    handle.nudge();
    drop(updates);
    task.await.unwrap();
    assert_eq!(service.gaps(), [secs(1), secs(10), secs(60)]);
}

#[tokio::test(start_paused = true)]
async fn cancel_is_a_request_and_the_stream_runs_on_to_the_true_end() {
    let service = script([accepted(), reply(202), reply(202), reply(404)]);
    let mut task = submit(&service).await;
    let handle = task.handle();
    task.advance().await.unwrap().unwrap();
    task.advance().await.unwrap().unwrap();
    handle.cancel().await.unwrap();
    let states: Vec<State> = task.updates().map_ok(|update| update.state()).try_collect().await.unwrap();
    assert_eq!(states, [State::Canceled]);
    assert_eq!(task.await.unwrap_err().kind(), ErrorKind::TaskCanceled);
    assert_eq!(service.requests()[2].method(), "DELETE");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_can_lose_to_success_and_can_be_unknown() {
    let service = script([accepted(), reply(202), reply(202), reply(200).json(json!(1))]);
    let task = submit(&service).await;
    let handle = task.handle();
    handle.cancel().await.unwrap();
    assert_eq!(task.await.unwrap().value().unwrap(), json!(1));

    let service = script([reply(201).json(json!({"TaskUid": "7", "Location": "/t"}))]);
    let client = service.client().profile(longhaul::Profile::smag_task()).build().unwrap();
    let task = client.task().post("exports").submit::<Value>().await.unwrap();
    let error = task.handle().cancel().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("smag_task"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_result_too_large_to_hold_becomes_a_link() {
    let service = script([
        accepted(),
        reply(303).header("location", "/v1/results/7"),
        reply(200).body(vec![7_u8; 5000]),
        reply(200).body(vec![8_u8; 5000]),
    ]);
    let client = service.client().body_limit(1000).credential(longhaul::Credential::bearer("T")).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert_eq!(outcome.value().unwrap_err().kind(), ErrorKind::ResultShape);
    assert_eq!(outcome.download().to_memory(10_000).await.unwrap(), vec![7_u8; 5000], "the answer that came");
    assert_eq!(service.requests().len(), 3);
    assert_eq!(outcome.download().to_memory(10_000).await.unwrap(), vec![8_u8; 5000], "another one");
    assert_eq!(service.requests()[3].header("authorization"), Some("Bearer T"));
}

#[tokio::test(start_paused = true)]
async fn the_callers_headers_go_with_every_request_to_the_origin() {
    let service = script([accepted(), reply(202).header("location", "https://other.example/t"), reply(200)]);
    let client = service.client().credential(longhaul::Credential::bearer("T")).build().unwrap();
    let new = client.task().post("exports").header("X-Tenant", "7").json(&json!({}));
    new.submit::<Value>().await.unwrap().await.unwrap();
    let seen: Vec<_> = service
        .requests()
        .iter()
        .map(|seen| (seen.header("x-tenant").is_some(), seen.header("authorization").is_some()))
        .collect();
    assert_eq!(seen, [(true, true), (true, true), (false, false)]);
    assert!(service.requests()[1].header("content-type").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_api_key_that_the_service_echoes_is_not_kept() {
    let service = script([reply(202).header("location", "/v1/tasks/7?apikey=K3Y&v=2"), reply(200)]);
    let client = service.client().credential(longhaul::Credential::api_key_query("apikey", "K3Y")).build().unwrap();
    let task = client.task().post("exports").submit::<Value>().await.unwrap();
    assert!(!task.handle().token().to_string().contains("K3Y"));
    task.await.unwrap();
    assert_eq!(service.requests()[1].url().query(), Some("v=2&apikey=K3Y"));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refused_where_it_does_not_belong() {
    let service = script([accepted(), reply(200)]);
    let token = submit(&service).await.handle().token();
    let text = token.to_string();
    let refused = |client: longhaul::ClientBuilder, text: &str| {
        let token: Result<ResumeToken, _> = text.parse();
        let error = token.and_then(|token| client.build().unwrap().resume::<Value>(token)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidToken);
        error.to_string()
    };
    let other = Client::builder("https://other.example/v1");
    assert!(refused(other, &text).contains("https://api.example.com/v1/"));
    let smag = service.client().profile(longhaul::Profile::smag_task());
    assert!(refused(smag, &text).contains("`auto`"));
    assert!(refused(service.client(), &text.replace("\"version\":1", "\"version\":9")).contains("version is 9"));
    assert!(refused(service.client(), "{}").contains("not the text of a resume token"));
    assert!(refused(service.client(), "garbage").contains("not the text of a resume token"));
}

#[tokio::test(start_paused = true)]
async fn a_signed_status_url_is_in_a_token_only_by_name() {
    let service = script([reply(202).header("location", "/v1/tasks/7?sig=S3CRET"), reply(200).json(json!(1))]);
    let task = submit(&service).await;
    let (plain, signed) = (task.handle().token(), task.handle().token_with_signed_urls());
    assert!(!plain.to_string().contains("S3CRET") && !plain.can_resume());
    assert!(client(&service).resume::<Value>(plain).unwrap_err().to_string().contains("token_with_signed_urls"));
    assert!(signed.to_string().contains("S3CRET"));
    assert!(!format!("{signed:?} {task:?} {:?}", task.handle()).contains("S3CRET"));
    client(&service).resume::<Value>(signed).unwrap().await.unwrap();
}

/// A long conversation, with answers that take their time.
fn conversation() -> Script {
    script([
        accepted().header("retry-after", "3").after(Duration::from_millis(300)),
        reply(202).header("retry-after", "2.5").after(Duration::from_millis(1700)),
        reply(503).header("retry-after", "1").after(Duration::from_millis(20)),
        reply(307).header("location", "/v1/elsewhere/7").header("retry-after", "0.5").after(Duration::from_millis(900)),
        reply(202).json(json!({"status": "running", "percentComplete": 60})).after(Duration::from_millis(400)),
        reply(404).after(Duration::from_millis(10)).lost(),
        reply(303).header("location", "/v1/results/7").after(Duration::from_millis(600)),
        reply(404).after(Duration::from_millis(50)),
        reply(200).json(json!({"rows": 7})).after(Duration::from_millis(1100)),
    ])
}

/// Runs it with everything dropped after each of these ticks, in this way; tells updates and requests.
async fn disturbed(ticks: &[(u64, u8)]) -> (Vec<Update>, Vec<Duration>, Value) {
    let service = conversation();
    let mut task = submit(&service).await;
    let mut told = Vec::new();
    let mut ticks = ticks.iter().cycle();
    let outcome = loop {
        let Some((millis, way)) = ticks.next() else { break task.await };
        let tick = tokio::time::sleep(Duration::from_millis(*millis));
        match way {
            0 => tokio::select! {
                biased;
                update = task.advance() => match update {
                    Some(update) => told.push(update.unwrap()),
                    None => break task.await,
                },
                () = tick => {}
            },
            1 => tokio::select! {
                biased;
                () = tick => {}
                update = async { task.updates().next().await } => match update {
                    Some(update) => told.push(update.unwrap()),
                    None => break task.await,
                },
            },
            _ => {
                let mut updates = task.into_updates();
                let update = tokio::select! {
                    biased;
                    update = updates.next() => Some(update),
                    () = tick => None,
                };
                task = updates.into_task();
                match update {
                    Some(Some(update)) => told.push(update.unwrap()),
                    Some(None) => break task.await,
                    None => {}
                }
            }
        }
    };
    let at = service.requests().iter().map(longhaul::testing::Recorded::at).collect();
    (told, at, outcome.unwrap().value().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("LONGHAUL_LONG").is_some() { 5000 } else { 150 },
        ..ProptestConfig::default()
    })]

    /// Every future and stream is dropped again and again, at every kind of moment: the run is the same to the
    /// millisecond, so nothing is lost and nothing is sent earlier than its hint.
    #[test]
    fn drops_at_any_moment_lose_nothing(ticks in prop::collection::vec((1..2500_u64, 0..3_u8), 1..40)) {
        let undisturbed = paused(disturbed(&[(1_000_000, 0)]));
        prop_assert_eq!(paused(disturbed(&ticks)), undisturbed);
    }
}

#[test]
fn a_drop_at_every_single_millisecond_loses_nothing() {
    let undisturbed = paused(disturbed(&[(1_000_000, 0)]));
    let end = u64::try_from(undisturbed.1.last().unwrap().as_millis()).unwrap() + 2000;
    let step = if std::env::var_os("LONGHAUL_LONG").is_some() { 1 } else { 17 };
    for cut in (1..end).step_by(step) {
        assert_eq!(paused(disturbed(&[(cut, 0), (1_000_000, 1)])), undisturbed, "dropped after {cut} ms");
    }
    assert_eq!(undisturbed.0.iter().map(Update::state).next_back(), Some(State::Succeeded));
}

#[test]
fn a_task_resumed_at_every_state_ends_as_an_undisturbed_one() {
    for stop_after in 0..5 {
        let (gaps, value) = paused(async {
            let service = conversation();
            let mut task = submit(&service).await;
            for _ in 0..=stop_after {
                task.advance().await.unwrap().unwrap();
            }
            let text = task.handle().token().to_string();
            drop(task);
            let token: ResumeToken = text.parse().unwrap();
            let outcome = client(&service).resume::<Value>(token).unwrap().await.unwrap();
            (service.gaps(), outcome.value().unwrap())
        });
        assert_eq!(value, json!({"rows": 7}), "resumed after update {stop_after}");
        let undisturbed = paused(disturbed(&[(1_000_000, 0)])).1;
        let before: Vec<_> = undisturbed.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // Hints are kept over the restart. The pauses that the service did not ask for may be cut short by it.
        let hinted = [3300, 1700 + 2500, 20 + 1000];
        for (at, millis) in hinted.into_iter().enumerate() {
            assert!(gaps[at] >= Duration::from_millis(millis), "{gaps:?} against {before:?}");
        }
    }
}

#[test]
fn a_task_can_be_sent_and_is_unpin() {
    fn check<T: Send + Unpin>(_: &T) {}
    let service = script([accepted()]);
    paused(async {
        let task = submit(&service).await;
        check(&task);
        check(&task.handle());
    });
}
