//! Reading: one answer, with everything that the readers need beside it.

use std::borrow::Cow;
use std::time::SystemTime;

use serde_json::Value;
use url::Url;

use super::cursor::Cursor;
use super::fault;
use super::flaw::Flaw;
use super::location::join;
use super::reason::Reason;
use super::result_rule::{ResultPlace, ResultRule};
use super::rules::Rules;
use super::step::Step;
use super::template::Filling;
use crate::error::{ErrorKind, Fault};
use crate::message::Reply;

pub(super) struct Reading<'a> {
    pub(super) rules: &'a Rules,
    pub(super) cursor: &'a mut Cursor,
    pub(super) reply: &'a Reply,
    /// The JSON of the answer, if it is JSON.
    pub(super) body: Option<&'a Value>,
    /// The HTTP status of the answer, or the number that replaces it.
    pub(super) code: u16,
    pub(super) now: SystemTime,
}

impl<'a> Reading<'a> {
    /// Returns the same answer, with the beginning of a broken or large document in place of its body.
    pub(super) fn with_beginning<'b>(&'b mut self, beginning: &'b Value) -> Reading<'b> {
        let Self { rules, reply, code, now, .. } = *self;
        Reading { rules, cursor: self.cursor, reply, body: Some(beginning), code, now }
    }

    /// Records why this answer is read as it is.
    pub(super) const fn because(&mut self, reason: Reason) {
        self.cursor.because(reason);
    }

    /// Returns the service's words for a failure.
    pub(super) fn fault(&self) -> Fault {
        fault::parse(self.rules, self.reply, self.body)
    }

    /// Returns the end of the wait, with the service's words.
    pub(super) fn stop(&self, kind: ErrorKind, why: impl Into<String>) -> Step {
        Step::Stop { kind, why: why.into(), fault: self.fault() }
    }

    /// Returns why the body is not a document.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        Flaw::from_reply(self.reply, self.body, self.rules.accept_html)
    }

    /// Returns the flaw of a result; otherwise as [`flaw`](Self::flaw). A body that is too large to hold has none: it
    /// is handed on unchanged.
    pub(super) fn result_flaw(&self) -> Option<Flaw> {
        self.flaw().filter(|flaw| *flaw != Flaw::TooLarge)
    }

    pub(super) fn has_error(&self) -> bool {
        fault::has_error(self.reply, self.body)
    }

    /// Returns whether the answer belongs to a HEAD.
    pub(super) fn was_head(&self) -> bool {
        self.reply.body().is_empty() && self.rules.poll.as_ref().is_some_and(super::exchange::Exchange::is_head)
    }

    /// Returns whether the answer arrived complete, and is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.reply.is_whole() && self.reply.body().trim_ascii().is_empty()
    }

    pub(super) fn asks_to_retry(&self) -> bool {
        self.reply.headers().contains_key(http::header::RETRY_AFTER)
    }

    /// Returns the `Location`, if it is a URL that may be requested.
    pub(super) fn location(&self) -> Option<Url> {
        self.reply.header("location").and_then(|location| join(self.reply.url(), &location).ok())
    }

    /// Returns the values that templates are filled with.
    pub(super) fn filling(&self) -> Filling<'_> {
        Filling::new(self.cursor.id(), self.reply, self.body).of(&self.cursor.request_url)
    }

    /// Returns every value at a place of the result; for a template, the URLs that it makes, or why the values make
    /// none.
    pub(super) fn values(&self, rule: &ResultRule) -> Result<Vec<Cow<'a, Value>>, String> {
        match &rule.at {
            ResultPlace::In(at) => Ok(at.values(self.reply, self.body)),
            ResultPlace::Made(template) => {
                let Some(trust) = self.cursor.trust() else { return Ok(Vec::new()) };
                let urls = template.urls(trust.base(), self.filling())?;
                Ok(urls.into_iter().map(|url| Cow::Owned(Value::from(url.as_str()))).collect())
            }
        }
    }

    /// Returns how much of the work is done, in percent, by the two numbers that the protocol names.
    pub(super) fn ratio(&self) -> Option<f64> {
        let of = self.rules.progress_of.as_ref()?;
        let done = self.number(&of.done)?;
        let total = self.number(&of.total).filter(|total| *total > 0.0)?;
        Some((done / total * 100.0).clamp(0.0, 100.0)).filter(|percent| percent.is_finite())
    }

    /// Returns whether both numbers of the progress are there, even of a total of none.
    pub(super) fn has_counts(&self) -> bool {
        let of = self.rules.progress_of.as_ref();
        of.is_some_and(|of| self.number(&of.done).is_some() && self.number(&of.total).is_some())
    }

    /// Returns whether a place of failed parts tells of some.
    pub(super) fn has_failed_parts(&self) -> bool {
        let places = self.rules.failed_parts.iter();
        places.flat_map(|at| at.values(self.reply, self.body)).any(|value| tells_of_some(&value))
    }

    fn number(&self, at: &crate::pointer::Source) -> Option<f64> {
        at.text(self.reply, self.body)?.parse().ok()
    }
}

/// Returns whether a value is a number other than zero, a list with items, or `true`.
fn tells_of_some(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => text.trim().parse() != Ok(0.0) && !text.eq_ignore_ascii_case("false"),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(failed) => *failed,
        Value::Null => false,
    }
}
