//! Window: the quantity that a limit counts, and the time over which the limit counts it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::seconds;

/// The quantity that a limit counts, and the time over which the limit counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenWindow", into = "WrittenWindow")]
#[non_exhaustive]
pub enum Window {
    /// A number of requests in any stretch of a length.
    Sliding {
        /// The number of requests.
        count: u32,
        /// The length of the window.
        length: Duration,
    },
    /// A number of requests in a calendar day.
    Daily {
        /// The number of requests.
        count: u32,
        /// The IANA time zone whose midnight begins the day.
        zone: String,
    },
    /// A number of bytes in any stretch of a length, counting the bodies of requests and responses.
    Bytes {
        /// The number of bytes.
        bytes: u64,
        /// The length of the window.
        length: Duration,
    },
    /// A number of concurrent requests.
    Concurrent {
        /// The number of requests.
        count: u32,
    },
}

impl Window {
    pub(super) fn check(&self) -> Result<(), String> {
        let (amount, length) = match self {
            Self::Sliding { count, length } => (u64::from(*count), Some(*length)),
            Self::Bytes { bytes, length } => (*bytes, Some(*length)),
            Self::Daily { count, zone } => {
                zone_of(zone)?;
                (u64::from(*count), None)
            }
            Self::Concurrent { count } => (u64::from(*count), None),
        };
        match length {
            _ if amount == 0 => Err("zero admits nothing".into()),
            Some(length) if length.is_zero() => Err("its window is zero: give a longer one".into()),
            Some(length) if length > LONGEST => Err("its window is longer than 400 days".into()),
            _ => Ok(()),
        }
    }

    /// Returns whether both windows count the same quantity over the same time; their counts must then be equal.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sliding { length: a, .. }, Self::Sliding { length: b, .. })
            | (Self::Bytes { length: a, .. }, Self::Bytes { length: b, .. }) => a == b,
            (Self::Daily { zone: a, .. }, Self::Daily { zone: b, .. }) => a == b,
            (Self::Concurrent { .. }, Self::Concurrent { .. }) => true,
            _ => false,
        }
    }
}

/// Returns the time zone of this name.
pub(crate) fn zone_of(name: &str) -> Result<jiff::tz::TimeZone, String> {
    jiff::tz::TimeZone::get(name).map_err(|_| {
        format!(
            "the time zone `{}` is not in this machine's database: use a name such as America/New_York, or build \
             with the feature `bundled-time-zones` where there is no database",
            name.escape_debug()
        )
    })
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sliding { count, length } => write!(f, "{count} per {length:?}"),
            Self::Daily { count, zone } => write!(f, "{count} per day in {}", zone.escape_debug()),
            Self::Bytes { bytes, length } => write!(f, "{bytes} bytes per {length:?}"),
            Self::Concurrent { count } => write!(f, "{count} at once"),
        }
    }
}

/// A window in its serialized form.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenWindow {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    seconds: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_once: Option<u32>,
}

impl TryFrom<WrittenWindow> for Window {
    type Error = String;

    fn try_from(written: WrittenWindow) -> Result<Self, String> {
        match written {
            WrittenWindow { count: Some(count), seconds: Some(length), bytes: None, day: None, at_once: None } => {
                Ok(Self::Sliding { count, length })
            }
            WrittenWindow { count: Some(count), day: Some(zone), bytes: None, seconds: None, at_once: None } => {
                Ok(Self::Daily { count, zone })
            }
            WrittenWindow { bytes: Some(bytes), seconds: Some(length), count: None, day: None, at_once: None } => {
                Ok(Self::Bytes { bytes, length })
            }
            WrittenWindow { at_once: Some(count), count: None, bytes: None, seconds: None, day: None } => {
                Ok(Self::Concurrent { count })
            }
            _ => Err("a window has count and seconds, count and day, bytes and seconds, or at_once".into()),
        }
    }
}

impl From<Window> for WrittenWindow {
    fn from(window: Window) -> Self {
        let none = Self::default();
        match window {
            Window::Sliding { count, length } => Self { count: Some(count), seconds: Some(length), ..none },
            Window::Daily { count, zone } => Self { count: Some(count), day: Some(zone), ..none },
            Window::Bytes { bytes, length } => Self { bytes: Some(bytes), seconds: Some(length), ..none },
            Window::Concurrent { count } => Self { at_once: Some(count), ..none },
        }
    }
}

/// Bounds every sum of times; the longest window of any service is a month.
pub(super) const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);
