//! Route: a pattern of method and path.

use std::fmt;

use http::Method;

/// A pattern of method and path, parsed for matching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    method: Option<Method>,
    segments: Vec<Segment>,
    /// Whether any rest may follow.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    before: String,
    /// The text after a wildcard, if there is a wildcard, and whether each of its values counts separately.
    wild: Option<(String, bool)>,
}

impl Route {
    /// Parses a pattern. A relative pattern is resolved below the path `base`.
    pub(crate) fn parse(pattern: &str, base: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("the route `{}`: {why}", pattern.escape_debug()));
        let (method, path) = match pattern.trim().split_once(char::is_whitespace) {
            Some((first, path)) => match method(first) {
                Some(method) => (Some(method), path),
                None => {
                    let first = first.escape_debug();
                    return wrong(&format!(
                        "`{first}` is no method: write one in capitals before the path, such as GET, or the path alone \
                         for all methods"
                    ));
                }
            },
            None if method(pattern.trim()).is_some() => {
                return wrong(
                    "it is a method without a path: write the path behind it, such as `GET farms/*`, or `GET /**` for all \
                     of the host",
                );
            }
            None => (None, pattern.trim()),
        };
        let path = path.trim();
        if path.contains("://") {
            return wrong("it is the path alone, without scheme and host");
        }
        if path.is_empty() || path.contains(char::is_whitespace) || path.contains(['?', '#']) {
            return wrong("its path is empty, or holds a space or a query");
        }
        let path =
            if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", base.trim_end_matches('/')) };
        let (path, open) = match path.strip_suffix("/**") {
            Some(path) => (path, true),
            None => (path.as_str(), false),
        };
        let mut segments = Vec::new();
        for part in parts(path) {
            match Segment::parse(part) {
                Some(segment) => segments.push(segment),
                None => return wrong("a segment holds at most one `*` or `{name}`, and `**` stands at the end"),
            }
        }
        Ok(Self { method, segments, open })
    }

    /// Returns the key of this request's budget within the route; `None` if the route does not match the request.
    pub(crate) fn matches(&self, method: &Method, path: &str) -> Option<String> {
        if self.method.as_ref().is_some_and(|own| own != method) {
            return None;
        }
        let mut key = String::new();
        let mut given = parts(path);
        for segment in &self.segments {
            let part = given.next()?;
            let value = segment.matches(part)?;
            if !value.is_empty() {
                key.push('/');
                key.push_str(value);
            }
        }
        (self.open || given.next().is_none()).then_some(key)
    }

    /// Returns whether different requests of the route have different budgets.
    pub(crate) fn is_keyed(&self) -> bool {
        self.segments.iter().any(|segment| segment.wild.as_ref().is_some_and(|(_, keyed)| *keyed))
    }
}

impl Segment {
    fn parse(part: &str) -> Option<Self> {
        let (before, after, keyed) = match (part.split_once('*'), part.split_once('{')) {
            (None, None) => return (!part.contains('}')).then(|| Self { before: part.to_owned(), wild: None }),
            (Some((before, after)), None) => (before, after, false),
            (None, Some((before, rest))) => {
                let (name, after) = rest.split_once('}')?;
                (before, after, !name.is_empty())
            }
            (Some(_), Some(_)) => return None,
        };
        let plain = !before.contains('}') && !after.contains(['*', '{', '}']);
        plain.then(|| Self { before: before.to_owned(), wild: Some((after.to_owned(), keyed)) })
    }

    /// Returns the value that counts separately, empty if none does; `None` if the part does not match.
    fn matches<'a>(&self, part: &'a str) -> Option<&'a str> {
        match &self.wild {
            None => (part == self.before).then_some(""),
            Some((after, keyed)) => {
                let value = part.strip_prefix(self.before.as_str())?.strip_suffix(after.as_str())?;
                Some(if *keyed { value } else { "" })
            }
        }
    }
}

impl fmt::Display for Route {
    /// Shows what the route matches, the same for all patterns that match the same; names of segments are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        for segment in &self.segments {
            write!(f, "/{}", segment.before)?;
            if let Some((after, is_keyed)) = &segment.wild {
                write!(f, "{}{after}", if *is_keyed { "{}" } else { "*" })?;
            }
        }
        f.write_str(if self.open { "/**" } else { "" })
    }
}

/// Returns the method of this name, in capitals. A word that is not registered is more likely a typo than a method.
fn method(name: &str) -> Option<Method> {
    METHODS.contains(&name).then(|| Method::from_bytes(name.as_bytes()).ok()).flatten()
}

/// The registry of HTTP methods (RFC 9110, 16.1), without those that no request of a client uses (CONNECT, PRI). PURGE
/// is the method of caches, and is in no registry.
const METHODS: [&str; 39] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_methods_segments_and_rests() {
        for (pattern, request, key) in [
            ("GET campaigns/*/stats/*", "GET /v3/campaigns/7/stats/Opens", Some("")),
            ("GET campaigns/*/stats/*", "GET /v3/campaigns/7/stats", None),
            ("GET campaigns/*/stats/*", "POST /v3/campaigns/7/stats/Opens", None),
            ("GET campaigns/*/stats/*", "GET /campaigns/7/stats/Opens", None),
            ("/campaigns/*", "GET /campaigns/7/", Some("")),
            ("campaigns/*.json", "GET /v3/campaigns/7.json", Some("")),
            ("campaigns/*.json", "GET /v3/campaigns/7.xml", None),
            ("/api/v2/analytics/**", "GET /api/v2/analytics", Some("")),
            ("/api/v2/analytics/**", "DELETE /api/v2/analytics/jobs/7", Some("")),
            ("/api/v2/analytics/**", "GET /api/v2/audits", None),
            ("lists/{list}/members/{m}.json", "GET /v3/lists/a/members/b.json", Some("/a/b")),
            ("lists/{list}", "GET /v3/lists/a", Some("/a")),
            ("/", "GET /", Some("")),
            ("/**", "GET /any/thing", Some("")),
        ] {
            let route = Route::parse(pattern, "/v3/").unwrap();
            let (method, path) = request.split_once(' ').unwrap();
            assert_eq!(route.matches(&method.parse().unwrap(), path).as_deref(), key, "{pattern} {request}");
            assert_eq!(route.is_keyed(), pattern.contains('{'));
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for (pattern, named) in [
            ("", "empty"),
            ("a?b", "query"),
            ("a/*b*", "one `*`"),
            ("a/**/b", "at the end"),
            ("a/{b", "{name}"),
            ("a/b}", "{name}"),
            ("a/{b}{c}", "{name}"),
            ("get x", "`get` is no method"),
            ("GTE x", "`GTE` is no method"),
            ("PSOT exports", "`PSOT` is no method"),
            ("Get  farms", "`Get` is no method"),
            ("FOO\tfarms", "`FOO` is no method"),
            ("a b c", "`a` is no method"),
            ("GET a b", "holds a space"),
            ("GET", "a method without a path"),
            (" POST ", "a method without a path"),
        ] {
            let why = Route::parse(pattern, "/").unwrap_err();
            assert!(why.contains(named) && why.contains("the route `"), "{pattern}: {why}");
        }
        for pattern in ["PROPFIND files/*", "QUERY search", "PURGE /**", "EXPORTS", "search", "delete", "GET\tfarms"] {
            Route::parse(pattern, "/").unwrap();
        }
    }
}
