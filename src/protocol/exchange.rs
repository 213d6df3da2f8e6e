//! Exchange: a request of a protocol, as a template.

use std::fmt;
use std::str::FromStr;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::location::{is_below, join_template};
use super::template::{self, Filling, Template};

/// A request of a protocol: method, URL, and a JSON body if there is one, with `{id}` for the task's id and `{status}`
/// for its status URL.
///
/// The text has the form of the first line of HTTP, also in serialized form. The URL is relative to the client's base.
///
/// ```
/// use longhaul::protocols::Exchange;
///
/// let check: Exchange = r#"POST jobs/check {"async_job_id": "{id}"}"#.parse()?;
/// assert_eq!(check.to_string(), r#"POST jobs/check {"async_job_id": "{id}"}"#);
/// assert!("jobs/{id}".parse::<Exchange>().is_err());
/// # Ok::<(), longhaul::protocols::ExchangeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exchange {
    method: Method,
    target: String,
    body: Option<String>,
}

/// A text that is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no request such as `DELETE {{status}}` or `POST jobs/{{id}}/cancel {{\"now\": true}}`")]
pub struct ExchangeError(String);

impl Exchange {
    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn is_default_cancel(&self) -> bool {
        self.to_string() == DEFAULT_CANCEL
    }

    /// Returns whether the request goes to the status URL, or below it.
    pub(super) fn uses_status(&self) -> bool {
        self.target.starts_with("{status}")
    }

    /// Returns whether the answer has no body (RFC 9110, 9.3.2).
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Returns the URL and the body for a task; `None` if the task lacks the id or the status URL to insert.
    pub(super) fn fill(&self, base: &Url, id: Option<&str>, status: Option<&str>) -> Option<(Url, Option<String>)> {
        if self.body.as_ref().is_some_and(|body| body.contains("{id}")) && id.is_none_or(str::is_empty) {
            return None;
        }
        let filling = Filling { id, answer: None };
        let url = if let Some(below) = self.target.strip_prefix("{status}") {
            let mut url = Url::parse(status?).ok()?;
            if !below.is_empty() {
                let before = url.path().trim_end_matches('/').to_owned();
                let mut root = url.clone();
                root.set_path(&format!("{before}{}", below.split(['{', '?']).next().unwrap_or_default()));
                root.set_query(None);
                let filled = Template::new(below).fill(filling).into_iter().next()?;
                let (path, query) = filled.split_once('?').unwrap_or((&filled, ""));
                url.set_path(&format!("{before}{path}"));
                if !query.is_empty() {
                    let all = [url.query().unwrap_or_default(), query].join("&");
                    url.set_query(Some(all.trim_start_matches('&')));
                }
                if !is_below(&root, &url) {
                    return None;
                }
            }
            url
        } else {
            let template = Template::new(&*self.target);
            match template.url(base, filling)? {
                Ok(url) => url,
                // An id that makes no URL is sent encoded, and the service answers that it has no such path.
                Err(_) => join_template(base, &self.target, template.fill(filling).first()?).ok()?,
            }
        };
        Some((url, self.body_for(id)))
    }

    /// Checks that the URL can be filled. The braces of a body are its own, except `{id}`.
    pub(super) fn check(&self) -> Result<(), String> {
        let below = self.target.strip_prefix("{status}").unwrap_or(&self.target);
        Template::new(below).check_one(false).map_err(|why| format!("`{self}`: {why}"))
    }

    /// Returns the URL and the body for several tasks; `None` if their ids make no URL below the fixed part.
    pub(super) fn fill_many(&self, base: &Url, ids: &[&str]) -> Option<(Url, Option<String>)> {
        let encoded: Vec<_> = ids.iter().map(|id| template::encoded(id, false, "?")).collect();
        let filled = map_places(&self.target, |place| match place {
            "ids" => Some(encoded.join(",")),
            place => exploded(place).map(|(first, name)| {
                let pairs: Vec<_> = encoded.iter().map(|id| format!("{name}={id}")).collect();
                format!("{first}{}", pairs.join("&"))
            }),
        });
        let url = join_template(base, &self.target, &filled.ok()?).ok()?;
        let body = self.body.as_ref().and_then(|body| {
            let mut body = serde_json::from_str(body).ok()?;
            insert(&mut body, ids);
            Some(body.to_string())
        });
        Some((url, body))
    }

