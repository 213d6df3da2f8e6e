//! The decision whether an attempt is repeated, and after which pause: a table, and a pure function over it.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::event::RetryReason;
use crate::message::Priority;

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service answered with this status, or an envelope reads the response as this status.
    Status(StatusCode),
    /// The request provably was never sent.
    Unsent,
    /// No response arrived, and the service may have acted.
    Lost,
    /// As `Lost`, by a connection that broke together with others of its host, which were already charged.
    LostWithOthers,
}

/// What a failure means for a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The service refused for load, before it acted.
    Throttled,
    /// The failure may pass by itself, and the service may have acted.
    Transient,
    /// The credential failed. It is refreshed, and the request is sent once more, below the retries.
    Unauthorized,
    /// The same request will get the same response.
    Permanent,
}

/// The meaning of statuses; the first matching row counts. 429 stands before the other 4xx.
pub(crate) const STATUSES: [(u16, u16, Meaning, &str); 11] = [
    (
        401,
        401,
        Meaning::Unauthorized,
        "the credential was not accepted: it is refreshed and the request sent once more",
    ),
    (429, 429, Meaning::Throttled, "refused for load before it was acted on"),
    (403, 403, Meaning::Permanent, "forbidden, unless an envelope says that it is throttling"),
    (408, 408, Meaning::Transient, "the service waited too long for the request"),
    (425, 425, Meaning::Transient, "the service does not want to risk a replay yet"),
    (400, 499, Meaning::Permanent, "the request is wrong, and the same again will be too"),
    (501, 501, Meaning::Permanent, "the service does not know the method"),
    (503, 503, Meaning::Throttled, "refused for load, or for maintenance, before it was acted on"),
    (505, 505, Meaning::Permanent, "the service does not know the version of HTTP"),
    (500, 999, Meaning::Transient, "the service failed, and may have acted"),
    (0, 999, Meaning::Permanent, "no failure"),
];

/// The input of a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) method: &'a Method,
    pub(crate) class: Priority,
    /// Whether the request carries an idempotency key.
    pub(crate) keyed: bool,
    pub(crate) failure: Failure,
    /// The decision of the caller's function whether the failure may pass, if one is set.
    pub(crate) own: Option<bool>,
    /// The wait that the service asked for.
    pub(crate) hint: Option<Duration>,
    /// The schedule's step; `None` if the schedule has ended.
    pub(crate) step: Option<Duration>,
    /// How much longer to wait for a host that accepts no connection; `None` if retries count instead.
    pub(crate) patience: Option<Duration>,
    /// The retries that are left.
    pub(crate) retries: u32,
    /// The rest of the retry budget.
    pub(crate) budget: u32,
    /// The longest hint that is kept.
    pub(crate) give_up_over: Option<Duration>,
    /// The time to the deadline.
    pub(crate) time: Option<Duration>,
}

/// The action after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Retry {
        after: Duration,
        reason: RetryReason,
        /// The cost to the retry budget.
        cost: u32,
    },
    GiveUp(GiveUp),
}

/// The reason why a failed attempt was the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    Permanent,
    /// The service may have acted, and the method must not be repeated.
    MayHaveActed,
    Attempts,
    /// The host accepted no connection for the whole time that the client waits for it.
    NoConnection,
    ScheduleEnded,
    Budget,
    HintTooLong,
    Deadline,
}

pub(crate) fn decide(case: &Case<'_>) -> Decision {
    // PUT, DELETE and the safe methods (RFC 9110, 9.2.2). A request for a token is a POST that may be repeated without
    // harm.
    let repeatable = case.method.is_idempotent() || case.keyed || case.class == Priority::Token;
    let is_unauthorized = |status| meaning(status) == Meaning::Unauthorized;
    let (reason, needs_repeatable, cost) = match case.failure {
        Failure::Status(status) if is_unauthorized(status) => return Decision::GiveUp(GiveUp::Permanent),
        _ if case.own == Some(false) => return Decision::GiveUp(GiveUp::Permanent),
        Failure::Unsent => (RetryReason::Unsent, false, 0),
        Failure::Lost => (RetryReason::Lost, true, COST_OF_SILENCE),
        Failure::LostWithOthers => (RetryReason::Lost, true, 0),
        Failure::Status(status) => match meaning(status) {
            Meaning::Throttled => (RetryReason::Throttled, false, 0),
            Meaning::Transient => (RetryReason::Transient, true, COST),
            Meaning::Permanent if case.own == Some(true) => (RetryReason::Transient, true, COST),
            Meaning::Unauthorized | Meaning::Permanent => return Decision::GiveUp(GiveUp::Permanent),
        },
    };
    let after = case.hint.max(case.step).unwrap_or_default();
    let waits_for_host = case.patience.filter(|_| case.failure == Failure::Unsent);
    let give_up = match case {
        _ if needs_repeatable && !repeatable => Some(GiveUp::MayHaveActed),
        Case { time: Some(time), .. } if waits_for_host.is_some() && after >= *time => Some(GiveUp::Deadline),
        _ if waits_for_host == Some(Duration::ZERO) => Some(GiveUp::NoConnection),
        _ if waits_for_host.is_some() => None,
        _ if case.retries == 0 => Some(GiveUp::Attempts),
        Case { step: None, .. } => Some(GiveUp::ScheduleEnded),
        Case { hint: Some(hint), give_up_over: Some(most), .. } if hint > most => Some(GiveUp::HintTooLong),
        Case { time: Some(time), .. } if after >= *time => Some(GiveUp::Deadline),
        _ if case.budget < cost => Some(GiveUp::Budget),
        _ => None,
    };
    give_up.map_or(Decision::Retry { after, reason, cost }, Decision::GiveUp)
}

