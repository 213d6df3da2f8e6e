//! Tally: what one key's workers saw.

use std::time::Duration;

use tokio::time::Instant;

use crate::budget::Window;
use crate::subject::Answer;

pub(super) struct Tally {
    start: Instant,
    refused: u32,
    /// The answers to what was admitted, as they came.
    admitted: Vec<Instant>,
    round_trips: Duration,
    least_round_trip: Duration,
}

impl Tally {
    pub(super) const fn new(start: Instant) -> Self {
        let (round_trips, least_round_trip) = (Duration::ZERO, Duration::MAX);
        Self { start, refused: 0, admitted: Vec::new(), round_trips, least_round_trip }
    }

    pub(super) fn note(&mut self, answer: Answer, round_trip: Duration) {
        match answer {
            Answer::Accepted => self.admitted.push(Instant::now()),
            Answer::Refused => self.refused += 1,
        }
        self.round_trips += round_trip;
        self.least_round_trip = self.least_round_trip.min(round_trip);
    }

    pub(super) fn requests(&self) -> u32 {
        self.admitted() + self.refused
    }

    pub(super) const fn refused(&self) -> u32 {
        self.refused
    }

    pub(super) fn admitted(&self) -> u32 {
        self.admitted.len() as u32
    }

    pub(super) fn mean_round_trip(&self) -> f64 {
        self.round_trips.as_secs_f64() / f64::from(self.requests())
    }

    pub(super) fn least_round_trip(&self) -> f64 {
        self.least_round_trip.as_secs_f64()
    }

    /// The share of the window that is used in the long run: how long its count took, again and again, after the
    /// first window. So neither the first burst nor where the measuring ends plays a part.
    pub(super) fn steady(&self, window: Window) -> f64 {
        let from = self.admitted.partition_point(|&at| at < self.start + window.length);
        let rounds = self.admitted.len().saturating_sub(from + 1) / window.count as usize;
        let last = from + rounds * window.count as usize;
        match (self.admitted.get(from), self.admitted.get(last)) {
            (Some(&first), Some(&last)) if rounds > 0 => {
                rounds as f64 * window.length.as_secs_f64() / (last - first).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_takes_a_tenth_longer_is_used_to_ten_elevenths() {
        let window = Window { count: 3, length: Duration::from_secs(1) };
        let start = Instant::now();
        let mut tally = Tally::new(start);
        for burst in 0..10 {
            tally.admitted.extend([start + Duration::from_millis(1_100) * burst; 3]);
        }
        assert!((tally.steady(window) - 10.0 / 11.0).abs() < 1e-9);
    }
}
