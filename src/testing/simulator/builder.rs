//! The settings of a simulator, made before it starts.

use std::io;
use std::time::Duration;

use http::StatusCode;

use super::Simulator;
use super::access::Access;
use super::knobs::{Finish, Knobs, RefusalHint};

/// Configures a [`Simulator`].
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
    /// Sets the bearer token; by default it is random.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.access.bearer = token.into();
        self
    }

    /// Sets the subscription key; by default it is random.
    pub fn subscription_key(mut self, key: impl Into<String>) -> Self {
        self.access.key = key.into();
        self
    }

    /// Admits every caller: neither the token nor the key is checked.
    pub fn open(mut self) -> Self {
        self.access.open = true;
        self
    }

    /// Adds a limit: no more than `n` requests in any span of time as long as `per`. By default there is none, and all
    /// added limits apply at once.
    ///
    /// A limit counts arrivals at the API, on every route and of every caller; refused requests do not count.
    pub fn limit(mut self, n: u32, per: Duration) -> Self {
        self.knobs.limits.push((n, per));
        self
    }

    /// Limits the bytes of the API: the bodies of requests and of answers in any span of time as long as `per`. By
    /// default there is no such limit. The length of an answer is known only when it is sent, so the window can be
    /// overdrawn; it then refuses until enough of its bytes are old. Refused requests do not count.
    pub fn byte_limit(mut self, bytes: u64, per: Duration) -> Self {
        self.knobs.byte_limit = Some((bytes, per));
        self
    }

    /// Sets where a refusal by a limit states how long it lasts; [`RefusalHint::Header`] by default.
    pub fn refusal_hint(mut self, hint: RefusalHint) -> Self {
        self.knobs.refusal_hint = hint;
        self
    }

    /// Sets a soft cap on the calls of a month, as if the month had begun at the start; none by default. Calls above the
    /// cap are answered as all others, with a header `Warning` (299): SMAG documents that the cap only warns, and leaves
    /// open how.
    pub fn monthly_cap(mut self, calls: u64) -> Self {
        self.knobs.monthly_cap = Some(calls);
        self
    }

    /// Sets the number of farms that `GET farms` lists; 4 by default. Each is about 30 bytes.
    pub fn farms(mut self, count: usize) -> Self {
        self.knobs.farms = count;
        self
    }

    /// Sets the minimum time that a request to the API takes; 0 by default. For limits and counts, the request arrives
    /// after half of it.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.knobs.latency = latency;
        self
    }

    /// Sets the maximum time that a request to the API takes beyond [`latency`](Self::latency), drawn for each request
    /// from an even distribution; 0 by default.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.knobs.jitter = jitter;
        self
    }
}

/// # Tasks
impl SimulatorBuilder {
    /// Sets how long a task runs unless its submit states otherwise; 500 ms by default.
    pub fn task_duration(mut self, duration: Duration) -> Self {
        self.knobs.task_duration = duration;
        self
    }

    /// Sets the `Retry-After` of a poll of a running task; 200 ms by default.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.knobs.retry_after = wait;
        self
    }

    /// Sets whether the answer to a submit contains the [`retry_after`](Self::retry_after) too; not by default.
    pub fn hint_on_submit(mut self, hint: bool) -> Self {
        self.knobs.hint_on_submit = hint;
        self
    }

    /// Sets the length of a result in bytes unless its submit states otherwise; 1,000,000 by default.
    pub fn result_size(mut self, bytes: u64) -> Self {
        self.knobs.result_size = bytes;
        self
    }

    /// Starts one task for each `Idempotency-Key`, however often its submit arrives; by default the header is ignored.
    pub fn idempotency_keys(mut self) -> Self {
        self.knobs.idempotency_keys = true;
        self
    }

    /// Sets the status of an accepted submit, a 2xx that may have a body; 201 by default.
    pub fn accept_status(mut self, status: u16) -> Self {
        match StatusCode::from_u16(status) {
            Ok(parsed) if parsed.is_success() && !matches!(status, 204 | 205) => {
                self.knobs.accept_status = parsed;
                self
            }
            _ => self.refuse(format!("{status} does not accept a task")),
        }
    }

    /// Sets whether a `Location` of the API is only a path; not by default. A signed link is always absolute.
    pub fn relative_locations(mut self, relative: bool) -> Self {
        self.knobs.relative_locations = relative;
        self
    }

    /// Sets how a finished task names its result; [`Finish::Resource`] by default.
    pub fn finish(mut self, finish: Finish) -> Self {
        self.knobs.finish = finish;
        self
    }
}

