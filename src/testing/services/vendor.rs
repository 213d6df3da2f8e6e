//! The part of a service that differs from vendor to vendor.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, REFERER};

use super::answer::Answer;
use super::head::Head;
use super::wall::Wall;
use crate::testing::counts::Counts;
use crate::testing::seen::Side;

/// A service without I/O: it decides, under one lock, on each request at its arrival, and answers those that it admits.
pub(super) trait Vendor: Send + 'static {
    /// Counts a request at the moment of its arrival, before its body is read, and decides on it.
    fn arrive(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Verdict;

    /// Answers an admitted request.
    fn answer(&mut self, head: &Head, body: &Bytes, counts: &mut Counts, now: Instant) -> Answer;

    /// Returns whether a request carries a credential that belongs to another origin. By default: any credential to
    /// storage, whose links carry their own right.
    fn is_misplaced(&self, head: &Head) -> bool {
        let credentials = [AUTHORIZATION, COOKIE, REFERER];
        head.side() == Side::Storage && credentials.iter().any(|name| head.headers().contains_key(name))
    }

    /// Returns the service's clock.
    fn wall(&self) -> Wall {
        Wall::default()
    }
}

/// The decision on a request.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Admit,
    /// Admitted, and answered only after this time.
    Hold(Duration),
    Refuse(Answer),
}
