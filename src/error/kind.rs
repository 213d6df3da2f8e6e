//! ErrorKind: named for the caller's next step.

use std::fmt;

/// The kind of an error, named for the caller's next step.
///
/// The kinds from [`Network`](ErrorKind::Network) to [`DeadlineExceeded`](ErrorKind::DeadlineExceeded) state nothing
/// about the task itself: during the wait for a task, the error carries a token ([`Error::token`](crate::Error::token))
/// that resumes the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration of the client, a limit or a protocol is invalid.
    ///
    /// # Troubleshooting
    /// The message names the setting. No request was sent.
    Config,
    /// The request could not be built: its path does not join, or its body does not serialize.
    ///
    /// # Troubleshooting
    /// The message names the part. No request was sent.
    Request,
    /// The service could not be reached, or the connection broke, or no answer arrived in time.
    ///
    /// # Troubleshooting
    /// The source states which. A submit whose answer was lost may have started a task. If the service supports
    /// idempotency keys, give submits one ([`TaskBuilder::idempotency_key`](crate::TaskBuilder::idempotency_key)), and
    /// they are repeated safely.
    Network,
    /// The service refused for load (429 or 503) until retries or time ran out.
    ///
    /// # Troubleshooting
    /// [`Error::retry_after`](crate::Error::retry_after) is the wait that the service asked for. Set the service's
    /// published limits with [`ClientBuilder::limit`](crate::ClientBuilder::limit), and let all clients of one account
    /// share one [`Throttle`](crate::Throttle).
    Throttled,
    /// The service did not accept the credential, or requires one and the client has none (401).
    ///
    /// # Troubleshooting
    /// The message states if the client has no credential. Otherwise, build a client with a fresh credential and resume
    /// from the token. A credential that refreshes itself ([`Credential::oauth`](crate::Credential::oauth)) was
    /// refreshed once, and the fresh token was refused too.
    Unauthorized,
    /// The token endpoint refused to issue a token, or a login failed.
    ///
    /// # Troubleshooting
    /// [`Error::needs_login`](crate::Error::needs_login) states whether somebody has to log in again: the refresh token
    /// has expired, was revoked, or was used by somebody else. Otherwise the client's id, secret or scope is wrong, or
    /// the endpoint's URL: the message states which. [`Error::fault`](crate::Error::fault) has the endpoint's words;
    /// [`Error::url`](crate::Error::url) and [`Error::status`](crate::Error::status) identify the endpoint's answer.
    TokenRefused,
    /// The token endpoint returned no token: it could not be reached, failed, or answered with something else.
    ///
    /// # Troubleshooting
    /// The failure may be temporary. The message describes the answer; a token that is still valid stays in use
    /// meanwhile.
    TokenUnavailable,
    /// The token store failed.
    ///
    /// # Troubleshooting
    /// The source states why. The current token stays usable until it expires. A new token that could not be saved is
    /// kept in memory and saved with the next attempt; fix the store before the process ends.
    Store,
    /// The task store failed ([`ClientBuilder::task_store`](crate::ClientBuilder::task_store)).
    ///
    /// # Troubleshooting
    /// The source states why. If a submit failed, the message states whether the request was sent; if the service
    /// accepted the task, the error carries its token.
    TaskStore,
    /// The task store has a task of this name already. Nothing was sent.
    ///
    /// # Troubleshooting
    /// The message states how far that task has come. [`Client::recover`](crate::Client::recover) gives it to a process
    /// when no other process holds it; choose another name for another task.
    AlreadyStored,
    /// Another process has taken the task over from this one, because this process did not renew its lease in time; or
    /// the store no longer has the task.
    ///
    /// # Troubleshooting
    /// Stop working on the task: the other process does. If it happens to processes that run, give the store a longer
    /// lease ([`FileTaskStore::lease_time`](crate::tasks::FileTaskStore::lease_time)). A Redis server that lost its data
    /// has no task any more, and a warning in the log says so.
    TakenOver,
    /// The service refused the request (another 4xx or 5xx).
    ///
    /// # Troubleshooting
    /// [`Error::fault`](crate::Error::fault) has the service's code, message and body. After a 4xx, sending the same
    /// request again will not help. A 5xx was retried as far as that is safe, and may succeed later.
    Rejected,
    /// The service accepted the task, but named no URL for its status.
    ///
    /// # Troubleshooting
    /// The fault holds the body. If the status URL, or an id, is in a member of another name there, configure that with
    /// a [`Protocol`](crate::Protocol).
    NoStatusUrl,
    /// A URL from the service leads where no request may go: from https to http, to another scheme, or with a user.
    ///
    /// # Troubleshooting
    /// If the host is the service's own, allow it with
    /// [`ClientBuilder::allow_origin`](crate::ClientBuilder::allow_origin).
    Untrusted,
    /// The status could not be read: the requests were refused, or the answers never understood, for longer than the
    /// client's patience.
    ///
    /// # Troubleshooting
    /// The task may be running well. Fix the cause (a credential, a protocol) and resume from the token.
    StatusUnreadable,
    /// The status is gone (404 or 410): how the task ended is unknown.
    ///
    /// # Troubleshooting
    /// Look for the result by other means before you submit again.
    Gone,
    /// The deadline of the task passed, or the service asked to wait past it, or the schedule of the
    /// [`PollPolicy`](crate::PollPolicy) ended.
    ///
    /// # Troubleshooting
    /// A task continues at the service: resume from the token ([`Error::token`](crate::Error::token)) with a later
    /// deadline. If there is no task, the request was not sent, or not answered in time: the message states which, and
    /// names the limit that would have held the request for longer.
    DeadlineExceeded,
    /// The service reports that the task failed.
    ///
    /// # Troubleshooting
    /// [`Error::fault`](crate::Error::fault) has the service's reasons.
    TaskFailed,
    /// The service reports that the task was canceled.
    ///
    /// # Troubleshooting
    /// Submit again if the cancellation was not yours.
    TaskCanceled,
    /// The service reports that the task, or its result, expired.
    ///
    /// # Troubleshooting
    /// Submit again, and fetch the result sooner.
    TaskExpired,
    /// The task succeeded, but its result could not be fetched.
    ///
    /// # Troubleshooting
    /// This error never makes the task a failed one: resume from the token, or ask for the result again.
    ResultUnavailable,
    /// The outcome has no result of the requested form: no link, several links instead of one, or no body.
    ///
    /// # Troubleshooting
    /// The message states which forms exist: [`downloads`](crate::Outcome::downloads) for several links,
    /// [`value`](crate::Outcome::value) or [`bytes`](crate::Outcome::bytes) for a body.
    ResultShape,
    /// A body could not be decoded into the requested type.
    ///
    /// # Troubleshooting
    /// The source names the member. The body is still available: [`Outcome::bytes`](crate::Outcome::bytes).
    Decode,
    /// A body is larger than the limit for buffering.
    ///
    /// # Troubleshooting
    /// Download it to a file, or raise the limit.
    TooLarge,
    /// The storage refuses the link, including a fresh one.
    ///
    /// # Troubleshooting
    /// Storage gives the same answer for an expired link, a wrong signature and a link that is not valid yet; the
    /// message states what is known. Check this machine's clock and the rights of the link.
    AccessDenied,
    /// The result was replaced while it was being read.
    ///
    /// # Troubleshooting
    /// No wrong data was kept. Download the result again from the start.
    ResultChanged,
    /// The bytes of the result do not have the checksum that the storage, or the application, stated.
    ///
    /// # Troubleshooting
    /// Nothing was kept, and no file has the final name: the next call begins anew. If the checksum is wrong and the
    /// bytes are right, [`Verify::Length`](crate::downloads::Verify::Length) leaves it out.
    ChecksumMismatch,
    /// The download broke off more often than allowed without a byte of progress.
    ///
    /// # Troubleshooting
    /// The received bytes are kept beside the target as a `.part` file; the same call continues where the download
    /// ended.
    Interrupted,
    /// The disk, or the user's part of it, has no room for the result.
    ///
    /// # Troubleshooting
    /// The message states what is needed and what is free. What was received is kept: make room, and call again.
    DiskFull,
    /// The file system, or the given writer, refused.
    ///
    /// # Troubleshooting
    /// The source states why.
    Io,
    /// The resume token cannot be read, is of an unknown version, or belongs to another service.
    ///
    /// # Troubleshooting
    /// The message states which.
    InvalidToken,
    /// The protocol defines no such operation, such as a cancel.
    ///
    /// # Troubleshooting
    /// If the service has one, configure it with a [`Protocol`](crate::Protocol).
    Unsupported,
}

