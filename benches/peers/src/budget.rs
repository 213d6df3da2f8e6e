//! Budget: so many requests in a window, in one or several at once.

use std::fmt;
use std::time::Duration;

/// One sliding window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) count: u32,
    pub(crate) length: Duration,
}

impl Window {
    /// The pause between two requests that are spread evenly.
    pub(crate) fn step(self) -> Duration {
        self.length / self.count
    }
}

/// All windows that a request must meet.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Vec<Window>);

impl Budget {
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn per(count: u32, length: Duration) -> Self {
        Self::none().and(count, length)
    }

    pub(crate) fn and(mut self, count: u32, length: Duration) -> Self {
        self.0.push(Window { count, length });
        self
    }

    pub(crate) fn windows(&self) -> &[Window] {
        &self.0
    }

    /// The window, where it has just one.
    pub(crate) fn single(&self) -> Option<Window> {
        match self.0.as_slice() {
            &[window] => Some(window),
            _ => None,
        }
    }

    /// The most that can be admitted in `time`, from nothing.
    pub(crate) fn most(&self, time: Duration) -> f64 {
        let most = |window: &Window| {
            (time.as_secs_f64() / window.length.as_secs_f64())
                .floor()
                .mul_add(f64::from(window.count), f64::from(window.count))
        };
        self.0.iter().map(most).fold(f64::INFINITY, f64::min)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, window) in self.0.iter().enumerate() {
            let and = if at > 0 { " and " } else { "" };
            write!(f, "{and}{} per {:?}", window.count, window.length)?;
        }
        Ok(())
    }
}
