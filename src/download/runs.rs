//! Runs: the bytes of a part file that are written, with their checksums.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checksum::{Algorithm, Crcs};

/// A run of bytes that are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) start: u64,
    /// One past the last byte.
    pub(super) end: u64,
    /// The CRC-64/NVME of these bytes; `None` in a journal of version 1.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "to_hex",
        deserialize_with = "from_hex"
    )]
    pub(super) crc: Option<u64>,
}

impl Run {
    /// A run from the start on, of a journal that holds no checksum.
    pub(super) const fn unchecked(end: u64) -> Self {
        Self { start: 0, end, crc: None }
    }

    pub(super) const fn range(&self) -> Range<u64> {
        self.start..self.end
    }
}

#[expect(clippy::ref_option, reason = "serde asks for a reference")]
fn to_hex<S: Serializer>(crc: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match crc {
        Some(crc) => serializer.collect_str(&format_args!("{crc:016x}")),
        None => serializer.serialize_none(),
    }
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    u64::from_str_radix(&text, 16).map(Some).map_err(serde::de::Error::custom)
}

/// All runs of a part, in order, with the checksums that can be put together for the whole.
#[derive(Debug, Default)]
pub(super) struct Runs {
    list: Vec<Written>,
    /// A run ends at this length: a damaged one is fetched again as a whole.
    longest: u64,
}

#[derive(Clone, Debug)]
struct Written {
    start: u64,
    end: u64,
    crcs: Crcs,
}

impl Runs {
    /// Creates the runs of an object of this length. Some thousand runs make a journal of some hundred kilobytes.
    pub(super) fn new(total: Option<u64>) -> Self {
        let longest = total.map_or(0, |total| total / MOST).max(SHORTEST);
        Self { list: Vec::new(), longest }
    }

    /// Adds bytes that were written, with these checksums beside the CRC-64. Each byte is written once.
    pub(super) fn add(&mut self, start: u64, bytes: &[u8], also: &[Algorithm]) {
        let end = start + bytes.len() as u64;
        let place = self.list.partition_point(|run| run.end <= start);
        let before = place.checked_sub(1).and_then(|before| self.list.get_mut(before));
        if let Some(before) = before.filter(|run| run.end == start && run.end - run.start < self.longest) {
            before.crcs.update(bytes);
            before.end = end;
            return;
        }
        let mut crcs = Crcs::new(also);
        crcs.update(bytes);
        self.list.insert(place, Written { start, end, crcs });
    }

    /// Adds a run of a journal, of which these checksums were computed.
    pub(super) fn add_known(&mut self, run: &Run, crcs: Crcs) {
        self.list.push(Written { start: run.start, end: run.end, crcs });
    }

    pub(super) fn bytes(&self) -> u64 {
        self.list.iter().map(|run| run.end - run.start).sum()
    }

    /// Returns the runs for the journal.
    pub(super) fn to_list(&self) -> Vec<Run> {
        let run = |run: &Written| Run { start: run.start, end: run.end, crc: Some(run.crcs.crc64()) };
        self.list.iter().map(run).collect()
    }

    /// Returns the ranges that are missing of an object of this length.
    pub(super) fn gaps(&self, total: u64) -> Vec<Range<u64>> {
        let ends = self.list.iter().map(|run| (run.start, run.end)).chain([(total, total)]);
        let gaps = ends.scan(0, |at, (start, end)| Some(std::mem::replace(at, end)..start));
        gaps.filter(|gap| !gap.is_empty()).collect()
    }

    /// Returns the checksums of the whole; `None` while bytes are missing.
    pub(super) fn whole(&self, total: u64) -> Option<Crcs> {
        if !self.gaps(total).is_empty() {
            return None;
        }
        let mut runs = self.list.iter();
        let Some(first) = runs.next() else { return Some(Crcs::new(&[])) };
        let mut whole = first.crcs;
        for run in runs {
            whole.combine(&run.crcs, run.end - run.start);
        }
        Some(whole)
    }
}

const SHORTEST: u64 = 64 << 20;
const MOST: u64 = 2_048;

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is meant")]
mod tests {
    use super::*;

    fn crcs(bytes: &[u8]) -> Crcs {
        let mut crcs = Crcs::new(&[]);
        crcs.update(bytes);
        crcs
    }

    #[test]
    fn pieces_in_any_order_give_the_checksum_of_the_whole() {
        let bytes: Vec<u8> = (0..5_000_u32).map(|n| u8::try_from(n * n % 251).unwrap()).collect();
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pieces = Vec::new();
            let mut at = 0;
            while at < bytes.len() {
                let length = random.usize(1..700).min(bytes.len() - at);
                pieces.push((at, length));
                at += length;
            }
            random.shuffle(&mut pieces);
            let mut runs = Runs::new(Some(5_000));
            runs.longest = 1_000;
            for (at, length) in pieces {
                assert!(runs.whole(5_000).is_none());
                runs.add(at as u64, &bytes[at..at + length], &[]);
            }
            assert_eq!(runs.bytes(), 5_000);
            assert_eq!(runs.whole(5_000).unwrap().crc64(), crcs(&bytes).crc64(), "seed {seed}");
            let list = runs.to_list();
            assert!(list.windows(2).all(|pair| pair[0].end == pair[1].start));
            for run in list {
                let (start, end) = (usize::try_from(run.start).unwrap(), usize::try_from(run.end).unwrap());
                assert_eq!(run.crc, Some(crcs(&bytes[start..end]).crc64()));
            }
        }
    }

    #[test]
    fn the_gaps_are_what_is_missing() {
        let mut runs = Runs::new(Some(100));
        assert_eq!(runs.gaps(100), [0..100]);
        runs.add(20, &[7; 10], &[]);
        runs.add(30, &[7; 10], &[]);
        runs.add(90, &[7; 10], &[]);
        assert_eq!(runs.gaps(100), [0..20, 40..90]);
        assert_eq!(Runs::new(Some(0)).gaps(0), []);
        assert!(Runs::new(Some(0)).whole(0).is_some());
    }
}
