//! File: a store of shared windows in a file, for the processes of one machine.
//!
//! Each exchange locks the file, reads the newest [`record`](super::record), carries out the asks and writes the next. A
//! process that dies at any point lets go of the lock. What is lent of a window of more than a minute is on the disk
//! before it is used, so that not even a power cut forgets what was used of a day; shorter windows are over before a
//! machine is up again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::boot::{BootClock, wall_millis};
use super::record::{self, Unread};
use super::{Ledger, LedgerError, Reply};
use crate::error::{Error, ErrorKind};
use crate::throttle::board::{Board, Post, Posted};
use crate::throttle::slots::{Ask, Domain, Micros};

/// The store in a file.
#[derive(Debug)]
pub(in crate::throttle) struct FileLedger {
    path: Arc<Path>,
    /// One thread of this process at a time waits for the lock.
    turn: Arc<Mutex<()>>,
}

/// All that the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    clock: BootClock,
    latest: Micros,
    domains: BTreeMap<String, Domain>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    boards: BTreeMap<String, Board>,
}

impl FileLedger {
    /// Opens a store, or creates it.
    pub(in crate::throttle) fn open(path: &Path) -> Result<Self, Error> {
        // The folder of a relative path must not change with the process's.
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let ledger = Self { path: path.into(), turn: Arc::default() };
        let checked = update(&ledger.path, |_| ((), Keep::Nothing));
        checked.map_err(|error| Error::new(ErrorKind::Store, error.to_string()))?;
        Ok(ledger)
    }
}

impl FileLedger {
    /// Works on the state in a thread that may wait for the lock.
    fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> (T, Keep) + Send + 'static,
    ) -> BoxFuture<'_, Result<T, LedgerError>> {
        let (path, turn) = (self.path.clone(), self.turn.clone());
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            update(&path, work)
        });
        async move { work.await.unwrap_or_else(|_| Err(LedgerError("the runtime ended".into()))) }.boxed()
    }
}

impl Ledger for FileLedger {
    fn exchange(&self, asks: Vec<(Arc<str>, Ask)>) -> BoxFuture<'_, Result<Vec<Reply>, LedgerError>> {
        self.work(move |state| state.carry_out(asks))
    }

    fn post(&self, posts: Vec<(Arc<str>, Post)>) -> BoxFuture<'_, Result<Vec<Posted>, LedgerError>> {
        self.work(move |state| (state.post(&posts), Keep::Written))
    }
}

/// How the state has to be kept before the result of some work is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// It did not change.
    Nothing,
    Written,
    OnDisk,
}

/// Works on the state of the file, under its lock.
fn update<T>(path: &Path, work: impl FnOnce(&mut State) -> (T, Keep)) -> Result<T, LedgerError> {
    let failed = |what: &str, error: &io::Error| {
        LedgerError(format!("the file of shared limits {} {what}: {error}", path.display()).into())
    };
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    let mut file = options.open(path).map_err(|error| failed("cannot be opened", &error))?;
    lock(&file).map_err(|error| failed("cannot be locked (a store needs a disk of this machine)", &error))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| failed("cannot be read", &error))?;
    let newest = match record::newest(&bytes) {
        Ok(newest) => Some(newest),
        Err(Unread::Empty) => None,
        Err(Unread::Version(version)) => {
            let why = format!("is of version {version}, which this program does not know");
            return Err(failed(&why, &io::ErrorKind::InvalidData.into()));
        }
        Err(Unread::Damaged) => {
            let why = "holds something else, or is damaged: delete it if nothing sends under its limits, and what was \
                       used of a day or of a long window is then forgotten";
            return Err(failed(why, &io::ErrorKind::InvalidData.into()));
        }
    };
    let mut state: State = match &newest {
        Some(newest) => serde_json::from_slice(newest.payload).map_err(|error| failed("is damaged", &error.into()))?,
        None => State::default(),
    };
    let is_new = newest.is_none();
    let (result, keep) = work(&mut state);
    if keep == Keep::Nothing && !is_new {
        return Ok(result);
    }
    let is_durable = keep == Keep::OnDisk;
    let payload = serde_json::to_vec(&state).map_err(|error| failed("cannot be written", &error.into()))?;
    let (at, record) = record::next(&payload, newest.as_ref(), is_durable || is_new);
    let write = |file: &mut File| -> io::Result<()> {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&record)?;
        if is_durable {
            file.sync_data()?;
        }
        if is_new {
            file.sync_all()?;
            sync_folder(path)?;
        }
        Ok(())
    };
    write(&mut file).map_err(|error| failed("cannot be written", &error))?;
    Ok(result)
}

impl State {
    /// Posts words to boards.
    fn post(&mut self, posts: &[(Arc<str>, Post)]) -> Vec<Posted> {
        let (now, _) = self.clock.read(self.latest);
        self.latest = self.latest.max(now);
        let posted = posts.iter().map(|(name, post)| {
            let board = self.boards.entry(name.as_ref().into()).or_default();
            board.post(post, now).posted
        });
        let posted = posted.collect();
        self.boards.retain(|_, board| !board.is_over(now));
        posted
    }

    /// Carries out asks.
    fn carry_out(&mut self, asks: Vec<(Arc<str>, Ask)>) -> (Vec<Reply>, Keep) {
        let (now, run) = self.clock.read(self.latest);
        self.latest = self.latest.max(now);
        let (mut replies, mut is_durable) = (Vec::with_capacity(asks.len()), false);
        for (name, mut ask) in asks {
            ask.run.clear();
            ask.run.push_str(run);
            // A file that is new has nothing to forget.
            ask.uptime = Micros::MAX;
            let domain = self.domains.entry(name.as_ref().into()).or_default();
            let done = domain.exchange(&ask, now);
            is_durable |= done.lends && ask.window > LONGEST_SHORT;
            replies.push(Reply { answer: done.answer, wall: wall_millis() });
        }
        self.domains.retain(|_, domain| !domain.is_over(now));
        (replies, if is_durable { Keep::OnDisk } else { Keep::Written })
    }
}

/// Locks the file, which closing it or the end of the process unlocks.
fn lock(file: &File) -> io::Result<()> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            // A process that was stopped while it held the lock must not stop this one for ever.
            Err(TryLockError::WouldBlock) if began.elapsed() > LONGEST_WAIT => {
                let why = "another process has held its lock for two seconds";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
            }
            Err(TryLockError::WouldBlock) => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Makes the name of a new file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// What is lent of windows of more than a minute is written durably.
const LONGEST_SHORT: Micros = 60_000_000;
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
