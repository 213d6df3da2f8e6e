//! Throttle: the right to send one attempt now, under all limits at once.
//!
//! # Implementation
//! A throttle is one lock around a [`Core`](core::Core) of four parts. Each part owns its data and takes the parts
//! below it as arguments; only the core sees all of them.
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
//! **The life of a permit.** The throttle looks up the limiters that count a request: its *set* ([`accounts`]). If
//! every limiter admits the request and no other request is ahead, the request takes a slot of each limiter, or of none
//! ([`limiters`]), and its permit is *in flight* ([`in_flight`]). The permit reports the send, the response and the end
//! of the body. Each limiter anchors its slot at the moment from which it counts: by default the response, because the
//! service has counted the request by then. A permit that reports nothing expires at a computed time.
//!
//! **Waiting.** Otherwise the request joins the queue: [`scheduler`] describes how a waiter is woken, and in which
//! order.
//!
//! **Responses.** A pure function, [`feedback::interpret`], reads the limits that a response states. A refusal pauses
//! one limiter ([`limiter::pause`]), and a stated budget becomes a limiter of the account ([`account::budgets`]).
//!
//! **Other processes.** Windows can hold slots that a store lends ([`slots`], [`loans`]), and a [`board`] in the store
//! tells all processes of a pause, a budget or a limit that one of them met ([`boards`]). A task of the throttle goes to
//! the store ([`clerk_task`]); nothing waits for it under the lock.
//!
//! **After the lock.** Wakers, events and timers are [`effects`]. They are carried out after the lock is released,
//! because each of them may call back. Each call reads the time once, inside the lock or just before it, and time never
//! runs backwards ([`time`]).
//!
//! **Cost.** The common request finds its set by a comparison ([`account::known`]), and passes each plain limiter with
//! a count and a push. If no request waits, nothing is allocated, no timer is touched and no lane is examined.
//!
//! **Bugs.** An [id](ids) without an entry panics: the exhaustive [model](self) (`model.rs`) and the property tests
//! would find the bug, and a waiter must not be lost silently because of it. Nothing that a service sends can cause
//! this panic.
//!
//! | question | file |
//! | --- | --- |
//! | How does a 429 pause? | `limiter/pause.rs`; which limiter it stops: `feedback.rs` |
//! | How does a window count? | `limiter/window.rs` and its folder |
//! | How is a waiter woken? | `scheduler.rs` |
//! | Which limiters count a request? | `accounts.rs` |
//! | When does a permit expire? | `in_flight.rs` |
//! | Which slots does a process borrow and give back? | `limiter/window/lent/loan.rs`; the store's side: `slots.rs` |
//! | What do processes tell each other? | `boards.rs`; the store's side: `board.rs` |
//!
//! | word | meaning |
//! | --- | --- |
//! | limiter | one window of one limit for one key, with its pause |
//! | gate | a limiter without a window: it only pauses |
//! | set | the limiters that count one request |
//! | slot | the place of one request in a window |
//! | anchor | the moment from which a window counts a request |
//! | lane | the waiters of one class that share a set |
//! | parked | a lane is parked at the limiter that admits it last, and waits for that limiter |
//! | ramp | the restart after a pause: one request, then two, four and so on with each round trip |
//! | lent | slots of a window that several processes share, borrowed from a store ([`slots`]) |
//! | advertised | the part of a budget that the service states in its responses |
//! | learner | a limiter that searches for an unstated limit |
//! | starving | a lane is starving if it repeatedly finds one limiter open and another closed |

mod account;
mod accounts;
mod acquire;
mod board;
mod boards;
mod clerk;
mod clerk_task;
mod core;
mod effects;
mod explain;
mod feedback;
#[cfg(test)]
mod fleet;
mod ids;
mod in_flight;
#[cfg(feature = "tower")]
mod layer;
mod learned;
mod ledger;
mod limiter;
mod limiters;
mod loans;
#[cfg(test)]
mod model;
mod permit;
mod request;
mod request_key;
mod scheduler;
mod shared;
mod shared_usage;
mod slots;
mod time;
mod timer_task;
mod timers;
mod usage;

use std::fmt;
use std::path::Path;
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
pub use learned::{Learned, LearnedLimit};
pub use permit::Permit;
pub use request_key::RequestKey;
pub use shared_usage::SharedUsage;
pub use usage::LimitUsage;

pub(crate) use feedback::Stopped;
pub(crate) use request::RequestFacts;

use accounts::Accounts;
use clerk::Clerk;
use ids::AccountId;
use ledger::Ledger;
use ledger::file::FileLedger;
use limiter::window::lent::Terms;
use limiters::Editing;
use shared::Shared;
use time::{Tick, nanos};

