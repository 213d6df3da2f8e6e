//! PageRule: how a result is paged. A pure reader, like the rest of a protocol.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::next::Next;
use super::shape::has_only_an_error;
use super::step::{Finding, Step};
use super::template::{Filling, Template};
use crate::message::{Reply, without_bom};
use crate::pointer::{Source, link};
use crate::redact::Hidden;

/// How a result is paged: the first page, the place of the rows, and how one page leads to the next.
///
/// ```
/// use longhaul::protocols::{Next, PageRule, Source};
///
/// // Rows of JSON, at a URL made of the task's id, with a cursor in the body.
/// let rule = PageRule::new("jobs/{id}/results", Source::pointer("/conversations/*"))
///     .next(Next::cursor(Source::pointer("/cursor"), "cursor"));
///
/// // Rows of JSON, where the result itself is the first page (behind a 302 or 303, say), and each names the next in
/// // the header `Link`.
/// let rule = PageRule::rows(Source::pointer("/results/*")).next(Next::link());
///
/// // Pages of CSV, each with the same first line.
/// let rule = PageRule::bytes()
///     .url("jobs/query/{id}/results")
///     .next(Next::cursor(Source::header("Sforce-Locator"), "locator"))
///     .skip_repeated_header();
/// # let _ = rule;
/// ```
///
/// In data it is `pages = { url = "jobs/{id}/results", rows = "/rows/*", next = "/cursor?cursor" }`. Without `url`, the
/// result itself is the first page; without `rows`, pages are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<Source>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    skip_repeated_header: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rows_may_be_missing: bool,
}

/// The contents of a page, and the location of the next one.
pub(crate) struct Page {
    /// The rows, each as JSON text.
    pub(crate) rows: Vec<Bytes>,
    pub(crate) bytes: Bytes,
    /// Whether the bytes are lines of text.
    pub(crate) is_text: bool,
    pub(crate) next: Option<Url>,
    /// Whether the next page is at this page's requested URL with another cursor, and not at a redirect's target.
    pub(crate) is_next_asked: bool,
    /// The secrets that the page may repeat.
    pub(crate) hidden: Hidden,
}

/// The reason why an answer is not a page.
#[derive(Debug)]
pub(crate) enum NoPage {
    /// Another fetch may return a page.
    Passing(String),
    Lasting(String),
}

impl PageRule {
    /// Creates a rule for rows of JSON at this place of each page. The first page is at a URL relative to the client's
    /// base, with `{id}` for the task's id and `{/json/pointer}` for a member of the final answer.
    #[must_use]
    pub fn new(url: impl Into<String>, rows: Source) -> Self {
        Self::rows(rows).url(url)
    }

    /// Creates a rule for rows of JSON at this place of each page. The result itself is the first page, wherever the
    /// other rules find it.
    #[must_use]
    pub const fn rows(at: Source) -> Self {
        Self { url: None, rows: Some(at), next: None, skip_repeated_header: false, rows_may_be_missing: false }
    }

    /// Creates a rule for pages of bytes, such as CSV or NDJSON. The result itself is the first page, until a
    /// [`url`](PageRule::url) is set.
    #[must_use]
    pub const fn bytes() -> Self {
        Self { url: None, rows: None, next: None, skip_repeated_header: false, rows_may_be_missing: false }
    }

    /// Sets the URL of the first page, as in [`new`](PageRule::new).
    #[must_use]
    pub fn url(mut self, template: impl Into<String>) -> Self {
        self.url = Some(Template::new(template));
        self
    }

    /// Sets how one page leads to the next. Without it, there is one page.
    #[must_use]
    pub fn next(mut self, next: Next) -> Self {
        self.next = Some(next);
        self
    }

    /// Leaves out the first line of a page of bytes if it repeats the first line of the first page, as in each page of
    /// a CSV. A first line that differs is kept: it may be a row.
    #[must_use]
    pub const fn skip_repeated_header(mut self) -> Self {
        self.skip_repeated_header = true;
        self
    }

    /// Takes a page that lacks the place of the rows as one without rows, even if it has a list at another place. Without
    /// this setting such a page is an error, because the rows are probably in that list.
    #[must_use]
    pub const fn rows_may_be_missing(mut self) -> Self {
        self.rows_may_be_missing = true;
        self
    }

    pub(crate) const fn skips_repeated_header(&self) -> bool {
        self.skip_repeated_header
    }

    /// Returns whether pages have rows of JSON, and are not only bytes.
    pub(crate) const fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    pub(super) fn first(&self, base: &Url, with: Filling<'_>) -> Option<Result<Url, String>> {
        self.url.as_ref()?.url(base, with)
    }

    /// Returns whether the answer names a next page in the header `Link`, and the rule reads none.
    pub(crate) fn passes_next_over(&self, reply: &Reply) -> bool {
        self.next.is_none() && !link::in_headers(reply.headers(), "next").is_empty()
    }

    /// Returns whether the URL of the first page is made of members of an answer.
    pub(super) fn reads_an_answer(&self) -> bool {
        self.url.as_ref().is_some_and(Template::reads_an_answer)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.url.as_ref().map_or(Ok(()), |template| template.check_one(true))
    }

