//! Redirect: handles a redirected poll.

use super::location::join;
use super::patience::Trouble;
use super::phase::Phase;
use super::reading::Reading;
use super::reason::Reason;
use super::result_link;
use super::step::{Report, Step};
use crate::redact::is_signed;

/// Follows a redirect of a poll. `code` is its status, or 302 for a redirect after another one.
pub(super) fn follow(reading: &mut Reading<'_>, code: u16, report: Report) -> Step {
    reading.because(Reason::Redirected(code));
    if code == 303 {
        return result_link::redirected(reading, report);
    }
    let from = reading.reply.url();
    let target = reading.reply.header("location").ok_or_else(|| "it names no Location".to_owned());
    let url = match target.and_then(|location| join(from, &location)) {
        Ok(url) => url,
        Err(why) => {
            // The redirect leads nowhere, and so states nothing about the task.
            reading.cursor.turn_back();
            let trouble = Trouble::new(format!("the status answered with {code}, and {why}"));
            return trouble.wait(reading.cursor, reading.rules.patience, report, reading.now);
        }
    };
    if code == 302 && is_signed(&url) {
        // A signed link is the result itself: it is downloaded, never polled.
        reading.because(Reason::SignedRedirect);
        return result_link::redirected(reading, report);
    }
    if let Err(step) = reading.cursor.trail.hop(from, &url).and_then(|()| reading.cursor.admit(&url)) {
        return step;
    }
    reading.cursor.trail.following = Some(url.as_str().into());
    reading.cursor.phase = match code {
        302 => Phase::Moved,
        // The target is kept once a status is found there: it may be a page that announces an outage.
        301 | 308 => Phase::Polling { moved: true },
        _ => Phase::POLLING,
    };
    Step::Follow { url, after: report.hint.unwrap_or_default(), report: None }
}
