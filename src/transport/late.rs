//! Late: what a deadline says of what failed before it.

use super::{Trail, Transport};
use crate::error::{Error, ErrorKind};
use crate::message::{HttpError, Request};

impl Transport {
    /// An error of the deadline, with why there was no token before it.
    pub(crate) fn late(&self, late: Error) -> Error {
        match self.credential.trouble(&self.road) {
            Some(why) => {
                let why = format!("{}; no token came from the token endpoint: {why}", late.message());
                Error::new(ErrorKind::DeadlineExceeded, why)
            }
            None => late,
        }
    }

    /// An error of the deadline, for a request without any answer before it.
    pub(super) fn late_without_answer(&self, late: Error, request: &Request, trail: &Trail) -> Error {
        let mut late = self.late(late);
        if self.outages.is_down(request.url()) {
            let why = format!("{}; its host takes no connection", late.message());
            late = Error::new(ErrorKind::DeadlineExceeded, why);
        }
        late.with_url(request.url()).with_attempts(trail.sent())
    }
}

/// The deadline came during an attempt; the one before it failed so.
pub(super) fn late_after(error: HttpError, request: &Request, attempts: u32) -> Error {
    let why = format!("no answer before the deadline; the attempt before: {}", crate::error::root_cause(&error));
    let late = Error::new(ErrorKind::DeadlineExceeded, why).with_url(request.url());
    late.with_attempts(attempts).with_source(error)
}
