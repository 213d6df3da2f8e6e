//! The resume token in a file that only its owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longhaul::TaskHandle;

/// Writes the token beside `file`, then renames it: a reader sees a whole token or none.
///
/// If the service signs its status URLs, the token contains them: without them, the task could not be resumed.
pub(crate) fn write(file: &Path, task: &TaskHandle) -> io::Result<()> {
    let plain = task.token();
    let token = if plain.can_resume() { plain } else { task.token_with_signed_urls() };
    let part = part_of(file);
    let written = private(&part).and_then(|mut open| {
        writeln!(open, "{token}")?;
        open.sync_all()
    });
    written.and_then(|()| fs::rename(&part, file)).inspect_err(|_| drop(fs::remove_file(&part)))
}

/// Checks, before any request is sent, that a token can be written to this path.
pub(crate) fn check(file: &Path) -> io::Result<()> {
    let part = part_of(file);
    private(&part).and_then(|_| fs::remove_file(&part))
}

fn part_of(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.{}", std::process::id()))
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
