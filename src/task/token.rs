//! ResumeToken: a task, saved as data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{LONGEST_NAME, Live, TaskShared};
use crate::error::{Error, ErrorKind};
use crate::hint::FURTHEST;
use crate::message::{Origin, Trust, is_reserved, is_routing};
use crate::protocol::{Cursor, Protocol, check_urls, without_signed};
use crate::redact::looks_secret;

/// A task, saved as data: another process continues the wait with it ([`Client::resume`](crate::Client::resume)).
///
/// The token is JSON by `Display` and `FromStr`, and serde data. The plain text holds the status URL, the task's id,
/// and the headers that the caller [named as plain](crate::TaskBuilder::plain_header) or that are known to be no
/// secret. The text never holds a credential, and no signed URL unless
/// [`TaskHandle::token_with_signed_urls`](super::TaskHandle::token_with_signed_urls) created it.
///
/// # Trust
/// A token is a list of requests that the client will send in its own name: read tokens only from places where nobody
/// else writes, or seal them (`ResumeToken::seal`, with the feature `token-file`), which makes any edit an error. For a
/// token read from plain text, these rules limit the effect of an edit:
///
/// - no protocol is read from the token: a task with [a protocol of its own](crate::TaskBuilder::protocol) is resumed
///   by [`Client::resume_with`](crate::Client::resume_with);
/// - every URL must be of the client's own origin or an [allowed](crate::ClientBuilder::allow_origin) one;
/// - headers that frame the message or route the connection are dropped.
///
/// The rest of the token still selects the API path that is requested with the credential. Tokens that never left the
/// process, and sealed tokens, are used unchanged.
///
/// ```
/// # use longhaul::testing::Simulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = Simulator::builder().hint_on_submit(true).start().await?;
/// # let client = longhaul::testing::client(&service).build()?;
/// use longhaul::ResumeToken;
///
/// let task = client.task().post("exports").submit::<serde_json::Value>().await?;
/// let text = task.handle().token().to_string();     // put this away
/// drop(task);
///
/// let token: ResumeToken = text.parse()?;           // in another process
/// let outcome = client.resume::<serde_json::Value>(token)?.await?;
/// assert!(outcome.state().has_result());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeToken {
    version: u32,
    protocol: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The whole protocol, if it was given with the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given: Option<Box<Protocol>>,
    /// The base of the client that created the token.
    base: String,
    cursor: Cursor,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    /// The service asked not to be polled before this time, in milliseconds since 1970.
    not_before: u64,
    /// The length of that wait in milliseconds, if it was more than a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<u64>,
    /// The size class by which the task's duration is learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size_class: Option<Box<str>>,
    /// Headers that nobody named as plain: kept in memory, and in a sealed token.
    #[serde(skip)]
    pub(super) unnamed: Vec<(String, String)>,
    /// Whether nobody can have edited the token: it never left the process, or was sealed.
    #[serde(skip)]
    pub(super) trusted: bool,
}

/// The wait that the task was in, as the token records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResumedPause {
    /// The end of the wait, in milliseconds since 1970.
    pub(crate) not_before: u64,
    asked: Option<u64>,
}

impl ResumedPause {
    /// Returns the remaining wait at this time, in milliseconds since 1970. Clocks that differ never make the wait
    /// longer than the service asked for, or longer than a day if that is not known.
    pub(super) fn left(self, now: u64) -> Duration {
        let most = self.asked.map_or(USUAL, Duration::from_millis).clamp(USUAL, FURTHEST);
        Duration::from_millis(self.not_before.saturating_sub(now)).min(most)
    }
}

