//! Basic: name and password, or a client's id and secret, as in HTTP Basic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// Returns the HTTP Basic value (RFC 7617) of name and password with a colon between.
pub(super) fn basic_value(pair: &str) -> Zeroizing<String> {
    // Allocates the whole length: a string that grows leaves copies of the secret behind.
    let mut value = Zeroizing::new(String::with_capacity(6 + 4 * pair.len().div_ceil(3)));
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    value
}

/// Returns a client's id and secret with a colon between, form-encoded first (RFC 6749, 2.3.1).
pub(super) fn client_pair(id: &str, secret: &str) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    pair.extend(form_urlencoded::byte_serialize(id.as_bytes()));
    pair.push(':');
    pair.extend(form_urlencoded::byte_serialize(secret.as_bytes()));
    pair
}
