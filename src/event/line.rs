//! Line: an event on one line.

use std::fmt;

use super::{Event, RefusalCause};

impl fmt::Display for Event {
    /// Writes one line without secrets. Of the daily summary, the line is the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { class, limit, ahead, at_least } => {
                write!(f, "waiting for `{limit}`: {class:?}, {ahead} before it, {at_least:.1?} at least")
            }
            Self::Granted { class, waited } => write!(f, "granted after {waited:.1?}: {class:?}"),
            Self::PassedOver { class } => write!(f, "a turn was not taken: {class:?}"),
            Self::TooLate { class, limit } => write!(f, "too late for its deadline, by `{limit}`: {class:?}"),
            Self::Refused { status, request, credential, limit, cause } => {
                write!(f, "refused with {}: {request}", status.as_u16())?;
                if let Some(credential) = credential {
                    write!(f, " with {credential}")?;
                }
                let who = if *cause == RefusalCause::NoKnownLimit { "us" } else { "others" };
                write!(f, ", by `{limit}`, spent by {who}")
            }
            Self::Paused { limit, during } => write!(f, "paused for {during:.1?}: `{limit}`"),
            Self::Learned { limit } => write!(f, "learned: `{limit}`"),
            Self::Unlearned { limit } => write!(f, "no longer holds: `{limit}`"),
            Self::Exceeded { limit } => write!(f, "exceeded: `{limit}`"),
            Self::Ignored { what } => f.write_str(&crate::redact::scrub(what)),
            Self::StoreDown { why } => write!(f, "the store of shared limits does not answer: {why}"),
            Self::StoreBack { after } => write!(f, "the store of shared limits answers again, after {after:.1?}"),
            Self::LeaseLost { limit } => write!(f, "its lease was over, and its slots went to others: `{limit}`"),
            Self::SlotsOwed { limit, slots } => write!(f, "{slots} slots too many are lent: `{limit}`"),
            Self::LimitsDiffer { limit, count } => {
                write!(f, "another process declares {count}, which counts: `{limit}`")
            }
            Self::ClockSetBack => f.write_str("the wall clock was set back"),
            Self::Retrying { request, reason, attempts, pause } => {
                write!(f, "again in {pause:.1?} ({reason}, {attempts} so far): {request}")
            }
            Self::Refreshed { credential, valid_for } => {
                write!(f, "token refreshed: {credential}")?;
                valid_for.map_or(Ok(()), |valid_for| write!(f, ", good for {valid_for:.0?}"))
            }
            Self::RefreshFailed { credential, why, needs_login } => {
                let login = if *needs_login { ", a new login is needed" } else { "" };
                write!(f, "token not refreshed: {credential}{login}: {why}")
            }
            Self::Slow { request, took } => write!(f, "slow, {took:.1?}: {request}"),
            Self::NearLimit { limit, used, of: Some(of), .. } => write!(f, "near its limit, {used} of {of}: `{limit}`"),
            Self::NearLimit { limit, left, .. } => write!(f, "near its limit, {left} left: `{limit}`"),
            Self::UnknownWord { task, word } => {
                let task = task.as_deref().unwrap_or("without an id");
                write!(
                    f,
                    "the word `{}` of the task {} is not known, and stays",
                    crate::redact::scrub(word),
                    crate::redact::scrub(task)
                )
            }
            Self::Alert(alert) => f.write_str(alert.to_string().lines().next().unwrap_or_default()),
            Self::Missed { count } => write!(f, "{count} events were missed"),
        }
    }
}
