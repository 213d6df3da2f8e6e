//! The storage origin: results behind signed links, in the style of Azure Blob Storage.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;

use super::answer::seconds;
use super::content::Content;
use super::feed::Feed;
use super::range::Wanted;
use super::sas::Verdict;
use super::service::{EXPORTS, Service, State};
use super::tasks::uid;
use crate::testing::seen::Side;
use crate::testing::server::{Body, Connection};

/// Answers one request. The body of a result follows at the rate of its connection.
pub(super) fn answer(service: &Arc<Service>, request: Request<Incoming>, connection: Connection) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let state = &mut *service.state();
    let entry = service.enter(state, Side::Storage, &parts, Instant::now());
    state.counts.downloads += 1;

    let mut response = match find(service, state, &parts) {
        Ok(blob) => blob.serve(service, state, &parts, connection),
        Err(refusal) => refusal.into_response(&parts.method),
    };
    let headers = response.headers_mut();
    put(headers, MS_VERSION, "2022-11-02");
    put(headers, MS_REQUEST_ID, &uid());
    state.answered(entry, response.status());
    response
}

/// Finds the result that a request may read, as far as the request's head determines it.
fn find(service: &Service, state: &State, parts: &Parts) -> Result<Blob, Refusal> {
    if let Some((n, status)) = service.knobs.failed_storage
        && state.counts.downloads <= u64::from(n)
    {
        let refusal = Refusal::new(status, "ServerBusy", "The server is busy.");
        return Err(match service.knobs.trouble_retry_after {
            Some(wait) => refusal.with(RETRY_AFTER, seconds(wait)),
            None => refusal,
        });
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let refusal = Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "UnsupportedHttpVerb",
            "The resource doesn't support specified Http Verb.",
        );
        return Err(refusal.with(ALLOW, "GET, HEAD".to_owned()));
    }
    match service.check_link(state.generation, parts) {
        Verdict::Valid => {}
        Verdict::Expired => {
            return Err(unauthentic("Signature not valid in the specified time frame."));
        }
        Verdict::Forged => return Err(unauthentic("Signature did not match.")),
    }
    let blob = Blob::at(service, state, parts.uri.path()).ok_or_else(|| {
        let message = "The specified blob does not exist.";
        Refusal::new(StatusCode::NOT_FOUND, "BlobNotFound", message)
    })?;
    if blob.has_changed(&parts.headers) && !service.knobs.no_validators {
        let message = "The condition specified using HTTP conditional header(s) is not met.";
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "ConditionNotMet", message));
    }
    Ok(blob)
}

/// One version of one result.
struct Blob {
    uid: String,
    content: Content,
    entity_tag: String,
    modified: SystemTime,
}

impl Blob {
    fn at(service: &Service, state: &State, path: &str) -> Option<Self> {
        // A path with a valid signature was created by the simulator: its format needs no second check.
        let (uid, _format) = path.strip_prefix(EXPORTS)?.rsplit_once('.')?;
        let content = state.content(uid)?;
        Some(Self {
            uid: uid.to_owned(),
            content,
            entity_tag: content.entity_tag(),
            modified: service.modified(state.version),
        })
    }

    /// Returns whether the request was meant for another version. `If-Match` takes precedence over the date ([RFC 9110,
    /// 13.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2)).
    fn has_changed(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(IF_MATCH) {
            let mut tags = headers
                .get_all(IF_MATCH)
                .into_iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .map(str::trim);
            return !tags.any(|tag| tag == "*" || tag == self.entity_tag);
        }
        headers
            .get(IF_UNMODIFIED_SINCE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| httpdate::parse_http_date(value).ok())
            // To the second, the resolution that the client received.
            .is_some_and(|since| httpdate::HttpDate::from(self.modified) > since.into())
    }

    fn serve(self, service: &Arc<Service>, state: &mut State, parts: &Parts, connection: Connection) -> Response<Body> {
        let knobs = &service.knobs;
        let len = self.content.len();
        let asked = parts.headers.get(RANGE);
        let asked = asked.filter(|_| parts.method == Method::GET && !knobs.ignore_ranges);
        let mut headers = HeaderMap::new();
        let (status, range) = match Wanted::of(asked, len) {
            Wanted::Whole => (StatusCode::OK, 0..len),
            Wanted::Part(range) => {
                let last = range.end - 1;
                put(&mut headers, CONTENT_RANGE, &format!("bytes {}-{last}/{len}", range.start));
                (StatusCode::PARTIAL_CONTENT, range)
            }
            Wanted::Beyond => {
                let message = "The range specified is invalid for the current size of the resource.";
                return Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
                    .with(CONTENT_RANGE, format!("bytes */{len}"))
                    .into_response(&parts.method);
            }
        };
        let length = range.end - range.start;
        put(&mut headers, CONTENT_LENGTH, &length.to_string());
        put(&mut headers, CONTENT_TYPE, "application/octet-stream");
        if !knobs.ignore_ranges {
            put(&mut headers, ACCEPT_RANGES, "bytes");
        }
        if !knobs.no_validators {
            put(&mut headers, ETAG, &self.entity_tag);
            put(&mut headers, LAST_MODIFIED, &httpdate::fmt_http_date(self.modified));
        }

        let body = if parts.method == Method::HEAD {
            empty()
        } else {
            let cut = cut(service, state, &self.uid, length);
            Feed::new(service.clone(), connection, self.content, range, cut).into_body()
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Returns after how many bytes to cut a body of this length, if at all.
fn cut(service: &Service, state: &mut State, uid: &str, length: u64) -> Option<u64> {
    if let Some((n, after)) = service.knobs.cut_first
        && length > after
        && state.tasks.get_mut(uid).is_some_and(|task| task.cut(n))
    {
        return Some(after);
    }
    service.knobs.cut_every.filter(|&after| length > after)
}

/// An answer without a result.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    detail: &'static str,
    header: Option<(HeaderName, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, detail: "", header: None }
    }

    fn with(mut self, name: HeaderName, value: String) -> Self {
        self.header = Some((name, value));
        self
    }

    fn into_response(self, method: &Method) -> Response<Body> {
        let Self { status, code, message, detail, header } = self;
        let detail = match detail {
            "" => String::new(),
            text => format!("<AuthenticationErrorDetail>{text}</AuthenticationErrorDetail>"),
        };
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <Error><Code>{code}</Code><Message>{message}</Message>{detail}</Error>"
        );
        let body = if *method == Method::HEAD {
            empty()
        } else {
            Full::from(xml).map_err(|never| match never {}).boxed_unsync()
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        put(headers, CONTENT_TYPE, "application/xml");
        put(headers, MS_ERROR_CODE, code);
        if let Some((name, value)) = header {
            put(headers, name, &value);
        }
        response
    }
}

fn unauthentic(detail: &'static str) -> Refusal {
    let message = "Server failed to authenticate the request. Make sure the value of \
                   Authorization header is formed correctly including the signature.";
    Refusal { detail, ..Refusal::new(StatusCode::FORBIDDEN, "AuthenticationFailed", message) }
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // All written values are visible ASCII, so this always holds.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

const MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const MS_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const MS_ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
