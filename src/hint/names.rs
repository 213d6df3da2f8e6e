//! Names: the headers of interest, by their names alone.

use http::HeaderMap;

/// Returns whether any header may state waits or budgets. Otherwise there is nothing to read, and no need of the clock.
///
/// The names of all dialects hold one of two words, and few other names do. A [rule](super::HintRule) of the user may
/// name any header, so this check does not apply if there are rules.
pub(super) fn may_speak(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        // Every response is checked: one pass for both words.
        name.as_str().as_bytes().windows(5).any(|part| match part.first() {
            Some(b'l') => part == b"limit",
            Some(b'r') => part == b"retry",
            _ => false,
        })
    })
}

/// Returns whether a name concerns limits: all names of rate limits hold this word, and few others do.
pub(super) fn is_about_limits(name: &str) -> bool {
    name.as_bytes().windows(5).any(|part| part == b"limit")
}
