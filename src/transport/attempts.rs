//! Attempts: the single retry loop.

use std::ops::ControlFlow;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::retries::{Absence, Retries, Retry};
use crate::clock::later;
use crate::error::Error;
use crate::message::HttpError;
use crate::retry::{Failure, GiveUp};

/// The outcome of one attempt: the result of the call (`Break`), or a response or a failure that needs a decision.
pub(super) type AttemptOutcome<A> = ControlFlow<Result<A, Error>, Result<A, HttpError>>;

/// The part of the retry loop that differs between requests to the API and requests for tokens.
pub(super) trait Attempts: Send {
    type Answer: Send;

    /// Returns the status of a response, and how long it asks to wait.
    fn read(answer: &Self::Answer) -> (StatusCode, Option<Duration>);

    /// Returns how often the request was sent.
    fn sent(&self) -> u32;

    /// Returns how long to wait for a host that accepts no connection, if at all.
    fn absence(&mut self, failed: &Result<Self::Answer, HttpError>) -> Option<Absence>;

    /// Keeps the failed result while the request is sent again.
    fn keep(&mut self, failed: Result<Self::Answer, HttpError>) -> impl Future<Output = ()> + Send;

    /// Sends the request once more.
    fn again(&mut self) -> impl Future<Output = AttemptOutcome<Self::Answer>> + Send;

    /// Turns the failure of the last attempt into the result.
    fn give_up(&mut self, failed: Result<Self::Answer, HttpError>, why: GiveUp) -> Result<Self::Answer, Error>;
}

/// Repeats the request after a failure, as long as the policy allows.
pub(super) async fn repeat<A: Attempts>(
    attempts: &mut A,
    mut retries: Retries<'_>,
    mut outcome: AttemptOutcome<A::Answer>,
) -> Result<A::Answer, Error> {
    let mut cost = 0;
    loop {
        let failed = match outcome {
            ControlFlow::Break(end) => return end,
            ControlFlow::Continue(Ok(answer)) if A::read(&answer).0.as_u16() < 400 => {
                retries.budget().give_back(cost);
                return Ok(answer);
            }
            ControlFlow::Continue(failed) => failed,
        };
        let (failure, hint) = match &failed {
            Ok(answer) => {
                let (status, hint) = A::read(answer);
                (Failure::Status(status), hint)
            }
            Err(error) if error.is_unsent() => (Failure::Unsent, None),
            Err(error) if !error.is_late() && retries.budget().is_paid_for(Instant::now()) => {
                (Failure::LostWithOthers, None)
            }
            Err(_) => (Failure::Lost, None),
        };
        let absence = attempts.absence(&failed);
        let retry = match retries.next(attempts.sent(), failure, hint, absence) {
            Ok(retry) => retry,
            Err(why) => return attempts.give_up(failed, why),
        };
        let due = later(Instant::now(), retry.pause);
        attempts.keep(failed).await;
        tokio::time::sleep_until(due).await;
        Retry { cost, .. } = retry;
        outcome = attempts.again().await;
    }
}
