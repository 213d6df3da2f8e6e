//! The failures of a token endpoint.

use std::time::Duration;

use http::StatusCode;

/// A failure in place of a good answer to a token request.
///
/// ```
/// use http::StatusCode;
/// use longhaul::testing::TokenTrouble;
///
/// // As some services refuse a refresh token.
/// let trouble = TokenTrouble::Denied(StatusCode::OK, "invalid_grant");
/// assert_ne!(trouble, TokenTrouble::Hang);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenTrouble {
    /// 200 and a page of HTML, as a captive portal sends it.
    NotJson,
    /// 200 and an empty JSON object.
    NoToken,
    /// This status and the `error` of RFC 6749, 5.2. Nothing is granted, spent or voided.
    Denied(StatusCode, &'static str),
    /// This status, without a machine-readable body.
    Status(StatusCode),
    /// This status with this `Retry-After`.
    Wait(StatusCode, Duration),
    /// A valid token that does not state its expiry.
    NoExpiry,
    /// A valid token, with this many seconds as `expires_in`, whatever its lifetime is.
    ExpiresIn(i64),
    /// As [`ExpiresIn`](Self::ExpiresIn), but as a string.
    ExpiresInText(i64),
    /// No answer, ever.
    Hang,
    /// The request is carried out, including the spending of a refresh token, and then the connection is cut.
    Lost,
    /// 307 to a URL of the storage, which is another origin: following it would send the login there.
    Redirect,
}
