//! Fault: a service's description of a failure.

use std::fmt;

use bytes::Bytes;

use crate::redact::{self, Mask};

/// A service's description of a failure, in its own words.
///
/// Code, message and correlation id contain `…` in place of any part of the client's credential that the service
/// repeated. `Debug` and `Display` show them in one line, with every URL stripped of its query, without cookies and
/// JWTs, and with at most 500 characters of a message (100 of a code and of an id). Only [`body`](Fault::body) returns
/// the raw body, which may contain links, and repeated parts of the credential.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fault {
    code: Option<String>,
    message: Option<String>,
    correlation_id: Option<String>,
    body: Bytes,
}

impl Fault {
    pub(crate) fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    pub(crate) fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    pub(crate) fn with_correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Returns the service's code, such as `QuotaExceeded`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the service's message.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the id under which the service's support finds the request, from the header or the body.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// Returns the raw body as received, up to the client's body limit. Nothing is masked in it: show it only to people
    /// who may see the credential.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Masks the secrets that the service repeated. The raw body stays unchanged.
    pub(crate) fn masked(self, mask: &Mask) -> Self {
        Self {
            code: mask.hide_in(self.code.as_deref()),
            message: mask.hide_in(self.message.as_deref()),
            correlation_id: mask.hide_in(self.correlation_id.as_deref()),
            body: self.body,
        }
    }

    /// Returns the fault's text beside a message that may have named the code already.
    pub(crate) fn beside(&self, message: &str) -> String {
        let short = |text| redact::brief(text, MOST_OF_A_CODE);
        let code = self.code().map(short).filter(|code| !message.contains(&format!("`{code}`")));
        let parts: Vec<_> =
            code.into_iter().chain(self.message().map(|text| redact::brief(text, MOST_OF_A_MESSAGE))).collect();
        let said = parts.join(": ");
        match self.correlation_id().map(short) {
            Some(id) if said.is_empty() => format!("correlation id {id}"),
            Some(id) => format!("{said} [correlation id {id}]"),
            None => said,
        }
    }
}

/// A code or an id is one word; a longer text is neither.
const MOST_OF_A_CODE: usize = 100;
/// Some sentences. The getter returns the whole message.
const MOST_OF_A_MESSAGE: usize = 500;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.beside(""))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({self}; {} body bytes)", self.body.len())
    }
}
