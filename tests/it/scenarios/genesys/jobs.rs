//! Jobs: each kind in its own words, to its pages or files, and their cancels.

use futures::TryStreamExt;
use http::Method;
use longhaul::testing::{Genesys, JobEnd, Side};
use longhaul::{ErrorKind, State};
use serde_json::{Value, json};

use super::{builder, client, lines, quick_retries, sent, submit};
use crate::support::Folder;

const DETAILS: &str = "analytics/conversations/details/jobs";

#[tokio::test]
async fn queries_of_the_analytics_end_in_pages_behind_a_cursor() {
    for (kind, path) in [
        ("conversation_details", DETAILS),
        ("user_details", "analytics/users/details/jobs"),
        ("conversation_aggregates", "analytics/conversations/aggregates/jobs"),
        ("audit", "audits/query"),
    ] {
        let service = Genesys::builder().rows(5).page_size(2).start().await.unwrap();
        let client = client(&service);
        let mut task = submit(&client, kind, path).await.unwrap();
        let id = service.jobs().remove(0);
        let mut states = Vec::new();
        while let Some(update) = task.advance().await {
            states.push(update.unwrap().state());
        }
        assert_eq!(states.last(), Some(&State::Succeeded), "{kind}");
        let outcome = task.await.unwrap();
        let rows: Vec<Value> = outcome.pages().try_collect().await.unwrap();
        assert_eq!(rows.len(), 5, "{kind}");
        let poll = format!("GET {path}/{id}");
        let page = format!("{poll}/results");
        let expected = [&format!("POST {path}"), &poll, &poll, &poll, &page, &page, &page];
        assert_eq!(lines(&service).iter().collect::<Vec<_>>(), expected);
        assert_eq!((service.counts().polls(), service.counts().follow_ups()), (3, 3));
        assert_eq!(service.counts().misplaced_credentials(), 0);
    }
}

#[tokio::test]
async fn a_query_that_fails_or_expires_says_why() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    service.end_next_job(JobEnd::Failed("The query is too large".to_owned()));
    service.end_next_job(JobEnd::Expired);
    service.end_next_job(JobEnd::Failed(String::new()));
    let mut failures = Vec::new();
    for (kind, path) in
        [("conversation_details", DETAILS), ("conversation_details", DETAILS), ("audit", "audits/query")]
    {
        failures.push(submit(&client, kind, path).await.unwrap().await.unwrap_err());
    }
    let kinds: Vec<ErrorKind> = failures.iter().map(longhaul::Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::TaskFailed, ErrorKind::TaskExpired, ErrorKind::TaskFailed]);
    assert!(failures[0].to_string().contains("The query is too large"), "{}", failures[0]);
}

#[tokio::test]
async fn a_cancel_deletes_the_job_and_the_task_ends_canceled() {
    for (kind, path) in [("conversation_details", DETAILS), ("recording_job", "recording/jobs")] {
        let service = Genesys::builder().busy_polls(1_000).start().await.unwrap();
        let client = client(&service);
        let mut task = submit(&client, kind, path).await.unwrap();
        task.advance().await.unwrap().unwrap();
        task.handle().cancel().await.unwrap();
        assert_eq!(task.await.unwrap_err().kind(), ErrorKind::TaskCanceled);
        assert_eq!((service.counts().cancels(), sent(&service, &Method::DELETE)), (1, 1));
        let id = service.jobs().remove(0);
        assert!(lines(&service).contains(&format!("DELETE {path}/{id}")));
    }
}

#[tokio::test]
async fn a_recording_job_is_told_to_process_once_when_it_is_ready() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    let outcome = submit(&client, "recording_job", "recording/jobs").await.unwrap().await.unwrap();
    assert_eq!(outcome.state(), State::Succeeded);
    let id = service.jobs().remove(0);
    let (poll, put) = (format!("GET recording/jobs/{id}"), format!("PUT recording/jobs/{id}"));
    let expected = ["POST recording/jobs", &poll, &poll, &poll, &put, &poll, &poll, &poll];
    assert_eq!(lines(&service), expected);
}

