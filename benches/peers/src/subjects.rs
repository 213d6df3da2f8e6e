//! Subjects: what is measured, each behind the same traits.

mod adaptive;
mod backoff;
mod chained;
mod gate;
mod governor;
mod leaky_bucket;
#[cfg(feature = "longhaul")]
mod longhaul;
mod open;
mod token_bucket;
mod tower;
mod two_phase;

pub(crate) use adaptive::Adaptive;
pub(crate) use backoff::Backoff;
pub(crate) use chained::Chained;
pub(crate) use gate::Gate;
pub(crate) use governor::{Governor, Jittered};
pub(crate) use leaky_bucket::LeakyBucket;
#[cfg(feature = "longhaul")]
pub(crate) use longhaul::Longhaul;
pub(crate) use open::Open;
pub(crate) use token_bucket::TokenBucket;
pub(crate) use tower::Tower;
pub(crate) use two_phase::TwoPhase;
