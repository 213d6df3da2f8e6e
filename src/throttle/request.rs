//! Request: the properties of a request by which limits count it and by which its response is attributed.

use std::sync::Arc;

use http::Method;

use super::ids::AccountId;

/// The properties of a request that the rules of limits use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts<'a> {
    pub(crate) account: AccountId,
    /// Whether the request goes to an origin that is neither the account's own nor allowed.
    pub(crate) is_foreign: bool,
    pub(crate) credential: &'a str,
    pub(crate) host: &'a str,
    pub(crate) method: Option<&'a Method>,
    pub(crate) path: &'a str,
    pub(crate) kind: Option<&'a str>,
    pub(crate) task: u64,
}

/// The account, credential and route to which a response is attributed.
#[derive(Debug, Default)]
pub(super) struct Attribution {
    pub(super) account: AccountId,
    /// A hash of the credential's name; 0 for none.
    pub(super) credential: u64,
    /// Method, host and path, with ids left out, if they are known.
    pub(super) route: Option<Arc<str>>,
    /// Keeps the account alive for as long as a response may arrive.
    pub(super) _lease: Option<Arc<()>>,
}

/// Returns the host of a route, as [`write_route`](crate::message::write_route) writes it.
pub(super) fn host_of(route: &str) -> &str {
    let behind = route.split_once(' ').map_or(route, |(_, behind)| behind);
    behind.split_once('/').map_or(behind, |(host, _)| host)
}

/// FNV-1a: the hash only distinguishes credentials, whose names are no secrets.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
