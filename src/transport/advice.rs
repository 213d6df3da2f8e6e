//! Advice: the change to suggest if no connection is made, or the response is not HTTP.
//!
//! Only the error texts reveal the cause: the TLS libraries' errors are private to reqwest, and each platform has its
//! own. If no text is known, the cause is shown as it is.

use std::error::Error as StdError;
use std::io;

/// Returns the advice for the causes of a failed send to a URL of this scheme, and whether the host accepted the
/// connection.
pub(super) fn advice(error: &(dyn StdError + 'static), scheme: &str, timed_out: bool) -> Option<(&'static str, bool)> {
    let chain = || std::iter::successors(Some(error), |error| (*error).source());
    let io_kind = chain().find_map(|error| {
        let kind = error.downcast_ref::<io::Error>()?.kind();
        matches!(
            kind,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
        )
        .then_some(kind)
    });
    match io_kind {
        Some(io::ErrorKind::ConnectionRefused) => return Some((NOTHING_LISTENS, false)),
        Some(_) => return Some((NO_WAY, false)),
        None => {}
    }
    let texts: Vec<String> = chain().map(|error| error.to_string().to_ascii_lowercase()).collect();
    let says = |words: &[&str]| words.iter().any(|word| texts.iter().any(|text| text.contains(word)));
    let known = CAUSES.iter().find(|cause| cause.scheme.is_none_or(|own| own == scheme) && says(cause.words));
    // A cause that occurs with https alone concerns TLS.
    let known = known.map(|cause| (cause.advice, cause.scheme == Some("https")));
    known.or(timed_out.then_some((NO_CONNECTION_IN_TIME, false)))
}

/// Words of errors, in lower case, and their advice.
struct Cause {
    scheme: Option<&'static str>,
    words: &'static [&'static str],
    advice: &'static str,
}

/// The first cause that matches counts. Each lists the words of rustls, OpenSSL, Secure Transport and SChannel, as far
/// as they differ.
const CAUSES: [Cause; 9] = [
    Cause {
        scheme: None,
        words: &["tunnel error", "proxy authorization", "socks error"],
        advice: "the proxy opens no way to the host: see `ClientBuilder::proxy` and `ClientBuilder::no_proxy`",
    },
    Cause {
        scheme: None,
        words: &["dns error", "failed to lookup address", "no such host"],
        advice: "no such host is known: look at the host of the URL, and at this machine's DNS",
    },
    Cause {
        scheme: Some("https"),
        words: &["causedasendentity"],
        advice: "the server's certificate is one of an authority (`CA:TRUE`), which no server may show: issue one with \
                 `CA:FALSE`, and give its issuer's (PEM) to `ClientBuilder::root_certificate`",
    },
    Cause {
        scheme: Some("https"),
        words: &[
            "unknownissuer",
            "unknown issuer",
            "local issuer",
            "issuer certificate",
            "self-signed",
            "self signed",
            "verify the first certificate",
            "not trusted",
        ],
        advice: "this machine does not trust the issuer of the server's certificate: give the issuer's certificate \
                 (PEM) to `ClientBuilder::root_certificate`",
    },
    Cause {
        scheme: Some("https"),
        words: &["certificate expired", "has expired", "not valid yet", "notvalidyet", "not yet valid", "certexpired"],
        advice: "look at this machine's clock; if it is right, the server needs another certificate",
    },
    Cause {
        scheme: Some("https"),
        words: &[
            "not valid for name",
            "notvalidforname",
            "hostname mismatch",
            "address mismatch",
            "host name",
            "cn name",
        ],
        advice: "write the host in the URL as the server's certificate names it",
    },
    Cause {
        scheme: Some("https"),
        words: &[
            "invalidcontenttype",
            "wrong version number",
            "packet length too long",
            "bad protocol version",
            "unexpected or badly formatted",
        ],
        advice: "the port answers without TLS: write http:// in place of https://, or name the port that speaks TLS",
    },
    Cause {
        scheme: Some("http"),
        words: &["invalid http version", "invalid http header", "invalid http status"],
        advice: "this is no HTTP: if the port speaks TLS, write https:// in place of http://",
    },
    Cause {
        scheme: Some("http"),
        words: &["connection closed before message completed"],
        advice: "the server hung up without an answer: if the port speaks TLS, write https:// in place of http://",
    },
];

