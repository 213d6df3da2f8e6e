//! Inquiry: a question to the source of tokens, and the time that its answer may take.

use std::time::Duration;

use super::source::{TokenError, TokenSource};
use super::token::Token;
use super::token_slot::{TokenOrigin, TokenSlot};
use super::token_transport::TokenTransport;

/// Asks the source for the token that replaces this one, within its patience.
pub(super) async fn ask(
    slot: &TokenSlot,
    transport: &TokenTransport,
    before: Option<&Token>,
) -> Result<Token, TokenError> {
    let endpoint = &transport.endpoint;
    let source = match &slot.source {
        // Each of its requests has a timeout of its own.
        TokenOrigin::OAuth(oauth) => return oauth.fetch(before, endpoint).await,
        TokenOrigin::Own(source) => source,
    };
    let patience = source.patience();
    tokio::time::timeout(patience, source.fetch(before, endpoint)).await.unwrap_or_else(|_| {
        let why = "the token source gave no answer within";
        Err(TokenError::new(format!("{why} {patience:?} (TokenSource::patience)")))
    })
}

/// Returns the longest time that an answer takes.
pub(super) fn longest(slot: &TokenSlot) -> Duration {
    match &slot.source {
        TokenOrigin::OAuth(_) => LONGEST,
        TokenOrigin::Own(source) => source.patience(),
    }
}

/// A token endpoint that hangs fails after some three minutes: five attempts of 30 seconds, and the pauses between
/// them.
const LONGEST: Duration = Duration::from_secs(4 * 60);
