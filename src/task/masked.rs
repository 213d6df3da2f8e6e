//! Masked: what an answer told, without what it repeated of the credential.

use crate::credential::NO_CREDENTIAL;
use crate::error::ErrorKind;
use crate::protocol::{Report, Step};
use crate::redact::Mask;

/// The step without secrets in its words. Where all went well, there is nothing to look for: a word that the protocol
/// knows is none.
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
