//! What must never be shown: secrets, signed URLs, and text that may hold either.

mod mask;
mod names;

use std::borrow::Cow;
use std::fmt;

use url::Url;
use zeroize::Zeroizing;

pub(crate) use mask::Mask;
pub(crate) use names::{looks_secret, sounds_secret};

/// A URL whose query may carry a right to read: a SAS or presigned link, or a status URL with a key in it.
///
/// `Debug` and `Display` show scheme, host and path, and `?…` where a query stands; the query itself comes out only
/// by [`expose`](SecretUrl::expose).
///
/// ```
/// use longhaul::SecretUrl;
///
/// let link = SecretUrl::parse("https://store.example.net/exports/7.parquet?se=2030-01-01&sig=abc%2F")?;
/// assert_eq!(link.to_string(), "https://store.example.net/exports/7.parquet?…");
/// assert!(link.expose().ends_with("sig=abc%2F"));
/// assert!(link.is_signed());
/// # Ok::<(), longhaul::UrlError>(())
/// ```
///
/// The text is kept byte for byte, because a signature is over bytes. A text that the URL standard would rewrite in
/// its path or query (`'`, a space, non-ASCII, `\`, `/../`) is refused: sent rewritten, it would fail far from here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Takes a link as a service gave it.
    ///
    /// # Errors
    /// [`UrlError`] when it is no absolute http or https URL, names a user or password, or would be changed by
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

    /// The whole URL, signature included. Hand it only to the storage that it names.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// The URL without its query, and the query (the SAS) without its `?`: the two parts that storage clients ask for.
    ///
    /// ```
    /// # use longhaul::SecretUrl;
    /// let link = SecretUrl::parse("https://store.example.net/exports/7.parquet?sig=abc")?;
    /// assert_eq!(link.split_sas(), ("https://store.example.net/exports/7.parquet", "sig=abc"));
    /// # Ok::<(), longhaul::UrlError>(())
    /// ```
    #[must_use]
    pub fn split_sas(&self) -> (&str, &str) {
        self.expose().split_once('?').unwrap_or((self.expose(), ""))
    }

    /// Whether the query carries a signature that this crate knows: Azure SAS, S3, GCS or CloudFront.
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

/// Why a text is no link that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not parse as an absolute URL.
    #[error("not an absolute URL: {0}")]
    Malformed(url::ParseError),
    /// Its scheme is neither http nor https.
    #[error("the scheme `{0}` is neither http nor https")]
    Scheme(String),
    /// It names a user or a password.
    #[error("it names a user or password; give credentials to the client instead")]
    UserInfo,
    /// Sending it would change bytes of its path or query, and so void its signature.
    #[error("sending it would rewrite its path or query; percent-encode `'`, spaces, `\\` and non-ASCII first")]
    Rewritten,
}

/// A value that is never shown, and wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
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

/// Whether the query of `url` carries a signature.
pub(crate) fn is_signed(url: &Url) -> bool {
    const SIGNATURES: [&str; 5] = ["sig", "signature", "x-amz-signature", "x-goog-signature", "x-oss-signature"];
    url.query_pairs().any(|(name, _)| SIGNATURES.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

/// Whether the query of `url` carries what lets whoever has it act: a signature, or a secret by its name or its form.
pub(crate) fn holds_secret(url: &Url) -> bool {
    is_signed(url) || url.query_pairs().any(|(name, value)| sounds_secret(&name) || looks_secret(&value))
}

/// A URL as it may be shown: scheme, host, port and path.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}

/// Text of a service as it may be shown: every URL in it loses its query and user, and control characters are gone.
pub(crate) fn scrub(text: &str) -> Cow<'_, str> {
    let clean: Cow<'_, str> = if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    };
    if !clean.contains("://") && !names_signature(&clean) {
        return clean;
    }
    let mut out = String::with_capacity(clean.len());
    let mut after_scheme = false;
    let schemes: &[&str] =
        if clean.to_ascii_lowercase().contains("authorization") { &["bearer", "basic"] } else { &["bearer"] };
    for (at, word) in clean.split(' ').enumerate() {
        if at > 0 {
            out.push(' ');
        }
        let query = word.find('?').filter(|_| word.contains("://") || names_signature(word));
        match query {
            _ if after_scheme && word.is_empty() => continue,
            _ if after_scheme => out.push('…'),
            Some(query) => {
                out.push_str(&strip_user(word.split_at(query).0));
                out.push_str("?…");
                // What ends the sentence is not the link's.
                let end = word.trim_end_matches(['.', ',', ':', ';', ')']).len();
                out.push_str(word.split_at(end).1);
            }
            None if word.contains('=') && names_signature(word) => out.push('…'),
            None => out.push_str(&strip_user(word)),
        }
        // `Authorization: Bearer …` (RFC 9110, 11.4).
        after_scheme = schemes.iter().any(|scheme| word.to_ascii_lowercase().ends_with(scheme));
    }
    Cow::Owned(out)
}

/// As [`scrub`], line by line.
pub(crate) fn scrub_lines(text: &str) -> String {
    text.lines().map(scrub).collect::<Vec<_>>().join("\n")
}

fn strip_user(word: &str) -> String {
    let Some((before, rest)) = word.split_once("://") else { return word.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{before}://{host}{path}")
}

fn names_signature(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        "sig=",
        "signature=",
        "bearer",
        "authorization",
        "apikey=",
        "api_key=",
        "api-key=",
        "token=",
        "password=",
        "secret=",
        "subscription-key=",
        "functions-key=",
        "?code=",
        "&code=",
    ]
    .iter()
    .any(|mark| lower.contains(mark))
}

/// The part of a URL that goes on the request line: path and query.
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
    fn scrubs_text_of_a_service() {
        for (text, shown) in [
            ("plain words", "plain words"),
            ("see https://a.example/b?sig=S&x=1 now", "see https://a.example/b?… now"),
            ("at https://user:pw@a.example/b", "at https://a.example/b"),
            ("/b?se=1&sig=S", "/b?…"),
            ("(at https://a.example/b?sig=S), and", "(at https://a.example/b?…), and"),
            ("broken sig=S", "broken …"),
            ("Authorization: Basic dTpw", "Authorization: Basic …"),
            ("the basic plan", "the basic plan"),
            ("Bearer  T0K.EN and more", "Bearer  … and more"),
            ("with apikey=K3Y at", "with … at"),
            ("/p?code=SYSTEMKEY", "/p?…"),
            ("sent Authorization: Bearer T0K.EN again", "sent Authorization: Bearer … again"),
            ("a\r\nb", "a  b"),
        ] {
            assert_eq!(scrub(text), shown, "{text}");
        }
    }
}
