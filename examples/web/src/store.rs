//! The folder that the web side and the worker share.
//!
//! An export has up to three files: `ID.token` while it is unfinished, `ID.json` with its status, and `ID.data` with its
//! result. They are small but for the last, so the async code reads and writes them without a detour.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use longhaul::{ResumeToken, Update};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The exports of this service. Clones share the folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    added: Arc<Notify>,
}

impl Store {
    /// Opens the folder, and creates it where it is missing. Tokens are requests in waiting: only the owner reads them.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self { folder, added: Arc::default() })
    }

    /// Adds an accepted export, under the service's id where that can be the name of a file.
    pub fn add(&self, id: Option<&str>, token: &ResumeToken) -> io::Result<ExportId> {
        let (name, accepted) = (ExportId::near(id.unwrap_or("export")), Status::new("accepted"));
        for number in 1.. {
            let id = if number == 1 { name.clone() } else { ExportId(format!("{name}-{number}")) };
            match create(&self.path(&id, "json"), &serde_json::to_vec(&accepted)?) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    // The worker looks for tokens: from here on the export is its own.
                    self.replace(&id, "token", token.to_string().as_bytes())?;
                    self.added.notify_one();
                    return Ok(id);
                }
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// The exports that have not ended.
    pub fn unfinished(&self) -> io::Result<Vec<ExportId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            ids.extend(name.to_str().and_then(|name| name.strip_suffix(".token")?.parse::<ExportId>().ok()));
        }
        Ok(ids)
    }

    /// Waits until an export was added.
    pub async fn added(&self) {
        self.added.notified().await;
    }

    /// The token of an unfinished export.
    pub fn token(&self, id: &ExportId) -> io::Result<ResumeToken> {
        fs::read_to_string(self.path(id, "token"))?.parse().map_err(io::Error::other)
    }

    /// The last known status; `None` for an unknown export.
    pub fn status(&self, id: &ExportId) -> io::Result<Option<Status>> {
        match fs::read(self.path(id, "json")) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps how far an export has come. The place to ask may have moved, so the token is written anew, too.
    pub fn keep(&self, id: &ExportId, token: &ResumeToken, status: &Status) -> io::Result<()> {
        self.replace(id, "token", token.to_string().as_bytes())?;
        self.replace(id, "json", &serde_json::to_vec(status)?)
    }

    /// Keeps the end of an export. A crash between the two steps is harmless: the next worker comes to the same end.
    pub fn finish(&self, id: &ExportId, status: &Status) -> io::Result<()> {
        self.replace(id, "json", &serde_json::to_vec(status)?)?;
        fs::remove_file(self.path(id, "token"))
    }

    /// The file of the result.
    pub fn file(&self, id: &ExportId) -> PathBuf {
        self.path(id, "data")
    }

    fn path(&self, id: &ExportId, ending: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ending}"))
    }

    /// Replaces a file at once or not at all, so that a reader never sees half of it.
    fn replace(&self, id: &ExportId, ending: &str, content: &[u8]) -> io::Result<()> {
        let fresh = self.path(id, &format!("{ending}.new"));
        // Left by a process that was killed while it wrote.
        let _ = fs::remove_file(&fresh);
        create(&fresh, content)?;
        fs::rename(fresh, self.path(id, ending))
    }
}

/// The name of an export: of letters that lead out of no folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ExportId(String);

impl ExportId {
    /// The id that looks most like this text.
    fn near(text: &str) -> Self {
        Self(text.chars().take(100).map(|c| if is_plain(c) { c } else { '_' }).collect())
    }
}

impl FromStr for ExportId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = (1..=120).contains(&text.len()) && text.chars().all(is_plain);
        if is_id { Ok(Self(text.to_owned())) } else { Err("not an id of an export") }
    }
}

impl TryFrom<String> for ExportId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for ExportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The status of an export, as its file holds it and its route shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<f64>,
    /// The length of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Status {
    pub(crate) fn new(status: &str) -> Self {
        Self { status: status.to_owned(), percent_complete: None, bytes: None, error: None }
    }

    pub(crate) fn of(update: &Update) -> Self {
        Self { percent_complete: update.percent(), ..Self::new(update.state().as_str()) }
    }
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
