//! Cancels: where they go, and when none is sent.

use longhaul::protocols::Source;
use longhaul::testing::{reply, script};
use longhaul::{ErrorKind, Protocol};
use serde_json::{Value, json};

use super::{exchange, submit};
use crate::support::{accepted, asked, client, secs};

#[tokio::test(start_paused = true)]
async fn a_cancel_goes_where_the_protocol_or_the_service_says() {
    for (protocol, answer, request) in [
        (Protocol::auto(), json!({}), "DELETE /v1/tasks/7"),
        (
            Protocol::auto().cancel(exchange("POST jobs/{id}/cancel")),
            json!({"id": "a b"}),
            "POST /v1/jobs/a%20b/cancel",
        ),
        (Protocol::auto(), json!({"urls": {"cancel": "/v1/stop/7"}}), "POST /v1/stop/7"),
        (
            Protocol::auto()
                .cancel_url(Source::pointer("/stop"))
                .cancel(exchange("PATCH {status} {\"state\": \"Aborted\"}")),
            json!({"stop": "../stop/7"}),
            "PATCH /stop/7",
        ),
        (
            Protocol::auto().cancel_url(Source::pointer("/stop")).cancel(exchange("POST x {\"job\": \"{id}\"}")),
            json!({"stop": "/stop", "id": "j7"}),
            "POST /stop {\"job\": \"j7\"}",
        ),
    ] {
        let service = script([accepted().json(answer), reply(202), reply(410)]);
        submit(&service, protocol).await.handle().cancel().await.unwrap();
        let body = String::from_utf8(service.requests()[1].body().to_vec()).unwrap();
        let sent = format!("{} {body}", asked(&service)[1]);
        assert!(sent.trim_end().starts_with(request), "{sent} for {request}");
    }
    let service = script([accepted()]);
    let error = submit(&service, Protocol::auto().without_cancel()).await.handle().cancel().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let service = script([accepted(), reply(409).json(json!({"code": "TooLate"}))]);
    let error = submit(&service, Protocol::auto()).await.handle().cancel().await.unwrap_err();
    assert_eq!((error.kind(), error.fault().unwrap().code()), (ErrorKind::Rejected, Some("TooLate")));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_task_is_canceled_only_where_that_was_asked_for() {
    let service = script([accepted(), accepted(), reply(204)]);
    drop(submit(&service, Protocol::auto()).await);
    drop(submit(&service, Protocol::auto()).await.cancel_on_drop());
    tokio::time::sleep(secs(1)).await;
    let deletes = asked(&service).into_iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!((deletes, service.requests().len()), (1, 3));

    let service = script([accepted(), reply(200).json(json!(1))]);
    let mut task = submit(&service, Protocol::auto()).await.cancel_on_drop();
    (&mut task).await.unwrap();
    drop(task);
    tokio::time::sleep(secs(1)).await;
    assert_eq!(service.requests().len(), 2, "one that has ended is not");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ended_early_does_not_spare_the_cancel() {
    let service = script([accepted().header("retry-after", "60"), reply(204)]);
    let task = submit(&service, Protocol::auto()).await.cancel_on_drop().timeout(secs(5));
    assert_eq!(task.await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    tokio::time::sleep(secs(1)).await;
    assert_eq!(asked(&service)[1..], ["DELETE /v1/tasks/7"]);
}

#[tokio::test(start_paused = true)]
async fn cleanup_is_a_request_of_its_own() {
    let google = Protocol::google_operations();
    let service = script([
        reply(200).json(json!({"name": "operations/7"})),
        reply(200).json(json!({"done": true, "response": {"n": 1}})),
        reply(200),
    ]);
    let outcome = submit(&service, google).await.await.unwrap();
    outcome.cleanup().await.unwrap();
    assert_eq!(asked(&service)[2], "DELETE /v1/operations/7");
    let service = script([reply(200)]);
    let error = submit(&service, Protocol::auto()).await.await.unwrap().cleanup().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn what_was_created_is_never_deleted_by_a_cancel() {
    let service = script([reply(201).json(json!({"status": "updating"})), reply(204)]);
    let new = client(&service).task().method(http::Method::PATCH, "vm/1");
    let task = new.submit::<Value>().await.unwrap();
    assert_eq!(task.handle().cancel().await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_was_redirected_was_not_heard() {
    let service = script([accepted(), reply(302).header("location", "/login"), reply(404)]);
    let task = submit(&service, Protocol::auto()).await;
    assert_eq!(task.handle().cancel().await.unwrap_err().kind(), ErrorKind::Rejected);
    assert_ne!(task.await.unwrap_err().kind(), ErrorKind::TaskCanceled);
}
