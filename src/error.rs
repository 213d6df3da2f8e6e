//! Error: the failure, and everything that the caller needs to act on it.

mod advised;
mod fault;
mod kind;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use fault::Fault;
pub use kind::ErrorKind;

pub(crate) use advised::{Advised, root_cause, with_cause};

use crate::redact::{self, Mask};

/// The error of every fallible call of this crate.
///
/// Match on [`kind`](Error::kind), whose values are named for the caller's next step. `Display` shows the error in one
/// line, without secrets. `Debug`, which `fn main() -> longhaul::Result<()>` prints, adds the root of its causes, and
/// `{:#?}` shows every part. Cloning an error is cheap.
///
/// ```
/// use longhaul::{Client, ErrorKind};
///
/// let error = Client::builder("not a url").build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert!(error.to_string().contains("base URL"));
/// ```
#[derive(Clone, thiserror::Error)]
#[error(transparent)]
pub struct Error(Arc<ErrorInner>);

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(ErrorInner {
            kind,
            message: message.into(),
            url: None,
            status: None,
            fault: None,
            attempts: 0,
            unsent: false,
            retry_after: None,
            end: None,
            advice: None,
            attached: Vec::new(),
            source: None,
        }))
    }

    /// Returns the kind of the error, to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the requested URL, without its query.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// Returns the HTTP status of the decisive answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<http::StatusCode> {
        self.0.status
    }

    /// Returns the service's description of the failure: code, message, raw body, correlation id.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.0.fault.as_ref()
    }

    /// Returns how many times the request was sent; 0 if it was not sent. If later attempts got no answer, the attempts
    /// up to the answer that the error carries are counted.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns how long the service asked to wait, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the description of the failure, without the kind and the facts that `Display` adds.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn with_url(self, url: &Url) -> Self {
        self.amend(|inner| inner.url = Some(redact::shown(url)))
    }

    pub(crate) fn with_status(self, status: http::StatusCode) -> Self {
        self.amend(|inner| inner.status = Some(status))
    }

    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        self.amend(|inner| inner.fault = Some(fault))
    }

    pub(crate) fn with_attempts(self, attempts: u32) -> Self {
        self.amend(|inner| inner.attempts = attempts)
    }

    pub(crate) fn with_retry_after(self, hint: Option<Duration>) -> Self {
        self.amend(|inner| inner.retry_after = hint)
    }

    pub(crate) fn with_end(self, end: Option<&'static str>) -> Self {
        self.amend(|inner| inner.end = end)
    }

    /// Adds advice on the fix, if it is known.
    pub(crate) fn with_advice(self, advice: Option<String>) -> Self {
        self.amend(|inner| inner.advice = advice)
    }

    /// Replaces the URL by that of another error.
    pub(crate) fn at_the_place_of(self, other: &Self) -> Self {
        self.amend(|inner| inner.url = other.0.url.clone())
    }

    pub(crate) fn with_source(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.amend(|inner| inner.source = Some(Arc::new(source)))
    }

    /// Returns the error of a body that could not be decoded into the requested type.
    pub(crate) fn decoding(what: &str, error: serde_json::Error, mask: &Mask) -> Self {
        let said = error.to_string();
        let shown = mask.hide(&said);
        let decoding = Self::new(ErrorKind::Decode, format!("{what}{shown}"));
        // A decoder's message quotes the body: as a source it would reveal the masked parts.
        if shown == said { decoding.with_source(error) } else { decoding }
    }

    /// Returns whether a new login is needed: the service refuses to issue tokens for the previous login.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        self.attached::<NeedsLogin>().is_some()
    }

    /// Returns whether the time ran out: a timeout or a deadline of the caller's ([`ErrorKind::DeadlineExceeded`]).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::DeadlineExceeded
    }

    /// Returns whether the failure may be temporary, so that the same call may succeed later: no connection or no
    /// answer, a refusal for load, a token endpoint that failed, an answer of 5xx. The retries that the policy allows
    /// were already made. The service may have acted on a request that belongs to no task.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Network | ErrorKind::Throttled | ErrorKind::TokenUnavailable => true,
            ErrorKind::Rejected | ErrorKind::ResultUnavailable | ErrorKind::StatusUnreadable => self
                .status()
                .is_none_or(|status| status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)),
            _ => false,
        }
    }

    /// Returns whether the answer suggests that the path does not exist or is not the API's. Gateways answer an unknown
    /// path with 403.
    pub(crate) fn suggests_a_wrong_path(&self) -> bool {
        matches!(self.status().map(|status| status.as_u16()), Some(400 | 403 | 404 | 405 | 410 | 421 | 501))
    }

    /// Attaches a value of a higher floor; the typed getter lives on that floor.
    pub(crate) fn attach<A: Any + Send + Sync>(self, thing: A) -> Self {
        self.amend(|inner| inner.attached.push(Arc::new(thing)))
    }

    pub(crate) fn attached<A: Any>(&self) -> Option<&A> {
        let own = self.0.attached.iter().find_map(|thing| thing.downcast_ref());
        own.or_else(|| self.0.source.as_ref()?.downcast_ref::<Self>()?.attached())
    }

    fn amend(mut self, change: impl FnOnce(&mut ErrorInner)) -> Self {
        // Clones of the error held elsewhere stay unchanged.
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// For code that deals with bytes and files: the kind is the nearest of `std::io`'s, and the error is the source.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::DeadlineExceeded => Io::TimedOut,
            ErrorKind::Config | ErrorKind::Request => Io::InvalidInput,
            ErrorKind::Unauthorized | ErrorKind::AccessDenied | ErrorKind::Untrusted => Io::PermissionDenied,
            ErrorKind::Decode | ErrorKind::ResultShape => Io::InvalidData,
            ErrorKind::TooLarge => Io::FileTooLarge,
            ErrorKind::Gone => Io::NotFound,
            _ => Io::Other,
        };
        Self::new(kind, error)
    }
}

