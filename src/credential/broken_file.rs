//! BrokenFile: the fault of a token file, and its remedy.

use std::io;
use std::path::PathBuf;

use super::encryption::Unreadable;

/// The fault of the file, in one line: the causes add no words of their own.
#[derive(Debug, thiserror::Error)]
#[error("the token file `{}` {why}", .path.display())]
pub(super) struct BrokenFile {
    pub(super) path: PathBuf,
    pub(super) why: Why,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    #[error("cannot be {0}: {1}")]
    Io(&'static str, io::Error),
    #[error("is in a folder that does not exist: create it first, with access for this user alone")]
    NoFolder,
    #[error("is no ordinary file: name another path")]
    NoFile,
    #[error("is too long for a token: name another path")]
    TooLong,
    #[error("is cut off: remove it and log in again")]
    Cut,
    #[error("is of another version of longhaul: update this program, or remove the file and log in again")]
    OtherVersion,
    #[error("is not encrypted: open it with FileStore::plain_text, or remove it and log in again")]
    PlainText,
    #[error("is encrypted: open it with FileStore::encrypted and its key")]
    Encrypted,
    #[error("is no token file: name another path")]
    Foreign,
    #[error(
        "cannot be decrypted: the key or the path is not the one it was saved with, or the file was changed; give the right key and path, or remove the file and log in again"
    )]
    Changed,
    #[error("holds no token: remove it and log in again")]
    NoToken,
    #[error("cannot be encrypted: the system gives no random numbers")]
    NoChance,
    #[error("can only be used within a tokio runtime")]
    NoRuntime,
    #[error("was left as it is: the runtime ended first")]
    Unfinished,
}

impl From<Unreadable> for Why {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Cut => Self::Cut,
            Unreadable::OtherVersion => Self::OtherVersion,
            Unreadable::PlainText => Self::PlainText,
            Unreadable::Foreign => Self::Foreign,
            Unreadable::Changed => Self::Changed,
        }
    }
}
