//! Rule: a place at which a service states a wait or a budget in its own way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ignored::ignored;
use super::ledger::{self, Ledger};
use super::unit::Unit;
use super::{number, retry_after};
use crate::message::Reply;
use crate::pointer::{self, Source};

/// A place at which a service states a wait or a budget in its own way: the place in its responses, the fact at that
/// place, and its unit.
///
/// A rule is data, as a profile is:
///
/// ```
/// use longhaul::limits::{HintFact, HintRule, Unit};
/// use longhaul::protocols::Source;
///
/// let rule: HintRule = serde_json::from_str(r#"{ "at": "/message", "fact": "delay", "unit": "text" }"#)?;
/// assert_eq!(rule, HintRule::new(Source::pointer("/message"), HintFact::Delay).unit(Unit::Text));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// The value of a rule takes precedence over the values that [`Hints::from_headers`](crate::limits::Hints::from_headers) finds in headers,
/// and an earlier rule over a later one. Of delays the longest counts, wherever it is. A header that a rule names is
/// read by that rule alone, which settles the unit of a `Reset`, or of a `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HintRule {
    at: Source,
    fact: HintFact,
    #[serde(default, skip_serializing_if = "Unit::is_seconds")]
    unit: Unit,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<String>,
}

/// The fact that a value states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HintFact {
    /// How long to wait, or until when: at most 400 days. If a value in seconds or milliseconds states another unit
    /// (`30s`, `PT3S`, a date), that unit applies.
    Delay,
    /// How much a budget grants.
    Limit,
    /// How much of a budget is left.
    Remaining,
    /// How much of a budget was used.
    Used,
    /// The time until a budget is full again, or the moment.
    Reset,
    /// The length of a budget's window.
    Window,
}

impl HintRule {
    /// Creates a rule for a fact in seconds, or a count, of the budget without a name.
    #[must_use]
    pub const fn new(at: Source, fact: HintFact) -> Self {
        Self { at, fact, unit: Unit::Seconds, budget: None }
    }

    /// Sets the unit of a delay, a reset or a window. Counts have no unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Sets the budget that the fact belongs to. A budget whose name contains a word such as `points`, `tokens` or
    /// `bytes` does not count requests.
    #[must_use]
    pub fn budget(mut self, name: impl Into<String>) -> Self {
        self.budget = Some(name.into());
        self
    }

    pub(crate) const fn is_of_the_body(&self) -> bool {
        !self.at.is_header()
    }

    pub(super) fn is_of_header(&self, name: &str) -> bool {
        self.at.header_name() == Some(name)
    }