    /// Checks that there is a place for the ids of several tasks, and no other place.
    pub(super) fn check_many(&self) -> Result<(), String> {
        let in_body = self.body.as_ref().is_some_and(|body| body.contains("{ids}"));
        let mut in_url = false;
        map_places(&self.target, |place| {
            let is_known = place == "ids" || exploded(place).is_some();
            in_url |= is_known;
            is_known.then(String::new)
        })
        .map_err(|why| format!("`{self}`: {why}"))?;
        let none = || format!("`{self}` has no place for the ids: write `{{ids}}`, or `{{?id*}}` for a pair of each");
        if in_url || in_body { Ok(()) } else { Err(none()) }
    }

    /// Returns the body, with the id inserted into its JSON text.
    pub(super) fn body_for(&self, id: Option<&str>) -> Option<String> {
        let quoted = Value::from(id.unwrap_or_default()).to_string();
        let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        self.body.as_ref().map(|body| body.replace("{id}", inside))
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        self.body.iter().try_for_each(|body| write!(f, " {body}"))
    }
}

impl FromStr for Exchange {
    type Err = ExchangeError;

    fn from_str(text: &str) -> Result<Self, ExchangeError> {
        let wrong = || ExchangeError(text.to_owned());
        let (method, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let (target, body) =
            rest.trim().split_once(' ').map_or((rest.trim(), None), |(target, body)| (target, Some(body)));
        if target.is_empty() || method.chars().any(|c| !c.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let body = body.map(|body| body.trim().to_owned()).filter(|body| !body.is_empty());
        if body.as_ref().is_some_and(|body| serde_json::from_str::<Value>(body).is_err()) {
            return Err(wrong());
        }
        Ok(Self { method: method.parse().map_err(|_| wrong())?, target: target.to_owned(), body })
    }
}

impl TryFrom<String> for Exchange {
    type Error = ExchangeError;

    fn try_from(text: String) -> Result<Self, ExchangeError> {
        text.parse()
    }
}

impl From<Exchange> for String {
    fn from(exchange: Exchange) -> Self {
        exchange.to_string()
    }
}

/// Replaces the places in braces; one that `with` does not know is an error.
fn map_places(text: &str, mut with: impl FnMut(&str) -> Option<String>) -> Result<String, String> {
    let (mut made, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        let (place, after) = behind.split_once('}').ok_or("it has a `{` without its `}`")?;
        let wrong = || format!("`{{{place}}}` is no place for the ids of several tasks");
        made += before;
        made += &with(place).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(made + rest)
}

/// Returns the first character and the name of `?name*` or `&name*`: a pair for each value (RFC 6570, 3.2.8).
fn exploded(place: &str) -> Option<(char, &str)> {
    let first = place.chars().next().filter(|first| matches!(first, '?' | '&'))?;
    let name = place.get(1..)?.strip_suffix('*')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    (!name.is_empty() && name.chars().all(is_name)).then_some((first, name))
}

/// Inserts ids into JSON: an element `"{ids}"` of a list becomes all of them, any other text has them with commas.
fn insert(body: &mut Value, ids: &[&str]) {
    match body {
        Value::String(text) => *text = text.replace("{ids}", &ids.join(",")),
        Value::Array(items) => {
            let all = |item: Value| match item {
                Value::String(text) if text == "{ids}" => ids.iter().map(|id| Value::from(*id)).collect(),
                mut item => {
                    insert(&mut item, ids);
                    vec![item]
                }
            };
            *items = std::mem::take(items).into_iter().flat_map(all).collect();
        }
        Value::Object(members) => members.values_mut().for_each(|member| insert(member, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(super) const DEFAULT_CANCEL: &str = "DELETE {status}";

/// An exchange that may be missing, even if a default has one: the text `none`.
pub(super) mod or_none {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Exchange;

    #[expect(clippy::ref_option, reason = "the shape that serde wants")]
    pub(crate) fn serialize<S: Serializer>(exchange: &Option<Exchange>, to: S) -> Result<S::Ok, S::Error> {
        match exchange {
            Some(exchange) => to.collect_str(exchange),
            None => to.serialize_str("none"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Exchange>, D::Error> {
        let text = String::deserialize(from)?;
        if text == "none" { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
    }
}
