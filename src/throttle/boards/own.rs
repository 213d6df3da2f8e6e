//! Own: the side of this process to the board of one account.

use std::sync::Arc;
use std::time::Duration;

use super::own_budgets::OwnBudgets;
use super::own_pauses::{OwnPauses, Stopped};
use super::{Surroundings, learner_of};
use crate::event::Event;
use crate::throttle::accounts::Accounts;
use crate::throttle::board::{BudgetWord, LearnedNews, LearnedWord, Post, Posted};
use crate::throttle::ids::AccountId;
use crate::throttle::limiter::advertised::Among;
use crate::throttle::limiter::pause::Pause;
use crate::throttle::limiter::window::Counter;
use crate::throttle::limiter::window::lent::Terms;
use crate::throttle::limiters::Editing;
use crate::throttle::slots::micros;
use crate::throttle::time::Tick;

/// What this process has to say about an account, and what it heard.
#[derive(Debug)]
pub(super) struct OwnBoard {
    domain: Arc<str>,
    epoch: String,
    seen: u64,
    /// When a request of the account was last begun.
    active_at: Tick,
    /// When the last post was made that was answered; `None` before the first.
    heard_at: Option<Tick>,
    posted_at: Tick,
    is_nudged: bool,
    pauses: OwnPauses,
    budgets: OwnBudgets,
    /// What is known of the limit that the processes found.
    learned: Option<LearnedNews>,
    /// What was found here and is not told yet.
    found: Option<LearnedWord>,
    /// What is to be told to take a share of it.
    joins: Option<LearnedWord>,
    /// Whether this process had a share before.
    was_sharer: bool,
}

/// A post that is due.
#[derive(Debug)]
pub(in crate::throttle) struct DuePost {
    pub(in crate::throttle) account: AccountId,
    pub(in crate::throttle) domain: Arc<str>,
    pub(in crate::throttle) post: Post,
    stops: Vec<(String, Stopped)>,
    budgets: Vec<(String, Tick)>,
}

impl OwnBoard {
    pub(super) fn new(domain: Arc<str>) -> Self {
        Self {
            domain,
            epoch: String::new(),
            seen: 0,
            active_at: 0,
            heard_at: None,
            posted_at: 0,
            is_nudged: false,
            pauses: OwnPauses::default(),
            budgets: OwnBudgets::default(),
            learned: None,
            found: None,
            joins: None,
            was_sharer: false,
        }
    }

    pub(super) const fn domain(&self) -> &Arc<str> {
        &self.domain
    }

    /// Records that the account is used; returns whether its board was not asked for a while.
    pub(super) fn touch(&mut self, terms: &Terms, now: Tick) -> bool {
        self.active_at = now;
        self.heard_at.is_none() || now >= self.posted_at.saturating_add(terms.beat)
    }

