//! Exchange: a request of a protocol, as a template.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::location::{is_below, join_template};
use super::template::{self, Filling, Template};

/// A request of a protocol: method, URL, headers and a body if there are any, with `{id}` for the task's id, `{status}`
/// for its status URL, and `{submit}` for the URL of its submit.
///
/// The text has the form of HTTP, also in serialized form: a first line, with a body of JSON behind it; or, if there are
/// headers, a line for each of them, an empty line, and the body. The URL is relative to the client's base; `{status}`
/// and `{submit}` are known at its beginning alone, and `{submit}` has no query. In a body, `{id}` is written as JSON or
/// a form requires.
///
/// ```
/// use longhaul::protocols::Exchange;
///
/// let check: Exchange = r#"POST jobs/check {"async_job_id": "{id}"}"#.parse()?;
/// assert_eq!(check.to_string(), r#"POST jobs/check {"async_job_id": "{id}"}"#);
/// assert!("jobs/{id}".parse::<Exchange>().is_err());
///
/// let run: Exchange = "POST {status}/phase\nContent-Type: application/x-www-form-urlencoded\n\nPHASE=RUN".parse()?;
/// assert_eq!(run, Exchange::new(http::Method::POST, "{status}/phase").form("PHASE=RUN"));
/// # Ok::<(), longhaul::protocols::ExchangeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exchange {
    method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<String>,
}

/// A text that is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no request such as `DELETE {{status}}` or `POST jobs/{{id}}/cancel {{\"now\": true}}`")]
pub struct ExchangeError(String);

impl Exchange {
    /// Creates a request without headers and body. A wrong target is an error of
    /// [`Protocol::check`](crate::Protocol::check).
    #[must_use]
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: Vec::new(), body: None }
    }

    /// Sets a header, which takes precedence over the task's own of that name. Names that say where a secret is are
    /// better set on the submit: a protocol is shown and stored as it is.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// Sets a body of JSON.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.headers.retain(|(name, _)| name != header::CONTENT_TYPE);
        self.body = Some(body.to_string());
        self
    }

    /// Sets the body of a form, encoded as it is sent, such as `PHASE=RUN`.
    #[must_use]
    pub fn form(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header(header::CONTENT_TYPE, HeaderValue::from_static(FORM))
    }

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
    pub(super) fn fill(
        &self,
        base: &Url,
        id: Option<&str>,
        status: Option<&str>,
        submit: &str,
    ) -> Option<(Url, Option<String>)> {
        if self.body.as_ref().is_some_and(|body| body.contains("{id}")) && id.is_none_or(str::is_empty) {
            return None;
        }
        let filling = Filling { id, answer: None, submit: Some(submit) };
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
            let template = template.resolved(filling.submit)?;
            match template.url(base, filling)? {
                Ok(url) => url,
                // An id that makes no URL is sent encoded, and the service answers that it has no such path.
                Err(_) => join_template(base, &template.to_string(), template.fill(filling).first()?).ok()?,
            }
        };
        Some((url, self.body_for(id)))
    }

    /// Checks that the URL and the body can be filled. The braces of a body are its own, except `{id}`.
    pub(super) fn check(&self) -> Result<(), String> {
        let wrong = |why: String| format!("`{self}`: {why}");
        if self.to_string().parse::<Self>().as_ref() != Ok(self) {
            return Err(wrong("it is no request that could be written".to_owned()));
        }
        let is_filled = self.body.as_ref().is_some_and(|body| body.contains("{id}"));
        if is_filled && self.content_type() == Some(ContentType::Other) {
            return Err(wrong("an {id} can be filled into a body of JSON, and of a form".to_owned()));
        }
        let below = self.target.strip_prefix("{status}").unwrap_or(&self.target);
        Template::new(below).check_one(false).map_err(wrong)
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
        let body = self.body.as_ref().map(|body| match serde_json::from_str(body) {
            Ok(mut json) if body.contains("{ids}") => {
                insert(&mut json, ids);
                json.to_string()
            }
            // Without a place for ids, the body is sent as it is.
            _ => body.clone(),
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
        if in_body && self.content_type() != Some(ContentType::Json) {
            return Err(format!(
                "`{self}`: the ids of several tasks can be filled into a URL, and into a body of JSON"
            ));
        }
        let none = || format!("`{self}` has no place for the ids: write `{{ids}}`, or `{{?id*}}` for a pair of each");
        if in_url || in_body { Ok(()) } else { Err(none()) }
    }

    /// Returns the body, with the id inserted as its format requires.
    pub(super) fn body_for(&self, id: Option<&str>) -> Option<String> {
        let body = self.body.as_ref()?;
        let id = id.unwrap_or_default();
        Some(match self.content_type() {
            Some(ContentType::Form) => body.replace("{id}", &byte_serialize(id.as_bytes()).collect::<String>()),
            Some(ContentType::Json) => {
                let quoted = Value::from(id).to_string();
                let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
                body.replace("{id}", inside)
            }
            _ => body.clone(),
        })
    }

    /// Puts the headers of the request over others: a body without a Content-Type is JSON.
    pub(super) fn dress(&self, headers: &mut HeaderMap) {
        if self.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }

    /// Returns the format of the body, if there is one.
    fn content_type(&self) -> Option<ContentType> {
        self.body.as_ref()?;
        let named = self.headers.iter().find(|(name, _)| name == header::CONTENT_TYPE);
        let named = named.map(|(_, value)| value.to_str().unwrap_or_default().to_ascii_lowercase());
        Some(match named {
            None => ContentType::Json,
            Some(named) if named.split(';').any(|part| part.trim() == FORM) => ContentType::Form,
            Some(named) if named.split(';').next().is_some_and(|kind| kind.contains("json")) => ContentType::Json,
            Some(_) => ContentType::Other,
        })
    }
}

/// The format of a body, as far as values are filled into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentType {
    Json,
    Form,
    Other,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(f, "\n{name}: {}", value.to_str().unwrap_or_default())?;
        }
        let before = if self.headers.is_empty() { " " } else { "\n\n" };
        self.body.iter().try_for_each(|body| write!(f, "{before}{body}"))
    }
}

