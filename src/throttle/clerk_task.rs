//! Clerk task: deals with the store of shared windows. One task serves a throttle.
//!
//! It collects the asks that are due under the throttle's lock, carries them out without the lock, and hands in the
//! answers under it. An ask that failed is repeated until it is answered. The task ends with the throttle, after it has
//! given all slots back, or with its runtime; the next request then starts another.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, sleep_until};

use super::clerk::Clerk;
use super::core::Core;
use super::ledger::{LedgerError, Reply};
use super::loans::Round;
use super::shared::Shared;

/// Starts the clerk of a throttle with shared windows, unless one runs.
#[inline]
pub(super) fn ensure(shared: &Arc<Shared>) {
    if let Some(clerk) = &shared.clerk {
        start(shared, clerk);
    }
}

fn start(shared: &Arc<Shared>, clerk: &Arc<Clerk>) {
    if clerk.start() {
        let Ok(runtime) = Handle::try_current() else { return clerk.stop() };
        let guard = ClerkGuard { shared: Arc::downgrade(shared) };
        runtime.spawn(run(clerk.clone(), guard));
    }
}

async fn run(clerk: Arc<Clerk>, guard: ClerkGuard) {
    let mut pause = FIRST_PAUSE;
    while let Some(shared) = guard.shared.upgrade() {
        let (round, next) = shared.with(|core, now| {
            let round = core.ask_store(now);
            let next = round.next.and_then(|next| core.time.instant(next));
            (round, next)
        });
        // The throttle must be able to end while the clerk waits.
        drop(shared);
        if round.asks.is_empty() && round.posts.is_empty() {
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            let nudged = tokio::select! {
                () = clerk.changed.notified() => Vec::new(),
                () = due => Vec::new(),
                nudged = clerk.ledger.nudged() => nudged,
            };
            if let Some(shared) = guard.shared.upgrade().filter(|_| !nudged.is_empty()) {
                shared.with(|core, _| core.nudged(&nudged));
            }
            continue;
        }
        let outcome = carry_out(&clerk, &round, &guard).await;
        let Some(shared) = guard.shared.upgrade() else { break };
        match outcome {
            Ok(replies) => {
                pause = FIRST_PAUSE;
                shared.with(|core, now| core.told(&round, &replies, now));
            }
            Err(error) => {
                shared.with(|core, now| core.store_failed(&error.0, now));
                drop(shared);
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    let asks = clerk.take_farewell();
    if !asks.is_empty() {
        // Otherwise the end of the lease gives them back.
        drop(clerk.ledger.exchange(asks).await);
    }
}

/// Tells the other processes what is due, and asks for slots. What the others told is known here before the slots are:
/// they may have been told to stay away.
async fn carry_out(clerk: &Clerk, round: &Round, guard: &ClerkGuard) -> Result<Vec<Reply>, LedgerError> {
    if !round.posts.is_empty() {
        let posts = round.posts.iter().map(|due| (due.domain.clone(), due.post.clone())).collect();
        let answers = clerk.ledger.post(posts).await;
        let Some(shared) = guard.shared.upgrade() else { return Ok(Vec::new()) };
        match answers {
            Ok(answers) => shared.with(|core, now| core.told_board(round, answers, now)),
            Err(error) if round.asks.is_empty() => return Err(error),
            // The slots are asked for all the same: what they allow is exact without any words.
            Err(error) => {
                tracing::debug!(%error, "the other processes could not be told");
                shared.with(Core::board_failed);
            }
        }
    }
    if round.asks.is_empty() {
        return Ok(Vec::new());
    }
    let asks = round.asks.iter().map(|due| (due.domain.clone(), due.ask.clone())).collect();
    clerk.ledger.exchange(asks).await
}

/// Lets the next request start another clerk if the runtime of this one ends.
struct ClerkGuard {
    shared: Weak<Shared>,
}

impl Drop for ClerkGuard {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            if let Some(clerk) = &shared.clerk {
                clerk.stop();
            }
            // The timers of other runtimes start another.
            shared.changed.notify_waiters();
        }
    }
}

/// The pause after an ask that failed: 20 ms, doubled each time to half a second.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
