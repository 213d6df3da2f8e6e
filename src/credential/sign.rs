//! Sign: a credential of the user's own, computed for each request.

use std::error::Error;

use http::HeaderMap;

use crate::message::Request;

/// A credential that is computed for each request: a signature over it, a one-time key.
///
/// A signature is computed right before the request is sent, after every wait, and again for each retry.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use longhaul::{Client, Credential};
/// use longhaul::credentials::Sign;
/// use longhaul::http::Request;
///
/// struct Timestamped;
///
/// impl Sign for Timestamped {
///     fn sign(
///         &self,
///         request: &Request,
///         headers: &mut HeaderMap,
///     ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///         let over = format!("{} {}", request.method(), request.url().path());
///         headers.insert("x-signature", HeaderValue::try_from(over.len().to_string())?);
///         Ok(())
///     }
/// }
///
/// let client = Client::builder("https://api.example.com").credential(Credential::signed(Timestamped)).build()?;
/// # Ok::<(), longhaul::Error>(())
/// ```
pub trait Sign: Send + Sync + 'static {
    /// Sets the headers that prove the client's identity. They replace headers of the same names on the request, and
    /// are sent to the API's own origin alone. A header of the connection, such as `Host`, can be signed but not set:
    /// setting it is an error.
    ///
    /// # Errors
    /// Any error: no request is sent, and the call fails with [`ErrorKind::Request`](crate::ErrorKind::Request). The
    /// error's text must contain no secret.
    fn sign(&self, request: &Request, headers: &mut HeaderMap) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Returns the name in events and logs. The name must contain no secret.
    fn label(&self) -> &str {
        "signature"
    }
}
