//! Space: what a file system is asked for beyond std: positioned reads and writes, room for a file, attributes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

#[cfg(unix)]
pub(super) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                at += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads some bytes at an offset; none at the end of the file.
#[cfg(unix)]
pub(super) fn read_at(file: &File, space: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match std::os::unix::fs::FileExt::read_at(file, space, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, space: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, space, at)
}

/// Makes room for the missing ranges of a file of this length. A disk without enough room is an error now, instead of
/// after hours.
#[cfg(unix)]
pub(super) fn reserve(file: &File, total: u64, missing: &[Range<u64>]) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let missing_bytes: u64 = missing.iter().map(|range| range.end - range.start).sum();
    // What an earlier call reserved, and did not fill, is this file's already.
    let held = file.metadata()?.blocks().saturating_mul(512);
    let needed = missing_bytes.min(total.saturating_sub(held));
    if let Ok(found) = rustix::fs::fstatvfs(file) {
        let available = available(&found);
        // A file system that counts no blocks says nothing about its room.
        if found.f_blocks > 0 && needed > available {
            return Err(full(needed, available));
        }
    }
    if needed < WORTH_RESERVING || is_in_memory(file) {
        return Ok(());
    }
    missing.iter().try_for_each(|range| allocate(file, range))
}

#[cfg(not(unix))]
pub(super) fn reserve(_: &File, _: u64, _: &[Range<u64>]) -> io::Result<()> {
    Ok(())
}

/// Reserves blocks; the length of the file stays. Not every file system can.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn allocate(file: &File, range: &Range<u64>) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};

    match fallocate(file, FallocateFlags::KEEP_SIZE, range.start, range.end - range.start) {
        Err(error)
            if matches!(io::Error::from(error).kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
        {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn allocate(_: &File, _: &Range<u64>) -> io::Result<()> {
    Ok(())
}

/// A file system in memory fills what it reserves with zeros, which takes as long as the writing.
#[cfg(target_os = "linux")]
fn is_in_memory(file: &File) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type == TMPFS)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_in_memory(_: &File) -> bool {
    false
}

#[cfg(unix)]
fn available(found: &rustix::fs::StatVfs) -> u64 {
    found.f_bavail.saturating_mul(found.f_frsize)
}

/// Adds to the error of a write how many bytes are still missing, and how many are free.
#[cfg(unix)]
pub(super) fn with_room(error: io::Error, file: &File, missing: u64) -> io::Error {
    if error.kind() != io::ErrorKind::StorageFull {
        return error;
    }
    let free = rustix::fs::fstatvfs(file).ok().map(|found| available(&found)).filter(|free| *free < missing);
    free.map_or(error, |free| full(missing, free))
}

#[cfg(not(unix))]
pub(super) fn with_room(error: io::Error, _: &File, _: u64) -> io::Error {
    error
}

#[cfg(unix)]
fn full(needed: u64, available: u64) -> io::Error {
    let why = format!(
        "{needed} more bytes are needed, and the file system has {available} free: make room, or choose another folder"
    );
    io::Error::new(io::ErrorKind::StorageFull, why)
}

/// Renames a file to a name that must be free, in one step where the system has one.
pub(super) fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;

        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return done.map_err(io::Error::from),
        }
    }
    // A second name is made only if it is free; not every file system has second names.
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if std::fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

/// Returns whether a lock failed because the file system has none.
#[cfg(unix)]
pub(super) fn lacks_locks(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let known = [Errno::NOLCK, Errno::NOSYS, Errno::BADF, Errno::OPNOTSUPP, Errno::INVAL];
    error.raw_os_error().is_some_and(|code| known.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(not(unix))]
pub(super) fn lacks_locks(_: &io::Error) -> bool {
    false
}

/// Keeps a record with a file, where the file system can: the file is not less complete without it.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn set_attribute(file: &File, record: &[u8]) {
    if let Err(error) = rustix::fs::fsetxattr(file, ATTRIBUTE, record, rustix::fs::XattrFlags::empty()) {
        tracing::debug!(%error, "the file system keeps no attributes: the ETag of the file is not known later");
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn attribute(file: &File) -> Option<Vec<u8>> {
    let mut record = vec![0; LONGEST_RECORD];
    let length = rustix::fs::fgetxattr(file, ATTRIBUTE, &mut record[..]).ok()?;
    record.truncate(length);
    Some(record)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn set_attribute(_: &File, _: &[u8]) {}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn attribute(_: &File) -> Option<Vec<u8>> {
    None
}

/// The extended attribute of a finished file.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const ATTRIBUTE: &str = "user.longhaul.result";
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const LONGEST_RECORD: usize = 4_096;
/// Less is written within the time that a request takes.
#[cfg(unix)]
const WORTH_RESERVING: u64 = 1 << 20;
