//! Judging: whether the counts are worth an alert. Pure.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::alerts::Alerts;
use super::kept::{Kept, KeptVerdict};
use super::long::LongTasks;
use super::recent::Stretch;
use super::token::Tokens;
use crate::event::{AlertKind, RefusalCause};
use crate::throttle::LimitUsage;

/// The input of the judgement.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// The last five minutes; and the hour before.
    pub(super) recent: &'a Stretch,
    pub(super) before: &'a Stretch,
    /// How long 429s have continued.
    pub(super) throttled_for: Option<Duration>,
    pub(super) usage: &'a [LimitUsage],
    pub(super) tokens: &'a Tokens,
    pub(super) long: &'a LongTasks,
    pub(super) kept: &'a Kept,
    /// Whether requests were sent in the last minute.
    pub(super) is_active: bool,
}

/// A condition that is worth an alert.
#[derive(Debug, PartialEq)]
pub(super) struct AlertFinding {
    pub(super) kind: AlertKind,
    pub(super) about: Option<Arc<str>>,
    pub(super) text: String,
}

/// Returns all conditions that are worth an alert now.
pub(super) fn judge(alerts: &Alerts, seen: &Seen<'_>, now: Instant) -> Vec<AlertFinding> {
    let mut found = Vec::new();
    refusals(alerts, seen, &mut found);
    rates(alerts, seen, &mut found);
    latencies(alerts, seen, &mut found);
    for limit in seen.usage.iter().filter(|limit| is_worth(limit) && is_near(limit, alerts.near_limit, alerts.left)) {
        let text = format!("little is left of `{}`: {limit}", limit.label());
        found.push(AlertFinding { kind: AlertKind::NearLimit, about: Some(limit.label().into()), text });
    }
    tokens(alerts, seen, now, &mut found);
    if alerts.running_for.is_some() {
        for (name, age) in seen.long.all(now) {
            let text = format!("the task `{name}` has been running for {age:.0?}");
            found.push(AlertFinding { kind: AlertKind::RunningForLong, about: Some(name.clone()), text });
        }
    }
    if let Some(least) = alerts.declared_too_high {
        for (refusals, last) in seen.kept.all() {
            let is_recent = now.saturating_duration_since(last) < RECENT;
            if is_recent && (refusals.cause() == RefusalCause::NoKnownLimit || refusals.count() >= least.into()) {
                let (kind, text) = (AlertKind::DeclaredTooHigh, KeptVerdict(refusals).to_string());
                found.push(AlertFinding { kind, about: Some(refusals.limit().into()), text });
            }
        }
    }
    found
}

/// Returns whether this share of a limit is used, or fewer than `left` are left of a budget that the service states.
pub(super) fn is_near(limit: &LimitUsage, share: Option<f64>, left: Option<u32>) -> bool {
    let is_used = share.is_some_and(|share| limit.of() >= Some(FEWEST) && limit.share() >= share);
    let few = left.map(u64::from).filter(|least| limit.of().is_none_or(|of| of > *least));
    is_used || limit.is_stated() && few.is_some_and(|least| limit.left().is_some_and(|left| left < least))
}

/// A window of seconds is used up whenever there is work.
fn is_worth(limit: &LimitUsage) -> bool {
    limit.window().map_or(limit.is_stated(), |window| window >= Duration::from_secs(60))
}

fn refusals(alerts: &Alerts, seen: &Seen<'_>, found: &mut Vec<AlertFinding>) {
    let recent = seen.recent;
    if let (Some(least), Some(during)) = (alerts.throttled_for, seen.throttled_for)
        && during >= least
    {
        found.push(AlertFinding::new(
            AlertKind::ThrottledForLong,
            format!("answers of 429 keep coming for {during:.0?}"),
        ));
    }
    for (kind, least, count, status) in [
        (AlertKind::Unauthorized, alerts.unauthorized, recent.unauthorized, 401),
        (AlertKind::Unavailable, alerts.unavailable, recent.unavailable, 503),
        (AlertKind::Throttled, alerts.throttled, recent.refused, 429),
    ] {
        if least.is_some_and(|least| count > 0 && count >= least.into()) {
            let answers = if count == 1 { "answer was" } else { "answers were" };
            found.push(AlertFinding::new(kind, format!("{count} {answers} {status} in the last five minutes")));
        }
    }
}

