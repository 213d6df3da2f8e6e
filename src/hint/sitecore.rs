//! The window of Sitecore Send: its beginning and its end, stated only by throttled responses.

use std::time::Duration;

use super::date::{self, Since, Time};

/// Returns the time until the window ends.
///
/// The time is never longer than the window, whatever the clocks show.
pub(super) fn reset(since: Since<'_>) -> Option<Duration> {
    let left = since.until(moment(since, EXPIRES)?)?;
    Some(window(since).map_or(left, |window| left.min(window)))
}

/// Returns the length of the window.
pub(super) fn window(since: Since<'_>) -> Option<Duration> {
    match (moment(since, FIRST_CALL)?, moment(since, EXPIRES)?) {
        (Time::At(first), Time::At(end)) => end.duration_since(first).ok().filter(|window| !window.is_zero()),
        _ => None,
    }
}

fn moment(since: Since<'_>, name: &str) -> Option<Time> {
    date::month_day_year(since.headers().get(name)?.to_str().ok()?.trim())
}

pub(super) const EXPIRES: &str = "x-ratelimit-expires";
const FIRST_CALL: &str = "x-ratelimit-firstcall";

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_skewed_clock_never_makes_the_wait_longer_than_the_window() {
        type Pairs = [(&'static str, &'static str)];
        let cases: &[(&Pairs, Option<u64>, Option<u64>)] = &[
            (&[(EXPIRES, "07/10/2024 14:12:52"), ("date", "Wed, 10 Jul 2024 14:12:50 GMT")], Some(2), None),
            (
                &[
                    (EXPIRES, "07/10/2024 14:12:52"),
                    (FIRST_CALL, "07/10/2024 14:12:42"),
                    ("date", "Wed, 10 Jul 2024 14:12:45 GMT"),
                ],
                Some(7),
                Some(10),
            ),
            (&[(EXPIRES, "07/10/2024 14:12:52"), (FIRST_CALL, "07/10/2024 14:12:42")], Some(10), Some(10)),
            (&[(EXPIRES, "01/01/1970 00:00:07"), (FIRST_CALL, "01/01/1970 00:00:09")], Some(7), None),
            (&[(EXPIRES, "07/10/2024 14:12:52"), ("date", "Wed, 10 Jul 2024 14:12:53 GMT")], None, None),
            (&[(EXPIRES, "10.07.2024 14:12:52")], None, None),
            (&[(FIRST_CALL, "07/10/2024 14:12:42")], None, None),
        ];
        for (pairs, left, length) in cases {
            let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers: HeaderMap = pairs.collect();
            let since = Since::new(&headers, SystemTime::UNIX_EPOCH);
            assert_eq!(reset(since), left.map(Duration::from_secs), "{headers:?}");
            assert_eq!(window(since), length.map(Duration::from_secs), "{headers:?}");
        }
    }
}
