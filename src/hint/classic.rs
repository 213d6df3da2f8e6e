//! Classic: the headers with `ratelimit-` or `rate-limit-` in their names, of any service.

use super::date::Time;
use super::field::{Fact, Field};
use super::ledger::{self, Ledger};
use super::unit::Unit;
use super::{ietf, number, reset, sitecore, span, vendor};

/// Reads one header; none if its value is malformed.
pub(super) fn read<'a>(header: &'a str, text: &'a str, ledger: &mut Ledger<'a>) -> Option<()> {
    let Some(Field { source, name, fact }) = Field::of(header) else { return Some(()) };
    match fact {
        Fact::Limit => return limit(source, name, text, ledger),
        Fact::Remainings => return vendor::remainings(source, text, ledger),
        Fact::Remaining => {
            let remaining = number::count(text)?;
            let draft = ledger.draft(source, name)?;
            draft.remaining = draft.remaining.or(Some(remaining));
        }
        Fact::Used => {
            let used = number::count_up(text)?;
            let draft = ledger.draft(source, name)?;
            draft.used = draft.used.or(Some(used));
        }
        Fact::Reset => {
            // The IETF defines the unit of `RateLimit-Reset`; other services define their own.
            let time = if source.is_empty() { reset::in_seconds(text) } else { reset::read(text) };
            let reset = ledger.reset(time?)?;
            let draft = ledger.draft(source, name)?;
            draft.reset = draft.reset.or(Some(reset));
        }
        Fact::ResetAfter => {
            let reset = ledger.reset(Unit::Seconds.read(text)?)?;
            ledger.draft(source, name)?.reset = Some(reset);
        }
        Fact::Expires => {
            let since = ledger.since();
            let reset = ledger.reset(Time::In(sitecore::reset(since)?))?;
            let draft = ledger.draft(source, name)?;
            draft.reset = draft.reset.or(Some(reset));
            draft.window = draft.window.or(sitecore::window(since).and_then(ledger::window));
        }
        // This header is read together with the end of the window.
        Fact::FirstCall => drop(Unit::MonthDayYear.read(text)?),
        Fact::WindowMillis => {
            let length = ledger::window(number::decimal(text, 1)?)?;
            let draft = ledger.draft(source, name)?;
            draft.window = draft.window.or(Some(length));
        }
        Fact::Label if text.is_empty() => return None,
        Fact::Label => ledger.draft(source, None)?.label = Some(text),
    }
    Some(())
}

