//! Attempts: the one loop that sends again.

use std::ops::ControlFlow;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::retries::{Absence, Retries, Retry};
use crate::clock::later;
use crate::error::Error;
use crate::message::HttpError;
use crate::retry::{Failure, GiveUp};

/// What one attempt came to: the answer to the call (`Break`), or an answer or a failure to decide over.
pub(super) type Outcome<A> = ControlFlow<Result<A, Error>, Result<A, HttpError>>;

/// What is sent again while it fails: the part of the loop that differs between a request to the API and one for a token.
pub(super) trait Attempts: Send {
    type Answer: Send;

    /// The status of an answer, and how long it asks to wait.
    fn read(answer: &Self::Answer) -> (StatusCode, Option<Duration>);

    /// How often it was sent.
    fn sent(&self) -> u32;

    /// Whether a host is waited for that takes no connection.
    fn absence(&mut self, failed: &Result<Self::Answer, HttpError>) -> Option<Absence>;

    /// Keeps what failed, while it is sent again.
    fn keep(&mut self, failed: Result<Self::Answer, HttpError>) -> impl Future<Output = ()> + Send;

    /// Sends it once more.
    fn again(&mut self) -> impl Future<Output = Outcome<Self::Answer>> + Send;

    /// The last attempt failed so.
    fn give_up(&mut self, failed: Result<Self::Answer, HttpError>, why: GiveUp) -> Result<Self::Answer, Error>;
}

/// Sends again what failed, as long as the policy allows.
pub(super) async fn repeat<A: Attempts>(
    attempts: &mut A,
    mut retries: Retries<'_>,
    mut outcome: Outcome<A::Answer>,
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
