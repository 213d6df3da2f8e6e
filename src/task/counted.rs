//! Counted: a task, as those who count tasks know it.

use crate::event::{Mark, Marks};
use crate::protocol::State;

/// What a task is counted as while it is alive; nothing before it is held, and after its end.
#[derive(Debug, Default)]
pub(super) struct Counted(Option<State>);

impl Counted {
    /// It is in this state now, which may be its end.
    pub(super) fn turn(&mut self, is: State, marks: &Marks) {
        let was = std::mem::replace(&mut self.0, Some(is).filter(|is| !is.is_terminal()));
        if was != Some(is) {
            marks.tell(Mark::Task { was: was.map(State::as_str), is: Some(is.as_str()) });
        }
    }

    /// It is held, and alive where nothing else was told of it yet.
    pub(super) fn hold(&mut self, is: State, marks: &Marks) {
        if self.0.is_none() {
            self.turn(is, marks);
        }
    }

    /// It came to this end, where nothing else was told of that.
    pub(super) fn end(&mut self, is: State, marks: &Marks) {
        if self.0.is_some() {
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
        if let Some(was) = self.0.take() {
            marks.tell(Mark::Task { was: Some(was.as_str()), is });
        }
    }
}

const STOPPED: &str = "stopped";
