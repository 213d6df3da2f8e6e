//! Rules: a protocol's description of an API, as data.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::exchange::{self, Exchange};
use super::page::PageRule;
use super::poll_many::PollMany;
use super::result_rule::ResultRule;
use super::template::Template;
use super::words::{self, State};
use crate::clock::seconds;
use crate::hint::Unit;
use crate::pointer::Source;

/// The contents of a [`Protocol`](super::Protocol). The readers see only this type, so that nothing in the module
/// depends on the public face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Protocol", default, deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) name: String,
    // The submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefer: Option<String>,
    pub(super) status_url: Vec<StatusUrl>,
    pub(super) rotates: bool,
    pub(super) id: Vec<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_template: Option<Template>,
    pub(super) template_kind: StatusKind,
    // The poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poll: Option<Exchange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poll_many: Option<PollMany>,
    pub(super) repeat_query: Vec<String>,
    pub(super) cookies: bool,
    pub(super) conditional: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_header: Option<Source>,
    pub(super) state: Vec<Source>,
    pub(super) reduce: Reduce,
    #[serde(deserialize_with = "words::plain_keys")]
    pub(super) words: BTreeMap<String, State>,
    pub(super) statuses: BTreeMap<String, State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) without_state: Option<State>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) accept_html: bool,
    pub(super) done: Vec<Source>,
    pub(super) progress: Vec<Source>,
    pub(super) progress_unit: ProgressUnit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) progress_of: Option<Fraction>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) done_at_full_progress: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failed_parts: Vec<Source>,
    pub(super) error_code: Vec<Source>,
    pub(super) error_message: Vec<Source>,
    pub(super) canceled_codes: Vec<String>,
    pub(super) intervals: Vec<Interval>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub(super) default_interval: Option<Duration>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive: Option<Duration>,
    pub(super) start: Vec<Start>,
    #[serde(with = "seconds")]
    pub(super) patience: Duration,
    #[serde(with = "seconds")]
    pub(super) visibility: Duration,
    // The end.
    pub(super) result: Vec<ResultRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pages: Option<PageRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) final_state_via: Option<FinalStateVia>,
    #[serde(with = "exchange::or_none")]
    pub(super) cancel: Option<Exchange>,
    pub(super) cancel_url: Vec<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cleanup: Option<Exchange>,
}

impl Rules {
    /// Returns the meaning of a word in this protocol; `None` for an unknown word.
    pub(super) fn classify(&self, word: &str) -> Option<State> {
        let plain = words::plain(word);
        self.words.get(&plain).copied().or_else(|| words::common(&plain))
    }

    /// Returns the first template that cannot be filled, and the reason.
    pub(super) fn check(&self) -> Result<(), String> {
        let of = |what: &str, checked: Result<(), String>| checked.map_err(|why| format!("{what}: {why}"));
        let url = self.status_template.as_ref();
        url.map_or(Ok(()), |template| of("status_template", template.check_one(true)))?;
        let starts = self.start.iter().map(|start| ("start", &start.request));
        let others = [("poll", &self.poll), ("cancel", &self.cancel), ("cleanup", &self.cleanup)];
        let others = others.into_iter().filter_map(|(what, exchange)| Some((what, exchange.as_ref()?)));
        others.chain(starts).try_for_each(|(what, exchange)| of(what, exchange.check()))?;
        self.poll_many.as_ref().map_or(Ok(()), |many| of("poll_many", many.check()))?;
        self.result.iter().try_for_each(|rule| of("result", rule.check()))?;
        self.pages.as_ref().map_or(Ok(()), |rule| of("pages", rule.check()))
    }
}

/// The kind of document at a status URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StatusKind {
    /// The HTTP status counts: 202 is pending, 200 is the result itself. A document that is plainly a monitor is read
    /// as one.
    #[default]
    Bare,
    /// A status document: its word counts.
    Monitor,
    /// The created resource, with a state inside.
    Resource,
}

impl StatusUrl {
    /// Creates a place that was set for this service.
    pub(super) const fn new(at: Source, kind: StatusKind) -> Self {
        Self { at, kind, only_pending: false, guess: false }
    }
}

impl StatusKind {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Bare => "bare: the HTTP status gives the state",
            Self::Monitor => "a monitor: its word gives the state",
            Self::Resource => "the resource, with a state inside",
        }
    }
}

/// The location of the final value, if the API defines it (the `final-state-via` of the Azure specifications).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinalStateVia {
    /// In the status document.
    Operation,
    /// At the last `Location`.
    Location,
    /// At the URL that the task was submitted to.
    OriginalUri,
}

/// The unit of the numbers of a progress member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProgressUnit {
    /// 0 to 100.
    #[default]
    Percent,
    /// 0 to 1.
    Fraction,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusUrl {
    pub(super) at: Source,
    pub(super) kind: StatusKind,
    /// Whether the place counts only beside 202 or a pending word: otherwise it is a link to the created resource.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) only_pending: bool,
    /// Known from other services, and not set for this one: it counts only if the answer shows that there is a task.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) guess: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Interval {
    pub(super) at: Source,
    pub(super) unit: Unit,
}

/// How the states of several parts combine into one, for a place such as `/parts/*/state` that has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reduce {
    /// The first part counts.
    #[default]
    First,
    /// The task ends when all parts have ended: succeeded if all did, partially succeeded if some did.
    All,
    /// The task ends with the first part that ends.
    Any,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fraction {
    pub(super) done: Source,
    pub(super) total: Source,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    pub(super) when: String,
    pub(super) request: Exchange,
}

/// Moves a place to the front of the list, and removes it elsewhere.
pub(super) fn put_first(places: &mut Vec<Source>, at: Source) {
    places.retain(|place| *place != at);
    places.insert(0, at);
}

/// Iterates over a list with the index of each item, as a [`Reason`](super::reason::Reason) names it.
pub(super) fn numbered<T>(list: &[T]) -> impl Iterator<Item = (&T, u8)> {
    list.iter().enumerate().map(|(place, item)| (item, u8::try_from(place).unwrap_or(u8::MAX)))
}
