//! OwnPauses: the pauses of an account that this process has to tell of, or to end together with others.

use std::collections::BTreeMap;

use super::Surroundings;
use crate::throttle::accounts::Accounts;
use crate::throttle::board::{PauseNews, PauseWord, Probe, Stop, Turn};
use crate::throttle::ids::AccountId;
use crate::throttle::limiter::pause::Pause;
use crate::throttle::limiters::Editing;
use crate::throttle::slots::micros;
use crate::throttle::time::{Tick, elapsed, nanos};

/// The pauses, by the names that other processes know.
#[derive(Debug, Default)]
pub(super) struct OwnPauses(BTreeMap<String, OwnPause>);

#[derive(Debug, Default)]
struct OwnPause {
    /// A refusal here that the others do not know.
    untold: Option<Stopped>,
    /// Whether this process sends first.
    is_ours: bool,
    /// What the others should know of its request.
    word: Probe,
    until: Tick,
    /// It is the turn of another process: when to ask again.
    ask_at: Tick,
    /// Since when it is the turn of this process, and nothing can be sent.
    stuck_since: Option<Tick>,
    /// A pause of a limiter that is not here yet.
    ahead: Option<Stopped>,
}

/// A refusal, by the times of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    until: Tick,
    asked_until: Tick,
    refusals: u8,
}

impl OwnPauses {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A refusal here stopped a limiter.
    pub(super) fn say(&mut self, subject: String, pause: &Pause) {
        let own = self.0.entry(subject).or_default();
        let (until, asked_until) = (pause.until(), pause.asked_until());
        own.untold = Some(Stopped { until, asked_until, refusals: pause.refusals() });
        (own.is_ours, own.ask_at) = (false, 0);
    }

    /// Looks at what became of each pause, and forgets those that are over.
    pub(super) fn settle(
        &mut self,
        account: AccountId,
        Surroundings { accounts, limiters, scheduler, now }: &mut Surroundings<'_>,
    ) {
        let now = *now;
        self.0.retain(|subject, own| {
            let Some(id) = accounts.limiter_of_subject(account, subject, limiters) else {
                return own.ahead.is_some_and(|ahead| ahead.until > now);
            };
            // A request that waits for another limiter as well must not hold the turn of all.
            let (limiter, waiting) = (limiters.of(id), scheduler.held_back(id) > 0);
            let pause = limiter.pause();
            let (is_over, is_going) = (!limiter.is_paused(now), waiting || pause.is_probing());
            own.until = limiter.paused_until();
            own.stuck_since = if own.is_ours && !is_going { own.stuck_since.or(Some(now)) } else { None };
            let keeps = own.is_ours && own.stuck_since.is_none_or(|since| now < since.saturating_add(PATIENCE));
            own.word = match () {
                () if own.is_ours && is_over && pause.has_resumed() => Probe::Passed,
                () if is_over && (keeps || (is_going && !own.is_ours && pause.waits_for_turn())) => Probe::Wants,
                () => Probe::None,
            };
            own.untold.is_some() || own.is_ours || own.ahead.is_some() || pause.waits_for_turn()
        });
    }

    /// Returns when the next word is due. `renew_at`: when the right to send first is to be renewed.
    pub(super) fn due(&self, renew_at: Tick, now: Tick) -> Option<Tick> {
        let due = |own: &OwnPause| match own.word {
            _ if own.untold.is_some() => Some(now),
            Probe::Passed => Some(now),
            Probe::None if own.is_ours => Some(now),
            Probe::Wants if own.is_ours => {
                Some(own.stuck_since.map_or(renew_at, |since| since.saturating_add(PATIENCE).min(renew_at)).max(now))
            }
            Probe::Wants => Some(own.ask_at.max(now)),
            Probe::None => (own.until > now).then_some(own.until),
        };
        self.0.values().filter_map(due).min()
    }

