//! Event: occurrences in the throttle and the transport, for observers and metrics.

mod alert;
mod line;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use http::{Method, StatusCode};
use tokio::sync::broadcast;
use tokio::time::Instant;
use url::Url;

use crate::message::{Priority, Request};

pub use alert::{Alert, AlertKind, Severity};

/// An occurrence in a [`Throttle`](crate::Throttle) ([`Throttle::events`](crate::Throttle::events)) or in a client
/// ([`Client::events`](crate::Client::events)).
///
/// `limit` is a limit as [`Limit`](crate::Limit) displays it, with the name of its account if the account has one. If
/// no declared limit explains a refusal, `limit` is the route or the account that pauses. No event holds a secret.
/// `Display` is one line, such as "paused for 3.0s: `60 per 60s of the account`".
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A request waits in the queue.
    Waiting {
        /// The class of the request.
        class: Priority,
        /// The limit that admits the request last.
        limit: Arc<str>,
        /// The number of requests ahead at that limit.
        ahead: u32,
        /// The least waiting time.
        at_least: Duration,
    },
    /// A request that waited in the queue may be sent.
    Granted {
        /// The class of the request.
        class: Priority,
        /// How long the request waited in the queue.
        waited: Duration,
    },
    /// A turn was not taken within 20 ms, because its future is alive and not polled, and passed to the next request.
    PassedOver {
        /// The class of the request.
        class: Priority,
    },
    /// A request cannot be sent before its deadline, and failed.
    TooLate {
        /// The class of the request.
        class: Priority,
        /// The limit that admits the request last.
        limit: Arc<str>,
    },
    /// The service refused a request for load: 429 or 503.
    Refused {
        /// The status of the response, or the status that an [envelope](crate::retries::EnvelopeRule) reads the
        /// response as.
        status: StatusCode,
        /// Method and URL, without the query.
        request: Arc<str>,
        /// The label of the credential, if there is one.
        credential: Option<Arc<str>>,
        /// The limit, or the route, that now pauses.
        limit: Arc<str>,
        /// The cause of the refusal.
        cause: RefusalCause,
    },
    /// All requests under a limit are stopped.
    Paused {
        /// The limit or the route.
        limit: Arc<str>,
        /// The length of the pause.
        during: Duration,
    },
    /// An undeclared limit was found, or is stated by the service.
    Learned {
        /// The limit.
        limit: Arc<str>,
    },
    /// A learned limit no longer holds, and is searched for again.
    Unlearned {
        /// The limit.
        limit: Arc<str>,
    },
    /// A soft limit is exceeded.
    Exceeded {
        /// The limit.
        limit: Arc<str>,
    },
    /// Part of a response was not understood, and was ignored.
    Ignored {
        /// The ignored part, shortened.
        what: Arc<str>,
    },
    /// The store of shared limits does not answer. Each limit goes on with the slots that are lent to this process until
    /// their lease ends.
    StoreDown {
        /// The reason, without secrets.
        why: Arc<str>,
    },
    /// The store of shared limits answers again.
    StoreBack {
        /// How long it did not.
        after: Duration,
    },
    /// The slots of a shared limit went to other processes, because this one was silent for longer than its lease.
    LeaseLost {
        /// The limit.
        limit: Arc<str>,
    },
    /// Processes hold more slots of a shared limit than it has, because the store lost data or the limit became smaller.
    /// Slots that come back are kept until the debt is paid.
    SlotsOwed {
        /// The limit.
        limit: Arc<str>,
        /// The slots that have to come back.
        slots: u64,
    },
    /// Another process declares fewer requests for the same window of a shared limit. The smaller number counts for all.
    LimitsDiffer {
        /// The limit, as it is declared here.
        limit: Arc<str>,
        /// The number that counts.
        count: u64,
    },
    /// The wall clock was set back: a calendar day continues with its count.
    ClockSetBack,
    /// A request is repeated, after a pause that holds no slot of any limit. A failed poll does not count as one: its
    /// task reports it by a [warning](crate::Update::warning), and polls again.
    Retrying {
        /// Method and URL, without the query.
        request: Arc<str>,
        /// Why the attempt failed.
        reason: RetryReason,
        /// The number of attempts so far.
        attempts: u32,
        /// The pause before the next attempt.
        pause: Duration,
    },
    /// A token was fetched or refreshed, and is used from now on.
    Refreshed {
        /// The label of the credential.
        credential: Arc<str>,
        /// How long the token is valid, if that is known.
        valid_for: Option<Duration>,
    },
    /// A token could not be fetched or refreshed.
    RefreshFailed {
        /// The label of the credential.
        credential: Arc<str>,
        /// The reason, without secrets.
        why: Arc<str>,
        /// Whether a new login is needed. A wrong client secret does not set this flag; `why` states it.
        needs_login: bool,
    },
    /// The response to a request took long, or did not arrive for long:
    /// [`slow_after`](crate::ClientBuilder::slow_after).
    Slow {
        /// Method and URL, without the query.
        request: Arc<str>,
        /// The time until the headers of the response.
        took: Duration,
    },
    /// Little is left of a limit: 80 % are used (of 5 or more), or fewer than 10 are left of a budget that the service
    /// states. The event is emitted when this state begins, and again after the state has ended for two minutes (less
    /// than 60 % used).
    NearLimit {
        /// The limit.
        limit: Arc<str>,
        /// The used amount: requests, or bytes for a limit of bytes.
        used: u64,
        /// The allowed amount; `None` if the service states only the remainder.
        of: Option<u64>,
        /// The amount that is left.
        left: u64,
    },
    /// The state of a task is a word that neither the protocol nor this crate knows, and has not changed for as long as
    /// the protocol is [patient](crate::Protocol::patience). The wait continues.
    UnknownWord {
        /// The task's id at the service, if it has one.
        task: Option<Arc<str>>,
        /// The unknown word. [`Protocol::word`](crate::Protocol::word) gives it a meaning.
        word: Arc<str>,
    },
    /// A condition that needs a person's attention.
    Alert(Alert),
    /// The watcher was slow: the oldest events were dropped.
    Missed {
        /// The number of dropped events.
        count: u64,
    },
}

