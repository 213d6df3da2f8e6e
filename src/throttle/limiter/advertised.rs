//! Advertised: the rest of a budget, as the service states it in its responses.

use crate::message::Priority;
use crate::throttle::time::{Opening, Tick};

/// The rest of a budget until its reset, as the service stated it, less the requests sent since then.
///
/// A tenth of the limit is reserved for tokens, cancels and submits. Below half of the limit, the rest is spread over
/// the time to the reset, so that it never runs out early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::throttle) struct AdvertisedRest {
    limit: u64,
    remaining: u64,
    /// The rest as the service stated it, and how many requests of this process it does not count.
    stated: u64,
    used: u64,
    resets_at: Tick,
    /// When the next request may be sent while the rest is spread.
    next_at: Tick,
    /// When the request was sent whose response stated the rest.
    seen: Tick,
    /// The assumed length of its window: the time that was left to its end.
    span: Tick,
    /// Whether the service stated the limit, and not only the rest.
    is_whole: bool,
    /// Whether the service did not state the rest: it is assumed to equal the one before.
    is_guess: bool,
    among: Among,
}

/// The processes that use a rest together, and how many of them come before this one. Each keeps to its even part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::throttle) struct Among {
    pub(in crate::throttle) members: u32,
    pub(in crate::throttle) rank: u32,
}

impl Default for Among {
    fn default() -> Self {
        Self { members: 1, rank: 0 }
    }
}

impl Among {
    /// Returns the part of this process: the parts of all are the whole.
    fn part(self, whole: u64) -> u64 {
        let members = u64::from(self.members.max(1));
        whole / members + u64::from(u64::from(self.rank) < whole % members)
    }
}

impl AdvertisedRest {
    /// Creates a rest. `in_flight` requests may or may not be counted in `remaining`: they are assumed not to be.
    pub(in crate::throttle) fn new(
        limit: Option<u64>,
        remaining: u64,
        in_flight: u32,
        resets_at: Tick,
        seen: Tick,
    ) -> Self {
        let (stated, used) = (remaining, u64::from(in_flight));
        let remaining = stated.saturating_sub(used);
        let span = resets_at.saturating_sub(seen);
        let whole = limit.unwrap_or(remaining).max(1);
        Self {
            limit: whole,
            remaining,
            stated,
            used,
            resets_at,
            next_at: 0,
            seen,
            span,
            is_whole: limit.is_some(),
            is_guess: false,
            among: Among::default(),
        }
    }

    /// Returns the assumed rest after the end of the window, until a response states it: once the same limit, if that
    /// is known.
    pub(in crate::throttle) fn renewed(&self) -> Option<Self> {
        let resets_at = self.resets_at.saturating_add(self.span);
        self.is_whole.then(|| Self {
            remaining: self.limit,
            stated: self.limit,
            used: 0,
            resets_at,
            next_at: 0,
            seen: self.resets_at,
            is_whole: false,
            is_guess: true,
            ..self.clone()
        })
    }

    pub(in crate::throttle) const fn is_over(&self, now: Tick) -> bool {
        now >= self.resets_at
    }

    pub(in crate::throttle) const fn is_guess(&self) -> bool {
        self.is_guess
    }

    pub(in crate::throttle) const fn seen(&self) -> Tick {
        self.seen
    }

    /// Returns the limit, if the service stated it and not only the rest.
    pub(in crate::throttle) fn stated_limit(&self) -> Option<u64> {
        (self.is_whole || self.is_guess).then_some(self.limit)
    }

    pub(in crate::throttle) const fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(in crate::throttle) const fn resets_at(&self) -> Tick {
        self.resets_at
    }

    /// Returns whether nothing at all is left.
    pub(in crate::throttle) const fn is_spent(&self) -> bool {
        self.remaining == 0
    }

