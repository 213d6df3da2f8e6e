//! Walk: visits every page once.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use url::Url;

use super::fetch::{Fetched, PageSource};
use crate::error::{Error, ErrorKind};
use crate::message::Reply;
use crate::protocol::{Page, PageRule};

/// The pages of one result, or of one listing.
pub(crate) struct Walk {
    way: Option<(PageSource, PageRule)>,
    next: Option<Url>,
    /// The first page, if the previous answer contained it.
    held: Option<Reply>,
    fetching: Option<BoxFuture<'static, Result<Fetched, Error>>>,
    wrong: Option<Error>,
    /// The URLs of the pages so far, hashed.
    seen: HashSet<u64>,
    fetched: u32,
    /// The number of consecutive empty pages.
    empty: u32,
    /// Whether a foreign origin named the next page.
    is_bare: bool,
    /// The advice if the path of the first page seems to be wrong.
    advice: Option<String>,
}

impl Walk {
    pub(crate) fn new(source: PageSource, rule: PageRule, first: Url, held: Option<Reply>) -> Self {
        let seen = HashSet::from([hash(&first)]);
        let (way, next) = (Some((source, rule)), Some(first));
        let (fetched, empty, is_bare, advice) = (0, 0, false, None);
        Self { way, next, held, fetching: None, wrong: None, seen, fetched, empty, is_bare, advice }
    }

    /// Sets whether the first page is requested without a credential, because a foreign origin named it.
    pub(crate) const fn bare(mut self, is_bare: bool) -> Self {
        self.is_bare = is_bare;
        self
    }

    /// Sets the advice for an answer which suggests that the path of the first page is wrong.
    pub(crate) fn advised(mut self, advice: Option<String>) -> Self {
        self.advice = advice;
        self
    }

    /// Returns a walk that yields only an error.
    pub(crate) fn impossible(error: Error) -> Self {
        let (seen, wrong) = (HashSet::new(), Some(error));
        let (fetched, empty, is_bare, advice) = (0, 0, false, None);
        Self { way: None, next: None, held: None, fetching: None, wrong, seen, fetched, empty, is_bare, advice }
    }

    pub(super) fn rule(&self) -> Option<&PageRule> {
        self.way.as_ref().map(|(_, rule)| rule)
    }

    pub(super) const fn fetched(&self) -> u32 {
        self.fetched
    }

    /// Returns the next page; `None` after the last, and after an error.
    pub(super) fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page, Error>>> {
        if let Some(error) = self.wrong.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if self.fetching.is_none() {
            self.fetching = self.fetch();
        }
        let Some(fetching) = &mut self.fetching else { return Poll::Ready(None) };
        let fetched = ready!(fetching.as_mut().poll(cx));
        self.fetching = None;
        let advice = self.advice.take();
        let fetched = fetched.map_err(|error| match advice {
            Some(advice) if error.suggests_a_wrong_path() => error.with_advice(Some(advice)),
            _ => error,
        });
        Poll::Ready(Some(fetched.map(|Fetched { mut page, at, is_bare }| {
            self.fetched += 1;
            self.is_bare |= is_bare;
            self.seen.insert(hash(&at));
            self.next = page.next.take();
            // A page that was already read would create an endless loop.
            if self.next.as_ref().is_some_and(|url| !self.seen.insert(hash(url))) {
                self.next = None;
                let message = "the pages lead in a circle";
                self.wrong = Some(Error::new(ErrorKind::ResultUnavailable, message).with_url(&at));
            }
            let is_empty = self.rule().is_some_and(PageRule::has_rows) && page.rows.is_empty() || page.bytes.is_empty();
            self.empty = if is_empty { self.empty + 1 } else { 0 };
            if self.empty >= MOST_EMPTY && self.next.is_some() {
                self.next = None;
                let message = format!("{MOST_EMPTY} pages in a row are empty, and each names a next page");
                self.wrong = Some(Error::new(ErrorKind::ResultUnavailable, message).with_url(&at));
            }
            if let (Some((source, _)), Some(to)) = (&self.way, &self.next)
                && let Err(error) = source.leads(&at, to)
            {
                (self.next, self.wrong) = (None, Some(error));
            }
            page
        })))
    }

    fn fetch(&mut self) -> Option<BoxFuture<'static, Result<Fetched, Error>>> {
        let (source, rule) = self.way.clone()?;
        let url = self.next.take()?;
        let (held, is_bare) = (self.held.take(), self.is_bare);
        Some(Box::pin(async move { source.page(&rule, &url, held, is_bare).await }))
    }
}

/// Services that filter send empty pages, perhaps some hundred in a row; a service that sends more never ends.
const MOST_EMPTY: u32 = 1_000;

fn hash(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.as_str().hash(&mut hasher);
    hasher.finish()
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("next", &self.next.as_ref().map(crate::redact::shown))
            .field("fetched", &self.fetched)
            .finish_non_exhaustive()
    }
}