impl Error {
    /// Returns whether the request was provably never sent.
    pub(crate) fn is_unsent(&self) -> bool {
        self.0.unsent
    }

    pub(crate) fn with_unsent(self, unsent: bool) -> Self {
        self.amend(|inner| inner.unsent = unsent)
    }
}

/// Returns advice if the process has no file descriptor left; `None` for any other cause.
pub(crate) fn out_of_files(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let codes: &[i32] = if cfg!(windows) { &[4, 10024] } else { &[23, 24] };
    let mut next = Some(error);
    while let Some(error) = next {
        let code = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if code.is_some_and(|code| codes.contains(&code)) {
            return Some(OUT_OF_FILES);
        }
        next = error.source();
    }
    None
}

const OUT_OF_FILES: &str = "the process has no file descriptor left: raise its limit (`ulimit -n`), or lower \
                            ClientBuilder::idle_connections or Limit::concurrent";

/// In one line, as `fn main() -> Result<..>` and `unwrap` print it: the message, and the root of its causes. `{:#?}` shows
/// every part.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if !f.alternate() {
            let line = inner.line();
            let cause = std::error::Error::source(inner).map(root_cause).unwrap_or_default();
            let cause = redact::scrub(&cause);
            // The message of a decoder and of a refusal quotes its cause.
            return if line.contains(&*cause) { f.write_str(&line) } else { write!(f, "{line}: {cause}") };
        }
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("message", &redact::scrub(&inner.message));
        if let Some(url) = &inner.url {
            out.field("url", url);
        }
        if let Some(status) = inner.status {
            out.field("status", &status.as_u16());
        }
        if let Some(fault) = &inner.fault {
            out.field("fault", fault);
        }
        if inner.attempts > 0 {
            out.field("attempts", &inner.attempts);
        }
        if let Some(hint) = inner.retry_after {
            out.field("retry_after", &hint);
        }
        if let Some(advice) = &inner.advice {
            out.field("advice", &redact::scrub(advice));
        }
        if let Some(source) = &inner.source {
            out.field("source", &redact::scrub(&with_cause(source.as_ref())));
        }
        out.finish_non_exhaustive()
    }
}

/// Attached to an error that only a new login resolves.
pub(crate) struct NeedsLogin;

#[derive(Clone, Debug)]
struct ErrorInner {
    kind: ErrorKind,
    message: String,
    url: Option<String>,
    status: Option<http::StatusCode>,
    fault: Option<Fault>,
    attempts: u32,
    unsent: bool,
    retry_after: Option<Duration>,
    /// The reason why no further attempt was made, if the reason needs a mention.
    end: Option<&'static str>,
    /// Advice on the fix, if it is known.
    advice: Option<String>,
    attached: Vec<Arc<dyn Any + Send + Sync>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for ErrorInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

impl std::error::Error for ErrorInner {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The source itself, which callers downcast, not the `Arc` around it.
        self.source.as_deref().map(|source| source as _)
    }
}

