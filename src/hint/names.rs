//! Names: which headers are of interest, by their names alone.

use http::HeaderMap;

/// Whether any header may say something of waiting or of budgets. Without one there is nothing to read, and no need of the
/// clock.
///
/// The names of all dialects hold one of two words, and few others do. A [rule](super::HintRule) of the user's may name any
/// header: where there are rules, this says nothing.
pub(super) fn may_speak(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        // Every answer is looked at: one pass for both words.
        name.as_str().as_bytes().windows(5).any(|part| match part.first() {
            Some(b'l') => part == b"limit",
            Some(b'r') => part == b"retry",
            _ => false,
        })
    })
}

/// All names of rate limits have it, and few others.
pub(super) fn is_about_limits(name: &str) -> bool {
    name.as_bytes().windows(5).any(|part| part == b"limit")
}
