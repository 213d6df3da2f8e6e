//! How often the service was asked for what.

/// What a [`Simulator`] was asked for, up to the moment of [`Simulator::counts`].
///
/// A request to the API is counted when it arrives, and under one heading only: as throttled,
/// else as unauthorized, else by its route. So retries of a refused submit do not swell
/// [`submits`](Self::submits).
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
    /// All requests to the API, whatever was answered.
    pub const fn requests(&self) -> u64 {
        self.submits
            + self.polls
            + self.cancels
            + self.follow_ups
            + self.other_calls
            + self.throttled
            + self.unauthorized
    }

    /// `POST exports`.
    pub const fn submits(&self) -> u64 {
        self.submits
    }

    /// `GET tasks/{uid}`, those answered with trouble or 404 included.
    pub const fn polls(&self) -> u64 {
        self.polls
    }

    /// `DELETE tasks/{uid}`.
    pub const fn cancels(&self) -> u64 {
        self.cancels
    }

    /// `GET results/{uid}`: the final location, followed.
    pub const fn follow_ups(&self) -> u64 {
        self.follow_ups
    }

    /// Every other request to the API: `GET farms`, unknown paths, wrong methods.
    pub const fn other_calls(&self) -> u64 {
        self.other_calls
    }

    /// Requests that a limit refused with 429.
    pub const fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Requests refused with 401.
    pub const fn unauthorized(&self) -> u64 {
        self.unauthorized
    }

    /// Polls that arrived before the last `Retry-After` sent for their task had passed, counted
    /// from the moment that answer was written. No tolerance. A poll that is refused counts too,
    /// and a 429 to a poll sets a new time as any other answer does.
    pub const fn early_polls(&self) -> u64 {
        self.early_polls
    }

    /// Requests to storage, whatever was answered.
    pub const fn downloads(&self) -> u64 {
        self.downloads
    }

    /// Bytes of results handed to connections. A client that hangs up early has received
    /// somewhat less.
    pub const fn storage_bytes(&self) -> u64 {
        self.storage_bytes
    }

    /// Requests whose secrets went to the wrong origin: to storage with `Authorization`,
    /// `Ocp-Apim-Subscription-Key`, `Cookie` or `Referer`; to the token endpoint with the last
    /// three; to either with the bearer token, the key, any token that was issued, or the secret
    /// of the client or the user, in any header or in the URL; to the API with a `sig` in the
    /// query, or with a refresh token or one of the secrets.
    pub const fn misplaced_credentials(&self) -> u64 {
        self.misplaced_credentials
    }

    /// Requests to the token endpoint, whatever was answered. They are none of
    /// [`requests`](Self::requests).
    pub const fn token_requests(&self) -> u64 {
        self.token_requests
    }

    /// Requests to the token endpoint that its limit refused with 429.
    pub const fn tokens_throttled(&self) -> u64 {
        self.tokens_throttled
    }

    /// Those [`unauthorized`](Self::unauthorized) requests to the API whose key was right, and
    /// whose token was not, or was missing.
    pub const fn tokens_refused(&self) -> u64 {
        self.tokens_refused
    }

    /// Tokens granted by `client_credentials`, by `authorization_code` or by name and password.
    pub const fn logins(&self) -> u64 {
        self.logins
    }

    /// Tokens granted by `refresh_token`, those whose answer was lost included.
    pub const fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// `POST /oauth/revoke` by a client that proved who it is.
    pub const fn revocations(&self) -> u64 {
        self.revocations
    }
}
