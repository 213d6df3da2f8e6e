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
use super::builder::Knobs;
use super::error_body::{error, throttled};
use super::files::Files;
use super::job::{Job, JobEnd, Kind, Stage};
use crate::testing::simulator::uid;

/// All jobs, with their files, and the ends that a test chose for the next ones.
#[derive(Debug)]
pub(super) struct Jobs {
    knobs: Knobs,
    /// The URL of the API, without a slash at its end.
    api: String,
    pub(super) files: Files,
    /// The ids, in the order of the submits.
    pub(super) order: Vec<String>,
    by_id: HashMap<String, Job>,
    pub(super) ends: VecDeque<JobEnd>,
    /// Why batches have no link to a recording, by its id.
    pub(super) lost: HashMap<String, String>,
}

impl Jobs {
    pub(super) fn new(knobs: Knobs, api: String, files: Files) -> Self {
        Self {
            knobs,
            api,
            files,
            order: Vec::new(),
            by_id: HashMap::new(),
            ends: VecDeque::new(),
            lost: HashMap::new(),
        }
    }

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

    pub(super) fn submit(&mut self, kind: Kind, body: &Bytes) -> Answer {
        let Ok(Value::Object(query)) = serde_json::from_slice(body) else {
            return error(StatusCode::BAD_REQUEST, "bad.request", "The request body is no JSON object.");
        };
        let most = self.knobs.recording_jobs;
        if kind == Kind::Recordings && self.open(kind) >= most {
            let message = format!("The maximum of [{most}] recording jobs are at work.");
            let limit = ("recording.jobs.concurrent", u32::try_from(most).unwrap_or(u32::MAX));
            return throttled(&message, limit, Some(Duration::from_secs(1)));
        }
        let recordings = if kind == Kind::Batch { named(&query) } else { Vec::new() };
        if kind == Kind::Batch && recordings.is_empty() {
            return error(StatusCode::BAD_REQUEST, "bad.request", "The batch names no recording.");
        }
        let id = self.add(kind, self.knobs.busy_polls, recordings);
        let now = timestamp();
        let (status, body) = match kind {
            Kind::Details => (StatusCode::ACCEPTED, json!({ "jobId": id })),
            Kind::Audit => (StatusCode::ACCEPTED, json!({ "id": id, "state": "Queued", "startDate": now })),
            Kind::Recordings => (
                StatusCode::ACCEPTED,
                json!({ "id": id, "state": "PENDING", "percentProgress": 0, "dateCreated": now }),
            ),
            Kind::Batch => (StatusCode::OK, json!({ "id": id })),
            Kind::Export => (
                StatusCode::OK,
                json!({ "id": id, "runId": uid(), "status": "SUBMITTED", "percentageComplete": 0.0, "createdDateTime": now }),
            ),
        };
        Answer::json(status, &body)
    }

