//! Part: one part of a credential, and what of it no header may hold.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::{Sign, TokenCache};
use crate::message::{RESERVED_WHY, is_reserved};
use crate::redact::Secret;

/// One part of a credential.
#[derive(Clone)]
pub(super) enum Part {
    Header { name: String, value: Secret, header: Header, label: &'static str },
    Query { name: String, value: Secret },
    TokenCache(Arc<TokenCache>),
    Signed(Arc<dyn Sign>),
}

/// As it goes on a request, or why it cannot.
pub(super) type Header = Result<(HeaderName, HeaderValue), &'static str>;

impl Part {
    pub(super) fn header(name: &str, value: impl Into<String>, label: &'static str) -> Self {
        let value = Secret::new(value);
        let header = HeaderName::try_from(name).map_err(|_| "has what is no name of a header").and_then(|name| {
            if is_reserved(&name) {
                return Err(RESERVED_WHY);
            }
            let wrong = || why_not(value.expose()).unwrap_or("holds what no header may hold");
            let mut value = HeaderValue::try_from(value.expose()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok((name, value))
        });
        Self::Header { name: name.to_owned(), value, header, label }
    }
}

/// What is wrong with a secret that no request may hold, without showing it; `None` for nothing.
pub(super) fn why_not(value: &str) -> Option<&'static str> {
    if value.contains(['\r', '\n']) {
        return Some("holds a line break: look at how it is read from its file or variable");
    }
    let has_control = value.contains(|c: char| c.is_control() && c != '\t');
    has_control.then_some("holds a control character: look at how it is read from its file or variable")
}
