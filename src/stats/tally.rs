//! Tally: the results of requests.

use http::StatusCode;

/// The results of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Below 400.
    pub(super) succeeded: u64,
    /// 429 and 503.
    pub(super) throttled: u64,
    /// Other statuses from 400 on.
    pub(super) failed: u64,
    /// No response.
    pub(super) broken: u64,
}

impl Tally {
    /// Counts a response, or a request without one.
    pub(super) fn count(&mut self, status: Option<StatusCode>) {
        let counter = match status.map(|status| status.as_u16()) {
            None => &mut self.broken,
            Some(429 | 503) => &mut self.throttled,
            Some(400..) => &mut self.failed,
            Some(_) => &mut self.succeeded,
        };
        *counter += 1;
    }

    /// Returns the tally without refusals for load, which have their own alerts.
    pub(super) const fn unthrottled(self) -> Self {
        Self { throttled: 0, ..self }
    }

    pub(super) const fn add(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.throttled += other.throttled;
        self.failed += other.failed;
        self.broken += other.broken;
    }

    pub(super) const fn answers(&self) -> u64 {
        self.succeeded + self.throttled + self.failed
    }

    pub(super) const fn all(&self) -> u64 {
        self.answers() + self.broken
    }

    pub(super) const fn errors(&self) -> u64 {
        self.all() - self.succeeded
    }

    pub(super) fn success_rate(&self) -> Option<f64> {
        share(self.succeeded, self.all())
    }

    pub(super) fn error_rate(&self) -> Option<f64> {
        share(self.errors(), self.all())
    }
}

/// Returns a part of a whole as a share; `None` if the whole is zero.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    (whole > 0).then(|| part as f64 / whole as f64)
}
