//! Counted: how a task appears in the task counts.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::event::{Observation, Observer};
use crate::protocol::State;

/// The state under which a living task is counted; nothing before the task is held, and after its end.
#[derive(Debug, Default)]
pub(super) struct CountedState {
    state: Option<State>,
    /// The number of the report that the task runs for long, if it was made.
    long: Option<NonZeroU64>,
}

impl CountedState {
    /// Returns a task that is counted under this state.
    pub(super) const fn of(state: State) -> Self {
        Self { state: Some(state), long: None }
    }

    /// Returns whether the task is counted under this state, and nothing else is recorded of it.
    pub(super) fn is(&self, state: State) -> bool {
        self.state == Some(state) && self.long.is_none()
    }

    /// Records the task's new state, which may be its end.
    pub(super) fn turn(&mut self, is: State, marks: &Observer) {
        let was = std::mem::replace(&mut self.state, Some(is).filter(|is| !is.is_terminal()));
        if was != Some(is) {
            marks.record(Observation::Task { was: was.map(State::as_str), is: Some(is.as_str()) });
        }
        if is.is_terminal() {
            self.no_longer(marks);
        }
    }

    /// Reports once that the task runs for long.
    pub(super) fn runs_for_long(&mut self, number: u64, name: &str, age: Duration, marks: &Observer) {
        // A number is an address, which is never 0.
        if self.state.is_some() && std::mem::replace(&mut self.long, NonZeroU64::new(number)).is_none() {
            marks.record(Observation::Long { number, name, age });
        }
    }

    /// Records that the task is held, as alive unless a state was already reported.
    pub(super) fn hold(&mut self, is: State, marks: &Observer) {
        if self.state.is_none() {
            self.turn(is, marks);
        }
    }

    /// Records the end of the task, unless an end was already reported.
    pub(super) fn end(&mut self, is: State, marks: &Observer) {
        if self.state.is_some() {
            self.turn(is, marks);
        }
    }

    /// Records that the wait for the task ended, while the work goes on.
    pub(super) fn stop(&mut self, marks: &Observer) {
        self.leave(Some(STOPPED), marks);
    }

    /// Records that the task was dropped.
    pub(super) fn drop(&mut self, marks: &Observer) {
        self.leave(None, marks);
    }

    fn leave(&mut self, is: Option<&'static str>, marks: &Observer) {
        if let Some(was) = self.state.take() {
            marks.record(Observation::Task { was: Some(was.as_str()), is });
        }
        self.no_longer(marks);
    }

    fn no_longer(&mut self, marks: &Observer) {
        if let Some(number) = self.long.take() {
            marks.record(Observation::NoLonger { number: number.get() });
        }
    }
}

const STOPPED: &str = "stopped";
