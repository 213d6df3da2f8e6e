//! Learned: the limit that the processes of a store found together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::word::{LearnedNews, LearnedWord};
use crate::throttle::slots::Micros;

/// The sum of what the processes found, for one length of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FleetLimit {
    window: Micros,
    total: u32,
    /// Changes with the total and with the processes: a share is of one version.
    version: u64,
    /// The processes that keep a share.
    sharers: BTreeSet<String>,
}

impl FleetLimit {
    /// Notes what a process found.
    pub(super) fn note(limit: &mut Option<Self>, member: &str, word: LearnedWord) {
        let Some(known) = limit.as_mut() else {
            if let LearnedWord::Found { count, window } | LearnedWord::Joins { known: Some((count, window)) } = word {
                let sharers = BTreeSet::from([member.to_owned()]);
                *limit = Some(Self { window, total: count.max(1), version: 1, sharers });
            }
            return;
        };
        let others = known.sharers.iter().any(|sharer| sharer != member);
        match word {
            // What was found over another length replaces what nobody keeps any longer.
            LearnedWord::Found { count, window } if window != known.window && !others => {
                known.sharers.insert(member.to_owned());
                (known.window, known.total) = (window, count.max(1));
            }
            LearnedWord::Found { count, window } if window == known.window && !known.sharers.contains(member) => {
                known.total = if known.sharers.is_empty() { count.max(1) } else { known.total.saturating_add(count) };
                known.sharers.insert(member.to_owned());
            }
            LearnedWord::Changed { version, from, to } if version == known.version => {
                known.total = known.total.saturating_sub(from).saturating_add(to).max(1);
            }
            LearnedWord::Leaves { version, from } if version == known.version => {
                known.sharers.remove(member);
                known.total = known.total.saturating_sub(from);
                // What is left is no knowledge of anybody.
                if known.sharers.is_empty() || known.total == 0 {
                    *limit = None;
                    return;
                }
            }
            LearnedWord::Joins { .. } if !known.sharers.contains(member) => {
                known.sharers.insert(member.to_owned());
            }
            // A word that came twice, or of a share that is no longer so.
            _ => return,
        }
        known.version += 1;
    }

    /// Leaves the shares of processes that are gone to the others.
    pub(super) fn retain(&mut self, is_there: impl Fn(&String) -> bool) {
        let before = self.sharers.len();
        self.sharers.retain(is_there);
        self.version += u64::from(self.sharers.len() != before);
    }

    pub(super) fn news(&self, member: &str) -> LearnedNews {
        let sharers = u32::try_from(self.sharers.len()).unwrap_or(u32::MAX).max(1);
        let rank = self.sharers.iter().take_while(|sharer| *sharer != member).count();
        let one_more = u32::from(u32::try_from(rank).is_ok_and(|rank| rank < self.total % sharers));
        // There may be more processes than the limit has requests.
        let share = (self.total / sharers + one_more).max(1);
        let share = self.sharers.contains(member).then_some(share);
        LearnedNews { version: self.version, window: self.window, share }
    }
}
