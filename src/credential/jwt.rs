//! JWT: the expiry that a token states, read and not verified.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Returns the `exp` of a JWT (RFC 7519, 4.1.4); `None` if the text is not a JWT, is too long for one, or has no usable
/// `exp`.
pub(super) fn expiry(token: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }

    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || payload.len() > LONGEST {
        return None;
    }
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let since = Duration::try_from_secs_f64(exp).ok().filter(|since| !since.is_zero())?;
    // A moment beyond the year 9999 is in milliseconds, or meaningless.
    (since < LAST).then(|| SystemTime::UNIX_EPOCH + since)
}

/// Claims are some hundred bytes; groups of a directory may make them some thousand.
const LONGEST: usize = 64 * 1024;
/// The year 9999.
const LAST: Duration = Duration::from_secs(253_402_300_800);

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn reads_the_expiry_and_nothing_of_what_is_no_jwt() {
        for (token, seconds) in [
            (jwt("{\"sub\":\"me\",\"exp\":2000000000}"), Some(2_000_000_000)),
            (jwt("{\"exp\":2000000000.5}"), Some(2_000_000_000)),
            (jwt("{\"exp\":\"2000000000\"}"), None),
            (jwt("{\"exp\":-5}"), None),
            (jwt("{\"exp\":0}"), None),
            (jwt("{\"exp\":1e300}"), None),
            (jwt("{\"exp\":2000000000000}"), None),
            (jwt("{}"), None),
            (jwt("[1"), None),
            ("a.b.c".into(), None),
            ("a.b".into(), None),
            ("a.e30.c.d".into(), None),
            ("..".into(), None),
            ("e30.\u{1F600}.e30".into(), None),
            (String::new(), None),
            (format!("a.{}.c", "A".repeat(LONGEST + 1)), None),
        ] {
            let found = expiry(&token).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
            assert_eq!(found, seconds, "{token}");
        }
    }
}