    /// Reads the fact, if it is present, and overwrites the value in the ledger.
    pub(super) fn read<'a>(&'a self, reply: &Reply, body: Option<&Value>, ledger: &mut Ledger<'a>) {
        let Some(value) = self.at.value(reply, body) else { return };
        let text = pointer::text(&value).unwrap_or_else(|| value.to_string());
        if self.put(&text, ledger).is_none() {
            ledger.ignore(ignored(&self.at.to_string(), &text));
        }
    }

    fn put<'a>(&'a self, text: &str, ledger: &mut Ledger<'a>) -> Option<()> {
        let name = self.budget.as_deref();
        match self.fact {
            HintFact::Delay => {
                let delay = retry_after::delay(text, self.unit, ledger.since())?;
                ledger.delay = ledger.delay.max(Some(delay));
            }
            HintFact::Limit => {
                let limit = number::count(text)?;
                ledger.draft_named(name)?.limit = Some(limit);
            }
            HintFact::Remaining => {
                let remaining = number::count(text)?;
                ledger.draft_named(name)?.remaining = Some(remaining);
            }
            HintFact::Used => {
                let used = number::count_up(text)?;
                let draft = ledger.draft_named(name)?;
                (draft.used, draft.remaining) = (Some(used), None);
            }
            HintFact::Reset => {
                let reset = ledger.reset(self.unit.read(text)?)?;
                ledger.draft_named(name)?.reset = Some(reset);
            }
            HintFact::Window => {
                let window = ledger::window(self.unit.read(text)?.length()?)?;
                ledger.draft_named(name)?.window = Some(window);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use serde_json::json;

    use super::super::Hints;
    use super::super::hints::tests::{headers, now, shown};
    use super::*;

    type Pairs = [(&'static str, &'static str)];

    fn rules(rules: Value) -> Vec<HintRule> {
        serde_json::from_value(rules).unwrap()
    }

    fn read(pairs: &Pairs, body: &Value, rules: &[HintRule]) -> Hints {
        let url = "https://a.example".parse().unwrap();
        let reply = Reply::new(StatusCode::TOO_MANY_REQUESTS, url, headers(pairs), body.to_string());
        Hints::from_reply(&reply, rules, now())
    }

    #[test]
    fn reads_a_delay_in_a_body() {
        for (rule, body, millis) in [
            (json!({"at": "/error/retry_after"}), json!({"error": {"reason": {}, "retry_after": 300}}), 300_000),
            (json!({"at": "/retry_after"}), json!({"message": "slow", "retry_after": 64.57, "global": false}), 64_570),
            (json!({"at": "/RetryAfter", "unit": "milliseconds"}), json!({"RetryAfter": 1500}), 1_500),
            (
                json!({"at": "/message", "unit": "text"}),
                json!({"message": "Rate limit exceeded the maximum. Retry the request in [42] seconds", "status": 429}),
                42_000,
            ),
            (
                json!({"at": "/message", "unit": "text"}),
                json!({"statusCode": 429, "message": "Rate limit is exceeded. Try again in 60 seconds."}),
                60_000,
            ),
            (
                json!({"at": "/message", "unit": "text"}),
                json!({"message": "Rate limit reached. Please try again in 7h41m36s."}),
                27_696_000,
            ),
            (json!({"at": "/wait"}), json!({"wait": 864_000}), 864_000_000),
            (json!({"at": "/wait"}), json!({"wait": "PT3S"}), 3_000),
            (json!({"at": "/0/until", "unit": "rfc3339"}), json!([{"until": "2024-07-10T14:12:47Z"}]), 2_000),
            (json!({"at": "/until", "unit": "month_day_year"}), json!({"until": "07/10/2024 14:12:47"}), 2_000),
        ] {
            let mut rule = rule;
            rule["fact"] = json!("delay");
            let hints = read(&[("retry-after", "1")], &body, &rules(json!([rule])));
            assert_eq!(hints.delay(), Some(Duration::from_millis(millis)), "{body}");
            assert_eq!(hints.ignored(), [""; 0], "{body}");
            let longer = read(&[("retry-after", "90000")], &body, &rules(json!([rule])));
            assert_eq!(longer.delay(), Some(Duration::from_secs(90_000).max(Duration::from_millis(millis))), "{body}");
            let absent = read(&[("retry-after", "7")], &json!({}), &rules(json!([rule])));
            assert_eq!((absent.delay(), absent.ignored().len()), (Some(Duration::from_secs(7)), 0));
        }
    }

    #[test]
    fn reads_a_budget_of_points_in_a_body() {
        let status = json!({"maximumAvailable": 1000.0, "currentlyAvailable": 954, "restoreRate": 50.0});
        let body = json!({"data": {}, "extensions": {"cost": {"throttleStatus": status}}});
        let at = |member: &str| Source::pointer(&format!("/extensions/cost/throttleStatus/{member}"));
        let rules = [
            HintRule::new(at("maximumAvailable"), HintFact::Limit).budget("points"),
            HintRule::new(at("currentlyAvailable"), HintFact::Remaining).budget("points"),
        ];
        assert_eq!(shown(&read(&[], &body, &rules)), ["points 954/1000 in ? reset ? of others"]);
    }

    #[test]
    fn wins_over_headers_and_the_first_over_the_next() {
        let pairs = [
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-remaining", "50"),
            ("x-ratelimit-reset", "30000"),
            ("x-ratelimit-limit-day", "900"),
        ];
        let body = json!({"used": 18, "day": {"max": 1000, "or": 2000, "reset": 1_720_620_825, "length": "23h"}});
        for (given, expected) in [
            (json!([]), ["- 50/60 in ? reset 30000s", "day ?/900 in 86400s reset ?"]),
            (
                json!([{"at": "header:X-RateLimit-Reset", "fact": "reset", "unit": "milliseconds"}]),
                ["- 50/60 in ? reset 30s", "day ?/900 in 86400s reset ?"],
            ),
            (
                json!([{"at": "/used", "fact": "used"}, {"at": "/day/max", "fact": "remaining"}]),
                ["- 42/60 in ? reset 30000s", "day ?/900 in 86400s reset ?"],
            ),
            (
                json!([
                    {"at": "/day/none", "fact": "limit", "budget": "day"},
                    {"at": "/day/max", "fact": "limit", "budget": "day"},
                    {"at": "/day/or", "fact": "limit", "budget": "day"},
                    {"at": "/day/reset", "fact": "reset", "budget": "day", "unit": "epoch_seconds"},
                    {"at": "/day/length", "fact": "window", "budget": "day", "unit": "duration"},
                ]),
                ["- 50/60 in ? reset 30000s", "day ?/1000 in 82800s reset 60s"],
            ),
        ] {
            let hints = read(&pairs, &body, &rules(given.clone()));
            assert_eq!(shown(&hints), expected, "{given}");
            assert_eq!(hints.ignored(), [""; 0], "{given}");
        }
    }

    #[test]
    fn alone_reads_the_header_that_it_names() {
        let rules = rules(json!([{"at": "header:X-RateLimit-Reset", "fact": "reset", "unit": "month_day_year"}]));
        let hints = read(&[("x-ratelimit-reset", "07/10/2024 14:13:45")], &json!({}), &rules);
        assert_eq!((&*shown(&hints), hints.ignored()), (&["- ?/? in ? reset 60s".to_owned()][..], &[][..]));
        let hints = read(&[("x-ratelimit-reset", "30")], &json!({}), &rules);
        assert_eq!(
            (hints.budgets(), hints.ignored()),
            (&[][..], &["ignored header:x-ratelimit-reset: `30`".into()][..])
        );
    }

    #[test]
    fn alone_settles_the_unit_of_a_delay() {
        let rules = rules(json!([{"at": "header:Retry-After", "fact": "delay", "unit": "milliseconds"}]));
        for (pairs, millis) in [
            (&[("retry-after", "1500")][..], 1_500),
            (&[("retry-after", "1500"), ("x-retry-after", "2")], 2_000),
            (&[("retry-after", "90000000"), ("x-retry-after", "2")], 90_000_000),
        ] {
            let hints = read(pairs, &json!({}), &rules);
            assert_eq!(hints.delay(), Some(Duration::from_millis(millis)), "{pairs:?}");
        }
    }

    #[test]
    fn ignores_and_reports_what_makes_no_sense() {
        for (fact, unit, value, shown) in [
            ("delay", "seconds", json!(34_560_001), "34560001"),
            ("delay", "text", json!("in 2 heures 5 minutes"), "in 2 heures 5 minutes"),
            ("delay", "milliseconds", json!("1h30"), "1h30"),
            ("delay", "seconds", json!(-1), "-1"),
            ("delay", "text", json!("later"), "later"),
            ("delay", "seconds", json!({"a": 1}), "{\"a\":1}"),
            ("limit", "seconds", json!(-1), "-1"),
            ("limit", "seconds", json!("1e300"), "1e300"),
            ("remaining", "seconds", json!(true), "true"),
            ("used", "seconds", json!("NaN"), "NaN"),
            ("reset", "epoch_seconds", json!(1_720_620_764), "1720620764"),
            ("reset", "seconds", json!(34_560_001), "34560001"),
            ("window", "seconds", json!(0), "0"),
            ("window", "rfc3339", json!("2024-07-10T14:12:47Z"), "2024-07-10T14:12:47Z"),
        ] {
            let rules = rules(json!([{"at": "/at", "fact": fact, "unit": unit}]));
            let hints = read(&[], &json!({"at": value}), &rules);
            assert_eq!((hints.delay(), hints.budgets()), (None, &[][..]), "{fact} {value}");
            assert_eq!(hints.ignored(), [format!("ignored /at: `{shown}`")]);
        }
    }

    #[test]
    fn is_short_when_serialized_and_refuses_what_it_does_not_know() {
        let short = json!({"at": "/a", "fact": "limit"});
        assert_eq!(serde_json::to_value(HintRule::new(Source::pointer("/a"), HintFact::Limit)).unwrap(), short);
        let full = json!({"at": "header:a", "fact": "reset", "unit": "epoch_milliseconds", "budget": "tokens"});
        let rule = HintRule::new(Source::header("A"), HintFact::Reset).unit(Unit::EpochMilliseconds).budget("tokens");
        assert_eq!(serde_json::from_value::<HintRule>(full.clone()).unwrap(), rule);
        assert_eq!(serde_json::to_value(&rule).unwrap(), full);
        let text = "at = \"/a\"\nfact = \"reset\"\nunit = \"http_date\"\n";
        assert_eq!(toml::to_string(&toml::from_str::<HintRule>(text).unwrap()).unwrap(), text);
        for wrong in [
            json!({"at": "/a"}),
            json!({"at": "/a", "fact": "limit", "units": "s"}),
            json!({"at": "a", "fact": "limit"}),
        ] {
            assert!(serde_json::from_value::<HintRule>(wrong).is_err());
        }
    }
}