    /// Continues the pace of the rest before.
    pub(in crate::throttle) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            (self.next_at, self.span) = (before.next_at, self.span.max(before.span));
        }
        self
    }

    /// Returns the same rest, used by several processes.
    pub(in crate::throttle) const fn among(self, among: Among) -> Self {
        Self { among, ..self }
    }

    pub(in crate::throttle) const fn divided(&self) -> Among {
        self.among
    }

    pub(in crate::throttle) fn opening(&self, class: Priority, now: Tick) -> Opening {
        if self.is_over(now) {
            return Opening::Open;
        }
        let left = self.own().saturating_sub(self.among.part(self.reserve(class)));
        match self.next_at {
            _ if left == 0 => Opening::At(self.resets_at),
            next if next > now && self.is_low() && self.reserve(class) > 0 => Opening::At(next.min(self.resets_at)),
            _ => Opening::Open,
        }
    }

    pub(in crate::throttle) fn take(&mut self, now: Tick) {
        let spread = self.own().saturating_sub(self.among.part(self.limit / RESERVED)).max(1);
        self.next_at = now.saturating_add(self.resets_at.saturating_sub(now) / spread);
        self.remaining = self.remaining.saturating_sub(1);
        self.used = self.used.saturating_add(1);
    }

    pub(in crate::throttle) const fn refund(&mut self) {
        self.remaining = self.remaining.saturating_add(1);
        self.used = self.used.saturating_sub(1);
    }

    /// Returns whether the rest holds requests back: nothing of it is left, or it is being spread.
    pub(in crate::throttle) const fn holds_back(&self) -> bool {
        self.is_spent() || self.is_low()
    }

    /// Returns whether the service stated the rest, and its window has not ended.
    pub(in crate::throttle) fn is_told(&self, now: Tick) -> bool {
        !self.is_over(now) && !self.is_guess()
    }

    /// Returns whether these numbers cannot belong to the same budget, allowing for `in_flight` requests and a tenth.
    pub(in crate::throttle) fn contradicts(
        &self,
        limit: Option<u64>,
        remaining: Option<u64>,
        resets_at: Option<Tick>,
        in_flight: u32,
        now: Tick,
    ) -> bool {
        let other_limit = limit.is_some_and(|limit| limit != self.limit);
        let slack = u64::from(in_flight) + (self.limit / 10).max(3);
        let other_rest = remaining.is_some_and(|remaining| remaining.abs_diff(self.remaining) > slack);
        // A sliding reset moves on with time.
        let elapsed = now.saturating_sub(self.seen);
        let other_end = resets_at.is_some_and(|at| {
            at.saturating_add(SLACK) < self.resets_at
                || at > self.resets_at.saturating_add(elapsed).saturating_add(SLACK)
        });
        other_limit || other_rest || other_end
    }

    /// Returns how many requests this process may still send: its part of what was stated, less its own requests.
    fn own(&self) -> u64 {
        self.among.part(self.stated).saturating_sub(self.used)
    }

    const fn is_low(&self) -> bool {
        self.remaining < self.limit / 2
    }

    fn reserve(&self, class: Priority) -> u64 {
        match class {
            Priority::Token | Priority::Cancel | Priority::Submit => 0,
            _ => self.limit / RESERVED,
        }
    }
}

const RESERVED: u64 = 10;
/// Tolerance for clocks and rounding: 5 seconds.
const SLACK: Tick = 5_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_processes_use_no_more_than_the_rest_together() {
        // The rest, the processes, and the requests of each that are in flight.
        for (remaining, members, in_flight) in
            [(15, 4, 0), (3, 4, 0), (2, 2, 0), (7, 1, 3), (60, 4, 9), (8, 4, 5), (0, 3, 0)]
        {
            let mut sent = 0;
            for rank in 0..members {
                let among = Among { members, rank };
                let mut rest = AdvertisedRest::new(Some(200), remaining, in_flight, 1000, 0).among(among);
                let mut own = 0;
                while rest.opening(Priority::Submit, 0) == Opening::Open {
                    rest.take(0);
                    own += 1;
                }
                if own > 0 {
                    rest.refund();
                    assert_eq!(rest.opening(Priority::Submit, 0), Opening::Open, "what was not sent may be sent");
                }
                sent += own;
            }
            let out = u64::from(in_flight * members);
            assert_eq!(sent, remaining.saturating_sub(out), "{remaining} for {members} with {in_flight}");
        }
    }

    #[test]
    fn keeps_a_reserve_and_spreads_the_second_half() {
        let mut rest = AdvertisedRest::new(Some(20), 15, 3, 1000, 0);
        assert_eq!(rest.opening(Priority::Poll, 0), Opening::Open);
        for _ in 0..3 {
            rest.take(0);
        }
        // 9 are left, of which 2 are reserved: the last request was one of 8 over 1000.
        assert_eq!(rest.opening(Priority::Poll, 0), Opening::At(125));
        assert_eq!(rest.opening(Priority::Cancel, 0), Opening::Open);
        assert_eq!(rest.opening(Priority::Poll, 125), Opening::Open);
        for _ in 0..7 {
            rest.take(0);
        }
        assert_eq!(rest.opening(Priority::Poll, 999), Opening::At(1000));
        assert_eq!(rest.opening(Priority::Submit, 999), Opening::Open);
        rest.take(0);
        rest.take(0);
        assert_eq!(rest.opening(Priority::Token, 999), Opening::At(1000));
        assert!(rest.is_spent());
        assert_eq!(rest.opening(Priority::Batch, 1000), Opening::Open);
        let mut renewed = rest.renewed().unwrap();
        assert_eq!((renewed.remaining(), renewed.resets_at()), (20, 2000));
        assert_eq!(renewed.opening(Priority::Batch, 1000), Opening::Open);
        renewed.take(1000);
        assert!(renewed.renewed().is_none(), "once");
    }
}
