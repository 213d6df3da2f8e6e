//! Sign: a credential of the user's own, made for each request.

use std::error::Error;

use http::HeaderMap;

use crate::message::Request;

/// A credential that is made for each request: a signature over it, a one-time key.
///
/// A signature is made right before the request is sent, after every wait, and again for each retry.
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
    /// Sets the headers that prove who asks. They replace those of the same names on the request, and go to the API's
    /// own origin alone. A header of the connection, such as `Host`, is signed over and not set: it is an error.
    ///
    /// # Errors
    /// Any: nothing is sent, and the call fails with [`ErrorKind::Request`](crate::ErrorKind::Request). Its text must
    /// hold no secret.
    fn sign(&self, request: &Request, headers: &mut HeaderMap) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// The name in events and logs. No secret.
    fn label(&self) -> &str {
        "signature"
    }
}