    /// Returns whether a pause is not over for all.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.pauses.is_empty()
    }

    /// Returns whether the board was not heard lately.
    pub(super) fn is_stale(&self, terms: &Terms, now: Tick) -> bool {
        self.heard_at.is_none_or(|heard_at| now >= heard_at.saturating_add(terms.beat))
    }

    /// The pauses ended by hand, for this process.
    pub(super) fn resume(&mut self) {
        self.pauses = OwnPauses::default();
    }

    pub(super) const fn nudge(&mut self) {
        self.is_nudged = true;
    }

    pub(super) fn say_pause(&mut self, subject: String, pause: &Pause) {
        self.pauses.say(subject, pause);
    }

    pub(super) fn say_budget(&mut self, word: BudgetWord, now: Tick) {
        self.budgets.say(word, now);
    }

    /// The search found another limit here, or lost the one before.
    pub(super) fn say_learned(&mut self, found: Option<(u32, Duration)>) {
        let share = self.learned.and_then(|news| Some((news, news.share?)));
        self.found = match (share, found) {
            (Some((news, from)), Some((to, window))) if micros(window) == news.window => {
                Some(LearnedWord::Changed { version: news.version, from, to })
            }
            (Some((news, from)), _) => {
                self.was_sharer = false;
                Some(LearnedWord::Leaves { version: news.version, from })
            }
            // What is found again was counted before.
            (None, Some((count, window))) if self.was_sharer => {
                Some(LearnedWord::Joins { known: Some((count, micros(window))) })
            }
            (None, Some((count, window))) => Some(LearnedWord::Found { count, window: micros(window) }),
            (None, None) => None,
        };
    }

    /// Looks at what became of pauses and of the search.
    pub(super) fn settle(&mut self, account: AccountId, around: &mut Surroundings<'_>) {
        self.pauses.settle(account, around);
        let Surroundings { accounts, limiters, scheduler, now } = around;
        let gate = accounts.gate_of_account(account);
        if scheduler.waiting(gate) > 0 || limiters.of(gate).in_flight > 0 {
            self.active_at = *now;
        }
        let learner =
            learner_of(account, accounts, limiters).filter(|_| self.learned.is_none_or(|news| news.share.is_none()));
        self.joins = learner.and_then(|(_, learner)| match learner.found() {
            // Known from before this process, or shared before it was idle.
            Some((count, window)) if self.heard_at.is_none() || self.was_sharer => {
                Some(LearnedWord::Joins { known: Some((count, micros(window))) })
            }
            None if learner.is_fresh() => Some(LearnedWord::Joins { known: None }),
            _ => None,
        });
    }

    /// Returns until when the account counts as used, if it does not go on.
    pub(super) const fn active_at(&self) -> Tick {
        self.active_at
    }

    /// The account was used at this time, at least.
    pub(super) fn stay_active(&mut self, at: Tick) {
        self.active_at = self.active_at.max(at);
    }

    /// Returns when the next post is due, as [`settle`](Self::settle) saw it; `None` if there is nothing to say or hear.
    pub(super) fn due(&self, terms: &Terms, now: Tick) -> Option<Tick> {
        let beat = self.posted_at.saturating_add(terms.beat);
        let is_active = now < self.active_at.saturating_add(terms.ttl);
        let joins = match self.joins {
            Some(LearnedWord::Joins { known }) => self.learned.is_some() || known.is_some(),
            _ => false,
        };
        let at_once = self.found.is_some() || joins || (is_active && (self.is_nudged || self.heard_at.is_none()));
        let dues = [
            at_once.then_some(now),
            is_active.then_some(beat),
            (self.is_nudged && self.is_unsettled()).then_some(now),
            self.pauses.due(beat, now),
            self.budgets.due(now),
        ];
        let soonest = if self.heard_at.is_some() { self.posted_at.saturating_add(PAUSE) } else { 0 };
        dues.into_iter().flatten().min().map(|due| due.max(soonest))
    }

    /// Makes the post that is due.
    pub(super) fn post(&mut self, account: AccountId, terms: &Terms, now: Tick) -> DuePost {
        let (pauses, stops) = self.pauses.words(now);
        let (words, budgets) = self.budgets.words(now);
        (self.posted_at, self.is_nudged) = (now, false);
        let post = Post {
            member: terms.member.as_ref().into(),
            epoch: self.epoch.clone(),
            seen: self.seen,
            ttl: terms.ttl / MICRO,
            pauses,
            budgets: words,
            learned: self.found.or(self.joins),
        };
        DuePost { account, domain: self.domain.clone(), post, stops, budgets }
    }

    /// Takes the answer to a post that was made at `sent`.
    pub(super) fn told(
        &mut self,
        due: &DuePost,
        posted: Posted,
        sent: Tick,
        terms: &Terms,
        accounts: &mut Accounts,
        editing: &mut Editing<'_>,
    ) {
        let now = editing.now;
        self.pauses.heard_of(&due.stops);
        self.budgets.heard_of(&due.budgets, now);
        if self.found == due.post.learned {
            self.found = None;
        }
        self.heard_at = Some(sent);
        for news in &posted.pauses {
            self.pauses.hear(due.account, news, terms.poll.max(ASKS), accounts, editing);
        }
        self.pauses.catch_up(due.account, accounts, editing);
        accounts.hear_budgets(due.account, &posted.budgets, editing);
        accounts.divide_rests(due.account, Among { members: posted.members, rank: posted.rank }, editing);
        self.hear_learned(due.account, posted.learned, accounts, editing);
        (self.epoch, self.seen) = (posted.epoch, posted.version);
    }

    /// Keeps the share of a limit that was found together, unless something else was found here meanwhile.
    fn hear_learned(
        &mut self,
        account: AccountId,
        news: Option<LearnedNews>,
        accounts: &Accounts,
        editing: &mut Editing<'_>,
    ) {
        let is_other = self.learned != news;
        let joins = self.joins.is_some() && self.learned.is_none_or(|known| known.share.is_none());
        self.was_sharer |= news.is_some_and(|news| news.share.is_some());
        self.learned = news;
        let Some((news, share)) =
            news.filter(|_| is_other && self.found.is_none()).and_then(|news| Some((news, news.share?)))
        else {
            return;
        };
        let Some((id, _)) = learner_of(account, accounts, editing.limiters) else { return };
        let limiter = editing.limiters.of_mut(id);
        let Counter::Learner(learner) = limiter.counter_mut() else { return };
        let window = Duration::from_micros(news.window);
        // Whoever keeps what it had takes nothing from others.
        let is_new = match joins && learner.found() != Some((share, window)) {
            true => learner.join(share, window, editing.now),
            false => learner.keep(share, window, editing.now),
        };
        if is_new {
            limiter.label = learner.label().into();
            editing.effects.report(|| Event::Learned { limit: limiter.label.clone() });
            editing.changed.push(id);
        }
    }

    /// The store did not answer.
    pub(super) fn failed(&mut self, account: AccountId, accounts: &mut Accounts, editing: &mut Editing<'_>) {
        // Whatever it called for is read once the store is back.
        self.is_nudged = true;
        self.pauses.failed(account, accounts, editing);
    }
}

/// The store counts in microseconds.
const MICRO: Tick = 1000;
/// The shortest time between two posts: 5 ms.
const PAUSE: Tick = 5_000_000;
/// While it is the turn of another process, the board is asked no more often than this: 100 ms.
const ASKS: Tick = 100_000_000;
