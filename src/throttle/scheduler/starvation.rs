//! Starvation: a lane that repeatedly finds one limiter open and another closed holds the slots that it finds.
//!
//! A request that needs two limiters can starve behind requests that need only one of them: whenever its second limiter
//! opens, others have taken the first. After [`STARVES`] such bounces the lane takes a slot of each open limiter, and
//! keeps the slots while it waits for the rest, for [`PATIENCE`] at most: slots that are held in this way are lost to
//! others. Only one lane of a throttle may do so at a time, because two could wait for each other.

use super::lanes::Lanes;
use crate::throttle::ids::{LaneId, LimiterId};
use crate::throttle::limiters::Limiters;
use crate::throttle::limiters::set::LimiterSet;
use crate::throttle::time::{Opening, Tick};

/// The starving lane, if there is one.
#[derive(Debug, Default)]
pub(super) struct Starvation(Option<Starving>);

#[derive(Debug)]
struct Starving {
    lane: LaneId,
    /// The limiters of which the lane holds a slot, and when it took each.
    held: LimiterSet,
    taken: Vec<Tick>,
    since: Tick,
    until: Tick,
}

impl Starvation {
    /// Returns the limiters of which a lane holds a slot.
    pub(super) fn held_by(&self, lane: LaneId) -> LimiterSet {
        self.0
            .as_ref()
            .filter(|starving| starving.lane == lane)
            .map(|starving| starving.held.clone())
            .unwrap_or_default()
    }

    pub(super) fn is(&self, lane: LaneId) -> bool {
        self.0.as_ref().is_some_and(|starving| starving.lane == lane)
    }

    pub(super) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Returns when the starving lane releases its slots.
    pub(super) fn until(&self) -> Option<Tick> {
        self.0.as_ref().map(|starving| starving.until)
    }

    /// Records that a lane was passed on to a limiter with this opening. If the lane starves, and that limiter may open
    /// soon, the lane holds a slot of each limiter that is open. Returns whether it does.
    pub(super) fn hold(
        &mut self,
        lane: LaneId,
        opening: Opening,
        lanes: &Lanes,
        limiters: &mut Limiters,
        now: Tick,
    ) -> bool {
        let opens = match opening {
            Opening::At(at) if at <= now.saturating_add(PATIENCE) => at,
            Opening::Closed => now.saturating_add(PATIENCE),
            Opening::At(_) | Opening::Open => return false,
        };
        let entry = lanes.of(lane);
        if entry.bounces < STARVES || self.0.is_some() && !self.is(lane) {
            return false;
        }
        let (mut held, mut taken, since) = match self.0.take() {
            Some(starving) => (starving.held, starving.taken, starving.since),
            None => (LimiterSet::default(), Vec::new(), now),
        };
        for id in limiters.take_open(entry.set, entry.class, &held, now) {
            held.add(id);
            taken.push(now);
        }
        // A timer may be late, and so may the waiters ahead.
        let until = opens.saturating_add(LATE).min(since.saturating_add(PATIENCE));
        self.0 = Some(Starving { lane, held, taken, since, until });
        true
    }

    /// Releases the slots of the starving lane; returns their limiters.
    pub(super) fn let_go(&mut self, lanes: &mut Lanes, limiters: &mut Limiters, now: Tick) -> Vec<LimiterId> {
        let Some(starving) = self.0.take() else { return Vec::new() };
        for (id, taken) in starving.held.ids().iter().zip(starving.taken) {
            limiters.of_mut(*id).give_back(taken, now);
        }
        if lanes.has(starving.lane) {
            lanes.of_mut(starving.lane).bounces = 0;
        }
        starving.held.ids().to_vec()
    }
}

/// A lane starves once it was passed on between limiters this often.
const STARVES: u8 = 8;
/// The longest time that a lane holds slots which others could use: 10 seconds.
const PATIENCE: Tick = 10_000_000_000;
/// The tolerance after the moment when the last limiter should open: half a second.
const LATE: Tick = 500_000_000;
