//! PageRule: how a result comes in pages. A pure reader, as all of a protocol.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::location::{join, join_template};
use crate::message::Reply;
use crate::pointer::Source;

/// How a result comes in pages: where the first is, where the rows stand, and how one page leads to the next.
///
/// ```
/// use longhaul::{Next, PageRule, Source};
///
/// let rule = PageRule::new("jobs/{id}/results", Source::pointer("/conversations/*"))
///     .next(Next::cursor(Source::pointer("/cursor"), "cursor"));
/// # let _ = rule;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRule {
    url: String,
    rows: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// How one page leads to the next: a place that holds its URL, or a cursor for a member of the query. It is the last
/// where that is absent, empty or the text `null`.
///
/// Written `/next` for a URL, `/cursor?cursor` or `header:Sforce-Locator?locator` for a cursor and its member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Next {
    at: Source,
    member: Option<String>,
}

impl PageRule {
    /// The URL of the first page, relative to the base and with `{id}` for the task's id, and the place of the rows.
    #[must_use]
    pub fn new(url: impl Into<String>, rows: Source) -> Self {
        Self { url: url.into(), rows, next: None }
    }

    /// How one page leads to the next.
    #[must_use]
    pub fn next(mut self, next: Next) -> Self {
        self.next = Some(next);
        self
    }

    pub(super) fn first(&self, base: &Url, id: Option<&str>) -> Option<Url> {
        if self.url.contains("id}") && id.is_none() {
            return None;
        }
        join_template(base, &self.url, &crate::pointer::expand(&self.url, id.unwrap_or_default())).ok()
    }

    /// The rows of a page, and the URL of the next; an error says what stands in its place.
    pub(crate) fn read(&self, reply: &Reply) -> Result<(Vec<Value>, Option<Url>), String> {
        let json = reply.json().ok_or_else(|| {
            "the page is no JSON, or one of so many small objects that it is not read: ask for smaller pages".to_owned()
        })?;
        let rows = self.rows.values(reply, Some(&json)).into_iter().map(std::borrow::Cow::into_owned).collect();
        let Some(next) = &self.next else { return Ok((rows, None)) };
        let Some(text) = next.at.text(reply, Some(&json)).filter(|text| text != "null") else {
            return Ok((rows, None));
        };
        let url = match &next.member {
            None => join(reply.url(), &text)?,
            Some(member) => {
                let mut url = reply.url().clone();
                let kept: Vec<(String, String)> = url
                    .query_pairs()
                    .filter(|(name, _)| name != member.as_str())
                    .map(|(a, b)| (a.into(), b.into()))
                    .collect();
                url.query_pairs_mut().clear().extend_pairs(kept).append_pair(member, &text);
                url
            }
        };
        if url == *reply.url() {
            return Err("the page names itself as the next".into());
        }
        Ok((rows, Some(url)))
    }
}

impl Next {
    /// The place of the next page's URL.
    #[must_use]
    pub const fn url(at: Source) -> Self {
        Self { at, member: None }
    }

    /// The place of a cursor, and the member of the query that it goes into.
    #[must_use]
    pub fn cursor(at: Source, member: impl Into<String>) -> Self {
        Self { at, member: Some(member.into()) }
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_string();
        let mark = if at.contains('?') && self.member.is_none() { "?" } else { "" };
        write!(f, "{at}{mark}")?;
        self.member.iter().try_for_each(|member| write!(f, "?{member}"))
    }
}

impl FromStr for Next {
    type Err = crate::pointer::SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('?') {
            Some((at, "")) => Ok(Self::url(at.parse()?)),
            Some((at, member)) => Ok(Self::cursor(at.parse()?, member)),
            None => Ok(Self::url(text.parse()?)),
        }
    }
}

impl TryFrom<String> for Next {
    type Error = crate::pointer::SourceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Next> for String {
    fn from(next: Next) -> Self {
        next.to_string()
    }
}
