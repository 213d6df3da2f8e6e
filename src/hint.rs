//! Hint: what an answer says of time.

mod date;
mod number;
mod retry_after;
mod sitecore;
mod span;
mod unit;

pub(crate) use retry_after::{Hint, from_headers, from_value};
pub use unit::Unit;

/// What is said of a value that was not understood. Its beginning is enough to find it by.
fn ignored(what: &str, value: &str) -> String {
    let shown = |text: &str, most| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    format!("ignored {}: `{}`", shown(what, 60), shown(value, 40))
}
