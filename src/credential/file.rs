//! FileStore: a token in a file, encrypted.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tracing::dispatcher;
use zeroize::Zeroizing;

use super::atomic_file::{self, AtomicFile};
use super::broken_file::{BrokenFile, Why};
use super::encryption::TOKEN_FILE;
use super::exclusive::{ExclusiveStore, RefreshLease, RefreshTurn, Replaced, StoredToken};
use super::file_lock::FileLock;
use super::key::FileKey;
use super::store::CredentialStore;
use super::store_error::StoreError;
use super::token::Token;

/// A store that keeps a token in an encrypted file (XChaCha20-Poly1305), readable only by its owner.
///
/// Generate a key once with `openssl rand -base64 32`, and keep it apart from the file. The saves of clones are ordered
/// together.
///
/// ```
/// use longhaul::credentials::{CredentialStore, FileKey, FileStore, Token};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let folder = std::env::temp_dir().join(format!("longhaul-file-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("token");
/// # let from_the_environment = "5kDl7dTMLDcZ1mWmCLZeXUlyD7Ov4V4sMpKVz0v1pF0=";
/// let key = FileKey::from_base64(from_the_environment)?;
/// let store = FileStore::encrypted(path, key);
/// assert_eq!(store.load().await?, None);
///
/// store.save(Some(Token::new("eyJhbGciOi").refreshed_by("8xLOxBtZp8"))).await?;
/// assert_eq!(store.load().await?.map(|token| token.expose().len()), Some(10));
///
/// store.save(None).await?;
/// assert_eq!(store.load().await?, None);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
///
/// # The file
/// A save writes a new file beside it (`NAME.0123456789abcdef.new`), makes it durable, and renames it. So the file is
/// always the old one or the new one, complete, whenever the process or the machine ends; if several processes save at
/// once, the last one wins. A new file left by a killed process does no harm, and the next save after an hour removes
/// it.
///
/// On Unix the mode of the file is 0600, whatever the mask of the process and the mode of the previous file. A
/// plain-text file that the group or all can read or write is used, with a warning in the log at each load. A symbolic
/// link in its place is replaced, and not followed. On other systems the rights are those of the folder.
///
/// # Several processes
/// One process of a machine at a time refreshes the token; the others wait for it, and use its token. Two empty files
/// beside the token file are locked: `NAME.refresh.lock` for a whole refresh, `NAME.save.lock` for a save. The system
/// unlocks the files of a process that ends, so that another one goes on at once. A process that is stopped in the
/// midst of a refresh keeps its lock, and the others fail after some minutes.
///
/// # Limits
/// The folder must exist. An encrypted file is bound to its path, as given and made absolute: a file that was moved, or
/// put in the place of another, cannot be decrypted. A user who may write to the folder can restore an older file of
/// the same path. The lock needs a disk of this machine: the processes of several machines share a
/// `RedisCredentialStore` (feature `redis`).
///
/// # Errors
/// Each error states the fault of the file and the remedy, and leaves the file unchanged. No error contains a secret.
#[derive(Clone)]
pub struct FileStore(Arc<FileStoreInner>);

struct FileStoreInner {
    path: PathBuf,
    kind: FailureKind,
    /// The number of saves so far.
    called: AtomicU64,
    /// The number of the save that wrote last: an older save that arrives late must not undo it.
    written: Mutex<u64>,
    /// The number of refreshes that this process has begun.
    fence: AtomicU64,
}

enum FailureKind {
    Encrypted(FileKey),
    PlainText,
}

impl FileStore {
    /// Creates a store in this file, encrypted with this key. No file is read or written yet.
    #[must_use]
    pub fn encrypted(path: impl Into<PathBuf>, key: impl Into<FileKey>) -> Self {
        Self::new(path.into(), FailureKind::Encrypted(key.into()))
    }

    /// Creates a store in this file, as readable text. A reader of the file, or of a copy in a backup, has the login:
    /// use it only on a machine whose disk is encrypted, and whose only user is its owner.
    #[must_use]
    pub fn plain_text(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), FailureKind::PlainText)
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn new(path: PathBuf, kind: FailureKind) -> Self {
        let (called, written, fence) = (AtomicU64::new(0), Mutex::new(0), AtomicU64::new(0));
        Self(Arc::new(FileStoreInner { path, kind, called, written, fence }))
    }

    fn number(&self) -> u64 {
        self.0.called.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Runs the job on a thread that may block.
    async fn aside<T: Send + 'static>(
        &self,
        job: impl FnOnce(&FileStoreInner) -> Result<T, Why> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.0.clone();
        // The caller's subscriber, on the other thread too.
        let log = dispatcher::get_default(Clone::clone);
        let job = move || dispatcher::with_default(&log, || job(&inner));
        let done = match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(job).await.unwrap_or(Err(Why::Unfinished)),
            Err(_) => Err(Why::NoRuntime),
        };
        done.map_err(|why| BrokenFile { path: self.0.path.clone(), why }.into())
    }
}

