//! Expiry: the end of a signed link.

use std::time::{Duration, SystemTime};

use crate::redact::SecretUrl;

/// Returns when a link expires, by its query: Azure's `se`, the lifetime that S3 and GCS count from a date, or
/// CloudFront's `Expires`.
pub(super) fn of(link: &SecretUrl) -> Option<SystemTime> {
    let query = |name: &str| {
        let mut pairs = link.url().query_pairs();
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
    };
    let timestamp = |text: &str| text.parse::<jiff::Timestamp>().ok().map(SystemTime::from);
    if let Some(end) = query("se").and_then(|text| timestamp(&text)) {
        return Some(end);
    }
    for (date, life) in [("X-Amz-Date", "X-Amz-Expires"), ("X-Goog-Date", "X-Goog-Expires")] {
        if let (Some(begin), Some(life)) = (query(date), query(life).and_then(|text| text.parse().ok())) {
            return timestamp(&begin)?.checked_add(Duration::from_secs(life));
        }
    }
    let seconds = query("Expires")?.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
