//! Names: those of a target, of its part and of its journal.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The paths of one download to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) target: PathBuf,
    pub(super) part: PathBuf,
    pub(super) journal: PathBuf,
}

impl Names {
    /// Returns the names for a target: its own with `.part` and `.part.json`; if that would be too long for a file
    /// system, a shortened one with a hash of the whole.
    pub(super) fn of(target: &Path) -> Self {
        let name = target.file_name().unwrap_or_default();
        let base = shortened(name).map_or_else(|| target.to_owned(), |short| target.with_file_name(short));
        let part = with(&base, PART);
        Self { target: target.to_owned(), journal: with(&part, JOURNAL), part }
    }
}

fn shortened(name: &OsStr) -> Option<OsString> {
    if name.len() <= LONGEST {
        return None;
    }
    let text = name.to_string_lossy();
    let most = LONGEST - ".0123456789abcdef".len();
    let cut = beginning(&text, most);
    Some(format!("{cut}.{:016x}", hash(name.as_encoded_bytes().iter().copied())).into())
}

/// Returns the beginning of a text, cut between two characters.
fn beginning(text: &str, most: usize) -> &str {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last();
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Appends a suffix to the path.
pub(super) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// FNV-1a: short, and the same on every machine and in every version.
pub(super) fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

const PART: &str = ".part";
const JOURNAL: &str = ".json";
/// Common file systems take 255 bytes; a journal that is being written is `.part`, a dot, 16 digits and `.new` longer.
const LONGEST: usize = 255 - 5 - 21 - 5;
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_has_a_short_part_that_is_found_again() {
        let short = Names::of(Path::new("/a/7.csv"));
        assert_eq!((short.part, short.journal), ("/a/7.csv.part".into(), "/a/7.csv.part.json".into()));
        for name in ["n".repeat(255), "\u{65e5}".repeat(85), "n".repeat(225)] {
            let names = Names::of(&Path::new("/a").join(&name));
            assert!(names.part.file_name().unwrap().len() + 21 <= 255, "{names:?}");
            assert!(names.journal.file_name().unwrap().len() <= 255);
            assert_eq!(names, Names::of(&Path::new("/a").join(&name)));
            let other = Names::of(&Path::new("/a").join(format!("{}x", name.get(..name.len() - 3).unwrap())));
            assert_ne!(names.part, other.part);
        }
    }
}
