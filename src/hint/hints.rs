//! Hints: the waits and rate budgets in the headers and the body of a response.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use super::budget::Budget;
use super::date::Since;
use super::ignored::ignored;
use super::ledger::{Closed, Ledger};
use super::names::{is_about_limits, may_speak};
use super::retry_after::{self, Hint};
use super::rule::HintRule;
use super::{classic, ietf, vendor};
use crate::message::Reply;
use crate::redact::Mask;

/// The waits and rate budgets that a response states, in any dialect.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use longhaul::limits::Hints;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("retry-after", "2".parse()?);
/// headers.insert("x-ratelimit-limit-minute", "60".parse()?);
/// headers.insert("x-ratelimit-remaining-minute", "0".parse()?);
/// headers.insert("x-ratelimit-reset", "soon".parse()?);
///
/// let hints = Hints::from_headers(&headers, SystemTime::now());
/// assert_eq!(hints.delay(), Some(Duration::from_secs(2)));
/// let minute = &hints.budgets()[0];
/// assert_eq!((minute.name(), minute.remaining(), minute.limit()), (Some("minute"), Some(0), Some(60)));
/// assert_eq!(hints.ignored(), ["ignored x-ratelimit-reset: `soon`"]);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
///
/// The following headers are read:
///
/// - `Retry-After` and its relatives: any header whose name ends in `retry-after`, or in `retry-after` and a unit. The
///   value may be in seconds, with a unit (`30s`, `1m0s`, `PT3S`), a date, quoted, or a list.
/// - `X-RateLimit-*` and `X-Rate-Limit-*`, also with the name of a window or a resource, as written by Kong, OpenAI,
///   GitHub, Discord, Akamai and Anthropic.
/// - `RateLimit` and `RateLimit-Policy` of the IETF, with their earlier drafts.
/// - The headers of Genesys, Sitecore Send, HubSpot, Azure Resource Manager, Salesforce, Shopify and Gorgias.
///
/// The unit of a service's own `Reset` without a unit follows from the size of the number: up to 86,400 the value is in
/// seconds, below a billion in milliseconds, and otherwise a moment in seconds or milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    delay: Option<Duration>,
    budgets: Vec<Budget>,
    ignored: Vec<String>,
}

impl Hints {
    /// Reads headers. The call allocates nothing if none of them concerns limits.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap, now: SystemTime) -> Self {
        Self::from_answer_headers(headers, || now)
    }

    /// As [`of`](Hints::from_headers), for a caller that has not read the clock: most responses state no limits, and those cost
    /// one pass over the names.
    pub(crate) fn from_answer_headers(headers: &HeaderMap, now: impl FnOnce() -> SystemTime) -> Self {
        if may_speak(headers) { Self::of_headers(headers, now()) } else { Self::default() }
    }

    /// Not inlined: the code of all dialects stays out of the path of a response that uses none.
    #[inline(never)]
    pub(super) fn of_headers(headers: &HeaderMap, now: SystemTime) -> Self {
        let mut ledger = Ledger::new(Since::new(headers, now));
        if read_headers(headers, &[], &mut ledger) {
            ask(headers, now, &[], &mut ledger);
        }
        Self::from(ledger.close())
    }

    /// Reads headers and, by the rules of a service, its own places in headers and body. If there are several delays,
    /// the longest counts.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use longhaul::http::Reply;
    /// use longhaul::limits::{HintFact, HintRule, Hints};
    /// use longhaul::protocols::Source;
    ///
    /// let body = r#"{ "error": { "reason": { ".tag": "too_many_requests" }, "retry_after": 15 } }"#;
    /// let url = "https://api.example/2/files".parse()?;
    /// let reply = Reply::new(http::StatusCode::TOO_MANY_REQUESTS, url, http::HeaderMap::new(), body);
    ///
    /// let rules = [HintRule::new(Source::pointer("/error/retry_after"), HintFact::Delay)];
    /// let hints = Hints::from_reply(&reply, &rules, SystemTime::now());
    /// assert_eq!(hints.delay(), Some(Duration::from_secs(15)));
    /// # Ok::<(), url::ParseError>(())
    /// ```
    #[must_use]
    pub fn from_reply(reply: &Reply, rules: &[HintRule], now: SystemTime) -> Self {
        // A rule may name any header, so the check of the names cannot rule out a hint.
        if rules.is_empty() {
            return Self::from_headers(reply.headers(), now);
        }
        let mut ledger = Ledger::new(Since::new(reply.headers(), now));
        let asking = read_headers(reply.headers(), rules, &mut ledger);
        let body = rules.iter().any(HintRule::is_of_the_body).then(|| reply.json()).flatten();
        // Each rule overwrites, so the first rule is applied last.
        for rule in rules.iter().rev() {
            rule.read(reply, body.as_ref(), &mut ledger);
        }
        if asking {
            ask(reply.headers(), now, rules, &mut ledger);
        }
        Self::from(ledger.close())
    }

    /// Returns how long the service asks to wait: at most 400 days, and the longest of several waits. A longer wait has
    /// a wrong unit, and is in [`ignored`](Hints::ignored).
    ///
    /// The reset of a budget alone is no delay, because most responses state one. Only the reset of Sitecore Send is,
    /// which comes with refusals alone. After a refusal without any delay, requests wait for the reset of the budgets
    /// that are spent.
    #[must_use]
    pub const fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// Returns how long to wait after a response with this status: the delay. After a refusal for load without a delay,
    /// this is the time until the spent budgets are full again; after a 429, also until the end of budgets that state
    /// only a reset.
    pub(crate) fn wait_after(&self, status: StatusCode) -> Option<Duration> {
        let is_refused = status == StatusCode::TOO_MANY_REQUESTS;
        if self.delay.is_some() || !is_refused && status != StatusCode::SERVICE_UNAVAILABLE {
            return self.delay;
        }
        // Some services state a limit of 0 for no limit.
        let resets = |remaining| {
            let of = move |budget: &&Budget| budget.remaining == remaining && budget.limit != Some(0);
            self.budgets.iter().filter(of).filter_map(Budget::reset).max()
        };
        resets(Some(0)).or_else(|| resets(None).filter(|_| is_refused))
    }

    /// Returns whether the response states nothing about time or budgets, and nothing malformed.
    pub(crate) const fn says_nothing(&self) -> bool {
        self.delay.is_none() && self.budgets.is_empty() && self.ignored.is_empty()
    }

    /// Returns the budgets, each once.
    #[must_use]
    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// Masks the secrets that the hints repeat.
    pub(crate) fn masked(mut self, mask: &Mask) -> Self {
        self.ignored.iter_mut().for_each(|what| *what = mask.hide(what));
        self
    }

    /// Returns the values that were malformed, contradictory or in the past: one short text each, with at most 40
    /// characters of a value.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

