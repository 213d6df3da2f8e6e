//! Foreign: tracks which URLs of a task an answer of a foreign origin named.
//!
//! A foreign origin gets no credential, and may not direct one either: a URL that its answer names is requested bare,
//! even if it leads back to the API. URLs that the caller or the API itself named before are unaffected.

use super::cursor::Cursor;
use super::step::Step;
use crate::message::Reply;

/// The URLs of a task before an answer is read.
pub(super) struct Before {
    /// Whether the answer is a foreign one: its origin is foreign, or a foreign origin named the requested URL.
    is_foreign: bool,
    kept: [Option<Box<str>>; 4],
    bare: u8,
    request: Box<str>,
}

impl Before {
    /// Returns `None` if every URL was named by the API, before and after.
    pub(super) fn from_cursor(cursor: &Cursor, reply: &Reply) -> Option<Self> {
        let is_foreign = !cursor.is_trusted(reply.url()) || cursor.is_next_bare();
        let bare = cursor.bare();
        (is_foreign || bare != 0).then(|| Self {
            is_foreign,
            kept: cursor.named_urls().map(|url| url.map(Into::into)),
            bare,
            request: cursor.request_url.clone(),
        })
    }

    /// Marks the URLs that the answer named.
    ///
    /// `pages_are_named`: the URL of the first page is made of members of the answer.
    pub(super) fn mark(&self, cursor: &mut Cursor, mut step: Step, pages_are_named: bool) -> Step {
        let mut bare = 0;
        for (at, now) in cursor.named_urls().into_iter().enumerate() {
            let is_same = self.kept.get(at).is_some_and(|before| before.as_deref() == now);
            let is_bare = match now {
                None => false,
                Some(_) if is_same => self.bare & (1 << at) != 0,
                Some(url) => self.is_named_by_foreigner(url),
            };
            bare |= u8::from(is_bare) << at;
        }
        if bare != 0 || cursor.extra.is_some() {
            cursor.extra().bare = bare;
        }
        if let Step::Done(_, finding) = &mut step {
            let is_link_bare = finding.links.iter().any(|link| self.is_named_by_foreigner(link.expose()));
            let is_here_bare = match &finding.pages {
                Some(_) => pages_are_named,
                // The answer is the result, or its first page.
                None => finding.links.is_empty(),
            };
            finding.is_bare = is_link_bare || (self.is_foreign && is_here_bare);
        }
        step
    }

    /// Returns whether a URL that was not in this place before comes from a foreign origin.
    fn is_named_by_foreigner(&self, url: &str) -> bool {
        let known = |wanted: bool| {
            let kept = self.kept.iter().enumerate();
            kept.filter(|(at, _)| (self.bare & (1 << at) != 0) == wanted).any(|(_, kept)| kept.as_deref() == Some(url))
        };
        if self.is_foreign { url != &*self.request && !known(false) } else { known(true) && !known(false) }
    }
}