impl CredentialStore for FileStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        Box::pin(self.aside(FileStoreInner::load))
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        let number = self.number();
        Box::pin(self.aside(move |inner| inner.save(number, token.as_ref())))
    }

    fn exclusive(&self) -> Option<&dyn ExclusiveStore> {
        Some(self)
    }
}

impl ExclusiveStore for FileStore {
    fn read(&self) -> BoxFuture<'_, Result<StoredToken, StoreError>> {
        Box::pin(self.aside(FileStoreInner::stored))
    }

    fn replace(&self, generation: u64, token: Option<Token>) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        let number = self.number();
        Box::pin(self.aside(move |inner| inner.replace(number, generation, token.as_ref())))
    }

    fn lock(&self, owner: Arc<str>, _: Duration) -> BoxFuture<'_, Result<RefreshTurn, StoreError>> {
        Box::pin(self.aside(move |inner| inner.turn(owner)))
    }

    fn release(&self, lease: RefreshLease) -> BoxFuture<'_, Result<(), StoreError>> {
        // The last clone of the lease closes the file, which unlocks it.
        drop(lease);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl FileStoreInner {
    fn load(&self) -> Result<Option<Token>, Why> {
        self.stored().map(|stored| stored.token().cloned())
    }

    fn stored(&self) -> Result<StoredToken, Why> {
        let bytes = self.read()?;
        let generation = generation(bytes.as_ref().map(|bytes| bytes.as_slice()));
        let token = bytes.map(|bytes| self.open(bytes)).transpose()?;
        Ok(StoredToken::new(generation, token))
    }

    fn open(&self, bytes: Zeroizing<Vec<u8>>) -> Result<Token, Why> {
        let opened = match &self.kind {
            FailureKind::Encrypted(key) => TOKEN_FILE.unseal(key, &self.place(), &bytes)?,
            FailureKind::PlainText if TOKEN_FILE.is_sealed(&bytes) => return Err(Why::Encrypted),
            FailureKind::PlainText => {
                self.warn_of_others();
                bytes
            }
        };
        // A parser's message may quote the text.
        let token = str::from_utf8(&opened).ok().and_then(|text| Token::from_json(text).ok());
        token.ok_or(Why::NoToken)
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Why> {
        let failed = |error| Why::Io("read", error);
        let about = match fs::metadata(&self.path) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.has_folder().map(|()| None),
            Err(error) => return Err(failed(error)),
        };
        if !about.is_file() {
            return Err(Why::NoFile);
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            // A logout happened in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Allocates the whole length, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > LONGEST { Err(Why::TooLong) } else { Ok(Some(bytes)) }
    }

    fn save(&self, number: u64, token: Option<&Token>) -> Result<(), Why> {
        let mut written = self.written();
        if number < *written {
            return Ok(());
        }
        // Another process may compare at this moment.
        let _lock = FileLock::to_save_if_shared(&self.path).map_err(|error| Why::Io("locked", error))?;
        self.put(token)?;
        *written = number;
        Ok(())
    }

    fn replace(&self, number: u64, generation: u64, token: Option<&Token>) -> Result<Replaced, Why> {
        let mut written = self.written();
        self.has_folder()?;
        let _lock = FileLock::to_save(&self.path).map_err(|error| Why::Io("locked", error))?;
        if self::generation(self.read()?.as_ref().map(|bytes| bytes.as_slice())) != generation {
            return self.stored().map(Replaced::Outdated);
        }
        let generation = self.put(token)?;
        *written = number.max(*written);
        Ok(Replaced::Done(generation))
    }

    fn turn(&self, owner: Arc<str>) -> Result<RefreshTurn, Why> {
        self.has_folder()?;
        let lock = FileLock::to_refresh(&self.path).map_err(|error| Why::Io("locked", error))?;
        Ok(match lock {
            Some(lock) => {
                let fence = self.fence.fetch_add(1, Ordering::Relaxed) + 1;
                RefreshTurn::Granted(RefreshLease::new(owner, fence).keeping(lock))
            }
            None => RefreshTurn::Taken { left: None },
        })
    }

    fn written(&self) -> MutexGuard<'_, u64> {
        // A save that panicked leaves the number of the one before.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes or removes the file. Returns its generation.
    fn put(&self, token: Option<&Token>) -> Result<u64, Why> {
        let generation = match token {
            Some(token) => self.write(token)?,
            None => {
                self.remove()?;
                generation(None)
            }
        };
        atomic_file::sweep(&self.path);
        Ok(generation)
    }

    fn write(&self, token: &Token) -> Result<u64, Why> {
        let text = Zeroizing::new(token.expose_json().into_bytes());
        let bytes = match &self.kind {
            FailureKind::Encrypted(key) => TOKEN_FILE.seal(key, &self.place(), &text).ok_or(Why::NoChance)?,
            FailureKind::PlainText => text,
        };
        if bytes.len() > LONGEST {
            return Err(Why::TooLong);
        }
        self.has_folder()?;
        let failed = |error| Why::Io("written", error);
        let mut fresh = AtomicFile::beside(&self.path).map_err(failed)?;
        fresh.write(&bytes).map_err(failed)?;
        fresh.place().map_err(failed)?;
        Ok(generation(Some(&bytes)))
    }

    fn remove(&self) -> Result<(), Why> {
        match fs::remove_file(&self.path) {
            Ok(()) => atomic_file::sync_folder(&self.path).map_err(|error| Why::Io("removed", error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Why::Io("removed", error)),
        }
    }

    /// Returns the path as given, made absolute: links on the way to it may change silently.
    fn place(&self) -> Vec<u8> {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        path.into_os_string().into_encoded_bytes()
    }

    /// Warns that a login which others on this machine can read belongs to them too.
    #[cfg(unix)]
    fn warn_of_others(&self) {
        use std::os::unix::fs::PermissionsExt;

        let mode = fs::metadata(&self.path).map_or(0, |about| about.permissions().mode() & 0o777);
        if mode & OTHERS != 0 {
            let (path, mode) = (self.path.display(), format!("{mode:03o}"));
            tracing::warn!(%path, mode, "others can read this token file, which is not encrypted: chmod 600, or encrypt it");
        }
    }

    /// The rights are those of the folder.
    #[cfg(not(unix))]
    fn warn_of_others(&self) {}

    fn has_folder(&self) -> Result<(), Why> {
        if self.path.file_name().is_none() {
            return Err(Why::NoFile);
        }
        if atomic_file::folder(&self.path).is_dir() { Ok(()) } else { Err(Why::NoFolder) }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            FailureKind::Encrypted(_) => "encrypted",
            FailureKind::PlainText => "plain text",
        };
        f.debug_struct("FileStore").field("path", &self.0.path).field("kind", &kind).finish_non_exhaustive()
    }
}

/// Returns the generation of a file: a part of its hash, so that a save by any program begins a new one. Each
/// encryption of the same token is another file.
fn generation(bytes: Option<&[u8]>) -> u64 {
    let Some(bytes) = bytes else { return NO_FILE };
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let part = hash.first_chunk().copied().map_or(NO_FILE, u64::from_be_bytes);
    part.max(NO_FILE + 1)
}

/// A file that is missing was removed by a logout, or was never there; no disk forgets it.
const NO_FILE: u64 = 1;
/// The rights of the group and of all: to read, or to write a file that is used as a login.
#[cfg(unix)]
const OTHERS: u32 = 0o066;
/// Tokens are some kilobytes.
const LONGEST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_save_that_comes_late_does_not_undo_a_newer_one() {
        let path = std::env::temp_dir().join(format!("longhaul-late-{}", std::process::id()));
        let store = FileStore::encrypted(&path, [7; 32]);
        let (older, newer) = (store.save(Some(Token::new("OLD"))), store.save(Some(Token::new("NEW"))));
        newer.await.unwrap();
        older.await.unwrap();
        assert_eq!(store.load().await.unwrap().unwrap().expose(), "NEW");
        store.save(None).await.unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn outside_of_a_runtime_it_is_an_error_and_no_panic() {
        let store = FileStore::encrypted("anywhere", [7; 32]);
        let error = store.load().now_or_never().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the token file `anywhere` can only be used within a tokio runtime");
    }
}
