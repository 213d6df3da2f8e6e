//! Patience: the wait goes on for a while where answers say nothing of the task.

use std::time::{Duration, SystemTime};

use super::cursor::Cursor;
use super::reading::Reading;
use super::step::{Report, Step};
use crate::error::{ErrorKind, Fault};

/// The wait goes on after an answer that says nothing of the task; the warning has the words of the service.
pub(super) fn wait(reading: &mut Reading<'_>, report: Report, why: impl Into<String>) -> Step {
    let trouble = Trouble { why: why.into(), fault: reading.fault() };
    trouble.wait(reading.cursor, reading.rules.patience, report, reading.now)
}

/// Why an answer says nothing of the task.
pub(super) struct Trouble {
    why: String,
    fault: Fault,
}

impl Trouble {
    /// Without words of the service.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), fault: Fault::default() }
    }

    /// The wait goes on while there is patience.
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

/// So many characters of a service's words stand in a warning.
const MOST_WORDS: usize = 300;
