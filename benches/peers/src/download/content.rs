//! Content: bytes that follow from their offset alone, so that each place of a file can be checked.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use crate::Failure;

/// How many bytes are made and written at once.
const BLOCK: usize = 1 << 20;

/// Fills a buffer with what stands at an offset.
pub(super) fn fill(offset: u64, buffer: &mut [u8]) {
    // The bytes before the first whole word.
    let skip = (offset % WORD) as usize;
    let (head, rest) = buffer.split_at_mut(buffer.len().min((WORD as usize - skip) % WORD as usize));
    for (to, byte) in head.iter_mut().zip(word(offset / WORD).into_iter().skip(skip)) {
        *to = byte;
    }
    let (words, tail) = rest.as_chunks_mut::<{ WORD as usize }>();
    let mut at = offset.div_ceil(WORD);
    for to in words {
        *to = word(at);
        at += 1;
    }
    for (to, byte) in tail.iter_mut().zip(word(at)) {
        *to = byte;
    }
}

/// Writes the first bytes into a file.
pub(super) fn write(path: &Path, length: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    while at < length {
        let part = part_of(&mut block, length - at);
        fill(at, part);
        file.write_all(part)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// Compares a whole file with what it should hold.
pub(super) fn check(path: &Path, length: u64) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| format!("no file: {error}"))?;
    let found = file.metadata()?.len();
    if found != length {
        return Err(format!("{found} bytes, and not {length}").into());
    }
    let half = length / 2 / BLOCK as u64 * BLOCK as u64;
    thread::scope(|scope| {
        let first = scope.spawn(|| compare(&file, 0, half));
        compare(&file, half, length)?;
        first.join().map_err(|_| "panicked")?
    })
}

fn compare(file: &File, mut at: u64, end: u64) -> Result<(), Failure> {
    // Small enough for a cache.
    let (mut read, mut made) = (vec![0; BLOCK / 8], vec![0; BLOCK / 8]);
    while at < end {
        let (read, made) = (part_of(&mut read, end - at), part_of(&mut made, end - at));
        file.read_exact_at(read, at)?;
        fill(at, made);
        if read != made {
            return Err(format!("other bytes than the server's near {at}").into());
        }
        at += read.len() as u64;
    }
    Ok(())
}

fn part_of(block: &mut [u8], left: u64) -> &mut [u8] {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
    block.split_at_mut(length).0
}

/// Splitmix64: no two places look alike.
fn word(at: u64) -> [u8; WORD as usize] {
    let mut x = at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x51ed_270b_0929_1d4f);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)).to_le_bytes()
}

const WORD: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_the_same_as_in_the_whole() {
        let mut whole = [0; 64];
        fill(0, &mut whole);
        for first in 0..40 {
            for length in 0..24 {
                let mut part = vec![0; length];
                fill(first as u64, &mut part);
                assert_eq!(part, whole[first..first + length], "{length} bytes at {first}");
            }
        }
    }

    #[test]
    fn a_changed_a_short_and_a_missing_file_are_found() {
        let path = std::env::temp_dir().join(format!("longhaul-peers-content-{}", std::process::id()));
        let length = BLOCK as u64 + 5;
        write(&path, length).unwrap();
        check(&path, length).unwrap();
        assert!(check(&path, length + 1).is_err());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[BLOCK + 2] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let seen = check(&path, length).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen, "other bytes than the server's near 1048576");
        assert!(check(&path, length).is_err());
    }
}
