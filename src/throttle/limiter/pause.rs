//! How a refusal (429, 503) pauses: for how long a limiter stops, and how it goes on.
//!
//! A refusal stops one limiter, and with it all requests that meet it, wherever they wait. [`feedback`](crate::throttle::feedback)
//! decides which limiter that is: the one that the answer names, else the widest declared limit, else the route. This
//! file says what happens to it.
//!
//! - **How long.** As long as the service asks. Without a hint, a second, doubled with each refusal in a row up to 64
//!   seconds; or the time that [`Limit::pause_without_hint`](crate::Limit::pause_without_hint) sets. A later refusal
//!   makes a pause longer and never shorter. Refusals during a pause are of the same burst, and count once.
//! - **How it ends.** By a ramp: one request goes first, and each answer lets one more go beside the one that it makes
//!   room for, so that the number at once doubles with each round trip. At 64 at once the ramp is over. Requests that
//!   were granted before the end of the pause play no part in the ramp.

use crate::throttle::time::Tick;

/// The pause of a limiter, and the ramp after it.
#[derive(Debug, Default)]
pub(in crate::throttle) struct Pause {
    until: Tick,
    /// Until then because the service asked for it.
    asked_until: Tick,
    ramp: Option<Ramp>,
    /// How often the limiter refused in a row, without a word of how long.
    refusals: u8,
}

/// How long a refusal stops a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::throttle) enum During {
    /// As long as the service asks.
    Asked(Tick),
    /// Without a hint: as long as was set, or else by the refusals in a row.
    Unasked(Option<Tick>),
    /// Not at all: the refusal only counts, because a search for the limit slows down by itself.
    Searching,
}

/// At most so many requests at once.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    most: u32,
    /// Those of them that are out.
    in_flight: u32,
    /// Requests that were granted before play no part.
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

    /// Until when the service asked to stay away.
    pub(super) const fn asked_until(&self) -> Tick {
        self.asked_until
    }

    /// Whether the ramp admits no further request.
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

    /// Ends the pause now, by its ramp.
    pub(super) const fn end(&mut self, now: Tick) {
        if self.is_on(now) {
            (self.until, self.asked_until) = (now, now);
            self.ramp = Some(Ramp::from(now));
        }
    }

    /// Goes on as after a pause, unless it does already.
    pub(super) const fn begin_ramp(&mut self, now: Tick) {
        if self.ramp.is_none() {
            self.restart_ramp(now);
        }
    }

    pub(super) const fn restart_ramp(&mut self, now: Tick) {
        self.ramp = Some(Ramp::from(now));
    }

    pub(super) const fn take(&mut self) {
        if let Some(ramp) = &mut self.ramp {
            ramp.in_flight += 1;
        }
    }

    /// A request that was granted at `granted` is no longer on its way.
    pub(super) fn leave(&mut self, granted: Tick) {
        if let Some(ramp) = self.ramp.as_mut().filter(|ramp| granted >= ramp.since) {
            ramp.in_flight = ramp.in_flight.saturating_sub(1);
        }
    }

    /// An answer came to a request that was granted after the pause: one more goes beside the one that it makes room for.
    pub(super) fn widen(&mut self, granted: Tick) {
        if let Some(ramp) = self.ramp.as_mut().filter(|ramp| granted >= ramp.since) {
            ramp.most += 1;
            if ramp.most > RAMP_END {
                self.ramp = None;
            }
        }
    }

    /// Counts a refusal, and returns until when to stop; `None` where it does not stop. Refusals of one burst count once.
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

    /// An answer was no refusal.
    #[inline]
    pub(super) const fn calm(&mut self) {
        self.refusals = 0;
    }
}

/// A refusal without a word of how long: a second, doubled while refusals follow each other, to 64 seconds.
const WITHOUT_HINT: Tick = 1_000_000_000;
const LONGEST_SHIFT: u8 = 6;
/// When so many were let go at once, the ramp is over.
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
