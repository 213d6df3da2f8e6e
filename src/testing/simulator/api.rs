//! The API origin: submits, polls, cancels, final locations and an ordinary call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::access::WRONG_TOKEN;
use super::answer::{Answer, millis};
use super::knobs::Finish;
use super::service::{Service, State};
use super::tasks::{Standing, uid};
use crate::testing::counts::Counts;
use crate::testing::seen::Side;
use crate::testing::server::Body;

/// Answers one request, after the latency of the service.
pub(super) async fn answer(service: Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let delay = service.delay();
    pause(delay / 2).await;

    let (parts, body) = request.into_parts();
    let route = Route::of(&parts);
    let (entry, refusal) = arrive(&service, &parts, &route);
    // Read even if it is refused: a connection with an unread body could not be reused.
    let body = Limited::new(body, LONGEST_BODY).collect().await.map(Collected::to_bytes);
    pause(delay / 2).await;

    let correlation_id = uid();
    let mut state = service.state();
    let received = body.as_ref().map_or(0, Bytes::len);
    let mut answer = match (refusal, body) {
        (Some(refusal), _) => refusal,
        (None, Err(_)) => Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too long."),
        (None, Ok(body)) => {
            let key = parts.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
            route.handle(&service, &mut state, key, &body, &correlation_id)
        }
    };
    if answer.status() != StatusCode::TOO_MANY_REQUESTS {
        state.bytes.pass(received.saturating_add(answer.length()), Instant::now());
    }
    if service.knobs.monthly_cap.is_some_and(|cap| state.counts.requests() > cap) {
        state.counts.over_cap += 1;
        answer = answer.warned();
    }
    state.answered(entry, answer.status());
    if let (Route::Poll(uid), Some(wait)) = (route, answer.asked_to_wait())
        && let Some(task) = state.tasks.get_mut(uid)
    {
        task.ask_to_wait(Instant::now(), wait);
    }
    answer.into_response(&correlation_id)
}

/// Counts a request at the moment of its arrival, and refuses it if it is not admitted.
fn arrive(service: &Service, parts: &Parts, route: &Route<'_>) -> (usize, Option<Answer>) {
    let state = &mut *service.state();
    let now = Instant::now();
    let entry = service.enter(state, Side::Api, parts, now);
    if let Route::Poll(uid) = route
        && state.tasks.get(uid).is_some_and(|task| task.is_early(now))
    {
        state.counts.early_polls += 1;
    }

    let wait = state.bytes.shut_for(now).max(state.windows.shut_for(now));
    if let Some(wait) = wait.or_else(|| state.windows.admit(now).err()) {
        state.counts.throttled += 1;
        return (entry, Some(Answer::throttled(wait, service.knobs.refusal_hint)));
    }
    if let Err(denied) = service.access.check(&parts.headers, |token| state.is_bearer(&service.access, token, now)) {
        state.counts.unauthorized += 1;
        state.counts.tokens_refused += u64::from(denied == WRONG_TOKEN);
        return (entry, Some(Answer::denied(denied)));
    }
    *route.count(&mut state.counts) += 1;
    (entry, None)
}

