//! Throttle: the right to send one attempt now, under all limits at once.
//!
//! # Implementation
//! A throttle is one lock around a [`Core`](core::Core) of four parts. Each part owns its data, and takes the parts below
//! it as arguments; only the core sees all of them.
//!
//! ```text
//! Throttle, Acquire, Permit, ThrottleLayer      handles: what users hold
//!        │ Shared: lock, then effects
//!        ▼
//! Core ── Scheduler    who waits where, whose turn it is, who is woken      scheduler.rs
//!      ── Accounts     which limiters a request meets                       accounts.rs, account.rs
//!      ── InFlight     the permits that are out, and when each is over      in_flight.rs
//!      ── Limiters     windows, pauses, advertised budgets; sets of them    limiters.rs, limiter.rs
//! ```
//!
//! **The life of a permit.** A request is looked up: the limiters that count it are its *set* ([`accounts`]). If all of them
//! admit it and nobody stands before it, it takes a slot of each, or of none ([`limiters`]), and a permit is *in flight*
//! ([`in_flight`]). The permit reports the send, the answer and the end of the body; each limiter anchors its slot at the
//! moment that it counts from, the answer by default, because the service has counted the request by then. A permit that
//! reports nothing is over by arithmetic.
//!
//! **Waiting.** Otherwise the request joins the queue: [`scheduler`] says how a waiter is woken, and in which order.
//!
//! **Answers.** What an answer says of limits is a pure function, [`feedback::interpret`]; a refusal pauses one limiter
//! ([`limiter::pause`]), and a stated budget becomes a limiter of the account ([`account::budgets`]).
//!
//! **After the lock.** Wakers, events and timers are [`effects`], carried out when the lock is gone: each of them may call
//! back. Time is read once per call, inside the lock or just before it, and never runs back ([`time`]).
//!
//! **Cost.** The common request finds its set by a comparison ([`account::known`]), and passes each plain limiter with a
//! count and a push. Nothing is allocated, no timer is touched, and no lane is looked at where nobody waits.
//!
//! **Bugs.** An [id](ids) without its entry panics: the exhaustive [model](self) (`model.rs`) and the property tests would
//! meet it, and a waiter must not be lost over it silently. Nothing that a service sends can lead there.
//!
//! | question | file |
//! | --- | --- |
//! | How does a 429 pause? | `limiter/pause.rs`; which limiter it stops: `feedback.rs` |
//! | How does a window count? | `limiter/window.rs` and its folder |
//! | How is a waiter woken? | `scheduler.rs` |
//! | Which limiters does a request meet? | `accounts.rs` |
//! | When is a permit over? | `in_flight.rs` |
//!
//! | word | meaning |
//! | --- | --- |
//! | limiter | one window of one limit for one key, with its pause |
//! | gate | a limiter without a window: it only pauses |
//! | set | the limiters that one request meets |
//! | slot | the place of one request in a window |
//! | anchor | the moment from which a window counts a request |
//! | lane | the waiters of one class that meet one set |
//! | parked | a lane waits for one limiter, the one that admits it last |
//! | ramp | after a pause: one request, then two, four and so on with each round trip |
//! | advertised | what the service states of a budget in its answers |
//! | learner | a limiter that searches for a limit that nobody states |
//! | starving | a lane that finds one limiter open and another closed, again and again |

mod account;
mod accounts;
mod acquire;
mod core;
mod effects;
mod explain;
mod feedback;
mod ids;
mod in_flight;
#[cfg(feature = "tower")]
mod layer;
mod learned;
#[cfg(test)]
mod lending;
mod limiter;
mod limiters;
#[cfg(test)]
mod model;
mod permit;
mod request;
mod request_key;
mod scheduler;
mod shared;
mod time;
mod timer_task;
mod timers;
mod usage;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use url::Url;

use crate::clock::Clock;
use crate::error::Error;
use crate::event::Events;
use crate::limit::Limit;
use crate::message::Priority;

pub use acquire::Acquire;
pub use explain::QueueEstimate;
pub use feedback::Feedback;
#[cfg(feature = "tower")]
pub use layer::{Counted, ThrottleLayer, Throttled};
pub use learned::Learned;
pub use permit::Permit;
pub use request_key::RequestKey;
pub use usage::LimitUsage;

