//! Spans: one for each request, with the names that OpenTelemetry defines for HTTP.

use http::StatusCode;
use tracing::Span;
use tracing::field::Empty;

use crate::message::{HttpError, Priority, Request};
use crate::redact;

/// Creates the span of one attempt. Its fields cost nothing if no subscriber is interested.
pub(crate) fn of(request: &Request) -> Span {
    macro_rules! attempt {
        ($name:literal) => {
            tracing::debug_span!(
                $name,
                otel.kind = "client",
                http.request.method = %request.method(),
                server.address = request.url().host_str(),
                server.port = request.url().port_or_known_default(),
                url.full = %redact::shown(request.url()),
                http.response.status_code = Empty,
                error.type = Empty,
            )
        };
    }
    match request.priority() {
        Priority::Submit => attempt!("submit"),
        Priority::Poll => attempt!("poll"),
        Priority::Result => attempt!("result"),
        Priority::Download => attempt!("download"),
        Priority::Cancel => attempt!("cancel"),
        Priority::Token => attempt!("token"),
        Priority::Call | Priority::Batch => attempt!("call"),
    }
}

/// Creates the span of a request that waits in the throttle's queue.
pub(super) fn queue(request: &Request) -> Span {
    tracing::debug_span!("queue", class = ?request.priority())
}

pub(crate) fn answered(span: &Span, status: StatusCode) {
    // A disabled span would still look up the fields.
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status.as_u16());
    if status.as_u16() >= 400 {
        span.record("error.type", status.as_str());
    }
}

pub(crate) fn broke(span: &Span, error: &HttpError) {
    span.record("error.type", tracing::field::display(error));
}
