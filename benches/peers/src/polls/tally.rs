//! Tally: the polls of one task, and its lag.

/// The polls of one task, and how long after its end the last of them saw the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) polls: u32,
    pub(super) lag: f64,
}

impl Tally {
    pub(super) fn total(&self, cost: f64) -> f64 {
        self.lag + cost * f64::from(self.polls)
    }

    /// The mean of lag + cost x polls.
    pub(super) fn cost(tallies: &[Self], cost: f64) -> f64 {
        tallies.iter().map(|tally| tally.total(cost)).sum::<f64>() / tallies.len() as f64
    }

    /// The mean of the polls.
    pub(super) fn polls(tallies: &[Self]) -> f64 {
        tallies.iter().map(|tally| f64::from(tally.polls)).sum::<f64>() / tallies.len() as f64
    }

    /// The lag that so many percent of the tasks do not exceed.
    pub(super) fn lag(tallies: &[Self], percent: usize) -> f64 {
        let mut lags: Vec<f64> = tallies.iter().map(|tally| tally.lag).collect();
        lags.sort_by(f64::total_cmp);
        lags.get((lags.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    }
}