pub(crate) use feedback::Stopped;
pub(crate) use request::RequestFacts;

use accounts::Accounts;
use ids::AccountId;
use limiters::Editing;
use shared::Shared;
use time::nanos;

/// The shared state of limits: which requests went out when, who waits, and who pauses.
///
/// A [`Client`](crate::Client) makes its own, and its clones share it. Give one throttle to several clients, and those
/// for the same service and [`account`](crate::ClientBuilder::account) keep each limit once, together:
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
/// Your own requests can go under the same limits: [`acquire`](Throttle::acquire) a [`Permit`] from
/// [`Client::throttle`](crate::Client::throttle), or from a throttle without any client.
///
/// What it keeps: in any sliding window, the service never sees more arrivals than the limit. A slot is taken when a
/// request goes out and runs from the moment its *answer* came, because a service counts arrivals, and those lie
/// between the two. The price is throughput: window / (window + mean round trip) of the limit; see
/// [`Anchor`](crate::limits::Anchor) for less.
///
/// Who waits goes by class ([`Priority`]), inside a class by turns of the tasks, and for one task first come, first
/// served. It lives in this process: another one, or this one started anew, knows nothing of what was sent, and shares
/// no budget with it. A refusal is then met as any other, with a pause.
#[derive(Clone)]
pub struct Throttle {
    shared: Arc<Shared>,
    /// The account that this handle counts for.
    account: AccountId,
    /// Keeps it: an account that nobody has a handle of is given up once nothing of it is counted.
    lease: Option<Arc<()>>,
    /// The path that relative routes stand below.
    base: Arc<str>,
}

