//! Counted: a task, as those who count tasks know it.

use std::time::Duration;

use crate::event::{Mark, Marks};
use crate::protocol::State;

/// What a task is counted as while it is alive; nothing before it is held, and after its end.
#[derive(Debug, Default)]
pub(super) struct Counted {
    state: Option<State>,
    /// It was reported as one that runs for long, by this number.
    long: Option<u64>,
}

impl Counted {
    /// It is in this state now, which may be its end.
    pub(super) fn turn(&mut self, is: State, marks: &Marks) {
        let was = std::mem::replace(&mut self.state, Some(is).filter(|is| !is.is_terminal()));
        if was != Some(is) {
            marks.tell(Mark::Task { was: was.map(State::as_str), is: Some(is.as_str()) });
        }
        if is.is_terminal() {
            self.no_longer(marks);
        }
    }

    /// It runs for long: reported once.
    pub(super) fn runs_for_long(&mut self, number: u64, name: &str, age: Duration, marks: &Marks) {
        if self.state.is_some() && self.long.replace(number).is_none() {
            marks.tell(Mark::Long { number, name, age });
        }
    }

    /// It is held, and alive where nothing else was told of it yet.
    pub(super) fn hold(&mut self, is: State, marks: &Marks) {
        if self.state.is_none() {
            self.turn(is, marks);
        }
    }

    /// It came to this end, where nothing else was told of that.
    pub(super) fn end(&mut self, is: State, marks: &Marks) {
        if self.state.is_some() {
            self.turn(is, marks);
        }
    }

    /// The wait for it ended, and not the work.
    pub(super) fn stop(&mut self, marks: &Marks) {
        self.leave(Some(STOPPED), marks);
    }

    /// It is dropped.
    pub(super) fn drop(&mut self, marks: &Marks) {
        self.leave(None, marks);
    }

    fn leave(&mut self, is: Option<&'static str>, marks: &Marks) {
        if let Some(was) = self.state.take() {
            marks.tell(Mark::Task { was: Some(was.as_str()), is });
        }
        self.no_longer(marks);
    }

    fn no_longer(&mut self, marks: &Marks) {
        if let Some(number) = self.long.take() {
            marks.tell(Mark::NoLonger { number });
        }
    }
}

const STOPPED: &str = "stopped";
