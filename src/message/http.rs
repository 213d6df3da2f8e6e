//! Http: the interface to an HTTP client, and the error that it may return instead of a response.

use std::error::Error as StdError;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Request, Response};

/// The interface to an HTTP client: one request out, one response back.
///
/// Implement this trait to replace the built-in clients by another stack, a proxy or a recording
/// ([`ClientBuilder::http`](crate::ClientBuilder::http)). An implementation must not follow redirects, add credentials
/// or repeat a request: the layers above decide all of that.
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
    /// Sends the request and completes with the response headers; the body may still be in transit.
    ///
    /// # Cancel safety
    /// If the future is dropped, the request may or may not have reached the service.
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>>;
}

impl<H: Http + ?Sized> Http for Arc<H> {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        (**self).send(request)
    }
}

/// The reason why there is no response, or no complete body.
///
/// The decisive distinction is whether the request was *provably not sent*: only then may a POST be repeated.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct HttpError {
    what: &'static str,
    unsent: bool,
    late: bool,
    /// Whether the host accepted the connection, and TLS failed.
    taken: bool,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl HttpError {
    /// Creates an error for a connection that was not made, so that nothing was sent: name resolution, TCP or TLS
    /// failed.
    #[must_use]
    pub const fn connect() -> Self {
        Self { what: "no connection to the host", unsent: true, late: false, taken: false, source: None }
    }

    /// Creates an error for a response, or a further byte of it, that did not arrive in time. The service may have
    /// acted.
    #[must_use]
    pub const fn timeout() -> Self {
        Self { what: "no answer in time", unsent: false, late: true, taken: false, source: None }
    }

    /// Creates an error for a connection that broke. The service may have acted.
    #[must_use]
    pub const fn broken() -> Self {
        Self { what: "the connection broke", unsent: false, late: false, taken: false, source: None }
    }

    /// Creates an error for a body that arrives more slowly than the client allows.
    pub(crate) const fn slow() -> Self {
        Self {
            what: "the body comes more slowly than the client's least rate",
            unsent: false,
            late: true,
            taken: false,
            source: None,
        }
    }

    /// Sets the cause, for the source chain. The cause must not show the URL's query, headers or bodies.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks the error as one of a host that accepted the connection: the host is up, and a wait would not help.
    pub(crate) const fn of_taken(mut self) -> Self {
        self.taken = true;
        self
    }

    /// Returns whether the host accepted no connection.
    pub(crate) const fn is_absence(&self) -> bool {
        self.unsent && !self.taken
    }

    /// Returns whether the request provably was never sent.
    #[must_use]
    pub const fn is_unsent(&self) -> bool {
        self.unsent
    }

    /// Returns whether a wait was needed to detect the failure, rather than a connection that broke.
    pub(crate) const fn is_late(&self) -> bool {
        self.late
    }
}
