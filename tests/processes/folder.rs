//! A folder for one test at a time, and the turns that those tests take.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::{Rc, Weak};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[path = "../it/support/folder.rs"]
pub(crate) mod plain;

/// One test at a time has folders; each test has a thread.
pub(crate) struct Folder {
    folder: plain::Folder,
    _turn: Turn,
}

/// The time in which no other test has a folder or starts a process.
pub(crate) type Turn = Rc<MutexGuard<'static, ()>>;

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: plain::Folder::new(), _turn: turn() }
    }
}

impl Deref for Folder {
    type Target = plain::Folder;

    fn deref(&self) -> &plain::Folder {
        &self.folder
    }
}

/// Waits until no other test has a folder, or starts a process.
pub(crate) fn turn() -> Turn {
    static ONE: Mutex<()> = Mutex::new(());
    thread_local!(static OURS: RefCell<Weak<MutexGuard<'static, ()>>> = const { RefCell::new(Weak::new()) });
    OURS.with_borrow_mut(|ours| {
        ours.upgrade().unwrap_or_else(|| {
            let turn = Rc::new(ONE.lock().unwrap_or_else(PoisonError::into_inner));
            *ours = Rc::downgrade(&turn);
            turn
        })
    })
}
