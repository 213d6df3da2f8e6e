//! Masked: a step without the parts of the credential that the answer repeated.

use crate::credential::NO_CREDENTIAL;
use crate::error::ErrorKind;
use crate::protocol::{Report, Step};
use crate::redact::Mask;

/// Returns the step without secrets in its words. A success needs no search: a word that the protocol knows is no
/// secret.
pub(super) fn masked(step: Step, mask: impl Fn() -> Mask, sends_none: bool) -> Step {
    match step {
        Step::Wait(report) if report.warning.is_some() => Step::Wait(of_report(report, &mask())),
        Step::Follow { url, after, report: Some(report) } if report.warning.is_some() => {
            Step::Follow { url, after, report: Some(of_report(report, &mask())) }
        }
        Step::Done(report, finding) if report.warning.is_some() => Step::Done(of_report(report, &mask()), finding),
        Step::Ended(report, fault) => {
            let mask = mask();
            Step::Ended(of_report(report, &mask), fault.masked(&mask))
        }
        Step::Stop { kind, why, fault } => {
            let mask = mask();
            let none = if kind == ErrorKind::Unauthorized && sends_none { NO_CREDENTIAL } else { "" };
            Step::Stop { kind, why: mask.hide(&why) + none, fault: fault.masked(&mask) }
        }
        step => step,
    }
}

fn of_report(report: Report, mask: &Mask) -> Report {
    let hide = |text: Option<Box<str>>| mask.hide_in(text.as_deref()).map(Into::into);
    Report { word: hide(report.word), warning: hide(report.warning), ..report }
}