/// # Task failures
impl SimulatorBuilder {
    /// Answers the first `n` polls of each task with `status`, a 4xx or 5xx.
    pub fn fail_polls(mut self, n: u32, status: u16) -> Self {
        let Some(status) = failure(status) else {
            return self.refuse(format!("{status} is no status of a failure"));
        };
        self.knobs.failed_polls = Some((n, status));
        self
    }

    /// Answers the first `n` polls of each task with 404, as a service with lagging replicas does. They come before
    /// those of [`fail_polls`](Self::fail_polls).
    pub fn lose_first_polls(mut self, n: u32) -> Self {
        self.knobs.lost_polls = n;
        self
    }

    /// Ends every `k`-th task as failed; 0, the default, none.
    pub fn fail_every(mut self, k: u32) -> Self {
        self.knobs.fail_every = k;
        self
    }

    /// Sets the `Retry-After` of the failures of [`fail_polls`](Self::fail_polls) and
    /// [`fail_storage`](Self::fail_storage); none by default.
    pub fn trouble_retry_after(mut self, wait: Duration) -> Self {
        self.knobs.trouble_retry_after = Some(wait);
        self
    }
}

/// # Storage
impl SimulatorBuilder {
    /// Sets how long a signed link is valid; an hour by default, exact to 100 ns.
    pub fn link_life(mut self, life: Duration) -> Self {
        self.knobs.link_life = life;
        self
    }

    /// Sets the rate of a connection to storage in bytes per second; 0, the default, is as fast as possible.
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

    /// Cuts every body that is longer than `bytes`: the client gets this many, then the connection is dropped.
    pub fn cut_bodies_every(mut self, bytes: u64) -> Self {
        self.knobs.cut_every = Some(bytes);
        self
    }

    /// Cuts the first `n` bodies of each result that are longer than `after_bytes`. If
    /// [`cut_bodies_every`](Self::cut_bodies_every) is set too, this setting takes precedence.
    pub fn cut_bodies(mut self, n: u32, after_bytes: u64) -> Self {
        self.knobs.cut_first = Some((n, after_bytes));
        self
    }

    /// Sets whether storage ignores ranges: every answer is then a 200 with the whole body, and there is no
    /// `Accept-Ranges`.
    pub fn ignore_ranges(mut self, ignore: bool) -> Self {
        self.knobs.ignore_ranges = ignore;
        self
    }

    /// Sets whether storage sends neither an `ETag` nor a `Last-Modified`, and requires none.
    pub fn no_validators(mut self, none: bool) -> Self {
        self.knobs.no_validators = none;
        self
    }
}

/// # Tokens
impl SimulatorBuilder {
    /// Issues access tokens with this lifetime, and accepts no other bearer. By default the bearer is fixed, and the
    /// token endpoint answers 404. The subscription key is required in either case.
    ///
    /// `expires_in` contains whole seconds, rounded down, and at least 1.
    pub fn tokens(mut self, life: Duration) -> Self {
        self.knobs.token_life = Some(life);
        self
    }

    /// Requires the subscription key at the token endpoint too, as of a service whose logins stand behind the gateway of
    /// the API. By default the key is misplaced there.
    pub fn keyed_tokens(mut self) -> Self {
        self.access.keyed_tokens = true;
        self
    }

    /// Issues a refresh token for `client_credentials` too; by default only for the other grants.
    pub fn refreshable(mut self) -> Self {
        self.knobs.refreshable = true;
        self
    }

    /// Adds a limit to the token endpoint, as [`limit`](Self::limit) does to the API.
    pub fn token_limit(mut self, n: u32, per: Duration) -> Self {
        self.knobs.token_limits.push((n, per));
        self
    }

    /// Sets how long a request to the token endpoint takes; 0 by default. The request arrives after half of it.
    pub fn token_latency(mut self, latency: Duration) -> Self {
        self.knobs.token_latency = latency;
        self
    }

    /// Sets the id and the secret of the client that tokens are issued to; by default they are random.
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        (self.access.client_id, self.access.client_secret) = (id.into(), secret.into());
        self
    }

    /// Sets the name and the password of the user; by default they are random.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        (self.access.user, self.access.password) = (name.into(), password.into());
        self
    }
}

/// # The start
impl SimulatorBuilder {
    /// Starts the service on three free ports of 127.0.0.1.
    ///
    /// Must be called in a tokio runtime with I/O and time, on which the service then runs.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if a setting has an unsuitable status; otherwise the error of the
    /// system when it was asked for a port.
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
