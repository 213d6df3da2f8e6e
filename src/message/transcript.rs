//! Transcript: the recorded answers of one task, without secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::Reply;
use crate::clock::seconds;
use crate::redact::{HIDDEN, is_secret, veiled_json, veiled_text, veiled_url};

/// The recorded answers of one task, in their order, as data: what a service sent to the submit and to each poll.
///
/// Secrets are left out: credentials are no part of an answer, and tokens, cookies, signatures and all that the client
/// sent as a secret are replaced by `hidden`. Bodies that are no JSON are kept as text up to 64 KiB, and left out
/// beyond. Read a transcript before you give it away: a service may put personal data into its answers.
///
/// ```
/// use longhaul::Profile;
/// use longhaul::http::Transcript;
///
/// let transcript: Transcript = serde_json::from_str(r#"{
///     "base": "https://api.example.com/v1/", "method": "POST",
///     "answers": [
///         { "url": "https://api.example.com/v1/exports", "status": 202, "headers": { "location": "tasks/7" } },
///         { "url": "https://api.example.com/v1/tasks/7", "status": 200, "body": { "status": "failed" } }
///     ]
/// }"#)?;
/// let replay = Profile::auto().replay(None, &transcript);
/// assert_eq!(replay.state(), Some(longhaul::State::Failed));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    base: Url,
    /// The method of the submit.
    #[serde(with = "method")]
    method: Method,
    /// The kind of task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    answers: Vec<Answer>,
}

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// The time since the submit's answer.
    #[serde(default, with = "seconds", skip_serializing_if = "Duration::is_zero")]
    pub(crate) after: Duration,
    pub(crate) url: Url,
    status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// A JSON document, or the text of another body.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    body: Value,
    /// The length of a body that is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<usize>,
}

impl Transcript {
    pub(crate) const fn new(base: Url, method: Method, kind: Option<String>) -> Self {
        Self { base, method, kind, answers: Vec::new() }
    }

    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) const fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the kind of the task, if it has one.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Returns the number of answers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.answers.len()
    }

    /// Returns whether there is no answer.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    pub(crate) fn push(&mut self, answer: Answer) {
        self.answers.push(answer);
    }
}

impl Answer {
    /// Records an answer without its secrets.
    pub(crate) fn record(reply: &Reply, after: Duration) -> Self {
        let mask = reply.mask();
        let headers = reply.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let is_hidden = name == http::header::SET_COOKIE || is_secret(name.as_str(), &value);
            (name.as_str().to_owned(), if is_hidden { HIDDEN.to_owned() } else { veiled_text(&value, &mask) })
        });
        let (body, left_out) = match reply.json() {
            Some(json) => (veiled_json(&json, &mask), None),
            None => match std::str::from_utf8(reply.body()) {
                Ok("") => (Value::Null, None),
                Ok(text) if text.len() <= LONGEST_TEXT => (Value::String(veiled_text(text, &mask)), None),
                _ => (Value::Null, Some(reply.body().len())),
            },
        };
        Self {
            after,
            url: veiled_url(reply.url()),
            status: reply.status().as_u16(),
            headers: headers.collect(),
            body,
            left_out,
        }
    }

    /// Returns the answer as a protocol reads it; an error says what in it is not HTTP.
    pub(crate) fn reply(&self) -> Result<Reply, String> {
        let status = StatusCode::from_u16(self.status).map_err(|_| format!("{} is no HTTP status", self.status))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name).map_err(|_| format!("`{}` is no header", name.escape_debug()))?;
            let value = HeaderValue::try_from(value).map_err(|_| format!("the value of `{name}` is not HTTP"))?;
            headers.insert(parsed, value);
        }
        let is_json = headers
            .get(http::header::CONTENT_TYPE)
            .is_none_or(|kind| kind.to_str().is_ok_and(|kind| kind.to_ascii_lowercase().contains("json")));
        let body = match (&self.body, self.left_out) {
            (Value::Null, Some(bytes)) => "x".repeat(bytes.min(LONGEST_TEXT)),
            (Value::Null, None) => String::new(),
            (Value::String(text), _) if !is_json => text.clone(),
            (json, _) => json.to_string(),
        };
        Ok(Reply::new(status, self.url.clone(), headers, body))
    }
}

mod method {
    use http::Method;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(method.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Method, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// A status is never longer.
const LONGEST_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_recorded_without_secrets_and_read_again() {
        let url: Url = "https://a.example/t/7?api_key=K3Y9&v=1".parse().unwrap();
        let headers = [
            ("location", "https://s.example/f?sig=S1G"),
            ("set-cookie", "sid=C00KIE"),
            ("x-auth-token", "T0KEN"),
            ("retry-after", "5"),
        ];
        let headers: HeaderMap = headers
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .into_iter()
            .collect();
        let reply =
            Reply::new(StatusCode::OK, url, headers, r#"{"status":"done","file":"https://s.example/f?sig=S1G"}"#);
        let answer = Answer::record(&reply, Duration::from_secs(3));
        let text = serde_json::to_string(&answer).unwrap();
        for secret in ["K3Y9", "S1G", "C00KIE", "T0KEN"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let again = serde_json::from_str::<Answer>(&text).unwrap().reply().unwrap();
        assert_eq!((again.status(), again.url().query()), (StatusCode::OK, Some("api_key=hidden&v=1")));
        assert_eq!(again.headers()["retry-after"], "5");
        assert_eq!(again.json().unwrap()["file"], "https://s.example/f?sig=hidden");
    }

    #[test]
    fn a_body_that_is_no_json_is_text_or_its_length() {
        let url: Url = "https://a.example/".parse().unwrap();
        let of = |body: Vec<u8>| {
            let headers = HeaderMap::from_iter([("content-type".parse().unwrap(), "text/csv".parse().unwrap())]);
            Answer::record(&Reply::new(StatusCode::OK, url.clone(), headers, body), Duration::ZERO)
        };
        assert_eq!(of(b"a,b\n1,2\n".to_vec()).reply().unwrap().body().as_ref(), b"a,b\n1,2\n");
        assert_eq!(of(vec![0xff; 9]).left_out, Some(9));
        assert_eq!(of(vec![b'a'; LONGEST_TEXT + 1]).left_out, Some(LONGEST_TEXT + 1));
    }
}
