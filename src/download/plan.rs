//! Plan: which connection fetches which bytes of an object.

use std::ops::Range;

/// The bytes that are still to be fetched: gaps without a connection, and the claims of the connections.
///
/// A claim is one long range, because each request costs a round trip and a slow start. A connection that has nothing
/// to do takes the second half of the claim that would take longest.
#[derive(Debug)]
pub(super) struct Plan {
    /// In ascending order, not empty.
    gaps: Vec<Range<u64>>,
    claims: Vec<Option<Claim>>,
    /// No claim is split into parts that are smaller.
    smallest: u64,
}

#[derive(Clone, Debug)]
struct Claim {
    at: u64,
    end: u64,
    /// Bytes a second; 0 before the first measurement.
    rate: u64,
}

/// The name of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClaimId(usize);

impl Plan {
    pub(super) fn new(gaps: Vec<Range<u64>>, smallest: u64) -> Self {
        Self { gaps, claims: Vec::new(), smallest: smallest.max(1) }
    }

    /// Returns the next range for a connection: the first gap, or half of a claim; `None` if there is nothing that is
    /// worth a connection.
    pub(super) fn claim(&mut self) -> Option<(ClaimId, Range<u64>)> {
        let range = if self.gaps.is_empty() { self.split()? } else { self.gaps.remove(0) };
        let claim = Claim { at: range.start, end: range.end, rate: 0 };
        let free = self.claims.iter().position(Option::is_none);
        let id = free.unwrap_or(self.claims.len());
        match self.claims.get_mut(id) {
            Some(free) => *free = Some(claim),
            None => self.claims.push(Some(claim)),
        }
        Some((ClaimId(id), range))
    }

    /// Returns whether another connection would have something to do.
    pub(super) fn has_work(&self) -> bool {
        !self.gaps.is_empty() || self.slowest().is_some()
    }

    /// Takes the second half of the claim that would take longest.
    fn split(&mut self) -> Option<Range<u64>> {
        let slowest = self.slowest()?;
        let claim = self.claims.get_mut(slowest)?.as_mut()?;
        let middle = claim.at + (claim.end - claim.at) / 2;
        let taken = middle..claim.end;
        claim.end = middle;
        Some(taken)
    }

    fn slowest(&self) -> Option<usize> {
        let worth = self.claims.iter().enumerate().filter_map(|(index, claim)| Some((index, claim.as_ref()?)));
        let worth = worth.filter(|(_, claim)| claim.end - claim.at >= 2 * self.smallest);
        // A claim that was not measured yet counts as the slowest of its length.
        worth.max_by_key(|(_, claim)| (claim.end - claim.at) / claim.rate.max(1)).map(|(index, _)| index)
    }

    /// Counts bytes of a claim, and returns where it ends now.
    pub(super) fn advance(&mut self, id: ClaimId, bytes: u64) -> u64 {
        let Some(claim) = self.get(id) else { return 0 };
        claim.at = (claim.at + bytes).min(claim.end);
        claim.end
    }

    pub(super) fn measured(&mut self, id: ClaimId, rate: u64) {
        if let Some(claim) = self.get(id) {
            claim.rate = rate;
        }
    }

    /// Returns the rates of all claims that were measured, in ascending order.
    pub(super) fn rates(&self) -> Vec<u64> {
        let mut rates: Vec<_> = self.claims.iter().flatten().map(|claim| claim.rate).filter(|rate| *rate > 0).collect();
        rates.sort_unstable();
        rates
    }

    /// Gives a claim back; what is left of it becomes a gap.
    pub(super) fn release(&mut self, id: ClaimId) {
        let Some(claim) = self.claims.get_mut(id.0).and_then(Option::take) else { return };
        if claim.at < claim.end {
            let place = self.gaps.partition_point(|gap| gap.start < claim.at);
            self.gaps.insert(place, claim.at..claim.end);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.gaps.is_empty() && self.claims.iter().all(Option::is_none)
    }

    fn get(&mut self, id: ClaimId) -> Option<&mut Claim> {
        self.claims.get_mut(id.0)?.as_mut()
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is meant")]
mod tests {
    use super::*;

    #[test]
    fn halves_the_claim_that_would_take_longest() {
        let mut plan = Plan::new(vec![0..1_000], 10);
        let (first, range) = plan.claim().unwrap();
        assert_eq!(range, 0..1_000);
        assert_eq!(plan.advance(first, 200), 1_000);
        let (second, range) = plan.claim().unwrap();
        assert_eq!(range, 600..1_000);
        assert_eq!(plan.advance(first, 100), 600);
        // The second is far slower, although less is left of it.
        plan.measured(first, 100);
        plan.measured(second, 5);
        plan.advance(second, 200);
        assert_eq!(plan.claim().unwrap().1, 900..1_000);
        plan.release(first);
        assert_eq!(plan.claim().unwrap().1, 300..600);
    }

    #[test]
    fn a_part_that_is_too_small_is_not_split() {
        let mut plan = Plan::new(vec![0..19], 10);
        let (one, _) = plan.claim().unwrap();
        assert!(plan.claim().is_none() && !plan.has_work());
        assert!(!plan.is_done());
        plan.advance(one, 19);
        plan.release(one);
        assert!(plan.is_done());
    }

    #[test]
    fn every_byte_is_fetched_once_whatever_the_connections_do() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let total = random.u64(1..5_000);
            let mut seen = vec![0; usize::try_from(total).unwrap()];
            let mut plan = Plan::new(vec![0..total], random.u64(1..50));
            let mut claims: Vec<(ClaimId, u64)> = Vec::new();
            while !plan.is_done() {
                if claims.is_empty() || (claims.len() < 8 && random.bool()) {
                    claims.extend(plan.claim().map(|(id, range)| (id, range.start)));
                }
                let index = random.usize(..claims.len());
                let (id, at) = claims[index];
                // The end is asked for before each piece, as a connection does it.
                let end = plan.advance(id, 0);
                let bytes = random.u64(..100).min(end - at);
                (at..at + bytes).for_each(|byte| seen[usize::try_from(byte).unwrap()] += 1);
                plan.measured(id, random.u64(1..1_000));
                claims[index].1 += bytes;
                let end = plan.advance(id, bytes);
                if at + bytes == end || random.u8(..20) == 0 {
                    plan.release(id);
                    claims.swap_remove(index);
                }
            }
            assert!(seen.iter().all(|count| *count == 1), "seed {seed}");
        }
    }
}
