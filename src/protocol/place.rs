//! Place: whether an answer says where else than in its whole body the result is.

use http::Method;
use serde_json::Value;

use super::result::{Reading, links, newest_location};
use super::{Cursor, FinalStateVia, Protocol, Report, ResultKind, ResultRule, State};
use crate::message::Reply;

impl Protocol {
    /// Whether what this protocol says of the result, guesses apart, leads elsewhere than to the whole answer.
    pub(super) fn leads_elsewhere(&self, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        let via = match self.final_state_via {
            Some(FinalStateVia::Location) => newest_location(cursor, reply).is_some(),
            Some(FinalStateVia::OriginalUri) => {
                cursor.method != Method::DELETE && cursor.status_url.as_deref() != Some(&*cursor.request_url)
            }
            Some(FinalStateVia::Operation) | None => false,
        };
        via || self.pages.is_some() || self.names_result(cursor, reply, body)
    }

    /// Whether a value stands at a place that was named for the result, and not guessed.
    pub(super) fn names_result(&self, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        self.result.iter().any(|rule| !rule.guess && rule.stands(cursor, reply, body))
    }

    /// Whether an answer with this word is the status of the task, because it says where the result is. A guess counts
    /// only beside success, and only where it is a link: so the result's own word and value stay the result's.
    pub(super) fn is_status(&self, state: State, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        let guessed = || self.result.iter().any(|rule| rule.guess && rule.links(cursor, reply, body));
        self.leads_elsewhere(cursor, reply, body) || state.has_result() && guessed()
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
        let values = self.at.values(reply, body);
        match self.kind {
            ResultKind::Value => !values.is_empty(),
            ResultKind::Link => values.iter().any(|value| value.as_array().is_none_or(|items| !items.is_empty())),
            ResultKind::Url => self.links(cursor, reply, body),
        }
    }

    /// Whether links stand there that can be used.
    fn links(&self, cursor: &Cursor, reply: &Reply, body: Option<&Value>) -> bool {
        let reading = if self.kind == ResultKind::Value { Reading::Guess } else { Reading::Sure };
        let found = links(reply, &self.at.values(reply, body), reading);
        found.is_ok_and(|links| links.iter().any(|link| Some(link.expose()) != cursor.status_url.as_deref()))
    }
}
