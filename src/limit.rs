//! Limit: a promise about how often a service is asked, as a user states it.

mod anchor;
mod outage;
mod route;
mod scope;
mod window;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

pub use anchor::Anchor;
pub use outage::Outage;
pub use scope::Scope;
pub use window::Window;

pub(crate) use route::Route;
pub(crate) use window::zone_of;

/// A promise to keep: a number of requests in a window, for one or several windows at once, and the requests that
/// count.
///
/// A window slides: no stretch of its length ever holds more than its count, as the service counts arrivals. A request
/// is sent once *all* windows of *all* limits that match it admit it; if one of them refuses, none is charged.
///
/// ```
/// use longhaul::Limit;
/// use longhaul::limits::Scope;
///
/// // 4 a second and 10,000 a calendar day for an API key, whatever tokens are used under it.
/// let limit = Limit::per_second(4).and_per_day(10_000, "America/New_York");
/// assert_eq!(limit.to_string(), "4 per 1s and 10000 per day in America/New_York of the account");
///
/// // A limit of one route, and a profile's way to write it.
/// let stats = Limit::per_minute(2).scope(Scope::route("GET campaigns/*/stats/*"));
/// let text = serde_json::to_string(&stats)?;
/// assert_eq!(text, r#"{"scope":"route GET campaigns/*/stats/*","windows":[{"count":2,"seconds":60}]}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// An invalid limit (a count of zero, more than 400 days, an unknown time zone) is an error when it is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Scope::is_account")]
    scope: Scope,
    windows: Vec<Window>,
    #[serde(skip_serializing_if = "Anchor::is_response")]
    anchor: Anchor,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_queue: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    soft: bool,
    #[serde(with = "crate::clock::seconds::option", skip_serializing_if = "Option::is_none")]
    pause_without_hint: Option<Duration>,
    #[serde(skip_serializing_if = "Outage::is_closed")]
    outage: Outage,
}

