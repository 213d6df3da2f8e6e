//! Subject: what all limiters have in common, so that each bench asks all in the same way.

/// Who asks. Most limiters make no difference.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "longhaul"), expect(dead_code, reason = "no peer makes a difference"))]
pub(crate) enum Ask {
    Call,
    Poll { task: u64 },
    Download { task: u64 },
}

/// What the service said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Refused,
}

/// A limiter that is waited for.
pub(crate) trait Limiter: Send + Sync + 'static {
    type Permit: Permit;

    fn acquire(&self, ask: Ask) -> impl Future<Output = Self::Permit> + Send;
}

/// A limiter that can also be asked without waiting.
pub(crate) trait TryLimiter: Limiter {
    fn try_acquire(&self) -> Option<Self::Permit>;
}

/// The right to send one request. Most limiters do not look at what becomes of it.
pub(crate) trait Permit: Send {
    fn sent(&mut self) {}

    fn answered(self, answer: Answer);
}

impl Permit for () {
    fn answered(self, _: Answer) {}
}
