//! Permit: the right to send one attempt, in two phases.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::Shared;
use super::acquire::DEFAULT_HOLD;
use super::feedback::Heard;
use super::flight::Tells;
use super::meter::Tick;
use super::owners::{About, Asker};
use super::state::State;
use crate::event::{Blame, Event};
use crate::hint::Hints;
use crate::message::Class;

/// The right to send one request now.
///
/// Dropped unsent, it is refunded. After [`sent`](Permit::sent), one of [`answered`](Permit::answered) and
/// [`heard`](Permit::heard) says that the answer is here; dropped without, it is charged from the time on that its request
/// may take ([`Acquire::hold`](super::Acquire::hold)), or where that was not said, from a second later on. One that is held for longer than its request may take
/// ([`Acquire::hold`](super::Acquire::hold), 2 minutes) is over, and its slot goes to another: do not send with it, ask
/// again. Keep it until the end of the body where a limit counts bytes or requests at once.
#[must_use = "a permit that is dropped unsent is refunded"]
pub struct Permit {
    shared: Arc<Shared>,
    flight: u32,
    serial: u64,
    phase: Phase,
    tells: Tells,
    waited: Tick,
    about: About,
    /// How long its request may take was said, and so its slot is held until then.
    lasts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reserved,
    Sent,
    Answered,
    Over,
}

/// What an answer did to the throttle.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    /// The limit, or the route, that now pauses.
    pub(crate) limit: Arc<str>,
    pub(crate) blame: Blame,
    /// It was going before.
    pub(crate) is_new: bool,
    /// It is a declared limit, which was kept.
    pub(crate) kept: bool,
}

/// The right to send now, if there is one.
pub(super) fn try_now(shared: &Arc<Shared>, class: Class, asker: &Asker<'_>, hold: Option<Tick>) -> Option<Permit> {
    let (flight, serial, tells, about) = shared.with(|state, now| {
        state.catch_up(now);
        let (set, about) = state.meet(asker, class);
        let (flight, serial) = state.try_go(&set, class, now)?;
        state.hold(&set);
        state.launch(flight, now, hold.unwrap_or(DEFAULT_HOLD));
        Some((flight, serial, state.flights.tells(flight), about))
    })?;
    Some(Permit::new(shared.clone(), flight, serial, tells, 0, about).lasting(hold.is_some()))
}

impl Permit {
    pub(super) const fn new(
        shared: Arc<Shared>,
        flight: u32,
        serial: u64,
        tells: Tells,
        waited: Tick,
        about: About,
    ) -> Self {
        Self { shared, flight, serial, phase: Phase::Reserved, tells, waited, about, lasts: false }
    }

    /// Holds its slot until its request is over, also where it is dropped after it was sent.
    pub(super) const fn lasting(mut self, lasts: bool) -> Self {
        self.lasts = lasts;
        self
    }

    /// From here on the service may count it.
    pub fn sent(&mut self) {
        if self.phase == Phase::Reserved {
            self.phase = Phase::Sent;
            if self.tells.send {
                self.shared.with(|state, now| state.send(self.flight, self.serial, now));
            }
        }
    }

    /// The headers of the answer are here: the service counted it before now.
    pub fn answered(&mut self) {
        if self.phase == Phase::Over || self.phase == Phase::Answered {
            return;
        }
        self.phase = if self.tells.body { Phase::Answered } else { Phase::Over };
        self.shared.with(|state, now| self.arrive(state, now));
    }

    /// As [`answered`](Permit::answered), and lets the throttle act on what the answer says: pause after a 429 or 503,
    /// keep the budgets that its headers tell.
    pub fn heard(&mut self, status: StatusCode, headers: &HeaderMap) {
        let now = self.shared.lock().clock.now();
        let stopped = self.hear(status, &Hints::of(headers, now));
        if let Some(Stopped { limit, blame, .. }) = stopped {
            let request = self.about.route.clone().unwrap_or_else(|| "a request".into());
            self.tell(|| Event::Refused { status, request, credential: None, limit, blame });
        }
    }

    /// As [`heard`](Permit::heard), with the hints read already; tells what it stopped.
    pub(crate) fn hear(&mut self, status: StatusCode, hints: &Hints) -> Option<Stopped> {
        if self.phase == Phase::Over || self.phase == Phase::Answered {
            return None;
        }
        self.phase = if self.tells.body { Phase::Answered } else { Phase::Over };
        self.shared.with(|state, now| {
            state.catch_up(now);
            let (set, sent) =
                state.flights.get(self.flight, self.serial).map(|flight| (flight.set.clone(), flight.sent))?;
            state.hold(&set);
            self.arrive(state, now);
            let heard = Heard { about: &self.about, status, hints, sent };
            let paused = state.hear(&set, &heard, now);
            state.release(&set);
            paused.map(|paused| Stopped {
                limit: state.label(paused.gauge),
                blame: paused.blame,
                is_new: paused.is_new,
                kept: paused.kept,
            })
        })
    }

    fn arrive(&self, state: &mut State, now: Tick) {
        if self.tells.body {
            state.answer(self.flight, self.serial, now);
        } else {
            state.answer_whole(self.flight, self.serial, now);
        }
    }

    /// So many bytes of a body went, or came.
    pub fn charge(&mut self, bytes: u64) {
        if self.tells.body && bytes > 0 {
            self.shared.with(|state, now| state.charge(self.flight, self.serial, bytes, now));
        }
    }

    /// It provably never left: refunded.
    pub fn unsent(mut self) {
        if self.phase == Phase::Sent {
            self.phase = Phase::Reserved;
        }
    }

    /// Where its request goes, if the throttle wants to know that.
    pub(crate) fn route(&self) -> Option<&str> {
        self.about.route.as_deref()
    }

    /// Whether a limit wants it to be kept until the end of the body.
    #[must_use]
    pub const fn counts_bodies(&self) -> bool {
        self.tells.body
    }

    /// How long it stood in the queue.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited)
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.shared.is_watched.load(Relaxed) {
            // Nobody listens any more.
            let _ = self.shared.events.send(event());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (flight, serial) = (self.flight, self.serial);
        match self.phase {
            Phase::Over => {}
            Phase::Reserved => self.shared.with(|state, now| state.refund(flight, serial, now)),
            Phase::Sent => self.shared.with(|state, now| state.abandon(flight, serial, self.lasts, now)),
            Phase::Answered => self.shared.with(|state, now| state.finish(flight, serial, now)),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("phase", &self.phase).finish_non_exhaustive()
    }
}
