//! Header: the parts of a header's value that are secret in themselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use zeroize::Zeroizing;

use super::Secret;

/// Returns the secrets in the headers of a request that are marked as sensitive.
pub(crate) fn secrets_on(headers: &HeaderMap) -> Vec<Secret> {
    // Does not allocate if there are none.
    let marked = headers.values().filter(|value| value.is_sensitive());
    marked.filter_map(|value| value.to_str().ok()).flat_map(secrets_of).collect()
}

/// Returns the value, the part after its scheme, the password of `Basic`, and the values of its parameters.
pub(crate) fn secrets_of(value: &str) -> Vec<Secret> {
    let value = value.trim();
    let Some((scheme, bare)) = value.split_once(' ') else {
        return [value].into_iter().chain(parameters(value)).map(Secret::new).collect();
    };
    let bare = bare.trim();
    let is = |known: &str| scheme.eq_ignore_ascii_case(known);
    if is("basic") {
        return password(bare).into_iter().chain([Secret::new(bare)]).collect();
    }
    // Any other scheme may not be a scheme, but the beginning of a key.
    let whole = (!is("bearer")).then_some(value);
    whole.into_iter().chain([bare]).chain(parameters(bare)).map(Secret::new).collect()
}

/// Returns the password in the base64 of `Basic` (RFC 7617).
fn password(bare: &str) -> Option<Secret> {
    let pair = Zeroizing::new(STANDARD.decode(bare).ok()?);
    Some(Secret::new(str::from_utf8(&pair).ok()?.split_once(':')?.1))
}

/// Returns the values of `Credential=.., Signature=".."` and of cookies, without the short ones, which name algorithms
/// and the like.
fn parameters(value: &str) -> impl Iterator<Item = &str> {
    let values = value.match_indices('=').filter_map(|(at, _)| value.get(at + 1..)).map(|rest| {
        // A quoted value may contain the separators of others (RFC 9110, 5.6.4).
        let (rest, ends): (_, &[char]) = rest.strip_prefix('"').map_or((rest, &[',', ';', ' ']), |rest| (rest, &['"']));
        rest.split(ends).next().unwrap_or_default()
    });
    values.filter(|value| value.len() >= LEAST_PARAMETER)
}

/// `rsa-sha` and `hmac` are shorter.
const LEAST_PARAMETER: usize = 8;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn finds_what_is_secret_by_itself() {
        for (value, secrets) in [
            ("K3Y", &["K3Y"][..]),
            ("Bearer T0KEN", &["T0KEN"]),
            ("bearer T0KEN", &["T0KEN"]),
            ("Basic dTpwOnc=", &["p:w", "dTpwOnc="]),
            ("Basic no-base64!", &["no-base64!"]),
            ("ApiKey K3Y", &["ApiKey K3Y", "K3Y"]),
            (
                "HMAC id=\"me\", mac=\"MAC/OF+IT=\"",
                &["HMAC id=\"me\", mac=\"MAC/OF+IT=\"", "id=\"me\", mac=\"MAC/OF+IT=\"", "MAC/OF+IT="],
            ),
            ("HMAC mac=\"M;A, C=x\"", &["HMAC mac=\"M;A, C=x\"", "mac=\"M;A, C=x\"", "M;A, C=x"]),
            ("sid=SESSION-ID;b=2", &["sid=SESSION-ID;b=2", "SESSION-ID"]),
        ] {
            let found = secrets_of(value);
            assert_eq!(found.iter().map(Secret::expose).collect::<Vec<_>>(), secrets, "{value}");
        }
    }

    #[test]
    fn takes_headers_that_are_marked_and_no_others() {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/csv"));
        assert!(secrets_on(&headers).is_empty());
        let mut key = HeaderValue::from_static("K3Y");
        key.set_sensitive(true);
        headers.insert("x-of-its-own", key);
        assert_eq!(secrets_on(&headers).iter().map(Secret::expose).collect::<Vec<_>>(), ["K3Y"]);
    }
}
