//! Http: the seam to an HTTP client, and what it may answer instead of a response.

use std::error::Error as StdError;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Request, Response};

/// The seam to an HTTP client: one request out, one response back.
///
/// Implement it to put another stack, a proxy or a recording in place of the built-in clients
/// ([`ClientBuilder::http`](crate::ClientBuilder::http)). An implementation must not follow redirects, add
/// credentials or repeat a request: all of that is decided above it.
///
/// ```
/// use futures::future::BoxFuture;
/// use longhaul::Client;
/// use longhaul::http::{Http, HttpError, Request, Response};
///
/// #[derive(Debug)]
/// struct AlwaysTeapot;
///
/// impl Http for AlwaysTeapot {
///     fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
///         let response = Response::new(http::StatusCode::IM_A_TEAPOT, request.url().clone());
///         Box::pin(async move { Ok(response) })
///     }
/// }
///
/// let client = Client::builder("https://api.example.com/v1").http(AlwaysTeapot).build()?;
/// # Ok::<(), longhaul::Error>(())
/// ```
pub trait Http: Send + Sync + 'static {
    /// Sends the request and answers at the response's headers; the body may still be on its way.
    ///
    /// # Cancel safety
    /// A dropped future may or may not have reached the service.
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>>;
}

impl<H: Http + ?Sized> Http for Arc<H> {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        (**self).send(request)
    }
}

/// Why there is no response, or no whole body.
///
/// The distinction that matters is whether the request was *provably not sent*: only then may a POST be repeated.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct HttpError {
    what: &'static str,
    unsent: bool,
    late: bool,
    /// The host took the connection, and TLS did not come about.
    taken: bool,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl HttpError {
    /// No connection was made, so nothing was sent: name resolution, TCP or TLS failed.
    #[must_use]
    pub const fn connect() -> Self {
        Self { what: "no connection to the host", unsent: true, late: false, taken: false, source: None }
    }

    /// No answer, or no further byte of it, came in time. The service may have acted.
    #[must_use]
    pub const fn timeout() -> Self {
        Self { what: "no answer in time", unsent: false, late: true, taken: false, source: None }
    }

    /// The connection broke. The service may have acted.
    #[must_use]
    pub const fn broken() -> Self {
        Self { what: "the connection broke", unsent: false, late: false, taken: false, source: None }
    }

    /// The body comes, and more slowly than the client allows.
    pub(crate) const fn slow() -> Self {
        Self {
            what: "the body comes more slowly than the client's least rate",
            unsent: false,
            late: true,
            taken: false,
            source: None,
        }
    }

    /// The cause, for the source chain. It must not show the URL's query, headers or bodies.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// As one of a host that took the connection: it is there, and a wait would not help.
    pub(crate) const fn of_taken(mut self) -> Self {
        self.taken = true;
        self
    }

    /// Whether the host took no connection.
    pub(crate) const fn is_absence(&self) -> bool {
        self.unsent && !self.taken
    }

    /// Whether the request provably never left.
    #[must_use]
    pub const fn is_unsent(&self) -> bool {
        self.unsent
    }

    /// Whether a wait was needed to learn of it, in place of a connection that broke.
    pub(crate) const fn is_late(&self) -> bool {
        self.late
    }
}