pub(crate) fn meaning(status: StatusCode) -> Meaning {
    let code = status.as_u16();
    let row = STATUSES.iter().find(|(from, to, ..)| (*from..=*to).contains(&code));
    row.map_or(Meaning::Permanent, |(.., meaning, _)| *meaning)
}

impl GiveUp {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Permanent => "the same again will be answered the same",
            Self::MayHaveActed => "not repeated: the service may have acted, and there is no idempotency key",
            Self::Attempts => "no retries are left",
            Self::NoConnection => "the host accepted no connection for as long as the retry policy waits for one",
            Self::ScheduleEnded => "the schedule of the retries has ended",
            Self::Budget => "the retry budget is spent: too many requests fail",
            Self::HintTooLong => "the service asks to wait for longer than the retry policy allows",
            Self::Deadline => "the deadline comes before the next attempt",
        }
    }
}

/// As in the standard mode of the AWS SDKs: a retry costs this many tokens of the budget, and more if the failure was
/// only detected by a timeout. A refusal for load costs nothing, because the throttle handles it. A request that was
/// not sent costs nothing either, because it was no load.
const COST: u32 = 5;
const COST_OF_SILENCE: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn case(method: &Method, failure: Failure) -> Case<'_> {
        Case {
            method,
            class: Priority::Call,
            keyed: false,
            failure,
            own: None,
            hint: None,
            step: Some(Duration::from_secs(1)),
            patience: None,
            retries: 4,
            budget: 500,
            give_up_over: None,
            time: None,
        }
    }

    fn status(code: u16) -> Failure {
        Failure::Status(StatusCode::from_u16(code).unwrap())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn repeats_what_may_pass_and_a_post_only_when_it_is_safe() {
        for (failure, idempotent, post) in [
            (Failure::Unsent, true, true),
            (Failure::Lost, true, false),
            (Failure::LostWithOthers, true, false),
            (status(429), true, true),
            (status(503), true, true),
            (status(408), true, false),
            (status(425), true, false),
            (status(500), true, false),
            (status(502), true, false),
            (status(504), true, false),
            (status(599), true, false),
            (status(501), false, false),
            (status(505), false, false),
            (status(400), false, false),
            (status(401), false, false),
            (status(403), false, false),
            (status(404), false, false),
            (status(405), false, false),
            (status(409), false, false),
            (status(410), false, false),
            (status(422), false, false),
            (status(302), false, false),
        ] {
            let retries = |case: Case<'_>| matches!(decide(&case), Decision::Retry { .. });
            for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
                assert_eq!(retries(case(&method, failure)), idempotent, "{method} {failure:?}");
            }
            for method in [Method::POST, Method::PATCH] {
                assert_eq!(retries(case(&method, failure)), post, "{method} {failure:?}");
                let keyed = Case { keyed: true, ..case(&method, failure) };
                assert_eq!(retries(keyed), idempotent, "{method} with a key {failure:?}");
                let token = Case { class: Priority::Token, ..case(&method, failure) };
                assert_eq!(retries(token), idempotent, "{method} for a token {failure:?}");
                let submit = Case { class: Priority::Submit, ..case(&method, failure) };
                assert_eq!(retries(submit), post, "{method} of a submit {failure:?}");
            }
        }
    }

    #[test]
    fn a_function_of_the_caller_decides_what_may_pass_and_never_what_is_safe() {
        for (failure, own, idempotent, post) in [
            (status(404), true, true, false),
            (status(500), false, false, false),
            (status(429), false, false, false),
            (status(429), true, true, true),
            (status(401), true, false, false),
            (Failure::Lost, true, true, false),
            (Failure::Lost, false, false, false),
            (Failure::Unsent, false, false, false),
            (Failure::Unsent, true, true, true),
        ] {
            for (method, expected) in [(Method::GET, idempotent), (Method::POST, post)] {
                let decision = decide(&Case { own: Some(own), ..case(&method, failure) });
                let retries = matches!(decision, Decision::Retry { .. });
                assert_eq!(retries, expected, "{method} {failure:?} {own}");
                if !own {
                    assert_eq!(decision, Decision::GiveUp(GiveUp::Permanent));
                }
            }
        }
    }

    #[test]
    fn each_bound_ends_it_with_its_own_reason() {
        let get = Method::GET;
        let failed = case(&get, status(500));
        let hint = |seconds| Some(Duration::from_secs(seconds));
        for (case, expected) in [
            (Case { retries: 0, ..failed }, GiveUp::Attempts),
            (Case { step: None, ..failed }, GiveUp::ScheduleEnded),
            (Case { budget: 4, ..failed }, GiveUp::Budget),
            (Case { failure: Failure::Lost, budget: 9, ..failed }, GiveUp::Budget),
            (Case { time: Some(SECOND), ..failed }, GiveUp::Deadline),
            (Case { hint: hint(60), time: hint(60), ..failed }, GiveUp::Deadline),
            (Case { hint: hint(181), give_up_over: hint(180), ..failed }, GiveUp::HintTooLong),
            (Case { failure: status(429), hint: hint(181), give_up_over: hint(180), ..failed }, GiveUp::HintTooLong),
            (Case { failure: Failure::Unsent, patience: Some(Duration::ZERO), ..failed }, GiveUp::NoConnection),
            (Case { failure: Failure::Unsent, patience: hint(9), time: Some(SECOND), ..failed }, GiveUp::Deadline),
            (Case { failure: Failure::Unsent, retries: 0, ..failed }, GiveUp::Attempts),
            (Case { failure: status(500), patience: hint(9), retries: 0, ..failed }, GiveUp::Attempts),
            (Case { failure: status(404), ..failed }, GiveUp::Permanent),
            (Case { method: &Method::POST, failure: Failure::Lost, ..failed }, GiveUp::MayHaveActed),
        ] {
            assert_eq!(decide(&case), Decision::GiveUp(expected), "{case:?}");
        }
    }

    #[test]
    fn pauses_as_long_as_the_longer_of_hint_and_schedule_and_charges_what_it_costs() {
        let get = Method::GET;
        let hint = |seconds| Some(Duration::from_secs(seconds));
        for (failure, hint, after, reason, cost) in [
            (status(429), hint(60), 60, RetryReason::Throttled, 0),
            (status(503), None, 1, RetryReason::Throttled, 0),
            (status(500), hint(0), 1, RetryReason::Transient, 5),
            (Failure::Unsent, None, 1, RetryReason::Unsent, 0),
            (Failure::Lost, None, 1, RetryReason::Lost, 10),
            (Failure::LostWithOthers, None, 1, RetryReason::Lost, 0),
        ] {
            let case = Case {
                hint,
                give_up_over: Some(60 * SECOND),
                time: Some(61 * SECOND),
                budget: cost,
                ..case(&get, failure)
            };
            assert_eq!(decide(&case), Decision::Retry { after: Duration::from_secs(after), reason, cost }, "{case:?}");
        }
    }

    #[test]
    fn a_host_without_connections_is_waited_for_whatever_is_left_of_retries_schedule_and_budget() {
        let waits = Case { patience: Some(SECOND), ..case(&Method::POST, Failure::Unsent) };
        for case in
            [waits, Case { retries: 0, ..waits }, Case { budget: 0, ..waits }, Case { time: Some(2 * SECOND), ..waits }]
        {
            let expected = Decision::Retry { after: SECOND, reason: RetryReason::Unsent, cost: 0 };
            assert_eq!(decide(&case), expected, "{case:?}");
        }
    }

    #[test]
    fn the_protocol_and_the_downloads_take_the_same_statuses_for_passing() {
        for code in 100..1000 {
            let meaning = meaning(StatusCode::from_u16(code).unwrap());
            let passes = matches!(meaning, Meaning::Throttled | Meaning::Transient);
            assert_eq!(passes, crate::message::is_transient(code), "{code}");
        }
    }

    #[test]
    fn the_documents_have_each_row() {
        let text = include_str!("../../docs/retries.md").replace('\n', " ");
        for (.., why) in STATUSES.iter().filter(|(.., why)| *why != "no failure") {
            assert!(text.contains(why), "docs/retries.md lacks: {why}");
        }
    }
}
