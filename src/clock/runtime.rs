//! Runtime: whether there is a tokio runtime to wait in.

use tokio::runtime::Handle;

/// Whether this code runs inside of a tokio runtime. Whether that one has time and IO enabled, only a panic of tokio tells.
pub(crate) fn has_runtime() -> bool {
    Handle::try_current().is_ok()
}

/// The words of an error where there is none.
pub(crate) const NO_RUNTIME: &str =
    "there is no tokio runtime here: await it inside of one, such as below `#[tokio::main]`, with time and IO enabled";
