//! Jobs: their submits, polls, results and cancels.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Map, Value, json};

use super::super::answer::Answer;
use super::super::head::Head;
use super::cloud::Cloud;
use super::error_body::{error, throttled};
use super::job::{Job, JobEnd, Kind, Stage};
use crate::testing::simulator::uid;

/// All jobs, and the ends that a test chose for the next ones.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    /// The ids, in the order of the submits.
    pub(super) order: Vec<String>,
    by_id: HashMap<String, Job>,
    pub(super) ends: VecDeque<JobEnd>,
}

impl Jobs {
    fn get(&mut self, kind: Kind, id: &str) -> Option<&mut Job> {
        self.by_id.get_mut(id).filter(|job| job.kind == kind)
    }

    fn open(&self, kind: Kind) -> usize {
        self.by_id.values().filter(|job| job.kind == kind && job.is_open()).count()
    }

    fn add(&mut self, kind: Kind, busy_polls: u32, recordings: Vec<String>) -> String {
        let id = uid();
        let end = self.ends.pop_front().unwrap_or_default();
        let mut job = Job::new(kind, end, busy_polls);
        job.recordings = recordings;
        self.by_id.insert(id.clone(), job);
        self.order.push(id.clone());
        id
    }
}

pub(super) fn submit(cloud: &mut Cloud, kind: Kind, body: &Bytes) -> Answer {
    let Ok(Value::Object(query)) = serde_json::from_slice(body) else {
        return error(StatusCode::BAD_REQUEST, "bad.request", "The request body is no JSON object.");
    };
    let most = cloud.knobs.recording_jobs;
    if kind == Kind::Recordings && cloud.jobs.open(kind) >= most {
        let message = format!("The maximum of [{most}] recording jobs are at work.");
        let limit = ("recording.jobs.concurrent", u32::try_from(most).unwrap_or(u32::MAX));
        return throttled(&message, limit, Some(Duration::from_secs(1)));
    }
    let recordings = if kind == Kind::Batch { named(&query) } else { Vec::new() };
    if kind == Kind::Batch && recordings.is_empty() {
        return error(StatusCode::BAD_REQUEST, "bad.request", "The batch names no recording.");
    }
    let id = cloud.jobs.add(kind, cloud.knobs.busy_polls, recordings);
    let now = timestamp();
    let (status, body) = match kind {
        Kind::Details => (StatusCode::ACCEPTED, json!({ "jobId": id })),
        Kind::Audit => (StatusCode::ACCEPTED, json!({ "id": id, "state": "Queued", "startDate": now })),
        Kind::Recordings => {
            (StatusCode::ACCEPTED, json!({ "id": id, "state": "PENDING", "percentProgress": 0, "dateCreated": now }))
        }
        Kind::Batch => (StatusCode::OK, json!({ "id": id })),
        Kind::Export => (
            StatusCode::OK,
            json!({ "id": id, "runId": uid(), "status": "SUBMITTED", "percentageComplete": 0.0, "createdDateTime": now }),
        ),
    };
    Answer::json(status, &body)
}

/// Returns the recordings that a batch names.
fn named(query: &Map<String, Value>) -> Vec<String> {
    let listed = query.get("batchDownloadRequestList").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let id = |item: &Value| item.get("recordingId").or_else(|| item.get("conversationId"))?.as_str().map(str::to_owned);
    listed.iter().filter_map(id).collect()
}

pub(super) fn poll(cloud: &mut Cloud, kind: Kind, id: &str, now: Instant) -> Answer {
    let Some(job) = cloud.jobs.get(kind, id) else { return no_job() };
    let stage = job.poll();
    let (word, percent, failure) = (job.word(stage), job.percent(stage), job.failure().map(str::to_owned));
    let found: Vec<String> = job.recordings.iter().take(job.found(stage)).cloned().collect();
    let expected = job.recordings.len();
    let failure = failure.filter(|_| stage == Stage::Failed);
    let body = match kind {
        Kind::Details => json!({
            "state": word,
            "errorMessage": failure,
            "submissionDate": timestamp(),
            "expirationDate": timestamp(),
        }),
        Kind::Audit => json!({ "id": id, "state": word, "startDate": timestamp() }),
        Kind::Recordings => json!({
            "id": id,
            "state": word,
            "percentProgress": percent,
            "errorMessage": failure,
            "failedRecordings": format!("/api/v2/recording/jobs/{id}/failedrecordings"),
        }),
        Kind::Batch => return batch(cloud, id, word, expected, &found, now),
        Kind::Export => export(cloud, id, stage, word, percent),
    };
    Answer::json(StatusCode::OK, &without_null(body))
}

fn batch(cloud: &mut Cloud, id: &str, word: &str, expected: usize, found: &[String], now: Instant) -> Answer {
    let mut errors = 0;
    let mut result = |recording: &String| match cloud.lost.get(recording) {
        Some(reason) => {
            errors += 1;
            json!({ "recordingId": recording, "errorMsg": reason })
        }
        None => {
            let url = cloud.files.link(recording, now);
            json!({ "recordingId": recording, "resultUrl": url, "contentType": "audio/ogg" })
        }
    };
    let results: Vec<Value> = found.iter().map(&mut result).collect();
    let body = json!({
        "id": id,
        "jobId": id,
        "expectedResultCount": expected,
        "resultCount": results.len(),
        "errorCount": errors,
        "status": word,
        "results": results,
    });
    Answer::json(StatusCode::OK, &body)
}

