//! Hints of arbitrary headers and bodies: no panic, nothing beyond its bounds, no long text in what was ignored.
//!
//! `cargo fuzz run hint` (needs a nightly toolchain, or RUSTC_BOOTSTRAP=1).
#![no_main]

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use longhaul::http::Reply;
use longhaul::limits::{HintFact, HintRule, Hints, Unit};
use longhaul::protocols::Source;

const NAMES: [&str; 40] = [
    "retry-after",
    "x-ratelimit-retry-after",
    "x-rate-limit-retry-after-seconds",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "x-amz-retry-after",
    "date",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-used",
    "x-ratelimit-reset",
    "x-ratelimit-reset-after",
    "x-ratelimit-bucket",
    "x-ratelimit-next",
    "x-ratelimit-expires",
    "x-ratelimit-firstcall",
    "x-rate-limit-reset",
    "x-ratelimit-limit-minute",
    "x-ratelimit-remaining-minute",
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
    "x-hubspot-ratelimit-daily",
    "x-hubspot-ratelimit-daily-remaining",
    "x-hubspot-ratelimit-interval-milliseconds",
    "x-hubspot-ratelimit-max",
    "x-hubspot-ratelimit-remaining",
    "x-ms-ratelimit-remaining-resource",
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

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

// Four bytes of our clock. Then lines of headers: a byte for the name, or 0x7E and a name of the line's own up to a `:`.
// An empty line. Then the rules, three bytes each, up to a byte 0x7F, and the text that stands in the body.
fuzz_target!(|data: &[u8]| {
    let Some((clock, mut rest)) = data.split_first_chunk::<4>() else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::from_le_bytes(*clock)));
    let mut headers = HeaderMap::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end);
        rest = &after[1..];
        let Some((first, mut value)) = line.split_first() else { break };
        let mut name = Ok(HeaderName::from_static(NAMES[usize::from(*first) % NAMES.len()]));
        if let (0x7E, Some(colon)) = (*first, value.iter().position(|byte| *byte == b':')) {
            name = HeaderName::from_bytes(&[b"x-ratelimit-", &value[..colon]].concat());
            value = &value[colon + 1..];
        }
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let of_headers = Hints::from_headers(&headers, now);
    check(&of_headers);

    let (bytes, text) = match rest.iter().position(|byte| *byte == 0x7F) {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (rest, &rest[..0]),
    };
    let rules: Vec<HintRule> = bytes.chunks_exact(3).map(rule).collect();
    let text = String::from_utf8_lossy(text);
    let body = serde_json::json!({ "text": text, "number": text.parse::<f64>().unwrap_or(7.0) });
    let reply = Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), headers, body.to_string());
    assert_eq!(Hints::from_reply(&reply, &[], now), of_headers);
    check(&Hints::from_reply(&reply, &rules, now));
    let written = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<Vec<HintRule>>(&written).unwrap(), rules);
});

fn rule(bytes: &[u8]) -> HintRule {
    let [place, fact, unit] = [0, 1, 2].map(|at| usize::from(bytes[at]));
    let place = match place % 4 {
        0 => Source::pointer("/text"),
        1 => Source::pointer("/number"),
        _ => Source::header(NAMES[place % NAMES.len()]),
    };
    let rule = HintRule::new(place, FACTS[fact % FACTS.len()]).unit(UNITS[unit % UNITS.len()]);
    if unit < 128 { rule } else { rule.budget("tokens") }
}

fn check(hints: &Hints) {
    assert!(hints.delay().is_none_or(|delay| delay <= 400 * DAY));
    for budget in hints.budgets() {
        assert!(budget.remaining().zip(budget.limit()).is_none_or(|(remaining, limit)| remaining <= limit));
        assert!(budget.reset().is_none_or(|reset| reset <= 400 * DAY));
        assert!(budget.window().is_none_or(|window| !window.is_zero() && window <= 400 * DAY));
    }
    assert!(hints.budgets().len() <= 32 && hints.ignored().len() <= 8);
    assert!(hints.ignored().iter().all(|text| text.chars().count() <= 120));
    let _ = format!("{hints:?}");
}
