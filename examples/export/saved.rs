//! The tokens of unfinished tasks, in a file from which another process can resume them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longhaul::{ResumeToken, SecretUrl, TaskHandle};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// A file with one token per line. It contains neither credentials nor signed URLs, and only its owner may read it.
pub(crate) struct Saved {
    path: PathBuf,
    tasks: BTreeMap<String, TaskHandle>,
    lines: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    token: ResumeToken,
}

impl Saved {
    /// Creates a new file in this folder, before any submit: a task that cannot be saved should not be started.
    pub(crate) fn create(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("tokens.jsonl");
        match write_new(&path, "") {
            Ok(()) => Ok(Self { path, tasks: BTreeMap::new(), lines: BTreeMap::new() }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let path = path.display();
                Err(format!("{path} holds tasks of an earlier run: --resume it, or choose another --out").into())
            }
            Err(error) => Err(format!("{}: {error}", path.display()).into()),
        }
    }

    /// Opens the file of an earlier run, and returns its tokens.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<(String, ResumeToken)>), Failure> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut tokens = Vec::new();
        let mut lines = BTreeMap::new();
        for line in text.lines() {
            let entry: Entry = serde_json::from_str(line).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = clean(&entry.name);
            lines.insert(name.clone(), line.to_owned());
            tokens.push((name, entry.token));
        }
        Ok((Self { path: path.to_owned(), tasks: BTreeMap::new(), lines }, tokens))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many tasks can be resumed.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns a task's name in this example: its id, as far as that can be the name of a file.
    pub(crate) fn name(&self, id: Option<String>, number: usize) -> String {
        let name = clean(&id.unwrap_or_else(|| "task".into()));
        if self.lines.contains_key(&name) || name == "task" { format!("{name}-{number}") } else { name }
    }

    pub(crate) fn add(&mut self, name: &str, task: TaskHandle) -> io::Result<()> {
        self.tasks.insert(name.to_owned(), task);
        self.refresh(name)?;
        self.write()
    }

    pub(crate) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.tasks.remove(name);
        self.lines.remove(name);
        self.write()
    }

    /// Writes the final state of all tasks, or removes the file if none is left.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return fs::remove_file(&self.path);
        }
        for name in self.tasks.keys().cloned().collect::<Vec<_>>() {
            self.refresh(&name)?;
        }
        self.write()
    }

    fn refresh(&mut self, name: &str) -> io::Result<()> {
        if let Some(task) = self.tasks.get(name) {
            let entry = Entry { name: name.to_owned(), token: task.token() };
            self.lines.insert(name.to_owned(), serde_json::to_string(&entry)?);
        }
        Ok(())
    }

    /// Replaces the contents of the file, atomically.
    fn write(&self) -> io::Result<()> {
        let text: String = self.lines.values().flat_map(|line| [line.as_str(), "\n"]).collect();
        let fresh = self.path.with_extension("new");
        // Left by a run that was killed during a write.
        let _ = fs::remove_file(&fresh);
        write_new(&fresh, &text)?;
        fs::rename(&fresh, &self.path)
    }
}

/// Returns the name of a task's file, with the extension of the link.
pub(crate) fn file_name(name: &str, link: Option<&SecretUrl>) -> String {
    let ending = link.and_then(|link| Path::new(link.split_sas().0).extension()).and_then(|ending| ending.to_str());
    format!("{name}.{}", clean(ending.unwrap_or("json")))
}

/// Returns the name of a file of pages.
pub(crate) fn pages_name(name: &str) -> String {
    format!("{name}.pages")
}

/// Cleans a name that came from a service, or from a file: no part of it may lead out of the folder.
fn clean(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    name.chars().map(plain).take(100).collect()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
