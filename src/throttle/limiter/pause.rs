//! How a refusal (429, 503) pauses: how long a limiter stops, and how it resumes.
//!
//! A refusal stops one limiter, and with it all requests that the limiter counts, wherever they wait.
//! [`feedback`](crate::throttle::feedback) decides which limiter that is: the limiter that the response names, else the
//! widest declared limit, else the route. This file describes the pause of that limiter.
//!
//! - **How long.** As long as the service asks. Without a hint, the pause is one second, doubled with each consecutive
//!   refusal up to 64 seconds; or the time that [`Limit::pause_without_hint`](crate::Limit::pause_without_hint) sets. A
//!   later refusal makes a pause longer and never shorter. Refusals during a pause belong to the same burst, and count
//!   once.
//! - **How it ends.** By a ramp: one request is sent first. Each response admits one request in addition to the request
//!   that it makes room for, so that the concurrency doubles with each round trip. The ramp ends at 64 concurrent
//!   requests. Requests that were granted before the end of the pause have no effect on the ramp.
//! - **With other processes.** A pause that several processes share ends by the first request of one of them: see
//!   [`board`](crate::throttle::board). Until then the ramp of each admits nothing.

use crate::throttle::time::Tick;

/// The pause of a limiter, and the ramp after it.
#[derive(Debug, Default)]
pub(in crate::throttle) struct Pause {
    until: Tick,
    /// Until when the service asked to pause.
    asked_until: Tick,
    ramp: Option<Ramp>,
    /// The number of consecutive refusals without a stated wait.
    refusals: u8,
}

/// How long a refusal stops a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::throttle) enum During {
    /// As long as the service asks.
    Asked(Tick),
    /// Without a hint: as long as was set, or else by the number of consecutive refusals.
    Unasked(Option<Tick>),
    /// Not at all: the refusal is only counted, because a search for the limit slows down by itself.
    Searching,
}

/// A bound on concurrent requests.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    most: u32,
    /// The requests of the ramp that are in flight.
    in_flight: u32,
    /// Requests that were granted before this time have no effect.
    since: Tick,
}

impl Ramp {
    const fn from(since: Tick) -> Self {
        Self { most: 1, in_flight: 0, since }
    }
}

impl Pause {
    #[inline]
    pub(in crate::throttle) const fn is_on(&self, now: Tick) -> bool {
        self.until > now
    }

    pub(in crate::throttle) const fn until(&self) -> Tick {
        self.until
    }

    /// Returns until when the service asked to stay away.
    pub(in crate::throttle) const fn asked_until(&self) -> Tick {
        self.asked_until
    }

    /// Returns whether the ramp admits no further request.
    pub(super) fn ramp_is_full(&self) -> bool {
        self.ramp.is_some_and(|ramp| ramp.in_flight >= ramp.most)
    }

    pub(super) const fn has_ramp(&self) -> bool {
        self.ramp.is_some()
    }

    /// Stops all requests until then; a pause never becomes shorter.
    pub(super) fn start(&mut self, until: Tick, now: Tick) {
        self.until = self.until.max(until);
        if self.is_on(now) {
            self.ramp = Some(Ramp::from(self.until));
        }
    }

    /// Ends the pause now, with its ramp, and whoever else sends first.
    pub(super) const fn end(&mut self, now: Tick) {
        if self.is_on(now) {
            (self.until, self.asked_until) = (now, now);
            self.ramp = Some(Ramp::from(now));
        }
        self.take_turn();
    }

    /// Begins a ramp as after a pause, unless a ramp is under way.
    pub(super) fn begin_ramp(&mut self, now: Tick) {
        if self.ramp.is_none() {
            self.restart_ramp(now);
        }
    }

    /// Begins a ramp anew, unless it is not the turn of this process.
    pub(super) fn restart_ramp(&mut self, now: Tick) {
        if !self.waits_for_turn() {
            self.ramp = Some(Ramp::from(now));
        }
    }

    /// Lets nobody send before the turn of this process: others pause too, and one of all sends first.
    pub(super) const fn wait_for_turn(&mut self, now: Tick) {
        match &mut self.ramp {
            Some(ramp) if ramp.since >= now => ramp.most = 0,
            // Requests from before have no effect.
            _ => self.ramp = Some(Ramp { most: 0, ..Ramp::from(now) }),
        }
    }

    /// Begins the ramp: it is the turn of this process.
    pub(super) const fn take_turn(&mut self) {
        if let Some(ramp) = &mut self.ramp
            && ramp.most == 0
        {
            ramp.most = 1;
        }
    }

    /// Returns whether this process waits for its turn.
    pub(in crate::throttle) fn waits_for_turn(&self) -> bool {
        self.ramp.is_some_and(|ramp| ramp.most == 0)
    }

    /// Returns whether a request that was sent after the pause was answered.
    pub(in crate::throttle) fn has_resumed(&self) -> bool {
        self.ramp.is_none_or(|ramp| ramp.most > 1)
    }

    /// Returns whether a request of the ramp is in flight.
    pub(in crate::throttle) fn is_probing(&self) -> bool {
        self.ramp.is_some_and(|ramp| ramp.in_flight > 0)
    }