fn export(cloud: &Cloud, id: &str, stage: Stage, word: &str, percent: u32) -> Value {
    let percentage = if cloud.knobs.fraction { f64::from(percent) / 100.0 } else { f64::from(percent) };
    let is_done = matches!(stage, Stage::Done | Stage::Partial);
    json!({
        "id": id,
        "status": word,
        "percentageComplete": percentage,
        // A URL of the API, which redirects to the storage.
        "downloadUrl": is_done.then(|| format!("{}/api/v2/downloads/{id}", cloud.api)),
        "exportErrorMessagesType": (stage == Stage::Failed).then_some("FAILED_QUERY"),
    })
}

/// Lists all exports, as their polls would find them.
pub(super) fn exports(cloud: &mut Cloud) -> Answer {
    let ids: Vec<String> = cloud.jobs.order.clone();
    let mut entities = Vec::new();
    for id in ids {
        if let Some(job) = cloud.jobs.get(Kind::Export, &id) {
            let stage = job.stage();
            let (word, percent) = (job.word(stage), job.percent(stage));
            entities.push(without_null(export(cloud, &id, stage, word, percent)));
        }
    }
    Answer::json(StatusCode::OK, &json!({ "total": entities.len(), "pageNumber": 1, "entities": entities }))
}

/// Redirects to a signed link of a finished export.
pub(super) fn download(cloud: &mut Cloud, id: &str, now: Instant) -> Answer {
    match cloud.jobs.get(Kind::Export, id).map(|job| job.stage()) {
        Some(Stage::Done | Stage::Partial) => {
            let link = cloud.files.link(id, now);
            Answer::empty(StatusCode::SEE_OTHER).header(LOCATION, &link)
        }
        _ => error(StatusCode::NOT_FOUND, "not.found", "The download was not found."),
    }
}

/// Answers a page of the rows of a finished job.
pub(super) fn results(cloud: &mut Cloud, kind: Kind, id: &str, head: &Head) -> Answer {
    match cloud.jobs.get(kind, id).map(|job| job.stage()) {
        None => return no_job(),
        Some(Stage::Done | Stage::Partial) => {}
        Some(_) => return error(StatusCode::BAD_REQUEST, "job.not.complete", "The job has no results yet."),
    }
    let offset = match head.query("cursor").filter(|cursor| !cursor.is_empty()).map(|cursor| offset(&cursor)) {
        None => 0,
        Some(Some(offset)) => offset,
        Some(None) => return error(StatusCode::BAD_REQUEST, "bad.request", "The cursor is invalid."),
    };
    let asked = head.query("pageSize").and_then(|size| size.parse().ok()).unwrap_or(cloud.knobs.page_size);
    let size = asked.clamp(1, cloud.knobs.page_size.max(1));
    let end = offset.saturating_add(size).min(cloud.knobs.rows);
    let rows: Vec<Value> = (offset..end).map(|row| self::row(kind, row)).collect();
    let cursor = (end < cloud.knobs.rows).then(|| URL_SAFE_NO_PAD.encode(format!("{CURSOR}{end}")));
    let body = match kind {
        Kind::Audit => json!({ "id": id, "pageSize": size, "entities": rows, "cursor": cursor }),
        _ => json!({ member(head.path()): rows, "cursor": cursor, "dataAvailabilityDate": timestamp() }),
    };
    Answer::json(StatusCode::OK, &without_null(body))
}

/// Returns the member that holds the rows of this job of the analytics.
fn member(path: &str) -> &'static str {
    match path {
        path if path.contains("/aggregates/") => "results",
        path if path.contains("/users/") => "userDetails",
        _ => "conversations",
    }
}

fn row(kind: Kind, number: usize) -> Value {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    match kind {
        Kind::Audit => json!({ "id": id, "action": "Update", "entityType": "User" }),
        _ => json!({ "conversationId": id, "conversationStart": "2026-01-01T00:00:00.000Z", "participants": [] }),
    }
}

fn offset(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix(CURSOR)?.parse().ok()
}

/// Starts the second part of a recording job.
pub(super) fn start(cloud: &mut Cloud, id: &str, body: &Bytes) -> Answer {
    let state = serde_json::from_slice(body).ok().and_then(|body: Value| Some(body.get("state")?.as_str()?.to_owned()));
    if state.as_deref() != Some("PROCESSING") {
        return error(StatusCode::BAD_REQUEST, "bad.request", "The state can only be set to PROCESSING.");
    }
    let Some(job) = cloud.jobs.get(Kind::Recordings, id) else { return no_job() };
    if !job.start() {
        return error(StatusCode::BAD_REQUEST, "job.not.ready", "The job is not ready to be processed.");
    }
    Answer::json(StatusCode::OK, &json!({ "id": id, "state": "PROCESSING", "percentProgress": 0 }))
}

pub(super) fn cancel(cloud: &mut Cloud, kind: Kind, id: &str) -> Answer {
    match cloud.jobs.get(kind, id) {
        Some(job) => {
            job.cancel();
            Answer::empty(StatusCode::NO_CONTENT)
        }
        None => no_job(),
    }
}

pub(super) fn failed_recordings(cloud: &mut Cloud, id: &str) -> Answer {
    match cloud.jobs.get(Kind::Recordings, id) {
        Some(_) => Answer::json(StatusCode::OK, &json!({ "entities": [], "total": 0, "pageNumber": 1 })),
        None => no_job(),
    }
}

fn no_job() -> Answer {
    error(StatusCode::NOT_FOUND, "not.found", "The requested job was not found.")
}

/// Leaves out what has no value, as the service does.
fn without_null(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}

fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// The beginning of a cursor's text, so that another text is no cursor.
const CURSOR: &str = "row:";
