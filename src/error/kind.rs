//! ErrorKind: named for what the caller does next.

use std::fmt;

/// What kind of error it is, named for what to do next.
///
/// The kinds from [`Network`](ErrorKind::Network) to [`DeadlineExceeded`](ErrorKind::DeadlineExceeded) say nothing
/// about the task itself: while one is waited for, the error carries a token
/// ([`Error::token`](crate::Error::token)) with which the wait goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client, a limit or a protocol was set up wrongly.
    ///
    /// # Troubleshooting
    /// The message names the setting. Nothing was sent.
    Config,
    /// The request could not be made: its path does not join, its body does not serialize.
    ///
    /// # Troubleshooting
    /// The message names the part. Nothing was sent.
    Request,
    /// The service could not be reached, or the connection broke, or no answer came in time.
    ///
    /// # Troubleshooting
    /// The source says which. A submit whose answer was lost may have started a task: give submits an idempotency
    /// key ([`TaskBuilder::idempotency_key`](crate::TaskBuilder::idempotency_key)) where the service knows one, and they are
    /// repeated safely.
    Network,
    /// The service refused for load (429 or 503) until retries or time ran out.
    ///
    /// # Troubleshooting
    /// [`Error::retry_after`](crate::Error::retry_after) is what it asked for. Set the service's published limits
    /// with [`ClientBuilder::limit`](crate::ClientBuilder::limit), and let all clients of one account share one
    /// [`Throttle`](crate::Throttle).
    Throttled,
    /// The service did not accept the credential, or wants one and the client has none (401).
    ///
    /// # Troubleshooting
    /// The message says where there is none. Otherwise build a client with a fresh credential and resume from the token. A credential that refreshes itself
    /// ([`Credential::oauth`](crate::Credential::oauth)) was refreshed once, and the fresh one was refused too.
    Unauthorized,
    /// The token endpoint refused to give a token, or a login came to none.
    ///
    /// # Troubleshooting
    /// [`Error::needs_login`](crate::Error::needs_login) says whether somebody has to log in again: the refresh token
    /// has expired, was revoked or was used by somebody else. Otherwise the client's id, secret or scope is wrong, or the
    /// endpoint's URL: the message says which. [`Error::fault`](crate::Error::fault) has the endpoint's words,
    /// [`Error::url`](crate::Error::url) and [`Error::status`](crate::Error::status) whose they are.
    TokenRefused,
    /// The token endpoint gave no token: it could not be reached, failed, or answered with something else.
    ///
    /// # Troubleshooting
    /// It may pass by itself. The message says what came; a token that is still good stays in use meanwhile.
    TokenUnavailable,
    /// The store of tokens failed.
    ///
    /// # Troubleshooting
    /// The source says why. The token that was in use stays usable until it expires, and a new one that could not be
    /// saved is kept in memory and saved with the next attempt; mend the store before the process ends.
    Store,
    /// The service refused the request (another 4xx or 5xx).
    ///
    /// # Troubleshooting
    /// [`Error::fault`](crate::Error::fault) has its code, message and body. After a 4xx, sending the same again will not
    /// help. A 5xx was retried as far as that is safe, and may pass later.
    Rejected,
    /// The service accepted the task and gave no place to ask for its status.
    ///
    /// # Troubleshooting
    /// The fault holds its body. If the status URL, or an id, stands there in a member of another name, say so with
    /// a [`Protocol`](crate::Protocol).
    NoStatusUrl,
    /// A URL from the service leads where no request may go: from https to http, to another scheme, or with a user.
    ///
    /// # Troubleshooting
    /// If the host is the service's own, allow it with
    /// [`ClientBuilder::allow_origin`](crate::ClientBuilder::allow_origin).
    Untrusted,
    /// The status could not be read: refused, or never understood, for longer than the client is patient.
    ///
    /// # Troubleshooting
    /// The task may be running well. Mend the cause (a credential, a protocol) and resume from the token.
    StatusUnreadable,
    /// The status is gone (404 or 410): how the task ended is unknown.
    ///
    /// # Troubleshooting
    /// Look for the result by other means before you submit again.
    Gone,
    /// The deadline of the task has come, or the service asked to wait past it, or the schedule of the
    /// [`PollPolicy`](crate::PollPolicy) has ended.
    ///
    /// # Troubleshooting
    /// A task goes on at the service: resume from the token ([`Error::token`](crate::Error::token)) with a later
    /// deadline. Where there is none, the request was not sent, or not answered in time: the message says which, and
    /// names the limit that would have held it for longer.
    DeadlineExceeded,
    /// The service says that the task failed.
    ///
    /// # Troubleshooting
    /// [`Error::fault`](crate::Error::fault) has its reasons.
    TaskFailed,
    /// The service says that the task was canceled.
    ///
    /// # Troubleshooting
    /// Submit again if that was not you.
    TaskCanceled,
    /// The service says that the task, or its result, expired.
    ///
    /// # Troubleshooting
    /// Submit again, and fetch the result sooner.
    TaskExpired,
    /// The task succeeded and its result could not be fetched.
    ///
    /// # Troubleshooting
    /// The task never becomes failed by this: resume from the token, or ask for the result again.
    ResultUnavailable,
    /// The outcome has no such result: no link, several where one was asked for, or no body.
    ///
    /// # Troubleshooting
    /// The message says what there is: [`downloads`](crate::Outcome::downloads) for several links,
    /// [`value`](crate::Outcome::value) or [`bytes`](crate::Outcome::bytes) for a body.
    ResultShape,
    /// A body could not be decoded into the type that was asked for.
    ///
    /// # Troubleshooting
    /// The source names the member. The body is still there: [`Outcome::bytes`](crate::Outcome::bytes).
    Decode,
    /// A body is larger than the limit for buffering.
    ///
    /// # Troubleshooting
    /// Download it to a file, or raise the limit.
    TooLarge,
    /// The storage refuses the link, also a fresh one.
    ///
    /// # Troubleshooting
    /// Storage answers alike for an expired link, a wrong signature and a link that is not valid yet; the message
    /// says what is known. Check this machine's clock and the rights of the link.
    AccessDenied,
    /// The result was replaced while it was being read.
    ///
    /// # Troubleshooting
    /// Nothing wrong was kept. Download it again from the start.
    ResultChanged,
    /// The download broke off more often than it may without a byte of progress.
    ///
    /// # Troubleshooting
    /// What came is kept beside the target as a `.part` file; the same call goes on where it ended.
    Interrupted,
    /// The file system, or the writer that was given, refused.
    ///
    /// # Troubleshooting
    /// The source says what; after a full disk, free room and call again.
    Io,
    /// The resume token cannot be read, is of an unknown version, or belongs to another service.
    ///
    /// # Troubleshooting
    /// The message says which.
    InvalidToken,
    /// The protocol has no such operation, such as a cancel.
    ///
    /// # Troubleshooting
    /// If the service has one, say so with a [`Protocol`](crate::Protocol).
    Unsupported,
}

