//! Deadline: the end of a download that takes too long.

use tokio::time::{Instant, timeout_at};

use super::progress::Gauge;
use super::source::Source;
use crate::error::{Error, ErrorKind};

/// Runs a part of a download until its deadline, if there is one. The part is dropped there.
pub(super) async fn in_time<T>(
    until: Option<Instant>,
    work: impl Future<Output = Result<T, Error>>,
    too_late: impl FnOnce() -> Error,
) -> Result<T, Error> {
    match until {
        Some(until) => timeout_at(until, work).await.unwrap_or_else(|_| Err(too_late())),
        None => work.await,
    }
}

/// Returns the error of a download that is not whole at its deadline.
pub(super) fn too_late(source: &Source, gauge: &Gauge) -> Error {
    let progress = gauge.now();
    let of = progress.total().map(|total| format!(" of {total}")).unwrap_or_default();
    let why = format!("the download was not whole at its deadline: {}{of} bytes had arrived", progress.bytes());
    match source.trouble() {
        Some(trouble) => {
            let why = format!("{why}; before that, {}", trouble.message());
            source.error(ErrorKind::DeadlineExceeded, why).with_source(trouble)
        }
        None => source.error(ErrorKind::DeadlineExceeded, why),
    }
}
