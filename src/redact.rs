//! Secrets, signed URLs, and text that may contain either: none of them is ever shown.

mod base64;
mod header;
mod hidden;
mod mask;
mod names;
mod veil;
mod words;
mod written;

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;
use zeroize::Zeroizing;

pub(crate) use header::{secrets_of, secrets_on};
pub(crate) use hidden::Hidden;
pub(crate) use mask::Mask;
pub(crate) use names::{looks_secret, sounds_secret};
pub(crate) use veil::{HIDDEN, is_secret, veiled_json, veiled_text, veiled_url};
pub(crate) use words::{brief, scrub, scrub_lines};

/// A URL whose query may grant access: a SAS or presigned link, or a status URL that contains a key.
///
/// `Debug` and `Display` show scheme, host and path, and `?…` in place of a query; only [`expose`](SecretUrl::expose)
/// returns the query itself.
///
/// ```
/// use longhaul::SecretUrl;
///
/// let link = SecretUrl::parse("https://store.example.net/exports/7.parquet?se=2030-01-01&sig=abc%2F")?;
/// assert_eq!(link.to_string(), "https://store.example.net/exports/7.parquet?…");
/// assert!(link.expose().ends_with("sig=abc%2F"));
/// assert!(link.is_signed());
/// # Ok::<(), longhaul::downloads::UrlError>(())
/// ```
///
/// The text is kept byte for byte, because a signature covers bytes. A text that the URL standard would rewrite in its
/// path or query (`'`, a space, non-ASCII, `\`, `/../`) is refused: the rewritten URL would fail only later, at the
/// storage.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Parses a link as a service gave it.
    ///
    /// # Errors
    /// [`UrlError`] if the text is not an absolute http or https URL, names a user or password, or would be changed by
    /// being sent.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let mut url = Url::parse(text).map_err(UrlError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        url.set_fragment(None);
        if target(text) != target(url.as_str()) {
            return Err(UrlError::Rewritten);
        }
        Ok(Self(url))
    }

    /// Returns the whole URL, signature included. Pass it only to the storage that it names.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the URL without its query, and the query (the SAS) without its `?`: the two parts that storage clients
    /// require.
    ///
    /// ```
    /// # use longhaul::SecretUrl;
    /// let link = SecretUrl::parse("https://store.example.net/exports/7.parquet?sig=abc")?;
    /// assert_eq!(link.split_sas(), ("https://store.example.net/exports/7.parquet", "sig=abc"));
    /// # Ok::<(), longhaul::downloads::UrlError>(())
    /// ```
    #[must_use]
    pub fn split_sas(&self) -> (&str, &str) {
        self.expose().split_once('?').unwrap_or((self.expose(), ""))
    }

    /// Returns whether the query carries a signature that this crate knows: Azure SAS, S3, GCS or CloudFront.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        is_signed(&self.0)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl From<Url> for SecretUrl {
    fn from(mut url: Url) -> Self {
        url.set_fragment(None);
        Self(url)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// The reason why a text is not a link that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text does not parse as an absolute URL.
    #[error("not an absolute URL: {0}")]
    Malformed(url::ParseError),
    /// The scheme is neither http nor https.
    #[error("the scheme `{0}` is neither http nor https")]
    Scheme(String),
    /// The URL names a user or a password.
    #[error("it names a user or password; give credentials to the client instead")]
    UserInfo,
    /// Sending the URL would change bytes of its path or query, and so void its signature.
    #[error("sending it would rewrite its path or query; percent-encode `'`, spaces, `\\` and non-ASCII first")]
    Rewritten,
}

/// A value that is never shown, and is wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Creates a secret without surrounding white space: keys and secrets from files and variables often end with a
    /// line break.
    pub(crate) fn trimmed(value: impl Into<String>) -> Self {
        let mut value = Zeroizing::new(value.into());
        let end = value.trim_end().len();
        value.truncate(end);
        let begin = value.len() - value.trim_start().len();
        value.drain(..begin);
        Self(value)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Returns whether the query of `url` carries a signature.
pub(crate) fn is_signed(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| is_one_of(&SIGNATURES, &name))
}

/// Returns whether the query of `url` carries a value that grants its holder access: a signature, or a secret by its
/// name or its form.
pub(crate) fn holds_secret(url: &Url) -> bool {
    is_signed(url) || url.query_pairs().any(|(name, value)| sounds_secret(&name) || looks_secret(&value))
}

/// Returns the values in the query of `url` that grant their holder access, each as the query decodes it.
pub(crate) fn secrets_in(url: &Url) -> impl Iterator<Item = Secret> {
    let pairs = url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let secret = pairs.filter(|(name, value)| {
        let name = percent_decode_str(name).decode_utf8_lossy();
        let is_known = [&SIGNATURES[..], &TOKENS].into_iter().any(|names| is_one_of(names, &name));
        let value = percent_decode_str(value).decode_utf8_lossy();
        is_known || (sounds_secret(&name) && !is_plain_word(&value)) || looks_secret(&value)
    });
    secret.flat_map(|(_, value)| {
        // Some readers of a query decode a plus sign as a space, others keep it.
        let spaced = value.contains('+').then(|| value.replace('+', " "));
        [Some(decoded(value)), spaced.as_deref().map(decoded)].into_iter().flatten()
    })
}

/// `key=status` and `code=2024` are no secrets; masking them would hide the word everywhere.
fn is_plain_word(value: &str) -> bool {
    let is_of = |kind: fn(char) -> bool| value.chars().all(kind);
    value.len() < 8 && (is_of(char::is_alphabetic) || is_of(char::is_numeric))
}

