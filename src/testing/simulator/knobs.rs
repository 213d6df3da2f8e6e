//! The settings that can be made before the start, with their defaults.

use std::time::Duration;

use http::StatusCode;

/// How a finished task names its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// `Location`, in header and body, is a resource of the API (`results/{uid}`), which needs
    /// the credential; its JSON holds the signed link as `Result`.
    #[default]
    Resource,
    /// `Location`, in header and body, is the signed link itself.
    Signed,
    /// There is no `Location`; the body holds the signed link as `Result`.
    ResultOnly,
}

/// Where a refusal by a limit states how long the limit stays closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalHint {
    /// In the header `Retry-After`, in seconds, rounded up.
    #[default]
    Header,
    /// In the body's `RetryAfter`, in milliseconds, rounded up.
    Body,
    /// In both, each in its own unit.
    HeaderAndBody,
    /// Nowhere but in the words of the message.
    Absent,
}

#[derive(Clone, Debug)]
pub(super) struct Knobs {
    pub(super) limits: Vec<(u32, Duration)>,
    pub(super) byte_limit: Option<(u64, Duration)>,
    pub(super) refusal_hint: RefusalHint,
    pub(super) monthly_cap: Option<u64>,
    pub(super) farms: usize,
    pub(super) latency: Duration,
    pub(super) jitter: Duration,

    pub(super) task_duration: Duration,
    pub(super) retry_after: Duration,
    pub(super) hint_on_submit: bool,
    pub(super) result_size: u64,
    pub(super) accept_status: StatusCode,
    pub(super) idempotency_keys: bool,
    pub(super) relative_locations: bool,
    pub(super) finish: Finish,

    pub(super) lost_polls: u32,
    pub(super) failed_polls: Option<(u32, StatusCode)>,
    pub(super) failed_storage: Option<(u32, StatusCode)>,
    pub(super) trouble_retry_after: Option<Duration>,
    pub(super) fail_every: u32,

    pub(super) link_life: Duration,
    pub(super) storage_rate: u64,
    pub(super) cut_every: Option<u64>,
    pub(super) cut_first: Option<(u32, u64)>,
    pub(super) ignore_ranges: bool,
    pub(super) no_validators: bool,

    pub(super) token_life: Option<Duration>,
    pub(super) refreshable: bool,
    pub(super) token_limits: Vec<(u32, Duration)>,
    pub(super) token_latency: Duration,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            byte_limit: None,
            refusal_hint: RefusalHint::Header,
            monthly_cap: None,
            farms: 4,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,

            task_duration: Duration::from_millis(500),
            retry_after: Duration::from_millis(200),
            hint_on_submit: false,
            result_size: 1_000_000,
            accept_status: StatusCode::CREATED,
            idempotency_keys: false,
            relative_locations: false,
            finish: Finish::Resource,

            lost_polls: 0,
            failed_polls: None,
            failed_storage: None,
            trouble_retry_after: None,
            fail_every: 0,

            link_life: Duration::from_secs(3_600),
            storage_rate: 0,
            cut_every: None,
            cut_first: None,
            ignore_ranges: false,
            no_validators: false,

            token_life: None,
            refreshable: false,
            token_limits: Vec::new(),
            token_latency: Duration::ZERO,
        }
    }
}