impl ErrorKind {
    /// Whether it says how the task itself ended: waiting on makes no sense.
    ///
    /// ```
    /// # use longhaul::ErrorKind;
    /// assert!(ErrorKind::TaskFailed.is_final());
    /// assert!(!ErrorKind::DeadlineExceeded.is_final());
    /// ```
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::TaskFailed | Self::TaskCanceled | Self::TaskExpired)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Config => "wrong configuration",
            Self::Request => "the request cannot be made",
            Self::Network => "no answer from the service",
            Self::Throttled => "the service refuses for load",
            Self::Unauthorized => "not authorized",
            Self::TokenRefused => "no token is given",
            Self::TokenUnavailable => "no token could be fetched",
            Self::Store => "the credential store failed",
            Self::Rejected => "the service refused the request",
            Self::NoStatusUrl => "accepted, but no status URL was given",
            Self::Untrusted => "refused to follow a URL",
            Self::StatusUnreadable => "the status of the task cannot be read",
            Self::Gone => "the status of the task is gone",
            Self::DeadlineExceeded => "the deadline ends the wait",
            Self::TaskFailed => "the task failed",
            Self::TaskCanceled => "the task was canceled",
            Self::TaskExpired => "the task expired",
            Self::ResultUnavailable => "the result cannot be fetched",
            Self::ResultShape => "the outcome has no such result",
            Self::Decode => "the body has another shape",
            Self::TooLarge => "the body is too large to hold",
            Self::AccessDenied => "the storage refuses the link",
            Self::ResultChanged => "the result was replaced",
            Self::Interrupted => "the download broke off",
            Self::Io => "writing failed",
            Self::InvalidToken => "the resume token is not usable",
            Self::Unsupported => "not supported",
        })
    }
}