fn decoded(value: &str) -> Secret {
    Secret::new(percent_decode_str(value).decode_utf8_lossy())
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Azure SAS, CloudFront, S3, GCS, OSS.
const SIGNATURES: [&str; 5] = ["sig", "signature", "x-amz-signature", "x-goog-signature", "x-oss-signature"];
/// Session tokens beside a signature; CloudFront's `Policy` is signed, and not a secret.
const TOKENS: [&str; 3] = ["x-amz-security-token", "x-oss-security-token", "security-token"];
/// Returns a URL as it may be shown: scheme, host, port and path.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}

/// Returns why a text that begins with a host is no URL; `None` for any other text.
pub(crate) fn lacks_scheme(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('/');
    if text.contains("://") {
        return None;
    }
    let mut url = Url::parse(&format!("https://{text}")).ok().filter(|url| url.username().is_empty())?;
    let is_local = match url.host()? {
        url::Host::Domain("localhost") => true,
        url::Host::Domain(name) if name.contains('.') || url.port().is_some() => false,
        url::Host::Domain(_) => return None,
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    if is_local {
        url.set_scheme("http").ok()?;
    }
    let whole = shown(&url);
    let whole = if text.contains(['/', '?']) { &*whole } else { whole.trim_end_matches('/') };
    Some(format!("`{}` has no scheme: write {whole}", whole.split_once("://").map_or(whole, |(_, host)| host)))
}

/// Returns the part of a URL that goes on the request line: path and query.
fn target(text: &str) -> &str {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let after = text.split_once("://").map_or(text, |(_, after)| after);
    match after.find(['/', '?', '\\']) {
        Some(at) => match after.split_at(at).1 {
            "/" => "",
            target => target.strip_prefix('/').filter(|rest| rest.starts_with('?')).unwrap_or(target),
        },
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_scheme_is_shown_with_one() {
        for (text, whole) in [
            ("api.example.net/v1", Some("https://api.example.net/v1")),
            (" //api.example.net", Some("https://api.example.net")),
            ("api.example.net:8443/v1?key=S1", Some("https://api.example.net:8443/v1?…")),
            ("gateway:8080", Some("https://gateway:8080")),
            ("localhost:8080/v1", Some("http://localhost:8080/v1")),
            ("127.0.0.1", Some("http://127.0.0.1")),
            ("[::1]:80/v1", Some("http://[::1]/v1")),
            ("https://api.example.net", None),
            ("mailto:me@example.net", None),
            ("exports", None),
            ("not a url.", None),
            ("::", None),
            ("", None),
        ] {
            let why = lacks_scheme(text);
            let wanted = whole.map(|whole| format!("has no scheme: write {whole}"));
            assert_eq!(why.as_ref().map(|why| why.split_once("` ").unwrap().1), wanted.as_deref(), "{text}: {why:?}");
        }
        assert_eq!(lacks_scheme("a.example/v1").unwrap(), "`a.example/v1` has no scheme: write https://a.example/v1");
    }

    #[test]
    fn keeps_a_signed_url_byte_for_byte_or_refuses_it() {
        for kept in [
            "https://a.example/b?sig=a%2Fb%3D&se=2030-01-01T00%3A00%3A00Z",
            "https://a.example/b%20c?sig=%E2%82%AC",
            "https://A.example:443/b?sig=1",
            "https://a.example?sig=1",
            "https://a.example/",
        ] {
            let url = SecretUrl::parse(kept).unwrap();
            assert_eq!(target(url.expose()), target(kept), "{kept}");
        }
        for (refused, why) in [
            ("https://a.example/b?rscd='x'&sig=1", UrlError::Rewritten),
            ("https://a.example/b c?sig=1", UrlError::Rewritten),
            ("https://a.example/é?sig=1", UrlError::Rewritten),
            ("https://a.example/a/../b?sig=1", UrlError::Rewritten),
            ("https://a.example\\b?sig=1", UrlError::Rewritten),
            ("https://u:p@a.example/b", UrlError::UserInfo),
            ("ftp://a.example/b", UrlError::Scheme("ftp".into())),
        ] {
            assert_eq!(SecretUrl::parse(refused), Err(why), "{refused}");
        }
    }

    #[test]
    fn shows_no_query() {
        let url = SecretUrl::parse("https://a.example:8443/b?sig=SECRET#frag").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://a.example:8443/b?… SecretUrl(https://a.example:8443/b?…)");
    }

    #[test]
    fn finds_what_in_a_query_lets_whoever_has_it_act() {
        for (query, secrets) in [
            ("se=2030-01-01&sig=a%2Fb%3D&sp=r", &["a/b="][..]),
            ("SIG=a+b", &["a+b", "a b"]),
            ("X-Amz-Signature=5e&X-Amz-Security-Token=IQ%2F&X-Amz-Credential=AK", &["5e", "IQ/"]),
            ("X-Goog-Signature=7f&Signature=s~&token=t0", &["7f", "s~", "t0"]),
            ("x%2Dgoog%2Dsignature=7f", &["7f"]),
            ("key=status&code=2024&ticket=a1b2&session=abcdefgh", &["a1b2", "abcdefgh"]),
            ("sigh=1&page=2", &[]),
            ("sig", &[]),
        ] {
            let url = Url::parse(&format!("https://a.example/b?{query}")).unwrap();
            let found: Vec<_> = secrets_in(&url).collect();
            assert_eq!(found.iter().map(Secret::expose).collect::<Vec<_>>(), secrets, "{query}");
        }
    }

    #[test]
    fn a_secret_out_of_a_file_has_no_line_end() {
        for text in ["S", "S\n", "S\r\n", " \tS \n\n"] {
            assert_eq!(Secret::trimmed(text).expose(), "S");
        }
        assert_eq!(Secret::trimmed(" \n").expose(), "");
    }
}