/// The cause of a refusal for load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCause {
    /// No known limit would have held the request back: none is declared or stated, or the declared limit is higher
    /// than the limit that the service states with the refusal.
    NoKnownLimit,
    /// All known limits were kept. Another process or application uses the same budget, or the service allows less than
    /// was declared.
    WithinKnownLimits,
}

/// The number of events that are kept for a slow watcher.
pub(crate) const KEPT: usize = 1024;

/// A stream of the events of a client or a throttle, as they happen: [`Client::events`](crate::Client::events) and
/// [`Throttle::events`](crate::Throttle::events). The stream ends with the last clone of the client or throttle.
#[must_use = "streams do nothing unless polled"]
pub struct Events(Pin<Box<dyn Stream<Item = Event> + Send>>);

impl Events {
    /// Returns the events of a channel from now on. A slow watcher receives the number of events that it missed.
    pub(crate) fn from_channel(events: broadcast::Receiver<Event>) -> Self {
        Self(Box::pin(stream::unfold(events, async |mut events| match events.recv().await {
            Ok(event) => Some((event, events)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some((Event::Missed { count }, events)),
            Err(broadcast::error::RecvError::Closed) => None,
        })))
    }

    /// Maps each event.
    pub(crate) fn change(self, change: impl FnMut(Event) -> Event + Send + 'static) -> Self {
        Self(Box::pin(self.map(change)))
    }

    /// Merges the events of two sources, as they happen.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(Box::pin(stream::select(self, other)))
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// The reason why a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// The service refused for load: 429, 503, or a response that an envelope reads as one of them.
    Throttled,
    /// A failure that may pass: 408, 425, 5xx except 501 and 505.
    Transient,
    /// No connection was made.
    Unsent,
    /// The connection broke, or no response arrived in time.
    Lost,
    /// The service refused the token, and another was fetched.
    Unauthorized,
}

impl RetryReason {
    /// Returns the name, as used in metrics and logs: `throttled`, `transient`, `unsent`, `lost`, `unauthorized`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Unsent => "unsent",
            Self::Lost => "lost",
            Self::Unauthorized => "unauthorized",
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An observation that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observation<'a> {
    /// A request is sent, after it waited in the queue.
    Sent {
        class: Priority,
        queued: Duration,
    },
    /// The headers of the response have arrived.
    Answered {
        asked: RequestInfo<'a>,
        status: StatusCode,
        took: Duration,
    },
    /// No response arrived.
    Broke {
        asked: RequestInfo<'a>,
        unsent: bool,
        took: Duration,
    },
    /// The request was refused for load. `is_new`: the limit was open, and is now stopped.
    Refused {
        limit: &'a str,
        cause: RefusalCause,
        is_new: bool,
        /// Whether the limit is a declared limit, which was kept.
        kept: bool,
    },
    Retrying {
        asked: RequestInfo<'a>,
        reason: RetryReason,
        attempts: u32,
        pause: Duration,
    },
    Refreshed {
        credential: &'a str,
        valid_for: Option<Duration>,
        took: Duration,
    },
    RefreshFailed {
        credential: &'a str,
        why: &'a str,
        needs_login: bool,
    },
    /// A token was forgotten.
    LoggedOut {
        credential: &'a str,
        /// Whether only a new login yields another token.
        needs_login: bool,
    },
    /// An unknown word has not changed.
    UnknownWord {
        task: Option<&'a str>,
        word: &'a str,
    },
    /// A task entered a state from another; `None`: the task was started, or is dropped before its end.
    Task {
        was: Option<&'static str>,
        is: Option<&'static str>,
    },
    /// A task has been running for long. The number distinguishes it from all other live tasks.
    Long {
        number: u64,
        name: &'a str,
        age: Duration,
    },
    /// The task no longer runs, or no caller waits for it.
    NoLonger {
        number: u64,
    },
}

/// A request, as metrics see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) class: Priority,
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    /// The route, if it was already computed.
    pub(crate) route: Option<&'a str>,
}

impl<'a> RequestInfo<'a> {
    pub(crate) const fn of(request: &'a Request) -> Self {
        Self { class: request.priority(), method: request.method(), url: request.url(), route: None }
    }

    pub(crate) const fn on(mut self, route: Option<&'a str>) -> Self {
        self.route = route;
        self
    }
}

/// The receiver of observations. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(Observation<'_>, Instant) + Send + Sync>);

impl Observer {
    pub(crate) fn to(sink: impl Fn(Observation<'_>, Instant) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn record(&self, mark: Observation<'_>) {
        self.record_at(mark, Instant::now());
    }

    /// As `tell`, for a caller that has already read the clock.
    pub(crate) fn record_at(&self, mark: Observation<'_>, now: Instant) {
        (self.0)(mark, now);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