/// `100`, `50/second`, or a limit followed by policies.
fn limit<'a>(source: &'a str, name: Option<&'a str>, text: &'a str, ledger: &mut Ledger<'a>) -> Option<()> {
    let (count, window) = match (number::count(text), text.split_once('/')) {
        (Some(count), _) => (count, None),
        (None, Some((count, per))) => (number::count(count.trim())?, Some(ledger::window(span::per(per.trim())?)?)),
        (None, None) => return ietf::limits(source, name, text, ledger),
    };
    let draft = ledger.draft(source, name)?;
    draft.limit = draft.limit.or(Some(count));
    draft.window = draft.window.or(window);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::hints::tests::{budgets, ignored};

    #[test]
    fn reads_every_dialect_of_the_classic_headers() {
        type Pairs = [(&'static str, &'static str)];
        let cases: &[(&Pairs, &[&str])] = &[
            // GitHub
            (
                &[
                    ("date", "Wed, 10 Jul 2024 14:00:00 GMT"),
                    ("x-ratelimit-limit", "5000"),
                    ("x-ratelimit-remaining", "4999"),
                    ("x-ratelimit-reset", "1720623600"),
                    ("x-ratelimit-used", "1"),
                    ("x-ratelimit-resource", "core"),
                ],
                &["core 4999/5000 in ? reset 3600s"],
            ),
            (
                &[("x-ratelimit-resource", "graphql"), ("x-ratelimit-remaining", "9")],
                &["graphql 9/? in ? reset ? of others"],
            ),
            // X
            (
                &[("x-rate-limit-limit", "15"), ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1720620825")],
                &["- 0/15 in ? reset 60s"],
            ),
            // GoodData, prisjakt, and in milliseconds since 1970
            (&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "30")], &["- 3/? in ? reset 30s"]),
            (&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "600000")], &["- 3/? in ? reset 600s"]),
            (&[("x-ratelimit-reset", "1720620825000")], &["- ?/? in ? reset 60s"]),
            // Acquia, Helix ALM
            (
                &[("x-ratelimit-limit", "50/second"), ("x-ratelimit-reset", "2024-07-10T14:12:46Z")],
                &["- ?/50 in 1s reset 1s"],
            ),
            (&[("x-ratelimit-reset", "Wed, 10 Jul 2024 14:13:45 GMT")], &["- ?/? in ? reset 60s"]),
            // Discord
            (
                &[
                    ("x-ratelimit-limit", "5"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1720620800.123"),
                    ("x-ratelimit-reset-after", "64.57"),
                    ("x-ratelimit-bucket", "abcd1234"),
                    ("x-ratelimit-scope", "user"),
                ],
                &["abcd1234 0/5 in ? reset 64.57s"],
            ),
            (&[("x-ratelimit-reset-after", "1"), ("x-ratelimit-reset", "1720620800")], &["- ?/? in ? reset 1s"]),
            // Kong
            (
                &[
                    ("x-ratelimit-limit-second", "5"),
                    ("x-ratelimit-limit-hour", "1000"),
                    ("x-ratelimit-remaining-hour", "990"),
                    ("x-ratelimit-remaining-second", "4"),
                    ("x-ratelimit-limit-month", "9000"),
                    ("x-ratelimit-limit-videos-minute", "7"),
                    ("ratelimit-limit", "5"),
                    ("ratelimit-reset", "1"),
                ],
                &[
                    "second 4/5 in 1s reset ?",
                    "hour 990/1000 in 3600s reset ?",
                    "month ?/9000 in ? reset ?",
                    "videos-minute ?/7 in 60s reset ?",
                    "- ?/5 in ? reset 1s",
                ],
            ),
            // OpenAI
            (
                &[
                    ("x-ratelimit-limit-requests", "60"),
                    ("x-ratelimit-remaining-requests", "59"),
                    ("x-ratelimit-reset-requests", "1s"),
                    ("x-ratelimit-limit-tokens", "150000"),
                    ("x-ratelimit-remaining-tokens", "149984"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                ],
                &["requests 59/60 in ? reset 1s", "tokens 149984/150000 in ? reset 360s of others"],
            ),
            (&[("x-ratelimit-reset-requests", "12ms")], &["requests ?/? in ? reset 12ms"]),
            // Anthropic
            (
                &[
                    ("anthropic-ratelimit-input-tokens-limit", "40000"),
                    ("anthropic-ratelimit-input-tokens-remaining", "39000"),
                    ("anthropic-ratelimit-input-tokens-reset", "2024-07-10T14:12:50Z"),
                ],
                &["input-tokens 39000/40000 in ? reset 5s of others"],
            ),
            // Akamai
            (
                &[
                    ("x-ratelimit-limit", "60"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-next", "2024-07-10T14:12:45.500Z"),
                ],
                &["- 0/60 in ? reset 500ms"],
            ),
            (
                &[
                    ("akamai-sync-ratelimit-remaining", "0"),
                    ("akamai-sync-ratelimit-next", "2024-07-10T14:12:50+00:00"),
                ],
                &["- 0/? in ? reset 5s"],
            ),
            (&[("akamai-sync-costratelimit-remaining", "0")], &["- 0/? in ? reset ? of others"]),
            // The earlier drafts of the IETF
            (
                &[
                    ("ratelimit-limit", "100, 100;w=60, 1000;w=3600"),
                    ("ratelimit-remaining", "50"),
                    ("ratelimit-reset", "30"),
                ],
                &["- 50/100 in 60s reset 30s", "- ?/1000 in 3600s reset ?"],
            ),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "864000")], &["- 0/? in ? reset 864000s"]),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "1720620825")], &["- 0/? in ? reset 60s"]),
            (&[("x-ratelimit-limit", "100, 100;w=60")], &["- ?/100 in 60s reset ?"]),
            (&[("x-ratelimit-limit", "100/10s")], &["- ?/100 in 10s reset ?"]),
            // Reddit
            (&[("x-ratelimit-remaining", "598.0"), ("x-ratelimit-used", "2")], &["- 598/? in ? reset ?"]),
            (
                &[("x-ratelimit-limit", "18446744073709551615"), ("x-ratelimit-remaining", "0")],
                &["- 0/18446744073709551615 in ? reset ?"],
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(budgets(pairs), *expected, "{pairs:?}");
            assert!(ignored(pairs).is_empty(), "{pairs:?}");
        }
    }

    #[test]
    fn ignores_and_reports_what_makes_no_sense() {
        for pair in [
            ("x-ratelimit-limit", "-1"),
            ("x-ratelimit-limit", "NaN"),
            ("x-ratelimit-limit", "unlimited"),
            ("x-ratelimit-limit", "18446744073709551616"),
            ("x-ratelimit-limit", "50/fortnight"),
            ("x-ratelimit-limit", "50/0s"),
            ("x-ratelimit-limit", "50/"),
            ("x-ratelimit-limit", "/second"),
            ("x-ratelimit-limit", "10/40"),
            ("x-ratelimit-remaining", "-1"),
            ("x-ratelimit-remaining", "1e3"),
            ("x-ratelimit-used", "some"),
            ("x-ratelimit-reset", "-5"),
            ("x-ratelimit-reset", "soon"),
            // In the past, and more than 400 days away.
            ("x-ratelimit-reset", "1720620764"),
            ("x-ratelimit-reset", "2024-07-10T14:12:44Z"),
            ("x-ratelimit-reset", "1755353566"),
            ("x-ratelimit-reset", "9601h"),
            ("x-ratelimit-reset", "18446744073709551615"),
            ("x-ratelimit-reset-after", "99999999999"),
            ("x-ratelimit-reset-after", "1720620825"),
            ("x-ratelimit-next", "tomorrow"),
            ("x-ratelimit-expires", "07/10/2024 14:12:44"),
            ("x-ratelimit-expires", "07/10/2034 14:12:52"),
            ("x-ratelimit-firstcall", "2024-07-10"),
        ] {
            assert_eq!(budgets(&[pair]), [""; 0], "{pair:?}");
            assert_eq!(ignored(&[pair]), [format!("ignored {}: `{}`", pair.0, pair.1)]);
        }
        assert_eq!(budgets(&[("x-ratelimit-reset", "1720620765")]), ["- ?/? in ? reset 0ns"]);
        assert_eq!(budgets(&[("x-ratelimit-reset", "1755180765")]), ["- ?/? in ? reset 34560000s"]);
    }
}
