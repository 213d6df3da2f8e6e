//! No accepted task is lost: answers that break, addresses that need work, results that are handed out once. Over a
//! script, on a paused clock.

use std::time::Duration;

use futures::TryStreamExt;
use http::Method;
use longhaul::protocols::{ResultKind, Source, StatusKind};
use longhaul::testing::{Canned, reply, script};
use longhaul::{ErrorKind, Event, Protocol, State, Task};
use serde_json::{Value, json};

use crate::support::{asked, client};

fn done(rows: u32) -> Canned {
    reply(200).json(json!({"status": "Succeeded", "result": {"rows": rows}}))
}

#[tokio::test(start_paused = true)]
async fn headers_that_name_the_status_url_stand_without_a_body() {
    for (status, header) in [
        (202, "operation-location"),
        (200, "azure-asyncoperation"),
        (201, "operation-location"),
        (202, "location"),
        (201, "location"),
        (202, "content-location"),
    ] {
        let accepted = reply(status).header(header, "/v1/jobs/9").json(json!({"id": "9", "status": "Accepted"})).cut();
        let service = script([accepted, reply(202), done(7)]);
        let task: Task<Value> = client(&service).task().post("exports").submit().await.unwrap();
        assert_eq!(task.handle().status_url().unwrap().expose(), "https://api.example.com/v1/jobs/9", "{header}");
        assert_eq!(task.await.unwrap().value().unwrap(), json!({"rows": 7}), "{status} {header}");
        assert_eq!(asked(&service), ["POST /v1/exports", "GET /v1/jobs/9", "GET /v1/jobs/9"], "{status} {header}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_answer_without_a_place_to_ask_is_repeated_where_safe() {
    let broken = || reply(202).json(json!({"id": "9"})).cut();
    let accepted = || reply(202).header("location", "/v1/jobs/9");
    // A POST may have acted.
    let service = script([broken()]);
    let error = client(&service).task().post("exports").submit::<Value>().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Network, 1));
    assert_eq!(error.status().map(|status| status.as_u16()), Some(202));
    assert!(error.to_string().contains("may have the task"), "{error}");
    // With a key it is the same submit, however often it comes.
    let service = script([broken(), reply(200).body("{").cut(), accepted(), done(7)]);
    let submit = client(&service).task().post("exports").idempotency_key("k");
    let task = submit.submit::<Value>().await.unwrap();
    assert!(task.await.unwrap().value().is_ok());
    let keys: Vec<_> =
        service.requests().iter().take(3).map(|seen| seen.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys, ["k", "k", "k"]);
    // So are methods that may be repeated.
    for method in [Method::PUT, Method::GET] {
        let service = script([broken(), accepted(), done(7)]);
        let submit = client(&service).task().method(method.clone(), "exports");
        assert!(submit.submit::<Value>().await.unwrap().await.is_ok(), "{method}");
    }
    // Not for ever.
    let service = script((0..20).map(|_| broken()));
    let error = client(&service).task().put("exports").submit::<Value>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(service.requests().len() <= 6, "{}", service.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_breaks_off_is_a_refusal() {
    for (status, kind) in [(400, ErrorKind::Rejected), (401, ErrorKind::Unauthorized), (409, ErrorKind::Rejected)] {
        let service = script([reply(status).json(json!({"error": "no"})).cut()]);
        let error = client(&service).task().post("exports").submit::<Value>().await.unwrap_err();
        assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (kind, Some(status)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_whose_body_breaks_off_keeps_what_its_status_says() {
    for (status, kind) in [(410, ErrorKind::Gone), (403, ErrorKind::StatusUnreadable)] {
        let service =
            script([reply(202).header("operation-location", "/v1/jobs/9"), reply(status).json(json!({"a": 1})).cut()]);
        let task: Task<Value> = client(&service).task().post("exports").submit().await.unwrap();
        assert_eq!(task.await.unwrap_err().kind(), kind, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_beyond_ascii_is_encoded_and_an_unusable_one_ignored() {
    for (location, path) in [
        ("/jobs/\u{17e}lu\u{165}", "/jobs/%C5%BElu%C5%A5"),
        ("/jobs/a b", "/jobs/a%20b"),
        ("../jobs/7?name=M\u{fc}ller", "/jobs/7?name=M%C3%BCller"),
        ("https://api.example.com/jobs/\u{65e5}", "/jobs/%E6%97%A5"),
    ] {
        let service = script([reply(202).header("location", location), done(7)]);
        let task: Task<Value> = client(&service).task().post("exports").submit().await.unwrap();
        task.await.unwrap();
        assert_eq!(asked(&service)[1], format!("GET {path}"), "{location}");
    }
    for location in
        ["urn:job:9", "https://u:p@api.example.com/x", "http://api.example.com/x", "\"/jobs/1\"", "see below"]
    {
        let accepted = reply(202).header("location", location).json(json!({"status_url": "/v1/jobs/9"}));
        let service = script([accepted, done(7)]);
        let task: Task<Value> = client(&service).task().post("exports").submit().await.unwrap();
        task.await.unwrap();
        assert_eq!(asked(&service)[1], "GET /v1/jobs/9", "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn named_places_count_at_any_success() {
    let current = Protocol::auto().status_template("report/current");
    for status in [200, 201, 202, 204] {
        let service = script([reply(status), reply(200).json(json!({"status": "running"})), done(7)]);
        let task: Task<Value> =
            client(&service).task().protocol(current.clone()).post("report").submit().await.unwrap();
        task.await.unwrap();
        assert_eq!(asked(&service)[1], "GET /v1/report/current", "{status}");
    }
    let named = Protocol::auto().status_url(Source::header("location"), StatusKind::Bare);
    for status in [200, 201, 202, 203, 303] {
        let service =
            script([reply(status).header("location", "/v1/r/9"), reply(202), reply(200).json(json!({"n": 1}))]);
        let task: Task<Value> = client(&service).task().protocol(named.clone()).post("report").submit().await.unwrap();
        assert_eq!(task.await.unwrap().value().unwrap(), json!({"n": 1}), "{status}");
        assert_eq!(asked(&service)[1..], ["GET /v1/r/9", "GET /v1/r/9"], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pointer_in_the_body_rotates() {
    let trino = Protocol::auto()
        .status_url(Source::pointer("/nextUri"), StatusKind::Monitor)
        .state(Source::pointer("/stats/state"));
    let page = |number: u32, state: &str| {
        reply(200).json(json!({"nextUri": format!("/v1/q/{number}"), "stats": {"state": state}}))
    };
    let end = reply(200).json(json!({"stats": {"state": "FINISHED"}, "data": [[1]]}));
    let service = script([page(1, "QUEUED"), page(2, "RUNNING"), page(3, "SHUFFLING"), end]);
    let task: Task<Value> = client(&service).task().protocol(trino).post("statement").submit().await.unwrap();
    task.await.unwrap();
    assert_eq!(asked(&service)[1..], ["GET /v1/q/1", "GET /v1/q/2", "GET /v1/q/3"]);
    // A link to itself does not lead away, and an unusable one is passed over with a warning.
    let running = |url: &str| {
        reply(200).json(json!({"status": "running", "_links": {"self": {"href": url}}, "status_url": "http://x/"}))
    };
    let service =
        script([reply(202).header("operation-location", "/v1/o"), running("https://internal.example/1"), done(7)]);
    let task: Task<Value> = client(&service).task().post("exports").submit().await.unwrap();
    let updates: Vec<_> = task.into_updates().try_collect().await.unwrap();
    assert!(updates[1].warning().unwrap().contains("ignored a new status URL"), "{updates:?}");
    assert_eq!(asked(&service)[1..], ["GET /v1/o", "GET /v1/o"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_handed_out_once_is_not_asked_for_again() {
    let rows = "0123456789abcde\n".repeat(64);
    let large = || reply(200).header("content-type", "text/csv").body(rows.clone());
    let done_at = |url: &str| reply(200).json(json!({"status": "Succeeded", "resourceLocation": url}));
    for answers in [
        vec![reply(202).header("location", "/v1/t"), reply(303).header("location", "/v1/r"), large(), reply(410)],
        vec![reply(202).header("location", "/v1/t"), reply(302).header("location", "/v1/r"), large(), reply(410)],
        vec![reply(202).header("location", "/v1/t"), reply(202), large(), reply(410)],
        vec![reply(202).header("operation-location", "/v1/o"), done_at("/v1/r"), large(), reply(410)],
        vec![large(), reply(410)],
    ] {
        let service = script(answers.clone());
        let client = service.client().body_limit(100).build().unwrap();
        let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
        assert_eq!(outcome.download().to_memory(1 << 20).await.unwrap(), rows.as_bytes(), "{answers:?}");
        assert_eq!(service.requests().len(), answers.len() - 1, "{answers:?}");
        // A second download has to ask.
        assert!(outcome.download().to_memory(1 << 20).await.is_err(), "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_result_goes_on_where_it_provably_fits() {
    let large = reply(200).header("etag", "\"e\"").header("content-length", "16").body("0123456789").cut();
    let rest = reply(206).header("etag", "\"e\"").header("content-range", "bytes 10-15/16").body("abcde\n");
    let service = script([reply(202).header("location", "/v1/t"), reply(303).header("location", "/v1/r"), large, rest]);
    let client = service.client().body_limit(4).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert_eq!(outcome.download().to_memory(100).await.unwrap(), b"0123456789abcde\n".as_slice());
    assert_eq!(service.requests()[3].header("range"), Some("bytes=10-"));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_the_end_sends_nothing() {
    let failed = reply(200).json(json!({"status": "failed"}));
    for end in [done(7), failed] {
        let service = script([reply(202).header("operation-location", "/v1/o"), end]);
        let mut task: Task<Value> = client(&service).task().post("exports").submit().await.unwrap();
        let handle = task.handle();
        while task.advance().await.is_some() {}
        handle.cancel().await.unwrap();
        assert_eq!(service.requests().len(), 2);
    }
    let service = script([reply(200).json(json!({"rows": 7}))]);
    let task: Task<Value> = client(&service).task().post("exports").submit().await.unwrap();
    task.handle().cancel().await.unwrap();
    assert_eq!(service.requests().len(), 1, "finished at once");
}

#[tokio::test(start_paused = true)]
async fn a_head_poll_fetches_its_result_by_get() {
    let head = |protocol: Protocol| protocol.poll("HEAD {status}".parse().unwrap());
    let accepted = || reply(202).header("location", "/v1/t");
    let service = script([accepted(), reply(202), reply(200), reply(200).body("a,b")]);
    let task: Task<Value> = client(&service).task().protocol(head(Protocol::auto())).post("x").submit().await.unwrap();
    assert_eq!(task.await.unwrap().text().as_deref(), Some("a,b"));
    assert_eq!(asked(&service)[1..], ["HEAD /v1/t", "HEAD /v1/t", "GET /v1/t"]);
    // The result where a header of the HEAD says so.
    let located = head(Protocol::auto()).result(Source::header("x-result"), ResultKind::Url);
    let service = script([accepted(), reply(200).header("x-result", "/v1/r"), reply(200).json(json!([7]))]);
    let task: Task<Value> = client(&service).task().protocol(located).post("x").submit().await.unwrap();
    assert_eq!(task.await.unwrap().value().unwrap(), json!([7]));
    assert_eq!(asked(&service)[1..], ["HEAD /v1/t", "GET /v1/r"]);
    // A monitor there is still running.
    let running = reply(200).json(json!({"status": "running"}));
    let service = script([accepted(), reply(200), running, reply(200), done(7)]);
    let task: Task<Value> = client(&service).task().protocol(head(Protocol::auto())).post("x").submit().await.unwrap();
    assert_eq!(task.await.unwrap().value().unwrap(), json!({"rows": 7}));
}

#[tokio::test(start_paused = true)]
async fn a_word_that_stays_unknown_is_an_event_and_the_wait_goes_on() {
    let polishing = || reply(200).header("retry-after", "60").json(json!({"status": "polishing"}));
    let answers = [reply(202).header("operation-location", "/v1/o")];
    let service = script(answers.into_iter().chain((0..15).map(|_| polishing())).chain([done(7)]));
    let client = client(&service);
    let events = client.events();
    let task: Task<Value> = client.task().post("exports").submit().await.unwrap();
    task.await.unwrap();
    drop(client);
    let events: Vec<Event> = futures::StreamExt::collect(events).await;
    let stuck: Vec<_> = events.iter().filter(|event| matches!(event, Event::UnknownWord { .. })).collect();
    assert_eq!(stuck.len(), 1, "{events:?}");
    assert!(stuck[0].to_string().contains("`polishing`"), "{}", stuck[0]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_during_a_body_loses_no_acceptance() {
    let accepted = reply(202).header("operation-location", "/v1/o").json(json!({"id": 1})).cut();
    let service = script([accepted.after(Duration::from_secs(2)), reply(202).header("retry-after", "60")]);
    let task: Task<Value> =
        client(&service).task().post("exports").timeout(Duration::from_secs(5)).submit().await.unwrap();
    let error = task.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(error.token().unwrap().can_resume());
}

#[tokio::test(start_paused = true)]
async fn the_beginning_of_a_large_body_shows_that_it_is_no_result() {
    let page = || reply(200).body(format!("<!doctype html>{}", "x".repeat(500)));
    let failed = reply(200).json(json!({"status": "Failed", "code": "Q", "text": "x".repeat(500)}));
    let running = || reply(200).json(json!({"status": "Running"}));
    let accepted = || reply(202).header("location", "/v1/t");
    let rows = reply(200).header("content-type", "application/json").body(format!("[{}7]", "7, ".repeat(200)));
    for (answers, kind) in [
        (vec![page()], Some(ErrorKind::Decode)),
        (vec![accepted(), running(), failed], Some(ErrorKind::TaskFailed)),
        (vec![accepted(), running(), page(), running(), rows.clone()], None),
        (vec![accepted(), rows], None),
    ] {
        let service = script(answers.clone());
        let client = service.client().body_limit(100).build().unwrap();
        let ended = match client.task().post("exports").submit::<Value>().await {
            Ok(task) => task.await,
            Err(error) => Err(error),
        };
        assert_eq!(ended.as_ref().err().map(longhaul::Error::kind), kind, "{answers:?}");
        if let Ok(outcome) = ended {
            assert!(outcome.download().to_memory(10_000).await.unwrap().starts_with(b"[7, "));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_poll_goes_on_where_get_showed_a_running_state() {
    let head = Protocol::auto().poll("HEAD {status}".parse().unwrap());
    let running = || reply(200).json(json!({"status": "running"}));
    for first in ["location", "operation-location"] {
        let accepted = reply(202).header(first, "/v1/t");
        let service = script([accepted, reply(200), running(), reply(200), running(), reply(200), done(7)]);
        let task: Task<Value> = client(&service).task().protocol(head.clone()).post("x").submit().await.unwrap();
        assert_eq!(task.await.unwrap().value().unwrap(), json!({"rows": 7}), "{first}");
        assert_eq!(service.requests().iter().filter(|seen| seen.method() == Method::HEAD).count(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_resumed_in_an_outage_has_patience_of_its_own() {
    let running = || reply(200).json(json!({"status": "running"}));
    let service = script([reply(202).header("location", "/v1/tasks/7"), running(), reply(503)]);
    let client = service.client().build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    for _ in 0..3 {
        task.advance().await.unwrap().unwrap();
    }
    let text = task.token().to_string();
    drop(task);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    service.then(reply(503));
    service.then(reply(200).json(json!({"status": "succeeded", "result": 7})));
    let value = client.resume::<u32>(text.parse().unwrap()).unwrap().await.unwrap().value().unwrap();
    assert_eq!(value, 7);
}

#[tokio::test(start_paused = true)]
async fn an_error_says_how_to_get_a_token_with_a_status_url() {
    for (url, has_token) in [
        ("/v1/tasks/7?ticket=a1b2c3d4e5", false),
        ("/v1/tasks/7?sig=S1GN", false),
        ("/v1/tasks/7?plan=Basic+2024&report=digest%20weekly", true),
        ("/v1/tasks/7?page_token=x", true),
    ] {
        let service = script([reply(202).header("operation-location", url), reply(403), reply(200)]);
        let client = service.client().build().unwrap();
        let error = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap_err();
        assert_eq!(error.token().is_some(), has_token, "{url}: {error}");
        assert_eq!(error.to_string().contains("token_with_signed_urls"), !has_token, "{url}: {error}");
        if let Some(token) = error.token() {
            drop(client.resume::<Value>(token.to_string().parse().unwrap()).unwrap());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_below_the_status_url_may_have_a_query() {
    for (cancel, asked) in [
        ("DELETE {status}?force=true", "https://api.example.com/v1/tasks/7?v=1&force=true"),
        ("POST {status}/cancel?reason=a%20b", "https://api.example.com/v1/tasks/7/cancel?v=1&reason=a%20b"),
        ("POST {status}:cancel?id={id}", "https://api.example.com/v1/tasks/7:cancel?v=1&id=j7"),
        ("POST {status}/{id}/stop", "https://api.example.com/v1/tasks/7/j7/stop?v=1"),
    ] {
        let accepted = reply(202).header("location", "/v1/tasks/7?v=1").json(json!({"id": "j7"}));
        let service = script([accepted, reply(202)]);
        let client = service.client().build().unwrap();
        let protocol = Protocol::auto().cancel(cancel.parse().unwrap());
        let task = client.task().protocol(protocol).post("exports").submit::<Value>().await.unwrap();
        task.handle().cancel().await.unwrap();
        assert_eq!(service.requests()[1].url().as_str(), asked, "{cancel}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_field_or_a_broken_body_can_name_the_status() {
    let broken = |body: &str| reply(202).header("content-type", "application/json").body(body.to_owned());
    for (accepted, status) in [
        (reply(202).header("location", "urn:x:1").header("location", "/v1/t/1"), "/v1/t/1"),
        (reply(202).header("location", "https://u:p@a.example/t").header("location", "/v1/t/2"), "/v1/t/2"),
        (broken(r#"{"status_url": "/v1/t/3", "note": "\ud83d"}"#), "/v1/t/3"),
        (broken(r#"{"status_url": "/v1/t/4", "eta": NaN}"#), "/v1/t/4"),
        (broken(r#"{"status_url": "/v1/t/5", "note": "cut of"#), "/v1/t/5"),
    ] {
        let service = script([accepted, reply(200).json(json!({"status": "succeeded", "result": 7}))]);
        let value = client(&service).task().post("exports").submit::<u32>().await.unwrap().await.unwrap().value();
        assert_eq!(value.unwrap(), 7, "{status}");
        assert_eq!(asked(&service)[1], format!("GET {status}"));
    }
    // A URL or an id that is cut off is none.
    let template = || Protocol::auto().status_template("jobs/{id}");
    for (body, protocol) in
        [(r#"{"status_url": "/v1/t/"#, Protocol::auto()), (r#"{"id": 12"#, template()), (r#"{"id": "12"#, template())]
    {
        let service = script([broken(body)]);
        let error = client(&service).task().protocol(protocol).post("exports").submit::<u32>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoStatusUrl, "{body}");
        assert_eq!(service.requests().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_running_document_is_no_result() {
    let log = "x".repeat(2 << 20);
    let done = || reply(200).json(json!({"status": "succeeded", "result": 7}));
    for (accepted, first) in [
        (reply(202).header("location", "/v1/t"), format!(r#"{{"status": "running", "log": "{log}"}}"#)),
        (reply(202).header("location", "/v1/t"), format!(r#"{{"a": 1, "state": "QUEUED", "log": "{log}"}}"#)),
        (reply(202).header("location", "/v1/t"), r#"{"jobId": "7", "status": null}"#.to_owned()),
        (reply(202).header("location", "/v1/t"), r#"{"id": 7, "state": "", "message": "m"}"#.to_owned()),
        (reply(201).header("location", "/v1/t"), r#"{"jobID": "1", "status": null}"#.to_owned()),
        (reply(201).header("location", "/v1/t"), r#"{"id": "1", "state": ""}"#.to_owned()),
    ] {
        let service =
            script([accepted, reply(200).header("content-type", "application/json").body(first.clone()), done()]);
        let client = service.client().build().unwrap();
        let outcome = client.task().post("exports").submit::<u32>().await.unwrap().await.unwrap();
        assert_eq!(outcome.value().unwrap(), 7, "{first:.80}");
    }
    // A large result may begin with any member, and a value may have a state that is empty.
    for first in [json!({"rows": [1], "text": log}), json!({"rows": [1], "status": null})] {
        let service = script([reply(202).header("location", "/v1/t"), reply(200).json(first)]);
        let client = service.client().build().unwrap();
        let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
        assert_eq!(outcome.state(), State::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_in_the_member_of_the_url_moves_no_poll() {
    let protocol = Protocol::auto().status_url(Source::pointer("/status"), StatusKind::Monitor);
    for word in ["running", "queued", "crunching"] {
        let accepted = json!({"id": 7, "state": "accepted", "status": "https://api.example.com/v1/exports/7"});
        let service = script([
            reply(202).json(accepted),
            reply(200).json(json!({"state": "running", "status": word})),
            reply(200).json(json!({"state": "running", "status": "https://api.example.com/v1/exports/7b"})),
            reply(200).json(json!({"status": "done", "rows": 3})),
        ]);
        let client = client(&service);
        let task: Task<Value> = client.task().protocol(protocol.clone()).post("exports").submit().await.unwrap();
        let outcome = task.await.unwrap();
        assert_eq!(outcome.value().unwrap()["rows"], 3, "{word}");
        let polls = ["/v1/exports/7", "/v1/exports/7", "/v1/exports/7b"];
        assert_eq!(service.requests()[1..4].iter().map(|sent| sent.url().path().to_owned()).collect::<Vec<_>>(), polls);
    }
}
