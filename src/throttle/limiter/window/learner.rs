//! Learner: searches for an unstated limit.

mod found;
mod pace;

use std::collections::VecDeque;
use std::time::Duration;

use crate::throttle::time::{Opening, Tick, nanos};

use found::{Found, PROBE};
use pace::{FLOOR, Pace};

/// Searches for an unknown limit: by slow start, then by cubic regrowth after the first refusal, until the smallest
/// window whose count repeats at two refusals is known. From then on that window is kept and probed.
#[derive(Debug)]
pub(in crate::throttle) struct Learner {
    stage: LearnerStage,
    /// When accepted requests arrived, assumed half way between send and response; those of the last minute.
    accepted: VecDeque<Tick>,
    /// The counts in each of [`WINDOWS`] at the last refusal.
    counts: Option<[Option<u32>; WINDOWS.len()]>,
    /// When counting began.
    since: Option<Tick>,
    /// Refusals of requests that were sent before this time belong to the last refusal.
    epoch: Tick,
    /// Requests that were sent while searching and have no response yet.
    flying: u32,
    /// No request is admitted before this time.
    closed_until: Tick,
}

#[derive(Debug)]
enum LearnerStage {
    Searching(Pace),
    Found(Found),
}

impl Learner {
    pub(in crate::throttle) fn new() -> Self {
        Self::at(LearnerStage::Searching(Pace::new(FLOOR, 0)))
    }

    /// Starts with a limit that was found before.
    pub(in crate::throttle) fn knowing(count: u32, window: Duration) -> Self {
        Self::at(LearnerStage::Found(Found::new(count, window, PROBE)))
    }

    fn at(stage: LearnerStage) -> Self {
        Self { stage, accepted: VecDeque::new(), counts: None, since: None, epoch: 0, flying: 0, closed_until: 0 }
    }

    /// Returns a name for people.
    pub(in crate::throttle) fn label(&self) -> String {
        match self.found() {
            Some((count, window)) => format!("learned: {count} per {window:?} of the account"),
            None => "an unknown limit of the account".to_owned(),
        }
    }

    /// Returns the limit that was found: a count and a window.
    pub(in crate::throttle) fn found(&self) -> Option<(u32, Duration)> {
        match &self.stage {
            LearnerStage::Searching(_) => None,
            LearnerStage::Found(found) => Some((found.known(), Duration::from_nanos(found.window.length()))),
        }
    }

    /// Returns whether nothing was tried yet.
    pub(in crate::throttle) const fn is_fresh(&self) -> bool {
        matches!(self.stage, LearnerStage::Searching(_)) && self.since.is_none()
    }

    /// Keeps a limit that was found together with other processes. Requests that hold slots go on to hold them. Returns
    /// whether the limit is another one.
    pub(in crate::throttle) fn keep(&mut self, count: u32, window: Duration, now: Tick) -> bool {
        match &mut self.stage {
            LearnerStage::Found(found) if found.window.length() == nanos(window) => {
                let is_other = found.known() != count;
                if is_other {
                    found.keep(count);
                }
                is_other
            }
            LearnerStage::Found(_) | LearnerStage::Searching(_) => {
                self.find(count, window, now);
                true
            }
        }
    }

    /// As [`keep`](Self::keep), for the first time: until the others have made room, nothing is admitted.
    pub(in crate::throttle) fn join(&mut self, count: u32, window: Duration, now: Tick) -> bool {
        self.closed_until = now.saturating_add(nanos(window).min(LONGEST_JOIN));
        self.keep(count, window, now)
    }

    pub(super) fn opening(&mut self, now: Tick) -> Opening {
        if now < self.closed_until {
            return Opening::At(self.closed_until);
        }
        match &mut self.stage {
            LearnerStage::Searching(pace) => pace.opening(now),
            LearnerStage::Found(found) => {
                found.probe(now);
                let opening = found.window.opening(now);
                found.was_full |= opening != Opening::Open;
                opening
            }
        }
    }

    pub(super) fn take(&mut self, now: Tick) {
        self.flying += 1;
        match &mut self.stage {
            LearnerStage::Searching(pace) => pace.take(now),
            LearnerStage::Found(found) => found.window.take(),
        }
    }

    pub(super) fn refund(&mut self) {
        self.flying = self.flying.saturating_sub(1);
        if let LearnerStage::Found(found) = &mut self.stage {
            found.window.refund();
        }
    }

    pub(super) fn anchor(&mut self, at: Tick) {
        self.flying = self.flying.saturating_sub(1);
        if let LearnerStage::Found(found) = &mut self.stage {
            found.window.anchor(at);
        }
    }

    pub(super) fn use_of(&mut self, now: Tick) -> f64 {
        match &mut self.stage {
            LearnerStage::Searching(_) => f64::from(self.flying.min(1)),
            LearnerStage::Found(found) => found.window.use_of(now),
        }
    }

