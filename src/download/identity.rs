//! Identity: what an answer says about its object, and when two answers are provably of the same one.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

/// The identity of an object, as one answer states it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The ETag, with its quotes, and its `W/` if it is weak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    /// Whether Last-Modified is a minute or more older than the answer (RFC 9110, 8.8.2.2): the object can not have
    /// changed twice within that second.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_dated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
}

/// The relation of two identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Same,
    /// Nothing says that the objects differ, and nothing proves that they are the same.
    Unproven,
    Differs(&'static str),
}

impl Identity {
    pub(super) fn of(headers: &HeaderMap, total: Option<u64>) -> Self {
        let text = |name: &HeaderName| single(headers, name).map(|value| value.trim().to_owned());
        let last_modified = text(&header::LAST_MODIFIED);
        let time = |text: Option<&str>| httpdate::parse_http_date(text?).ok();
        let (changed, answered) = (time(last_modified.as_deref()), time(text(&header::DATE).as_deref()));
        let age = answered.zip(changed).and_then(|(answered, changed)| answered.duration_since(changed).ok());
        let is_dated = age.is_some_and(|age| age.as_secs() >= SETTLED);
        // A malformed ETag is no validator: it could not be sent back as it came.
        let etag = text(&header::ETAG).filter(|etag| is_etag(etag));
        let version = VERSIONS.iter().find_map(text);
        Self { etag, last_modified, is_dated, version, total }
    }

    /// Creates the identity of bytes of which nothing but their number is known.
    pub(super) fn of_length(total: u64) -> Self {
        Self::default().with_total(total)
    }

    pub(super) fn with_total(mut self, total: u64) -> Self {
        self.total = Some(total);
        self
    }

    fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with(WEAK))
    }

    /// Returns the strong ETag, for the record of a finished file.
    pub(super) fn to_strong_etag(&self) -> Option<String> {
        self.strong_etag().map(str::to_owned)
    }

    /// Returns whether a later answer could prove to be of this object.
    pub(super) fn has_proof(&self, trusts_weak: bool) -> bool {
        let weak = trusts_weak && self.etag.is_some() && self.last_modified.is_some() && self.total.is_some();
        self.strong_etag().is_some() || self.is_dated || weak
    }

    /// Adds the condition under which the storage is to answer: for this very object. Azure's emulator ignores
    /// If-Range, hence If-Match. A weak ETag never matches there (RFC 9110, 13.1.1).
    pub(super) fn condition(&self, headers: &mut HeaderMap) {
        let (name, value) = match (self.strong_etag(), &self.last_modified) {
            (Some(etag), _) => (header::IF_MATCH, etag),
            (None, Some(date)) if self.is_dated => (header::IF_UNMODIFIED_SINCE, date.as_str()),
            _ => return,
        };
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }

    /// Compares with a later answer. Only a strong validator proves that two answers are of one object: the same strong
    /// ETag (RFC 9110, 8.8.3.2), or the same Last-Modified that is strong by its age. A validator that one of the two
    /// leaves out proves nothing.
    ///
    /// `trusts_weak`: a weak ETag, Last-Modified and the length, all three the same, count as proof.
    pub(super) fn compare(&self, other: &Self, trusts_weak: bool) -> Match {
        let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if self.total.zip(other.total).is_some_and(|(before, now)| before != now) {
            return Match::Differs("its length changed");
        }
        if differ(&self.version, &other.version) {
            return Match::Differs("its version changed");
        }
        let both = self.etag.as_deref().zip(other.etag.as_deref());
        if both.is_some_and(|(before, now)| opaque(before) != opaque(now)) {
            return Match::Differs("its ETag changed");
        }
        let is_strong = self.strong_etag().is_some() && other.strong_etag().is_some();
        if is_strong {
            return Match::Same;
        }
        if differ(&self.last_modified, &other.last_modified) {
            return Match::Differs("its Last-Modified changed");
        }
        // An ETag that was strong, and vanished or became weak, was there for a reason.
        let kept = match both {
            Some((before, now)) => before == now,
            None => self.etag.is_none() && other.etag.is_none(),
        };
        let dates = self.last_modified.is_some() && self.last_modified == other.last_modified;
        let weak = trusts_weak && both.is_some() && self.total.is_some() && self.total == other.total;
        if kept && dates && (self.is_dated || weak) { Match::Same } else { Match::Unproven }
    }
}

/// Returns the value of a header that is there once, or several times alike.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.any(|other| other != value) {
        return None;
    }
    value.to_str().ok()
}

/// Returns whether this is an ETag in quotes (RFC 9110, 8.8.3), weak or strong. Some storages leave the quotes out:
/// such an ETag is taken too, because it is sent back as it came.
fn is_etag(text: &str) -> bool {
    let text = opaque(text);
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    !text.is_empty() && text != "\"" && text != "*" && !inner.contains(['"', ','])
}