impl Throttle {
    /// A throttle without limits.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new()), account: AccountId::ALL, lease: None, base: "/".into() }
    }

    /// The same throttle, for the requests of one account of the service at this URL. What a client has by
    /// [`Client::throttle`](crate::Client::throttle).
    ///
    /// Limits that are set on it count for the account alone; those set on [`Throttle::new`]'s, for all. They are kept for
    /// as long as there is a handle of the account, and until nothing is counted by them any more.
    #[must_use]
    pub fn account(&self, base: &Url, name: &str) -> Self {
        let origin = base.origin().ascii_serialization();
        let (account, lease) = self.shared.with(|core, now| {
            core.edit(now, |accounts, editing| {
                let account = accounts.account(&origin, name, editing);
                (account, accounts.lease(account))
            })
        });
        Self { shared: self.shared.clone(), account, lease, base: base.path().into() }
    }

    /// Takes a limit on. One that is there already is shared.
    ///
    /// It counts requests that ask from now on; a request asks when its [`Acquire`] is first polled.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), where it admits nothing, is longer than 400 days, is in no time
    /// zone, or contradicts one that is kept for the same requests.
    pub fn add_limit(&self, limit: Limit) -> Result<(), Error> {
        self.install(&[limit])
    }

    /// Gives the windows of a limit other counts while it is kept: of the same scope, over the same time. What they have
    /// counted stays, so do name, anchor and the rest, and all who wait are looked at again.
    ///
    /// A client's limits are changed by its own handle, [`Client::throttle`](crate::Client::throttle).
    ///
    /// ```
    /// use longhaul::{Limit, Throttle};
    ///
    /// let throttle = Throttle::new();
    /// throttle.add_limit(Limit::per_second(4))?;
    /// throttle.change_limit(Limit::per_second(10))?; // by day the service allows more
    /// assert_eq!(throttle.limits(), [Limit::per_second(10)]);
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), where it cannot be kept, or no such limit is.
    #[expect(clippy::needless_pass_by_value, reason = "it is taken on")]
    pub fn change_limit(&self, limit: Limit) -> Result<(), Error> {
        let change = |accounts: &mut Accounts, editing: &mut Editing<'_>| {
            accounts.change(self.account, &self.base, &limit, editing)
        };
        self.shared.with(|core, now| core.edit(now, change))
    }

    /// Keeps the windows of a limit no longer: of the same scope, over the same time, whatever their counts. Tells
    /// whether there were any.
    #[must_use = "whether there was such a limit"]
    pub fn remove_limit(&self, limit: &Limit) -> bool {
        let remove = |accounts: &mut Accounts, editing: &mut Editing<'_>| {
            accounts.remove(self.account, &self.base, limit, editing)
        };
        self.shared.with(|core, now| core.edit(now, remove))
    }

    /// The limits that are kept for this account, or by [`Throttle::new`]'s handle for all accounts; a limit of several
    /// windows as several.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        self.shared.lock().accounts.get(self.account).map_or_else(Vec::new, |account| account.rules.limits())
    }

    /// Sets what is made of answers. [`Feedback::Budgets`] by default.
    pub fn set_feedback(&self, feedback: Feedback) {
        self.shared.with(|core, now| core.edit(now, |accounts, editing| accounts.set_feedback(feedback, editing)));
    }

    /// Sets the wall clock, by which calendar days go.
    pub fn set_clock(&self, clock: Clock) {
        self.shared.with(|core, now| core.edit(now, |accounts, editing| accounts.set_clock(clock, editing.limiters)));
    }

    /// Waits for the right to send one request.
    ///
    /// ```
    /// use longhaul::{Limit, Throttle};
    /// use longhaul::limits::{Priority, RequestKey};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> longhaul::Result<()> {
    /// let throttle = Throttle::new();
    /// throttle.add_limit(Limit::per_second(4))?;
    ///
    /// let mut permit = throttle.acquire(Priority::Call, &RequestKey::new()).await?;
    /// permit.sent(); // dropped before this, it is refunded
    /// // ... send, and when the headers of the answer are here:
    /// permit.answered();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Only with a [deadline](Acquire::deadline): [`ErrorKind::DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded) as
    /// soon as it cannot be met, naming the limit and the time.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the queue and takes nothing with it. One that is alive but not polled holds up nobody: its
    /// turn passes on after 20 ms, and it has its place again when it is polled.
    ///
    /// # Panics
    /// Where it has to wait outside of a tokio runtime with time enabled. A request that need not wait needs no runtime.
    pub fn acquire(&self, class: Priority, keys: &RequestKey) -> Acquire {
        Acquire::new(self.shared.clone(), class, (self.account, self.lease.clone()), keys.clone(), false)
    }

    /// The right to send one request, if there is one now and nobody stands before it.
    #[must_use]
    pub fn try_acquire(&self, class: Priority, keys: &RequestKey) -> Option<Permit> {
        let granted = self.shared.with(|core, now| core.try_acquire(&keys.facts(self.account), class, None, now))?;
        Some(Permit::new(self.shared.clone(), granted))
    }

    /// Stops all requests of this account, or of all for [`Throttle::new`]'s, for so long. It ends as after a refusal:
    /// one probe, then two, four and so on.
    pub fn pause(&self, during: Duration) {
        self.shared.with(|core, now| {
            let until = now.saturating_add(nanos(during));
            core.edit(now, |accounts, editing| {
                for gate in accounts.hold(self.account, until) {
                    editing.limiters.pause(gate, until, editing.effects, now);
                    editing.changed.push(gate);
                }
            });
        });
    }

    /// Ends the pauses of this account and its limits, or of all for [`Throttle::new`]'s, as they end by themselves: one
    /// probe, then two, four and so on. For a service that asked to stay away for too long.
    pub fn resume(&self) {
        self.shared.with(|core, now| core.edit(now, |accounts, editing| accounts.resume(self.account, editing)));
    }

    /// Begins as after a refusal: one request of this account, or of each for [`Throttle::new`]'s, then two, four and so
    /// on with each round trip.
    ///
    /// For a program that starts anew: the service still counts what the run before has sent, of which this throttle
    /// knows nothing, and a burst of new requests would be refused. [`Client::resume`](crate::Client::resume) does it
    /// where nothing was sent before; [`ClientBuilder::slow_start`](crate::ClientBuilder::slow_start) turns that off.
    pub fn start_slowly(&self) {
        self.shared.with(|core, now| core.edit(now, |accounts, editing| accounts.start_slowly(self.account, editing)));
    }

    /// As [`start_slowly`](Self::start_slowly), where nothing of the account was sent before.
    pub(crate) fn start_slowly_once(&self) {
        self.shared.with(|core, now| {
            core.edit(now, |accounts, editing| {
                if accounts.is_fresh(self.account, editing.limiters) {
                    accounts.start_slowly(self.account, editing);
                }
            });
        });
    }

    /// What a request would meet now: the limit that admits it last, how many stand before it, and for how long.
    #[must_use]
    pub fn explain(&self, class: Priority, keys: &RequestKey) -> QueueEstimate {
        self.shared.with(|core, now| core.explain(&keys.facts(self.account), class, now))
    }

    /// How much of each limit is used now, as far as it counts requests of this account: the declared ones in their
    /// order (also those of [`Throttle::new`]'s handle), the budgets that the service states, what was learned, and
    /// each route or account that pauses. A limit that is still searched for is not told of. Of limits per key (route,
    /// host, credential) those keys that are in use; 1,024 lines at most.
    #[must_use]
    pub fn usage(&self) -> Vec<LimitUsage> {
        self.shared.with(|core, now| core.usage(self.account, false, now))
    }

    /// As [`usage`](Self::usage), with the most that were at once since the last look.
    pub(crate) fn look(&self) -> Vec<LimitUsage> {
        self.shared.with(|core, now| core.usage(self.account, true, now))
    }

    /// The declared limits that no request was counted by so far: a scope that fits none, as a rule.
    pub(crate) fn unmatched(&self) -> Vec<Arc<str>> {
        let core = self.shared.lock();
        core.accounts.unmatched(self.account, &core.limiters)
    }

    /// What happens, as it happens. The last 1,024 events are kept for a watcher that is slow;
    /// [`Event::Missed`](crate::Event::Missed) says how many it lost.
    ///
    /// It ends with the throttle's last clone.
    pub fn events(&self) -> Events {
        self.shared.is_watched.store(true, Relaxed);
        Events::from_channel(self.shared.events.subscribe())
    }

    /// The limits that were found out so far, to be [given back](Throttle::recall) at the next start.
    #[must_use]
    pub fn learned(&self) -> Learned {
        let core = self.shared.lock();
        Learned::found(&core.accounts, &core.limiters)
    }

    /// Takes on what was found out before, as a start; it goes on learning from there. Turns
    /// [`Feedback::Learn`] on.
    pub fn recall(&self, learned: &Learned) {
        self.set_feedback(Feedback::Learn);
        self.shared.with(|core, now| core.edit(now, |accounts, editing| learned.give(accounts, editing)));
    }

    /// Takes limits on, all or none.
    pub(crate) fn install(&self, limits: &[Limit]) -> Result<(), Error> {
        self.shared.with(|core, now| {
            core.edit(now, |accounts, editing| accounts.install(self.account, &self.base, limits, editing.limiters))
        })
    }

    pub(crate) fn try_acquire_for(
        &self,
        class: Priority,
        request: &RequestFacts<'_>,
        hold: Duration,
    ) -> Option<Permit> {
        let granted = self.shared.with(|core, now| core.try_acquire(request, class, Some(nanos(hold)), now))?;
        Some(Permit::new(self.shared.clone(), granted).lasting(true))
    }

    pub(crate) fn acquire_for(&self, class: Priority, request: &RequestFacts<'_>) -> Acquire {
        let account = (request.account, self.lease.clone());
        Acquire::new(self.shared.clone(), class, account, RequestKey::of(request), request.is_foreign)
    }

    pub(crate) const fn account_id(&self) -> AccountId {
        self.account
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.shared.lock();
        let limits: Vec<_> = core.accounts.iter().flat_map(|account| account.rules.limits()).collect();
        f.debug_struct("Throttle")
            .field("limits", &limits.iter().map(ToString::to_string).collect::<Vec<_>>())
            .field("counters", &core.limiters.len())
            .field("waiting", &core.scheduler.len())
            .finish_non_exhaustive()
    }
}