    /// Returns how much of the found limit is used, and the limit.
    pub(super) fn amounts(&mut self, now: Tick) -> Option<(u64, u64)> {
        match &mut self.stage {
            LearnerStage::Searching(_) => None,
            LearnerStage::Found(found) => Some(found.window.amounts(now)),
        }
    }

    /// Records an accepted request; returns whether the found limit changed.
    pub(in crate::throttle) fn accepted(&mut self, sent: Tick, now: Tick) -> bool {
        self.accepted.push_back(middle(sent, now));
        self.since.get_or_insert(sent);
        let oldest = now.saturating_sub(nanos(LONGEST));
        while self.accepted.front().is_some_and(|at| *at < oldest) || self.accepted.len() > MOST_KEPT {
            self.accepted.pop_front();
        }
        match &mut self.stage {
            LearnerStage::Searching(_) => false,
            LearnerStage::Found(found) => found.succeed(sent, now),
        }
    }

    /// Records a refused request; returns whether the found limit changed.
    pub(in crate::throttle) fn refused(&mut self, sent: Tick, now: Tick) -> bool {
        if sent < self.epoch {
            return false;
        }
        self.epoch = now;
        let at = middle(sent, now);
        let counts = WINDOWS.map(|window| self.count(at, window));
        let before = self.counts.replace(counts);
        match &mut self.stage {
            LearnerStage::Found(found) => {
                let window = Duration::from_nanos(found.window.length());
                let counted = WINDOWS.iter().position(|other| *other == window).and_then(|at| *counts.get(at)?);
                let was_probing = found.probing.is_some();
                if window > SHORTEST && !was_probing && counted.is_some_and(|counted| counted < found.known()) {
                    // The service refused at a lower count: the limit counts over a shorter time, or has been lowered.
                    self.search(counts, now);
                    return true;
                }
                match found.refuse(counted.unwrap_or_default(), now) {
                    Some(pause) => {
                        self.closed_until = now + pause;
                        true
                    }
                    None => false,
                }
            }
            LearnerStage::Searching(_) => match before.and_then(|before| repeated(before, counts)) {
                Some((count, window)) => {
                    self.find(count, window, now);
                    true
                }
                None => {
                    self.search(counts, now);
                    false
                }
            },
        }
    }

    /// Returns how many requests were accepted in a window before a moment; `None` if the learner has not watched for
    /// that long.
    fn count(&self, at: Tick, window: Duration) -> Option<u32> {
        let since = at.saturating_sub(nanos(window));
        self.since.filter(|began| *began <= since)?;
        let within = self.accepted.iter().rev().take_while(|accepted| **accepted > since);
        u32::try_from(within.filter(|accepted| **accepted <= at).count()).ok()
    }

    fn search(&mut self, counts: [Option<u32>; WINDOWS.len()], now: Tick) {
        let measured = counts.first().copied().flatten().map_or(FLOOR, f64::from);
        match &mut self.stage {
            LearnerStage::Searching(pace) => pace.refuse(measured, now),
            LearnerStage::Found(_) => {
                let mut pace = Pace::new(measured, now);
                pace.refuse(measured, now);
                self.stage = LearnerStage::Searching(pace);
            }
        }
    }

    /// Keeps a window from now on. Requests that the window counts now hold slots already.
    fn find(&mut self, count: u32, window: Duration, now: Tick) {
        let mut found = Found::new(count, window, now + PROBE);
        (0..self.flying).for_each(|_| found.window.take());
        let since = now.saturating_sub(nanos(window));
        for at in self.accepted.iter().filter(|at| **at > since) {
            found.window.take();
            found.window.anchor(*at);
        }
        self.stage = LearnerStage::Found(found);
    }
}

/// Returns the smallest window whose count repeats, within one: if the network bunches requests, they are counted too
/// early or too late.
fn repeated(before: [Option<u32>; WINDOWS.len()], now: [Option<u32>; WINDOWS.len()]) -> Option<(u32, Duration)> {
    let repeats = |(before, now): (Option<u32>, Option<u32>)| match (before, now) {
        (Some(before), Some(now)) if before.abs_diff(now) <= 1 && now > 0 => Some(before.min(now).max(1)),
        _ => None,
    };
    before.into_iter().zip(now).map(repeats).zip(WINDOWS).find_map(|(count, window)| Some((count?, window)))
}

fn middle(sent: Tick, now: Tick) -> Tick {
    sent + now.saturating_sub(sent) / 2
}

/// The lengths of windows that services use.
const WINDOWS: [Duration; 3] = [SHORTEST, Duration::from_secs(10), LONGEST];
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Who takes a share of a limit that others use waits for a window, and for 10 seconds at most.
const LONGEST_JOIN: Tick = 10_000_000_000;
/// Faster services count over shorter windows.
const MOST_KEPT: usize = 16_384;
