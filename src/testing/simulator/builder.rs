//! The knobs of a simulator, to be set before it starts.

use std::io;
use std::time::Duration;

use http::StatusCode;

use super::Simulator;
use super::access::Access;
use super::knobs::{Finish, Knobs};

/// Sets up a [`Simulator`].
///
/// ```
/// use std::time::Duration;
///
/// use longhaul::testing::{Finish, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let service = Simulator::builder()
///     .limit(4, Duration::from_secs(1))
///     .limit(10_000, Duration::from_secs(86_400))
///     .task_duration(Duration::from_millis(50))
///     .finish(Finish::Signed)
///     .cut_bodies(2, 100_000)
///     .start()
///     .await?;
/// assert_eq!(service.counts().requests(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing listens until you start it"]
pub struct SimulatorBuilder {
    access: Access,
    knobs: Knobs,
    refused: Option<String>,
}

/// # The API
impl SimulatorBuilder {
    /// Takes the bearer token to be `token`; by default it is random.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.access.bearer = token.into();
        self
    }

    /// Takes the subscription key to be `key`; by default it is random.
    pub fn subscription_key(mut self, key: impl Into<String>) -> Self {
        self.access.key = key.into();
        self
    }

    /// Lets everybody in: neither the token nor the key is looked at.
    pub fn open(mut self) -> Self {
        self.access.open = true;
        self
    }

    /// Adds a limit: no more than `n` requests in any span of time as long as `per`. By default
    /// there is none, and all that are given hold at once.
    ///
    /// It counts arrivals at the API, on every route and whoever calls; what it refused does
    /// not count.
    pub fn limit(mut self, n: u32, per: Duration) -> Self {
        self.knobs.limits.push((n, per));
        self
    }

    /// How long a request to the API takes, at least; 0 by default. It arrives, as far as
    /// limits and counts are concerned, after half of it.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.knobs.latency = latency;
        self
    }

    /// How much longer than [`latency`](Self::latency) a request to the API takes at most, each
    /// another time, evenly spread; 0 by default.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.knobs.jitter = jitter;
        self
    }
}

/// # Tasks
impl SimulatorBuilder {
    /// How long a task runs unless its submit says otherwise; 500 ms by default.
    pub fn task_duration(mut self, duration: Duration) -> Self {
        self.knobs.task_duration = duration;
        self
    }

    /// What a poll of a running task asks for as `Retry-After`; 200 ms by default.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.knobs.retry_after = wait;
        self
    }

    /// Whether the answer to a submit asks for the [`retry_after`](Self::retry_after) too; not
    /// by default.
    pub fn hint_on_submit(mut self, hint: bool) -> Self {
        self.knobs.hint_on_submit = hint;
        self
    }

    /// The length of a result in bytes unless its submit says otherwise; 1,000,000 by default.
    pub fn result_size(mut self, bytes: u64) -> Self {
        self.knobs.result_size = bytes;
        self
    }

    /// The status of an accepted submit, a 2xx that may have a body; 201 by default.
    pub fn accept_status(mut self, status: u16) -> Self {
        match StatusCode::from_u16(status) {
            Ok(parsed) if parsed.is_success() && !matches!(status, 204 | 205) => {
                self.knobs.accept_status = parsed;
                self
            }
            _ => self.refuse(format!("{status} does not accept a task")),
        }
    }

    /// Whether a `Location` of the API is only a path; not by default. A signed link is always
    /// absolute.
    pub fn relative_locations(mut self, relative: bool) -> Self {
        self.knobs.relative_locations = relative;
        self
    }

    /// How a finished task tells where its result is; [`Finish::Resource`] by default.
    pub fn finish(mut self, finish: Finish) -> Self {
        self.knobs.finish = finish;
        self
    }
}

/// # Trouble with tasks
impl SimulatorBuilder {
    /// Answers the first `n` polls of each task with `status`, a 4xx or 5xx.
    pub fn fail_polls(mut self, n: u32, status: u16) -> Self {
        let Some(status) = failure(status) else {
            return self.refuse(format!("{status} is no status of a failure"));
        };
        self.knobs.failed_polls = Some((n, status));
        self
    }

    /// Answers the first `n` polls of each task with 404, as a service does whose replicas lag.
    /// They come before those of [`fail_polls`](Self::fail_polls).
    pub fn lose_first_polls(mut self, n: u32) -> Self {
        self.knobs.lost_polls = n;
        self
    }

