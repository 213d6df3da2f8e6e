//! Pool: slots that no process holds, by the times at which they are free.

use serde::{Deserialize, Serialize};

use super::Micros;

/// Free slots, as groups of one date each, earliest first.
///
/// Above [`MOST`] groups, neighbours share the later of their dates: a slot is then free a little later than it could
/// be, never earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::throttle) struct Pool(Vec<(Micros, u64)>);

/// The end of the pool from which slots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Those that are free first.
    Earliest,
    /// Those that are free last.
    Latest,
}

impl Pool {
    /// Adds `count` slots that are free at a time.
    pub(super) fn put(&mut self, at: Micros, count: u64) {
        if count == 0 {
            return;
        }
        let place = self.0.partition_point(|(date, _)| *date < at);
        match self.0.get_mut(place).filter(|(date, _)| *date == at) {
            Some((_, slots)) => *slots += count,
            None => self.0.insert(place, (at, count)),
        }
        if self.0.len() > MOST {
            self.coarsen();
        }
    }

    /// Takes up to `count` slots from one end, of those that are free until then; returns them by their dates.
    pub(super) fn take(&mut self, count: u64, until: Micros, end: End) -> Vec<(Micros, u64)> {
        let (mut left, mut taken) = (count, Vec::new());
        while left > 0 {
            let next = match end {
                End::Earliest => self.0.first_mut(),
                End::Latest => self.0.last_mut(),
            };
            let Some((date, slots)) = next.filter(|(date, _)| *date <= until) else { break };
            let some = left.min(*slots);
            (left, *slots) = (left - some, *slots - some);
            taken.push((*date, some));
            if *slots == 0 {
                match end {
                    End::Earliest => drop(self.0.remove(0)),
                    End::Latest => drop(self.0.pop()),
                }
            }
        }
        taken
    }

    /// Gives all slots that are free by now the date of now.
    pub(super) fn settle(&mut self, now: Micros) {
        let past = self.0.partition_point(|(date, _)| *date <= now);
        let count = self.0.drain(..past).map(|(_, slots)| slots).sum();
        self.put(now, count);
    }

    /// Makes no slot free before a time.
    pub(super) fn delay(&mut self, until: Micros) {
        self.settle(until);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns how many slots are here.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(_, slots)| slots).sum()
    }

    /// Returns how many slots are free until then.
    pub(super) fn until(&self, until: Micros) -> u64 {
        self.0.iter().take_while(|(date, _)| *date <= until).map(|(_, slots)| slots).sum()
    }

    fn coarsen(&mut self) {
        let merge = |pair: &[(Micros, u64)]| match pair {
            [(_, some), (date, more)] => (*date, some + more),
            [only, ..] => *only,
            [] => (0, 0),
        };
        self.0 = self.0.chunks(2).map(merge).collect();
    }
}

/// So many dates take 16 KiB.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_from_both_ends_and_splits_a_group() {
        let mut pool = Pool::default();
        for (at, count) in [(30, 2), (10, 1), (20, 3), (20, 1), (5, 0)] {
            pool.put(at, count);
        }
        assert_eq!((pool.total(), pool.until(20)), (7, 5));
        assert_eq!(pool.take(2, 100, End::Earliest), [(10, 1), (20, 1)]);
        assert_eq!(pool.take(3, 100, End::Latest), [(30, 2), (20, 1)]);
        assert_eq!(pool.take(9, 19, End::Earliest), []);
        pool.delay(25);
        assert_eq!(pool, Pool(vec![(25, 2)]));
    }

    #[test]
    fn a_full_pool_loses_no_slot_and_makes_none_free_earlier() {
        let mut pool = Pool::default();
        (0..5000).for_each(|at| pool.put(at, 1));
        assert!(pool.0.len() <= MOST && pool.total() == 5000, "{}", pool.0.len());
        for at in 0..5000 {
            assert!(pool.until(at) <= at + 1);
        }
    }
}