fn opaque(etag: &str) -> &str {
    etag.strip_prefix(WEAK).unwrap_or(etag)
}

const WEAK: &str = "W/";
/// RFC 9110 leaves the age to the reader; RFC 7232 named a minute, which covers clocks that differ.
const SETTLED: u64 = 60;
/// The version of an object: S3, Azure, GCS.
static VERSIONS: [HeaderName; 3] = [
    HeaderName::from_static("x-amz-version-id"),
    HeaderName::from_static("x-ms-version-id"),
    HeaderName::from_static("x-goog-generation"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "Tue, 01 Jan 2030 00:00:00 GMT";
    const OLD: &str = "Mon, 31 Dec 2029 00:00:00 GMT";

    fn of(text: &str) -> Identity {
        let headers = text
            .split('|')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        Identity::of(&map, Some(10))
    }

    #[test]
    fn only_a_strong_validator_proves_the_same() {
        let dated = format!("last-modified={OLD}|date={NEW}");
        let young = format!("last-modified={NEW}|date={NEW}");
        for (before, now, expected) in [
            (r#"etag="a""#, r#"etag="a""#, Some(true)),
            (r#"etag="a""#, r#"etag="b""#, None),
            (r#"etag="a""#, r#"etag=W/"a""#, Some(false)),
            (r#"etag="a""#, r#"etag=W/"b""#, None),
            (r#"etag=W/"a""#, r#"etag=W/"a""#, Some(false)),
            (r#"etag=W/"a""#, r#"etag="a""#, Some(false)),
            (r#"etag=W/"a""#, r#"etag=W/"b""#, None),
            (r#"etag="a""#, "", Some(false)),
            ("", r#"etag="a""#, Some(false)),
            ("", "", Some(false)),
            (r#"etag="""#, r#"etag="""#, Some(true)),
            ("etag=*", "etag=*", Some(false)),
            (r#"etag="a"|etag="b""#, r#"etag="a""#, Some(false)),
            (r#"etag="a"|x-amz-version-id=1"#, r#"etag="a"|x-amz-version-id=2"#, None),
            ("x-goog-generation=1", "x-goog-generation=1", Some(false)),
            (&dated, &dated, Some(true)),
            (&dated, &young, None),
            (&young, &young, Some(false)),
            (&dated, "", Some(false)),
            (&format!("{dated}|etag=\"a\""), &dated, Some(false)),
            (&format!("{dated}|etag=W/\"a\""), &format!("{dated}|etag=W/\"a\""), Some(true)),
            (&format!("{dated}|etag=W/\"a\""), &dated, Some(false)),
            (&format!("{dated}|etag=\"a\""), &format!("{young}|etag=\"a\""), Some(true)),
            ("last-modified=yesterday|date=today", "last-modified=yesterday|date=today", Some(false)),
        ] {
            let found = match of(before).compare(&of(now), false) {
                Match::Same => Some(true),
                Match::Unproven => Some(false),
                Match::Differs(_) => None,
            };
            assert_eq!(found, expected, "{before} then {now}");
        }
    }

    #[test]
    fn a_weak_etag_is_trusted_on_demand_and_together_with_the_date_and_the_length() {
        let weak = |etag: &str, date: &str| of(&format!("etag=W/\"{etag}\"|last-modified={date}|date={date}"));
        assert_eq!(weak("a", NEW).compare(&weak("a", NEW), true), Match::Same);
        assert_eq!(weak("a", NEW).compare(&weak("a", NEW), false), Match::Unproven);
        assert!(matches!(weak("a", NEW).compare(&weak("a", OLD), true), Match::Differs(_)));
        assert_eq!(of(r#"etag=W/"a""#).compare(&of(r#"etag=W/"a""#), true), Match::Unproven);
        let endless = Identity { total: None, ..weak("a", NEW) };
        assert_eq!(endless.compare(&weak("a", NEW), true), Match::Unproven);
        assert!(weak("a", NEW).has_proof(true) && !weak("a", NEW).has_proof(false));
    }

    #[test]
    fn the_condition_is_one_that_the_storage_can_keep() {
        for (text, name, value) in [
            (r#"etag="a""#, "if-match", "\"a\""),
            (&*format!("last-modified={OLD}|date={NEW}"), "if-unmodified-since", OLD),
            (r#"etag=W/"a""#, "", ""),
            (&*format!("last-modified={NEW}|date={NEW}"), "", ""),
        ] {
            let mut headers = HeaderMap::new();
            of(text).condition(&mut headers);
            let sent = headers.iter().next().map_or(("", ""), |(name, value)| (name.as_str(), value.to_str().unwrap()));
            assert_eq!(sent, (name, value), "{text}");
        }
    }

    #[test]
    fn another_length_is_another_object() {
        let longer = Identity { total: Some(11), ..of(r#"etag="a""#) };
        assert!(matches!(of(r#"etag="a""#).compare(&longer, false), Match::Differs(_)));
    }
}
