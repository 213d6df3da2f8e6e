//! Stats: the counted requests and events of a client.
//!
//! Every observation of a client goes to [`Telemetry`]. The two observations of an ordinary request are put
//! [aside](aside) and folded into the [ledger](ledger) in batches; all others are counted at once. Lock order: aside,
//! then ledger; the throttle's lock is held with neither.

mod alert_rules;
mod alert_state;
mod alerts;
mod aside;
mod counts;
mod endpoint;
mod kept;
mod latency;
mod long;
mod metrics_facade;
#[cfg(test)]
mod properties;
mod recent;
mod recorder;
mod refusals;
mod snapshot;
mod summary;
mod tally;
mod tasks;
mod telemetry;
mod token;

pub use alerts::Alerts;
pub use endpoint::Endpoint;
pub use latency::Latency;
pub use refusals::Refusals;
pub use snapshot::Stats;
pub use summary::Summary;
pub use tasks::TaskCounts;
pub(crate) use telemetry::Telemetry;
pub use token::TokenUse;