fn rates(alerts: &Alerts, seen: &Seen<'_>, found: &mut Vec<AlertFinding>) {
    let (recent, before) = (seen.recent.tally.unthrottled(), seen.before.tally.unthrottled());
    let least = u64::from(alerts.least_requests);
    let Some(rate) = recent.error_rate().filter(|_| recent.all() >= least) else { return };
    let told = |of: String| {
        let (errors, all) = (recent.errors(), recent.all());
        format!("{errors} of {all} requests failed ({:.0} %) in the last five minutes{of}", rate * 100.0)
    };
    if alerts.error_rate.is_some_and(|most| rate > most) {
        found.push(AlertFinding::new(AlertKind::ErrorRate, told(String::new())));
    }
    if let (Some(times), Some(was)) = (alerts.rising_errors, before.error_rate().filter(|_| before.all() >= least))
        && rate >= LEAST_ERRORS
        && rate > was
        && rate >= was * times
    {
        let of = format!(", {:.1} % in the hour before", was * 100.0);
        found.push(AlertFinding::new(AlertKind::ErrorsRising, told(of)));
    }
}

fn latencies(alerts: &Alerts, seen: &Seen<'_>, found: &mut Vec<AlertFinding>) {
    let (recent, before) = (seen.recent.timing.latency(), seen.before.timing.latency());
    let least = u64::from(alerts.least_requests);
    if recent.count() < least || before.count() < least {
        return;
    }
    for (kind, times, name, is, was) in [
        (AlertKind::LatencySpike, alerts.latency_spike, "99th percentile", recent.p99(), before.p99()),
        (AlertKind::LatencyRising, alerts.rising_latency, "median", recent.p50(), before.p50()),
    ] {
        if times.is_some_and(|times| {
            is >= alerts.least_latency && is > was && is.as_secs_f64() >= was.as_secs_f64() * times
        }) {
            let text = format!(
                "the {name} of the latency is {is:.1?} in the last five minutes, and was {was:.1?} in the hour before"
            );
            found.push(AlertFinding::new(kind, text));
        }
    }
}

fn tokens(alerts: &Alerts, seen: &Seen<'_>, now: Instant, found: &mut Vec<AlertFinding>) {
    for token in seen.tokens.all() {
        let (about, failed) = (Some(token.credential().clone()), token.failed_in_a_row());
        if alerts.failed_refreshes.is_some_and(|least| failed > 0 && failed >= least.into()) {
            let times = if failed == 1 { String::new() } else { format!(" {failed} times in a row") };
            let text = format!("the token `{}` could not be fetched or refreshed{times}", token.credential());
            found.push(AlertFinding { kind: AlertKind::RefreshFailed, about: about.clone(), text });
        }
        let near = alerts.token_expiry.zip(token.valid_for()).map(|(near, life)| near.min(life / 10));
        if let (true, Some(near), Some(left)) = (seen.is_active, near, token.left(now))
            && left <= near
        {
            let text = format!("the token `{}` ends in {left:.0?}, and was not refreshed", token.credential());
            found.push(AlertFinding { kind: AlertKind::TokenNotRefreshed, about, text });
        }
    }
}

impl AlertFinding {
    fn new(kind: AlertKind, text: String) -> Self {
        Self { kind, about: None, text }
    }
}

/// The length of "now".
const RECENT: Duration = Duration::from_secs(5 * 60);
/// A smaller limit is either used up or not.
const FEWEST: u64 = 5;
/// A smaller share is of no concern, whatever it was before.
const LEAST_ERRORS: f64 = 0.02;
