//! Board: what the processes of a store know together about one account of a service: its pauses, the budgets that the
//! service states, and the limit that they found.
//!
//! This is the store's side, as a pure function of the state, a post and the time.
//!
//! - **A pause** holds for all processes. After it one of them sends the first request: the *probe*, which is lent with a
//!   lease, as slots are. Once its response is no refusal, all begin, each with a ramp of its own. A process that dies,
//!   or has nothing to send any longer, hands the probe on.
//! - **A stated budget** is known to all as it was stated last; each process keeps to its part of the rest.
//! - **A limit that was found** is the sum of what the processes found, each by itself. Its share is the even part of the
//!   sum, so that a process that comes or goes changes the shares, and not the sum.
//!
//! Words may come twice, and late. Each process hears all that is newer than the version that it knows.

mod learned;
mod word;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::slots::Micros;

pub(super) use word::{BudgetWord, LearnedNews, LearnedWord, PauseNews, PauseWord, Post, Posted, Probe, Stop, Turn};

use learned::FleetLimit;

/// What the processes know of one account, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Board {
    /// Empty for a board that was never used.
    epoch: String,
    /// Grows with each change that others should hear of.
    version: u64,
    /// The latest time, and the sum of all backward steps of the store's clock.
    last: Micros,
    offset: Micros,
    /// When the processes cease to count, unless they post again.
    members: BTreeMap<String, Micros>,
    pauses: BTreeMap<String, Paused>,
    budgets: BTreeMap<String, Stated>,
    learned: Option<FleetLimit>,
    /// Nothing here matters after this time.
    forget_at: Micros,
}

/// A limiter that pauses, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Paused {
    until: Micros,
    asked_until: Micros,
    refusals: u8,
    /// The process that sends first, and when its right to do so ends.
    probe: Option<(String, Micros)>,
    /// The first request after the pause was not refused.
    is_open: bool,
    version: u64,
}

/// A budget that the service stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stated {
    word: BudgetWord,
    resets_at: Micros,
    version: u64,
}

/// The result of a post.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) posted: Posted,
    /// The processes that should hear of it at once.
    #[cfg_attr(not(any(test, feature = "redis")), expect(dead_code, reason = "a file cannot call"))]
    pub(super) nudged: Vec<String>,
}

impl Board {
    /// Takes the words of a process, at a time of the store's clock, and answers with those of the others.
    pub(super) fn post(&mut self, post: &Post, time: Micros) -> Noted {
        let now = self.advance(time);
        if self.epoch.is_empty() {
            self.epoch = format!("{}.{now}", post.member);
        }
        let before = self.version;
        self.members.retain(|_, ends| *ends > now);
        self.members.insert(post.member.clone(), now.saturating_add(post.ttl));
        self.pauses.retain(|_, paused| paused.until.saturating_add(LINGERS) > now);
        self.budgets.retain(|_, stated| stated.resets_at > now);
        post.pauses.iter().for_each(|word| self.note_pause(word, post, now));
        post.budgets.iter().for_each(|word| self.note_budget(word, now));
        self.note_learned(post);
        let lasts = if self.learned.is_some() { LEARNED_LASTS } else { LINGERS };
        let until = self.pauses.values().map(|paused| paused.until).max().unwrap_or(0);
        self.forget_at = until.max(now).saturating_add(lasts);
        let seen = if post.epoch == self.epoch { post.seen } else { 0 };
        let nudged = match self.version > before {
            true => self.members.keys().filter(|name| **name != post.member).cloned().collect(),
            false => Vec::new(),
        };
        Noted { posted: self.answer(post, seen, now), nudged }
    }

    /// Returns for how long this matters from the last post on.
    #[cfg(feature = "redis")]
    pub(super) const fn lasts(&self) -> Micros {
        self.forget_at.saturating_sub(self.last)
    }

    /// Returns whether nothing here matters any longer.
    pub(super) fn is_over(&self, time: Micros) -> bool {
        time.saturating_add(self.offset) >= self.forget_at
    }

    fn advance(&mut self, time: Micros) -> Micros {
        let now = time.saturating_add(self.offset);
        if now < self.last {
            self.offset += self.last - now;
        }
        self.last = self.last.max(now);
        self.last
    }

    fn note_pause(&mut self, word: &PauseWord, post: &Post, now: Micros) {
        if let Some(stop) = word.stop.filter(|stop| stop.during > 0) {
            self.stop(&word.subject, stop, now);
        }
        let Some(paused) = self.pauses.get_mut(&word.subject) else { return };
        if paused.is_open || paused.until > now {
            return;
        }
        let holder = paused.probe.as_ref().filter(|(_, ends)| *ends > now).map(|(holder, _)| holder);
        let is_own = holder == Some(&post.member);
        let is_free = holder.is_none();
        match word.probe {
            Probe::Wants if is_own || is_free => {
                paused.probe = Some((post.member.clone(), now.saturating_add(post.ttl)));
            }
            Probe::Passed if is_own || is_free => {
                self.version += 1;
                (paused.is_open, paused.version) = (true, self.version);
            }
            Probe::None if is_own => {
                self.version += 1;
                (paused.probe, paused.version) = (None, self.version);
            }
            Probe::Wants | Probe::Passed | Probe::None => {}
        }
    }