    /// Another process was refused as often in a row, and asked to stay away until then.
    pub(super) fn hear(&mut self, refusals: u8, asked_until: Tick) {
        self.refusals = self.refusals.max(refusals);
        self.asked_until = self.asked_until.max(asked_until);
    }

    pub(in crate::throttle) const fn refusals(&self) -> u8 {
        self.refusals
    }

    pub(super) const fn take(&mut self) {
        if let Some(ramp) = &mut self.ramp {
            ramp.in_flight += 1;
        }
    }

    /// Records that the request that was granted at `granted` is no longer in flight.
    pub(super) fn leave(&mut self, granted: Tick) {
        if let Some(ramp) = self.ramp.as_mut().filter(|ramp| granted >= ramp.since) {
            ramp.in_flight = ramp.in_flight.saturating_sub(1);
        }
    }

    /// Widens the ramp by the response to a request that was granted after the pause: one more request may be sent, in
    /// addition to the request that the response makes room for.
    pub(super) fn widen(&mut self, granted: Tick) {
        if let Some(ramp) = self.ramp.as_mut().filter(|ramp| granted >= ramp.since) {
            ramp.most += 1;
            if ramp.most > RAMP_END {
                self.ramp = None;
            }
        }
    }

    /// Counts a refusal, and returns until when to stop; `None` if the refusal does not stop the limiter. Refusals of
    /// one burst count once.
    pub(super) fn refuse(&mut self, during: During, now: Tick) -> Option<Tick> {
        if !self.is_on(now) {
            self.refusals = self.refusals.saturating_add(1);
        }
        let by_count = WITHOUT_HINT << self.refusals.saturating_sub(1).min(LONGEST_SHIFT);
        match during {
            During::Asked(asked) => {
                let until = now.saturating_add(asked);
                self.asked_until = self.asked_until.max(until);
                Some(until)
            }
            During::Unasked(set) => Some(now.saturating_add(set.unwrap_or(by_count))),
            During::Searching => None,
        }
    }

    /// Records a response that was no refusal.
    #[inline]
    pub(super) const fn calm(&mut self) {
        self.refusals = 0;
    }
}

/// The pause after a refusal without a stated wait: a second, doubled with consecutive refusals, to 64 seconds.
const WITHOUT_HINT: Tick = 1_000_000_000;
const LONGEST_SHIFT: u8 = 6;
/// The ramp ends once this many requests are admitted at once.
const RAMP_END: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Tick = 1_000_000_000;

    #[test]
    fn refusals_in_a_row_double_the_pause_and_those_of_one_burst_count_once() {
        let mut pause = Pause::default();
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64] {
            let until = now + seconds * SECOND;
            assert_eq!(pause.refuse(During::Unasked(None), now), Some(until));
            pause.start(until, now);
            assert_eq!(pause.refuse(During::Unasked(None), now), Some(until), "of the same burst");
            now = until;
        }
        assert_eq!(pause.refuse(During::Unasked(Some(7)), now), Some(now + 7), "as long as was set");
        assert_eq!((pause.refuse(During::Searching, now), pause.asked_until()), (None, 0));
        assert_eq!((pause.refuse(During::Asked(9), now), pause.asked_until()), (Some(now + 9), now + 9));
        pause.calm();
        assert_eq!(pause.refuse(During::Unasked(None), now), Some(now + SECOND));
    }

    #[test]
    fn a_pause_of_several_processes_ends_when_it_is_the_turn_of_this_one() {
        let mut pause = Pause::default();
        pause.start(100, 0);
        pause.wait_for_turn(0);
        assert!(pause.waits_for_turn() && pause.ramp_is_full() && !pause.has_resumed());
        pause.take_turn();
        assert!(!pause.ramp_is_full() && !pause.has_resumed());
        pause.take();
        assert!(pause.ramp_is_full() && pause.is_probing());
        pause.leave(100);
        pause.widen(100);
        assert!(pause.has_resumed() && !pause.is_probing());
        // Another process was refused after it.
        pause.wait_for_turn(200);
        pause.widen(150);
        pause.restart_ramp(200);
        assert!(pause.waits_for_turn(), "neither a request from before nor the end of a budget plays a part");
        pause.end(300);
        assert!(!pause.ramp_is_full(), "resumed by hand");
    }

    #[test]
    fn a_pause_ends_by_a_ramp_that_doubles_each_round_trip() {
        let mut pause = Pause::default();
        pause.start(100, 0);
        pause.start(50, 0);
        assert!(pause.is_on(99) && !pause.is_on(100), "a later refusal makes it no shorter");
        let mut at_once = Vec::new();
        while pause.has_ramp() {
            let mut out = 0;
            while pause.has_ramp() && !pause.ramp_is_full() {
                pause.take();
                out += 1;
            }
            at_once.push(out);
            (0..out).for_each(|_| {
                pause.leave(100);
                pause.widen(100);
            });
        }
        assert_eq!(at_once, [1, 2, 4, 8, 16, 32, 64]);
        pause.start(300, 200);
        pause.widen(250);
        pause.leave(250);
        pause.take();
        assert!(pause.ramp_is_full(), "what went before the end plays no part");
    }
}
