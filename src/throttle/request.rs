//! Request: the facts about a request by which limits count it, and by which its answer is attributed.

use std::sync::Arc;

use http::Method;

use super::ids::AccountId;

/// The facts about a request, for the rules of limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts<'a> {
    pub(crate) account: AccountId,
    /// It goes to an origin that is neither the account's own nor allowed.
    pub(crate) is_foreign: bool,
    pub(crate) credential: &'a str,
    pub(crate) host: &'a str,
    pub(crate) method: Option<&'a Method>,
    pub(crate) path: &'a str,
    pub(crate) kind: Option<&'a str>,
    pub(crate) task: u64,
}

/// Whose request an answer belongs to.
#[derive(Debug, Default)]
pub(super) struct Attribution {
    pub(super) account: AccountId,
    /// A hash of the credential's name; 0 for none.
    pub(super) credential: u64,
    /// Its method, host and path, with ids left out, where that is known.
    pub(super) route: Option<Arc<str>>,
    /// Keeps the account, for as long as an answer may come.
    pub(super) _lease: Option<Arc<()>>,
}

/// The host of a route, as [`write_route`](crate::message::write_route) writes it.
pub(super) fn host_of(route: &str) -> &str {
    let behind = route.split_once(' ').map_or(route, |(_, behind)| behind);
    behind.split_once('/').map_or(behind, |(host, _)| host)
}

/// FNV-1a: it tells credentials apart, whose names are no secrets.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
