//! The settings of the simulated Genesys Cloud, made before it starts.

use std::io;
use std::time::Duration;

use super::Genesys;

/// Configures a [`Genesys`].
///
/// ```
/// use std::time::Duration;
///
/// use longhaul::testing::{Genesys, LimitHeaders};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let service = Genesys::builder()
///     .rate(60)
///     .window(Duration::from_secs(2))
///     .limit_headers(LimitHeaders::XRateLimit)
///     .start()
///     .await?;
/// assert_ne!(service.url().port(), service.token_url().port());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing listens until you start it"]
pub struct GenesysBuilder(pub(super) Knobs);

/// The settings, with their defaults.
#[derive(Clone, Debug)]
pub(super) struct Knobs {
    pub(super) client: (String, String),
    pub(super) token_life: Duration,
    pub(super) token_limits: Vec<(u32, Duration)>,
    pub(super) rate: u32,
    pub(super) prefixes: Vec<(String, u32)>,
    pub(super) window: Duration,
    pub(super) headers: LimitHeaders,
    pub(super) retry_after: bool,
    pub(super) busy_polls: u32,
    pub(super) rows: usize,
    pub(super) page_size: usize,
    pub(super) recording_jobs: usize,
    pub(super) most_contacts: usize,
    pub(super) fraction: bool,
    pub(super) file_size: usize,
    pub(super) link_life: Duration,
    pub(super) latency: Duration,
}

/// The headers in which the service states the limit that counted a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitHeaders {
    /// `inin-ratelimit-count` (used), `-allowed` and `-reset` (seconds until the window ends).
    #[default]
    Inin,
    /// `X-Rate-Limit-Limit`, `-Remaining` and `-Reset` (the end of the window, in seconds since 1970).
    XRateLimit,
    /// None.
    Absent,
}

/// # Tokens
impl GenesysBuilder {
    /// Sets the id and the secret of the client; by default they are random.
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.0.client = (id.into(), secret.into());
        self
    }

    /// Sets how long an access token is valid; 86,400 seconds by default. The service itself can be set to 300 to
    /// 172,800 seconds; a test may set less.
    pub const fn token_life(mut self, life: Duration) -> Self {
        self.0.token_life = life;
        self
    }

    /// Adds a limit to the token endpoint: no more than `n` requests in any span of time as long as `per`. By default
    /// there is none.
    pub fn token_limit(mut self, n: u32, per: Duration) -> Self {
        self.0.token_limits.push((n, per));
        self
    }
}

/// # Limits
impl GenesysBuilder {
    /// Sets how many requests a token may send in a [window](Self::window); 300 by default. Services of 60 and 180 have
    /// been seen.
    pub const fn rate(mut self, calls: u32) -> Self {
        self.0.rate = calls;
        self
    }

    /// Gives the paths with this prefix, such as `/api/v2/analytics/`, a limit per token of their own, which alone
    /// counts them. By default `/api/v2/scim/` has one of 120. Of several prefixes of a path, the longest counts.
    pub fn prefix_rate(mut self, prefix: impl Into<String>, calls: u32) -> Self {
        let prefix = prefix.into();
        self.0.prefixes.retain(|(known, _)| *known != prefix);
        self.0.prefixes.push((prefix, calls));
        self
    }

    /// Sets the length of the windows, each of which begins with the first request that it counts; a minute by default.
    pub const fn window(mut self, length: Duration) -> Self {
        self.0.window = length;
        self
    }

    /// Sets the headers that state the limit in every answer to a valid token; [`LimitHeaders::Inin`] by default.
    pub const fn limit_headers(mut self, headers: LimitHeaders) -> Self {
        self.0.headers = headers;
        self
    }

    /// Sets whether a 429 has a `Retry-After`, in whole seconds, rounded up; true by default. The message of the body
    /// states the same time in either case.
    pub const fn retry_after(mut self, present: bool) -> Self {
        self.0.retry_after = present;
        self
    }
}

/// # Jobs
impl GenesysBuilder {
    /// Sets how many polls find a job at work before one finds its end; 2 by default. A recording job works twice:
    /// until it is ready, and until it is fulfilled.
    pub const fn busy_polls(mut self, polls: u32) -> Self {
        self.0.busy_polls = polls;
        self
    }

    /// Sets the number of rows of a result; 5 by default.
    pub const fn rows(mut self, rows: usize) -> Self {
        self.0.rows = rows;
        self
    }

    /// Sets the largest page of a result, and the size of a page whose request states no `pageSize`; 1000 by default.
    pub const fn page_size(mut self, rows: usize) -> Self {
        self.0.page_size = rows;
        self
    }

    /// Sets how many recording jobs may be at work at once; 2 by default. One more is refused with 429 and a
    /// `Retry-After` of a second.
    pub const fn recording_jobs(mut self, jobs: usize) -> Self {
        self.0.recording_jobs = jobs;
        self
    }

    /// Sets how many contacts a request may add; 500 by default. A request with more is refused with 400.
    pub const fn most_contacts(mut self, contacts: usize) -> Self {
        self.0.most_contacts = contacts;
        self
    }

    /// Sets whether the `percentageComplete` of an export counts up to 1.0; by default it counts to 100.0.
    pub const fn percentage_as_fraction(mut self, fraction: bool) -> Self {
        self.0.fraction = fraction;
        self
    }

    /// Sets the length of each file in bytes; 10,000 by default.
    pub const fn file_size(mut self, bytes: usize) -> Self {
        self.0.file_size = bytes;
        self
    }

    /// Sets how long a signed link is valid; an hour by default.
    pub const fn link_life(mut self, life: Duration) -> Self {
        self.0.link_life = life;
        self
    }
}

/// # The start
impl GenesysBuilder {
    /// Sets the time that every request takes; 0 by default. A request arrives after half of it.
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.0.latency = latency;
        self
    }

    /// Starts the service on three free ports of 127.0.0.1.
    ///
    /// Must be called in a tokio runtime with I/O and time, on which the service then runs.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start(self) -> io::Result<Genesys> {
        Genesys::launch(self.0).await
    }
}

impl Default for GenesysBuilder {
    fn default() -> Self {
        let random = |length| (0..length).map(|_| fastrand::alphanumeric()).collect();
        Self(Knobs {
            client: (random(16), random(32)),
            token_life: Duration::from_secs(86_400),
            token_limits: Vec::new(),
            rate: 300,
            prefixes: vec![("/api/v2/scim/".to_owned(), 120)],
            window: Duration::from_secs(60),
            headers: LimitHeaders::Inin,
            retry_after: true,
            busy_polls: 2,
            rows: 5,
            page_size: 1_000,
            recording_jobs: 2,
            most_contacts: 500,
            fraction: false,
            file_size: 10_000,
            link_life: Duration::from_secs(3_600),
            latency: Duration::ZERO,
        })
    }
}