#[tokio::test]
async fn a_third_recording_job_waits_until_there_is_room() {
    let service = Genesys::builder().busy_polls(1).start().await.unwrap();
    let client = builder(&service).retry(quick_retries()).build().unwrap();
    let jobs = (0..3)
        .map(|_| async { submit(&client, "recording_job", "recording/jobs").await.unwrap().await.unwrap().state() });
    assert_eq!(futures::future::join_all(jobs).await, [State::Succeeded; 3]);
    assert_eq!(service.jobs().len(), 3);
    assert_eq!(sent(&service, &Method::PUT), 3);
    let refused = service.log().iter().filter(|seen| seen.status().is_some_and(|status| status == 429)).count();
    assert!((1..=3).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_batch_ends_with_a_file_for_each_recording_and_no_token_at_the_storage() {
    let service = Genesys::builder().file_size(5_000).start().await.unwrap();
    service.lose_recording("r2", "The recording was deleted");
    let client = client(&service);
    let list: Vec<Value> =
        ["r1", "r2", "r3"].iter().map(|id| json!({ "conversationId": "c", "recordingId": id })).collect();
    let task = client.task().kind("recording_batch").post("recording/batchrequests");
    let task = task.json(&json!({ "batchDownloadRequestList": list })).submit::<Value>().await.unwrap();
    let outcome = task.await.unwrap();
    assert_eq!(outcome.state(), State::PartiallySucceeded);
    let folder = Folder::new();
    let mut files = Vec::new();
    for (at, download) in outcome.downloads().into_iter().enumerate() {
        let path = folder.path().join(at.to_string());
        download.to_file(&path).await.unwrap();
        files.push(std::fs::read(&path).unwrap());
    }
    assert_eq!(files, [service.file("r1"), service.file("r3")]);
    assert_eq!(service.counts().misplaced_credentials(), 0);
    let storage = service.log().into_iter().filter(|seen| seen.side() == Side::Storage);
    assert!(storage.flat_map(|seen| seen.header_names().to_vec()).all(|name| name != "authorization"));
}

#[tokio::test]
async fn an_export_is_downloaded_through_the_api_and_its_redirect() {
    for (end, state) in [(JobEnd::Complete, State::Succeeded), (JobEnd::Partial, State::PartiallySucceeded)] {
        let service = Genesys::builder().start().await.unwrap();
        let client = client(&service);
        service.end_next_job(end);
        let mut task = submit(&client, "reporting_export", "analytics/reporting/exports").await.unwrap();
        let id = service.jobs().remove(0);
        let mut percents = Vec::new();
        while let Some(update) = task.advance().await {
            percents.extend(update.unwrap().percent());
        }
        assert_eq!(percents, [0.0, 0.0, 50.0, 100.0]);
        let outcome = task.await.unwrap();
        assert_eq!(outcome.state(), state);
        let folder = Folder::new();
        let path = folder.path().join("export.csv");
        outcome.download().to_file(&path).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), service.file(&id));
        assert!(lines(&service).contains(&format!("GET downloads/{id}")));
        assert_eq!(service.counts().misplaced_credentials(), 0);
    }
}

#[tokio::test]
async fn a_link_that_expired_is_signed_anew() {
    let service = Genesys::builder().start().await.unwrap();
    let client = client(&service);
    let task = client.task().kind("recording_batch").post("recording/batchrequests");
    let list = json!({ "batchDownloadRequestList": [{ "recordingId": "r1" }] });
    let outcome = task.json(&list).submit::<Value>().await.unwrap().await.unwrap();
    service.expire_links();
    let folder = Folder::new();
    let path = folder.path().join("r1");
    outcome.download().to_file(&path).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), service.file("r1"));
}
