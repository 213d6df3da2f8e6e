//! The effect of a request's headers on its way to the service.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

/// Returns how long the service was asked to hold its response (`Prefer: wait=10`, RFC 7240), with a margin for the
/// round trip.
pub(super) fn held_for(headers: &HeaderMap) -> Duration {
    static PREFER: HeaderName = HeaderName::from_static("prefer");
    let preferences = headers.get_all(&PREFER).into_iter().filter_map(|value| value.to_str().ok());
    let waits = preferences.flat_map(|value| value.split([',', ';'])).filter_map(|part| {
        let (name, wait) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| wait.trim().trim_matches('"'))
    });
    let longest = waits.filter_map(|wait| wait.parse::<u32>().ok()).max();
    longest.map_or(Duration::ZERO, |wait| Duration::from_secs(wait.into()).min(LONGEST_HELD) + HELD_GUARD)
}

/// Keeps only headers that may be sent to another origin: none that the caller or a credential set.
pub(super) fn keep_plain(headers: &mut HeaderMap) {
    const PLAIN: [HeaderName; 6] = [
        header::ACCEPT,
        header::RANGE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
        header::ACCEPT_ENCODING,
        header::CONTENT_TYPE,
    ];
    let kept: HeaderMap =
        PLAIN.into_iter().filter_map(|name| headers.remove(&name).map(|value| (name, value))).collect();
    *headers = kept;
}

/// No service holds a response for longer; an unlimited number would disable the timeout of the attempt.
const LONGEST_HELD: Duration = Duration::from_secs(60 * 60);
/// A response that is held to the last moment still has to arrive.
const HELD_GUARD: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_held_as_long_as_was_asked_for_and_no_longer_than_an_hour() {
        for (values, seconds) in [
            (&["wait=10"][..], 20),
            (&["respond-async, wait=10"], 20),
            (&["respond-async;Wait = \"10\""], 20),
            (&["wait=5", "wait=10"], 20),
            (&["wait=3600"], 3610),
            (&["wait=3601"], 3610),
            (&["wait=4294967295"], 3610),
            (&["wait=99999999999999999999"], 0),
            (&["wait=-1", "awaits=7", "respond-async"], 0),
            (&[], 0),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", value.parse().unwrap());
            }
            assert_eq!(held_for(&headers), Duration::from_secs(seconds), "{values:?}");
        }
    }
}
