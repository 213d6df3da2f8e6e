//! Alert: a condition that needs a person's attention.

use std::fmt;
use std::sync::Arc;

/// A condition that needs a person's attention: [`Event::Alert`](super::Event::Alert).
///
/// An alert is emitted once, when the condition begins. `Display` is one line, such as `critical: 7 of 50 answers
/// failed (14 %) in the last five minutes`; the daily summary has several lines. An alert holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    kind: AlertKind,
    about: Option<Arc<str>>,
    text: Arc<str>,
}

impl Alert {
    pub(crate) fn new(kind: AlertKind, about: Option<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { kind, about, text: text.into() }
    }

    /// Returns the kind of the alert.
    #[must_use]
    pub const fn kind(&self) -> AlertKind {
        self.kind
    }

    /// Returns how urgent the alert is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.kind.severity()
    }

    /// Returns the limit, the credential or the task that the alert concerns, if there is one.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// Returns the text of the alert, without the severity.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_of(&self, kind: AlertKind, about: Option<&str>) -> bool {
        self.kind == kind && self.about() == about
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity(), self.text)
    }
}

/// The condition that an alert reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AlertKind {
    /// Critical: the service has answered with 429 for minutes.
    ThrottledForLong,
    /// Critical: many responses are 401.
    Unauthorized,
    /// Critical: a response was 503.
    Unavailable,
    /// Critical: too many requests fail.
    ErrorRate,
    /// Critical: the slowest responses take far longer than in the hour before.
    LatencySpike,
    /// Warning: a response was 429.
    Throttled,
    /// Warning: little is left of a limit.
    NearLimit,
    /// Warning: a token could not be fetched or refreshed.
    RefreshFailed,
    /// Warning: more requests fail than in the hour before.
    ErrorsRising,
    /// Warning: responses take longer than in the hour before.
    LatencyRising,
    /// Warning: a task has been running for long.
    RunningForLong,
    /// Warning: the service refuses for load although a declared limit is kept, which is higher than the service's own.
    DeclaredTooHigh,
    /// Warning: a token in use is near its end, and was not refreshed.
    TokenNotRefreshed,
    /// Information: the summary of the last 24 hours.
    Daily,
}

impl AlertKind {
    /// Returns how urgent alerts of this kind are.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::ThrottledForLong | Self::Unauthorized | Self::Unavailable | Self::ErrorRate | Self::LatencySpike => {
                Severity::Critical
            }
            Self::Throttled
            | Self::NearLimit
            | Self::RefreshFailed
            | Self::ErrorsRising
            | Self::LatencyRising
            | Self::RunningForLong
            | Self::DeclaredTooHigh
            | Self::TokenNotRefreshed => Severity::Warning,
            Self::Daily => Severity::Information,
        }
    }

    /// Returns the name, as used in metrics and logs, such as `throttled_for_long`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThrottledForLong => "throttled_for_long",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::ErrorRate => "error_rate",
            Self::LatencySpike => "latency_spike",
            Self::Throttled => "throttled",
            Self::NearLimit => "near_limit",
            Self::RefreshFailed => "refresh_failed",
            Self::ErrorsRising => "errors_rising",
            Self::LatencyRising => "latency_rising",
            Self::RunningForLong => "running_for_long",
            Self::DeclaredTooHigh => "declared_too_high",
            Self::TokenNotRefreshed => "token_not_refreshed",
            Self::Daily => "daily",
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How urgent an alert is. More urgent severities compare greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// For the record.
    Information,
    /// Needs attention today.
    Warning,
    /// Needs attention now.
    Critical,
}

impl Severity {
    /// Returns the name, as used in metrics and logs: `information`, `warning`, `critical`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
