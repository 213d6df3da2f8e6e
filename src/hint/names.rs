//! Names: which headers are of interest, by their names alone.

use http::HeaderMap;

/// Whether any header may say something of waiting or of budgets. Without one there is nothing to read, and no need of the
/// clock.
///
/// The names of all dialects hold one of two words, and few others do. A [rule](super::HintRule) of the user's may name any
/// header: where there are rules, this says nothing.
pub(super) fn may_speak(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| holds(name.as_str(), &[b"limit", b"retry"]))
}

/// All names of rate limits have it, and few others.
pub(super) fn is_about_limits(name: &str) -> bool {
    holds(name, &[b"limit"])
}

fn holds(name: &str, words: &[&[u8; 5]]) -> bool {
    name.as_bytes().windows(5).any(|part| words.iter().any(|word| part == *word))
}