/// The target of a request.
#[derive(Clone, Copy, Debug)]
enum Route<'a> {
    Submit,
    Poll(&'a str),
    Cancel(&'a str),
    FollowUp(&'a str),
    Farms,
    /// A known path, but only with these methods.
    Disallowed(&'static str),
    Unknown,
}

impl<'a> Route<'a> {
    fn of(parts: &'a Parts) -> Self {
        let Some(path) = parts.uri.path().strip_prefix(BASE) else {
            return Self::Unknown;
        };
        match (path.split_once('/'), &parts.method) {
            (None, &Method::POST) if path == "exports" => Self::Submit,
            (None, _) if path == "exports" => Self::Disallowed("POST"),
            (None, &Method::GET) if path == "farms" => Self::Farms,
            (None, _) if path == "farms" => Self::Disallowed("GET"),
            (Some(("tasks", uid)), &Method::GET) => Self::Poll(uid),
            (Some(("tasks", uid)), &Method::DELETE) => Self::Cancel(uid),
            (Some(("tasks", _)), _) => Self::Disallowed("GET, DELETE"),
            (Some(("results", uid)), &Method::GET) => Self::FollowUp(uid),
            (Some(("results", _)), _) => Self::Disallowed("GET"),
            _ => Self::Unknown,
        }
    }

    fn count(self, counts: &mut Counts) -> &mut u64 {
        match self {
            Self::Submit => &mut counts.submits,
            Self::Poll(_) => &mut counts.polls,
            Self::Cancel(_) => &mut counts.cancels,
            Self::FollowUp(_) => &mut counts.follow_ups,
            Self::Farms | Self::Disallowed(_) | Self::Unknown => &mut counts.other_calls,
        }
    }

    fn handle(
        self,
        service: &Service,
        state: &mut State,
        key: Option<&str>,
        body: &Bytes,
        correlation_id: &str,
    ) -> Answer {
        match self {
            Self::Submit => submit(service, state, key, body),
            Self::Poll(uid) => poll(service, state, uid, correlation_id),
            Self::Cancel(uid) => cancel(state, uid),
            Self::FollowUp(uid) => follow_up(service, state, uid),
            Self::Farms => Answer::new(StatusCode::OK, farms(service.knobs.farms)),
            Self::Disallowed(allowed) => Answer::disallowed(allowed),
            Self::Unknown => not_found("Resource not found."),
        }
    }
}

fn submit(service: &Service, state: &mut State, key: Option<&str>, body: &Bytes) -> Answer {
    let parsed = match body.as_ref() {
        [] => Ok(Value::Null),
        bytes => serde_json::from_slice(bytes),
    };
    let Ok(parsed) = parsed else {
        return Answer::error(StatusCode::BAD_REQUEST, "Request body is not JSON.");
    };
    let now = Instant::now();
    let uid = match key.filter(|_| service.knobs.idempotency_keys) {
        Some(key) => state.tasks.submit_once(key, &parsed, &service.knobs, now),
        None => state.tasks.submit(&parsed, &service.knobs, now),
    };
    let location = location(service, "tasks", &uid);
    let body = json!({ "TaskUid": uid, "Location": location });
    let accepted = Answer::new(service.knobs.accept_status, body).location(&location);
    if service.knobs.hint_on_submit { accepted.retry_after(service.knobs.retry_after) } else { accepted }
}

fn poll(service: &Service, state: &mut State, uid: &str, correlation_id: &str) -> Answer {
    let knobs = &service.knobs;
    let Some(task) = state.tasks.get_mut(uid) else {
        return not_found(NO_TASK);
    };
    let before = task.poll();
    if before < knobs.lost_polls {
        return not_found(NO_TASK);
    }
    if let Some((n, status)) = knobs.failed_polls
        && before - knobs.lost_polls < n
    {
        let failed = Answer::error(status, "The status of the task could not be read.");
        return match knobs.trouble_retry_after {
            Some(wait) => failed.retry_after(wait),
            None => failed,
        };
    }

    let first_sight = task.see();
    match task.standing(Instant::now()) {
        Standing::Running { percent } => {
            let (word, percent) = if first_sight { ("accepted", 0) } else { ("started", percent) };
            let body = json!({
                "TaskUid": uid,
                "Status": word,
                "PercentComplete": percent,
                "RetryAfter": millis(knobs.retry_after),
            });
            Answer::new(StatusCode::OK, body).retry_after(knobs.retry_after)
        }
        Standing::Finished => finished(service, uid, || service.link(state.generation, uid, task)),
        Standing::Failed(message) => {
            let body = json!({
                "TaskUid": uid,
                "Status": "failed",
                "Error": { "code": "ExportFailed", "message": message },
                "CorrelationId": correlation_id,
            });
            Answer::new(StatusCode::OK, body)
        }
        Standing::Canceled => Answer::new(StatusCode::OK, json!({ "TaskUid": uid, "Status": "canceled" })),
    }
}

fn finished(service: &Service, uid: &str, link: impl FnOnce() -> String) -> Answer {
    let (name, url) = match service.knobs.finish {
        Finish::Resource => ("Location", location(service, "results", uid)),
        Finish::Signed => ("Location", link()),
        Finish::ResultOnly => ("Result", link()),
    };
    let body = json!({ "TaskUid": uid, "Status": "finished", "PercentComplete": 100, name: url });
    let answer = Answer::new(StatusCode::OK, body);
    match service.knobs.finish {
        Finish::ResultOnly => answer,
        Finish::Resource | Finish::Signed => answer.location(&url),
    }
}

fn cancel(state: &mut State, uid: &str) -> Answer {
    let Some(task) = state.tasks.get_mut(uid) else {
        return not_found(NO_TASK);
    };
    task.cancel(Instant::now());
    Answer::new(StatusCode::ACCEPTED, json!({ "TaskUid": uid }))
}

fn follow_up(service: &Service, state: &State, uid: &str) -> Answer {
    match state.tasks.get(uid) {
        Some(task) if task.standing(Instant::now()) == Standing::Finished => {
            let link = service.link(state.generation, uid, task);
            let rows = task.size() / BYTES_OF_A_ROW;
            Answer::new(StatusCode::OK, json!({ "TaskUid": uid, "Result": link, "Rows": rows }))
        }
        _ => not_found("Result not found."),
    }
}

fn farms(count: usize) -> Value {
    let names = ["Hollow Oak", "Long Meadow", "Mill Race", "Stony Field"].into_iter().cycle();
    (1..=count).zip(names).map(|(id, name)| json!({ "id": id, "name": name })).collect()
}

fn location(service: &Service, collection: &str, uid: &str) -> String {
    let origin = if service.knobs.relative_locations { "" } else { &service.api_origin };
    format!("{origin}{BASE}{collection}/{uid}")
}

fn not_found(message: &str) -> Answer {
    Answer::error(StatusCode::NOT_FOUND, message)
}

/// Sleeps, but not for zero: that would still cost a tick of the timer.
pub(super) async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// The path of the API, which all its paths begin with.
pub(super) const BASE: &str = "/farmsandfields/v1/";
const NO_TASK: &str = "Task not found.";
const LONGEST_BODY: usize = 1024 * 1024;
const BYTES_OF_A_ROW: u64 = 100;
