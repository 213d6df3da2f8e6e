//! AttachedTokens: the tokens that a request goes with, and what becomes of them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{ActiveToken, Credential, Part, TokenCache, TokenTransport};
use crate::error::Error;
use crate::message::{Request, write_route};

/// The tokens that a request goes with, in the order of the credential's parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttachedTokens(pub(super) Vec<Arc<ActiveToken>>);

impl Credential {
    /// Whether it is none.
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has tokens that are fetched.
    pub(crate) fn is_live(&self) -> bool {
        self.lives().next().is_some()
    }

    /// Its tokens that are fetched.
    pub(crate) fn lives(&self) -> impl Iterator<Item = &Arc<TokenCache>> {
        self.0.iter().filter_map(|part| match part {
            Part::TokenCache(live) => Some(live),
            _ => None,
        })
    }

    /// Starts to fetch what will be needed, and waits for nothing.
    pub(crate) fn prepare(&self, road: &TokenTransport) {
        self.lives().for_each(|live| live.prepare(road));
    }

    /// The tokens to go with now; `None` where one has to be waited for.
    pub(crate) fn now(&self, road: &TokenTransport) -> Option<AttachedTokens> {
        self.lives().map(|live| live.now(road)).collect::<Option<Vec<_>>>().map(AttachedTokens)
    }

    /// The tokens to go with now, fetched where there are none.
    pub(crate) async fn ready(&self, road: &TokenTransport) -> Result<AttachedTokens, Error> {
        let mut proof = AttachedTokens::default();
        for live in self.lives() {
            proof.0.push(live.ready(road).await?);
        }
        Ok(proof)
    }

    /// Why there is no token yet, where one is asked for again and again.
    pub(crate) fn trouble(&self, road: &TokenTransport) -> Option<String> {
        road.endpoint.trouble().filter(|_| self.lives().any(|live| live.lacks_token(road)))
    }

    /// Whether the tokens may still be used.
    pub(crate) fn is_good(&self, proof: &AttachedTokens, road: &TokenTransport) -> bool {
        self.lives().zip(&proof.0).all(|(live, held)| live.is_good(held, road))
    }

    /// The service answered with 401. Tells whether to send again with other tokens.
    pub(crate) fn refuse(&self, proof: &AttachedTokens, request: &Request) -> bool {
        let route = route_of(request);
        self.lives().zip(&proof.0).fold(false, |again, (live, held)| live.refuse(held, route) || again)
    }

    /// It answered with 401 again, to fresh tokens.
    pub(crate) fn refuse_again(&self, request: &Request) {
        self.lives().for_each(|live| live.refuse_again(route_of(request)));
    }
}

impl AttachedTokens {
    /// The service answered, and not with 401.
    pub(crate) fn accept(&self) {
        self.0.iter().for_each(|held| held.accept());
    }
}

/// Tells routes apart, ids left out: a thousand things that refuse every token are one route.
fn route_of(request: &Request) -> u64 {
    let mut route = String::new();
    let url = request.url();
    write_route(&mut route, Some(request.method()), url.host_str().unwrap_or_default(), url.path());
    let mut hasher = std::hash::DefaultHasher::new();
    route.hash(&mut hasher);
    hasher.finish()
}
