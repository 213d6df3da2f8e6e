//! Own: the side of this process to the board of one account.

use std::sync::Arc;
use std::time::Duration;

use super::learner_of;
use super::own_budgets::OwnBudgets;
use super::own_pauses::{OwnPauses, Stopped};
use crate::event::Event;
use crate::throttle::accounts::Accounts;
use crate::throttle::board::{BudgetWord, LearnedNews, LearnedWord, Post, Posted};
use crate::throttle::ids::AccountId;
use crate::throttle::limiter::advertised::Among;
use crate::throttle::limiter::pause::Pause;
use crate::throttle::limiter::window::Counter;
use crate::throttle::limiter::window::lent::Terms;
use crate::throttle::limiters::{Editing, Limiters};
use crate::throttle::scheduler::Scheduler;
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
    /// Whether nothing is known here of a limit that others found.
    joins: bool,
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
            joins: false,
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
            (Some((news, from)), _) => Some(LearnedWord::Leaves { version: news.version, from }),
            (None, Some((count, window))) => Some(LearnedWord::Found { count, window: micros(window) }),
            (None, None) => None,
        };
    }

    /// Looks at what became of pauses and of the search.
    pub(super) fn settle(
        &mut self,
        account: AccountId,
        accounts: &mut Accounts,
        limiters: &mut Limiters,
        scheduler: &Scheduler,
        now: Tick,
    ) {
        self.pauses.settle(account, accounts, limiters, scheduler, now);
        let is_fresh = || learner_of(account, accounts, limiters).is_some_and(|(_, learner)| learner.is_fresh());
        self.joins = self.learned.is_none_or(|news| news.share.is_none()) && is_fresh();
    }

    /// Returns when the next post is due, as [`settle`](Self::settle) saw it; `None` if there is nothing to say or hear.
    pub(super) fn due(&self, terms: &Terms, now: Tick) -> Option<Tick> {
        let beat = self.posted_at.saturating_add(terms.beat);
        let is_active = now < self.active_at.saturating_add(terms.ttl);
        let joins = self.joins && self.learned.is_some();
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
            learned: self.found.or(self.joins.then_some(LearnedWord::Joins)),
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
        let joins = self.joins && self.learned.is_none_or(|known| known.share.is_none());
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
        let is_new =
            if joins { learner.join(share, window, editing.now) } else { learner.keep(share, window, editing.now) };
        if is_new {
            limiter.label = learner.label().into();
            editing.effects.report(|| Event::Learned { limit: limiter.label.clone() });
            editing.changed.push(id);
        }
    }

    /// The store did not answer.
    pub(super) fn failed(&mut self, account: AccountId, accounts: &mut Accounts, editing: &mut Editing<'_>) {
        self.pauses.failed(account, accounts, editing);
    }
}

/// The store counts in microseconds.
const MICRO: Tick = 1000;
/// The shortest time between two posts: 5 ms.
const PAUSE: Tick = 5_000_000;
/// While it is the turn of another process, the board is asked no more often than this: 100 ms.
const ASKS: Tick = 100_000_000;
