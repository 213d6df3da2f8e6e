//! Properties: invariants of every response.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httpdate::fmt_http_date;
use proptest::prelude::*;

use super::names::may_speak;
use super::{HintFact, HintRule, Hints, Unit};
use crate::message::Reply;
use crate::pointer::Source;

/// Names of every dialect that is read.
const NAMES: [&str; 51] = [
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-retry-after",
    "x-rate-limit-retry-after-seconds",
    "x-ms-retry-after-ms",
    "x-amz-retry-after",
    "date",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-used",
    "x-ratelimit-reset",
    "x-ratelimit-reset-after",
    "x-ratelimit-resource",
    "x-ratelimit-bucket",
    "x-ratelimit-next",
    "x-ratelimit-expires",
    "x-ratelimit-firstcall",
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "x-ratelimit-limit-second",
    "x-ratelimit-remaining-second",
    "x-ratelimit-limit-minute",
    "x-ratelimit-remaining-minute",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "inin-ratelimit-count",
    "inin-ratelimit-allowed",
    "inin-ratelimit-reset",
    "sforce-limit-info",
    "x-shopify-shop-api-call-limit",
    "x-gorgias-account-api-call-limit",
    "x-hubspot-ratelimit-daily",
    "x-hubspot-ratelimit-daily-remaining",
    "x-hubspot-ratelimit-interval-milliseconds",
    "x-hubspot-ratelimit-max",
    "x-hubspot-ratelimit-remaining",
    "x-ms-ratelimit-remaining-resource",
    "x-ms-ratelimit-remaining-subscription-reads",
    "akamai-sync-costratelimit-remaining",
    "akamai-sync-ratelimit-next",
    "anthropic-ratelimit-tokens-reset",
];

const UNITS: [Unit; 9] = [
    Unit::Seconds,
    Unit::Milliseconds,
    Unit::EpochSeconds,
    Unit::EpochMilliseconds,
    Unit::HttpDate,
    Unit::Rfc3339,
    Unit::MonthDayYear,
    Unit::Duration,
    Unit::Text,
];

const FACTS: [HintFact; 6] =
    [HintFact::Delay, HintFact::Limit, HintFact::Remaining, HintFact::Used, HintFact::Reset, HintFact::Window];

const DAY: u64 = 86_400;

/// Bytes, texts, and values that resemble the forms of services.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let small = (0..200_u32).prop_map(|number| number.to_string());
    let number = any::<u64>().prop_map(|number| number.to_string());
    let seconds = (0..4_000_000_000_u64).prop_map(|number| format!("{number}.25"));
    let date = (0..8_000_000_000_u64).prop_map(|seconds| fmt_http_date(at(seconds)));
    let near = prop_oneof![
        small,
        number,
        seconds,
        date,
        "[0-9]{1,3}/[0-9]{1,3}|[0-9]{1,4}/(second|day|[0-9]?s)",
        "-?[0-9]{1,6}(\\.[0-9]{1,12})?|NaN|inf|1e[0-9]{1,3}",
        "([0-9]{1,3}[hms]){1,3}|[0-9]{1,9}ms|P([0-9]{1,4}[DW])?T?([0-9]{1,4}[HMS]){0,3}",
        "(in |wait |-)?([0-9]{1,3}(,[0-9]{3})?(\\.[0-9])? ?(s|sec|minutes?|hours|days|heures)(, | and | |/)?){1,3}",
        "[\"']?([0-9]{1,9}[;,] ?){1,3}[\"']?",
        "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](Z|[+-][0-9]{2}:00)",
        "[01][0-9]/[0-3][0-9]/[0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9]",
        "(\"?[ab]\"?(;[rtqw]u?=-?[0-9\"a]{1,4}){0,4},? ?){1,4}",
        "((limit|remaining|reset)=[0-9]{1,3},? ?){1,3}",
        "([0-9]{1,4}(;w=[0-9]{1,4})?,? ?){1,4}",
        "([a-z]{1,2}[;=][0-9]{1,3}(/[0-9]{1,3})?[,;]? ?){1,4}",
    ];
    prop_oneof![
        6 => near.prop_map(String::into_bytes),
        1 => "[ -~]{0,60}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn headers(pairs: &[(usize, Vec<u8>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(NAMES[*name]), value);
        }
    }
    headers
}

fn check(hints: &Hints) {
    assert!(hints.delay().is_none_or(|delay| delay <= Duration::from_secs(400 * DAY)));
    let furthest = Duration::from_secs(400 * DAY);
    for budget in hints.budgets() {
        assert!(budget.limit().or(budget.remaining()).is_some() || budget.reset().is_some());
        assert!(budget.remaining().zip(budget.limit()).is_none_or(|(remaining, limit)| remaining <= limit));
        assert!(budget.reset().is_none_or(|reset| reset <= furthest));
        assert!(budget.window().is_none_or(|window| !window.is_zero() && window <= furthest));
    }
    assert!(hints.budgets().len() <= 32 && hints.ignored().len() <= 8);
    assert!(hints.ignored().iter().all(|text| text.chars().count() <= 120), "{:?}", hints.ignored());
}