/// The shared state of limits: the requests that were sent, the requests that wait, and the pauses.
///
/// A [`Client`](crate::Client) creates its own throttle, and clones of the client share it. If several clients use one
/// throttle, the clients of the same service and [`account`](crate::ClientBuilder::account) keep each limit once,
/// together:
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
/// Your own requests can share the same limits: [`acquire`](Throttle::acquire) a [`Permit`] from
/// [`Client::throttle`](crate::Client::throttle), or from a throttle without any client.
///
/// The throttle guarantees that in any sliding window, the service never sees more arrivals than the limit. A request
/// takes a slot when it is sent, and the slot runs from the moment its *response* arrived: a service counts arrivals,
/// and each arrival lies between the two. The cost is throughput: window / (window + mean round trip) of the limit; see
/// [`Anchor`](crate::limits::Anchor) for cheaper choices.
///
/// Waiting requests are ordered by class ([`Priority`]). Within a class the tasks take turns, and the requests of one
/// task are served first come, first served. The state lives in this process: another process, or a restart of this
/// one, does not know which requests were sent, and shares no budget with it. A refusal is then handled as any other,
/// with a pause. [`Throttle::file`] and `Throttle::redis` (feature `redis`) share limits with other processes.
#[derive(Clone)]
pub struct Throttle {
    shared: Arc<Shared>,
    /// The account that this handle counts for.
    account: AccountId,
    /// Keeps the account alive: an account without a handle is discarded once nothing of it is counted.
    lease: Option<Arc<()>>,
    /// The path that relative routes are resolved against.
    base: Arc<str>,
}

