//! Throttle: the right to send one attempt now, under all limits at once.

mod acquire;
mod permit;
mod state;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::limit::Limit;

pub(crate) use permit::Permit;

use acquire::Acquire;
use state::State;

/// The shared state of limits: which requests went out when, who waits, and for how long everybody pauses.
///
/// A [`Client`](crate::Client) makes its own, and its clones share it. Give one throttle to several clients that
/// spend the same account's budget:
///
/// ```
/// use longhaul::{Client, Limit, Throttle};
///
/// let throttle = Throttle::new();
/// let exports = Client::builder("https://api.example.com/exports/v1")
///     .throttle(&throttle)
///     .limit(Limit::per_second(4))
///     .build()?;
/// let farms = Client::builder("https://api.example.com/farms/v1")
///     .throttle(&throttle)
///     .limit(Limit::per_second(4)) // the same promise, kept once for both
///     .build()?;
/// # Ok::<(), longhaul::Error>(())
/// ```
///
/// What it keeps: in any sliding window, the service never sees more arrivals than the limit. A slot is taken when a
/// request goes out and runs from the moment its *answer* came, because a service counts arrivals, and those lie
/// between the two. The price is throughput: window / (window + mean round trip) of the limit.
///
/// It lives in this process: another one, or this one started anew, knows nothing of what was sent, and shares no
/// budget with it. A refusal is then met as any other, with a pause.
#[derive(Clone, Debug, Default)]
pub struct Throttle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something changed that the driver must look at.
    changed: Notify,
}

impl Throttle {
    /// A throttle without limits. The clients that share it bring theirs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a limit on; one that is there already is shared.
    pub(crate) fn install(&self, limit: &Limit) -> Result<(), Error> {
        if limit.windows().any(|(_, window)| window > LONGEST_WINDOW) {
            return Err(Error::new(ErrorKind::Config, "a limit's window is longer than a year"));
        }
        if limit.windows().any(|(count, window)| count == 0 || window.is_zero()) {
            return Err(Error::new(ErrorKind::Config, "a limit of zero requests, or over no time, admits nothing"));
        }
        self.lock().install(limit);
        Ok(())
    }

    /// Waits for the right to send one attempt.
    ///
    /// Cancel-safe: dropped, it leaves the queue and takes nothing with it. One that is alive but not polled holds up
    /// nobody: its turn passes on, its place is kept.
    pub(crate) fn acquire(&self) -> Acquire {
        Acquire::new(self.clone())
    }

    /// Stops everybody until then; tells whether everybody was still going. It ends as a ramp: one probe, then two,
    /// four and so on.
    pub(crate) fn pause(&self, until: Instant) -> bool {
        let was_open = self.lock().pause(until, Instant::now());
        self.0.changed.notify_one();
        was_open
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; if it did, the numbers in there would still be whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So that no sum of times runs over.
const LONGEST_WINDOW: std::time::Duration = std::time::Duration::from_secs(366 * 24 * 60 * 60);
