//! Acquire: waiting for a permit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::driver;
use super::flight::Tells;
use super::meter::{Tick, nanos};
use super::owners::{About, Asker};
use super::permit::Permit;
use super::queue::{Answer, Ask};
use super::set::Set;
use super::{Shared, elapsed};
use crate::error::{Error, ErrorKind};
use crate::message::Class;

/// The future of [`Throttle::acquire`](super::Throttle::acquire).
#[must_use = "nobody stands in the queue until this is awaited"]
pub struct Acquire {
    shared: Arc<Shared>,
    stage: Stage,
    class: Class,
    task: u64,
    deadline: Option<Instant>,
    /// How long its request may take, where that was said.
    hold: Option<Tick>,
    about: About,
}

enum Stage {
    Asking(Set),
    Waiting(u32),
    Over,
}

impl Acquire {
    pub(super) fn new(shared: Arc<Shared>, class: Class, asker: &Asker<'_>) -> Self {
        let (set, about) = {
            let mut state = shared.lock();
            let (set, about) = state.meet(asker, class);
            state.hold(&set);
            (set, about)
        };
        let stage = Stage::Asking(set);
        Self { shared, stage, class, task: asker.task, deadline: None, hold: None, about }
    }

    /// Fails as soon as it is certain that this cannot be met, naming the limit and the time.
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets how long the request may take to its answer: 2 minutes by default. Its slot is held until then, if nothing
    /// is heard of it, also where its permit is dropped after it was sent: a service that stands still may count it when it
    /// goes on. Without a word of how long, a permit that is dropped so is charged a second later.
    pub fn hold(mut self, longest: Duration) -> Self {
        self.hold = Some(nanos(longest));
        self
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut starts = None;
        let mut label = None;
        let answer = this.shared.with(|state, now| {
            state.catch_up(now);
            let answer = match std::mem::replace(&mut this.stage, Stage::Over) {
                Stage::Asking(mut set) => {
                    let unmet = state.unmet(&this.about, &set);
                    if !unmet.is_empty() {
                        state.release(&set);
                        unmet.into_iter().for_each(|gauge| set.add_keyed(gauge));
                        state.hold(&set);
                    }
                    match state.try_go(&set, this.class, now) {
                        Some((flight, serial)) => Answer::Granted(flight, serial, 0),
                        None => {
                            let (home, start) = state.homes.here(now);
                            starts = start;
                            let deadline = this.deadline.map_or(Tick::MAX, |deadline| state.tick(deadline));
                            let ask = Ask { set, class: this.class, task: this.task, deadline, home: Some(home) };
                            state.ask(ask, cx.waker(), now)
                        }
                    }
                }
                Stage::Waiting(waiter) => {
                    let unmet = state.waiters.get(waiter as usize).map(|waiter| state.unmet(&this.about, &waiter.set));
                    if let Some(unmet) = unmet.filter(|unmet| !unmet.is_empty()) {
                        state.meet_too(waiter, &unmet, now);
                    }
                    match state.claim(waiter, now) {
                        Some(answer) => answer,
                        None => {
                            let (home, start) = state.homes.here(now);
                            starts = start;
                            state.look(waiter, cx.waker(), Some(home), now)
                        }
                    }
                }
                Stage::Over => return None,
            };
            let mut tells = Tells::default();
            match &answer {
                Answer::Granted(flight, ..) => {
                    state.launch(*flight, now, this.hold.unwrap_or(DEFAULT_HOLD));
                    tells = state.flights.tells(*flight);
                }
                Answer::Waiting(waiter) => this.stage = Stage::Waiting(*waiter),
                Answer::TooLate { gauge, opens } => {
                    let binding = state.gauges.get(*gauge as usize);
                    let paused = binding.is_some_and(|gauge| gauge.is_paused(now));
                    let asked = binding.and_then(|gauge| gauge.asked_until(now)).map(|until| elapsed(now, until));
                    label = Some((state.label(*gauge), paused, elapsed(now, *opens), asked));
                }
            }
            Some((answer, tells))
        });
        if let Some(runtime) = starts {
            driver::start(&this.shared, &runtime);
        }
        match answer {
            Some((Answer::Granted(flight, serial, waited), tells)) => {
                let about = std::mem::take(&mut this.about);
                Poll::Ready(Ok(
                    Permit::new(this.shared.clone(), flight, serial, tells, waited, about).lasting(this.hold.is_some())
                ))
            }
            Some((Answer::Waiting(_), _)) => Poll::Pending,
            Some((Answer::TooLate { .. }, _)) => {
                let (limit, paused, wait, asked) =
                    label.unwrap_or_else(|| ("a limit".into(), false, Duration::ZERO, None));
                let pauses = if paused { ", which pauses after a refusal," } else { "" };
                let left = this.deadline.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
                let why = format!(
                    "`{limit}`{pauses} admits it in {wait:.1?} at the earliest, and its deadline is in {left:.1?}"
                );
                Poll::Ready(Err(Error::new(ErrorKind::DeadlineExceeded, why).with_retry_after(asked)))
            }
            None => Poll::Ready(Err(Error::new(ErrorKind::Request, "this permit was taken already"))),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asking(set) => self.shared.lock().release(&set),
            Stage::Waiting(waiter) => self.shared.with(|state, now| state.leave(waiter, now)),
            Stage::Over => {}
        }
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = matches!(self.stage, Stage::Waiting(_));
        f.debug_struct("Acquire").field("class", &self.class).field("waits", &waits).finish_non_exhaustive()
    }
}

/// An attempt without a timeout of its own is taken to be over by then.
pub(super) const DEFAULT_HOLD: Tick = 120 * 1_000_000_000;
