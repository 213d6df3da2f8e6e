//! Ledger: the facts of a response while it is read, in any order.

use std::borrow::Cow;
use std::mem;
use std::time::Duration;

use super::budget::{Budget, is_other_than_requests};
use super::date::{FURTHEST, Since, Time};
use super::ignored::ignored;
use super::span;

#[derive(Debug)]
pub(super) struct Ledger<'a> {
    since: Since<'a>,
    pub(super) delay: Option<Duration>,
    drafts: Vec<BudgetDraft<'a>>,
    policies: Vec<Policy<'a>>,
    ignored: Vec<String>,
}

/// A budget as far as it is known. If a fact is stated twice, the first counts.
#[derive(Debug, Default)]
pub(super) struct BudgetDraft<'a> {
    /// The text before `ratelimit` in the names of its headers.
    source: &'a str,
    name: Option<Cow<'a, str>>,
    /// A name from a separate header.
    pub(super) label: Option<&'a str>,
    /// The unit that is counted, if it is stated.
    pub(super) unit: Option<Cow<'a, str>>,
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) used: Option<u64>,
    pub(super) window: Option<Duration>,
    pub(super) reset: Option<Duration>,
}

/// The facts of a response, put together.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) delay: Option<Duration>,
    pub(super) budgets: Vec<Budget>,
    pub(super) ignored: Vec<String>,
}

/// `100;w=60`: the policy belongs to the budget without a name that has this limit, or else makes one more budget.
#[derive(Debug)]
struct Policy<'a> {
    source: &'a str,
    limit: u64,
    window: Duration,
}

impl<'a> Ledger<'a> {
    pub(super) const fn new(since: Since<'a>) -> Self {
        Self { since, delay: None, drafts: Vec::new(), policies: Vec::new(), ignored: Vec::new() }
    }

    pub(super) const fn since(&self) -> Since<'a> {
        self.since
    }

    /// Returns the budget of this name, created if there is none; none if there are too many.
    pub(super) fn draft(&mut self, source: &'a str, name: Option<&'a str>) -> Option<&mut BudgetDraft<'a>> {
        self.find_or_begin(source, name.map(Cow::Borrowed))
    }

    /// Returns the budget of a policy that the IETF's fields name.
    pub(super) fn draft_of_policy(&mut self, name: Cow<'a, str>) -> Option<&mut BudgetDraft<'a>> {
        self.find_or_begin("", Some(name))
    }

    /// Returns the budget of this name, whatever stated it.
    pub(super) fn draft_named(&mut self, name: Option<&'a str>) -> Option<&mut BudgetDraft<'a>> {
        match self.drafts.iter().position(|draft| draft.title() == name) {
            Some(at) => self.drafts.get_mut(at),
            None => self.begin(BudgetDraft { name: name.map(Cow::Borrowed), ..BudgetDraft::default() }),
        }
    }

    pub(super) fn policy(&mut self, source: &'a str, limit: u64, window: Duration) -> Option<()> {
        (self.policies.len() < MOST).then(|| self.policies.push(Policy { source, limit, window }))
    }

    /// Returns the time until then; none for the past and for implausibly distant moments.
    pub(super) fn reset(&self, time: Time) -> Option<Duration> {
        self.since.until(time).filter(|reset| *reset <= FURTHEST)
    }

    pub(super) fn ignore(&mut self, text: String) {
        if self.ignored.len() < MOST_IGNORED && !self.ignored.contains(&text) {
            self.ignored.push(text);
        }
    }

    pub(super) fn close(mut self) -> Closed {
        for Policy { source, limit, window } in mem::take(&mut self.policies) {
            let Some(draft) = self.draft(source, None) else { break };
            if draft.window.is_none() && draft.limit.is_none_or(|known| known == limit) {
                (draft.limit, draft.window) = (Some(limit), Some(window));
            } else {
                self.begin(BudgetDraft { source, limit: Some(limit), window: Some(window), ..BudgetDraft::default() });
            }
        }
        let mut budgets = Vec::new();
        for mut draft in mem::take(&mut self.drafts) {
            if let Some((remaining, limit)) = draft.contradiction() {
                self.ignore(ignored(draft.title().unwrap_or("a budget"), &format!("{remaining} of {limit}")));
                (draft.limit, draft.remaining, draft.used) = (None, None, None);
            }
            budgets.extend(draft.budget().filter(|budget| !budgets.contains(budget)));
        }
        Closed { delay: self.delay, budgets, ignored: self.ignored }
    }

    fn find_or_begin(&mut self, source: &'a str, name: Option<Cow<'a, str>>) -> Option<&mut BudgetDraft<'a>> {
        match self.drafts.iter().position(|draft| draft.source == source && draft.name == name) {
            Some(at) => self.drafts.get_mut(at),
            None => self.begin(BudgetDraft { source, name, ..BudgetDraft::default() }),
        }
    }

    fn begin(&mut self, draft: BudgetDraft<'a>) -> Option<&mut BudgetDraft<'a>> {
        if self.drafts.len() >= MOST {
            self.ignore(format!("ignored more than {MOST} budgets"));
            return None;
        }
        self.drafts.push(draft);
        self.drafts.last_mut()
    }
}

impl BudgetDraft<'_> {
    fn title(&self) -> Option<&str> {
        self.name.as_deref().or(self.label)
    }

    fn left(&self) -> Option<u64> {
        self.remaining.or_else(|| Some(self.limit?.saturating_sub(self.used?)))
    }

    /// Returns the numbers if more is left than is granted: neither number can then be believed.
    fn contradiction(&self) -> Option<(u64, u64)> {
        self.left().zip(self.limit).filter(|(remaining, limit)| remaining > limit)
    }

    /// Returns none if only a name or a window is stated.
    fn budget(&self) -> Option<Budget> {
        let remaining = self.left();
        (self.limit.is_some() || remaining.is_some() || self.reset.is_some()).then_some(())?;
        let title = self.title();
        let window = || span::named(title?.rsplit('-').next()?);
        let counts_requests = match &self.unit {
            Some(unit) => unit == "requests",
            None => !is_other_than_requests(self.source) && !title.is_some_and(is_other_than_requests),
        };
        Some(Budget {
            name: title.map(str::to_owned),
            limit: self.limit,
            remaining,
            window: self.window.or_else(window),
            reset: self.reset,
            counts_requests,
        })
    }
}