impl ErrorInner {
    fn line(&self) -> String {
        let mut line = format!("{}: {}", self.kind, redact::scrub(&self.message));
        let said = self.fault.as_ref().map(|fault| fault.beside(&self.message)).unwrap_or_default();
        if !said.is_empty() {
            line.push_str(&format!(": {said}"));
        }
        let mut facts = Vec::new();
        if let Some(status) = self.status {
            facts.push(format!("status {}", status.as_u16()));
        }
        if let Some(url) = &self.url {
            facts.push(url.clone());
        }
        if self.attempts > 1 {
            facts.push(format!("{} attempts", self.attempts));
        }
        if let Some(hint) = self.retry_after {
            facts.push(format!("the service asked for {hint:?}"));
        }
        if let Some(end) = self.end {
            facts.push(end.to_owned());
        }
        if !facts.is_empty() {
            line.push_str(&format!(" ({})", facts.join(", ")));
        }
        if let Some(advice) = &self.advice {
            line.push_str(&format!("; {}", redact::scrub(advice)));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Error {
        let fault = Fault::new(b"{\"x\":\"https://s/b?sig=S1\"}".as_slice())
            .with_code("QuotaExceeded")
            .with_message("see https://s/b?sig=S2");
        Error::new(ErrorKind::TaskFailed, "word `failed` at https://s/b?sig=S3")
            .with_url(&Url::parse("https://a.example/tasks/7?sig=S4").unwrap())
            .with_status(http::StatusCode::OK)
            .with_fault(fault)
            .with_attempts(3)
    }

    #[test]
    fn says_it_in_one_line_without_secrets() {
        let error = full();
        assert_eq!(
            error.to_string(),
            "the task failed: word `failed` at https://s/b?…: QuotaExceeded: see https://s/b?… \
             (status 200, https://a.example/tasks/7?…, 3 attempts)"
        );
        assert!(!format!("{error} {error:?}").contains("sig="));
        assert!(error.fault().unwrap().body().len() > 10);
    }

    #[test]
    fn debug_is_the_line_with_its_root_cause_and_the_alternate_form_every_part() {
        let root = std::io::Error::other("refused at https://s/b?sig=S5");
        let error = full().with_source(Error::new(ErrorKind::Network, "lost").with_source(root));
        assert_eq!(format!("{error:?}"), format!("{error}: refused at https://s/b?…"));
        let parts = format!("{error:#?}");
        for part in ["Error {", "kind: TaskFailed", "status: 200", "attempts: 3", "the service: lost: refused"] {
            assert!(parts.contains(part), "{part}: {parts}");
        }
        assert!(!parts.contains("S5"), "{parts}");
        let quoted = Error::new(ErrorKind::Decode, "a row: lost").with_source(std::io::Error::other("lost"));
        assert_eq!(format!("{quoted:?}"), quoted.to_string());
        assert_eq!(format!("{:?}", full()), full().to_string());
    }

    #[test]
    fn an_error_of_too_many_files_is_known_wherever_it_stands_in_the_chain() {
        for (code, known) in
            if cfg!(windows) { [(4, true), (10024, true), (2, false)] } else { [(23, true), (24, true), (2, false)] }
        {
            let bottom = std::io::Error::from_raw_os_error(code);
            assert_eq!(out_of_files(&bottom).is_some(), known, "{code}");
            let wrapped =
                Error::new(ErrorKind::Network, "no connection").with_source(std::io::Error::from_raw_os_error(code));
            let twice = Error::new(ErrorKind::Interrupted, "no answer").with_source(wrapped);
            assert_eq!(out_of_files(&twice).is_some(), known, "{code} below");
        }
    }

    #[test]
    fn a_clone_can_be_amended_and_says_nothing_twice() {
        let first = full();
        let second = first.clone().attach(7_u32).with_attempts(4);
        assert_eq!(second.attached::<u32>(), Some(&7));
        assert_eq!(first.attached::<u32>(), None);
        assert_eq!((first.attempts(), second.attempts()), (3, 4));
        assert!(std::error::Error::source(&second).is_none());
    }
}
