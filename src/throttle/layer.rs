//! ThrottleLayer: the throttle around any tower service of HTTP requests.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Permit, RequestKey, Throttle};
use crate::message::Priority;

/// Puts a [`Throttle`] around any tower service of HTTP requests, such as a service of hyper or tonic (feature
/// `tower`). The service then shares the limits and the pauses of the clients that use the same throttle.
///
/// The service is always ready, and both waits are in the call: first for a clone of the inner service, then for the
/// permit. The layer reports each response with [`Permit::heard`]. If a limit counts bytes or concurrent requests, the
/// permit lives in the body of the response.
///
/// ```
/// use longhaul::{Limit, Throttle};
/// use longhaul::limits::{Priority, ThrottleLayer};
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// # #[derive(Clone)]
/// # struct Inner;
/// # impl Service<http::Request<String>> for Inner {
/// #     type Response = http::Response<String>;
/// #     type Error = std::convert::Infallible;
/// #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, _: http::Request<String>) -> Self::Future {
/// #         std::future::ready(Ok(http::Response::new("hello".into())))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let throttle = Throttle::new();
/// throttle.add_limit(Limit::per_second(15))?;
/// let mut service = ThrottleLayer::new(&throttle).layer(Inner);
/// let response = service.call(http::Request::get("https://api.example.com/farms").body(String::new())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ThrottleLayer {
    throttle: Throttle,
    class: Priority,
    credential: String,
    hold: Option<Duration>,
}

impl ThrottleLayer {
    /// Creates a layer that sends requests through this throttle, as calls.
    #[must_use]
    pub fn new(throttle: &Throttle) -> Self {
        Self { throttle: throttle.clone(), class: Priority::Call, credential: String::new(), hold: None }
    }

    /// Sets the priority of the requests.
    #[must_use]
    pub const fn priority(mut self, class: Priority) -> Self {
        self.class = class;
        self
    }

    /// Sets how long a request may take until its response: [`Acquire::hold`](crate::limits::Acquire::hold).
    #[must_use]
    pub const fn hold(mut self, longest: Duration) -> Self {
        self.hold = Some(longest);
        self
    }

    /// Counts the requests for a credential. The name must not be a secret.
    #[must_use]
    pub fn credential(mut self, name: impl Into<String>) -> Self {
        self.credential = name.into();
        self
    }
}

impl<S> Layer<S> for ThrottleLayer {
    type Service = Throttled<S>;

    fn layer(&self, inner: S) -> Throttled<S> {
        Throttled { inner, layer: self.clone() }
    }
}

/// A service behind a throttle, made by [`ThrottleLayer`].
#[derive(Clone, Debug)]
pub struct Throttled<S> {
    inner: S,
    layer: ThrottleLayer,
}

impl<S, A, B> Service<http::Request<A>> for Throttled<S>
where
    S: Service<http::Request<A>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Body + Send + 'static,
{
    type Response = http::Response<Counted<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<A>) -> Self::Future {
        let ThrottleLayer { throttle, class, credential, hold } = &self.layer;
        let keys = RequestKey::uri(request.method(), request.uri()).credential(credential.as_str());
        let (acquire, mut inner) = (throttle.acquire(*class, &keys), self.inner.clone());
        let acquire = match hold {
            Some(hold) => acquire.hold(*hold),
            None => acquire,
        };
        Box::pin(async move {
            poll_fn(|cx| inner.poll_ready(cx)).await?;
            // Without a deadline, a permit is always granted in the end.
            let mut permit = acquire.await.ok();
            if let Some(permit) = &mut permit {
                permit.sent();
                permit.charge(request.body().size_hint().exact().unwrap_or_default());
            }
            let (parts, body) = inner.call(request).await?.into_parts();
            if let Some(permit) = &mut permit {
                permit.heard(parts.status, &parts.headers);
            }
            let permit = permit.filter(Permit::counts_bodies);
            Ok(http::Response::from_parts(parts, Counted { body, permit }))
        })
    }
}

pin_project! {
    /// The body of a response, counted as it arrives: [`ThrottleLayer`].
    #[derive(Debug)]
    pub struct Counted<B> {
        #[pin]
        body: B,
        permit: Option<Permit>,
    }
}

impl<B: Body> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(permit), Some(data)) = (this.permit.as_mut(), frame.data_ref()) {
                    permit.charge(data.remaining() as u64);
                }
            }
            // At the end of the body, or when it breaks off, the permit is done.
            Some(Err(_)) | None => *this.permit = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
