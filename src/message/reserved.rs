//! Reserved: headers that belong to the connection, and that only the HTTP client may set.

use http::HeaderName;

/// Returns whether a header frames the message or routes the connection (RFC 9110, 7; RFC 9112, 6). If a caller set
/// such a header, two parties could read one byte stream in two ways, or a credential could be sent to another host
/// than the URL names.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [&str; 9] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = name.as_str();
    RESERVED.contains(&name) || name.starts_with("proxy-") || name == "http2-settings"
}

/// Returns whether a header makes servers use another method, path or host than those of the request line.
pub(crate) fn is_routing(name: &HeaderName) -> bool {
    const ROUTING: [&str; 9] = [
        "forwarded",
        "x-host",
        "x-http-host-override",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-url",
        "x-rewrite-url",
    ];
    let name = name.as_str();
    ROUTING.contains(&name) || name.starts_with("x-forwarded-")
}

/// The reason why a reserved header is refused, for errors that name the header.
pub(crate) const RESERVED_WHY: &str =
    "belongs to the connection: leave it out, because the HTTP client sets it from the URL and the body";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_headers_of_the_connection_in_any_case() {
        let is = |name: &str| is_reserved(&name.parse().unwrap());
        for name in [
            "Content-Length",
            "TRANSFER-ENCODING",
            "connection",
            "Keep-Alive",
            "upgrade",
            "te",
            "trailer",
            "Proxy-Authorization",
            "proxy-connection",
            "expect",
            "Host",
            "http2-settings",
        ] {
            assert!(is(name), "{name}");
        }
        for name in ["accept", "content-type", "content-encoding", "authorization", "x-host-name", "test", "trailers-x"]
        {
            assert!(!is(name), "{name}");
        }
        assert!(is_routing(&"X-Forwarded-Host".parse().unwrap()) && is_routing(&"forwarded".parse().unwrap()));
        assert!(!is_routing(&"x-tenant".parse().unwrap()));
    }
}
