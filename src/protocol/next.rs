//! Next: how one page leads to the next.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::location::join;
use crate::message::Reply;
use crate::pointer::{Source, SourceError};
use crate::redact::is_signed;

/// How one page leads to the next: a place that holds its URL, or a cursor for a member of the query. A page is the
/// last if the value is absent, empty, or the text `null`.
///
/// The serialized form is `/next` for a URL, `rel:next` for the header `Link`, `/cursor?cursor` or
/// `header:Sforce-Locator?locator` for a cursor and its member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Next {
    at: Source,
    member: Option<String>,
}

impl Next {
    /// Reads the next page's URL at a place. A relative URL is relative to the page.
    #[must_use]
    pub const fn url(at: Source) -> Self {
        Self { at, member: None }
    }

    /// Reads the link of the relation `next`: in the header `Link` (RFC 8288), else in `links` or `_links` of the body.
    #[must_use]
    pub fn link() -> Self {
        Self::url(Source::rel("next"))
    }

    /// Reads a cursor at a place, and puts it into this member of the query. The rest of the page's query stays.
    #[must_use]
    pub fn cursor(at: Source, member: impl Into<String>) -> Self {
        Self { at, member: Some(member.into()) }
    }

    /// Returns the URL of the next page, and whether it is the requested URL with another cursor; `None` after the
    /// last. An error describes the value in its place.
    pub(super) fn parse(
        &self,
        reply: &Reply,
        json: Option<&Value>,
        asked: &Url,
    ) -> Result<Option<(Url, bool)>, String> {
        let Some(value) = self.at.value(reply, json) else { return Ok(None) };
        let is_nothing =
            value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty);
        if is_nothing || value.as_bool() == Some(false) {
            return Ok(None);
        }
        let text = self
            .at
            .exact_text(reply, json)
            .ok_or_else(|| format!("{}, which leads to the next page, is no text", self.at))?;
        if text.eq_ignore_ascii_case("null") {
            return Ok(None);
        }
        // The cursor is the API's, and a signed storage URL accepts none.
        let is_asked = self.member.is_some() && is_signed(reply.url());
        let url = match &self.member {
            None => join(reply.url(), &text).map_err(|why| format!("{}, the next page, is no URL: {why}", self.at))?,
            Some(member) => with_member(if is_asked { asked } else { reply.url() }, member, &text),
        };
        if url == *reply.url() || url == *asked {
            return Err("the page names itself as the next".into());
        }
        Ok(Some((url, is_asked)))
    }
}

fn with_member(page: &Url, member: &str, value: &str) -> Url {
    let mut url = page.clone();
    let others = page.query_pairs().filter(|(name, _)| name != member);
    let kept: Vec<(String, String)> = others.map(|(name, value)| (name.into(), value.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair(member, value);
    url
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
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('?') {
            Some((at, "")) => Ok(Self::url(at.parse()?)),
            Some((at, member)) => Ok(Self::cursor(at.parse()?, member)),
            None => Ok(Self::url(text.parse()?)),
        }
    }
}

impl TryFrom<String> for Next {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Next> for String {
    fn from(next: Next) -> Self {
        next.to_string()
    }
}
