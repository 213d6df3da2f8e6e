//! Broken: an attempt without a response.

use crate::error::{Error, ErrorKind, out_of_files, root_cause};
use crate::message::{HttpError, Request};

/// The reason why an attempt has no response.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The attempt was not allowed.
    Refused(Error),
    /// The attempt was made.
    Lost(HttpError),
}

/// Returns the error of a last attempt without a response.
pub(super) fn lost(error: HttpError, request: &Request, attempts: u32) -> Error {
    let what = match (error.is_unsent(), request.method().is_idempotent()) {
        (true, _) => "the request was not sent",
        (false, true) => "it broke off",
        (false, false) if attempts > 1 => "it broke off, and the service may have acted",
        (false, false) => "it broke off, and the service may have acted; it was not repeated",
    };
    let mut what = format!("{what}: {}", root_cause(&error));
    if let Some(advice) = out_of_files(&error) {
        what = format!("{what}: {advice}");
    }
    let unsent = error.is_unsent();
    let lost = Error::new(ErrorKind::Network, what).with_url(request.url()).with_unsent(unsent);
    lost.with_attempts(attempts).with_source(error)
}
