//! Sliding: an exact sliding window.

use std::collections::VecDeque;
use std::time::Duration;

use crate::throttle::time::{Opening, Tick, nanos};

/// One sliding window of `count` slots.
///
/// A slot is in flight from the grant on, and is then held until one length after its anchor. Anchors arrive almost in
/// the order of time, so a short walk from the end keeps their queue sorted; the slot with the earliest anchor is
/// reused first. Up to [`EXACT`] slots, each slot has its own anchor (8 bytes). Above that, several slots share the
/// newest anchor among them, which holds them a little longer and never shorter.
#[derive(Debug)]
pub(in crate::throttle) struct Sliding {
    count: u32,
    length: Tick,
    /// How many slots each entry of `free_at` represents.
    grain: u32,
    /// When held slots are free again, earliest first.
    free_at: VecDeque<Tick>,
    /// The entry that is being filled: the time at which it is free, and its number of slots.
    filling: Option<(Tick, u32)>,
    flying: u32,
}

impl Sliding {
    pub(in crate::throttle) fn new(count: u32, length: Duration) -> Self {
        let length = nanos(length);
        Self { count, length, grain: grain(count), free_at: VecDeque::new(), filling: None, flying: 0 }
    }

    pub(in crate::throttle) const fn count(&self) -> u32 {
        self.count
    }

    pub(in crate::throttle) const fn length(&self) -> Tick {
        self.length
    }

    /// Changes the count. Held slots stay held.
    pub(in crate::throttle) fn change(&mut self, count: u32) {
        let grain = grain(count).max(self.grain);
        if grain != self.grain {
            let held = std::mem::take(&mut self.free_at);
            let (old, filling) = (std::mem::replace(&mut self.grain, grain), self.filling.take());
            for at in held {
                (0..old).for_each(|_| self.hold(at));
            }
            if let Some((at, slots)) = filling {
                (0..slots).for_each(|_| self.hold(at));
            }
        }
        self.count = count;
    }

    pub(in crate::throttle) fn opening(&mut self, now: Tick) -> Opening {
        self.settle(now);
        let missing = (self.used() + 1).saturating_sub(u64::from(self.count));
        if missing == 0 {
            return Opening::Open;
        }
        let entries = missing.div_ceil(u64::from(self.grain));
        let at = usize::try_from(entries - 1).ok().and_then(|last| self.free_at.get(last)).copied();
        match at.or_else(|| self.filling.filter(|_| missing <= self.held()).map(|(at, _)| at)) {
            Some(at) => Opening::At(at),
            None => Opening::Closed,
        }
    }

    /// Returns whether one more request may be sent now.
    #[inline]
    pub(in crate::throttle) fn has_room(&mut self, now: Tick) -> bool {
        self.settle(now);
        let used = if self.grain == 1 { self.free_at.len() as u64 + u64::from(self.flying) } else { self.used() };
        used < u64::from(self.count)
    }

    /// Returns how many requests may be sent in a row now.
    pub(super) fn room(&mut self, now: Tick) -> u32 {
        self.settle(now);
        u32::try_from(u64::from(self.count).saturating_sub(self.used())).unwrap_or(0)
    }

    pub(super) fn not_before(&mut self, ahead: u32, now: Tick) -> Tick {
        self.settle(now);
        let count = u64::from(self.count.max(1));
        let (rounds, place) = (u64::from(ahead) / count, u64::from(ahead) % count);
        let free = count.saturating_sub(self.used());
        let first = if place < free {
            now
        } else {
            let entry = usize::try_from((place - free) / u64::from(self.grain)).unwrap_or(usize::MAX);
            // A slot in flight is anchored now at the earliest.
            self.free_at.get(entry).copied().unwrap_or(now + self.length)
        };
        first.saturating_add(rounds.saturating_mul(self.length))
    }

    pub(in crate::throttle) const fn take(&mut self) {
        self.flying += 1;
    }

    pub(in crate::throttle) const fn refund(&mut self) {
        self.flying = self.flying.saturating_sub(1);
    }

    pub(in crate::throttle) fn anchor(&mut self, at: Tick) {
        self.refund();
        self.hold(at.saturating_add(self.length));
    }

    /// Forgets the last anchor, which turned out not to count.
    pub(in crate::throttle) fn forget_last(&mut self) {
        if self.grain == 1 {
            self.free_at.pop_back();
        }
    }

