//! Late: the end of a wait at its deadline.

use std::pin::Pin;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, root_cause};
use crate::message::{HttpError, Request};

/// Ends with an error at the deadline. The future is pinned in place, because a move would copy a kilobyte for each
/// request.
pub(crate) async fn by<T>(deadline: Option<Instant>, future: Pin<&mut impl Future<Output = T>>) -> Result<T, Error> {
    let late = |_| Error::new(ErrorKind::DeadlineExceeded, "no answer before the deadline");
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.map_err(late),
        None => Ok(future.await),
    }
}

/// Returns the error for a deadline during an attempt, with the failure of the attempt before.
pub(super) fn late_after(error: HttpError, request: &Request, attempts: u32) -> Error {
    let why = format!("no answer before the deadline; the attempt before: {}", root_cause(&error));
    let late = Error::new(ErrorKind::DeadlineExceeded, why).with_url(request.url());
    late.with_attempts(attempts).with_source(error)
}
