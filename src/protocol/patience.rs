//! Patience: the wait continues for a while if answers state nothing about the task.

use std::time::{Duration, SystemTime};

use super::cursor::Cursor;
use super::reading::Reading;
use super::step::{Report, Step};
use crate::error::{ErrorKind, Fault};

/// Continues the wait after an answer that states nothing about the task; the warning contains the service's words.
pub(super) fn wait(reading: &mut Reading<'_>, report: Report, why: impl Into<String>) -> Step {
    let trouble = Trouble { why: why.into(), fault: reading.fault() };
    trouble.wait(reading.cursor, reading.rules.patience, report, reading.now)
}

/// The reason why an answer states nothing about the task.
pub(super) struct Trouble {
    why: String,
    fault: Fault,
}

impl Trouble {
    /// Creates a reason without words of the service.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), fault: Fault::default() }
    }

    /// Continues the wait while there is patience.
    pub(super) fn wait(self, cursor: &mut Cursor, patience: Duration, mut report: Report, now: SystemTime) -> Step {
        let Self { why, fault } = self;
        if !cursor.is_patient(patience, report.hint, now) {
            let why = format!("{why}; and so for more than {patience:?}");
            return Step::Stop { kind: ErrorKind::StatusUnreadable, why, fault };
        }
        let said: String = fault.beside(&why).chars().take(MOST_WORDS).collect();
        report.warn(if said.is_empty() { why } else { format!("{why}: {said}") });
        report.word = None;
        Step::Wait(report)
    }
}

/// The number of characters of a service's words in a warning.
const MOST_WORDS: usize = 300;
