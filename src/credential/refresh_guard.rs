//! RefreshGuard: one refresh, login or logout, from its beginning to any end.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::Instrument;

use super::fetch::next_token;
use super::refresh::{Refresh, RefreshEnd};
use super::token::Token;
use super::token_slot::{Memory, TokenSlot};
use super::token_state::TokenEvent;
use super::token_transport::TokenTransport;
use crate::error::{Error, ErrorKind};
use crate::event::Observation;

/// The right to change a token. At most one exists for a token at a time. However the guard ends, even with its runtime
/// or by a panic, the state records the end, and all waiting requests check the state again.
pub(super) struct RefreshGuard {
    slot: Arc<TokenSlot>,
    /// The event of the end. Until a better result is known, the fetch counts as broken off.
    ending: TokenEvent,
    /// Dropped after `ending` is recorded: that wakes all waiting requests.
    _end: RefreshEnd,
}

/// The work that a guard is for.
#[derive(Clone, Copy)]
pub(super) enum Work {
    Refresh,
    #[cfg_attr(not(feature = "pkce"), expect(dead_code, reason = "only a login begins it"))]
    Login,
    /// Forgets every token as it begins.
    Logout,
}

impl RefreshGuard {
    /// Begins under the lock that found the state free. Must be dropped without that lock.
    pub(super) fn begin(slot: &Arc<TokenSlot>, memory: &mut Memory, work: Work) -> (Self, Refresh) {
        let (end, refresh) = Refresh::new();
        let (event, ending) = match work {
            Work::Refresh => (TokenEvent::Begun(refresh.clone()), TokenEvent::BrokeOff),
            // The caller gets the error.
            Work::Login => (TokenEvent::Begun(refresh.clone()), TokenEvent::Ended),
            Work::Logout => (TokenEvent::LogoutBegun(refresh.clone()), TokenEvent::Ended),
        };
        memory.next(event, Instant::now());
        (Self { slot: slot.clone(), ending, _end: end }, refresh)
    }

    /// Waits until the state is free, and begins. Also returns the latest token at that time.
    pub(super) async fn begin_when_free(slot: &Arc<TokenSlot>, work: Work) -> (Self, Option<Token>) {
        loop {
            let refresh = {
                let mut memory = slot.lock();
                match memory.state.refresh().cloned() {
                    Some(refresh) => refresh,
                    None => {
                        let latest = memory.state.latest().cloned();
                        return (Self::begin(slot, &mut memory, work).0, latest);
                    }
                }
            };
            refresh.await;
        }
    }

    /// Fetches in a task of its own: the request that asked for the token may be dropped. Without a runtime, the fetch
    /// counts as broken off.
    pub(super) fn spawn(self, transport: &TokenTransport) {
        let Ok(runtime) = Handle::try_current() else { return };
        let transport = transport.clone();
        // A root span: the refresh outlives the request that began it.
        let span = tracing::info_span!(parent: None, "refresh", credential = self.slot.label());
        let refresh = async move {
            let begun = Instant::now();
            let fetched = next_token(&self.slot, &transport).await;
            self.finish(fetched, begun, &transport);
        };
        runtime.spawn(refresh.instrument(span));
    }

    /// Ends with a saved token, or with the reason why there is none. Events are emitted before the end, so that they
    /// keep the order of what happened, and [`settle`](crate::Client::settle) waits for them too.
    pub(super) fn finish(mut self, fetched: Result<Token, Error>, begun: Instant, transport: &TokenTransport) {
        let credential = self.slot.label();
        match fetched.and_then(|token| self.adopt(token, transport)) {
            Ok(valid_for) => {
                tracing::info!(credential, ?valid_for, "token refreshed");
                transport.marks.record(Observation::Refreshed { credential, valid_for, took: begun.elapsed() });
                self.ending = TokenEvent::Ended;
            }
            Err(error) => {
                let (why, needs_login) = (error.to_string(), error.needs_login());
                if error.kind() == ErrorKind::TokenRefused {
                    tracing::error!(credential, error = %why, needs_login, "token refused");
                } else {
                    tracing::warn!(credential, error = %why, "token not refreshed");
                }
                transport.marks.record(Observation::RefreshFailed { credential, why: &why, needs_login });
                self.ending = TokenEvent::Failed(error);
            }
        }
    }

    /// Puts a saved token in use. Returns how long the token is good for.
    fn adopt(&self, token: Token, transport: &TokenTransport) -> Result<Option<Duration>, Error> {
        let wall = transport.wall();
        let (left, is_expired) = (token.left(wall), self.slot.is_expired(&token, wall));
        let value = self.slot.header_value(&token)?;
        self.slot.lock().next(TokenEvent::Adopted { token, value, wall }, Instant::now());
        if is_expired {
            let why = "the new token has already expired: compare this machine's clock with the service's";
            return Err(Error::new(ErrorKind::TokenUnavailable, why));
        }
        Ok(left)
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        let ending = std::mem::replace(&mut self.ending, TokenEvent::Ended);
        self.slot.lock().next(ending, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use bytes::Bytes;
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;
    use crate::clock::Clock;
    use crate::credential::oauth::OAuth;
    use crate::credential::source::SendToken;
    use crate::credential::token_slot::TokenOrigin;
    use crate::event::Observer;
    use crate::message::Reply;

    /// An endpoint that receives no request.
    struct Unused;

    impl SendToken for Unused {
        fn exchange(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<Reply, Error>> {
            unreachable!("no request is sent")
        }

        fn trouble(&self) -> Option<String> {
            None
        }
    }

    fn slot() -> Arc<TokenSlot> {
        let oauth = OAuth::refresh_only("https://login.example.com/token", "");
        let source = TokenOrigin::OAuth(Box::new(oauth));
        Arc::new(TokenSlot::new(source, None, "authorization".to_owned(), "Bearer ".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_logout_leaves_no_token_in_memory() {
        let slot = slot();
        for access in ["A1", "A2"] {
            let token = Token::new(access).refreshed_by("R");
            let (value, wall) = (slot.header_value(&token).unwrap(), std::time::SystemTime::now());
            slot.lock().next(TokenEvent::Adopted { token, value, wall }, Instant::now());
        }
        let known =
            |slot: &TokenSlot| slot.secrets().iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
        assert!(known(&slot).contains(&"A1".to_owned()), "an answer to a request with it may be on its way");
        let (_guard, latest) = RefreshGuard::begin_when_free(&slot, Work::Logout).await;
        assert_eq!(latest.map(|token| token.expose().to_owned()).as_deref(), Some("A2"));
        assert_eq!(known(&slot), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_is_under_way_until_its_event_is_out() {
        for fetched in [Ok(Token::new("A1")), Err(Error::new(ErrorKind::TokenUnavailable, "down"))] {
            let slot = slot();
            let was_under_way = Arc::new(AtomicBool::new(false));
            let marks = Observer::to({
                let (slot, was_under_way) = (slot.clone(), was_under_way.clone());
                move |_, _| was_under_way.store(slot.lock().state.refresh().is_some(), SeqCst)
            });
            let transport = TokenTransport::new(Arc::new(Unused), Clock::system(), marks);
            let (guard, refresh) = RefreshGuard::begin(&slot, &mut slot.lock(), Work::Refresh);
            guard.finish(fetched, Instant::now(), &transport);
            assert!(was_under_way.load(SeqCst), "a logout could come before it");
            assert!(slot.lock().state.refresh().is_none());
            refresh.now_or_never().expect("all who wait look again");
        }
    }
}
