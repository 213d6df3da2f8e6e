//! Transport: the pipeline that every request to the API goes through.
//!
//! # Implementation
//!
//! A request is a [`Sending`] with three nested functions: `send` repeats attempts, `attempt` obtains the permit and
//! the credential for one attempt, and `exchange` puts the attempt on the wire. The steps in order:
//!
//! 1. **Trust.** The URL decides what the request may carry. A foreign origin receives no credential, and nothing that
//!    the caller set.
//! 2. **Credential.** Tokens are fetched *before* the permit is acquired: a request that waited for a token while it
//!    held a permit would block others, perhaps the request for that very token.
//! 3. **Permit.** The throttle grants the right to send now, or the request waits in its queue.
//! 4. **Pass.** A host that accepts no connection is probed by one request at a time ([`Outages`]); the other requests
//!    return their permits and wait.
//! 5. **Credential again.** A token may have aged in the queue, or have been refused to another request.
//! 6. **Exchange.** A copy of the request receives its credential and is sent through the [`Wire`]. The throttle and
//!    the statistics record the send before it happens, and the response with its hints before the caller receives it.
//! 7. **A refused token** (401) is replaced, and the request is exchanged once more, below the retries.
//! 8. **Retries.** `retry::decide` is a pure table; `attempts` is the single loop that follows it, for the API and for
//!    token endpoints alike. `Retries` charges the budget and reports each retry, including those after a body that
//!    broke off ([`Breaks`]), whose loop is the caller's.
//!
//! Each part owns its state: [`Transport`] the state that all requests of a client share, and none of a single request;
//! [`Sending`] the state of one request, from its permit to its last response; [`Wire`] the single exit of requests, so
//! that every request is counted; [`TokenWire`] the path of requests for tokens, which shares the wire and carries no
//! credential; [`Outages`] the hosts that are down.
//!
//! Futures are kept small, because every request pays for their size. Rare parts (the retry loop, a wait in the queue,
//! a wait for a token or a host, the error of a rejection) are boxed where they begin, and a sending is borrowed rather
//! than moved. The timer of an attempt counts from the send, and is armed only if the first poll finds no response.
//!
//! Lock order: the transport holds a lock (of the outages, of the budget, of a token's trouble) for one read or change,
//! and enters no other part with it. The locks of the throttle and of the credential are released before the statistics
//! record anything; within the statistics, aside comes before the ledger. No lock is held across an `.await`, so a
//! request that is dropped at any point leaves nothing locked: its permit refunds or charges itself, and its pass lets
//! the next probe start.

mod advice;
mod answer_cache;
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

pub(crate) use answer_cache::AnswerCache;
pub(crate) use breaks::Breaks;
pub(crate) use broken::Broken;
pub(crate) use late::by;
pub(crate) use outage::Outages;
pub(crate) use reqwest::{Connector, ConnectorPurpose, Proxying};
pub(crate) use sending::Sending;
pub(crate) use shared::Transport;
pub(crate) use token_wire::TokenWire;
pub(crate) use wire::Wire;
