//! Hint: what an answer says of time.

mod retry_after;

pub use retry_after::Unit;

pub(crate) use retry_after::{Hint, from_headers, from_value};