    pub(in crate::throttle) fn use_of(&mut self, now: Tick) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let used = self.amounts(now).0 as f64;
        used / f64::from(self.count.max(1))
    }

    /// Returns how many slots are used, and the limit.
    pub(in crate::throttle) fn amounts(&mut self, now: Tick) -> (u64, u64) {
        self.settle(now);
        (self.used(), self.count.into())
    }

    #[inline]
    fn hold(&mut self, until: Tick) {
        // Nearly always this slot is the last to become free.
        if self.grain == 1 && self.free_at.len() < 2 * EXACT && self.free_at.back().is_none_or(|last| *last <= until) {
            self.free_at.push_back(until);
        } else {
            self.hold_in_order(until);
        }
    }

    fn hold_in_order(&mut self, until: Tick) {
        let until = if self.grain == 1 {
            until
        } else {
            let (newest, slots) = self.filling.map_or((until, 1), |(at, slots)| (at.max(until), slots + 1));
            if slots < self.grain {
                self.filling = Some((newest, slots));
                return;
            }
            self.filling = None;
            newest
        };
        let behind = self.free_at.iter().rev().take_while(|at| **at > until).count();
        self.free_at.insert(self.free_at.len() - behind, until);
        if self.free_at.len() > 2 * EXACT {
            self.coarsen();
        }
    }

    /// Merges pairs of entries when a soft limit is far overdrawn.
    fn coarsen(&mut self) {
        let pairs = std::mem::take(&mut self.free_at);
        self.free_at = pairs.into_iter().skip(1).step_by(2).collect();
        self.grain = self.grain.saturating_mul(2);
    }

    #[inline]
    fn settle(&mut self, now: Tick) {
        while self.free_at.front().is_some_and(|at| *at <= now) {
            self.free_at.pop_front();
        }
        if self.filling.is_some_and(|(at, _)| at <= now) {
            self.filling = None;
        }
    }

    fn held(&self) -> u64 {
        self.free_at.len() as u64 * u64::from(self.grain) + self.filling.map_or(0, |(_, slots)| u64::from(slots))
    }

    fn used(&self) -> u64 {
        self.held() + u64::from(self.flying)
    }
}

fn grain(count: u32) -> u32 {
    let exact = u32::try_from(EXACT).unwrap_or(u32::MAX);
    if count <= exact { 1 } else { count.div_ceil(exact / 2) }
}

/// Up to this many slots each has its own anchor: 32 KiB. A day's 10,000 requests take 16 KiB.
const EXACT: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Tick = 1_000_000_000;

    fn sliding(count: u32) -> Sliding {
        Sliding::new(count, Duration::from_secs(1))
    }

    #[test]
    fn a_slot_is_free_one_length_after_its_anchor_and_the_earliest_first() {
        let mut window = sliding(2);
        window.take();
        window.take();
        assert_eq!(window.opening(0), Opening::Closed, "both fly");
        window.anchor(30);
        assert_eq!(window.opening(30), Opening::At(SECOND + 30));
        window.anchor(10);
        assert_eq!(window.opening(40), Opening::At(SECOND + 10));
        assert_eq!(window.opening(SECOND + 10), Opening::Open);
        assert_eq!(window.not_before(0, SECOND + 10), SECOND + 10);
        assert_eq!(window.not_before(1, SECOND + 10), SECOND + 30);
        assert_eq!(window.not_before(4, SECOND + 10), 3 * SECOND + 10);
    }

    #[test]
    fn another_count_keeps_what_is_held() {
        let mut window = sliding(3);
        for at in 0..3 {
            window.take();
            window.anchor(at);
        }
        window.change(1);
        assert_eq!(window.opening(5), Opening::At(SECOND + 2), "two go over, the third frees the slot");
        window.change(4);
        assert_eq!(window.opening(5), Opening::Open);
        window.change(20_000);
        assert_eq!(window.used(), 3);
    }

    #[test]
    fn ten_thousand_a_day_take_sixteen_kibibytes() {
        let mut window = Sliding::new(10_000, Duration::from_secs(86_400));
        for at in 0..10_000 {
            assert_eq!(window.opening(at), Opening::Open);
            window.take();
            window.anchor(at);
        }
        assert!(matches!(window.opening(10_000), Opening::At(_)));
        assert!(window.free_at.len() * size_of::<Tick>() <= 16 << 10);
        let mut soft = sliding(1);
        (0..100_000).for_each(|at| {
            soft.take();
            soft.anchor(at);
        });
        assert!(soft.free_at.len() <= 2 * EXACT && soft.used() >= 99_000, "{}", soft.used());
    }

    proptest! {
        /// Whatever the anchors: never more than the count within a length, and predictions of the future hold.
        #[test]
        fn never_holds_fewer_than_it_must(
            count in prop_oneof![1..9_u32, 4097..9000_u32],
            steps in prop::collection::vec((0..400_u64, 0..200_u64), 1..300),
        ) {
            let mut window = Sliding::new(count, Duration::from_nanos(1000));
            let (mut now, mut anchors): (Tick, Vec<Tick>) = (0, Vec::new());
            for (pause, ahead) in steps {
                now += pause;
                let opening = window.opening(now);
                let held = anchors.iter().filter(|at| **at + 1000 > now).count();
                prop_assert!(held <= count as usize);
                match opening {
                    Opening::Open => {
                        prop_assert!(held < count as usize);
                        prop_assert_eq!(window.not_before(0, now), now);
                        window.take();
                        window.anchor(now + ahead);
                        anchors.push(now + ahead);
                    }
                    Opening::At(at) => {
                        prop_assert!(at > now);
                        prop_assert_eq!(window.not_before(0, now), at);
                        now = at;
                        prop_assert_eq!(window.opening(now), Opening::Open);
                    }
                    Opening::Closed => prop_assert!(false, "nothing flies"),
                }
            }
        }
    }
}
