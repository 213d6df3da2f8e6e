//! Hasher: one checksum of bytes that arrive in order.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512};

use super::{Algorithm, Crcs};

/// The running value of one algorithm.
#[derive(Clone, Debug)]
pub(crate) struct Hasher(Running);

#[derive(Clone, Debug)]
enum Running {
    Crc(Algorithm, Crcs),
    Md5(Md5),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Crc64Nvme | Algorithm::Crc32c | Algorithm::Crc32 => {
                Running::Crc(algorithm, Crcs::new(&[algorithm]))
            }
            Algorithm::Md5 => Running::Md5(Md5::new()),
            Algorithm::Sha256 => Running::Sha256(Sha256::new()),
            Algorithm::Sha512 => Running::Sha512(Sha512::new()),
        })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Running::Crc(_, crcs) => crcs.update(bytes),
            Running::Md5(digest) => digest.update(bytes),
            Running::Sha256(digest) => digest.update(bytes),
            Running::Sha512(digest) => digest.update(bytes),
        }
    }

    /// Returns the value as [`Expected`](super::Expected) holds it: a CRC has its highest byte first.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self.0 {
            Running::Crc(algorithm, crcs) => crcs.value(algorithm).unwrap_or_default(),
            Running::Md5(digest) => digest.finalize().to_vec(),
            Running::Sha256(digest) => digest.finalize().to_vec(),
            Running::Sha512(digest) => digest.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn has_the_published_values() {
        for (algorithm, text, value) in [
            (Algorithm::Crc64Nvme, "123456789", "ae8b14860a799888"),
            (Algorithm::Crc64Nvme, "", "0000000000000000"),
            (Algorithm::Crc32c, "123456789", "e3069283"),
            (Algorithm::Crc32c, "", "00000000"),
            (Algorithm::Crc32, "123456789", "cbf43926"),
            (Algorithm::Md5, "", "d41d8cd98f00b204e9800998ecf8427e"),
            (Algorithm::Md5, "abc", "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Algorithm::Sha512,
                "abc",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            let mut whole = Hasher::new(algorithm);
            whole.update(text.as_bytes());
            let mut parts = Hasher::new(algorithm);
            for byte in text.as_bytes() {
                parts.update(std::slice::from_ref(byte));
            }
            let whole = whole.finish();
            assert_eq!(hex(&whole), value, "{} of {text:?}", algorithm.name());
            assert_eq!(whole, parts.finish(), "{} of {text:?}", algorithm.name());
            assert_eq!(whole.len(), algorithm.len(), "{}", algorithm.name());
        }
    }
}
