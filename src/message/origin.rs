//! Origin and Trust: the URLs that a request may go to, and the secrets that it may carry there.

use url::Url;

use crate::error::{Error, ErrorKind};
use crate::redact;

/// Scheme, host and port: the origin that credentials are bound to (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    pub(crate) fn from_url(url: &Url) -> Self {
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
    /// The base of the client's relative paths.
    base: Url,
    own: Origin,
    allowed: Vec<Origin>,
}

/// The contents that a request to a URL may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything: credentials, keys and the caller's headers.
    Own,
    /// Nothing except the request itself.
    Foreign,
}

impl Trust {
    pub(crate) fn new(base: &Url, allowed: impl IntoIterator<Item = Origin>) -> Self {
        Self { base: base.clone(), own: Origin::from_url(base), allowed: allowed.into_iter().collect() }
    }

    /// Returns the contents that may be sent to `url`, or the reason why nothing may.
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
            "http" if self.own.scheme == "https" => refused("from https to http"),
            "http" if Origin::from_url(url).is_loopback() && self.own.is_loopback() => Ok(Standing::Foreign),
            "http" => refused("plain http to another origin"),
            _ => refused("neither http nor https"),
        }
    }

    /// Checks whether a response from one URL may lead the client to another: anywhere over https, and over plain
    /// http only from plain http, to the same origin, from loopback to loopback, or to the client's own origin. An
    /// origin that was allowed by name may be reached from anywhere.
    pub(crate) fn leads(&self, from: &Url, to: &Url) -> Result<(), Error> {
        let refused =
            |why: &str| Err(Error::new(ErrorKind::Untrusted, format!("{}: {why}", redact::shown(to))).with_url(to));
        if !to.username().is_empty() || to.password().is_some() {
            return refused("it names a user");
        }
        let (one, next) = (Origin::from_url(from), Origin::from_url(to));
        match to.scheme() {
            "https" => Ok(()),
            "http" if self.allowed.contains(&next) => Ok(()),
            "http" if from.scheme() != "http" => refused("from https to http"),
            "http" if one == next || next == self.own || (one.is_loopback() && next.is_loopback()) => Ok(()),
            "http" => refused("plain http to another origin"),
            _ => refused("neither http nor https"),
        }
    }

    /// Checks whether the client may fetch a link that the application supplied: over https, from this machine, or from
    /// an origin of the client.
    pub(crate) fn may_fetch(&self, given: &Url) -> Result<(), Error> {
        if given.scheme() == "http" && Origin::from_url(given).is_loopback() && given.username().is_empty() {
            return Ok(());
        }
        self.standing(given).map(drop)
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
            ("https://localhost/v1", "http://127.0.0.1:6379/x", None),
            ("https://127.0.0.1/v1", "http://127.0.0.1/x", None),
            ("https://[::1]/v1", "http://api.localhost/x", None),
            ("https://a.example/v1", "https://u@a.example/x", None),
            ("https://a.example/v1", "ftp://a.example/x", None),
            ("https://a.example/v1", "file:///etc/passwd", None),
            ("http://a.example/v1", "http://b.example/x", None),
            ("http://127.0.0.1:80/v1", "http://127.0.0.1:81/x", foreign),
            ("http://localhost:80/v1", "http://[::1]:81/x", foreign),
            ("http://127.0.0.1:80/v1", "http://b.example/x", None),
        ] {
            let allowed = Origin::from_url(&Url::parse("https://allowed.example").unwrap());
            let trust = Trust::new(&Url::parse(base).unwrap(), [allowed]);
            assert_eq!(trust.standing(&Url::parse(url).unwrap()).ok(), expected, "{base} -> {url}");
        }
    }

    #[test]
    fn no_answer_leads_from_https_to_http() {
        for (base, from, to, may) in [
            ("https://a.example", "https://a.example/x", "https://b.example/x", true),
            ("https://a.example", "https://a.example/x", "http://a.example/x", false),
            ("https://a.example", "https://s.example/x", "http://127.0.0.1:6379/x", false),
            ("https://a.example", "https://s.example/x", "http://localhost/x", false),
            ("https://a.example", "https://s.example/x", "http://[::1]/x", false),
            ("https://a.example", "https://s.example/x", "http://allowed.example/x", true),
            ("https://localhost", "https://localhost/x", "http://localhost/x", false),
            ("http://127.0.0.1:1", "https://s.example/x", "http://127.0.0.1:1/x", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/x", "http://127.0.0.1:2/x", true),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/x", "http://b.example/x", false),
            ("http://a.example", "http://a.example/x", "http://a.example/y", true),
            ("http://a.example", "http://a.example/x", "http://127.0.0.1/y", false),
            ("https://a.example", "http://127.0.0.1:1/x", "http://[::1]:2/y", true),
            ("https://a.example", "http://127.0.0.1:1/x", "http://10.0.0.1/y", false),
            ("https://a.example", "https://a.example/x", "https://u@b.example/x", false),
            ("https://a.example", "https://a.example/x", "ftp://b.example/x", false),
        ] {
            let allowed = Origin::from_url(&Url::parse("http://allowed.example").unwrap());
            let trust = Trust::new(&Url::parse(base).unwrap(), [allowed]);
            let [from, to] = [from, to].map(|url| Url::parse(url).unwrap());
            assert_eq!(trust.leads(&from, &to).is_ok(), may, "{base}: {from} -> {to}");
        }
    }
}
