//! The throttle: limits, the queue, pauses, feedback.

mod feedback;
mod layer;
mod limits;
mod permits;
mod refusals;
mod shared;
mod windows;
