//! A folder of a test's own, which is gone with it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

/// One test at a time has folders; each test has a thread.
pub(crate) struct Folder {
    folder: TempDir,
    _turn: Turn,
}

type Turn = Rc<MutexGuard<'static, ()>>;

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), _turn: turn() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.at(name), content).unwrap();
        self.at(name)
    }

    /// The names of all that is in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Waits until no other test has a folder.
fn turn() -> Turn {
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
