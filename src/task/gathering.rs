//! Gathering: tasks that wait for a poll, and may share one request.
//!
//! A task that waits has a *seat*. The first task that is due and has its permit *leads*: it takes the seats of the
//! tasks that may be polled now, and gives each of them the same future. All of them poll that future, so that none
//! depends on another being awaited: if the leader is dropped or no longer polled, the next waker drives the request on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use futures::future::{BoxFuture, Shared};
use http::HeaderMap;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::many_answer::ManyAnswer;

/// The tasks of one kind that wait for a poll.
#[derive(Default)]
pub(crate) struct Gathering(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    /// The tasks, by the earliest time at which they may be polled together with another; of several with one time, the
    /// first that sat down is the first.
    seats: BTreeMap<(Instant, u64), Arc<Seat>>,
    /// The number of the last seat.
    last: u64,
    /// Until when all tasks are polled alone, because the service did not take a request for several.
    rests_until: Option<Instant>,
    /// How many requests for several failed in a row, without a word about load.
    failures: u32,
}

/// One request, polled by every task that it is for.
#[derive(Clone)]
pub(super) struct SharedPoll {
    answer: Shared<BoxFuture<'static, Arc<ManyAnswer>>>,
    /// The runtime that holds the timers of the request.
    runtime: Id,
}

/// The place of a task among those that wait.
pub(super) struct Seat {
    from: Instant,
    number: u64,
    id: String,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    state: Mutex<SeatState>,
}

#[derive(Default)]
struct SeatState {
    poll: Option<SharedPoll>,
    waker: Option<Waker>,
}

impl Gathering {
    /// Seats a task.
    pub(super) fn sit(&self, seat: Seat) -> Arc<Seat> {
        let mut gathered = self.gathered();
        gathered.last += 1;
        let seat = Arc::new(Seat { number: gathered.last, ..seat });
        gathered.seats.insert(seat.key(), seat.clone());
        seat
    }

    /// Returns whether all tasks are polled alone for now.
    pub(super) fn rests(&self) -> bool {
        self.gathered().rests()
    }

    /// Takes a seat back.
    pub(super) fn leave(&self, seat: &Seat) {
        self.gathered().seats.remove(&seat.key());
    }

    /// Leads: returns the request for the task of this seat and up to `most` in all; of another leader, if that was
    /// faster. `make` makes the request for these ids. `None` if there is none: the task is polled alone.
    pub(super) fn lead(
        &self,
        seat: &Seat,
        most: usize,
        make: impl FnOnce(&[&str]) -> Option<SharedPoll>,
    ) -> Option<SharedPoll> {
        let mut gathered = self.gathered();
        gathered.seats.remove(&seat.key());
        if let Some(poll) = seat.state().poll.take() {
            return Some(poll);
        }
        if gathered.rests() {
            return None;
        }
        let due = gathered.seats.range(..=(Instant::now(), u64::MAX)).map(|(_, other)| other);
        let others: Vec<_> = due.filter(|other| other.goes_with(seat)).take(most.max(1) - 1).cloned().collect();
        let mut ids = vec![seat.id()];
        for other in &others {
            if !ids.contains(&other.id()) {
                ids.push(other.id());
            }
        }
        let poll = make(&ids)?;
        let mut wakers = Vec::with_capacity(others.len());
        for other in &others {
            gathered.seats.remove(&other.key());
            let mut state = other.state();
            state.poll = Some(poll.clone());
            wakers.extend(state.waker.take());
        }
        drop(gathered);
        // Wakers run code of other parties.
        wakers.into_iter().for_each(Waker::wake);
        Some(poll)
    }

    /// Polls all tasks alone until then; returns whether that is news.
    pub(super) fn rest(&self, until: Instant) -> bool {
        self.gathered().rests_until.replace(until).is_none_or(|before| before < Instant::now())
    }

    /// Counts how a request for several ended, and returns how many have failed in a row.
    pub(super) fn count(&self, failed: bool) -> u32 {
        let mut gathered = self.gathered();
        gathered.failures = if failed { gathered.failures.saturating_add(1) } else { 0 };
        gathered.failures
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }
}

impl Seat {
    /// Creates the seat of a task that may be polled from this time on, together with tasks of the same headers and
    /// query.
    pub(super) fn new(from: Instant, id: String, headers: HeaderMap, query: Vec<(String, String)>) -> Self {
        Self { from, number: 0, id, headers, query, state: Mutex::default() }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the request that another task leads, if this task is part of it; otherwise keeps the waker.
    pub(super) fn taken(&self, cx: &Context<'_>) -> Option<SharedPoll> {
        let mut state = self.state();
        if let Some(poll) = state.poll.take() {
            // A timer of another runtime may never fire: the task polls by itself.
            return Some(poll).filter(SharedPoll::is_of_this_runtime);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        None
    }

    const fn key(&self) -> (Instant, u64) {
        (self.from, self.number)
    }

    fn goes_with(&self, other: &Self) -> bool {
        self.headers == other.headers && self.query == other.query
    }

    fn state(&self) -> MutexGuard<'_, SeatState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedPoll {
    /// Shares a request, which is sent by those who poll it in this runtime.
    pub(super) fn of(answer: BoxFuture<'static, Arc<ManyAnswer>>) -> Self {
        use futures::FutureExt;
        Self { answer: answer.shared(), runtime: Handle::current().id() }
    }

    pub(super) fn answer(self) -> impl Future<Output = Arc<ManyAnswer>> + Send {
        self.answer
    }

    fn is_of_this_runtime(&self) -> bool {
        Handle::current().id() == self.runtime
    }
}
