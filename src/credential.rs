//! Credential: what proves to the service who asks.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use http::{HeaderName, HeaderValue, header};

use crate::error::{Error, ErrorKind};
use crate::message::Request;
use crate::redact::Secret;

/// What proves to the service who asks. It goes to the client's own origin only, and is never shown.
///
/// ```
/// use longhaul::Credential;
///
/// // A gateway that wants a subscription key beside the user's token.
/// let credential = Credential::bearer("eyJhbGciOi")
///     .and(Credential::api_key_header("Ocp-Apim-Subscription-Key", "5f2b"));
/// assert_eq!(
///     format!("{credential:?}"),
///     "Credential[bearer, header ocp-apim-subscription-key]",
/// );
/// ```
#[derive(Clone, Default)]
pub struct Credential(Vec<Part>);

#[derive(Clone)]
enum Part {
    Header { name: String, value: Secret, label: &'static str },
    Query { name: String, value: Secret },
}

impl Credential {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// `Authorization: Bearer` and this token (RFC 6750), which may have that word before it already.
    #[must_use]
    pub fn bearer(token: impl AsRef<str>) -> Self {
        let token = token.as_ref().trim();
        let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
        let value = Secret::new(format!("Bearer {token}"));
        Self(vec![Part::Header { name: header::AUTHORIZATION.as_str().to_owned(), value, label: "bearer" }])
    }

    /// An API key in a header of this name.
    #[must_use]
    pub fn api_key_header(name: impl AsRef<str>, key: impl Into<String>) -> Self {
        let name = name.as_ref().to_ascii_lowercase();
        Self(vec![Part::Header { name, value: Secret::new(key), label: "" }])
    }

    /// An API key in the query, under this name.
    #[must_use]
    pub fn api_key_query(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self(vec![Part::Query { name: name.into(), value: Secret::new(key) }])
    }

    /// This one and another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether every part can be put on a request.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let empty = self.0.iter().any(|part| {
            let (Part::Header { value, .. } | Part::Query { value, .. }) = part;
            matches!(value.expose().trim(), "" | "Bearer")
        });
        if empty {
            return Err(Error::new(ErrorKind::Config, "a part of the credential is empty"));
        }
        self.headers().map(drop)
    }

    /// Puts it on a request, in place of what stands there under the same names.
    pub(crate) fn stamp(&self, request: &mut Request) -> Result<(), Error> {
        for (name, value) in self.headers()? {
            request.headers_mut().insert(name, value);
        }
        let url = request.url_mut();
        if self.query_names().next().is_some() {
            self.strip(url);
            let mut pairs = url.query_pairs_mut();
            for part in &self.0 {
                if let Part::Query { name, value } = part {
                    pairs.append_pair(name, value.expose());
                }
            }
        }
        Ok(())
    }

    /// Takes out of a URL what this credential puts in: a service may echo the key in its own links.
    pub(crate) fn strip(&self, url: &mut url::Url) {
        let is_ours = |name: &str| self.query_names().any(|ours| ours.eq_ignore_ascii_case(name));
        if !url.query_pairs().any(|(name, _)| is_ours(&name)) {
            return;
        }
        let kept: Vec<_> = url.query_pairs().filter(|(name, _)| !is_ours(name)).collect();
        let query =
            kept.iter().fold(url::form_urlencoded::Serializer::new(String::new()), |mut query, (name, value)| {
                query.append_pair(name, value);
                query
            });
        let query = Some({ query }.finish()).filter(|query| !query.is_empty());
        drop(kept);
        url.set_query(query.as_deref());
    }

    /// What it is made of, without the secrets; `None` for none.
    pub(crate) fn label(&self) -> Option<String> {
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|part| match part {
                Part::Header { name, label: "", .. } => format!("header {}", shown(name)),
                Part::Header { label, .. } => (*label).to_owned(),
                Part::Query { name, .. } => format!("query {}", shown(name)),
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Tells one from another within this process, without a way back.
    pub(crate) fn id(&self) -> String {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut hasher = KEYS.build_hasher();
        for part in &self.0 {
            let (Part::Header { name, value, .. } | Part::Query { name, value }) = part;
            (name, value.expose()).hash(&mut hasher);
        }
        format!("{} #{:08x}", self.label().unwrap_or_default(), hasher.finish() >> 32)
    }

    fn query_names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Query { name, .. } => Some(name.as_str()),
            Part::Header { .. } => None,
        })
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let mut headers = Vec::new();
        for part in &self.0 {
            if let Part::Header { name, value, .. } = part {
                let wrong = |what: &str| {
                    let message = format!("the credential's {what} for header `{}` is not allowed there", shown(name));
                    Error::new(ErrorKind::Config, message)
                };
                let header = HeaderName::try_from(name).map_err(|_| wrong("name"))?;
                let mut value = HeaderValue::try_from(value.expose()).map_err(|_| wrong("value"))?;
                value.set_sensitive(true);
                headers.push((header, value));
            }
        }
        Ok(headers)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential[{}]", self.label().unwrap_or_default())
    }
}

fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::*;
    use crate::message::Class;

    #[test]
    fn stamps_every_part_and_shows_none() {
        let credential = Credential::bearer(" T0KEN ")
            .and(Credential::api_key_header("X-Key", "K3Y"))
            .and(Credential::api_key_query("apikey", "Q&Y"));
        let url = Url::parse("https://a.example/x?a=1&APIKEY=old").unwrap();
        let mut request = Request::new(Method::GET, url, Class::Call);
        credential.stamp(&mut request).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer T0KEN");
        assert_eq!(request.headers()["x-key"], "K3Y");
        assert_eq!(request.url().query(), Some("a=1&apikey=Q%26Y"));
        let shown = format!("{credential:?} {request:?} {:?}", request.headers());
        assert!(!["T0KEN", "K3Y", "Q&Y", "Q%26Y"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }

    #[test]
    fn refuses_what_no_header_may_hold() {
        for (name, key) in [("X-Key", "a\r\nHost: evil"), ("X Key", "a"), ("X-Key", "a\0")] {
            let error = Credential::api_key_header(name, key).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("evil"), "{error}");
        }
    }

    #[test]
    fn an_echoed_key_is_taken_out_of_a_url() {
        let mut url = Url::parse("https://a.example/x?apikey=K&page=2").unwrap();
        Credential::api_key_query("apikey", "K").strip(&mut url);
        assert_eq!(url.as_str(), "https://a.example/x?page=2");
    }
}
