//! Learner: looks for a limit that nobody states.

use std::collections::VecDeque;
use std::time::Duration;

use super::meter::{Opening, Sliding, Tick};

/// Looks for an unknown limit: by slow start, then by cubic regrowth after the first refusal, until the smallest window
/// whose count repeats at two refusals is known. From then on that window is kept, and probed.
#[derive(Debug)]
pub(super) struct Learner {
    stage: Stage,
    /// When accepted requests arrived, half way between send and answer; of the last minute.
    accepted: VecDeque<Tick>,
    /// The counts in each of [`WINDOWS`] at the last refusal.
    counts: Option<[Option<u32>; WINDOWS.len()]>,
    /// When it began to count.
    since: Option<Tick>,
    /// Refusals of requests that were sent before belong to the last one.
    epoch: Tick,
    /// Requests that went out while searching, not answered yet.
    flying: u32,
    /// Nobody goes before.
    closed_until: Tick,
}

#[derive(Debug)]
enum Stage {
    Searching(Pace),
    Found(Found),
}

/// A rate, evenly.
#[derive(Debug)]
struct Pace {
    rate: f64,
    next_at: Tick,
    /// Where it grows from: the last refusal.
    since: Tick,
    /// The rate at the last refusal; none in slow start.
    refused_at: Option<f64>,
    /// How many went since the second began, and in the last one.
    used: u32,
    second: Tick,
    used_before: u32,
}

#[derive(Debug)]
struct Found {
    window: Sliding,
    /// Since when one more is tried, by how many, and when next.
    probing: Option<Tick>,
    step: u32,
    probe_at: Tick,
    was_full: bool,
    /// Between what was admitted and what was not.
    narrows: bool,
    /// When one was refused without a probe, which happens: where the network bunches requests together.
    warned: Option<Tick>,
}

impl Learner {
    pub(super) fn new() -> Self {
        Self::at(Stage::Searching(Pace::new(FLOOR, 0)))
    }

    /// With what was found before.
    pub(super) fn knowing(count: u32, window: Duration) -> Self {
        Self::at(Stage::Found(Found::new(count, window, PROBE)))
    }

    fn at(stage: Stage) -> Self {
        Self { stage, accepted: VecDeque::new(), counts: None, since: None, epoch: 0, flying: 0, closed_until: 0 }
    }

    /// What was found: how many in how long.
    pub(super) fn found(&self) -> Option<(u32, Duration)> {
        match &self.stage {
            Stage::Searching(_) => None,
            Stage::Found(found) => Some((found.known(), Duration::from_nanos(found.window.length()))),
        }
    }

