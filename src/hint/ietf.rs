//! The rate-limit fields of the IETF: draft-ietf-httpapi-ratelimit-headers, and its earlier drafts.

use std::time::Duration;

use super::date::Time;
use super::ignored::each;
use super::ledger::{self, Ledger};
use super::structured::{self, Item, Value};

/// `RateLimit: "burst";r=50;t=30`, or of draft 7 `limit=100, remaining=50, reset=5`.
pub(super) fn status<'a>(text: &'a str, ledger: &mut Ledger<'a>) -> Option<()> {
    all(text, |item| match item.key {
        Some(key) => member(key, item.value.integer()?, ledger),
        None => {
            let (remaining, reset) = (item.parameter("r")?.integer()?, integer(item, "t")?);
            let reset = match reset {
                Some(seconds) => Some(ledger.reset(seconds_from_now(seconds))?),
                None => None,
            };
            let draft = ledger.draft_of_policy(item.value.text()?)?;
            draft.remaining = draft.remaining.or(Some(remaining));
            draft.reset = draft.reset.or(reset);
            Some(())
        }
    })
}

/// `RateLimit-Policy: "burst";q=100;w=60;qu="requests"`, or of earlier drafts `100;w=60`.
pub(super) fn policies<'a>(text: &'a str, ledger: &mut Ledger<'a>) -> Option<()> {
    all(text, |item| {
        if let Value::Integer(limit) = item.value {
            let length = item.parameter("w")?.integer()?;
            return ledger.policy("", limit, window(length)?);
        }
        let limit = item.parameter("q")?.integer()?;
        let window = match integer(item, "w")? {
            Some(seconds) => Some(window(seconds)?),
            None => None,
        };
        let draft = ledger.draft_of_policy(item.value.text()?)?;
        draft.limit = draft.limit.or(Some(limit));
        draft.window = draft.window.or(window);
        draft.unit = item.parameter("qu").and_then(Value::text);
        Some(())
    })
}

/// `100, 100;w=60, 1000;w=3600`: the limit in force, and the policies that exist.
pub(super) fn limits<'a>(source: &'a str, name: Option<&'a str>, text: &'a str, ledger: &mut Ledger<'a>) -> Option<()> {
    all(text, |item| {
        let limit = item.value.integer()?;
        let length = integer(item, "w")?;
        let draft = ledger.draft(source, name)?;
        draft.limit = draft.limit.or(Some(limit));
        match length {
            Some(seconds) => ledger.policy(source, limit, window(seconds)?),
            None => Some(()),
        }
    })
}

fn member(key: &str, number: u64, ledger: &mut Ledger<'_>) -> Option<()> {
    let reset = if key == "reset" { Some(ledger.reset(seconds_from_now(number))?) } else { None };
    let draft = ledger.draft("", None)?;
    match key {
        "limit" => draft.limit = draft.limit.or(Some(number)),
        "remaining" => draft.remaining = draft.remaining.or(Some(number)),
        _ => draft.reset = draft.reset.or(reset),
    }
    Some(())
}

fn all<'a>(text: &'a str, mut read: impl FnMut(&Item<'a>) -> Option<()>) -> Option<()> {
    each(structured::list(text)?, |item| read(&item))
}

/// Returns a parameter that may be missing, but must be a number.
fn integer(item: &Item<'_>, name: &str) -> Option<Option<u64>> {
    item.parameter(name).map_or(Some(None), |value| value.integer().map(Some))
}

fn window(seconds: u64) -> Option<Duration> {
    ledger::window(Duration::from_secs(seconds))
}

const fn seconds_from_now(seconds: u64) -> Time {
    Time::In(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::hints::tests::{budgets, ignored};

    #[test]
    fn matches_items_to_policies_by_name_in_either_order() {
        let policies = r#""burst";q=100;w=60;qu="requests";pk=:cGs=:, "daily";q=1000, "b";q=9;qu="content-bytes""#;
        let (policies, status) = (("ratelimit-policy", policies), ("ratelimit", r#""daily";r=999, "burst";r=50;t=30"#));
        let burst = "burst 50/100 in 60s reset 30s";
        let daily = "daily 999/1000 in 86400s reset ?";
        let bytes = "b ?/9 in ? reset ? of others";
        assert_eq!(budgets(&[policies, status]), [burst, daily, bytes]);
        assert_eq!(budgets(&[status, policies]), [daily, burst, bytes]);
        assert_eq!(
            budgets(&[("ratelimit", r#"a;r=1"#), ("ratelimit", r#""a";t=9;r=2, "b \"c\"";r=3"#)]),
            ["a 1/? in ? reset 9s", "b \"c\" 3/? in ? reset ?"]
        );
    }

    #[test]
    fn the_quota_unit_says_what_is_counted_and_without_one_the_name() {
        for (policy, expected) in [
            (r#""tokens";q=5;qu="requests""#, "tokens ?/5 in ? reset ?"),
            (r#""tokens";q=5"#, "tokens ?/5 in ? reset ? of others"),
            (r#""a";q=5;qu="concurrent-requests""#, "a ?/5 in ? reset ? of others"),
            (r#""a";q=5;qu=requests"#, "a ?/5 in ? reset ?"),
        ] {
            assert_eq!(budgets(&[("ratelimit-policy", policy)]), [expected]);
        }
    }

    #[test]
    fn reads_what_earlier_drafts_had() {
        let status = ("ratelimit", "limit=100, remaining=50, reset=5");
        let policies = ("ratelimit-policy", "10;w=1, 100;w=3600");
        let second = "- ?/10 in 1s reset ?";
        assert_eq!(budgets(&[status, policies]), ["- 50/100 in 3600s reset 5s", second]);
        assert_eq!(budgets(&[policies, status]), ["- 50/100 in 3600s reset 5s", second]);
        for fields in [
            &[("ratelimit-limit", "100, 10;w=1, 100;w=3600;comment=\"x\"")][..],
            &[("ratelimit-policy", "100;w=3600"), ("ratelimit-policy", "10;w=1")],
        ] {
            assert_eq!(budgets(fields), ["- ?/100 in 3600s reset ?", second]);
        }
    }

    #[test]
    fn passes_over_a_member_that_makes_no_sense_and_says_so() {
        for text in [
            r#""b";r=-1, "a";r=5"#,
            r#""b", "a";r=5"#,
            r#""b";r=1;t=1.5, "a";r=5"#,
            r#""b";r=1;t=99999999999, "a";r=5"#,
            r#"7;r=1, "a";r=5"#,
            r#"remaining="1", "a";r=5"#,
        ] {
            assert_eq!(budgets(&[("ratelimit", text)]), ["a 5/? in ? reset ?"], "{text}");
            assert_eq!(ignored(&[("ratelimit", text)]), [format!("ignored ratelimit: `{text}`")]);
        }
        for text in ["7", "7;w=0", "7;w=99999999999", r#""b";w=1"#, r#""b";q=1;w=0"#, r#""b";q=x"#, r#"?1;q=1"#] {
            assert_eq!(budgets(&[("ratelimit-policy", text)]), [""; 0], "{text}");
            assert_eq!(ignored(&[("ratelimit-policy", text)]), [format!("ignored ratelimit-policy: `{text}`")]);
        }
        assert_eq!(budgets(&[("ratelimit", r#""a";r=5,"#)]), [""; 0], "a malformed list is no list");
    }
}
