//! Rejection: the error of a response of 4xx or 5xx.

use http::StatusCode;
use tokio::time::Instant;

use crate::credential::NO_CREDENTIAL;
use crate::error::{Error, ErrorKind};
use crate::message::Response;
use crate::protocol::read_fault;

/// Returns the error of a response of 4xx or 5xx, with the service's words as far as they arrive before the deadline.
/// `sent_none`: the request was sent without a credential.
pub(super) async fn rejection(response: Response, sent_none: bool, deadline: Option<Instant>) -> Error {
    let (attempts, hint, end) = (response.attempts(), response.hint(), response.end());
    let http_status = response.http_status();
    // The status decides; the words are included as far as they arrived.
    let reply = response.reply_with_what_came(deadline).await;
    let kind = match reply.status() {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Throttled,
        _ => ErrorKind::Rejected,
    };
    let meant = match http_status == reply.status() {
        true => String::new(),
        false => format!(", which its envelope makes {}", reply.status().as_u16()),
    };
    let none = if kind == ErrorKind::Unauthorized && sent_none { NO_CREDENTIAL } else { "" };
    Error::new(kind, format!("answered with {}{meant}{none}", http_status.as_u16()))
        .with_url(reply.url())
        .with_status(reply.status())
        .with_attempts(attempts)
        .with_retry_after(hint)
        .with_end(end)
        .with_fault(read_fault(&reply, reply.json().as_ref()).masked(&reply.mask()))
}
