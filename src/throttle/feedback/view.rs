//! View: the limiters that counted a refused request, as the refusal sees them.

use std::sync::Arc;

use crate::hint::Budget;
use crate::throttle::ids::LimiterId;
use crate::throttle::limiter::Limiter;
use crate::throttle::limiter::window::Counter;
use crate::throttle::time::Tick;

/// The limiters that counted a refused request, and the refusals before it.
#[derive(Debug, Default)]
pub(in crate::throttle) struct View {
    pub(in crate::throttle) limiters: Vec<LimiterView>,
    /// The last route that was refused without a declared limit of its own, and the time.
    pub(in crate::throttle) refused: Option<(Arc<str>, Tick)>,
    /// The last route that was unavailable, and the time.
    pub(in crate::throttle) unavailable: Option<(Arc<str>, Tick)>,
}

/// A limiter, as a refusal sees it.
#[derive(Clone, Debug, Default)]
pub(in crate::throttle) struct LimiterView {
    pub(in crate::throttle) id: LimiterId,
    pub(in crate::throttle) name: Option<Arc<str>>,
    /// Whether the limiter is a declared limit that holds requests back.
    pub(in crate::throttle) is_declared: bool,
    /// How wide its scope is: 0 is the widest.
    pub(in crate::throttle) width: u8,
    /// Whether the service states that nothing is left of the limit.
    pub(in crate::throttle) is_spent: bool,
    /// Whether the service states a budget that is certainly smaller.
    pub(in crate::throttle) is_above: bool,
    /// Whether the limiter searches for an unknown limit, and slows down by itself.
    pub(in crate::throttle) searches: bool,
    /// How long the limiter pauses without a hint, if set.
    pub(in crate::throttle) pause_without_hint: Option<Tick>,
}

impl LimiterView {
    /// Returns the limiter as a refusal sees it, with the budgets of the response.
    pub(in crate::throttle) fn of_limiter(id: LimiterId, limiter: &mut Limiter, budgets: &[Budget], now: Tick) -> Self {
        Self {
            id,
            name: limiter.name.clone(),
            is_declared: limiter.holds_back(),
            width: limiter.width,
            is_spent: limiter.advertised().is_some_and(|rest| rest.is_spent() && !rest.is_over(now)),
            is_above: budgets.iter().any(|budget| limiter.is_above(budget, now)),
            searches: matches!(limiter.counter(), Counter::Learner(_)),
            pause_without_hint: limiter.pause_without_hint,
        }
    }
}
