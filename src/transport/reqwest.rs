//! The built-in HTTP clients, on reqwest, with every feature disabled that would interfere with the transport.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::TryStreamExt;

use super::advice::advice;
use crate::error::{Advised, Error, ErrorKind};
use crate::message::{Body, Http, HttpError, Priority, Request, Response};

/// The connection settings of both clients.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) connect_timeout: Duration,
    pub(crate) proxy: Proxying,
    /// PEM bundles that are trusted in addition to the platform's roots.
    pub(crate) roots: Vec<Vec<u8>>,
    /// The number of idle connections per host.
    pub(crate) idle_connections: usize,
    /// The lifetime of an idle connection.
    pub(crate) idle_connection_timeout: Duration,
}

#[derive(Clone, Debug)]
pub(crate) enum Proxying {
    FromEnvironment,
    None,
    Through(String),
}

/// The purpose of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectorPurpose {
    Api,
    ApiAsStored,
    /// HTTP/1.1 only, because parallel ranges over one HTTP/2 connection share its failures and its speed; and bytes as
    /// they are stored.
    Storage,
}

impl Connector {
    pub(crate) fn connect(&self, purpose: ConnectorPurpose) -> Result<impl Http + use<>, Error> {
        let client = self.client(purpose)?;
        // Downloads of the API's own links are counted and resumed by their bytes, as those of storage are.
        let as_stored = match purpose {
            ConnectorPurpose::Api if cfg!(feature = "gzip") => self.client(ConnectorPurpose::ApiAsStored)?,
            _ => client.clone(),
        };
        Ok(Reqwest { client, as_stored })
    }

    fn client(&self, purpose: ConnectorPurpose) -> Result<::reqwest::Client, Error> {
        let mut builder = ::reqwest::Client::builder()
            .redirect(::reqwest::redirect::Policy::none())
            .referer(false)
            .retry(::reqwest::retry::never())
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.idle_connections)
            .pool_idle_timeout(self.idle_connection_timeout)
            .no_brotli()
            .no_zstd()
            .no_deflate();
        #[cfg(feature = "rustls")]
        {
            builder = builder.tls_backend_rustls();
        }
        #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
        {
            builder = builder.tls_backend_native();
        }
        builder = match purpose {
            ConnectorPurpose::Api if cfg!(feature = "gzip") => builder,
            ConnectorPurpose::Api | ConnectorPurpose::ApiAsStored => builder.no_gzip(),
            ConnectorPurpose::Storage => builder.no_gzip().http1_only(),
        };
        builder = match &self.proxy {
            Proxying::FromEnvironment => builder,
            Proxying::None => builder.no_proxy(),
            Proxying::Through(url) => {
                builder.proxy(::reqwest::Proxy::all(url).map_err(|error| wrong("the proxy's URL", error))?)
            }
        };
        for root in &self.roots {
            builder = trust(builder, root)?;
        }
        builder.build().map_err(|error| wrong("the HTTP client", error))
    }
}

struct Reqwest {
    client: ::reqwest::Client,
    /// Without decompression.
    as_stored: ::reqwest::Client,
}

impl Http for Reqwest {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let client = if request.priority() == Priority::Download { &self.as_stored } else { &self.client };
        let (method, url, headers, body) = request.into_parts();
        let mut outgoing = ::reqwest::Request::new(method, url.clone());
        *outgoing.headers_mut() = headers;
        if !body.is_empty() {
            *outgoing.body_mut() = Some(body.into());
        }
        let sending = client.execute(outgoing);
        Box::pin(async move {
            let mut incoming = sending.await.map_err(|error| plain(error, url.scheme()))?;
            let headers = std::mem::take(incoming.headers_mut());
            let response = Response::new(incoming.status(), url).headers_from(headers);
            Ok(response.body_from(Body::stream(incoming.bytes_stream().map_err(broken))))
        })
    }
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn trust(builder: ::reqwest::ClientBuilder, pem: &[u8]) -> Result<::reqwest::ClientBuilder, Error> {
    let roots = ::reqwest::Certificate::from_pem_bundle(pem).map_err(|error| wrong("a root certificate", error))?;
    if roots.is_empty() {
        return Err(Error::new(ErrorKind::Config, "a root certificate holds no PEM block"));
    }
    Ok(builder.tls_certs_merge(roots))
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
fn trust(_: ::reqwest::ClientBuilder, _: &[u8]) -> Result<::reqwest::ClientBuilder, Error> {
    Err(Error::new(ErrorKind::Config, "a root certificate needs the feature `rustls` or `native-tls`"))
}

fn wrong(what: &str, error: ::reqwest::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{what} is not usable")).with_source(error.without_url())
}

/// Converts an error of reqwest, without the URL that it would show, and with advice if there is any.
fn plain(error: ::reqwest::Error, scheme: &str) -> HttpError {
    let advice = advice(&error, scheme, error.is_connect() && error.is_timeout());
    let (kind, error) = (kind_of(&error), error.without_url());
    match advice {
        Some((advice, taken)) => {
            let kind = if taken { kind.of_taken() } else { kind };
            kind.because(Advised::new(advice, error))
        }
        None => kind.because(error),
    }
}

/// Converts the error of a body in transit.
fn broken(error: ::reqwest::Error) -> HttpError {
    kind_of(&error).because(error.without_url())
}

fn kind_of(error: &::reqwest::Error) -> HttpError {
    if error.is_connect() {
        HttpError::connect()
    } else if error.is_timeout() {
        HttpError::timeout()
    } else {
        HttpError::broken()
    }
}
