//! TaskCounts: the tasks of a client, by state.

/// The tasks of a client, counted by their state.
///
/// A task is alive from its accepted submit, or its resume, to its end. States are listed by their names
/// ([`State`](crate::State)): `accepted` and `running` are alive; `succeeded`, `partially_succeeded`, `failed`,
/// `canceled` and `expired` are ends that the service reported. `stopped` is the end of a wait, and not of the work: by
/// a deadline, or by an error that carries a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    alive: Vec<(&'static str, u64)>,
    ended: Vec<(&'static str, u64)>,
    begun: u64,
    dropped: u64,
}

impl TaskCounts {
    /// Returns the number of live tasks in each state.
    pub fn alive(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.alive.iter().copied().filter(|(_, count)| *count > 0)
    }

    /// Returns the number of live tasks, whatever their state.
    #[must_use]
    pub fn alive_in_all(&self) -> u64 {
        self.alive.iter().map(|(_, count)| count).sum()
    }

    /// Returns the number of tasks that have reached each end.
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.ended.iter().copied()
    }

    /// Returns the number of tasks in this state: the current number for a live state, the total for an end.
    #[must_use]
    pub fn of(&self, state: &str) -> u64 {
        self.alive.iter().chain(&self.ended).find(|(name, _)| *name == state).map_or(0, |(_, count)| *count)
    }

    /// Returns the number of tasks that were started or resumed.
    #[must_use]
    pub const fn begun(&self) -> u64 {
        self.begun
    }

    /// Returns the number of tasks that were dropped before their end. Their work may continue at the service.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Moves a task from one state to another; `None`: the task is started, or dropped.
    pub(super) fn turn(&mut self, was: Option<&'static str>, is: Option<&'static str>) {
        match was {
            Some(was) => {
                if let Some((_, count)) = self.alive.iter_mut().find(|(name, _)| *name == was) {
                    *count = count.saturating_sub(1);
                }
            }
            None => self.begun += 1,
        }
        match is {
            Some(is) if is_alive(is) => count(&mut self.alive, is),
            Some(is) => count(&mut self.ended, is),
            None => self.dropped += 1,
        }
    }
}

pub(super) fn is_alive(state: &str) -> bool {
    matches!(state, "accepted" | "running")
}

/// The number of entries is bounded by the names in the code.
fn count(counts: &mut Vec<(&'static str, u64)>, name: &'static str) {
    match counts.iter_mut().find(|(known, _)| *known == name) {
        Some((_, count)) => *count += 1,
        None => counts.push((name, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_alive_move_and_those_that_ended_add_up() {
        let mut tasks = TaskCounts::default();
        tasks.turn(None, Some("accepted"));
        tasks.turn(None, Some("accepted"));
        tasks.turn(None, Some("succeeded"));
        tasks.turn(Some("accepted"), Some("running"));
        assert_eq!((tasks.of("accepted"), tasks.of("running"), tasks.alive_in_all()), (1, 1, 2));
        tasks.turn(Some("running"), Some("stopped"));
        tasks.turn(Some("accepted"), None);
        assert_eq!(tasks.alive().count(), 0);
        assert_eq!(tasks.ended().collect::<Vec<_>>(), [("succeeded", 1), ("stopped", 1)]);
        assert_eq!((tasks.begun(), tasks.dropped()), (3, 1));
    }
}
