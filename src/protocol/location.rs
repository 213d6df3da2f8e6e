//! Locations: turns a pointer of the service into a URL, and resolves redirects.

use url::Url;

use crate::message::Origin;
use crate::redact::{SecretUrl, UrlError, is_signed, shown};

/// Joins a pointer to the URL of the answer that carried it (RFC 3986, 5).
///
/// A space and a letter beyond ASCII are percent-encoded, as browsers and curl do; in a signed URL they are refused,
/// because the signature covers the bytes.
pub(crate) fn join(base: &Url, pointer: &str) -> Result<Url, String> {
    let pointer = pointer.trim();
    if pointer.len() > LONGEST {
        return Err(format!("it is {} bytes long, and no URL is longer than {LONGEST}", pointer.len()));
    }
    if let Some(url) = below(base, pointer) {
        return Ok(url);
    }
    if let Some(wrong) = pointer.chars().find(|c| !is_uri_char(*c)) {
        return Err(format!("it contains {wrong:?}, which no URL may"));
    }
    // A sentence has spaces, and no slash.
    if pointer.contains(' ') && !pointer.contains(['/', '?']) {
        return Err("it holds spaces, and no `/`: it is no URL".into());
    }
    let first = pointer.bytes().find(|byte| matches!(byte, b':' | b'/' | b'?' | b'#'));
    if first == Some(b':') {
        if let Ok(exact) = SecretUrl::parse(pointer) {
            return Ok(exact.url().clone());
        }
        let (scheme, rest) = pointer.split_once(':').unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        if !rest.starts_with("//") && OPAQUE_SCHEMES.contains(&scheme.as_str()) {
            return Err(format!("its scheme `{scheme}` is neither http nor https"));
        }
    }
    // A relative path such as `op:cancel` is not a scheme.
    let is_scheme = first != Some(b':') || pointer.contains("//");
    let mut url = if is_scheme { base.join(pointer) } else { base.join(&format!("./{pointer}")) }
        .map_err(|error| error.to_string())?;
    url.set_fragment(None);
    if is_signed(&url) && !pointer.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError::Rewritten.to_string());
    }
    Ok(url)
}

/// Joins a filled template to the base. The text before the first placeholder is the caller's, and may lead anywhere;
/// the filled-in values are the service's, and must stay below it: the same origin, the same beginning of path and
/// query.
pub(super) fn join_template(base: &Url, template: &str, filled: &str) -> Result<Url, String> {
    let fixed = template.split('{').next().unwrap_or_default();
    let root = match fixed.trim() {
        "" => base.join(".").map_err(|error| error.to_string())?,
        fixed => join(base, fixed)?,
    };
    let url = join(base, filled)?;
    if is_below(&root, &url) {
        Ok(url)
    } else {
        Err(format!("filled in, it leads to {} instead of below {}", shown(&url), shown(&root)))
    }
}

/// Returns whether a URL continues another.
pub(super) fn is_below(root: &Url, url: &Url) -> bool {
    let is_same_origin = Origin::from_url(root) == Origin::from_url(url);
    is_same_origin && url.username().is_empty() && url.password().is_none() && {
        let target = |url: &Url| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        target(url).starts_with(&target(root))
    }
}

