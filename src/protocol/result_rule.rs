//! ResultRule: a place of the result, in an answer or at a URL that is built from one.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::message::Reply;
use crate::pointer::Source;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenResultRule", into = "WrittenResultRule")]
pub(super) struct ResultRule {
    pub(super) at: ResultPlace,
    pub(super) kind: ResultKind,
    /// Known from other services, and not set for this one: it does not take precedence over an answer that is the
    /// result itself.
    pub(super) guess: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ResultPlace {
    In(Source),
    /// The URL, relative to the client's base.
    Made(Template),
}

impl ResultRule {
    /// Creates a place that was set for this service.
    pub(super) const fn new(at: ResultPlace, kind: ResultKind) -> Self {
        Self { at, kind, guess: false }
    }

    /// Returns the first value as JSON text, with the digits that the service wrote.
    pub(super) fn written(&self, reply: &Reply) -> Option<Bytes> {
        match &self.at {
            ResultPlace::In(at) => at.raw(reply).into_iter().next(),
            ResultPlace::Made(_) => None,
        }
    }

    /// Returns whether this many values are links. A single URL is fetched, as is the first URL in an answer: one of
    /// many may link to other things; a template makes only the result's.
    pub(super) fn is_of_links(&self, values: usize) -> bool {
        match (self.kind, &self.at) {
            (ResultKind::Link, _) => true,
            (ResultKind::Url, ResultPlace::Made(_)) => values > 1,
            _ => false,
        }
    }

    /// Returns whether the value at this place depends on an answer, and not on the id alone.
    pub(super) fn reads_an_answer(&self) -> bool {
        match &self.at {
            ResultPlace::In(_) => true,
            ResultPlace::Made(template) => template.reads_an_answer(),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let ResultPlace::Made(template) = &self.at else { return Ok(()) };
        if self.kind == ResultKind::Value {
            return Err(format!(
                "the result's template `{template}` makes a URL, and not a value: its kind must be url or link"
            ));
        }
        template.check(true)
    }
}

impl fmt::Display for ResultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(at) => at.fmt(f),
            Self::Made(template) => write!(f, "`{template}`"),
        }
    }
}

/// The kind of value at a place of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResultKind {
    /// The value itself. A text that is an absolute URL is taken as a link.
    Value,
    /// The URL of the result: fetched if it lies on the API's own origin and is not signed; otherwise the result is the
    /// link.
    Url,
    /// A link, or several, to be downloaded. A link is never fetched to be read.
    Link,
}

/// The form in JSON and TOML.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenResultRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Source>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<Template>,
    kind: ResultKind,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    guess: bool,
}

impl TryFrom<WrittenResultRule> for ResultRule {
    type Error = &'static str;

    fn try_from(written: WrittenResultRule) -> Result<Self, Self::Error> {
        let at = match (written.at, written.template) {
            (Some(at), None) => ResultPlace::In(at),
            (None, Some(template)) => ResultPlace::Made(template),
            _ => return Err("a result has either `at`, its place in the answer, or `template`, its URL"),
        };
        Ok(Self { at, kind: written.kind, guess: written.guess })
    }
}

impl From<ResultRule> for WrittenResultRule {
    fn from(rule: ResultRule) -> Self {
        let (at, template) = match rule.at {
            ResultPlace::In(at) => (Some(at), None),
            ResultPlace::Made(template) => (None, Some(template)),
        };
        Self { at, template, kind: rule.kind, guess: rule.guess }
    }
}
