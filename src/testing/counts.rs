//! The request counts of a service.

/// The request counts of a [`Simulator`] or another simulated service, up to the call of [`Simulator::counts`].
///
/// A request to the API is counted when it arrives, and in one category only: as throttled, else as unauthorized, else
/// by its route. So retries of a refused submit do not increase [`submits`](Self::submits).
///
/// [`Simulator`]: super::Simulator
/// [`Simulator::counts`]: super::Simulator::counts
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub(super) submits: u64,
    pub(super) polls: u64,
    pub(super) cancels: u64,
    pub(super) follow_ups: u64,
    pub(super) other_calls: u64,
    pub(super) throttled: u64,
    pub(super) held: u64,
    pub(super) over_cap: u64,
    pub(super) unauthorized: u64,
    pub(super) early_polls: u64,
    pub(super) downloads: u64,
    pub(super) storage_bytes: u64,
    pub(super) misplaced_credentials: u64,
    pub(super) token_requests: u64,
    pub(super) tokens_throttled: u64,
    pub(super) tokens_refused: u64,
    pub(super) logins: u64,
    pub(super) refreshes: u64,
    pub(super) revocations: u64,
}

impl Counts {
    /// Returns the number of all requests to the API, whatever the answers.
    pub const fn requests(&self) -> u64 {
        self.submits
            + self.polls
            + self.cancels
            + self.follow_ups
            + self.other_calls
            + self.throttled
            + self.unauthorized
    }

    /// Returns the number of `POST exports`.
    pub const fn submits(&self) -> u64 {
        self.submits
    }

    /// Returns the number of `GET tasks/{uid}`, including those answered with a failure or 404.
    pub const fn polls(&self) -> u64 {
        self.polls
    }

    /// Returns the number of `DELETE tasks/{uid}`.
    pub const fn cancels(&self) -> u64 {
        self.cancels
    }

    /// Returns the number of `GET results/{uid}`: the final location, followed.
    pub const fn follow_ups(&self) -> u64 {
        self.follow_ups
    }

    /// Returns the number of all other requests to the API: `GET farms`, unknown paths, wrong methods.
    pub const fn other_calls(&self) -> u64 {
        self.other_calls
    }

    /// Returns the number of requests that a limit refused with 429.
    pub const fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Returns the number of requests that the service kept in its queue, and answered late. Each is counted by its
    /// route, too.
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Returns the number of requests to the API that were answered with a warning, because they exceeded a
    /// [soft cap](super::SimulatorBuilder::monthly_cap).
    pub const fn over_cap(&self) -> u64 {
        self.over_cap
    }

    /// Returns the number of requests refused with 401.
    pub const fn unauthorized(&self) -> u64 {
        self.unauthorized
    }

    /// Returns the number of polls that arrived before the last `Retry-After` sent for their task had passed, counted
    /// from the moment when that answer was written. There is no tolerance. A refused poll counts too, and a 429 to a
    /// poll sets a new time as any other answer does.
    pub const fn early_polls(&self) -> u64 {
        self.early_polls
    }

    /// Returns the number of requests to storage, whatever the answers.
    pub const fn downloads(&self) -> u64 {
        self.downloads
    }

    /// Returns the number of result bytes passed to connections. A client that hangs up early has received somewhat
    /// less.
    pub const fn storage_bytes(&self) -> u64 {
        self.storage_bytes
    }

    /// Returns the number of requests whose secrets went to the wrong origin: to storage with `Authorization`,
    /// `Ocp-Apim-Subscription-Key`, `Cookie` or `Referer`; to the token endpoint with the last three; to either with
    /// the bearer token, the key, any issued token, or the secret of the client or the user, in any header or in the
    /// URL; to the API with a `sig` in the query, or with a refresh token or one of the secrets.
    pub const fn misplaced_credentials(&self) -> u64 {
        self.misplaced_credentials
    }

    /// Returns the number of requests to the token endpoint, whatever the answers. [`requests`](Self::requests) does
    /// not include them.
    pub const fn token_requests(&self) -> u64 {
        self.token_requests
    }

    /// Returns the number of requests to the token endpoint that its limit refused with 429.
    pub const fn tokens_throttled(&self) -> u64 {
        self.tokens_throttled
    }

    /// Returns the number of [`unauthorized`](Self::unauthorized) requests to the API whose key was right, and whose
    /// token was wrong or missing.
    pub const fn tokens_refused(&self) -> u64 {
        self.tokens_refused
    }

    /// Returns the number of tokens granted by `client_credentials`, by `authorization_code` or by name and password.
    pub const fn logins(&self) -> u64 {
        self.logins
    }

    /// Returns the number of tokens granted by `refresh_token`, including those whose answer was lost.
    pub const fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// Returns the number of `POST /oauth/revoke` by an authenticated client.
    pub const fn revocations(&self) -> u64 {
        self.revocations
    }
}