/// Parses a link of the service: kept byte for byte if it is absolute, and encoded if it is not signed.
pub(crate) fn link(base: &Url, pointer: &str) -> Result<SecretUrl, String> {
    if !is_absolute(pointer.trim()) || pointer.len() > LONGEST {
        return join(base, pointer).map(SecretUrl::from);
    }
    match SecretUrl::parse(pointer) {
        Ok(link) => Ok(link),
        Err(UrlError::Rewritten) if Url::parse(pointer.trim()).is_ok_and(|url| !is_signed(&url)) => {
            join(base, pointer).map(SecretUrl::from)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Returns whether a pointer begins with a scheme: `/8?next=https://a.example` does not.
pub(crate) fn is_absolute(pointer: &str) -> bool {
    let scheme = pointer.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(is_of_scheme)
}

/// Joins a plain path below a folder: most requests have one, and the part before it is already parsed.
fn below(folder: &Url, path: &str) -> Option<Url> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~');
    if path.is_empty()
        || path.starts_with('/')
        || !path.bytes().all(is_plain)
        || !folder.path().ends_with('/')
        // A root like this loses its last slash.
        || folder.path().starts_with("//")
        || folder.query().is_some()
        || folder.fragment().is_some()
    {
        return None;
    }
    let mut url = folder.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
    Some(url)
}

/// Returns whether a character belongs to a URI reference (RFC 3986), or is one that browsers and services also write
/// raw.
fn is_uri_char(c: char) -> bool {
    !c.is_control() && (c == ' ' || !c.is_whitespace()) && !matches!(c, '<' | '>' | '"' | '{' | '}' | '^' | '`' | '\\')
}

/// Schemes whose URLs have no `//`: without this list, they would be read as paths such as `op:cancel`.
const OPAQUE_SCHEMES: [&str; 14] =
    ["about", "arn", "blob", "cid", "data", "did", "file", "javascript", "mailto", "oid", "sip", "tag", "tel", "urn"];

/// Servers usually accept request lines of 8 KiB at most; signed URLs of 6 KiB are known.
pub(super) const LONGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_what_services_send() {
        let base = Url::parse("https://a.example/v1/exports?x=1").unwrap();
        for (pointer, url) in [
            ("/x", Some("https://a.example/x")),
            ("x", Some("https://a.example/v1/x")),
            ("./x", Some("https://a.example/v1/x")),
            ("?a", Some("https://a.example/v1/exports?a")),
            ("//h.example/x", Some("https://h.example/x")),
            (" https://b.example/x#part ", Some("https://b.example/x")),
            ("op:cancel", Some("https://a.example/v1/op:cancel")),
            ("HTTPS://B.example/x", Some("https://b.example/x")),
            ("not a url", None),
            ("see the docs", None),
            ("/jobs/my job", Some("https://a.example/jobs/my%20job")),
            ("jobs/caf\u{e9}", Some("https://a.example/v1/jobs/caf%C3%A9")),
            ("https://b.example/\u{65e5}\u{672c}?q=a b", Some("https://b.example/%E6%97%A5%E6%9C%AC?q=a%20b")),
            ("/caf%C3%A9%20x?q=a%2Fb+c", Some("https://a.example/caf%C3%A9%20x?q=a%2Fb+c")),
            ("/b?x=\u{e9}&sig=1", None),
            ("https://b.example/a b?X-Amz-Signature=1", None),
            ("/jobs\u{a0}7", None),
            ("/jobs/{id}", None),
            ("\"/jobs/7\"", None),
            ("urn:job:7", None),
            ("mailto:a@b.example", None),
            ("ARN:aws:states:7", None),
            ("<none>", None),
            ("https://[::bad/x", None),
            ("/\u{7}", None),
        ] {
            assert_eq!(join(&base, pointer).ok().as_ref().map(Url::as_str), url, "{pointer}");
        }
    }

    #[test]
    fn what_a_template_is_filled_with_stays_below_what_stands_before_it() {
        for (base, template, filled, url) in [
            ("https://a.example/v1/", "{x}", "operations/7", Some("https://a.example/v1/operations/7")),
            ("https://a.example/v1/exports?x=1", "{x}", "operations/7", Some("https://a.example/v1/operations/7")),
            ("https://a.example/v1/", "jobs/{x}", "jobs/7:cancel", Some("https://a.example/v1/jobs/7:cancel")),
            ("https://a.example/v1/", "jobs?id={x}", "jobs?id=7", Some("https://a.example/v1/jobs?id=7")),
            ("https://a.example/v1/", "/v2/{x}", "/v2/7", Some("https://a.example/v2/7")),
            ("https://a.example/v1/", "../{x}", "../7", Some("https://a.example/7")),
            ("https://a.example/v1/", "https://b.example/{x}", "https://b.example/7", Some("https://b.example/7")),
            ("https://a.example/v1/", "jobs", "jobs", Some("https://a.example/v1/jobs")),
            ("https://a.example/v1/", "{x}", "../users", None),
            ("https://a.example/v1/", "{x}", "a/../../users", None),
            ("https://a.example/v1/", "{x}", "%2e%2e/users", None),
            ("https://a.example/v1/", "{x}", "/users", None),
            ("https://a.example/v1/", "{x}", "//evil.example/x", None),
            ("https://a.example/v1/", "{x}", "https://evil.example/x", None),
            ("https://a.example/v1/", "{x}", "https:evil.example/x", None),
            ("https://a.example/v1/", "jobs/{x}", "jobs/../x", None),
            ("https://a.example/v1/", "jobs/{x}", "jobs/..", None),
            ("https://a.example/v1/", "jobs?id={x}", "jobs?admin=1", None),
            ("https://a.example/v1/", "https://b.example{x}", "https://b.example.evil.example/", None),
            ("https://a.example/v1/", "https://b.example{x}", "https://b.example:8443/", None),
            ("https://a.example/v1/", "https://b.example{x}", "https://b.example@evil.example/", None),
        ] {
            let joined = join_template(&Url::parse(base).unwrap(), template, filled);
            assert_eq!(joined.ok().as_ref().map(Url::as_str), url, "{base} {template} {filled}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_filling_leaves_the_base(
            filling in r"(//|/|\.\./|\./|%2e%2e/|%2E./|\\|https:|https://|evil\.example|@|:|\?|#|a|7| ){0,8}",
            at in 0..4_usize,
        ) {
            let base = Url::parse("https://a.example/v1/").unwrap();
            let (before, root) = [
                ("", "https://a.example/v1/"),
                ("jobs/", "https://a.example/v1/jobs/"),
                ("/v2/x-", "https://a.example/v2/x-"),
                ("jobs?id=", "https://a.example/v1/jobs?id="),
            ][at];
            if let Ok(url) = join_template(&base, &format!("{before}{{x}}"), &format!("{before}{filling}")) {
                proptest::prop_assert!(url.as_str().starts_with(root), "{filling:?}: {url}");
            }
        }
    }

    #[test]
    fn a_plain_path_joins_as_any_other() {
        for base in ["https://a.example/", "https://a.example/v1/", "https://a.example:8443/a%20b//c/"] {
            let base = Url::parse(base).unwrap();
            for path in ["x", "x/y", "x/", "x//y", "x///", "~a-b_C/0f8fad5b-d9cb/7"] {
                assert_eq!(below(&base, path).as_ref(), base.join(path).ok().as_ref(), "{base} {path}");
            }
            for path in ["", "/x", "a.b", "..", "a%2Fb", "a?b", "a#b", "a:b", "ä", "a b"] {
                assert_eq!(below(&base, path), None, "{base} {path}");
            }
        }
        for base in [
            "https://a.example/v1",
            "https://a.example/v1/?a",
            "https://a.example/v1/#a",
            "data:x/",
            "https://a.example//",
        ] {
            assert_eq!(below(&Url::parse(base).unwrap(), "x"), None, "{base}");
        }
    }

    #[test]
    fn a_signed_link_stays_as_it_is_or_is_refused() {
        let base = Url::parse("https://a.example/v1/").unwrap();
        let kept = "https://s.example/c/b?sv=1&sig=a%2Fb%3D";
        assert_eq!(link(&base, kept).unwrap().expose(), kept);
        assert_eq!(link(&base, "files/7").unwrap().expose(), "https://a.example/v1/files/7");
        assert!(link(&base, "https://s.example/b?rscd='x'&sig=1").is_err());
        assert!(link(&base, "https://s.example/a b?sig=1").is_err());
        assert_eq!(link(&base, "https://s.example/a b'c").unwrap().expose(), "https://s.example/a%20b'c");
    }
}