impl Limit {
    /// Allows `count` requests in any second.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self::per(count, Duration::from_secs(1))
    }

    /// Allows `count` requests in any minute.
    #[must_use]
    pub fn per_minute(count: u32) -> Self {
        Self::per(count, Duration::from_secs(60))
    }

    /// Allows `count` requests in any stretch of `window`.
    #[must_use]
    pub fn per(count: u32, window: Duration) -> Self {
        Self::default().and_per(count, window)
    }

    /// Allows `count` requests in a calendar day, which begins at midnight in this IANA time zone. A request that may
    /// have arrived on either side of midnight counts for both days.
    #[must_use]
    pub fn per_day(count: u32, zone: impl Into<String>) -> Self {
        Self::default().and_per_day(count, zone)
    }

    /// Allows `bytes` in any stretch of `window`: the bodies of requests, and those of responses as they are received.
    /// The length of a response is only known when it arrives, so a window can be overdrawn; it then admits nothing
    /// until it is no longer overdrawn.
    #[must_use]
    pub fn bytes_per(bytes: u64, window: Duration) -> Self {
        Self::default().and_bytes_per(bytes, window)
    }

    /// Allows `count` concurrent requests: from the send to the end of the response body.
    #[must_use]
    pub fn concurrent(count: u32) -> Self {
        Self::default().and_concurrent(count)
    }

    /// Adds a window: at most `count` requests in any stretch of `window`.
    #[must_use]
    pub fn and_per(self, count: u32, window: Duration) -> Self {
        self.and(Window::Sliding { count, length: window })
    }

    /// Adds a window: at most `count` requests in a calendar day, as in [`per_day`](Limit::per_day).
    #[must_use]
    pub fn and_per_day(self, count: u32, zone: impl Into<String>) -> Self {
        self.and(Window::Daily { count, zone: zone.into() })
    }

    /// Adds a window: at most this many bytes, as in [`bytes_per`](Limit::bytes_per).
    #[must_use]
    pub fn and_bytes_per(self, bytes: u64, window: Duration) -> Self {
        self.and(Window::Bytes { bytes, length: window })
    }

    /// Adds a window: at most `count` concurrent requests, as in [`concurrent`](Limit::concurrent).
    #[must_use]
    pub fn and_concurrent(self, count: u32) -> Self {
        self.and(Window::Concurrent { count })
    }

    /// Declares that the service queues this many requests above the limit and answers them late, before it refuses
    /// any.
    ///
    /// Requests are then sent as such a service accepts them: a first burst of the count, then evenly at the rate. They
    /// are counted from the send, because the service's queue absorbs requests that the network bunches together. At no
    /// time are more requests in flight than the service can hold.
    #[must_use]
    pub const fn and_server_queue(mut self, length: u32) -> Self {
        self.server_queue = Some(length);
        self
    }

    /// Sets the requests that count. [`Scope::Account`] by default.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the name of the limit. Events and errors show the name. A service may name the limit in its responses
    /// (`"burst"` of `RateLimit-Policy`): a refusal by that name pauses this limit.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the moment from which a request's slot runs. [`Anchor::Response`] by default.
    #[must_use]
    pub const fn anchor(mut self, anchor: Anchor) -> Self {
        self.anchor = anchor;
        self
    }

    /// Sets how long the requests under this limit pause after a 429 without a stated wait. Use this method if the
    /// service documents the wait instead. A wait that the service states is kept, even if it is shorter. A 503 exceeds
    /// no limit: its pause is the default one.
    ///
    /// By default such a pause is 1 second, doubled at each further refusal up to 64: short enough for limits of a
    /// second, and soon long enough for others. A pause that is set here is not doubled. In data the member is
    /// `pause_without_hint`, in seconds. Zero and more than 400 days are errors when the limit is installed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use longhaul::Limit;
    ///
    /// // "After a 429, wait for the next minute."
    /// let limit = Limit::per_minute(60).pause_without_hint(Duration::from_secs(60));
    /// let text = serde_json::to_string(&limit)?;
    /// assert_eq!(text, r#"{"windows":[{"count":60,"seconds":60}],"pause_without_hint":60}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub const fn pause_without_hint(mut self, pause: Duration) -> Self {
        self.pause_without_hint = Some(pause);
        self
    }

    /// Sets how a process uses the limit while it cannot reach the store of a shared throttle
    /// ([`Throttle::file`](crate::Throttle::file), `Throttle::redis`). [`Outage::Closed`] by default: nothing is sent
    /// once the lease is over. In data the member is `outage`.
    ///
    /// ```
    /// use longhaul::Limit;
    /// use longhaul::limits::Outage;
    ///
    /// let limit = Limit::per_second(15).outage(Outage::Share);
    /// let text = serde_json::to_string(&limit)?;
    /// assert_eq!(text, r#"{"windows":[{"count":15,"seconds":1}],"outage":"share"}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub const fn outage(mut self, outage: Outage) -> Self {
        self.outage = outage;
        self
    }

    /// Makes the limit soft: it only reports when it is exceeded, and never holds a request back. Use a soft limit for
    /// a cap that the service does not enforce.
    #[must_use]
    pub const fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    /// Returns the windows of the limit.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Returns the name of the limit, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) const fn scoped(&self) -> &Scope {
        &self.scope
    }

    pub(crate) const fn anchored(&self) -> Anchor {
        self.anchor
    }

    pub(crate) const fn queue(&self) -> Option<u32> {
        self.server_queue
    }

    pub(crate) const fn unasked_pause(&self) -> Option<Duration> {
        self.pause_without_hint
    }

    pub(crate) const fn on_outage(&self) -> Outage {
        self.outage
    }

    pub(crate) const fn is_soft(&self) -> bool {
        self.soft
    }

    /// Returns a window of the same length as an earlier window of the limit.
    pub(crate) fn repeated(&self) -> Option<&Window> {
        let windows = self.windows.iter().enumerate();
        windows
            .clone()
            .find(|(at, window)| self.windows.iter().take(*at).any(|other| other.is_like(window)))
            .map(|(_, w)| w)
    }

    /// Replaces the window of the same length by this window.
    pub(crate) fn set(&mut self, window: &Window) {
        for own in self.windows.iter_mut().filter(|own| own.is_like(window)) {
            own.clone_from(window);
        }
    }

    /// Returns the limit with only this window.
    pub(crate) fn only(&self, window: &Window) -> Self {
        Self { windows: vec![window.clone()], ..self.clone() }
    }

    /// Checks that the limit can be kept.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |why: String| Err(Error::new(ErrorKind::Config, format!("the limit `{self}`: {why}")));
        if self.windows.is_empty() {
            return wrong("it has no window: give it one, as Limit::per_second does".into());
        }
        for window in &self.windows {
            if let Err(why) = window.check() {
                return wrong(why);
            }
        }
        let sliding = |window: &Window| matches!(window, Window::Sliding { .. });
        if self.server_queue.is_some() && self.windows.iter().filter(|window| sliding(window)).count() != 1 {
            return wrong("a server queue needs exactly one window of requests, the rate of the queue".into());
        }
        match self.pause_without_hint {
            Some(pause) if pause.is_zero() => {
                return wrong("its pause without a hint is zero: give a longer one".into());
            }
            Some(pause) if pause > window::LONGEST => {
                return wrong("its pause without a hint is longer than 400 days".into());
            }
            _ => {}
        }
        match self.anchor {
            Anchor::SendPlus(guard) if guard > window::LONGEST => wrong("its guard is longer than 400 days".into()),
            _ => self.scope.check().or_else(wrong),
        }
    }

    fn and(mut self, window: Window) -> Self {
        self.windows.push(window);
        self
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{}: ", name.escape_debug())?;
        }
        for (at, window) in self.windows.iter().enumerate() {
            let and = if at > 0 { " and " } else { "" };
            write!(f, "{and}{window}")?;
        }
        if let Some(queue) = self.server_queue {
            write!(f, " with {queue} queued")?;
        }
        write!(f, " of {}", self.scope)?;
        match self.anchor {
            Anchor::Response => {}
            Anchor::ResponseLessRoundTrip => f.write_str(", from the answer less a round trip")?,
            Anchor::SendPlus(guard) => write!(f, ", from the send plus {guard:?}")?,
            Anchor::Send => f.write_str(", from the send")?,
        }
        if let Some(pause) = self.pause_without_hint {
            write!(f, ", pausing for {pause:?} after a refusal without a wait")?;
        }
        f.write_str(match self.outage {
            Outage::Closed => "",
            Outage::Share => ", on its share while the store is away",
            Outage::Open => ", open while the store is away",
        })?;
        f.write_str(if self.soft { ", soft" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_text_and_data_and_comes_back_the_same() {
        let second = Duration::from_secs(1);
        for (limit, shown) in [
            (Limit::per_second(4), "4 per 1s of the account"),
            (Limit::per_minute(10).scope(Scope::Host), "10 per 60s of the host"),
            (Limit::bytes_per(1 << 20, second).and_concurrent(8), "1048576 bytes per 1s and 8 at once of the account"),
            (
                Limit::per_second(15).and_server_queue(100).named("rate"),
                "rate: 15 per 1s with 100 queued of the account",
            ),
            (
                Limit::per(3, second / 2).anchor(Anchor::SendPlus(second)).soft().scope(Scope::Kind("export".into())),
                "3 per 500ms of tasks of the kind export, from the send plus 1s, soft",
            ),
            (
                Limit::per_day(5, "Europe/Berlin").scope(Scope::TokenEndpoint),
                "5 per day in Europe/Berlin of the token endpoint",
            ),
            (
                Limit::per_second(4).outage(Outage::Share),
                "4 per 1s of the account, on its share while the store is away",
            ),
            (Limit::per_second(4).outage(Outage::Open), "4 per 1s of the account, open while the store is away"),
        ] {
            assert_eq!(limit.to_string(), shown);
            limit.check().unwrap();
            let json = serde_json::to_string(&limit).unwrap();
            assert_eq!(serde_json::from_str::<Limit>(&json).unwrap(), limit, "{json}");
            let text = toml::to_string(&limit).unwrap();
            assert_eq!(toml::from_str::<Limit>(&text).unwrap(), limit, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let day = Duration::from_secs(24 * 60 * 60);
        for (limit, named) in [
            (Limit::default(), "no window"),
            (Limit::per_second(0), "admits nothing"),
            (Limit::per(1, Duration::ZERO), "window is zero"),
            (Limit::per(1, day * 401), "400 days"),
            (Limit::per(1, Duration::MAX), "400 days"),
            (Limit::per_second(1).and_per(1, Duration::ZERO), "window is zero"),
            (Limit::per_day(1, "Mars/Olympus"), "Mars/Olympus"),
            (Limit::per_day(0, "UTC"), "admits nothing"),
            (Limit::bytes_per(0, day), "admits nothing"),
            (Limit::concurrent(0), "admits nothing"),
            (Limit::concurrent(1).and_server_queue(9), "server queue"),
            (Limit::per_second(1).anchor(Anchor::SendPlus(Duration::MAX)), "guard"),
            (Limit::per_second(1).scope(Scope::route("GET a/*x*")), "one `*`"),
            (Limit::per_second(1).scope(Scope::route("GTE farms")), "`GTE` is no method"),
            (Limit::per_second(1).scope(Scope::route("PATCH")), "a method without a path"),
            (Limit::per_second(1).scope(Scope::Kind(String::new())), "kind"),
        ] {
            let error = limit.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
        for text in [
            r#"{"windows":[{"count":1}]}"#,
            r#"{"windows":[{"count":1,"seconds":-1}]}"#,
            r#"{"windows":[{"count":1,"seconds":1,"at_once":1}]}"#,
            r#"{"windows":[],"scope":"planet"}"#,
            r#"{"windows":[],"anchor":"moon"}"#,
            r#"{"windows":[],"outage":"maybe"}"#,
            r#"{"windows":[],"unknown":1}"#,
        ] {
            assert!(serde_json::from_str::<Limit>(text).is_err(), "{text}");
        }
    }
}