    /// Stops a limiter. Refusals of one burst make the pause longer; one after the pause begins another.
    fn stop(&mut self, subject: &str, stop: Stop, now: Micros) {
        make_room(&mut self.pauses, subject, MOST_PAUSES, |paused| paused.until);
        let paused = self.pauses.entry(subject.into()).or_default();
        let (until, asked_until) = (now.saturating_add(stop.during), now.saturating_add(stop.asked));
        let is_longer = until > paused.until.saturating_add(WORTH_TELLING);
        if is_longer || paused.until <= now {
            self.version += 1;
            paused.version = self.version;
        }
        paused.until = paused.until.max(until);
        paused.asked_until = paused.asked_until.max(asked_until);
        // Refusals are counted in a row.
        paused.refusals = if paused.is_open { stop.refusals } else { paused.refusals.max(stop.refusals) };
        (paused.probe, paused.is_open) = (None, false);
    }

    fn note_budget(&mut self, word: &BudgetWord, now: Micros) {
        make_room(&mut self.budgets, &word.subject, MOST_BUDGETS, |stated| stated.resets_at);
        let resets_at = now.saturating_add(word.reset);
        let known = self.budgets.get(&word.subject);
        // Words of the same window may overtake each other, and its rest only shrinks.
        let is_news = known.is_none_or(|known| {
            resets_at > known.resets_at.saturating_add(SAME_RESET)
                || word.limit != known.word.limit
                || (word.remaining < known.word.remaining && resets_at.saturating_add(SAME_RESET) > known.resets_at)
        });
        if is_news {
            self.version += 1;
            let stated = Stated { word: word.clone(), resets_at, version: self.version };
            self.budgets.insert(word.subject.clone(), stated);
        }
    }

    fn note_learned(&mut self, post: &Post) {
        let before = self.learned.clone();
        if let Some(learned) = &mut self.learned {
            learned.retain(|member| self.members.contains_key(member));
        }
        if let Some(word) = &post.learned {
            FleetLimit::note(&mut self.learned, &post.member, *word);
        }
        if self.learned != before {
            self.version += 1;
        }
    }

    fn answer(&self, post: &Post, seen: u64, now: Micros) -> Posted {
        let is_asked = |subject: &String| post.pauses.iter().any(|word| word.subject == *subject);
        let known = self.pauses.iter().filter(|(subject, paused)| paused.version > seen || is_asked(subject));
        let mut pauses: Vec<_> = known.map(|(subject, paused)| paused.news(subject, &post.member, now)).collect();
        // What nobody knows stops nobody.
        let unknown = post.pauses.iter().filter(|word| !self.pauses.contains_key(&word.subject));
        pauses.extend(unknown.map(|word| PauseNews {
            subject: word.subject.clone(),
            stop: Stop::default(),
            turn: Turn::Open,
        }));
        let budgets = self.budgets.values().filter(|stated| stated.version > seen);
        let rank = self.members.keys().take_while(|name| **name != post.member).count();
        Posted {
            epoch: self.epoch.clone(),
            version: self.version,
            members: u32::try_from(self.members.len()).unwrap_or(u32::MAX),
            rank: u32::try_from(rank).unwrap_or(u32::MAX),
            pauses,
            budgets: budgets
                .map(|stated| BudgetWord { reset: stated.resets_at.saturating_sub(now), ..stated.word.clone() })
                .collect(),
            learned: self.learned.as_ref().map(|learned| learned.news(&post.member)),
        }
    }
}

impl Paused {
    fn news(&self, subject: &str, member: &str, now: Micros) -> PauseNews {
        let turn = match &self.probe {
            _ if self.is_open => Turn::Open,
            Some((holder, ends)) if self.until <= now && holder == member && *ends > now => Turn::Yours,
            _ => Turn::Others,
        };
        let stop = Stop {
            during: self.until.saturating_sub(now),
            asked: self.asked_until.saturating_sub(now),
            refusals: self.refusals,
        };
        PauseNews { subject: subject.to_owned(), stop, turn }
    }
}

/// Makes room for one more entry, if it is new: what ends first goes.
fn make_room<T>(entries: &mut BTreeMap<String, T>, subject: &str, most: usize, end: impl Fn(&T) -> Micros) {
    if entries.len() >= most && !entries.contains_key(subject) {
        let first = entries.iter().min_by_key(|(_, entry)| end(entry)).map(|(name, _)| name.clone());
        first.and_then(|first| entries.remove(&first));
    }
}

/// A pause is remembered for a minute after its end; whoever asks later begins as if there had been none.
const LINGERS: Micros = 60_000_000;
/// A limit that was found is remembered for a day.
const LEARNED_LASTS: Micros = 24 * 60 * 60 * 1_000_000;
/// A pause that becomes longer by less is not told anew: 100 ms.
const WORTH_TELLING: Micros = 100_000;
/// Resets that differ by less are of the same window: a second, in which services state them.
const SAME_RESET: Micros = 1_000_000;
/// An API has some hundred routes, and a handful of budgets for each credential.
const MOST_PAUSES: usize = 1024;
const MOST_BUDGETS: usize = 256;
