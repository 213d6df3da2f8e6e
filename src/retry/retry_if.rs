//! Predicate: the caller's decision which failures may pass.

use std::fmt;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde::{Serializer, ser};

use crate::message::Priority;

/// An attempt that failed, as passed to the function of [`RetryPolicy::retry_if`](crate::RetryPolicy::retry_if).
#[derive(Clone, Copy, Debug)]
pub struct FailedAttempt<'a> {
    pub(crate) method: &'a Method,
    pub(crate) priority: Priority,
    pub(crate) status: Option<StatusCode>,
    pub(crate) attempts: u32,
}

impl<'a> FailedAttempt<'a> {
    /// Returns the method of the request.
    #[must_use]
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the kind of request: a submit, a call, a token, and so on.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Returns the status of the response; `None` if no response arrived.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns how often the request was sent so far, from 1 on.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// The caller's function.
#[derive(Clone)]
pub(super) struct Predicate(Arc<dyn Fn(FailedAttempt<'_>) -> bool + Send + Sync>);

impl Predicate {
    pub(super) fn new(decides: impl Fn(FailedAttempt<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(decides))
    }

    pub(super) fn decide(&self, failed: FailedAttempt<'_>) -> bool {
        (self.0)(failed)
    }

    /// A function cannot be serialized.
    pub(super) fn serialize<S: Serializer>(_: &Option<Self>, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom(
            "a retry policy with `retry_if` contains a function, which cannot be serialized: leave \
                                `retry_if` out",
        ))
    }
}

impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}
