//! Longhaul: the throttle of this repository.

use http::{HeaderMap, StatusCode};
use longhaul::limits::{Anchor, Feedback, Priority, RequestKey};
use longhaul::{Limit, Throttle};

use crate::Failure;
use crate::budget::{Budget, Window};
use crate::subject::{Answer, Ask, Limiter, Permit, TryLimiter};

/// A throttle with one limit, or one that learns.
pub(crate) struct Longhaul {
    throttle: Throttle,
    keys: RequestKey,
    ear: Ear,
}

/// Whether the throttle is told what the answers say.
#[derive(Clone, Copy)]
enum Ear {
    Closed,
    Open,
}

impl Longhaul {
    /// All windows of the budget in one limit.
    pub(crate) fn new(budget: &Budget, anchor: Anchor) -> Result<Self, Failure> {
        let limit =
            budget.windows().iter().fold(Limit::default(), |limit, window| limit.and_per(window.count, window.length));
        Self::with(limit.anchor(anchor))
    }

    /// A window of which it is known that the service queues above it.
    pub(crate) fn with_server_queue(window: Window, queue: u32) -> Result<Self, Failure> {
        Self::with(Limit::per(window.count, window.length).and_server_queue(queue))
    }

    /// No limit: it is learned.
    pub(crate) fn learning() -> Self {
        let throttle = Throttle::new();
        throttle.set_feedback(Feedback::Learn);
        Self { throttle, keys: RequestKey::new(), ear: Ear::Open }
    }

    fn with(limit: Limit) -> Result<Self, Failure> {
        let throttle = Throttle::new();
        throttle.add_limit(limit)?;
        Ok(Self { throttle, keys: RequestKey::new(), ear: Ear::Closed })
    }
}

impl Limiter for Longhaul {
    type Permit = Held;

    #[expect(clippy::expect_used, reason = "without a deadline there is nothing to fail")]
    async fn acquire(&self, ask: Ask) -> Held {
        let permit = match ask {
            Ask::Call => self.throttle.acquire(Priority::Call, &self.keys).await,
            Ask::Poll { task } => self.throttle.acquire(Priority::Poll, &RequestKey::new().task(task)).await,
            Ask::Download { task } => self.throttle.acquire(Priority::Download, &RequestKey::new().task(task)).await,
        };
        Held { permit: permit.expect("a throttle without deadlines"), ear: self.ear }
    }
}

impl TryLimiter for Longhaul {
    fn try_acquire(&self) -> Option<Held> {
        let permit = self.throttle.try_acquire(Priority::Call, &self.keys)?;
        Some(Held { permit, ear: self.ear })
    }
}

/// Longhaul's permit has two calls more than those of its peers: `sent`, and `answered` or `heard`.
pub(crate) struct Held {
    permit: longhaul::limits::Permit,
    ear: Ear,
}

impl Permit for Held {
    fn sent(&mut self) {
        self.permit.sent();
    }

    fn answered(mut self, answer: Answer) {
        match (self.ear, answer) {
            (Ear::Closed, _) => self.permit.answered(),
            (Ear::Open, Answer::Accepted) => self.permit.heard(StatusCode::OK, &HeaderMap::new()),
            (Ear::Open, Answer::Refused) => self.permit.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new()),
        }
    }
}
