//! TaskRecord: a task as a store keeps it: the request until the service has accepted it, and then its token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use url::Url;

use super::TaskCore;
use super::token::{ResumeToken, is_known_plain};
use crate::error::{Error, ErrorKind};
use crate::message::{Priority, Request, is_reserved, is_routing};
use crate::protocol::{Cursor, Protocol, without_signed};
use crate::redact::{SecretUrl, holds_secret, is_signed, looks_secret};
use crate::store::Opened;

/// A task as a store keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskRecord {
    version: u32,
    /// The submit, as long as it may have to be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<Box<StoredRequest>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Box<ResumeToken>>,
    /// The headers that a plain token leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unnamed: Vec<(String, String)>,
    /// Whether nobody can have edited the record.
    #[serde(skip)]
    is_sealed: bool,
}

/// A submit, as far as it may be stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredRequest {
    pub(crate) protocol: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// The whole protocol, if it was given with the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given: Option<Box<Protocol>>,
    pub(crate) cursor: Cursor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size_class: Option<Box<str>>,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    /// The names of the headers that the caller named as plain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    plain: Vec<String>,
    /// The header that carries the idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The body in base64.
    body: String,
    /// The parts that no store may hold: without them, the submit cannot be repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lacks: Vec<String>,
}

impl TaskRecord {
    /// Creates the record of a task that is about to be submitted.
    pub(crate) fn intend(
        core: &TaskCore,
        request: &Request,
        key: Option<&HeaderName>,
        cursor: &Cursor,
        is_sealed: bool,
    ) -> Self {
        let intent = StoredRequest::new(core, request, key, cursor, is_sealed);
        Self { version: VERSION, intent: Some(Box::new(intent)), token: None, unnamed: Vec::new(), is_sealed }
    }

    /// Adds the size class of a submit.
    pub(crate) fn of_size_class(mut self, name: Option<&str>) -> Self {
        if let Some(intent) = &mut self.intent {
            intent.size_class = name.map(Box::from);
        }
        self
    }

    /// Creates the record of a task that the service has accepted. A token that cannot resume the task leaves the
    /// submit in the record.
    pub(crate) fn accepted(before: Option<Self>, token: ResumeToken, is_sealed: bool) -> Self {
        let intent = before.and_then(|before| before.intent).filter(|_| !token.can_resume());
        let unnamed = if is_sealed { token.unnamed.clone() } else { Vec::new() };
        Self { version: VERSION, intent, token: Some(Box::new(token)), unnamed, is_sealed }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self)
            .map_err(|error| Error::new(ErrorKind::TaskStore, "the task does not serialize").with_source(error))
    }

    pub(crate) fn parse(name: &str, stored: &Opened) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let wrong = |why: String| {
            Error::new(ErrorKind::TaskStore, format!("the task `{}` cannot be read: {why}", name.escape_debug()))
        };
        // Parses the version first, so that a record of another version is not reported as malformed.
        let version = serde_json::from_slice::<Version>(&stored.data).map(|head| head.version);
        if let Ok(version) = version
            && version != VERSION
        {
            return Err(wrong(format!("its version is {version}, and this crate reads {VERSION}")));
        }
        let record: Self = serde_json::from_slice(&stored.data)
            .map_err(|error| wrong("it is not the data of a task".to_owned()).with_source(error))?;
        let is_sealed = stored.is_sealed;
        let unnamed = if is_sealed { record.unnamed } else { Vec::new() };
        let token = record.token.map(|mut token| {
            (token.trusted, token.unnamed) = (is_sealed, unnamed.clone());
            token
        });
        Ok(Self { token, unnamed, is_sealed, ..record })
    }

    /// Returns the token, if the task can be resumed with it.
    pub(crate) fn token(&self) -> Option<ResumeToken> {
        self.token.as_deref().filter(|token| token.can_resume()).cloned()
    }

    pub(crate) fn intent(&self) -> Option<&StoredRequest> {
        self.intent.as_deref()
    }

    pub(crate) const fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Returns the idempotency key of the submit.
    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        let of_intent = self.intent.as_ref().and_then(|intent| intent.cursor.idempotency_key());
        of_intent.or_else(|| self.token.as_ref()?.idempotency_key())
    }

    /// Returns the reason why the submit must not be repeated; `None` if it may be.
    pub(crate) fn must_not_repeat(&self) -> Option<String> {
        match &self.intent {
            Some(intent) => intent.must_not_repeat(),
            None => {
                Some("its token has no status URL, because that is signed, and its request is not stored".to_owned())
            }
        }
    }
}

