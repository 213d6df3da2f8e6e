//! Tower: `RateLimit` behind a `Buffer`, as `ServiceBuilder::new().buffer(..).rate_limit(..)` builds it to share it.

use std::convert::Infallible;
use std::future::{Ready, ready};

use tower::buffer::Buffer;
use tower::limit::RateLimit;
use tower::limit::rate::Rate;
use tower::{Service, ServiceExt, service_fn};

use crate::budget::{Budget, Window};
use crate::subject::{Ask, Limiter};

/// The service inside answers at once: its answer is the permit. It is built in a runtime, where its worker runs.
#[derive(Clone)]
pub(crate) struct Tower(Buffer<(), Granted>);

type Granted = Ready<Result<(), Infallible>>;

impl Tower {
    /// One `RateLimit` for each window, one inside the other, behind one buffer. It takes up to three.
    pub(crate) fn new(budget: &Budget) -> Self {
        let inner = service_fn(|()| ready(Ok(())));
        let rate = |window: &Window| Rate::new(window.count.into(), window.length);
        Self(match budget.windows() {
            [] => Buffer::new(inner, BOUND),
            [a] => Buffer::new(RateLimit::new(inner, rate(a)), BOUND),
            [a, b] => Buffer::new(RateLimit::new(RateLimit::new(inner, rate(a)), rate(b)), BOUND),
            [a, b, c, ..] => {
                Buffer::new(RateLimit::new(RateLimit::new(RateLimit::new(inner, rate(a)), rate(b)), rate(c)), BOUND)
            }
        })
    }

    /// One permit, by a caller that keeps its clone.
    pub(crate) async fn call(&mut self) {
        // The service inside is infallible, and the worker lives as long as the runtime.
        if let Ok(ready) = self.0.ready().await {
            let _ = ready.call(()).await;
        }
    }
}

impl Limiter for Tower {
    type Permit = ();

    async fn acquire(&self, _: Ask) {
        self.clone().call().await;
    }
}

const BOUND: usize = 1024;