impl FromStr for Exchange {
    type Err = ExchangeError;

    fn from_str(text: &str) -> Result<Self, ExchangeError> {
        parse(text).filter(Self::is_whole).ok_or_else(|| ExchangeError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Exchange> {
    let text = text.trim();
    let (method, rest) = text.split_once(' ')?;
    if method.chars().any(|c| !c.is_ascii_uppercase()) {
        return None;
    }
    let end = rest.trim_start().find([' ', '\n', '\r']).unwrap_or(rest.trim_start().len());
    let (target, behind) = rest.trim_start().split_at(end);
    let exchange = Exchange::new(method.parse().ok()?, target);
    // A line break right behind the URL begins the headers, and one inside of JSON does not.
    let (line, headers) = behind.split_once('\n').unwrap_or((behind, ""));
    if !line.trim().is_empty() {
        return Some(Exchange { body: Some(behind.trim().to_owned()), ..exchange });
    }
    let mut headers = headers.lines();
    let exchange =
        headers.by_ref().take_while(|line| !line.trim().is_empty()).try_fold(exchange, |exchange, line| {
            let (name, value) = line.split_once(':')?;
            Some(exchange.header(name.trim().parse().ok()?, value.trim().parse().ok()?))
        })?;
    let body = headers.collect::<Vec<_>>().join("\n").trim().to_owned();
    Some(Exchange { body: Some(body).filter(|body| !body.is_empty()), ..exchange })
}

impl Exchange {
    /// Returns whether there is a URL, and the body is of its format.
    fn is_whole(&self) -> bool {
        let body = self.body.as_deref().unwrap_or_default();
        !self.target.is_empty()
            && match self.content_type() {
                Some(ContentType::Json) => serde_json::from_str::<Value>(body).is_ok(),
                Some(ContentType::Form) => !body.contains(char::is_whitespace),
                Some(ContentType::Other) | None => true,
            }
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
const FORM: &str = "application/x-www-form-urlencoded";

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

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> (String, Option<String>) {
        let base = "https://a.example/v1/".parse().unwrap();
        let exchange: Exchange = text.parse().unwrap();
        exchange.check().unwrap();
        let status = Some("https://a.example/v1/jobs/7?k=1");
        let (url, body) = exchange.fill(&base, Some("a \"b&c"), status, "https://a.example/v1/jobs?x=1").unwrap();
        (url.to_string(), body)
    }

    #[test]
    fn is_filled_in_url_and_body() {
        for (text, url, body) in [
            ("DELETE {status}", "https://a.example/v1/jobs/7?k=1", None),
            ("POST {submit}/{id}/cancel", "https://a.example/v1/jobs/a%20%22b%26c/cancel", None),
            ("POST check {\"a\":\"{id}\"}", "https://a.example/v1/check", Some("{\"a\":\"a \\\"b&c\"}")),
            (
                "POST {status}/phase\nContent-Type: application/x-www-form-urlencoded\n\nPHASE=RUN&of={id}",
                "https://a.example/v1/jobs/7/phase?k=1",
                Some("PHASE=RUN&of=a+%22b%26c"),
            ),
            (
                "POST {submit}\nX-Target: Get\nContent-Type: application/x-amz-json-1.1\n\n{\"Id\": \"{id}\"}",
                "https://a.example/v1/jobs",
                Some("{\"Id\": \"a \\\"b&c\"}"),
            ),
        ] {
            assert_eq!(filled(text), (url.to_owned(), body.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn is_the_text_that_it_was_written_as() {
        for (text, same) in [
            ("GET x", "GET x"),
            ("POST x  { \"a\": [\n1]}", "POST x { \"a\": [\n1]}"),
            ("POST x\r\nA: b\r\nC:d\r\n\r\n{}", "POST x\na: b\nc: d\n\n{}"),
            ("HEAD x\na: b\n", "HEAD x\na: b"),
            ("POST x\na: b\na: c\n\n7", "POST x\na: c\n\n7"),
        ] {
            let exchange: Exchange = text.parse().unwrap();
            assert_eq!(exchange.to_string(), same);
            assert_eq!(same.parse(), Ok(exchange));
        }
        let mut headers = HeaderMap::from_iter([(HeaderName::from_static("x"), HeaderValue::from_static("old"))]);
        let exchange: Exchange = "POST x\nX: new\n\n{}".parse().unwrap();
        exchange.dress(&mut headers);
        assert_eq!(
            (&headers["x"], &headers["content-type"]),
            (&"new".parse().unwrap(), &"application/json".parse().unwrap())
        );
        for wrong in ["", "GET", "get x", "POST x {", "POST x\n{}", "POST x\na: b\n\n{", "POST x\na b\n\n{}"] {
            wrong.parse::<Exchange>().unwrap_err();
        }
        for wrong in [
            Exchange::new(Method::GET, ""),
            Exchange::new(Method::GET, "a b"),
            Exchange::new(Method::GET, "{job}"),
            Exchange::new(Method::POST, "x").form("a b"),
            "POST x\nContent-Type: text/xml\n\n<a>{id}</a>".parse().unwrap(),
        ] {
            wrong.check().unwrap_err();
        }
    }
}
