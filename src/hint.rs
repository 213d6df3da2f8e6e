//! Hint: the waits and rate budgets that a response states.

mod budget;
mod classic;
mod date;
mod field;
mod hints;
mod ietf;
mod ignored;
mod ledger;
mod names;
mod number;
#[cfg(test)]
mod properties;
mod reset;
mod retry_after;
mod rule;
mod sitecore;
mod span;
mod structured;
mod unit;
mod vendor;
mod wait;
mod words;

pub use budget::Budget;
pub(crate) use date::FURTHEST;
pub use hints::Hints;
pub(crate) use hints::from_answer;
pub(crate) use retry_after::{Hint, from_value};
pub use rule::{HintFact, HintRule};
pub use unit::Unit;
