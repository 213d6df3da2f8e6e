//! Gauge: one window of one limit for one key, with its pause and those who wait for it.

use std::sync::Arc;

use super::meter::{Meter, Opening, Tick, nanos};
use super::parked::Parked;
use super::quota::Quota;
use super::trips::Trips;
use crate::hint::Budget;
use crate::limit::Anchor;
use crate::message::Class;

/// One window of one limit for one key.
#[derive(Debug)]
pub(super) struct Gauge {
    /// What it is, for people.
    pub(super) label: Arc<str>,
    /// What a service may call it.
    pub(super) name: Option<Arc<str>>,
    pub(super) meter: Meter,
    pub(super) anchor: Anchor,
    pub(super) soft: bool,
    /// A declared limit, and no door of an account or of a route.
    pub(super) declared: bool,
    /// A request went by it.
    pub(super) used: bool,
    /// How wide its scope is: 0 is the widest.
    pub(super) width: u8,
    /// Which of a limit's gauges it is.
    pub(super) key: Box<str>,
    /// How often it refused in a row, without a word of how long.
    pub(super) refusals: u8,
    /// Requests on their way to their headers.
    pub(super) flying: u32,
    /// How long it pauses after a refusal that does not say how long, where that was set.
    pub(super) unasked_pause: Option<Tick>,
    paused_until: Tick,
    /// Until then because the service asked for it.
    asked_until: Tick,
    /// After a pause.
    ramp: Option<Ramp>,
    pub(super) quota: Option<Box<Quota>>,
    pub(super) trips: Option<Box<Trips>>,
    /// Lanes whose first waits for this gauge, by class and place.
    pub(super) parked: Option<Box<Parked>>,
    /// How many wait who meet this gauge, wherever they are parked, by class.
    pub(super) waiting: [u32; CLASSES],
    /// When it is looked at next; then it stands in the agenda.
    pub(super) due: Option<Tick>,
    /// Waiters, flights and askers that hold on to it.
    pub(super) holders: u32,
}

/// How a pause ends: with at most so many at once, one more with each answer, which doubles it each round trip.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    most: u32,
    /// Those of them that are out; what went before the pause's end plays no part.
    flying: u32,
    since: Tick,
}

impl Gauge {
    pub(super) fn door(label: Arc<str>) -> Self {
        Self::new(label, Meter::Door, Anchor::Response)
    }

    pub(super) fn new(label: Arc<str>, meter: Meter, anchor: Anchor) -> Self {
        let mut gauge = Self {
            label,
            name: None,
            meter,
            anchor,
            soft: false,
            declared: false,
            used: false,
            width: 0,
            key: "".into(),
            refusals: 0,
            flying: 0,
            unasked_pause: None,
            paused_until: 0,
            asked_until: 0,
            ramp: None,
            quota: None,
            trips: None,
            parked: None,
            waiting: [0; CLASSES],
            due: None,
            holders: 0,
        };
        gauge.watch();
        gauge
    }

    /// Whether one more of a class may go, and when if not.
    pub(super) fn opening(&mut self, class: Class, now: Tick) -> Opening {
        if self.paused_until > now {
            return Opening::At(self.paused_until);
        }
        if let Some(quota) = self.quota.as_mut().filter(|quota| quota.is_over(now)) {
            // What it is from now on, the next answer tells.
            match quota.renewed().filter(|renewed| !renewed.is_over(now)) {
                Some(renewed) => **quota = renewed,
                None => self.quota = None,
            }
            self.ramp = Some(Ramp { most: 1, flying: 0, since: now });
        }
        if self.ramp.is_some_and(|ramp| ramp.flying >= ramp.most) {
            return Opening::Closed;
        }
        let meter = if self.soft { Opening::Open } else { self.meter.opening(self.flying, now) };
        self.quota.as_ref().map_or(meter, |quota| meter.max(quota.opening(class, now)))
    }

    /// Before when one of this class certainly does not go, behind `ahead` others who meet the same gauges.
    pub(super) fn not_before(&mut self, class: Class, ahead: u32, now: Tick) -> Tick {
        let credit = match self.anchor {
            Anchor::ResponseLessRoundTrip => self.trips.as_ref().map_or(0, |trips| trips.credit()),
            _ => 0,
        };
        let meter = if self.soft { now } else { self.meter.not_before(ahead, now).saturating_sub(credit).max(now) };
        let quota = match self.quota.as_mut().map(|quota| quota.opening(class, now)) {
            Some(Opening::At(at)) => at,
            _ => now,
        };
        meter.max(quota).max(self.paused_until)
    }

    /// How many stand before one of this class that comes now.
    pub(super) fn ahead(&self, class: Class) -> u32 {
        self.waiting.iter().take(rank(class) + 1).sum()
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.flying += 1;
        self.used = true;
        if let Some(ramp) = &mut self.ramp {
            ramp.flying += 1;
        }
        self.meter.take(now);
        if let Some(quota) = &mut self.quota {
            quota.take(now);
        }
    }

    /// What was granted at `granted` never left.
    pub(super) fn refund(&mut self, granted: Tick) {
        self.leave(granted);
        self.meter.refund();
        if let Some(quota) = &mut self.quota {
            quota.refund();
        }
    }

    /// The request goes out now.
    pub(super) fn send(&mut self, now: Tick) {
        match self.anchor {
            Anchor::Send => self.meter.anchor(now),
            Anchor::SendPlus(guard) => self.meter.anchor(now.saturating_add(nanos(guard))),
            Anchor::Response | Anchor::ResponseLessRoundTrip => {}
        }
    }

