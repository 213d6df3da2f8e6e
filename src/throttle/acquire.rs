//! Acquire: the future of a permit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::clerk_task;
use super::core::{AskOutcome, QueueRequest, Waiting};
use super::ids::AccountId;
use super::permit::Permit;
use super::request::RequestFacts;
use super::request_key::RequestKey;
use super::scheduler::TooLate;
use super::shared::Shared;
use super::time::{Tick, nanos};
use super::timer_task;
use crate::error::{Error, ErrorKind};
use crate::message::Priority;

/// The future returned by [`Throttle::acquire`](super::Throttle::acquire).
#[must_use = "a request joins the queue only when this is awaited"]
pub struct Acquire {
    shared: Arc<Shared>,
    stage: AcquireStage,
    class: Priority,
    deadline: Option<Instant>,
    /// How long the request may take, if set.
    hold: Option<Tick>,
}

enum AcquireStage {
    Asking(Wanted),
    Waiting(Waiting),
    Over,
}

/// The request that a permit is for.
struct Wanted {
    account: AccountId,
    is_foreign: bool,
    keys: RequestKey,
    /// Keeps the account alive until the future is polled.
    _lease: Option<Arc<()>>,
}

impl Wanted {
    fn facts(&self) -> RequestFacts<'_> {
        RequestFacts { is_foreign: self.is_foreign, ..self.keys.facts(self.account) }
    }
}

impl Acquire {
    pub(super) fn new(
        shared: Arc<Shared>,
        class: Priority,
        (account, lease): (AccountId, Option<Arc<()>>),
        keys: RequestKey,
        is_foreign: bool,
    ) -> Self {
        let stage = AcquireStage::Asking(Wanted { account, is_foreign, keys, _lease: lease });
        Self { shared, stage, class, deadline: None, hold: None }
    }

    /// Fails as soon as the permit certainly cannot be granted within this time from now on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// Fails as soon as this deadline certainly cannot be met. The error names the limit and the time.
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets how long the request may take until its response: 2 minutes by default. If nothing is reported of the
    /// request, its slot is held until then, even if the permit is dropped after it was sent: a service that hangs may
    /// still count the request when it continues. If no time is set, a permit that is dropped after the send is charged
    /// a second later.
    pub fn hold(mut self, longest: Duration) -> Self {
        self.hold = Some(nanos(longest));
        self
    }

    /// Returns the permit if the request need not wait.
    fn at_once(&mut self) -> Option<Permit> {
        let AcquireStage::Asking(wanted) = &self.stage else { return None };
        let (request, class, hold) = (wanted.facts(), self.class, self.hold);
        let granted = self.shared.with(|core, now| core.try_acquire(&request, class, hold, now))?;
        clerk_task::ensure(&self.shared);
        self.stage = AcquireStage::Over;
        Some(Permit::new(self.shared.clone(), granted).lasting(hold.is_some()))
    }

    /// Checks the queue once. Starts a timer if the runtime has none; panics outside of a runtime, before any state has
    /// changed.
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, Error>> {
        let (class, hold) = (self.class, self.hold);
        let mut starts = None;
        let outcome = self.shared.with(|core, now| match &mut self.stage {
            AcquireStage::Asking(wanted) => {
                let (runtime, start) = core.timers.here(now);
                starts = start;
                let deadline = self.deadline.map_or(Tick::MAX, |deadline| core.time.tick(deadline));
                let asking = QueueRequest { request: wanted.facts(), class, deadline, hold, runtime: Some(runtime) };
                Some(core.ask(&asking, cx.waker(), now))
            }
            AcquireStage::Waiting(waiting) => core.claim(waiting, hold, now).or_else(|| {
                let (runtime, start) = core.timers.here(now);
                starts = start;
                core.wait_on(waiting, cx.waker(), Some(runtime), hold, now)
            }),
            AcquireStage::Over => None,
        });
        if let Some(runtime) = starts {
            timer_task::start(&self.shared, &runtime);
        }
        clerk_task::ensure(&self.shared);
        match outcome {
            Some(AskOutcome::Granted(granted)) => {
                self.stage = AcquireStage::Over;
                Poll::Ready(Ok(Permit::new(self.shared.clone(), granted).lasting(hold.is_some())))
            }
            Some(AskOutcome::TooLate(too_late)) => {
                self.stage = AcquireStage::Over;
                Poll::Ready(Err(self.too_late(&too_late)))
            }
            Some(AskOutcome::Waiting(waiting)) => {
                self.stage = AcquireStage::Waiting(waiting);
                Poll::Pending
            }
            None if matches!(self.stage, AcquireStage::Waiting(_)) => Poll::Pending,
            None => Poll::Ready(Err(Error::new(ErrorKind::Request, "this permit was taken already"))),
        }
    }

    /// Returns the end of a long wait as people write it, to the second; `None` for a short one.
    fn moment(&self, opens_in: Duration) -> Option<jiff::Timestamp> {
        let clock = self.shared.with(|core, _| core.clock());
        let at = clock.now().checked_add(opens_in).filter(|_| opens_in >= LONG)?;
        jiff::Timestamp::try_from(at).ok()?.round(jiff::Unit::Second).ok()
    }

    fn too_late(&self, too_late: &TooLate) -> Error {
        let TooLate { limit, is_paused, opens_in, asked } = too_late;
        let pauses = if *is_paused { ", which pauses after a refusal," } else { "" };
        let left = self.deadline.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        let moment = self.moment(*opens_in).map(|moment| format!(" ({moment})")).unwrap_or_default();
        let why = format!(
            "`{limit}`{pauses} admits it in {opens_in:.1?} at the earliest{moment}, and its deadline is in {left:.1?}"
        );
        Error::new(ErrorKind::DeadlineExceeded, why).with_retry_after(*asked)
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.at_once() {
            Some(permit) => Poll::Ready(Ok(permit)),
            None => self.look(cx),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let AcquireStage::Waiting(waiting) = &self.stage {
            self.shared.with(|core, now| core.leave(waiting, now));
        }
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = matches!(self.stage, AcquireStage::Waiting(_));
        f.debug_struct("Acquire").field("class", &self.class).field("waits", &waits).finish_non_exhaustive()
    }
}

/// From this wait on, an error names the moment too: nobody adds 14,401 seconds to the time of a log.
const LONG: Duration = Duration::from_secs(10 * 60);