impl StoredRequest {
    fn new(core: &TaskCore, request: &Request, key: Option<&HeaderName>, cursor: &Cursor, is_sealed: bool) -> Self {
        let mut lacks = Vec::new();
        let mut url = request.url().clone();
        if holds_secret(&url) {
            lacks.push("the query of its URL".to_owned());
            url.set_query(None);
        }
        let (mut headers, mut plain) = (Vec::new(), Vec::new());
        for (name, value) in request.headers() {
            let text = value.to_str().ok().filter(|_| !value.is_sensitive());
            let is_known =
                || [Some(name), None].contains(&key) || is_known_plain(name) || *name == header::CONTENT_TYPE;
            let is_named = cursor.is_plain(name);
            let text = text.filter(|text| is_sealed || is_named || (is_known() && !looks_secret(text)));
            match text {
                _ if *name == header::CONTENT_LENGTH => {}
                Some(text) => headers.push((name.to_string(), text.to_owned())),
                None => lacks.push(format!("its header `{name}`")),
            }
            if is_named {
                plain.push(name.to_string());
            }
        }
        let body = if may_be_stored(request.body(), is_sealed) {
            STANDARD.encode(request.body())
        } else {
            lacks.push("its body, which holds a signed URL or a secret".to_owned());
            String::new()
        };
        Self {
            protocol: core.protocol.name().to_owned(),
            kind: core.kind.as_deref().map(str::to_owned),
            given: core.given.then(|| Box::new(core.protocol.clone())),
            cursor: without_signed(cursor.clone()),
            size_class: None,
            method: request.method().to_string(),
            url: url.into(),
            headers,
            plain,
            key: key.map(HeaderName::to_string),
            body,
            lacks,
        }
    }

    fn must_not_repeat(&self) -> Option<String> {
        let may_repeat = self.key.is_some() || self.method.parse().is_ok_and(|method: Method| method.is_idempotent());
        if !may_repeat {
            return Some("its submit has no idempotency key".to_owned());
        }
        (!self.lacks.is_empty()).then(|| format!("its submit is stored without {}", self.lacks.join(" and ")))
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// Returns the URL, whose query is not shown.
    pub(crate) fn url(&self) -> Option<SecretUrl> {
        Url::parse(&self.url).ok().map(SecretUrl::from)
    }

    /// Returns the request once more, and the header of its key.
    pub(crate) fn request(&self, is_sealed: bool) -> Result<(Request, Option<HeaderName>), &'static str> {
        let method: Method = self.method.parse().map_err(|_| "its method is none")?;
        let url = Url::parse(&self.url).map_err(|_| "its URL is none")?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| "the name of a header is none")?;
            if is_reserved(&name) || (!is_sealed && is_routing(&name)) {
                return Err("a header of it belongs to the connection");
            }
            let value: HeaderValue = value.parse().map_err(|_| "the value of a header is none")?;
            headers.insert(name, value);
        }
        let body = STANDARD.decode(&self.body).map_err(|_| "its body is no base64")?;
        let key = match &self.key {
            Some(key) => Some(key.parse().map_err(|_| "the name of the key's header is none")?),
            None => None,
        };
        let request = Request::new(method, url, Priority::Submit).with_headers(headers).with_body(body.into());
        Ok((request, key))
    }

    /// Returns the names of the headers that the caller named as plain.
    pub(crate) fn plain(&self) -> impl Iterator<Item = HeaderName> {
        self.plain.iter().filter_map(|name| name.parse().ok())
    }
}

/// Returns whether a store may hold this body: never one with a signed URL; in plain text, none with a URL whose query
/// holds a secret, or with a token.
fn may_be_stored(body: &[u8], is_sealed: bool) -> bool {
    let text = String::from_utf8_lossy(body).replace("\\u0026", "&").replace("\\/", "/");
    // The marks around values, in JSON, forms and XML.
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`'));
    words.all(|word| match Url::parse(word).ok().filter(Url::has_host) {
        Some(url) if is_sealed => !is_signed(&url),
        Some(url) => !holds_secret(&url),
        None => is_sealed || !looks_secret(word),
    })
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_with_signed_urls_are_never_stored_and_secrets_only_sealed() {
        let sas = "https://acct.blob.core.windows.net/c?sv=2024-01-01&sp=r&sig=S3CRET%3D";
        for (body, plain, sealed) in [
            (String::new(), true, true),
            (r#"{"farms": [1, 2], "at": "https://a.example/x?page=2"}"#.to_owned(), true, true),
            (r#"{"at": "https://a.example/x?api_key=S3CRET"}"#.to_owned(), false, true),
            (format!(r#"{{"target": "{sas}"}}"#), false, false),
            (format!(r#"{{"target":"{}"}}"#, sas.replace('&', "\\u0026").replace('/', "\\/")), false, false),
            (format!("<to>{sas}</to>"), false, false),
            (r#"{"token": "eyJhbGciOi.eyJzdWIi.c2ln"}"#.to_owned(), false, true),
        ] {
            assert_eq!(may_be_stored(body.as_bytes(), false), plain, "{body}");
            assert_eq!(may_be_stored(body.as_bytes(), true), sealed, "{body}");
        }
        assert!(may_be_stored(&[0xff, 0x00], false));
    }
}