impl From<Closed> for Hints {
    fn from(Closed { delay, budgets, ignored }: Closed) -> Self {
        Self { delay, budgets, ignored }
    }
}

/// Reads the headers in one pass; returns whether any header asks to wait. Headers that a rule names are left to the
/// rule.
fn read_headers<'a>(headers: &'a HeaderMap, rules: &[HintRule], ledger: &mut Ledger<'a>) -> bool {
    let mut asking = false;
    for (name, value) in headers {
        let name = name.as_str();
        asking |= retry_after::is_asking(name);
        if !is_about_limits(name) || rules.iter().any(|rule| rule.is_of_header(name)) {
            continue;
        }
        let text = value.to_str().unwrap_or_default().trim();
        if read(name, text, ledger).is_none() {
            ledger.ignore(ignored(name, text));
        }
    }
    asking
}

fn ask(headers: &HeaderMap, now: SystemTime, rules: &[HintRule], ledger: &mut Ledger<'_>) {
    let is_read = |name: &str| rules.iter().any(|rule| rule.is_of_header(name));
    let Hint { delay, ignored } = retry_after::from_headers(headers, now, is_read);
    ledger.delay = ledger.delay.max(delay);
    ignored.into_iter().for_each(|text| ledger.ignore(text));
}

/// Returns how long a response asks to wait, by its headers and status. The headers that `is_read` names are read
/// elsewhere.
///
/// The transport has already read the same headers for the throttle. They are parsed once more on purpose: reading a
/// reply is a pure function of the reply and the clock, which tests and resume tokens rely on. Hints that travelled
/// with the reply would be a second input that could disagree with the first.
pub(crate) fn from_answer(
    status: StatusCode,
    headers: &HeaderMap,
    now: SystemTime,
    is_read: impl Fn(&str) -> bool,
) -> Hint {
    if !may_speak(headers) {
        return Hint::default();
    }
    let hint = retry_after::from_headers(headers, now, is_read);
    if hint.delay.is_some() || status.is_success() {
        return hint;
    }
    Hint { delay: Hints::from_headers(headers, now).wait_after(status), ..hint }
}