impl ResumeToken {
    /// Returns the task's id at the service, if the service gave one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.cursor.id()
    }

    /// Returns the name of the protocol.
    pub(crate) fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Returns whether the protocol was given with the task, and is in no profile.
    pub(crate) const fn has_own_protocol(&self) -> bool {
        self.given.is_some()
    }

    /// Returns the name of the task's kind in the profile; `None` for the profile's default, or for a protocol of its
    /// own.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Returns the base URL of the client that created the token; resume the task with a client of that base.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns the idempotency key that the submit carried.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.cursor.idempotency_key()
    }

    /// Returns whether the task can be resumed with this token. A task whose only status URL is signed cannot be,
    /// unless the token was asked to include signed URLs.
    #[must_use]
    pub fn can_resume(&self) -> bool {
        self.cursor.can_be_asked_again()
    }
}

/// The parts of a token, checked against the origins at which it may be used.
pub(crate) struct Origins {
    pub(crate) protocol: String,
    pub(crate) kind: Option<String>,
    pub(crate) given: Option<Box<Protocol>>,
    pub(crate) cursor: Cursor,
    pub(crate) headers: HeaderMap,
    pub(crate) pause: ResumedPause,
    pub(crate) size_class: Option<Box<str>>,
    /// Whether the token's protocol may be used.
    pub(crate) trusted: bool,
}

impl ResumeToken {
    /// Takes the token apart, for a client of this base.
    pub(crate) fn open(self, trust: &Trust) -> Result<Origins, Error> {
        let base = trust.base();
        let wrong = |why: String| Err(Error::new(ErrorKind::InvalidToken, why));
        if self.version != VERSION {
            return wrong(format!("its version is {}, and this crate reads {VERSION}", self.version));
        }
        let Ok(theirs) = Url::parse(&self.base) else {
            return wrong("its base is no URL".into());
        };
        if Origin::from_url(&theirs) != Origin::from_url(base) {
            let (theirs, ours) = (crate::redact::shown(&theirs), crate::redact::shown(base));
            return wrong(format!("it is of a task at {theirs}, and this client is for {ours}"));
        }
        if !self.can_resume() && !self.cursor.is_accepted() {
            return wrong("its task was finished when it was submitted: there is nothing to wait for".into());
        }
        if !self.can_resume() {
            let why = "it has no status URL, because that is signed or holds a secret in its query: use token_with_signed_urls";
            return wrong(why.into());
        }
        if !self.trusted {
            check_urls(&self.cursor, trust).map_err(|why| Error::new(ErrorKind::InvalidToken, why))?;
        }
        let mut cursor = self.cursor;
        cursor.resume();
        let mut headers = HeaderMap::new();
        for (is_plain, (name, value)) in
            self.headers.iter().map(|header| (true, header)).chain(self.unnamed.iter().map(|header| (false, header)))
        {
            let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) else { continue };
            if is_reserved(&name) || (!self.trusted && is_routing(&name)) {
                tracing::warn!(%name, "a header of a resume token is dropped: it belongs to the connection");
                continue;
            }
            if is_plain && !is_known_plain(&name) {
                cursor.keep_plain(name.clone());
            }
            headers.insert(name, value);
        }
        Ok(Origins {
            headers,
            trusted: self.trusted,
            protocol: self.protocol,
            kind: self.kind,
            given: self.given,
            cursor,
            pause: ResumedPause { not_before: self.not_before, asked: self.asked },
            size_class: self.size_class.filter(|name| name.len() <= LONGEST_NAME),
        })
    }
}

