//! Waiting: the tasks that are awaited, by their ids.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul::{Task, TaskHandle};

/// The tasks that are awaited. Clones share them.
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<HashMap<String, TaskHandle>>>);

/// A task that can be nudged until this value is dropped.
#[must_use = "without it, the task is not known"]
pub struct Watched {
    waiting: Waiting,
    id: String,
}

impl Waiting {
    /// Lets messages nudge the task; `None` if the service gave it no id.
    pub fn watch<T>(&self, task: &Task<T>) -> Option<Watched> {
        let id = task.id()?;
        self.tasks().insert(id.clone(), task.handle());
        Some(Watched { waiting: self.clone(), id })
    }

    /// Polls the task at once; false if it is not awaited here. A pause that the service itself asked for still holds.
    pub fn nudge(&self, id: &str) -> bool {
        let task = self.tasks().get(id).cloned();
        task.as_ref().inspect(|task| task.nudge()).is_some()
    }

    /// Polls all tasks at once.
    pub fn nudge_all(&self) {
        self.tasks().values().for_each(TaskHandle::nudge);
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<String, TaskHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.waiting.tasks().remove(&self.id);
    }
}
