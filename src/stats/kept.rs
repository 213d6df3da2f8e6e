//! Kept: declared limits for which the service refused although they were kept.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::refusals::Refusals;
use crate::event::RefusalCause;

/// Declared limits for which the service refused although they were kept.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<(Refusals, Instant)>);

impl Kept {
    /// Records that all requests under this limit were stopped. The name is one of those of the refusals, and so
    /// bounded.
    pub(super) fn refused(&mut self, limit: &Arc<str>, cause: RefusalCause, now: Instant) {
        match self.0.iter_mut().find(|(known, _)| known.limit == *limit) {
            Some((known, last)) => {
                known.count += 1;
                *last = now;
                // Once the service has stated the limit, the cause is known.
                if cause == RefusalCause::NoKnownLimit {
                    known.cause = cause;
                }
            }
            None => self.0.push((Refusals { limit: limit.clone(), cause, count: 1 }, now)),
        }
    }

    /// Returns each limit with the time of its last refusal.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Refusals, Instant)> {
        self.0.iter().map(|(refusals, last)| (refusals, *last))
    }
}

/// The conclusion from refusals for a declared limit, in words.
pub(super) struct KeptVerdict<'a>(pub(super) &'a Refusals);

impl fmt::Display for KeptVerdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusals { limit, cause, count } = self.0;
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        match cause {
            RefusalCause::NoKnownLimit => write!(
                f,
                "the declared limit `{limit}` is higher than the service's, which states fewer: refused {times}"
            ),
            RefusalCause::WithinKnownLimits => write!(
                f,
                "the declared limit `{limit}` is higher than the service's, or others spend it too: refused {times} \
                 though it was kept"
            ),
        }
    }
}
