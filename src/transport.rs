//! Transport: the pipeline that every request to the API goes through.
//!
//! # Implementation
//!
//! A request is a [`Sending`], which three functions carry, each around the next: `send` repeats attempts, `attempt` has
//! the right and the credential for one, `exchange` puts it on the wire. The way in order:
//!
//! 1. **Trust.** The URL decides what may go along. To a foreign origin goes nothing of the caller's and no credential.
//! 2. **Credential.** Tokens that are fetched are made sure of *before* the permit is asked for: a request that waited for
//!    a token with a permit in hand would hold up others, and perhaps the request for that very token.
//! 3. **Permit.** The throttle grants the right to send now, or the request waits in its queue.
//! 4. **Pass.** A host that takes no connection is asked by one request at a time ([`Outages`]); the others give their
//!    permit back and wait.
//! 5. **Credential again.** A token may have aged in the queue, or have been refused to another request.
//! 6. **Exchange.** A copy of the request is stamped and goes out by the [`Wire`]. The throttle and the statistics hear of
//!    the send before it, and of the answer with its hints before the caller has it.
//! 7. **A refused token** (401) is replaced, and the request exchanged once more, below the retries.
//! 8. **Retries.** `retry::decide` is a pure table; `attempts` is the one loop that obeys it, for the API and for token
//!    endpoints alike. `Retries` charges the budget and tells of each retry, also of those after a body that broke off
//!    ([`Breaks`]), whose loop is the caller's.
//!
//! What each part owns: [`Transport`] what all requests of a client share, and nothing of one request; [`Sending`] all that
//! is of one request, from its permit to its last answer; [`Wire`] the one place where a request leaves, so that
//! nothing goes out uncounted; [`TokenWire`] the way of requests for tokens, which shares the wire and carries no credential;
//! [`Outages`] the hosts that are down.
//!
//! Futures stay small because their size is paid by every request: what few need (the retry loop, a wait in the queue, a
//! wait for a token or a host, the error of a rejection) is boxed where it begins, and a sending is lent and not moved. The
//! timer of an attempt counts from the send, and is armed only where the first look finds no answer.
//!
//! Lock order: the transport holds a lock (the outages', the budget's, that of a token's trouble) for one look or change,
//! and enters no other part with it. The throttle's lock and the credential's are taken and gone before the statistics hear
//! of anything; within the statistics, aside comes before the ledger. None is held across an `.await`, so that a
//! request that is dropped anywhere leaves nothing locked: its permit refunds or charges itself, its pass lets the next
//! probe go.

mod advice;
mod attempts;
mod breaks;
mod broken;
mod headers;
mod late;
mod outage;
mod rejection;
mod reqwest;
mod retries;
mod sending;
mod shared;
pub(crate) mod span;
mod token_wire;
mod wire;

pub(crate) use breaks::Breaks;
pub(crate) use broken::Broken;
pub(crate) use late::by;
pub(crate) use outage::Outages;
pub(crate) use reqwest::{Connector, Proxying, Purpose};
pub(crate) use sending::Sending;
pub(crate) use shared::Transport;
pub(crate) use token_wire::TokenWire;
pub(crate) use wire::Wire;
