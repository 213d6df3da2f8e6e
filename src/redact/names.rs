//! Names: whether a query member or a header is a secret, by its name and by its value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Returns whether a name indicates that its value grants its holder access: a key, a token, a session, a signature.
///
/// A name is read as words, in any case and with any separators: `authToken`, `auth_token`, `AUTH-TOKEN`.
pub(crate) fn sounds_secret(name: &str) -> bool {
    let words = words(name);
    let joined = words.concat();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let begins = |list: &[&str]| list.iter().any(|word| joined.starts_with(word));
    if EXACT.contains(&joined.as_str()) || has(&ALWAYS) || ENDS.iter().any(|end| joined.ends_with(end)) {
        return true;
    }
    let is_token = has(&["token", "tokens"]) || joined.ends_with("token");
    let is_key = has(&["key", "keys"]);
    (is_token && !has(&PLACES) && !begins(&PLACES)) || (is_key && !has(&IDENTIFIERS) && !begins(&IDENTIFIERS))
}

/// Returns whether a value is a credential by its form: with the scheme before it, or a JSON Web Token (RFC 7519).
pub(crate) fn looks_secret(value: &str) -> bool {
    let value = value.trim();
    let (scheme, rest) = value.split_once([' ', '+']).unwrap_or_default();
    let is_one = !rest.is_empty() && !rest.contains([' ', '+']);
    let has_scheme = match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "dpop" | "negotiate" => is_one,
        // RFC 7617: a pair with a colon.
        "basic" => STANDARD.decode(rest).is_ok_and(|pair| pair.contains(&b':')),
        "digest" => rest.contains('='),
        _ => false,
    };
    has_scheme || (value.starts_with("eyJ") && value.split('.').count() >= 3)
}

/// Returns the words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        let begins = !before.is_alphanumeric() || (before.is_lowercase() && c.is_uppercase());
        if c.is_alphanumeric() {
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        before = c;
    }
    words
}

/// Secret only as the whole name: other names contain these words too, such as `statusCode`.
const EXACT: [&str; 2] = ["code", "pin"];
/// Secret anywhere in a name.
const ALWAYS: [&str; 29] = [
    "assertion",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "csrf",
    "dpop",
    "hmac",
    "jwt",
    "otp",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "saml",
    "sas",
    "secret",
    "secrets",
    "session",
    "sid",
    "sig",
    "signature",
    "ticket",
    "xsrf",
    "apikey",
];
/// Secret at the end of a name that is written as one word.
const ENDS: [&str; 11] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authtoken",
    "password",
    "refreshtoken",
    "secret",
    "sessionid",
    "signature",
    "sharedkey",
    "subscriptionkey",
];
/// Tokens that are a position in a list, and grant nothing.
const PLACES: [&str; 11] =
    ["continuation", "continue", "cursor", "delta", "next", "page", "paging", "pagination", "resume", "skip", "sync"];
/// Keys that name a thing, and open none.
const IDENTIFIERS: [&str; 12] = [
    "cache",
    "foreign",
    "group",
    "idempotency",
    "object",
    "partition",
    "primary",
    "range",
    "routing",
    "row",
    "sort",
    "start",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_secrets_by_their_names_however_they_are_written() {
        for name in [
            "code",
            "token",
            "access_token",
            "auth_token",
            "authToken",
            "AUTH-TOKEN",
            "authtoken",
            "key",
            "api_key",
            "apikey",
            "api-key",
            "subscription-key",
            "subscription_key",
            "subscriptionKey",
            "x-functions-key",
            "secret",
            "client_secret",
            "clientsecret",
            "password",
            "sid",
            "sas",
            "jwt",
            "dpop",
            "x-jwt-assertion",
            "x-csrf",
            "X-XSRF-TOKEN",
            "x-functions-code-key",
            "sessionid",
            "JSESSIONID",
            "session_token",
            "sig",
            "Signature",
            "X-Amz-Signature",
            "X-Amz-Security-Token",
            "X-Amz-Credential",
            "id_token",
            "refreshToken",
            "AWSAccessKeyId-key",
            "SAMLResponse-saml",
            "user_pass",
            "otp",
            "private-key",
            "page_access_token",
            "pageAccessToken",
            "sync_refresh_token",
        ] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in [
            "page_token",
            "pageToken",
            "nextToken",
            "next_page_token",
            "continuation-token",
            "$skiptoken",
            "syncToken",
            "idempotency-key",
            "partition_key",
            "sortKey",
            "statusCode",
            "country_code",
            "api-version",
            "id",
            "job",
            "limit",
            "keyword",
            "author",
            "sidebar",
            "passage",
            "tokenize-x",
            "monkey",
            "",
        ] {
            assert!(!sounds_secret(name), "{name}");
        }
    }

    #[test]
    fn tells_credentials_by_their_form() {
        for value in ["Bearer T0KEN", "bearer+T0KEN", "Basic dTpw", "DPoP x.y.z", "eyJhbGciOi.eyJzdWIi.c2ln"] {
            assert!(looks_secret(value), "{value}");
        }
        for value in [
            "Basic 2024",
            "basic planning",
            "digest weekly",
            "bearer",
            "basic",
            "a.b.c",
            "eyJ",
            "respond-async, wait=10",
            "7",
            "",
        ] {
            assert!(!looks_secret(value), "{value}");
        }
    }
}
