//! Reading: one answer while it is read, with all that the readers need beside it.

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
    /// Its JSON, where it is some.
    pub(super) body: Option<&'a Value>,
    /// Its HTTP status, or the number that stands for that.
    pub(super) code: u16,
    pub(super) now: SystemTime,
}

impl<'a> Reading<'a> {
    /// The same answer, with the beginning of a broken or large document in the place of its body.
    pub(super) fn with_beginning<'b>(&'b mut self, beginning: &'b Value) -> Reading<'b> {
        let Self { rules, reply, code, now, .. } = *self;
        Reading { rules, cursor: self.cursor, reply, body: Some(beginning), code, now }
    }

    /// Says why this answer is read as it is.
    pub(super) const fn because(&mut self, reason: Reason) {
        self.cursor.because(reason);
    }

    /// The service's words for a failure.
    pub(super) fn fault(&self) -> Fault {
        fault::parse(self.rules, self.reply, self.body)
    }

    /// The end of the wait, with the service's words.
    pub(super) fn stop(&self, kind: ErrorKind, why: impl Into<String>) -> Step {
        Step::Stop { kind, why: why.into(), fault: self.fault() }
    }

    /// Why the body is no document.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        Flaw::from_reply(self.reply, self.body, self.rules.accept_html)
    }

    /// As [`flaw`](Self::flaw), where a body that is too large to hold is none: it is handed on as it is.
    pub(super) fn result_flaw(&self) -> Option<Flaw> {
        self.flaw().filter(|flaw| *flaw != Flaw::TooLarge)
    }

    pub(super) fn has_error(&self) -> bool {
        fault::has_error(self.reply, self.body)
    }

    /// Whether it is the answer of a HEAD.
    pub(super) fn was_head(&self) -> bool {
        self.reply.body().is_empty() && self.rules.poll.as_ref().is_some_and(super::exchange::Exchange::is_head)
    }

    /// Whether the answer came whole, and holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.reply.is_whole() && self.reply.body().trim_ascii().is_empty()
    }

    pub(super) fn asks_to_retry(&self) -> bool {
        self.reply.headers().contains_key(http::header::RETRY_AFTER)
    }

    /// The `Location`, where it is a URL that can be asked.
    pub(super) fn location(&self) -> Option<Url> {
        self.reply.header("location").and_then(|location| join(self.reply.url(), &location).ok())
    }

    /// What templates are filled with.
    pub(super) fn filling(&self) -> Filling<'_> {
        Filling::new(self.cursor.id(), self.reply, self.body)
    }

    /// Every value at a place of the result; of a template, the URLs that it makes.
    pub(super) fn values(&self, rule: &ResultRule) -> Vec<Cow<'a, Value>> {
        match &rule.at {
            ResultPlace::In(at) => at.values(self.reply, self.body),
            ResultPlace::Made(template) => {
                let Some(trust) = self.cursor.trust() else { return Vec::new() };
                let urls = template.urls(trust.base(), self.filling()).unwrap_or_default();
                urls.into_iter().map(|url| Cow::Owned(Value::from(url.as_str()))).collect()
            }
        }
    }
}
