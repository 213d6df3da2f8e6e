//! Crcs: the running cyclic redundancy checks of one run of bytes, which combine with those of the next run.

use crc_fast::{CrcAlgorithm, Digest, checksum_combine};

use super::Algorithm;

/// The CRC-64/NVME of a run, and the CRC-32C and the CRC-32 if they are wanted.
///
/// Each field holds the value of the bytes so far, and the value of no bytes is 0. Runs of one object, combined in
/// order, have the values of the whole, whatever the order of their arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crcs {
    crc64: u64,
    crc32c: Option<u64>,
    crc32: Option<u64>,
}

impl Crcs {
    /// Begins a run. The CRC-64/NVME always counts, and digests in `also` do not.
    pub(crate) fn new(also: &[Algorithm]) -> Self {
        let wanted = |algorithm| also.contains(&algorithm).then_some(0);
        Self { crc64: 0, crc32c: wanted(Algorithm::Crc32c), crc32: wanted(Algorithm::Crc32) }
    }

    pub(crate) fn crc64(&self) -> u64 {
        self.crc64
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.crc64 = continued(CrcAlgorithm::Crc64Nvme, self.crc64, bytes);
        self.crc32c = self.crc32c.map(|value| continued(CrcAlgorithm::Crc32Iscsi, value, bytes));
        self.crc32 = self.crc32.map(|value| continued(CrcAlgorithm::Crc32IsoHdlc, value, bytes));
    }

    /// Appends the run that follows this one, and has `next_len` bytes. A value that one of both lacks is lost.
    pub(crate) fn combine(&mut self, next: &Self, next_len: u64) {
        let both = |kind, value: Option<u64>, next: Option<u64>| {
            value.zip(next).map(|(value, next)| checksum_combine(kind, value, next, next_len))
        };
        self.crc64 = checksum_combine(CrcAlgorithm::Crc64Nvme, self.crc64, next.crc64, next_len);
        self.crc32c = both(CrcAlgorithm::Crc32Iscsi, self.crc32c, next.crc32c);
        self.crc32 = both(CrcAlgorithm::Crc32IsoHdlc, self.crc32, next.crc32);
    }

    /// Returns the value of the bytes so far, its highest byte first, if it is counted.
    pub(crate) fn value(&self, algorithm: Algorithm) -> Option<Vec<u8>> {
        let value = match algorithm {
            Algorithm::Crc64Nvme => Some(self.crc64),
            Algorithm::Crc32c => self.crc32c,
            Algorithm::Crc32 => self.crc32,
            Algorithm::Md5 | Algorithm::Sha256 | Algorithm::Sha512 => None,
        };
        value.map(|value| value.to_be_bytes().into_iter().skip(8 - algorithm.len()).collect())
    }
}

/// Returns the value of a run and of the bytes after it.
fn continued(kind: CrcAlgorithm, value: u64, bytes: &[u8]) -> u64 {
    // The three begin with all ones, and end by inverting each bit.
    let ones = if matches!(kind, CrcAlgorithm::Crc64Nvme) { u64::MAX } else { u64::from(u32::MAX) };
    let mut digest = Digest::new_with_init_state(kind, value ^ ones);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALSO: [Algorithm; 2] = [Algorithm::Crc32c, Algorithm::Crc32];

    fn only_crc64(crc64: u64) -> Crcs {
        Crcs { crc64, ..Crcs::new(&[]) }
    }

    fn of(bytes: &[u8]) -> Crcs {
        let mut crcs = Crcs::new(&ALSO);
        crcs.update(bytes);
        crcs
    }

    /// The definition, one bit after the other.
    fn by_bits(polynomial: u64, ones: u64, bytes: &[u8]) -> u64 {
        bytes.iter().fold(ones, |value, byte| {
            (0..8).fold(
                value ^ u64::from(*byte),
                |value, _| {
                    if value & 1 == 1 { value >> 1 ^ polynomial } else { value >> 1 }
                },
            )
        }) ^ ones
    }

    #[test]
    fn has_the_check_values_of_the_catalogue() {
        let crcs = of(b"123456789");
        assert_eq!(crcs.crc64(), 0xAE8B_1486_0A79_9888);
        assert_eq!(crcs.value(Algorithm::Crc64Nvme), Some(vec![0xAE, 0x8B, 0x14, 0x86, 0x0A, 0x79, 0x98, 0x88]));
        assert_eq!(crcs.value(Algorithm::Crc32c), Some(vec![0xE3, 0x06, 0x92, 0x83]));
        assert_eq!(crcs.value(Algorithm::Crc32), Some(vec![0xCB, 0xF4, 0x39, 0x26]));
    }

    #[test]
    fn counts_what_is_wanted_alone() {
        for (also, counted) in [
            (&[][..], [true, false, false, false, false, false]),
            (&[Algorithm::Crc32c], [true, true, false, false, false, false]),
            (&[Algorithm::Crc32, Algorithm::Md5], [true, false, true, false, false, false]),
            (&Algorithm::ALL, [true, true, true, false, false, false]),
        ] {
            let crcs = Crcs::new(also);
            assert_eq!(Algorithm::ALL.map(|algorithm| crcs.value(algorithm).is_some()), counted, "{also:?}");
        }
    }

    #[test]
    fn loses_a_value_that_one_of_both_lacks() {
        let mut crcs = of(b"1234");
        crcs.combine(&only_crc64(of(b"56789").crc64()), 5);
        assert_eq!(crcs, only_crc64(0xAE8B_1486_0A79_9888));
    }

    #[test]
    fn combines_runs_that_are_longer_than_32_bits_count() {
        // Zero bytes, doubled until there are 2^36 of them.
        let mut crcs = of(&[0; 1 << 16]);
        for bits in 16..36 {
            let next = crcs;
            crcs.combine(&next, 1 << bits);
        }
        let mut other = of(&[]);
        for _ in 0..16 {
            let mut quarter = of(&[0; 1 << 16]);
            for bits in 16..32 {
                let next = quarter;
                quarter.combine(&next, 1 << bits);
            }
            other.combine(&quarter, 1 << 32);
        }
        assert_eq!(crcs, other);
    }

    proptest! {
        #[test]
        fn equals_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
            let crcs = of(&bytes);
            let ones = u64::from(u32::MAX);
            prop_assert_eq!(crcs.crc64, by_bits(0x9A6C_9329_AC4B_C9B5, u64::MAX, &bytes));
            prop_assert_eq!(crcs.crc32c, Some(by_bits(0x82F6_3B78, ones, &bytes)));
            prop_assert_eq!(crcs.crc32, Some(by_bits(0xEDB8_8320, ones, &bytes)));
        }

        #[test]
        fn runs_combine_to_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..4000),
            mut cuts in prop::collection::vec(0_usize..4000, 0..6),
        ) {
            for cut in &mut cuts {
                *cut = (*cut).min(bytes.len());
            }
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut begin, mut combined, mut updated) = (0, Crcs::new(&ALSO), Crcs::new(&ALSO));
            for end in cuts {
                let run = &bytes[begin..end];
                combined.combine(&of(run), run.len() as u64);
                updated.update(run);
                begin = end;
            }
            prop_assert_eq!(combined, of(&bytes));
            prop_assert_eq!(updated, of(&bytes));
        }

        #[test]
        fn a_run_continues_from_its_value(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 0_usize..600) {
            let (before, after) = bytes.split_at(cut.min(bytes.len()));
            let mut crcs = only_crc64(of(before).crc64());
            crcs.update(after);
            prop_assert_eq!(crcs.crc64(), of(&bytes).crc64());
        }
    }
}
