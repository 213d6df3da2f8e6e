//! Backoff: no limiter, but each request that is refused waits longer and longer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use crate::subject::{Answer, Ask, Limiter, Permit};

/// Exponential, with full jitter: a random share of 1, 2, 4 .. seconds, up to a longest. One for each worker.
pub(crate) struct Backoff(Arc<Mutex<State>>);

struct State {
    refusals: i32,
    longest: Duration,
    rng: Rng,
}

impl Backoff {
    pub(crate) fn new(longest: Duration, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State { refusals: 0, longest, rng: Rng::with_seed(seed) })))
    }
}

impl Limiter for Backoff {
    type Permit = Attempt;

    async fn acquire(&self, _: Ask) -> Attempt {
        let pause = with(&self.0, State::pause);
        if !pause.is_zero() {
            sleep(pause).await;
        }
        Attempt(self.0.clone())
    }
}

/// One attempt of the worker's request.
pub(crate) struct Attempt(Arc<Mutex<State>>);

impl Permit for Attempt {
    fn answered(self, answer: Answer) {
        with(&self.0, |state| match answer {
            Answer::Accepted => state.refusals = 0,
            Answer::Refused => state.refusals += 1,
        });
    }
}

impl State {
    fn pause(&mut self) -> Duration {
        if self.refusals == 0 {
            return Duration::ZERO;
        }
        let ceiling = Duration::from_secs_f64(f64::from(self.refusals.min(30) - 1).exp2()).min(self.longest);
        ceiling.mul_f64(self.rng.f64())
    }
}

fn with<T>(state: &Mutex<State>, act: impl FnOnce(&mut State) -> T) -> T {
    act(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}
