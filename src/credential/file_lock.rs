//! FileLock: the locks beside a token file, by which the processes of one machine take turns.
//!
//! A lock is an empty file of its own, because a save replaces the token file. The system unlocks the file when its
//! process ends, however that happens. Lock files are never removed: another process may be about to lock one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A file that is locked until it is dropped.
#[derive(Debug)]
pub(super) struct FileLock {
    /// `None` on a system without locks.
    _file: Option<File>,
}

impl FileLock {
    /// Takes the lock that lasts for a whole refresh; `None` if another process has it.
    pub(super) fn to_refresh(target: &Path) -> io::Result<Option<Self>> {
        match attempt(open(target, REFRESH, true)?) {
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(lock) => Ok(Some(lock)),
        }
    }

    /// Waits for the lock that lasts for one save.
    pub(super) fn to_save(target: &Path) -> io::Result<Self> {
        wait(|| open(target, SAVE, true))
    }

    /// As [`to_save`](Self::to_save), if any process has ever taken that lock.
    pub(super) fn to_save_if_shared(target: &Path) -> io::Result<Option<Self>> {
        match wait(|| open(target, SAVE, false)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            lock => lock.map(Some),
        }
    }
}

fn wait(open: impl Fn() -> io::Result<File>) -> io::Result<FileLock> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match attempt(open()?) {
            Ok(lock) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(error),
            // A process that was stopped in a save must not stop this one forever.
            Err(TryLockError::WouldBlock) if began.elapsed() > LONGEST_WAIT => {
                let why = "another process has been saving it for ten seconds";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
            }
            Err(TryLockError::WouldBlock) => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn attempt(file: File) -> Result<FileLock, TryLockError> {
    match file.try_lock() {
        Ok(()) => Ok(FileLock { _file: Some(file) }),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            tracing::warn!("this system has no file locks: two processes may refresh one token at once");
            Ok(FileLock { _file: None })
        }
        Err(error) => Err(error),
    }
}

fn open(target: &Path, end: &str, creates: bool) -> io::Result<File> {
    let mut path = target.as_os_str().to_owned();
    path.push(end);
    let mut options = OpenOptions::new();
    options.write(true).create(creates).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(PathBuf::from(path))
}

const REFRESH: &str = ".refresh.lock";
const SAVE: &str = ".save.lock";
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// A save waits for the disk twice.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
