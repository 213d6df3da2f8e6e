//! Runtime: whether there is a tokio runtime to wait in.

use tokio::runtime::Handle;

/// Returns whether this code runs inside of a tokio runtime. Whether time and IO are enabled there, only a panic of
/// tokio shows.
pub(crate) fn has_runtime() -> bool {
    Handle::try_current().is_ok()
}

/// The text of the error outside of a runtime.
pub(crate) const NO_RUNTIME: &str =
    "there is no tokio runtime here: await it inside of one, such as below `#[tokio::main]`, with time and IO enabled";
