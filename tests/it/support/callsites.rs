//! Several subscribers in one process.

use std::sync::Once;

use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Event, Metadata, Subscriber, span};

use super::log::{Log, subscriber};

/// Logs this thread from here on, until the guard is dropped.
pub(crate) fn listen(log: &Log) -> DefaultGuard {
    ask_at_every_event();
    tracing::subscriber::set_default(subscriber(log))
}

/// Lets several tests of one process each have a subscriber of their own.
///
/// tracing remembers at each call site whether anyone wants its events. While a process has only one subscriber, it asks
/// the one of the thread that comes by first: a test without a subscriber would switch the call site off for the test
/// that has one. With a default that answers "sometimes", every event asks anew.
pub(crate) fn ask_at_every_event() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Sometimes).expect("no other default in this process"));
}

/// Wants nothing, and is asked every time.
struct Sometimes;

impl Subscriber for Sometimes {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
