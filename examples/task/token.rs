//! The resume token as a file that only its owner reads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longhaul::TaskHandle;

/// Writes the token beside `file`, then gives it that name: whoever looks sees a whole token or none.
///
/// Where the service signs its status URLs, the token has them: without, there would be nothing to go on with.
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

/// Says, before anything is sent, whether a token can be written there.
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
