//! Path: joins a caller's path to the base, and checks its destination.

use url::Url;

use crate::error::{Error, ErrorKind};
use crate::message::{Standing, Trust};
use crate::redact::shown;

/// Joins a caller's path to the base. The result may lie anywhere on the base's own origin and the allowed ones, and
/// nowhere else: paths are often built from data, and the body of the request goes to the resulting URL.
pub(super) fn join(trust: &Trust, path: &str) -> Result<Url, Error> {
    if path.trim().is_empty() {
        let why = "the path is empty: write one such as `exports`, or `.` for the base itself";
        return Err(Error::new(ErrorKind::Request, why));
    }
    if goes_up(path) {
        let why = "the path has a segment `..`, which would lead out of its folder: write the resulting path, and \
                   build paths from data with Client::path";
        return Err(Error::new(ErrorKind::Request, why));
    }
    let url = crate::protocol::join(trust.base(), path)
        .map_err(|why| Error::new(ErrorKind::Request, format!("the path does not join to the base URL: {why}")))?;
    match trust.standing(&url)? {
        Standing::Own => Ok(url),
        Standing::Foreign => {
            let why = format!(
                "{}: the path leads to another origin than the base URL's; name it with ClientBuilder::allow_origin, or \
                 write the path without a host",
                shown(&url)
            );
            Err(Error::new(ErrorKind::Untrusted, why).with_url(&url))
        }
    }
}

/// Returns advice for an answer from a path that does not exist: the path lies outside the base's path, which only a
/// path that begins with `/` can.
pub(super) fn astray(base: &Url, path: &str) -> Option<String> {
    let path = path.trim();
    let url = crate::protocol::join(base, path).ok()?;
    // The base's path ends with `/`.
    let folder = base.path();
    if url.origin() != base.origin() || url.path().starts_with(folder) || path.contains("://") {
        return None;
    }
    let shown = folder.trim_end_matches('/');
    Some(format!("the path begins with `/`, which leaves the base's `{shown}`: write it without the `/`"))
}

/// Returns the URL of these segments below a base.
pub(super) fn of_segments<S: AsRef<str>>(base: &Url, segments: impl IntoIterator<Item = S>) -> Result<Url, Error> {
    let mut url = base.clone();
    let wrong = |segment: &str| {
        let why = format!(
            "`{}` cannot be a segment of a path: give one that is not empty, `.` or `..`",
            segment.escape_debug()
        );
        Error::new(ErrorKind::Request, why)
    };
    {
        let mut path = url.path_segments_mut().map_err(|()| wrong(""))?;
        path.pop_if_empty();
        for segment in segments {
            let segment = segment.as_ref();
            if matches!(segment, "" | "." | "..") {
                return Err(wrong(segment));
            }
            path.push(segment);
        }
    }
    Ok(url)
}

/// Returns whether a segment of the path leads to the parent folder under URL rules: `%2e` is a dot, and `\` a slash.
fn goes_up(path: &str) -> bool {
    // Nearly every path contains neither.
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|segment| {
        let segment = segment.trim().to_ascii_lowercase().replace("%2e", ".");
        segment == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Origin;

    fn trust() -> Trust {
        let url = |text: &str| Url::parse(text).unwrap();
        Trust::new(&url("https://api.example.com/v1/"), [Origin::from_url(&url("https://eu.example.com"))])
    }

    #[test]
    fn a_path_stays_on_the_origins_that_the_caller_named() {
        for (path, joined) in [
            ("farms", "https://api.example.com/v1/farms"),
            ("./farms", "https://api.example.com/v1/farms"),
            (".", "https://api.example.com/v1/"),
            ("/v2/farms", "https://api.example.com/v2/farms"),
            ("farms?up=../x", "https://api.example.com/v1/farms?up=../x"),
            ("farms/a..b/...", "https://api.example.com/v1/farms/a..b/..."),
            ("https://api.example.com/v2/x", "https://api.example.com/v2/x"),
            ("https://eu.example.com/x", "https://eu.example.com/x"),
            ("//eu.example.com/x", "https://eu.example.com/x"),
            ("https:/evil.example/x", "https://api.example.com/v1/https:/evil.example/x"),
        ] {
            assert_eq!(join(&trust(), path).unwrap().as_str(), joined, "{path}");
        }
        for (path, kind) in [
            ("https://evil.example/x", ErrorKind::Untrusted),
            ("//evil.example/x", ErrorKind::Untrusted),
            ("https:evil.example/x", ErrorKind::Untrusted),
            ("https://api.example.com:8443/x", ErrorKind::Untrusted),
            ("https://api.example.com.evil.example/x", ErrorKind::Untrusted),
            ("http://api.example.com/x", ErrorKind::Untrusted),
            ("https://me@api.example.com/x", ErrorKind::Untrusted),
            ("\\\\evil.example\\x", ErrorKind::Request),
            ("../users/me", ErrorKind::Request),
            ("farms/../users/me", ErrorKind::Request),
            ("farms/%2e%2e/users", ErrorKind::Request),
            ("farms/.%2E/users", ErrorKind::Request),
            ("/v1/%2e./admin", ErrorKind::Request),
            ("farms\\..\\users", ErrorKind::Request),
            ("https://api.example.com/v1/../admin", ErrorKind::Request),
            ("farms/..", ErrorKind::Request),
            ("javascript:alert(1)", ErrorKind::Request),
            ("", ErrorKind::Request),
            (" ", ErrorKind::Request),
        ] {
            let error = join(&trust(), path).unwrap_err();
            assert_eq!(error.kind(), kind, "{path}: {error}");
        }
    }

    #[test]
    fn a_segment_stays_one_segment() {
        let base = trust().base().clone();
        for (segments, joined) in [
            (vec!["farms", "7"], "https://api.example.com/v1/farms/7"),
            (vec!["farms", "a/b"], "https://api.example.com/v1/farms/a%2Fb"),
            (vec!["farms", "../x"], "https://api.example.com/v1/farms/..%2Fx"),
            (vec!["farms", "%2e%2e"], "https://api.example.com/v1/farms/%252e%252e"),
            (vec!["farms", "a?b#c"], "https://api.example.com/v1/farms/a%3Fb%23c"),
            (vec!["//evil.example", "x"], "https://api.example.com/v1/%2F%2Fevil.example/x"),
            (vec!["farms", "7:count"], "https://api.example.com/v1/farms/7:count"),
            (vec!["caf\u{e9} 7"], "https://api.example.com/v1/caf%C3%A9%207"),
            (vec![], "https://api.example.com/v1"),
        ] {
            assert_eq!(of_segments(&base, &segments).unwrap().as_str(), joined, "{segments:?}");
        }
        for segments in [["farms", ""], ["farms", "."], ["..", "farms"]] {
            assert_eq!(of_segments(&base, segments).unwrap_err().kind(), ErrorKind::Request, "{segments:?}");
        }
    }
}