    /// Ends every `k`-th task as failed; 0, the default, none.
    pub fn fail_every(mut self, k: u32) -> Self {
        self.knobs.fail_every = k;
        self
    }

    /// The `Retry-After` of what [`fail_polls`](Self::fail_polls) and
    /// [`fail_storage`](Self::fail_storage) answer; none by default.
    pub fn trouble_retry_after(mut self, wait: Duration) -> Self {
        self.knobs.trouble_retry_after = Some(wait);
        self
    }
}

/// # Storage
impl SimulatorBuilder {
    /// How long a signed link opens its result; an hour by default, exact to 100 ns.
    pub fn link_life(mut self, life: Duration) -> Self {
        self.knobs.link_life = life;
        self
    }

    /// How fast a connection to storage is, in bytes a second; 0, the default, is as fast as it
    /// goes.
    pub fn storage_rate(mut self, bytes_per_second: u64) -> Self {
        self.knobs.storage_rate = bytes_per_second;
        self
    }

    /// Answers the first `n` requests to storage with `status`, a 4xx or 5xx.
    pub fn fail_storage(mut self, n: u32, status: u16) -> Self {
        let Some(status) = failure(status) else {
            return self.refuse(format!("{status} is no status of a failure"));
        };
        self.knobs.failed_storage = Some((n, status));
        self
    }

    /// Cuts every body that is longer than `bytes`: the client gets so many, then the
    /// connection is dropped.
    pub fn cut_bodies_every(mut self, bytes: u64) -> Self {
        self.knobs.cut_every = Some(bytes);
        self
    }

    /// Cuts the first `n` bodies of each result that are longer than `after_bytes`. With
    /// [`cut_bodies_every`](Self::cut_bodies_every) beside it, this one comes first.
    pub fn cut_bodies(mut self, n: u32, after_bytes: u64) -> Self {
        self.knobs.cut_first = Some((n, after_bytes));
        self
    }

    /// Whether storage knows nothing of ranges: every answer is a 200 with the whole body, and
    /// there is no `Accept-Ranges`.
    pub fn ignore_ranges(mut self, ignore: bool) -> Self {
        self.knobs.ignore_ranges = ignore;
        self
    }

    /// Whether storage gives neither an `ETag` nor a `Last-Modified`, and asks for none.
    pub fn no_validators(mut self, none: bool) -> Self {
        self.knobs.no_validators = none;
        self
    }
}

/// # Tokens
impl SimulatorBuilder {
    /// Issues access tokens that live so long, and takes no other as bearer; by default the
    /// bearer is fixed, and the token endpoint answers 404. The subscription key is wanted as
    /// before.
    ///
    /// `expires_in` says whole seconds, rounded down, and 1 at least.
    pub fn tokens(mut self, life: Duration) -> Self {
        self.knobs.token_life = Some(life);
        self
    }

    /// Gives a refresh token also for `client_credentials`; by default only for the other
    /// grants.
    pub fn refreshable(mut self) -> Self {
        self.knobs.refreshable = true;
        self
    }

    /// Adds a limit to the token endpoint, as [`limit`](Self::limit) does to the API.
    pub fn token_limit(mut self, n: u32, per: Duration) -> Self {
        self.knobs.token_limits.push((n, per));
        self
    }

    /// How long a request to the token endpoint takes; 0 by default. It arrives after half of it.
    pub fn token_latency(mut self, latency: Duration) -> Self {
        self.knobs.token_latency = latency;
        self
    }

    /// The id and the secret of the client that tokens are issued to; by default they are random.
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        (self.access.client_id, self.access.client_secret) = (id.into(), secret.into());
        self
    }

    /// The name and the password of the user; by default they are random.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        (self.access.user, self.access.password) = (name.into(), password.into());
        self
    }
}

/// # The start
impl SimulatorBuilder {
    /// Starts the service on three free ports of 127.0.0.1.
    ///
    /// Must run inside a tokio runtime with I/O and time, which the service then lives in.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if a knob was given a status that does not
    /// fit it; otherwise what the system answers when asked for a port.
    pub async fn start(self) -> io::Result<Simulator> {
        match self.refused {
            Some(reason) => Err(io::Error::new(io::ErrorKind::InvalidInput, reason)),
            None => Simulator::launch(self.access, self.knobs).await,
        }
    }

    fn refuse(mut self, reason: String) -> Self {
        self.refused.get_or_insert(reason);
        self
    }
}

fn failure(status: u16) -> Option<StatusCode> {
    StatusCode::from_u16(status).ok().filter(|status| status.is_client_error() || status.is_server_error())
}