fn read<'a>(name: &'a str, text: &'a str, ledger: &mut Ledger<'a>) -> Option<()> {
    match name {
        "ratelimit" => ietf::status(text, ledger),
        "ratelimit-policy" => ietf::policies(text, ledger),
        _ => vendor::usage(name, text, ledger).unwrap_or_else(|| classic::read(name, text, ledger)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    type Pairs = [(&'static str, &'static str)];

    /// The budgets that headers state, at 14:12:45 UTC on 10 July 2024: `name remaining/limit in window reset reset`.
    pub(in crate::hint) fn budgets(pairs: &Pairs) -> Vec<String> {
        shown(&hints(pairs))
    }

    pub(in crate::hint) fn ignored(pairs: &Pairs) -> Vec<String> {
        hints(pairs).ignored
    }

    pub(in crate::hint) fn headers(pairs: &Pairs) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
    }

    pub(in crate::hint) fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_720_620_765)
    }

    pub(in crate::hint) fn shown(hints: &Hints) -> Vec<String> {
        let number = |number: Option<u64>| number.map_or("?".into(), |number| number.to_string());
        let span = |span: Option<Duration>| span.map_or("?".into(), |span| format!("{span:?}"));
        let shown = |budget: &Budget| {
            let counts = (number(budget.remaining()), number(budget.limit()));
            let times = (span(budget.window()), span(budget.reset()));
            let other = if budget.counts_requests() { "" } else { " of others" };
            let name = budget.name().unwrap_or("-");
            format!("{name} {}/{} in {} reset {}{other}", counts.0, counts.1, times.0, times.1)
        };
        hints.budgets().iter().map(shown).collect()
    }

    fn hints(pairs: &Pairs) -> Hints {
        Hints::from_headers(&headers(pairs), now())
    }

    #[test]
    fn retry_after_wins_over_a_reset_which_is_no_delay() {
        let reset = ("x-ratelimit-reset", "30");
        assert_eq!(hints(&[reset]).delay(), None);
        assert_eq!(hints(&[reset, ("retry-after", "7")]).delay(), Some(Duration::from_secs(7)));
        let expires = ("x-ratelimit-expires", "07/10/2024 14:12:52");
        assert_eq!(hints(&[expires]).delay(), Some(Duration::from_secs(7)));
        assert_eq!(hints(&[expires, ("retry-after", "3")]).delay(), Some(Duration::from_secs(7)));
        assert_eq!(budgets(&[expires, ("retry-after", "3")]), ["- ?/? in ? reset 7s"]);
    }

    #[test]
    fn a_refusal_without_a_delay_waits_for_the_budget_that_is_spent() {
        const REFUSED: StatusCode = StatusCode::TOO_MANY_REQUESTS;
        const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        let lone = ("x-rate-limit-reset", "1720620825");
        let (none, some) = (("x-rate-limit-remaining", "0"), ("x-rate-limit-remaining", "5"));
        let tokens = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")];
        let requests = [("x-ratelimit-remaining-requests", "5"), ("x-ratelimit-reset-requests", "1h")];
        for (pairs, status, seconds) in [
            (&[lone][..], REFUSED, Some(60)),
            (&[lone], BUSY, None),
            (&[lone], StatusCode::OK, None),
            (&[lone, none], REFUSED, Some(60)),
            (&[lone, none], BUSY, Some(60)),
            (&[lone, none], StatusCode::BAD_GATEWAY, None),
            (&[lone, some], REFUSED, None),
            (&[lone, none, ("retry-after", "7")], REFUSED, Some(7)),
            (&[lone, none, ("x-rate-limit-limit", "0")], REFUSED, None),
            (&[tokens[0], tokens[1], requests[0], requests[1]], REFUSED, Some(360)),
            (&[("x-ratelimit-reset", "2024-07-20T14:12:45Z")], REFUSED, Some(864_000)),
            (&[("ratelimit", "\"a\";r=0;t=864000")], REFUSED, Some(864_000)),
        ] {
            let wait = hints(pairs).wait_after(status);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{status} {pairs:?}");
            let hint = from_answer(status, &headers(pairs), now(), |_| false);
            assert_eq!(hint.delay, wait, "{status} {pairs:?}");
        }
    }

    #[test]
    fn reports_each_malformed_value_once_with_its_beginning_only() {
        let long = "x".repeat(5_000).leak();
        for (pairs, expected) in [
            (&[("x-ratelimit-expires", "soon")], "ignored x-ratelimit-expires: `soon`"),
            (&[("retry-after", "soon")], "ignored retry-after: `soon`"),
            (&[("x-ratelimit-limit", "")], "ignored x-ratelimit-limit: ``"),
            (&[("ratelimit", &*long)], &format!("ignored ratelimit: `{}`", &long[..40])),
        ] {
            assert_eq!(ignored(pairs), [expected]);
        }
        let mut headers = headers(&[("x-ratelimit-bucket", "x")]);
        headers.insert("x-ratelimit-bucket", http::HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(Hints::from_headers(&headers, now()).ignored(), ["ignored x-ratelimit-bucket: ``"]);
    }

    #[test]
    fn holds_few_budgets_of_many_and_says_so() {
        let many: Vec<String> = (0..5_000).map(|number| format!("\"{number}\";q=1;w=1")).collect();
        let headers = HeaderMap::from_iter([("ratelimit-policy".parse().unwrap(), many.join(",").parse().unwrap())]);
        let hints = Hints::from_headers(&headers, now());
        assert_eq!(hints.budgets().len(), 32);
        assert_eq!(hints.ignored()[0], "ignored more than 32 budgets");
        assert_eq!(hints.ignored().len(), 2);
    }

    #[test]
    fn holds_nothing_where_nothing_is_about_limits() {
        let pairs = [
            ("content-length", "7"),
            ("x-upload-limit", ""),
            ("x-ratelimit-scope", "user"),
            ("x-ratelimit-global", "true"),
            ("access-control-expose-headers", "x-ratelimit-limit"),
        ];
        assert_eq!(hints(&pairs), Hints::default());
    }
}