    /// Returns what the others are told, and the refusals among it.
    pub(super) fn words(&self, now: Tick) -> (Vec<PauseWord>, Vec<(String, Stopped)>) {
        let is_said = |own: &OwnPause| own.untold.is_some() || own.is_ours || own.word != Probe::None;
        let said = || self.0.iter().filter(|(_, own)| is_said(own));
        let words = said().map(|(subject, own)| {
            let stop = own.untold.map(|untold| Stop {
                during: micros(elapsed(now, untold.until)),
                asked: micros(elapsed(now, untold.asked_until)),
                refusals: untold.refusals,
            });
            PauseWord { subject: subject.clone(), stop, probe: own.word }
        });
        let stops = said().filter_map(|(subject, own)| Some((subject.clone(), own.untold?)));
        (words.collect(), stops.collect())
    }

    /// The others know of these refusals.
    pub(super) fn heard_of(&mut self, stops: &[(String, Stopped)]) {
        for (subject, stop) in stops {
            if let Some(own) = self.0.get_mut(subject).filter(|own| own.untold == Some(*stop)) {
                own.untold = None;
            }
        }
    }

    /// Hears of a pause. `ask`: how long to wait before it is asked again whose turn it is.
    pub(super) fn hear(
        &mut self,
        account: AccountId,
        news: &PauseNews,
        ask: Tick,
        accounts: &mut Accounts,
        editing: &mut Editing<'_>,
    ) {
        let now = editing.now;
        let after = |time| now.saturating_add(nanos(std::time::Duration::from_micros(time)));
        let asked_until = if news.stop.asked > 0 { after(news.stop.asked) } else { 0 };
        let stopped = Stopped { until: after(news.stop.during), asked_until, refusals: news.stop.refusals };
        let own = self.0.entry(news.subject.clone()).or_default();
        // Whoever gave its turn up lets the others try first: two that wait for each other's turns must not meet again.
        let gave_up = own.is_ours && own.word == Probe::None && news.turn == Turn::Others;
        let rest = if gave_up { fastrand::u64(0..=GAVE_UP) } else { 0 };
        own.is_ours = news.turn == Turn::Yours;
        own.ask_at = now.saturating_add(ask).saturating_add(rest);
        own.ahead = (news.turn == Turn::Others).then_some(stopped);
        self.apply(account, &news.subject, news.turn, accounts, editing);
    }

    /// Stops limiters that paused elsewhere before they were here.
    pub(super) fn catch_up(&mut self, account: AccountId, accounts: &mut Accounts, editing: &mut Editing<'_>) {
        let ahead = |(subject, own): (&String, &OwnPause)| own.ahead.map(|_| subject.clone());
        let subjects: Vec<_> = self.0.iter().filter_map(ahead).collect();
        for subject in subjects {
            self.apply(account, &subject, Turn::Others, accounts, editing);
        }
    }

    fn apply(
        &mut self,
        account: AccountId,
        subject: &str,
        turn: Turn,
        accounts: &mut Accounts,
        editing: &mut Editing<'_>,
    ) {
        let now = editing.now;
        let Some(id) = accounts.limiter_of_subject(account, subject, editing.limiters) else { return };
        let Some(own) = self.0.get_mut(subject) else { return };
        if let Some(stopped) = own.ahead.take() {
            if stopped.until > now {
                editing.limiters.pause(id, stopped.until, editing.effects, now);
            }
            let limiter = editing.limiters.of_mut(id);
            limiter.hear_refusals(stopped.refusals, stopped.asked_until);
            limiter.wait_for_turn(now);
        }
        if turn != Turn::Others {
            editing.limiters.of_mut(id).take_turn();
        }
        editing.changed.push(id);
    }

    /// The store does not answer: who waits for a turn begins.
    pub(super) fn failed(&mut self, account: AccountId, accounts: &mut Accounts, editing: &mut Editing<'_>) {
        for (subject, own) in &mut self.0 {
            let Some(id) = accounts.limiter_of_subject(account, subject, editing.limiters) else { continue };
            let limiter = editing.limiters.of(id);
            if limiter.pause().waits_for_turn() && !limiter.is_paused(editing.now) {
                editing.limiters.of_mut(id).take_turn();
                editing.changed.push(id);
                own.is_ours = false;
            }
        }
    }
}

/// Who may send first and has no request that can go gives its turn up after this time: half a second. A request that also
/// needs the turn of another limiter has it by then, or waits for somebody who waits for this one.
const PATIENCE: Tick = 500_000_000;
/// Who gave its turn up asks again up to this much later: a second.
const GAVE_UP: Tick = 1_000_000_000;