/// Returns the length of a window, if it is plausible.
pub(super) fn window(length: Duration) -> Option<Duration> {
    (!length.is_zero() && length <= FURTHEST).then_some(length)
}

/// Far more than any service has.
const MOST: usize = 32;
const MOST_IGNORED: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::hints::tests::{budgets, ignored};

    #[test]
    fn ignores_numbers_that_contradict_each_other() {
        for (limit, remaining, expected) in [
            ("60", "60", "- 60/60 in ? reset 30s"),
            ("0", "0", "- 0/0 in ? reset 30s"),
            ("60", "61", "- ?/? in ? reset 30s"),
            ("0", "1", "- ?/? in ? reset 30s"),
        ] {
            let pairs =
                [("x-ratelimit-limit", limit), ("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "30")];
            assert_eq!(budgets(&pairs), [expected]);
            assert_eq!(ignored(&pairs).is_empty(), remaining <= limit, "{limit} {remaining}");
        }
        let pairs = [("x-ratelimit-limit-minute", "5"), ("x-ratelimit-remaining-minute", "9")];
        assert_eq!((budgets(&pairs), ignored(&pairs)), (vec![], vec!["ignored minute: `9 of 5`".into()]));
    }

    #[test]
    fn what_was_used_is_the_rest_of_what_is_left() {
        let limit = ("x-ratelimit-limit", "60");
        for (pairs, expected) in [
            (&[limit, ("x-ratelimit-used", "18")][..], &["- 42/60 in ? reset ?"][..]),
            (&[limit, ("x-ratelimit-used", "61")], &["- 0/60 in ? reset ?"]),
            (&[limit, ("x-ratelimit-used", "18"), ("x-ratelimit-remaining", "7")], &["- 7/60 in ? reset ?"]),
            (&[("x-ratelimit-used", "18")], &[]),
        ] {
            assert_eq!(budgets(pairs), expected);
        }
    }

    #[test]
    fn keeps_the_budgets_of_several_gateways_apart() {
        let pairs = [
            ("x-ratelimit-limit", "60"),
            ("ratelimit-limit", "5"),
            ("x-ratelimit-remaining", "50"),
            ("ratelimit-remaining", "4"),
        ];
        assert_eq!(budgets(&pairs), ["- 50/60 in ? reset ?", "- 4/5 in ? reset ?"]);
    }

    #[test]
    fn tells_a_budget_once_that_two_dialects_tell() {
        let pairs = [
            ("x-ratelimit-limit", "60"),
            ("ratelimit-limit", "60"),
            ("x-ratelimit-remaining", "7"),
            ("ratelimit-remaining", "7"),
        ];
        assert_eq!(budgets(&pairs), ["- 7/60 in ? reset ?"]);
    }
}