impl Throttle {
    /// Creates a throttle without limits.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new(None)), account: AccountId::ALL, lease: None, base: "/".into() }
    }

    /// Creates a throttle whose limits are shared with all processes of this machine that name the same file: together
    /// they send no more than each limit allows. What was used of a day or of another long window survives restarts, and
    /// processes that are killed: a limit per day does not begin at 0 after a deploy.
    ///
    /// The file is created if it does not exist. All processes must use the same version of the file, on a disk of this
    /// machine (not on a network share). The limits are added as to any throttle, in each process; if two processes
    /// declare different counts for the same requests and the same window, the smaller one counts for all of them, and
    /// [`Event::LimitsDiffer`](crate::Event::LimitsDiffer) tells so. Limits of bytes, of concurrent requests and of
    /// services that queue cannot be shared, and are refused; a [soft](Limit::soft) limit counts in each process.
    /// [`Anchor::ResponseLessRoundTrip`](crate::limits::Anchor::ResponseLessRoundTrip) counts as `Response`.
    ///
    /// A refusal of the service pauses all processes, and one of them sends the first request afterwards; budgets that the
    /// service states, and limits that were found, are divided among the processes.
    ///
    /// ```no_run
    /// use longhaul::{Client, Limit, Throttle};
    ///
    /// let throttle = Throttle::file("/var/lib/exports/limits")?;
    /// let client = Client::builder("https://api.example.com/v1")
    ///     .throttle(&throttle)
    ///     .limit(Limit::per_second(4).and_per_day(10_000, "America/New_York"))
    ///     .build()?;
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    ///
    /// **How.** Each process borrows slots of a window for as long as it has use for them, and gives them back with the
    /// time at which they are free. A process that dies takes its slots with it until its lease is over, 3 seconds, and
    /// until what it may have sent has left the window; of a day, about 1 % that it had borrowed ahead. If the file
    /// cannot be read or written, each process goes on with its slots until its lease ends, and then waits:
    /// [`Event::StoreDown`](crate::Event::StoreDown). The limits are never exceeded.
    ///
    /// The throttle needs a tokio runtime with time enabled: a task of the throttle asks for slots, and
    /// [`try_acquire`](Throttle::try_acquire) alone grants only what was borrowed before.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the file cannot be created, read, locked or written, or holds
    /// something else, or is damaged. The file is then left as it is.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let ledger = FileLedger::open(path.as_ref())?;
        let terms =
            Terms { member: member_name(), ttl: 3 * SECOND, guard: SECOND, beat: SECOND / 4, poll: SECOND / 50 };
        Ok(Self::lent_by(Arc::new(ledger), terms))
    }

    /// Creates a throttle whose limits are shared with all processes, on any machine, that name the same Redis server and
    /// namespace: together they send no more than each limit allows. What [`Throttle::file`] describes holds here as
    /// well.
    ///
    /// The server is Redis 6 or later, a single one with any number of replicas; not a cluster. Its clock decides when a
    /// calendar day begins. A URL is `redis://user:password@host:6379/0`; `rediss://` needs one of the TLS features of
    /// the crate `redis` (such as `tokio-rustls-comp`). A namespace is the set of limits that are kept together: one for
    /// each application and stage, of up to 64 letters, digits and `-_.:`.
    ///
    /// A lease lasts 10 seconds. A server that is away for less delays no request that a process has slots for; after
    /// that the process waits for the server, because another may use its slots
    /// ([`Event::StoreDown`](crate::Event::StoreDown)). `docs/scale.md` describes how to run the server, and each fault.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL or the namespace cannot be used;
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the server cannot be reached, refuses the password, is too old,
    /// read-only, or part of a cluster.
    #[cfg(feature = "redis")]
    pub async fn redis(url: &str, namespace: &str) -> Result<Self, Error> {
        let member = member_name();
        let ledger = ledger::redis::RedisLedger::open(url, namespace, member.clone()).await?;
        let terms = Terms { member, ttl: 10 * SECOND, guard: SECOND, beat: 10 * SECOND / 3, poll: SECOND };
        Ok(Self::lent_by(Arc::new(ledger), terms))
    }

    /// Creates a throttle whose windows are shared with all members of a store.
    fn lent_by(ledger: Arc<dyn Ledger>, terms: Terms) -> Self {
        let shared = Shared::new(Some(Arc::new(Clerk::new(ledger))));
        shared.lock().limiters.share(Arc::new(terms));
        Self { shared: Arc::new(shared), account: AccountId::ALL, lease: None, base: "/".into() }
    }

    /// Returns a handle of the same throttle for the requests of one account of the service at this URL.
    /// [`Client::throttle`](crate::Client::throttle) returns such a handle.
    ///
    /// Limits that are set on this handle count for the account alone; limits set on the handle of [`Throttle::new`]
    /// count for all accounts. The limits of an account are kept for as long as there is a handle of the account, and
    /// until they no longer count anything.
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

    /// Adds a limit. A limit that already exists is shared.
    ///
    /// The limit counts requests that ask from now on; a request asks when its [`Acquire`] is first polled.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the limit admits nothing, is longer than 400 days, names an
    /// unknown time zone, or contradicts a limit that is kept for the same requests.
    pub fn add_limit(&self, limit: Limit) -> Result<(), Error> {
        self.install(&[limit])
    }

    /// Changes the counts of a limit's windows while the limit is in force. The limit is matched by its scope and its
    /// lengths of time. Requests that were already counted stay counted, the name, anchor and other settings are kept,
    /// and all waiting requests are checked again.
    ///
    /// To change the limits of a client, use the client's own handle, [`Client::throttle`](crate::Client::throttle).
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
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the limit cannot be kept, or no such limit exists.
    #[expect(clippy::needless_pass_by_value, reason = "it is taken on")]
    pub fn change_limit(&self, limit: Limit) -> Result<(), Error> {
        let change = |accounts: &mut Accounts, editing: &mut Editing<'_>| {
            accounts.change(self.account, &self.base, &limit, editing)
        };
        self.shared.with(|core, now| core.edit(now, change))
    }

    /// Removes the windows of a limit. The limit is matched by its scope and its lengths of time, whatever its counts.
    /// Returns whether there were any such windows.
    #[must_use = "whether there was such a limit"]
    pub fn remove_limit(&self, limit: &Limit) -> bool {
        let remove = |accounts: &mut Accounts, editing: &mut Editing<'_>| {
            accounts.remove(self.account, &self.base, limit, editing)
        };
        self.shared.with(|core, now| core.edit(now, remove))
    }

    /// Returns the limits of this account; the handle of [`Throttle::new`] returns those that count for all accounts. A
    /// limit of several windows appears as several limits.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        self.shared.lock().accounts.get(self.account).map_or_else(Vec::new, |account| account.rules.limits())
    }

    /// Sets how the throttle uses the limits that responses state. [`Feedback::Budgets`] by default.
    pub fn set_feedback(&self, feedback: Feedback) {
        self.shared.with(|core, now| core.edit(now, |accounts, editing| accounts.set_feedback(feedback, editing)));
    }

    /// Sets the wall clock that determines calendar days.
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
    /// Only with a [deadline](Acquire::deadline): [`ErrorKind::DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded)
    /// as soon as the deadline cannot be met. The error names the limit and the time.
    ///
    /// # Cancel safety
    /// If the future is dropped, the request leaves the queue and takes nothing with it. A future that is alive but not
    /// polled blocks no other request: its turn passes on after 20 ms, and it regains its place when it is polled.
    ///
    /// # Panics
    /// Panics if the request has to wait outside of a tokio runtime with time enabled. A request that need not wait
    /// needs no runtime.
    pub fn acquire(&self, class: Priority, keys: &RequestKey) -> Acquire {
        Acquire::new(self.shared.clone(), class, (self.account, self.lease.clone()), keys.clone(), false)
    }

    /// Returns a permit to send one request, if one is available now and no other request is ahead.
    #[must_use]
    pub fn try_acquire(&self, class: Priority, keys: &RequestKey) -> Option<Permit> {
        clerk_task::ensure(&self.shared);
        let granted = self.shared.with(|core, now| core.try_acquire(&keys.facts(self.account), class, None, now))?;
        Some(Permit::new(self.shared.clone(), granted))
    }

    /// Stops all requests of this account for a duration, or those of all accounts on the handle of [`Throttle::new`].
    /// The pause ends as after a refusal: one probe, then two, four and so on.
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

    /// Ends the pauses of this account and its limits, or those of all accounts on the handle of [`Throttle::new`]. The
    /// pauses end as they do by themselves: one probe, then two, four and so on. Use this method if a service asked for
    /// too long a wait. If other processes share the throttle, their pauses go on.
    pub fn resume(&self) {
        self.shared.with(|core, now| core.resume(self.account, now));
    }

    /// Starts as after a refusal: one request of this account, or of each account on the handle of [`Throttle::new`],
    /// then two, four and so on with each round trip.
    ///
    /// Use this method when a program restarts: the service still counts the requests of the previous run, which this
    /// throttle does not know, and would refuse a burst of new requests. [`Client::resume`](crate::Client::resume)
    /// starts slowly if nothing was sent before; [`ClientBuilder::slow_start`](crate::ClientBuilder::slow_start) turns
    /// that off.
    pub fn start_slowly(&self) {
        self.shared.with(|core, now| core.edit(now, |accounts, editing| accounts.start_slowly(self.account, editing)));
    }

    /// As [`start_slowly`](Self::start_slowly), if no request of the account was sent before.
    pub(crate) fn start_slowly_once(&self) {
        self.shared.with(|core, now| {
            core.edit(now, |accounts, editing| {
                if accounts.is_fresh(self.account, editing.limiters) {
                    accounts.start_slowly(self.account, editing);
                }
            });
        });
    }

    /// Returns the wait that a request would have now: the limit that admits it last, the number of requests ahead of
    /// it, and the least waiting time.
    #[must_use]
    pub fn explain(&self, class: Priority, keys: &RequestKey) -> QueueEstimate {
        self.shared.with(|core, now| core.explain(&keys.facts(self.account), class, now))
    }

    /// Returns how much of each limit is used now, as far as the limit counts requests of this account. The list holds
    /// the declared limits in their order (also those of the handle of [`Throttle::new`]), the budgets that the service
    /// states, the learned limits, and each route or account that pauses. A limit that is still being searched for is
    /// left out. Limits per key (route, host, credential) are listed for the keys that are in use. The list has at most
    /// 1,024 lines.
    #[must_use]
    pub fn usage(&self) -> Vec<LimitUsage> {
        self.shared.with(|core, now| core.usage(self.account, false, now))
    }

    /// As [`usage`](Self::usage), with the highest concurrency since the previous call.
    pub(crate) fn look(&self) -> Vec<LimitUsage> {
        self.shared.with(|core, now| core.usage(self.account, true, now))
    }

    /// Returns the declared limits that have not counted any request so far: usually their scope matches no request.
    pub(crate) fn unmatched(&self) -> Vec<Arc<str>> {
        let core = self.shared.lock();
        core.accounts.unmatched(self.account, &core.limiters)
    }

    /// Returns the events of the throttle, as they happen. The last 1,024 events are kept for a slow watcher;
    /// [`Event::Missed`](crate::Event::Missed) reports how many events the watcher lost.
    ///
    /// The stream ends with the throttle's last clone.
    pub fn events(&self) -> Events {
        self.shared.is_watched.store(true, Relaxed);
        Events::from_channel(self.shared.events.subscribe())
    }

    /// Returns the limits that were learned so far, to be [restored](Throttle::recall) at the next start.
    #[must_use]
    pub fn learned(&self) -> Learned {
        let core = self.shared.lock();
        Learned::found(&core.accounts, &core.limiters)
    }

    /// Restores limits that were learned before, as a starting point; learning continues from there. Turns
    /// [`Feedback::Learn`] on.
    pub fn recall(&self, learned: &Learned) {
        self.set_feedback(Feedback::Learn);
        self.shared.with(|core, now| core.edit(now, |accounts, editing| learned.give(accounts, editing)));
    }

    /// Installs limits, all or none.
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
        clerk_task::ensure(&self.shared);
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

/// Returns a name for this process in a store, which no other process has.
fn member_name() -> Arc<str> {
    format!("{:x}.{:016x}", std::process::id(), fastrand::u64(..)).into()
}

const SECOND: Tick = 1_000_000_000;

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
