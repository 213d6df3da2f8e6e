//! OwnBudgets: the budgets of an account that the service stated to this process.

use std::collections::BTreeMap;

use crate::throttle::board::BudgetWord;
use crate::throttle::limiter::SAME_RESET;
use crate::throttle::slots::micros;
use crate::throttle::time::{Tick, elapsed, nanos};

/// The budgets, by the names that other processes know.
#[derive(Debug, Default)]
pub(super) struct OwnBudgets(BTreeMap<String, OwnBudget>);

#[derive(Debug)]
struct OwnBudget {
    word: BudgetWord,
    stated_at: Tick,
    resets_at: Tick,
    /// Whether the others should be told.
    is_news: bool,
    /// The rest that the others know, its reset, and when they were told.
    told: Option<(u64, Tick, Tick)>,
}

impl OwnBudgets {
    /// The service stated a budget. Small changes are kept for later.
    pub(super) fn say(&mut self, word: BudgetWord, now: Tick) {
        self.0.retain(|_, own| own.resets_at > now);
        if self.0.len() >= MOST && !self.0.contains_key(&word.subject) {
            return;
        }
        let resets_at = now.saturating_add(nanos(std::time::Duration::from_micros(word.reset)));
        let told = self.0.get(&word.subject).and_then(|own| own.told);
        let is_news = told.is_none_or(|(remaining, known, _)| {
            let step = (word.limit.unwrap_or(remaining) / STEPS).max(1);
            let is_next = resets_at > known.saturating_add(SAME_RESET);
            is_next || (word.remaining < remaining && (word.remaining == 0 || remaining - word.remaining >= step))
        });
        let subject = word.subject.clone();
        self.0.insert(subject, OwnBudget { word, stated_at: now, resets_at, is_news, told });
    }

    /// Returns when the next word is due.
    pub(super) fn due(&self, now: Tick) -> Option<Tick> {
        let news = self.0.values().filter(|own| own.is_worth_telling(now));
        news.map(|own| match own.told {
            Some((.., at)) if own.word.remaining > 0 => at.saturating_add(PAUSE).max(now),
            _ => now,
        })
        .min()
    }

    /// Returns what the others are told, and when each of it was stated.
    pub(super) fn words(&self, now: Tick) -> (Vec<BudgetWord>, Vec<(String, Tick)>) {
        let news = || self.0.values().filter(|own| own.is_worth_telling(now));
        let words = news().map(|own| BudgetWord { reset: micros(elapsed(now, own.resets_at)), ..own.word.clone() });
        (words.collect(), news().map(|own| (own.word.subject.clone(), own.stated_at)).collect())
    }

    /// The others know these budgets.
    pub(super) fn heard_of(&mut self, words: &[(String, Tick)], now: Tick) {
        for (subject, stated_at) in words {
            if let Some(own) = self.0.get_mut(subject) {
                own.told = Some((own.word.remaining, own.resets_at, now));
                own.is_news &= own.stated_at != *stated_at;
            }
        }
    }
}

impl OwnBudget {
    /// Returns whether the others should be told: what is over is no news.
    const fn is_worth_telling(&self, now: Tick) -> bool {
        self.is_news && self.resets_at > now
    }
}

/// A rest is told when it became smaller by a sixteenth of the limit.
const STEPS: u64 = 16;
/// One that is not spent is told five times a second at most.
const PAUSE: Tick = 200_000_000;
/// A service states a handful of budgets for each credential.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Tick = 1_000_000_000;

    fn word(remaining: u64, reset: u64) -> BudgetWord {
        BudgetWord {
            subject: "b".into(),
            credential: 0,
            route: None,
            name: None,
            limit: Some(160),
            remaining,
            window: None,
            reset: reset * 1_000_000,
        }
    }

    #[test]
    fn a_rest_is_told_when_it_is_worth_it_and_never_after_its_reset() {
        let mut own = OwnBudgets::default();
        own.say(word(100, 0), 0);
        assert_eq!(own.due(0), None, "it is over");
        own.say(word(100, 60), 0);
        assert_eq!(own.due(0), Some(0));
        let (words, told) = own.words(SECOND);
        assert_eq!((words[0].remaining, words[0].reset), (100, 59_000_000));
        own.heard_of(&told, SECOND);
        own.say(word(95, 59), SECOND);
        assert_eq!(own.due(SECOND), None, "a sixteenth is 10");
        own.say(word(90, 59), SECOND);
        assert_eq!(own.due(SECOND), Some(SECOND + PAUSE));
        own.say(word(0, 59), SECOND);
        assert_eq!(own.due(SECOND), Some(SECOND), "that it is spent is told at once");
        assert_eq!(own.due(60 * SECOND), None);
        assert_eq!(own.words(60 * SECOND).0, []);
    }
}
