//! Place: whether an answer says where else than in its whole body the result is.

use http::Method;
use serde_json::Value;

use super::location::link;
use super::result::newest_location;
use super::template::Filling;
use super::{Cursor, FinalStateVia, PageRule, Protocol, Report, ResultKind, ResultRule, State, verdict};
use crate::message::Reply;
use crate::pointer::{Source, text};
use crate::redact::SecretUrl;

impl Protocol {
    /// Whether what this protocol says of the result, guesses apart, leads elsewhere than to the whole answer.
    pub(super) fn leads_elsewhere(&self, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        let via = match self.final_state_via {
            Some(FinalStateVia::Operation) => return false,
            Some(FinalStateVia::Location) => newest_location(cursor, reply).is_some(),
            Some(FinalStateVia::OriginalUri) => {
                cursor.method != Method::DELETE && cursor.status_url.as_deref() != Some(&*cursor.request_url)
            }
            None => false,
        };
        let pages = || {
            let base = |rule| cursor.trust().map(|trust| (rule, trust));
            let rule = self.pages.as_ref().and_then(base);
            rule.is_some_and(|(rule, trust): (&PageRule, _)| {
                rule.first(trust.base(), Filling::new(cursor.id(), reply, body)).is_some()
            })
        };
        via || pages() || self.names_result(cursor, reply, body)
    }

    /// Whether a value stands at a place that was named for the result, and not guessed.
    pub(super) fn names_result(&self, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        self.result.iter().any(|rule| !rule.guess && rule.stands(cursor, reply, body))
    }

    /// Whether a value stands at a place that was named for the result, behind this one.
    pub(super) fn names_another(&self, place: u8, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        let behind = self.result.iter().skip(usize::from(place) + 1);
        behind.filter(|rule| !rule.guess).any(|rule| rule.stands(cursor, reply, body))
    }

    /// Warns where an answer that is taken as the result says that it is done, and has a link as a status would.
    pub(super) fn warn_of_link(&self, reply: &Reply, body: Option<&Value>, report: &mut Report) {
        let is_link = |value: &Value| value.as_str().is_some_and(|text| SecretUrl::parse(text).is_ok());
        let holds_one = |at: &&str| Source::pointer(at).value(reply, body).is_some_and(|value| is_link(&value));
        let is_done = || verdict::word(self, reply, body).0.is_some_and(State::has_result);
        if let Some(at) = LINKS.into_iter().find(holds_one)
            && is_done()
        {
            report.warn(format!(
                "taken as the result, and it says that it is done and has a link at {at}: if the result is there, say so \
                 with Protocol::result",
            ));
        }
    }

    /// Warns where the result stands at none of the places that were named for it.
    pub(super) fn warn_of_missing(&self, cursor: &Cursor, report: &mut Report) {
        let named: Vec<_> = self.result.iter().filter(|rule| !rule.guess).map(|rule| rule.at.to_string()).collect();
        if !named.is_empty() && cursor.method != Method::DELETE {
            report.warn(format!(
                "no result that can be used stands at {}, where the protocol says: the whole answer is taken as the result",
                named.join(" or "),
            ));
        }
    }
}

impl ResultRule {
    /// Whether something stands there. An empty list is nothing, and so is the status URL.
    fn stands(&self, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        let values = self.values(cursor, reply, body);
        match self.kind {
            ResultKind::Value => !values.is_empty(),
            ResultKind::Url if !self.is_of_links(values.len()) => values.first().is_some_and(|value| {
                let url = link(reply.url(), &text(value).unwrap_or_default());
                url.is_ok_and(|url| Some(url.expose()) != cursor.status_url.as_deref())
            }),
            ResultKind::Link | ResultKind::Url => {
                values.iter().any(|value| value.as_array().is_none_or(|items| !items.is_empty()))
            }
        }
    }
}

/// Where services put the link to a result beside the word.
const LINKS: [&str; 5] = ["/resultUrl", "/result_url", "/downloadUrl", "/download_url", "/resourceLocation"];
