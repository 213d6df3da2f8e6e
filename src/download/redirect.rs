//! Redirect: the URL that a storage redirects a request to.

use std::borrow::Cow;

use http::{HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::message::Response;
use crate::protocol::{is_absolute, link};
use crate::redact::SecretUrl;

/// Returns the target of a redirect; `None` for any other answer.
///
/// What a browser or curl would encode is encoded: raw UTF-8, spaces, quotes, `/../`. A signed target goes byte for byte
/// or is refused, because its signature covers the bytes.
pub(super) fn read(response: &Response) -> Result<Option<SecretUrl>, Error> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let target = match response.headers().get(header::LOCATION) {
        Some(location) => target(response.url(), &text(location)),
        None => Err("it names no Location".into()),
    };
    target.map(Some).map_err(|why| {
        let why = format!("the storage redirects to nowhere that can be used: {why}");
        Error::new(ErrorKind::ResultUnavailable, why).with_url(response.url()).with_status(response.status())
    })
}

fn target(base: &Url, location: &str) -> Result<SecretUrl, String> {
    let location = location.trim();
    if location.is_empty() {
        return Err("its Location is empty".into());
    }
    let target = link(base, location)?;
    // The link may be encoded twice by now, which only a target without a user shows.
    let target = SecretUrl::parse(target.expose()).map_err(|error| error.to_string())?;
    let written = location.split_once('#').map_or(location, |(before, _)| before);
    let is_kept = is_absolute(location) || target.expose().ends_with(written.trim_start_matches("./"));
    if target.is_signed() && !is_kept {
        return Err("it is signed, and would be changed by being sent".into());
    }
    Ok(target)
}

/// Decodes a Location. Bytes that are no UTF-8 are percent-encoded one by one, as curl does.
fn text(location: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(location.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => percent_encode(location.as_bytes(), BEYOND_ASCII).to_string().into(),
    }
}

/// `percent_encode` always encodes what is beyond ASCII.
const BEYOND_ASCII: &AsciiSet = CONTROLS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_is_not_signed_and_keeps_what_is() {
        let base = Url::parse("https://a.example/v1/exports/7?x=1").unwrap();
        for (location, expected) in [
            ("/caf\u{e9}.csv", Some("https://a.example/caf%C3%A9.csv")),
            ("https://b.example/my file.csv", Some("https://b.example/my%20file.csv")),
            ("/d?name=\u{17e}lu\u{165}", Some("https://a.example/d?name=%C5%BElu%C5%A5")),
            ("/a/../d", Some("https://a.example/d")),
            ("./d", Some("https://a.example/v1/exports/d")),
            ("8", Some("https://a.example/v1/exports/8")),
            ("/8?next=https://c.example/", Some("https://a.example/8?next=https://c.example/")),
            ("?y=2", Some("https://a.example/v1/exports/7?y=2")),
            (
                "https://b.example/d?rscd=a%3B%20f*%3DUTF-8''x.csv",
                Some("https://b.example/d?rscd=a%3B%20f*%3DUTF-8%27%27x.csv"),
            ),
            ("/d?q='x'", Some("https://a.example/d?q=%27x%27")),
            ("https://b.example/d?sig=a%2Bb%2Fc%3D&se=2030", Some("https://b.example/d?sig=a%2Bb%2Fc%3D&se=2030")),
            ("/d?sig=a%2Bb#part", Some("https://a.example/d?sig=a%2Bb")),
            ("8?sig=1", Some("https://a.example/v1/exports/8?sig=1")),
            ("./8?sig=1", Some("https://a.example/v1/exports/8?sig=1")),
            ("/a/../d?sig=1", None),
            ("/d?q='x'&sig=1", None),
            ("/caf\u{e9}?sig=1", None),
            ("https://b.example/a b?X-Amz-Signature=1", None),
            ("https://b.example/a/../b?sig=1", None),
            ("https://u:p@b.example/a", None),
            ("//u:p@b.example/a", None),
            ("ftp://b.example/a", None),
            ("", None),
        ] {
            let found = target(&base, location);
            assert_eq!(found.as_ref().ok().map(SecretUrl::expose), expected, "{location}: {found:?}");
        }
    }

    #[test]
    fn bytes_of_another_encoding_are_sent_as_they_came() {
        assert_eq!(text(&HeaderValue::from_bytes(b"/caf\xe9.csv").unwrap()), "/caf%E9.csv");
        assert_eq!(text(&HeaderValue::from_bytes("/caf\u{e9}%20.csv".as_bytes()).unwrap()), "/caf\u{e9}%20.csv");
    }
}
