//! Record: the states of a store in a file, so that a crash or a power cut leaves one that is whole.
//!
//! Each write puts a new record where neither the newest record lies nor the two newest *durable* ones, which were
//! written to the disk before their writer went on. A record that was torn has a wrong checksum, and the one before it
//! counts. After a power cut the disk may hold any mixture of what was written since the last durable record, and at
//! least that record is whole. (There are two, because a writer may die between its write and its wait for the disk.)

use std::ops::Range;

use crc_fast::{CrcAlgorithm, checksum};

/// A record in the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    at: usize,
    length: usize,
    generation: u64,
    is_durable: bool,
}

/// The newest record of a file, and the place for the next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Newest<'a> {
    pub(super) payload: &'a [u8],
    generation: u64,
    /// The parts of the file that have to stay.
    kept: Vec<Range<usize>>,
}

/// Why a file has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The file is empty: it was just created.
    Empty,
    /// The file is of another version.
    Version(u8),
    /// The file was never one of these, or all of its records are damaged.
    Damaged,
}

/// Finds the newest record that is whole.
pub(super) fn newest(file: &[u8]) -> Result<Newest<'_>, Unread> {
    if file.is_empty() {
        return Err(Unread::Empty);
    }
    let mut version = None;
    let mut found: Vec<Found> = (0..file.len()).step_by(STEP).filter_map(|at| header(file, at, &mut version)).collect();
    found.sort_unstable_by_key(|record| std::cmp::Reverse(record.generation));
    // A stale record that is torn by a newer one is not whole either.
    let mut whole = found.into_iter().filter(|record| is_whole(file, *record));
    let Some(newest) = whole.next() else {
        return Err(version.map_or(Unread::Damaged, Unread::Version));
    };
    let durable = std::iter::once(newest).chain(whole).filter(|record| record.is_durable).take(2);
    let kept = durable.chain([newest]).map(|record| record.at..record.at + record.length).collect();
    let payload = file.get(newest.at + HEADER..newest.at + newest.length).unwrap_or_default();
    Ok(Newest { payload, generation: newest.generation, kept })
}

/// Returns the record that follows, with its place in the file.
pub(super) fn next(payload: &[u8], newest: Option<&Newest<'_>>, is_durable: bool) -> (u64, Vec<u8>) {
    let generation = newest.map_or(0, |newest| newest.generation) + 1;
    let length = HEADER + payload.len();
    let kept = newest.map_or(&[][..], |newest| &newest.kept);
    let is_free = |at: &usize| kept.iter().all(|kept| *at + length <= kept.start || *at >= kept.end);
    // A place that begins behind all that is kept is always free.
    let at = (0..).step_by(STEP).find(is_free).unwrap_or(0);
    let mut record = Vec::with_capacity(length);
    record.extend_from_slice(MAGIC);
    record.push(VERSION);
    record.push(is_durable.into());
    record.extend_from_slice(&generation.to_le_bytes());
    record.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    record.extend_from_slice(&sum(&record, payload).to_le_bytes());
    record.extend_from_slice(payload);
    (at as u64, record)
}

fn header(file: &[u8], at: usize, version: &mut Option<u8>) -> Option<Found> {
    let header = file.get(at..at + HEADER)?;
    let (magic, rest) = header.split_at_checked(MAGIC.len())?;
    let (own, rest) = rest.split_first()?;
    if magic != MAGIC {
        return None;
    }
    if *own != VERSION {
        *version = Some(*own);
        return None;
    }
    let (flag, rest) = rest.split_first()?;
    let (generation, rest) = rest.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_add(HEADER)?;
    let generation = u64::from_le_bytes(*generation);
    Some(Found { at, length, generation, is_durable: *flag == 1 })
}

fn is_whole(file: &[u8], record: Found) -> bool {
    let whole = record.at.checked_add(record.length).and_then(|end| file.get(record.at..end));
    let Some((header, payload)) = whole.and_then(|whole| whole.split_at_checked(HEADER)) else { return false };
    header.split_last_chunk().is_some_and(|(head, own)| sum(head, payload) == u64::from_le_bytes(*own))
}

fn sum(head: &[u8], payload: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Nvme, head).rotate_left(1) ^ checksum(CrcAlgorithm::Crc64Nvme, payload)
}

/// No text holds these bytes.
const MAGIC: &[u8] = b"\xff\xfelonghaul slots";
const VERSION: u8 = 1;
const HEADER: usize = MAGIC.len() + 2 + 8 + 8 + 8;
/// Records begin at multiples of this.
const STEP: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(file: &mut Vec<u8>, payload: &[u8], is_durable: bool, upto: usize) {
        let (at, record) = {
            let newest = newest(file).ok();
            next(payload, newest.as_ref(), is_durable)
        };
        let (at, record) = (usize::try_from(at).unwrap(), &record[..upto.min(record.len())]);
        file.resize(file.len().max(at + record.len()), 0);
        file[at..at + record.len()].copy_from_slice(record);
    }

    #[test]
    fn a_write_that_is_cut_anywhere_leaves_the_state_before() {
        let payload = vec![b'x'; 200];
        for cut in 0..HEADER + payload.len() {
            let mut file = Vec::new();
            write(&mut file, b"one", true, usize::MAX);
            write(&mut file, b"two", false, usize::MAX);
            write(&mut file, &payload, true, cut);
            assert_eq!(newest(&file).unwrap().payload, b"two", "cut at {cut}");
            write(&mut file, b"three", true, usize::MAX);
            assert_eq!(newest(&file).unwrap().payload, b"three");
        }
    }

    #[test]
    fn what_is_no_store_is_told_apart() {
        assert_eq!(newest(b""), Err(Unread::Empty));
        assert_eq!(newest(b"{\"some\":\"text\"}"), Err(Unread::Damaged));
        let mut file = Vec::new();
        write(&mut file, b"one", true, usize::MAX);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert!(newest(&damaged).is_err(), "{at}");
            assert!(newest(&file[..at]).is_err(), "{at}");
        }
        file[MAGIC.len()] = 9;
        assert_eq!(newest(&file), Err(Unread::Version(9)));
    }

    proptest! {
        /// After a power cut, any of the pages that were written since the last durable record may be torn.
        #[test]
        fn a_power_cut_leaves_the_last_durable_state_or_a_later_one(
            writes in prop::collection::vec((0..12_000_usize, any::<bool>(), any::<u8>()), 1..30),
            torn in any::<u64>(),
        ) {
            let mut file = Vec::new();
            write(&mut file, b"0", true, usize::MAX);
            // The file as it was when the disk last had all of it.
            let (mut on_disk, mut durable) = (file.clone(), 0);
            for (at, (length, is_durable, _)) in writes.iter().enumerate() {
                let payload = format!("{} {}", at + 1, "x".repeat(*length));
                write(&mut file, payload.as_bytes(), *is_durable, usize::MAX);
                if *is_durable {
                    (on_disk, durable) = (file.clone(), at + 1);
                }
            }
            on_disk.resize(file.len(), 0);
            for (page, (new, old)) in file.chunks_mut(512).zip(on_disk.chunks(512)).enumerate() {
                if torn >> (page % 64) & 1 == 1 {
                    new.copy_from_slice(old);
                }
            }
            let newest = newest(&file).unwrap();
            let number = newest.payload.split(|byte| *byte == b' ').next().unwrap();
            let number: usize = std::str::from_utf8(number).unwrap().parse().unwrap();
            prop_assert!((durable..=writes.len()).contains(&number), "{} of {}..={}", number, durable, writes.len());
        }
    }
}
