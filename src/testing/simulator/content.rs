//! The bytes of a result: computed at any offset, never held as a whole.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// The expected bytes of one result.
///
/// The bytes depend on the task and the version of its result alone, so a test can check a download of any size without
/// a second copy of it:
///
/// ```
/// use longhaul::testing::Simulator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let service = Simulator::start().await?;
/// assert_eq!(service.expected("no such task"), None);
/// # Ok(())
/// # }
/// ```
///
/// The value is valid at the moment of the call: after [`Simulator::replace_results`], request it again.
///
/// [`Simulator::replace_results`]: super::Simulator::replace_results
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    seed: u64,
    len: u64,
}

impl Content {
    pub(super) fn new(uid: &str, version: u64, len: u64) -> Self {
        let named = uid.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        Self { seed: mix(named ^ mix(version)), len }
    }

    /// Returns the number of bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes of `range`, without the part of it beyond the end.
    ///
    /// The result is held in memory; to check a large range, use [`verify`](Self::verify).
    pub fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        let skipped = usize::try_from(start % BLOCK).unwrap_or_default();

        let mut bytes = Vec::with_capacity(length.saturating_add(2 * BLOCK_BYTES));
        for block in start / BLOCK..end.div_ceil(BLOCK) {
            bytes.extend_from_slice(&self.block(block));
        }
        bytes.drain(..skipped.min(bytes.len()));
        bytes.truncate(length);
        bytes
    }

    /// Returns whether `reader` yields exactly these bytes: all of them, and nothing after them.
    ///
    /// Reads up to the first difference, 64 KiB at a time.
    ///
    /// # Errors
    /// The error of the reader, other than [`ErrorKind::Interrupted`].
    pub fn verify(&self, mut reader: impl Read) -> io::Result<bool> {
        let mut buffer = vec![0; PORTION];
        let mut at = 0_u64;
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(0) => return Ok(at == self.len),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            if buffer.get(..length) != Some(self.bytes(at..end).as_slice()) {
                return Ok(false);
            }
            at = end;
        }
    }

    /// Returns a strong entity tag, in quotes: different bytes have a different tag.
    pub(super) fn entity_tag(&self) -> String {
        format!("\"0x{:016X}\"", mix(self.seed ^ self.len))
    }

    fn block(&self, index: u64) -> [u8; BLOCK_BYTES] {
        mix(self.seed.wrapping_add(index.wrapping_mul(GOLDEN))).to_le_bytes()
    }
}

/// The finalizer of SplitMix64: one changed bit in, half the bits changed out.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const BLOCK: u64 = 8;
const BLOCK_BYTES: usize = 8;
const PORTION: usize = 64 * 1024;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_equals_that_part_of_the_whole() {
        let content = Content::new("task", 0, 1_003);
        let whole = content.bytes(0..content.len());
        assert_eq!(whole.len(), 1_003);
        for (start, end) in [(0, 0), (0, 1), (3, 5), (7, 9), (8, 16), (15, 1_003), (1_002, 1_003)] {
            let part = content.bytes(start as u64..end as u64);
            assert_eq!(part, whole[start..end], "{start}..{end}");
        }
    }

    #[test]
    fn a_range_behind_the_end_is_cut_there() {
        let content = Content::new("task", 0, 10);
        assert_eq!(content.bytes(4..400), content.bytes(4..10));
        assert!(content.bytes(11..400).is_empty());
        #[expect(clippy::reversed_empty_ranges, reason = "a caller may do so")]
        let backwards = content.bytes(5..2);
        assert!(backwards.is_empty());
    }

    #[test]
    fn the_far_end_of_a_huge_result_costs_no_memory() {
        let content = Content::new("task", 0, u64::MAX);
        assert_eq!(content.bytes(u64::MAX - 3..u64::MAX).len(), 3);
    }

    #[test]
    fn another_task_or_version_has_other_bytes_and_another_tag() {
        let one = Content::new("task", 0, 64);
        for other in [Content::new("task", 1, 64), Content::new("tasks", 0, 64)] {
            assert_ne!(one.bytes(0..64), other.bytes(0..64));
            assert_ne!(one.entity_tag(), other.entity_tag());
        }
        assert_eq!(one, Content::new("task", 0, 64));
    }

    #[test]
    fn verifies_all_and_only_all() {
        let content = Content::new("task", 3, 200_000);
        let mut bytes = content.bytes(0..200_000);
        assert!(content.verify(bytes.as_slice()).unwrap());
        assert!(!content.verify(&bytes[..199_999]).unwrap());
        bytes[150_000] ^= 1;
        assert!(!content.verify(bytes.as_slice()).unwrap());
        bytes[150_000] ^= 1;
        bytes.push(0);
        assert!(!content.verify(bytes.as_slice()).unwrap());
    }
}
