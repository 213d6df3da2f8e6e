//! SecretHeader: a secret as the value of a header, and why some secrets cannot be one.

use http::HeaderValue;

/// Returns the value of a header, marked as a secret; or why a header cannot hold it, without showing it.
pub(super) fn secret_value(secret: &str) -> Result<HeaderValue, &'static str> {
    let wrong = |_| flaw(secret).unwrap_or("contains a character that no header may contain");
    let mut value = HeaderValue::try_from(secret).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the flaw of a secret that no request may contain, without showing the secret; `None` if there is no flaw.
pub(super) fn flaw(secret: &str) -> Option<&'static str> {
    if secret.contains(['\r', '\n']) {
        return Some("holds a line break: look at how it is read from its file or variable");
    }
    let has_control = secret.contains(|c: char| c.is_control() && c != '\t');
    has_control.then_some("holds a control character: look at how it is read from its file or variable")
}
