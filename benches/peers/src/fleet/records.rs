//! Records: how often the files of shared limits were written, which is how often they were called.

use std::fs;
use std::io;
use std::path::Path;

/// How many records were written to all files of a folder. Each call of a store writes one, with a number that grows by one.
pub(super) fn written(folder: &Path) -> io::Result<u64> {
    let mut written = 0;
    for entry in fs::read_dir(folder)? {
        let bytes = fs::read(entry?.path())?;
        written += (0..bytes.len()).step_by(STEP).filter_map(|at| number(bytes.get(at..)?)).max().unwrap_or(0);
    }
    Ok(written)
}

fn number(record: &[u8]) -> Option<u64> {
    // The version, and whether the record is durable.
    let (_, rest) = record.strip_prefix(MAGIC)?.split_at_checked(2)?;
    rest.first_chunk().map(|number| u64::from_le_bytes(*number))
}

/// The format of `Throttle::file`, version 1.
const MAGIC: &[u8] = b"\xff\xfelonghaul slots";
const STEP: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longhaul::limits::{Priority, RequestKey};
    use longhaul::{Limit, Throttle};

    use super::*;
    use crate::fleet::Folder;

    #[tokio::test]
    async fn a_call_of_the_file_is_counted() {
        let folder = Folder::new().unwrap();
        let throttle = Throttle::file(folder.0.join("0")).unwrap();
        throttle.add_limit(Limit::per(4, Duration::from_secs(1))).unwrap();
        let before = written(&folder.0).unwrap();
        throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap().answered();
        assert!(before >= 1 && written(&folder.0).unwrap() > before);
    }
}
