//! Alert: something that people should look at.

use std::fmt;
use std::sync::Arc;

/// Something that people should look at: [`Event::Alert`](super::Event::Alert).
///
/// It is told once when it begins. `Display` is one line, such as `critical: 7 of 50 answers failed (14 %) in the last
/// five minutes`; for the daily summary several. It holds no secret.
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

    /// What happens.
    #[must_use]
    pub const fn kind(&self) -> AlertKind {
        self.kind
    }

    /// How urgent it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.kind.severity()
    }

    /// The limit, the credential or the task that it is about, where it is about one.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// What is to be said of it, without the severity.
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

/// What an alert tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AlertKind {
    /// Critical: the service answers with 429 for minutes.
    ThrottledForLong,
    /// Critical: many answers are 401.
    Unauthorized,
    /// Critical: an answer was 503.
    Unavailable,
    /// Critical: too many requests fail.
    ErrorRate,
    /// Critical: the slowest answers take far longer than in the hour before.
    LatencySpike,
    /// Warning: an answer was 429.
    Throttled,
    /// Warning: little is left of a limit.
    NearLimit,
    /// Warning: a token could not be fetched or refreshed.
    RefreshFailed,
    /// Warning: more requests fail than in the hour before.
    ErrorsRising,
    /// Warning: answers take longer than in the hour before.
    LatencyRising,
    /// Warning: a task has been running for long.
    RunningForLong,
    /// Warning: the service refuses for load though a declared limit is kept, which is higher than its own.
    DeclaredTooHigh,
    /// Warning: a token that is used is near its end, and was not refreshed.
    TokenNotRefreshed,
    /// Information: the summary of the last 24 hours.
    Daily,
}

impl AlertKind {
    /// How urgent it is.
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

    /// Its name, as metrics and logs have it, such as `throttled_for_long`.
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

/// How urgent an alert is. The more urgent is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// For the record.
    Information,
    /// To be looked at today.
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// Its name, as metrics and logs have it: `information`, `warning`, `critical`.
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