const NOTHING_LISTENS: &str =
    "nothing listens there: look at host and port of the URL, or of the proxy, and whether the service runs";
const NO_WAY: &str = "this machine has no way to the host: look at its network, VPN and proxy";
const NO_CONNECTION_IN_TIME: &str = "no connection was made within `ClientBuilder::connect_timeout`: look at host and port of the URL, and \
                                     at firewalls and proxies on the way";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn says_what_to_change_in_the_words_of_each_library() {
        const ROOT: &str = "ClientBuilder::root_certificate";
        const TO_HTTP: &str = "write http:// in place of https://";
        const TO_HTTPS: &str = "write https:// in place of http://";
        for (scheme, text, named) in [
            ("https", "invalid peer certificate: UnknownIssuer", Some(ROOT)),
            ("https", "error:0A000086:SSL routines: certificate verify failed (self-signed certificate)", Some(ROOT)),
            ("https", "certificate verify failed (unable to get local issuer certificate)", Some(ROOT)),
            ("https", "The certificate was not trusted.", Some(ROOT)),
            ("https", "terminated in a root certificate which is not trusted by the trust provider", Some(ROOT)),
            ("https", "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", Some("`CA:FALSE`")),
            ("https", "invalid peer certificate: certificate expired: verification time 1795721257", Some("clock")),
            ("https", "certificate verify failed (certificate has expired)", Some("clock")),
            ("https", "invalid peer certificate: certificate not valid yet: verification time 1", Some("clock")),
            ("https", "invalid peer certificate: certificate not valid for name \"localhost\"", Some("names it")),
            ("https", "certificate verify failed (Hostname mismatch)", Some("names it")),
            ("https", "received corrupt message of type InvalidContentType", Some(TO_HTTP)),
            ("https", "error:0A00010B:SSL routines:ssl3_get_record:wrong version number", Some(TO_HTTP)),
            ("http", "invalid HTTP version parsed", Some(TO_HTTPS)),
            ("http", "invalid HTTP header parsed", Some(TO_HTTPS)),
            ("http", "connection closed before message completed", Some(TO_HTTPS)),
            ("https", "connection closed before message completed", None),
            ("https", "invalid HTTP version parsed", None),
            ("https", "dns error", Some("DNS")),
            ("http", "tunnel error: unsuccessful", Some("proxy")),
            ("http", "operation was canceled", None),
        ] {
            let error = Error::new(ErrorKind::Network, "outer").with_source(io::Error::other(text));
            let found = advice(&error, scheme, false).map(|(found, _)| found);
            assert_eq!(found.is_some(), named.is_some(), "{scheme} {text}: {found:?}");
            assert!(found.unwrap_or_default().contains(named.unwrap_or_default()), "{scheme} {text}: {found:?}");
        }
    }

    #[test]
    fn says_what_to_change_by_the_kinds_of_the_system() {
        for (kind, timed_out, named) in [
            (io::ErrorKind::ConnectionRefused, false, "nothing listens there"),
            (io::ErrorKind::HostUnreachable, false, "no way to the host"),
            (io::ErrorKind::NetworkUnreachable, true, "no way to the host"),
            (io::ErrorKind::TimedOut, true, "ClientBuilder::connect_timeout"),
        ] {
            let error = Error::new(ErrorKind::Network, "outer").with_source(io::Error::from(kind));
            assert!(
                advice(&error, "https", timed_out).is_some_and(|(found, taken)| found.contains(named) && !taken),
                "{kind}"
            );
        }
        assert_eq!(advice(&io::Error::from(io::ErrorKind::BrokenPipe), "https", false), None);
    }
}