fn read_one(pairs: &[(&'static str, String)], now: u64) -> Hints {
    let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    let hints = Hints::from_headers(&pairs.collect(), at(now));
    assert_eq!((hints.budgets().len(), hints.ignored()), (1, &[][..]));
    hints
}

#[test]
fn the_look_at_the_names_passes_over_no_dialect() {
    for name in NAMES.iter().filter(|name| **name != "date") {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("1"))]);
        assert!(may_speak(&headers), "{name}");
    }
    let plain = ["date", "content-type", "server", "etag", "location", "x-request-id", "link"];
    let plain = plain.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")));
    assert!(!may_speak(&HeaderMap::from_iter(plain)));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("LONGHAUL_LONG").is_some() { 200_000 } else { 2000 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_headers_break_the_bounds(
        pairs in prop::collection::vec((0..NAMES.len(), any_value()), 0..12),
        now in 0..8_000_000_000_u64,
    ) {
        let headers = headers(&pairs);
        let hints = Hints::from_headers(&headers, at(now));
        check(&hints);
        prop_assert_eq!(hints.delay(), super::from_answer(StatusCode::OK, &headers, at(now), |_| false).delay);
        let reply = Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), headers, "");
        prop_assert_eq!(Hints::from_reply(&reply, &[], at(now)), hints);
    }

    /// Words that the dialects consist of, and any others.
    #[test]
    fn no_name_that_is_read_is_passed_over(
        words in prop::collection::vec("[a-z]{1,6}|x|ms|inin|hubspot|sforce|info|api|call|usage|retry|after|at|rate|limit|\
                                        ratelimit|remaining|used|reset|next|expires|policy|max|count|daily|second", 1..6),
        joint in "-?",
        value in any_value(),
        now in 0..8_000_000_000_u64,
    ) {
        let name = HeaderName::from_bytes(words.join(&joint).as_bytes()).unwrap();
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let headers = HeaderMap::from_iter([(name, value)]);
        let read = Hints::of_headers(&headers, at(now));
        prop_assert!(may_speak(&headers) || read == Hints::default(), "{:?}: {:?}", headers, read);
        prop_assert_eq!(Hints::from_headers(&headers, at(now)), read);
    }

    #[test]
    fn no_rules_break_the_bounds(
        pairs in prop::collection::vec((0..NAMES.len(), any_value()), 0..6),
        values in prop::collection::vec(any_value(), 0..6),
        rules in prop::collection::vec((0..12_usize, 0..FACTS.len(), 0..UNITS.len(), 0..3_usize), 0..8),
        now in 0..8_000_000_000_u64,
    ) {
        let members = values.iter().enumerate().map(|(index, value)| {
            let text = String::from_utf8_lossy(value);
            let value = serde_json::from_str(&text).unwrap_or_else(|_| serde_json::Value::from(text));
            (index.to_string(), value)
        });
        let body = serde_json::Value::Object(members.collect());
        let rules: Vec<HintRule> = rules
            .into_iter()
            .map(|(place, fact, unit, budget)| {
                let place = match place {
                    0..6 => Source::pointer(&format!("/{place}")),
                    _ => Source::header(NAMES[place]),
                };
                let rule = HintRule::new(place, FACTS[fact]).unit(UNITS[unit]);
                if budget == 0 { rule } else { rule.budget(["tokens", "a"][budget - 1]) }
            })
            .collect();
        let url = "https://a.example".parse().unwrap();
        let reply = Reply::new(StatusCode::OK, url, headers(&pairs), body.to_string());
        check(&Hints::from_reply(&reply, &rules, at(now)));
        let text = serde_json::to_string(&rules).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<HintRule>>(&text).unwrap(), rules);
    }

    /// In every dialect that can express it.
    #[test]
    fn a_well_formed_budget_comes_back_as_it_was_written(
        (limit, remaining) in any::<u64>().prop_flat_map(|limit| (Just(limit), 0..=limit)),
        reset in 0..=DAY,
        now in 0..8_000_000_000_u64,
    ) {
        let (l, r, t, used) = (limit.to_string(), remaining.to_string(), reset.to_string(), limit - remaining);
        let duration = format!("{}h{}m{}s", reset / 3600, reset / 60 % 60, reset % 60);
        for (pairs, name) in [
            (vec![("x-ratelimit-limit", &l), ("x-ratelimit-remaining", &r), ("x-ratelimit-reset", &t)], None),
            (vec![("x-rate-limit-remaining", &r), ("x-rate-limit-limit", &l), ("x-rate-limit-reset", &t)], None),
            (vec![("ratelimit-reset", &t), ("ratelimit-limit", &l), ("ratelimit-remaining", &r)], None),
            (vec![
                ("x-ratelimit-limit-requests", &l),
                ("x-ratelimit-remaining-requests", &r),
                ("x-ratelimit-reset-requests", &duration),
            ], Some("requests")),
            (vec![
                ("inin-ratelimit-count", &used.to_string()),
                ("inin-ratelimit-allowed", &l),
                ("inin-ratelimit-reset", &t),
            ], None),
            (vec![("x-shopify-shop-api-call-limit", &format!("{used}/{l}"))], None),
        ] {
            let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name, value.clone())).collect();
            let hints = read_one(&pairs, now);
            let budget = &hints.budgets()[0];
            prop_assert_eq!((budget.name(), budget.counts_requests()), (name, true), "{:?}", pairs);
            prop_assert_eq!((budget.limit(), budget.remaining()), (Some(limit), Some(remaining)), "{:?}", pairs);
            let stated = (pairs.len() > 1).then(|| Duration::from_secs(reset));
            prop_assert_eq!(budget.reset(), stated, "{:?}", pairs);
        }
    }

    /// Structured integers have 15 digits.
    #[test]
    fn a_policy_and_its_item_come_back_as_they_were_written(
        name in "[ -~]{0,20}",
        (limit, remaining) in (0..1_000_000_000_000_000_u64).prop_flat_map(|limit| (Just(limit), 0..=limit)),
        window in 1..=400 * DAY,
        reset in 0..=400 * DAY,
    ) {
        let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let hints = read_one(&[
            ("ratelimit", format!("{quoted};r={remaining};t={reset}")),
            ("ratelimit-policy", format!("{quoted};w={window};q={limit};qu=\"requests\"")),
        ], 0);
        let budget = &hints.budgets()[0];
        prop_assert_eq!((budget.name(), budget.counts_requests()), (Some(&*name), true));
        prop_assert_eq!((budget.limit(), budget.remaining()), (Some(limit), Some(remaining)));
        prop_assert_eq!(budget.window(), Some(Duration::from_secs(window)));
        prop_assert_eq!(budget.reset(), Some(Duration::from_secs(reset)));
    }

    /// In every form that can express it, in every header, and beside any shorter wait.
    #[test]
    fn a_wait_is_never_undercut(
        wait in 0..=400 * DAY,
        shorter in 0.0..=1.0,
        (name, other) in (0..4_usize, 0..4_usize),
        junk in "[a-z/]{0,12}",
        // The furthest reset stays in the years that an HTTP date can write.
        now in 1_000_000_000..7_000_000_000_u64,
    ) {
        const NAMES: [&str; 4] =
            ["retry-after", "x-ratelimit-retry-after", "x-rate-limit-retry-after-seconds", "x-retry-after"];
        let asked = Duration::from_secs(wait);
        let (h, m, s) = (wait / 3600, wait / 60 % 60, wait % 60);
        let moment = jiff::Timestamp::from_second(i64::try_from(now + wait).unwrap()).unwrap();
        for text in [
            wait.to_string(),
            format!("{wait}s"),
            format!("{h}h{m}m{s}s"),
            format!("PT{h}H{m}M{s}S"),
            format!("{wait} seconds"),
            format!("Please try again in {h} hours, {m} minutes and {s} seconds."),
            format!("\"{wait}\";"),
            format!("{wait}, 0"),
            format!("0,{wait}"),
            fmt_http_date(at(now + wait)),
            moment.to_string(),
            moment.to_string().trim_end_matches('Z').to_owned(),
        ] {
            let mut headers = HeaderMap::new();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let less = (wait as f64 * shorter) as u64;
            headers.append(NAMES[other], HeaderValue::from_str(&less.min(wait).to_string()).unwrap());
            headers.append(NAMES[name], HeaderValue::from_str(&text).unwrap());
            headers.append(NAMES[other], HeaderValue::from_str(&junk).unwrap());
            prop_assert_eq!(Hints::from_headers(&headers, at(now)).delay(), Some(asked), "{}", text);
        }
    }

    /// Whatever our own clock shows.
    #[test]
    fn a_moment_is_as_far_off_as_the_answers_date_says(
        date in 1_000_000_000..7_000_000_000_u64,
        ahead in 0..=400 * DAY,
        now in 0..8_000_000_000_u64,
    ) {
        let moment = date + ahead;
        let rfc3339 = jiff::Timestamp::from_second(i64::try_from(moment).unwrap()).unwrap().to_string();
        for text in [moment.to_string(), (moment * 1000).to_string(), rfc3339, fmt_http_date(at(moment))] {
            let hints = read_one(&[("date", fmt_http_date(at(date))), ("x-ratelimit-reset", text.clone())], now);
            prop_assert_eq!(hints.budgets()[0].reset(), Some(Duration::from_secs(ahead)), "{}", text);
        }
    }
}