    /// Turns a result that the other rules found into its first page.
    pub(super) fn begin(&self, step: Step, reply: &Reply) -> Step {
        let Step::Done(report, finding) = step else { return step };
        if self.url.is_some() || !reply.status().is_success() || finding.links.len() > 1 {
            return Step::Done(report, finding);
        }
        let (pages, page) = match finding.links.first() {
            Some(link) => (link.url().clone(), None),
            // The first page arrived with this answer, and is not requested again.
            None => (reply.url().clone(), Some(Box::new(reply.clone()))),
        };
        Step::Done(report, Finding { links: Vec::new(), pages: Some(pages), page, ..finding })
    }

    /// Reads a page. `asked` is the requested URL before redirects.
    pub(crate) fn read(&self, reply: &Reply, asked: &Url) -> Result<Page, NoPage> {
        let bytes = match reply.status().as_u16() {
            204 | 205 => Bytes::new(),
            202 => return Err(NoPage::Passing("the page is not ready (202)".into())),
            206 => return Err(NoPage::Lasting("the answer is a part of a page (206)".into())),
            code if !reply.status().is_success() => {
                return Err(NoPage::Lasting(format!("the page was answered with {code}")));
            }
            _ => reply.body().clone(),
        };
        let kind = content_type(reply);
        let is_empty = without_bom(&bytes).trim_ascii().is_empty();
        if is_html(&kind, &bytes) {
            return Err(NoPage::Lasting("the page is HTML, perhaps of a login page or a gateway".into()));
        }
        if self.rows.is_some() && reply.is_heavy() {
            let why = "the page is JSON of too many small objects to be held: request smaller pages, or raise \
                       ClientBuilder::body_limit";
            return Err(NoPage::Lasting(why.to_owned()));
        }
        let json = if is_empty { None } else { reply.json() };
        let rows = match &self.rows {
            _ if is_empty => Vec::new(),
            Some(_) if json.is_none() && kind.ends_with("json") => {
                return Err(NoPage::Passing("the page is incomplete JSON".into()));
            }
            Some(_) if json.is_none() => return Err(NoPage::Lasting("the page is no JSON".into())),
            Some(at) => {
                let misplaced = json.as_ref().and_then(|json| misplaced(at, reply, json, self.rows_may_be_missing));
                if let Some(why) = misplaced {
                    return Err(NoPage::Lasting(why));
                }
                at.raw(reply)
            }
            None => Vec::new(),
        };
        let next = match &self.next {
            Some(next) => next.parse(reply, json.as_ref(), asked).map_err(NoPage::Lasting)?,
            None => None,
        };
        let is_text =
            self.skip_repeated_header || kind.starts_with("text/") || kind.contains("json") || kind.contains("csv");
        let bytes = if is_empty { Bytes::new() } else { bytes };
        let is_next_asked = next.as_ref().is_some_and(|(_, is_asked)| *is_asked);
        let next = next.map(|(url, _)| url);
        Ok(Page { rows, bytes, is_text, next, is_next_asked, hidden: reply.hidden() })
    }
}

/// Returns the media type, in lower case and without parameters.
fn content_type(reply: &Reply) -> String {
    let kind = reply.header("content-type").unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_html(kind: &str, body: &[u8]) -> bool {
    let begins_with = |mark: &[u8]| {
        let body = without_bom(body).trim_ascii_start();
        body.get(..mark.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(mark))
    };
    matches!(kind, "text/html" | "application/xhtml+xml")
        && !body.trim_ascii().is_empty()
        && body.trim_ascii_start().starts_with(b"<")
        || begins_with(b"<!doctype html")
        || begins_with(b"<html")
}

/// Returns why the rows of a document are at another place than the rule's; `None` if the document may have no rows.
fn misplaced(at: &Source, reply: &Reply, json: &Value, may_be_missing: bool) -> Option<String> {
    let text = at.to_string();
    let (list, is_each) = text.strip_suffix("/*").map_or((text.as_str(), false), |list| (list, true));
    if !text.starts_with('/') || list.contains('*') {
        return None;
    }
    let found = Source::pointer(list).value(reply, Some(json));
    if !is_each {
        let is_list = found.is_some_and(|found| found.is_array());
        return is_list.then(|| format!("`{text}` is a list: set the place of its rows, `{text}/*`"));
    }
    let is_there = if list.is_empty() { json.is_array() } else { found.is_some() || json.pointer(list).is_some() };
    if is_there {
        return None;
    }
    if has_only_an_error(json) {
        return Some(format!("`{text}` is not in the page, which holds nothing but an error"));
    }
    if may_be_missing {
        return None;
    }
    let has_rows = |value: &Value| value.as_array().is_some_and(|rows| !rows.is_empty());
    let other = match json {
        Value::Array(_) => Some("/*".to_owned()).filter(|_| has_rows(json)),
        Value::Object(members) => {
            let named = members.iter().find(|(_, value)| has_rows(value));
            named
                .map(|(name, _)| format!("/{}/*", name.escape_debug().to_string().chars().take(40).collect::<String>()))
        }
        _ => None,
    };
    other.map(|other| {
        format!(
            "`{text}` is not in the page; if the rows are at `{other}`, set that with \
                               PageRule::rows"
        )
    })
}
