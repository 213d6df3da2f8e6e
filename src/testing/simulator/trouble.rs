//! The trouble that a token endpoint can be.

use std::time::Duration;

use http::StatusCode;

/// What becomes of a request for tokens, instead of a good answer.
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
    /// 200 and a page of HTML, as a login portal in between sends it.
    NotJson,
    /// 200 and an empty JSON object.
    NoToken,
    /// This status and the `error` of RFC 6749, 5.2. Nothing is granted, spent or voided.
    Denied(StatusCode, &'static str),
    /// This status and no words that a machine could read.
    Status(StatusCode),
    /// This status with this `Retry-After`.
    Wait(StatusCode, Duration),
    /// A good token that does not say when it expires.
    NoExpiry,
    /// A good token, and so many seconds as `expires_in`, whatever its life is.
    ExpiresIn(i64),
    /// As [`ExpiresIn`](Self::ExpiresIn), but as a string.
    ExpiresInText(i64),
    /// No answer, ever.
    Hang,
    /// All is done that was asked for, a refresh token spent, and then the connection is cut.
    Lost,
    /// 307 to a place of the storage, which is another origin: to follow it would send it the login.
    Redirect,
}