impl ErrorKind {
    /// Returns whether the kind states how the task itself ended, so that waiting further makes no sense.
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

    /// Returns the name of the kind in snake case, for logs, labels and scripts: it does not change.
    ///
    /// ```
    /// # use longhaul::ErrorKind;
    /// assert_eq!(ErrorKind::DeadlineExceeded.as_str(), "deadline_exceeded");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Request => "request",
            Self::Network => "network",
            Self::Throttled => "throttled",
            Self::Unauthorized => "unauthorized",
            Self::TokenRefused => "token_refused",
            Self::TokenUnavailable => "token_unavailable",
            Self::Store => "store",
            Self::TaskStore => "task_store",
            Self::AlreadyStored => "already_stored",
            Self::TakenOver => "taken_over",
            Self::Rejected => "rejected",
            Self::NoStatusUrl => "no_status_url",
            Self::Untrusted => "untrusted",
            Self::StatusUnreadable => "status_unreadable",
            Self::Gone => "gone",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::TaskFailed => "task_failed",
            Self::TaskCanceled => "task_canceled",
            Self::TaskExpired => "task_expired",
            Self::ResultUnavailable => "result_unavailable",
            Self::ResultShape => "result_shape",
            Self::Decode => "decode",
            Self::TooLarge => "too_large",
            Self::AccessDenied => "access_denied",
            Self::ResultChanged => "result_changed",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::Interrupted => "interrupted",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::InvalidToken => "invalid_token",
            Self::Unsupported => "unsupported",
        }
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
            Self::TaskStore => "the task store failed",
            Self::AlreadyStored => "the task is stored already",
            Self::TakenOver => "another process has taken the task over, or the store has lost it",
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
            Self::ChecksumMismatch => "the result is damaged",
            Self::Interrupted => "the download broke off",
            Self::DiskFull => "the disk is full",
            Self::Io => "writing failed",
            Self::InvalidToken => "the resume token is not usable",
            Self::Unsupported => "not supported",
        })
    }
}
