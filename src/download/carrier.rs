//! Carrier: which way a download's requests go, and what they may carry.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use tracing::Instrument;

use crate::error::{Error, ErrorKind};
use crate::message::{Class, Http, HttpError, Request, Response};
use crate::redact::SecretUrl;
use crate::retry::Schedule;
use crate::transport::{Broken, Transport, span};

/// What the downloads of a client share.
pub(crate) struct Carrier {
    pub(crate) transport: Arc<Transport>,
    /// A client that no credential can reach.
    pub(crate) storage: Arc<dyn Http>,
    pub(crate) schedule: Schedule,
}

/// Which way a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the client's pipeline, with its credential and limits: the API's own unsigned links.
    Pipeline,
    /// Over the client for storage, with nothing of the API's: all others.
    Bare,
}

impl Carrier {
    pub(super) fn way(&self, link: &SecretUrl) -> Way {
        if !link.is_signed() && self.transport.trust.is_own(link.url()) { Way::Pipeline } else { Way::Bare }
    }

    /// One GET, with these headers.
    pub(super) async fn get(&self, link: &SecretUrl, way: Way, headers: HeaderMap) -> Result<Response, Broken> {
        let transport = &self.transport;
        let mut request = Request::new(Method::GET, link.url().clone(), Class::Download).with_headers(headers);
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if way == Way::Pipeline {
            return transport.attempt(&request, None).await;
        }
        if !is_safe(link) {
            transport.trust.standing(link.url()).map_err(Broken::Refused)?;
        }
        request.headers_mut().insert(header::USER_AGENT, transport.wire.user_agent.clone());
        let span = span::of(&request);
        let sending = tokio::time::timeout(transport.attempt_timeout, self.storage.send(request));
        let sent = sending.instrument(span.clone()).await.unwrap_or_else(|_| Err(HttpError::timeout()));
        match &sent {
            Ok(response) => span::answered(&span, response.status()),
            Err(error) => span::broke(&span, error),
        }
        let response = sent.map_err(Broken::Lost)?;
        let response = response.hiding(transport.wire.hidden.clone());
        Ok(response.bounded(transport.wire.body_limit, transport.wire.idle_timeout))
    }

    pub(super) fn idle(&self) -> Duration {
        self.transport.wire.idle_timeout
    }

    pub(super) fn now(&self) -> std::time::SystemTime {
        self.transport.wire.clock.now()
    }
}

/// https anywhere, http on this machine.
fn is_safe(link: &SecretUrl) -> bool {
    let url = link.url();
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || loopback
}

/// The error of an attempt that is not repeated.
pub(super) fn gave_up(broken: Broken, link: &SecretUrl) -> Error {
    match broken {
        Broken::Refused(error) => error,
        Broken::Lost(error) => {
            let why = format!("no answer from the storage: {}", crate::error::root_cause(&error));
            Error::new(ErrorKind::Interrupted, why).with_url(link.url()).with_source(error)
        }
    }
}
