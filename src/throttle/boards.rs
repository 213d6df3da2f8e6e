//! Boards: what this process tells the others of its store about the accounts that it uses, and hears of them.
//!
//! The [board](super::board) of an account is asked when there is something to tell, when the store calls, and from time
//! to time while the account is used. Together with a request for slots it is asked first, so that a process that was
//! idle hears of a pause before it has slots to send with.

mod own;
mod own_budgets;
mod own_pauses;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::Accounts;
use super::board::Posted;
use super::ids::{AccountId, LimiterId};
use super::limiter::window::Counter;
use super::limiter::window::learner::Learner;
use super::limiter::window::lent::Terms;
use super::limiters::{Editing, Limiters};
use super::request::Attribution;
use super::scheduler::Scheduler;
use super::time::Tick;
use crate::hint::Budget;

pub(super) use own::DuePost;

use own::OwnBoard;

/// The boards of the accounts that this process uses. They stay empty if nothing is shared.
#[derive(Debug, Default)]
pub(super) struct Boards {
    boards: BTreeMap<AccountId, OwnBoard>,
    /// An account is used whose board was not heard lately, or something is to be told.
    is_stirred: bool,
}

/// The parts of a throttle that know what became of a pause.
pub(super) struct Surroundings<'a> {
    pub(super) accounts: &'a mut Accounts,
    pub(super) limiters: &'a mut Limiters,
    pub(super) scheduler: &'a Scheduler,
    pub(super) now: Tick,
}

impl Boards {
    /// Records that an account is used.
    pub(super) fn touch(&mut self, account: AccountId, accounts: &Accounts, terms: &Terms, now: Tick) {
        let board = match self.boards.get_mut(&account) {
            Some(board) => board,
            None => {
                let Some(known) = accounts.get(account) else { return };
                let name = if account == AccountId::ALL { "*" } else { &known.name };
                let domain = ["board", &known.origin, name].map(|part| part.replace('|', "||")).join("|");
                self.boards.entry(account).or_insert(OwnBoard::new(domain.into()))
            }
        };
        self.is_stirred |= board.touch(terms, now);
    }

    /// Returns whether a post may be due earlier than expected.
    pub(super) fn is_stirred(&self) -> bool {
        self.is_stirred || self.boards.values().any(OwnBoard::is_unsettled)
    }

    /// Tells the others that a refusal stopped a limiter, which then waits for the turn of this process.
    pub(super) fn say_pause(
        &mut self,
        account: AccountId,
        id: LimiterId,
        accounts: &Accounts,
        limiters: &mut Limiters,
        now: Tick,
    ) {
        // The limiter may be one of all accounts.
        for account in [account, AccountId::ALL] {
            let subject = accounts.get(account).and_then(|account| account.subject_of(id, limiters));
            if let (Some(subject), Some(board)) = (subject, self.boards.get_mut(&account)) {
                limiters.of_mut(id).wait_for_turn(now);
                board.say_pause(subject, limiters.of(id).pause());
                self.is_stirred = true;
                return;
            }
        }
    }

    /// Tells the others of budgets that the service stated.
    pub(super) fn say_budgets(
        &mut self,
        attribution: &Attribution,
        stated: &[(LimiterId, Budget)],
        accounts: &Accounts,
        limiters: &Limiters,
        now: Tick,
    ) {
        for (id, budget) in stated {
            for account in [attribution.account, AccountId::ALL] {
                let word =
                    accounts.get(account).and_then(|known| known.budget_word(*id, budget, attribution, limiters));
                if let (Some(word), Some(board)) = (word, self.boards.get_mut(&account)) {
                    board.say_budget(word, now);
                    self.is_stirred = true;
                    break;
                }
            }
        }
    }

    /// Tells the others what the search for the limit of an account found, if it is another limit than before.
    pub(super) fn say_learned(
        &mut self,
        account: AccountId,
        before: Option<(u32, Duration)>,
        accounts: &Accounts,
        limiters: &Limiters,
    ) {
        let found = learner_of(account, accounts, limiters).and_then(|(_, learner)| learner.found());
        if let Some(board) = self.boards.get_mut(&account).filter(|_| found != before) {
            board.say_learned(found);
            self.is_stirred = true;
        }
    }

    /// Returns when the next post is due.
    pub(super) fn due(&mut self, terms: &Terms, around: &mut Surroundings<'_>) -> Option<Tick> {
        self.is_stirred = false;
        let now = around.now;
        for (account, board) in &mut self.boards {
            board.settle(*account, around);
        }
        // The limits of all accounts count the requests of each.
        let latest = self.boards.values().map(OwnBoard::active_at).max();
        if let (Some(common), Some(latest)) = (self.boards.get_mut(&AccountId::ALL), latest) {
            common.stay_active(latest);
        }
        self.boards.values().filter_map(|board| board.due(terms, now)).min()
    }

    /// Returns the posts that are due, and when the next are. `rides`: slots are asked for in the same round.
    pub(super) fn round(
        &mut self,
        rides: bool,
        terms: &Terms,
        around: &mut Surroundings<'_>,
    ) -> (Vec<DuePost>, Option<Tick>) {
        let now = around.now;
        self.boards.retain(|account, _| around.accounts.get(*account).is_some());
        self.due(terms, around);
        let (mut posts, mut next) = (Vec::new(), None::<Tick>);
        for (account, board) in &mut self.boards {
            match board.due(terms, now) {
                due if due.is_some_and(|due| due <= now) || (rides && board.is_stale(terms, now)) => {
                    posts.push(board.post(*account, terms, now));
                }
                due => next = [next, due].into_iter().flatten().min(),
            }
        }
        (posts, next)
    }

    /// Takes the answers to the posts of a round that was made at `sent`.
    pub(super) fn told(
        &mut self,
        (posts, answers): (&[DuePost], Vec<Posted>),
        sent: Tick,
        accounts: &mut Accounts,
        editing: &mut Editing<'_>,
    ) {
        let Some(terms) = editing.limiters.terms().cloned() else { return };
        for (due, posted) in posts.iter().zip(answers) {
            if let Some(board) = self.boards.get_mut(&due.account).filter(|_| accounts.get(due.account).is_some()) {
                board.told(due, posted, sent, &terms, accounts, editing);
            }
        }
    }

    /// The store did not answer: a pause that is over ends here by a ramp of its own.
    pub(super) fn failed(&mut self, accounts: &mut Accounts, editing: &mut Editing<'_>) {
        self.boards.iter_mut().for_each(|(account, board)| board.failed(*account, accounts, editing));
    }

    /// The pauses of these accounts ended by hand.
    pub(super) fn resume(&mut self, accounts: &[AccountId]) {
        let resumed = self.boards.iter_mut().filter(|(account, _)| accounts.contains(account));
        resumed.for_each(|(_, board)| board.resume());
    }

    /// The store wants to hear about these accounts.
    pub(super) fn nudged(&mut self, domains: &[Arc<str>]) {
        self.boards.values_mut().filter(|board| domains.contains(board.domain())).for_each(OwnBoard::nudge);
    }
}

/// Returns the search for the limit of an account.
fn learner_of<'a>(account: AccountId, accounts: &Accounts, limiters: &'a Limiters) -> Option<(LimiterId, &'a Learner)> {
    let id = accounts.get(account)?.learner?;
    match limiters.of(id).counter() {
        Counter::Learner(learner) => Some((id, learner)),
        _ => None,
    }
}