    pub(super) fn poll(&mut self, kind: Kind, id: &str, now: Instant) -> Answer {
        let Some(job) = self.get(kind, id) else { return no_job() };
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
            Kind::Batch => return self.batch(id, word, expected, &found, now),
            Kind::Export => self.export(id, stage, word, percent),
        };
        Answer::json(StatusCode::OK, &without_null(body))
    }

    fn batch(&mut self, id: &str, word: &str, expected: usize, found: &[String], now: Instant) -> Answer {
        let mut errors = 0;
        let mut result = |recording: &String| match self.lost.get(recording) {
            Some(reason) => {
                errors += 1;
                json!({ "recordingId": recording, "errorMsg": reason })
            }
            None => {
                let url = self.files.link(recording, now);
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

    fn export(&self, id: &str, stage: Stage, word: &str, percent: u32) -> Value {
        let percentage = if self.knobs.fraction { f64::from(percent) / 100.0 } else { f64::from(percent) };
        let is_done = matches!(stage, Stage::Done | Stage::Partial);
        json!({
            "id": id,
            "status": word,
            "percentageComplete": percentage,
            // A URL of the API, which redirects to the storage.
            "downloadUrl": is_done.then(|| format!("{}/api/v2/downloads/{id}", self.api)),
            "exportErrorMessagesType": (stage == Stage::Failed).then_some("FAILED_QUERY"),
        })
    }

    /// Lists all exports, as their polls would find them.
    pub(super) fn exports(&self) -> Answer {
        let listed = |id: &String| {
            let job = self.by_id.get(id).filter(|job| job.kind == Kind::Export)?;
            let stage = job.stage();
            Some(without_null(self.export(id, stage, job.word(stage), job.percent(stage))))
        };
        let entities: Vec<Value> = self.order.iter().filter_map(listed).collect();
        Answer::json(StatusCode::OK, &json!({ "total": entities.len(), "pageNumber": 1, "entities": entities }))
    }

    /// Redirects to a signed link of a finished export.
    pub(super) fn download(&mut self, id: &str, now: Instant) -> Answer {
        match self.get(Kind::Export, id).map(|job| job.stage()) {
            Some(Stage::Done | Stage::Partial) => {
                let link = self.files.link(id, now);
                Answer::empty(StatusCode::SEE_OTHER).header(LOCATION, &link)
            }
            _ => error(StatusCode::NOT_FOUND, "not.found", "The download was not found."),
        }
    }

    /// Answers a page of the rows of a finished job.
    pub(super) fn results(&mut self, kind: Kind, id: &str, head: &Head) -> Answer {
        match self.get(kind, id).map(|job| job.stage()) {
            None => return no_job(),
            Some(Stage::Done | Stage::Partial) => {}
            Some(_) => return error(StatusCode::BAD_REQUEST, "job.not.complete", "The job has no results yet."),
        }
        let offset = match head.query("cursor").filter(|cursor| !cursor.is_empty()).map(|cursor| offset(&cursor)) {
            None => 0,
            Some(Some(offset)) => offset,
            Some(None) => return error(StatusCode::BAD_REQUEST, "bad.request", "The cursor is invalid."),
        };
        let asked = head.query("pageSize").and_then(|size| size.parse().ok()).unwrap_or(self.knobs.page_size);
        let size = asked.clamp(1, self.knobs.page_size.max(1));
        let end = offset.saturating_add(size).min(self.knobs.rows);
        let rows: Vec<Value> = (offset..end).map(|row| self::row(kind, row)).collect();
        let cursor = (end < self.knobs.rows).then(|| URL_SAFE_NO_PAD.encode(format!("{CURSOR}{end}")));
        let body = match kind {
            Kind::Audit => json!({ "id": id, "pageSize": size, "entities": rows, "cursor": cursor }),
            _ => json!({ member(head.path()): rows, "cursor": cursor, "dataAvailabilityDate": timestamp() }),
        };
        Answer::json(StatusCode::OK, &without_null(body))
    }

    /// Starts the second part of a recording job.
    pub(super) fn start(&mut self, id: &str, body: &Bytes) -> Answer {
        let state =
            serde_json::from_slice(body).ok().and_then(|body: Value| Some(body.get("state")?.as_str()?.to_owned()));
        if state.as_deref() != Some("PROCESSING") {
            return error(StatusCode::BAD_REQUEST, "bad.request", "The state can only be set to PROCESSING.");
        }
        let Some(job) = self.get(Kind::Recordings, id) else { return no_job() };
        if !job.start() {
            return error(StatusCode::BAD_REQUEST, "job.not.ready", "The job is not ready to be processed.");
        }
        Answer::json(StatusCode::OK, &json!({ "id": id, "state": "PROCESSING", "percentProgress": 0 }))
    }

    pub(super) fn cancel(&mut self, kind: Kind, id: &str) -> Answer {
        match self.get(kind, id) {
            Some(job) => {
                job.cancel();
                Answer::empty(StatusCode::NO_CONTENT)
            }
            None => no_job(),
        }
    }

    pub(super) fn failed_recordings(&mut self, id: &str) -> Answer {
        match self.get(Kind::Recordings, id) {
            Some(_) => Answer::json(StatusCode::OK, &json!({ "entities": [], "total": 0, "pageNumber": 1 })),
            None => no_job(),
        }
    }
}

/// Returns the recordings that a batch names.
fn named(query: &Map<String, Value>) -> Vec<String> {
    let listed = query.get("batchDownloadRequestList").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let id = |item: &Value| item.get("recordingId").or_else(|| item.get("conversationId"))?.as_str().map(str::to_owned);
    listed.iter().filter_map(id).collect()
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
