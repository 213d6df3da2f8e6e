//! Origin and Trust: where a request may go, and what it may carry there.

use url::Url;

use crate::error::{Error, ErrorKind};
use crate::redact;

/// Scheme, host and port: what credentials are bound to (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    pub(crate) fn of(url: &Url) -> Self {
        Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().trim_end_matches('.').to_owned(),
            port: url.port_or_known_default(),
        }
    }

    fn is_of(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        self.scheme == url.scheme() && self.host == host && self.port == url.port_or_known_default()
    }

    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The origins of one client: its own, and those that were allowed by name.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// What the paths of the client are relative to.
    base: Url,
    own: Origin,
    allowed: Vec<Origin>,
}

/// What a request to a URL may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything: credentials, keys, the caller's headers.
    Own,
    /// Nothing but the request itself.
    Foreign,
}

impl Trust {
    pub(crate) fn new(base: &Url, allowed: impl IntoIterator<Item = Origin>) -> Self {
        Self { base: base.clone(), own: Origin::of(base), allowed: allowed.into_iter().collect() }
    }

    /// Decides what may go to `url`, or why nothing may.
    pub(crate) fn standing(&self, url: &Url) -> Result<Standing, Error> {
        let refused =
            |why: &str| Err(Error::new(ErrorKind::Untrusted, format!("{}: {why}", redact::shown(url))).with_url(url));
        if !url.username().is_empty() || url.password().is_some() {
            return refused("it names a user");
        }
        if self.own.is_of(url) || self.allowed.iter().any(|allowed| allowed.is_of(url)) {
            return Ok(Standing::Own);
        }
        match url.scheme() {
            "https" => Ok(Standing::Foreign),
            "http" if Origin::of(url).is_loopback() && self.own.is_loopback() => Ok(Standing::Foreign),
            "http" if self.own.scheme == "https" => refused("from https to http"),
            "http" => refused("plain http to another origin"),
            _ => refused("neither http nor https"),
        }
    }

    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) fn is_own(&self, url: &Url) -> bool {
        matches!(self.standing(url), Ok(Standing::Own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_credentials_to_the_origin() {
        let own = Some(Standing::Own);
        let foreign = Some(Standing::Foreign);
        for (base, url, expected) in [
            ("https://a.example/v1", "https://a.example/x", own),
            ("https://a.example/v1", "https://A.example:443/x", own),
            ("https://a.example/v1", "https://a.example./x", own),
            ("https://a.example/v1", "https://a.example:8443/x", foreign),
            ("https://a.example/v1", "https://b.example/x", foreign),
            ("https://a.example/v1", "https://allowed.example/x", own),
            ("https://a.example/v1", "http://a.example/x", None),
            ("https://a.example/v1", "http://127.0.0.1/x", None),
            ("https://a.example/v1", "https://u@a.example/x", None),
            ("https://a.example/v1", "ftp://a.example/x", None),
            ("https://a.example/v1", "file:///etc/passwd", None),
            ("http://a.example/v1", "http://b.example/x", None),
            ("http://127.0.0.1:80/v1", "http://127.0.0.1:81/x", foreign),
            ("http://localhost:80/v1", "http://[::1]:81/x", foreign),
            ("http://127.0.0.1:80/v1", "http://b.example/x", None),
        ] {
            let allowed = Origin::of(&Url::parse("https://allowed.example").unwrap());
            let trust = Trust::new(&Url::parse(base).unwrap(), [allowed]);
            assert_eq!(trust.standing(&Url::parse(url).unwrap()).ok(), expected, "{base} -> {url}");
        }
    }
}
