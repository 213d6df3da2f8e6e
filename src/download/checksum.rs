//! Checksum: the value that the bytes of a whole object must have, and its running computation.

mod crcs;
mod hasher;
mod members;
mod stated;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub(crate) use self::{crcs::Crcs, hasher::Hasher, stated::stated};

/// A function over the bytes of an object, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    Crc64Nvme,
    Crc32c,
    Crc32,
    Md5,
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 6] =
        [Self::Crc64Nvme, Self::Crc32c, Self::Crc32, Self::Md5, Self::Sha256, Self::Sha512];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "crc64nvme",
            Self::Crc32c => "crc32c",
            Self::Crc32 => "crc32",
            Self::Md5 => "md5",
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    /// Returns whether the values of consecutive parts combine into the value of the whole.
    pub(crate) fn is_crc(self) -> bool {
        matches!(self, Self::Crc64Nvme | Self::Crc32c | Self::Crc32)
    }

    /// The length of a value in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Crc32c | Self::Crc32 => 4,
            Self::Crc64Nvme => 8,
            Self::Md5 => 16,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// The value that somebody states for a whole object. A checksum guards against accidents, and is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    pub(crate) algorithm: Algorithm,
    /// The bytes of a digest; a CRC has its highest byte first.
    pub(crate) value: Vec<u8>,
    /// The header field, or the application.
    pub(crate) stated_by: Cow<'static, str>,
}

impl Expected {
    /// Computes what a file with these bytes must have.
    pub(crate) fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        Self { algorithm, value: hasher.finish(), stated_by: "the bytes that are held".into() }
    }

    /// Compares with what was computed; the error has both values.
    pub(crate) fn compare(&self, computed: &[u8]) -> Result<(), String> {
        if computed == self.value {
            return Ok(());
        }
        let (name, came, wanted) = (self.algorithm.name(), hex(computed), hex(&self.value));
        Err(format!("its {name} is {came}, and {} says {wanted}", self.stated_by))
    }
}

/// A checksum that the application knows from elsewhere: from a manifest, a page or a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum(Expected);

impl Checksum {
    /// Reads a SHA-256: 64 hexadecimal digits in any case. Surrounding white space does not count.
    ///
    /// # Errors
    /// The text is anything else. The error states the given and the wanted length.
    pub fn sha256(hex: &str) -> Result<Self, String> {
        Self::of(Algorithm::Sha256, "a SHA-256", hex)
    }

    /// Reads an MD5: 32 hexadecimal digits in any case. Surrounding white space does not count.
    ///
    /// An MD5 finds an accident. A forger can make two files with the same MD5.
    ///
    /// # Errors
    /// The text is anything else. The error states the given and the wanted length.
    pub fn md5(hex: &str) -> Result<Self, String> {
        Self::of(Algorithm::Md5, "an MD5", hex)
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.0
    }

    fn of(algorithm: Algorithm, what: &str, hex: &str) -> Result<Self, String> {
        let hex = hex.trim();
        let wanted = 2 * algorithm.len();
        let given = hex.chars().count();
        if let Some(other) = hex.chars().find(|char| !char.is_ascii_hexdigit()) {
            let other = other.escape_debug();
            return Err(format!(
                "{what} is {wanted} hexadecimal digits, and the given text has {given} characters, `{other}` among them"
            ));
        }
        if given != wanted {
            return Err(format!("{what} is {wanted} hexadecimal digits, and the given text has {given}"));
        }
        let digits: Vec<u8> =
            hex.chars().filter_map(|char| char.to_digit(16)).filter_map(|digit| digit.try_into().ok()).collect();
        let value = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        Ok(Self(Expected { algorithm, value, stated_by: "the application".into() }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hexadecimal_digits_in_any_case() {
        let lower = "900150983cd24fb0d6963f7d28e17f72";
        let upper = format!(" {}\n", lower.to_uppercase());
        let expected = Checksum::md5(lower).unwrap();
        assert_eq!(Checksum::md5(&upper), Ok(expected.clone()));
        let expected = expected.expected();
        assert_eq!((expected.algorithm, expected.value.len()), (Algorithm::Md5, 16));
        assert_eq!(expected.value.first_chunk(), Some(&[0x90, 0x01, 0x50, 0x98]));
        assert_eq!(Checksum::sha256(&"aF".repeat(32)).unwrap().expected().value, [0xaf; 32]);
    }

    #[test]
    fn an_error_states_the_given_and_the_wanted_text() {
        for (given, wanted) in [
            ("", "a SHA-256 is 64 hexadecimal digits, and the given text has 0"),
            (&"a".repeat(63), "a SHA-256 is 64 hexadecimal digits, and the given text has 63"),
            (&"a".repeat(65), "a SHA-256 is 64 hexadecimal digits, and the given text has 65"),
            (
                "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
                "a SHA-256 is 64 hexadecimal digits, and the given text has 44 characters, `u` among them",
            ),
            (
                &format!("{}é", "0".repeat(63)),
                "a SHA-256 is 64 hexadecimal digits, and the given text has 64 characters, `é` among them",
            ),
            (
                &format!("0x{}", "0".repeat(62)),
                "a SHA-256 is 64 hexadecimal digits, and the given text has 64 characters, `x` among them",
            ),
        ] {
            assert_eq!(Checksum::sha256(given), Err(wanted.to_owned()), "{given}");
        }
        assert_eq!(Checksum::md5("abc"), Err("an MD5 is 32 hexadecimal digits, and the given text has 3".to_owned()));
    }
}
