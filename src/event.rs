//! Event: what happens in the transport, for those who count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::message::Class;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Sent { class: Class },
    Answered { status: StatusCode },
    Broke,
    Retrying,
    Waited { queued: Duration },
    Paused,
}

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    pub(crate) fn to(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