    /// What was granted at `granted` is no longer on its way.
    pub(super) fn leave(&mut self, granted: Tick) {
        self.flying = self.flying.saturating_sub(1);
        if let Some(ramp) = self.ramp.as_mut().filter(|ramp| granted >= ramp.since) {
            ramp.flying = ramp.flying.saturating_sub(1);
        }
    }

    /// The request, which was sent at `sent`, arrived before `at`. `is_sent`: [`send`](Self::send) was called.
    pub(super) fn land(&mut self, sent: Tick, is_sent: bool, at: Tick) {
        match self.anchor {
            Anchor::Send | Anchor::SendPlus(_) if is_sent => {}
            Anchor::ResponseLessRoundTrip => {
                let credit = self.trips.as_ref().map_or(0, |trips| trips.credit());
                self.meter.anchor(at.saturating_sub(credit).max(sent));
            }
            _ => self.meter.anchor(at),
        }
    }

    /// Watches round trips, where they are used.
    pub(super) fn watch(&mut self) {
        if self.anchor == Anchor::ResponseLessRoundTrip || matches!(self.meter, Meter::Paced(_)) {
            self.trips.get_or_insert_default();
        }
    }

    pub(super) const fn anchors_at_send(&self) -> bool {
        matches!(self.anchor, Anchor::Send | Anchor::SendPlus(_))
    }

    /// Whether it wants to be told of a send.
    pub(super) const fn sees_sends(&self) -> bool {
        self.anchors_at_send() || self.trips.is_some()
    }

    pub(super) const fn is_paused(&self, now: Tick) -> bool {
        self.paused_until > now
    }

    pub(super) const fn paused_until(&self) -> Tick {
        self.paused_until
    }

    /// Stops everybody until then.
    pub(super) fn pause(&mut self, until: Tick, now: Tick) {
        self.paused_until = self.paused_until.max(until);
        if self.is_paused(now) {
            self.ramp = Some(Ramp { most: 1, flying: 0, since: self.paused_until });
        }
    }

    /// The pause until then is what the service asks for.
    pub(super) fn ask(&mut self, until: Tick) {
        self.asked_until = self.asked_until.max(until);
    }

    /// Until when the service asks to stay away: after a refusal, or because a budget is spent.
    pub(super) fn asked_until(&self, now: Tick) -> Option<Tick> {
        let spent = self.quota.as_deref().filter(|quota| quota.is_spent() && !quota.is_guess());
        let ends = [Some(self.asked_until), spent.map(Quota::resets_at)];
        ends.into_iter().flatten().filter(|until| *until > now).max()
    }

    /// Goes as after a pause: one, then two, four and so on.
    pub(super) const fn begin_slowly(&mut self, now: Tick) {
        if self.ramp.is_none() {
            self.ramp = Some(Ramp { most: 1, flying: 0, since: now });
        }
    }

    /// What was told of its budget may be of another: one goes, and its answer tells.
    pub(super) fn doubt(&mut self, now: Tick) {
        if self.quota.take().is_some() {
            self.ramp = Some(Ramp { most: 1, flying: 0, since: now });
        }
    }

    /// Ends a pause, by its ramp.
    pub(super) fn resume(&mut self, now: Tick) {
        if self.is_paused(now) {
            (self.paused_until, self.asked_until) = (now, now);
            self.ramp = Some(Ramp { most: 1, flying: 0, since: now });
        }
    }

    /// An answer came to what was granted after a pause: let one more go beside the one that it makes room for.
    pub(super) fn widen(&mut self, granted: Tick) {
        if let Some(ramp) = self.ramp.as_mut().filter(|ramp| granted >= ramp.since) {
            ramp.most += 1;
            if ramp.most > RAMP_END {
                self.ramp = None;
            }
        }
    }

    /// Whether a budget that the service states is certainly smaller than the declared limit that this counts: fewer
    /// requests, in a window that is at least as long. One without a length is at least as long as the time to its reset.
    pub(super) fn is_above(&mut self, budget: &Budget, now: Tick) -> bool {
        if matches!(self.meter, Meter::Bytes(_) | Meter::Learner(_)) || !budget.counts_requests() {
            return false;
        }
        let (Some((_, own)), Some(length)) = (self.meter.amounts(now), self.meter.length()) else { return false };
        let theirs = budget.window().or(budget.reset()).map(nanos);
        budget.limit().is_some_and(|limit| limit > 0 && limit < own) && theirs.is_some_and(|theirs| theirs >= length)
    }

    /// Whether nothing holds on to it, and it holds nothing back.
    pub(super) fn is_idle(&mut self, now: Tick) -> bool {
        let is_told = self.quota.as_ref().is_some_and(|quota| !quota.is_over(now));
        self.holders == 0 && self.flying == 0 && !self.is_paused(now) && !is_told && self.meter.is_idle(now)
    }

    pub(super) fn has_parked(&self) -> bool {
        self.parked.as_deref().is_some_and(|parked| !parked.is_empty())
    }

    /// Whether one of this class, or of a more urgent one, stands here.
    pub(super) fn has_parked_before(&self, class: Class) -> bool {
        self.parked.as_deref().is_some_and(|parked| parked.has_before(rank(class)))
    }
}

/// How urgent a class is: 0 is the most.
pub(super) const fn rank(class: Class) -> usize {
    match class {
        Class::Token => 0,
        Class::Cancel => 1,
        Class::Submit => 2,
        Class::Call => 3,
        Class::Poll => 4,
        Class::Result => 5,
        Class::Download => 6,
        Class::Batch => 7,
    }
}

pub(super) const CLASSES: usize = 8;
/// When so many were let go at once, the pause is over.
const RAMP_END: u32 = 64;
