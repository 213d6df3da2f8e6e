//! Cookies: the cookies that the polls of one task send back (the smallest necessary part of RFC 6265).

use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::message::Request;

/// The cookies of one task. They are sent to the origin that set them, below their path, and the task's token contains
/// them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cookies(Vec<Cookie>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cookie {
    name: String,
    value: String,
    origin: String,
    path: String,
}

impl Cookies {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stores the cookies that an answer sets.
    pub(crate) fn take(&mut self, url: &Url, headers: &HeaderMap) {
        let origin = url.origin().ascii_serialization();
        for header in headers.get_all(http::header::SET_COOKIE) {
            let Some((pair, attributes)) = header.to_str().ok().map(|text| text.split_once(';').unwrap_or((text, "")))
            else {
                continue;
            };
            let Some((name, value)) = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
                continue;
            };
            let attribute = |wanted: &str| {
                attributes
                    .split(';')
                    .filter_map(|part| part.trim().split_once('='))
                    .find_map(|(name, value)| name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned()))
            };
            let path = attribute("path").filter(|path| path.starts_with('/')).unwrap_or_else(|| folder(url));
            self.0.retain(|old| !(old.name == name && old.origin == origin && old.path == path));
            let old = attribute("max-age").and_then(|age| age.parse::<i64>().ok()).map(|age| age <= 0);
            let over = old.unwrap_or_else(|| attribute("expires").is_some_and(|date| is_past(&date)));
            if name.is_empty() || over {
                continue;
            }
            let size = name.len() + value.len() + path.len();
            if size > LONGEST || self.0.len() >= MOST || self.size() + size > MOST_BYTES {
                let name = name.chars().take(40).collect::<String>();
                tracing::warn!(
                    name,
                    size,
                    "a cookie is not kept: it, or all of its task, are larger than browsers keep"
                );
                continue;
            }
            self.0.push(Cookie { name: name.into(), value: value.into(), origin: origin.clone(), path });
        }
    }

    fn size(&self) -> usize {
        self.0.iter().map(|cookie| cookie.name.len() + cookie.value.len() + cookie.path.len()).sum()
    }

    /// Adds the matching cookies to a request.
    pub(crate) fn give(&self, request: &mut Request) {
        if let Some(value) = self.header(request.url()).and_then(|text| HeaderValue::try_from(text).ok()) {
            request.headers_mut().insert(http::header::COOKIE, value);
        }
    }

    /// Returns the header for a request; `None` if no cookie matches.
    fn header(&self, url: &Url) -> Option<String> {
        let origin = url.origin().ascii_serialization();
        let fits = |cookie: &&Cookie| {
            let below = url.path().strip_prefix(cookie.path.trim_end_matches('/'));
            cookie.origin == origin && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let pairs: Vec<_> =
            self.0.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Returns whether a date lies in the past, which deletes a cookie; a lifetime beyond the task's does not matter.
fn is_past(date: &str) -> bool {
    let date = httpdate::parse_http_date(&date.replace('-', " ")).or_else(|_| httpdate::parse_http_date(date));
    date.is_ok_and(|date| date < std::time::SystemTime::UNIX_EPOCH + A_YEAR)
}

fn folder(url: &Url) -> String {
    match url.path().rsplit_once('/') {
        Some(("", _)) | None => "/".into(),
        Some((folder, _)) => folder.into(),
    }
}

/// Services write 1970 to delete a cookie.
const A_YEAR: std::time::Duration = std::time::Duration::from_secs(366 * 24 * 60 * 60);
/// As large as RFC 6265 (6.1) asks of a client.
const LONGEST: usize = 4 * 1024;
/// The task's token contains the cookies, and every poll sends them: servers usually accept headers of 16 KiB.
const MOST_BYTES: usize = 16 * 1024;
/// As many as RFC 6265 asks of a client for one host.
const MOST: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_set_where_it_was_set() {
        let mut headers = HeaderMap::new();
        for cookie in [
            "a=1; Path=/; HttpOnly",
            "b=2; path=/v1",
            "c=3",
            "d=4; Max-Age=0",
            "e=9; Path=/",
            "e=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "=5",
            "none",
            "a=6; Path=/",
        ] {
            headers.append("set-cookie", cookie.parse().unwrap());
        }
        let url: Url = "https://a.example/v1/exports".parse().unwrap();
        let mut cookies = Cookies::default();
        cookies.take(&url, &headers);
        let at = |url: &str| cookies.header(&url.parse().unwrap());
        assert_eq!(at("https://a.example/v1/tasks").as_deref(), Some("b=2; c=3; a=6"));
        assert_eq!(at("https://a.example/v10").as_deref(), Some("a=6"));
        assert_eq!(at("https://a.example:8443/v1"), None);
        assert_eq!(at("https://b.example/v1"), None);
    }

    #[test]
    fn cookies_have_bounds_and_those_within_go_back() {
        let url: Url = "https://a.example/".parse().unwrap();
        let mut cookies = Cookies::default();
        let mut set = |name: &str, length: usize| {
            let header = format!("{name}={}", "x".repeat(length)).parse().unwrap();
            cookies.take(&url, &HeaderMap::from_iter([(http::header::SET_COOKIE, header)]));
            cookies.0.iter().map(|cookie| (cookie.name.clone(), cookie.value.len())).collect::<Vec<_>>()
        };
        assert_eq!(set("a", 4094), [("a".to_owned(), 4094)]);
        assert_eq!(set("b", 4096).len(), 1, "4 KiB with its name and path");
        for name in ["b", "c", "d"] {
            set(name, 4000);
        }
        assert_eq!(set("e", 4000).len(), 4, "16 KiB in all");
        assert_eq!(set("e", 100).len(), 5);
        assert_eq!(set("a", 10).len(), 5, "one of the same name makes room for itself");
        assert_eq!(set("f", 4000).len(), 6);
        for at in 0..100 {
            set(&format!("n{at}"), 1);
        }
        assert_eq!(set("last", 1).len(), MOST);
    }
}