impl TaskShared {
    pub(super) fn token(&self, live: &Live, signed: bool) -> ResumeToken {
        let cursor = live.cursor.clone();
        let headers = live.headers.iter().flat_map(|headers| headers.iter());
        let (mut named, mut unnamed) = (Vec::new(), Vec::new());
        for (name, value) in headers.filter(|(_, value)| !value.is_sensitive()) {
            let Ok(text) = value.to_str() else { continue };
            let is_plain = cursor.is_plain(name) || (is_known_plain(name) && !looks_secret(text));
            let to = if is_plain { &mut named } else { &mut unnamed };
            to.push((name.to_string(), text.to_owned()));
        }
        let headers = named;
        let given = self.core.given.then(|| Box::new(self.core.protocol.clone()));
        ResumeToken {
            version: VERSION,
            protocol: self.core.protocol.name().to_owned(),
            kind: self.core.kind.as_deref().map(str::to_owned),
            given,
            base: self.core.base.to_string(),
            cursor: if signed { cursor } else { without_signed(cursor) },
            headers,
            unnamed,
            trusted: true,
            size_class: live.course.as_ref().and_then(|course| course.size_class()).map(Box::from),
            not_before: live.not_before,
            asked: live.asked.filter(|asked| *asked > USUAL).and_then(|asked| u64::try_from(asked.as_millis()).ok()),
        }
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for ResumeToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let unreadable = |error: serde_json::Error| {
            Error::new(ErrorKind::InvalidToken, "it is not the text of a resume token").with_source(error)
        };
        // Parses the version first, so that a token of another version is not reported as malformed.
        let head: Head = serde_json::from_str(text).map_err(unreadable)?;
        if head.version != VERSION {
            let why = format!("its version is {}, and this crate reads {VERSION}", head.version);
            return Err(Error::new(ErrorKind::InvalidToken, why));
        }
        serde_json::from_str(text).map_err(unreadable)
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeToken")
            .field("version", &self.version)
            .field("protocol", &self.protocol)
            .field("kind", &self.kind)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// Returns whether a header is a standard header of the web or of tracing, and never a secret.
pub(super) fn is_known_plain(name: &HeaderName) -> bool {
    const PLAIN: [&str; 19] = [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "api-version",
        "content-language",
        "correlation-id",
        "if-match",
        "if-none-match",
        "prefer",
        "request-id",
        "traceparent",
        "user-agent",
        "x-api-version",
        "x-correlation-id",
        "x-ms-client-request-id",
        "x-ms-correlation-request-id",
        "x-ms-version",
        "x-request-id",
    ];
    PLAIN.contains(&name.as_str())
}

const VERSION: u32 = 1;
/// A shorter wait does not record its length: a clock that is wrong by more shows elsewhere.
const USUAL: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_the_first_version_reads_and_is_written_as_before() {
        let text = r#"{"version":1,"protocol":"auto","base":"https://a.example/","cursor":{"phase":"result",
            "kind":"monitor","seen_alive":true,"guessed":true,"hops":1,"method":"POST","request_url":"https://a.example/x",
            "id":"7","status_url":"https://a.example/t/7","last_location":"https://a.example/r/7",
            "following":"https://a.example/r/7","submitted":1700000000000,"result_since":1700000003001,"last_hint":5001,
            "state":"running","started":1,"extra":{"etag":"\"e\"","query":[["v","1"]]}},
            "headers":[["accept","text/csv"]],"not_before":1700000060000}"#;
        let token: ResumeToken = text.parse().unwrap();
        assert_eq!(token.id(), Some("7"));
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(json(&token.to_string()), json(text));
    }

    #[test]
    fn a_resumed_wait_is_kept_and_never_longer_than_the_service_asked() {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        let now = 1_720_620_765_000;
        for (ahead, asked, left) in [
            (0, None, 0),
            (60_000, None, 60_000),
            (DAY, None, DAY),
            // A token of another version, or from a machine with a wrong clock.
            (2 * DAY, None, DAY),
            (10 * DAY, Some(10 * DAY), 10 * DAY),
            (9 * DAY, Some(10 * DAY), 9 * DAY),
            // The clock was set back, or the other machine's clock is ahead.
            (50 * DAY, Some(10 * DAY), 10 * DAY),
            (400 * DAY, Some(400 * DAY), 400 * DAY),
            (5000 * DAY, Some(u64::MAX), 400 * DAY),
            (2 * DAY, Some(0), DAY),
        ] {
            let pause = ResumedPause { not_before: now + ahead, asked };
            assert_eq!(pause.left(now), Duration::from_millis(left), "{pause:?}");
        }
        assert_eq!(ResumedPause { not_before: 0, asked: None }.left(now), Duration::ZERO);
        assert_eq!(ResumedPause { not_before: u64::MAX, asked: Some(u64::MAX) }.left(0), FURTHEST);
    }
}
