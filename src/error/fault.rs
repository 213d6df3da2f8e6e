//! Fault: what a service said about a failure.

use std::fmt;

use bytes::Bytes;

use crate::redact::{self, Mask};

/// What the service said about a failure, in its own words.
///
/// Code, message and correlation id hold `…` where the service repeated a part of the client's credential. `Debug` and
/// `Display` show them in one line, with every URL stripped of its query, without cookies and JWTs, and 500 characters of
/// a message at most (100 of a code and of an id). The raw body comes out only by [`body`](Fault::body): it may
/// hold links, and what was repeated.
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

    /// The service's code, such as `QuotaExceeded`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The service's message.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The id under which the service's support finds the request, from the header or body that carried one.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The raw body as it came, up to the client's body limit. Nothing is taken out of it: show it to nobody whom you would
    /// not show the credential.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Without what a service repeated of the secrets that it was sent. The raw body stays.
    pub(crate) fn masked(self, mask: &Mask) -> Self {
        Self {
            code: mask.hide_in(self.code.as_deref()),
            message: mask.hide_in(self.message.as_deref()),
            correlation_id: mask.hide_in(self.correlation_id.as_deref()),
            body: self.body,
        }
    }

    /// What it says beside a message, which may have named the code.
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

/// A code or an id is a word; a longer one is none.
const MOST_OF_A_CODE: usize = 100;
/// Some sentences. The whole message is there by its getter.
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