    pub(super) fn opening(&mut self, now: Tick) -> Opening {
        if now < self.closed_until {
            return Opening::At(self.closed_until);
        }
        match &mut self.stage {
            Stage::Searching(pace) => pace.opening(now),
            Stage::Found(found) => {
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
            Stage::Searching(pace) => pace.take(now),
            Stage::Found(found) => found.window.take(),
        }
    }

    pub(super) fn refund(&mut self) {
        self.flying = self.flying.saturating_sub(1);
        if let Stage::Found(found) = &mut self.stage {
            found.window.refund();
        }
    }

    pub(super) fn anchor(&mut self, at: Tick) {
        self.flying = self.flying.saturating_sub(1);
        if let Stage::Found(found) = &mut self.stage {
            found.window.anchor(at);
        }
    }

    pub(super) fn use_of(&mut self, now: Tick) -> f64 {
        match &mut self.stage {
            Stage::Searching(_) => f64::from(self.flying.min(1)),
            Stage::Found(found) => found.window.use_of(now),
        }
    }

    /// A request was accepted; tells whether that changed what is found.
    pub(super) fn accepted(&mut self, sent: Tick, now: Tick) -> bool {
        self.accepted.push_back(middle(sent, now));
        self.since.get_or_insert(sent);
        let oldest = now.saturating_sub(nanos(LONGEST));
        while self.accepted.front().is_some_and(|at| *at < oldest) || self.accepted.len() > MOST_KEPT {
            self.accepted.pop_front();
        }
        match &mut self.stage {
            Stage::Searching(_) => false,
            Stage::Found(found) => found.succeed(sent, now),
        }
    }

    /// A request was refused; tells whether that changed what is found.
    pub(super) fn refused(&mut self, sent: Tick, now: Tick) -> bool {
        if sent < self.epoch {
            return false;
        }
        self.epoch = now;
        let at = middle(sent, now);
        let counts = WINDOWS.map(|window| self.count(at, window));
        let before = self.counts.replace(counts);
        match &mut self.stage {
            Stage::Found(found) => {
                let window = Duration::from_nanos(found.window.length());
                let counted = WINDOWS.iter().position(|other| *other == window).and_then(|at| *counts.get(at)?);
                let was_probing = found.probing.is_some();
                if window > SHORTEST && !was_probing && counted.is_some_and(|counted| counted < found.known()) {
                    // Fewer were refused: the limit counts over a shorter time, or has come down.
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
            Stage::Searching(_) => match before.and_then(|before| repeated(before, counts)) {
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

    /// How many were accepted in a window before a moment; `None` where it was not watched for so long.
    fn count(&self, at: Tick, window: Duration) -> Option<u32> {
        let since = at.saturating_sub(nanos(window));
        self.since.filter(|began| *began <= since)?;
        let within = self.accepted.iter().rev().take_while(|accepted| **accepted > since);
        u32::try_from(within.filter(|accepted| **accepted <= at).count()).ok()
    }

    fn search(&mut self, counts: [Option<u32>; WINDOWS.len()], now: Tick) {
        let measured = counts.first().copied().flatten().map_or(FLOOR, f64::from);
        match &mut self.stage {
            Stage::Searching(pace) => pace.refuse(measured, now),
            Stage::Found(_) => {
                let mut pace = Pace::new(measured, now);
                pace.refuse(measured, now);
                self.stage = Stage::Searching(pace);
            }
        }
    }

    /// Keeps a window from now on. What is counted there now is held already.
    fn find(&mut self, count: u32, window: Duration, now: Tick) {
        let mut found = Found::new(count, window, now + PROBE);
        (0..self.flying).for_each(|_| found.window.take());
        let since = now.saturating_sub(nanos(window));
        for at in self.accepted.iter().filter(|at| **at > since) {
            found.window.take();
            found.window.anchor(*at);
        }
        self.stage = Stage::Found(found);
    }
}

/// The smallest window whose count repeats, but for one: where the network bunches requests, they are counted before
/// their time, or after.
fn repeated(before: [Option<u32>; WINDOWS.len()], now: [Option<u32>; WINDOWS.len()]) -> Option<(u32, Duration)> {
    let repeats = |(before, now): (Option<u32>, Option<u32>)| match (before, now) {
        (Some(before), Some(now)) if before.abs_diff(now) <= 1 && now > 0 => Some(before.min(now).max(1)),
        _ => None,
    };
    before.into_iter().zip(now).map(repeats).zip(WINDOWS).find_map(|(count, window)| Some((count?, window)))
}

impl Pace {
    fn new(rate: f64, now: Tick) -> Self {
        Self { rate, next_at: 0, since: now, refused_at: None, used: 0, second: now, used_before: 0 }
    }

    fn opening(&mut self, now: Tick) -> Opening {
        self.grow(now);
        // A timer ticks each millisecond.
        let burst = period(self.rate).saturating_mul(1_000_000 / period(self.rate).max(1));
        if self.next_at <= now + burst { Opening::Open } else { Opening::At(self.next_at - burst) }
    }

    fn take(&mut self, now: Tick) {
        self.used += 1;
        self.next_at = self.next_at.max(now) + period(self.rate);
    }

    fn grow(&mut self, now: Tick) {
        let seconds_past = now.saturating_sub(self.second) / SECOND;
        if seconds_past > 0 {
            // A rate that nobody asked for says nothing.
            self.used_before = if seconds_past == 1 { self.used } else { 0 };
            let is_used = f64::from(self.used_before) >= 0.7 * self.rate;
            if self.refused_at.is_none() && is_used {
                self.rate *= 2.0;
            }
            (self.second, self.used) = (now, 0);
        }
        if let Some(most) = self.refused_at {
            let age = seconds(now.saturating_sub(self.since));
            let back = (most * (1.0 - DECREASE) / CUBIC).cbrt();
            let grown = CUBIC * (age - back).powi(3) + most;
            let used = f64::from(self.used.max(self.used_before));
            self.rate = grown.min((2.0 * used).max(most)).max(FLOOR);
        }
    }

    fn refuse(&mut self, measured: f64, now: Tick) {
        let most = measured.min(self.rate).max(FLOOR);
        (self.refused_at, self.since) = (Some(most), now);
        self.rate = most * DECREASE;
        self.next_at = now + period(self.rate);
    }
}

impl Found {
    fn new(count: u32, window: Duration, probe_at: Tick) -> Self {
        Self {
            window: Sliding::new(count.max(1), window),
            probing: None,
            step: 1,
            probe_at,
            was_full: false,
            narrows: false,
            warned: None,
        }
    }

    /// What is known to be admitted.
    fn known(&self) -> u32 {
        let probed = if self.probing.is_some() { self.step } else { 0 };
        self.window.count().saturating_sub(probed).max(1)
    }

    /// Tries one more, when it is time and everything is used.
    fn probe(&mut self, now: Tick) {
        if self.probing.is_none() && now >= self.probe_at && self.was_full {
            self.window.change(self.window.count().saturating_add(self.step));
            (self.probing, self.was_full) = (Some(now), false);
        }
    }

    /// A request was accepted: one that was sent a full window after the probe began is an answer to it.
    fn succeed(&mut self, sent: Tick, now: Tick) -> bool {
        if self.probing.is_none_or(|since| !self.was_full || sent < since + self.window.length()) {
            return false;
        }
        (self.probing, self.probe_at) = (None, now);
        self.step = if self.narrows { (self.step / 2).max(1) } else { self.step.saturating_mul(2) };
        true
    }

    /// Takes a refusal in. `counted` were accepted in the window before it. Gives the pause, where the limit is another
    /// from now on.
    fn refuse(&mut self, counted: u32, now: Tick) -> Option<Tick> {
        let (known, length) = (self.known(), self.window.length());
        let was_probing = self.probing.take().is_some();
        // The service did not count it, as a rule.
        self.window.forget_last();
        // Far too many are halved at once; one too many is tried again when it may have changed.
        self.narrows = was_probing && self.step > 1;
        self.step = if self.narrows { self.step / 2 } else { 1 };
        self.probe_at = now + if self.narrows { length } else { PROBE };
        if was_probing {
            // One too many, or several: as many are admitted as are counted.
            self.window.change(counted.clamp(known, self.window.count()));
            self.warned = None;
            return (self.window.count() != known).then_some(0);
        }
        let is_second = self.warned.replace(now).is_some_and(|warned| now < warned + WARNED * length);
        if !is_second {
            self.window.change(known);
            return None;
        }
        // The limit has come down, or somebody else spends it.
        let (count, pause) =
            if counted > 0 && counted < known { (counted, 0) } else { ((known * 7 / 10).max(1), length / 2) };
        self.window.change(count);
        Some(pause)
    }
}

fn middle(sent: Tick, now: Tick) -> Tick {
    sent + now.saturating_sub(sent) / 2
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is from 1 up")]
fn period(rate: f64) -> Tick {
    (1e9 / rate.max(0.001)) as Tick
}

fn seconds(tick: Tick) -> f64 {
    Duration::from_nanos(tick).as_secs_f64()
}

fn nanos(duration: Duration) -> Tick {
    Tick::try_from(duration.as_nanos()).unwrap_or(Tick::MAX)
}

/// The lengths of windows that services count in.
const WINDOWS: [Duration; 3] = [SHORTEST, Duration::from_secs(10), LONGEST];
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const SECOND: Tick = 1_000_000_000;
/// Requests a second to begin with.
const FLOOR: f64 = 2.0;
/// To this share of what was admitted after a refusal.
const DECREASE: f64 = 0.9;
/// How steeply it grows again (RFC 9438, 5).
const CUBIC: f64 = 0.4;
/// A found limit is tried again every 10 seconds, while it is used up.
const PROBE: Tick = 10 * 1_000_000_000;
/// Two refusals within so many windows are no chance.
const WARNED: Tick = 4;
/// Faster services are counted over shorter windows.
const MOST_KEPT: usize = 16_384;
