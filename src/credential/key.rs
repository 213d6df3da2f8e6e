//! FileKey: the key of a token file or a resume token.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// The 32 random bytes that a token file or a [sealed resume token](crate::ResumeToken::seal) is encrypted with.
///
/// A key is not a passphrase: no key stretching makes it harder to guess. Keep it apart from the file, in the
/// environment or in the secret store of your platform. A key is never shown, and is wiped from memory when it is
/// dropped.
///
/// ```
/// use longhaul::credentials::FileKey;
///
/// // As `openssl rand -base64 32` makes one.
/// let key = FileKey::from_base64("5kDl7dTMLDcZ1mWmCLZeXUlyD7Ov4V4sMpKVz0v1pF0=")?;
/// assert_eq!(format!("{key:?}"), "FileKey([redacted])");
/// # Ok::<(), longhaul::Error>(())
/// ```
pub struct FileKey(Box<Zeroizing<[u8; Self::LENGTH]>>);

impl FileKey {
    /// The length of a key in bytes.
    pub const LENGTH: usize = 32;

    /// Creates a key from these bytes, which must be random.
    #[must_use]
    pub fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// Parses base64, with or without padding and surrounding white space.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] if the text is not base64, or not of 32 bytes; the text is not shown.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| {
            let how = "make one with `openssl rand -base64 32`, and give it whole";
            Error::new(ErrorKind::Store, format!("the key is {what}; {how}"))
        };
        // A decoder's message may quote the text.
        let bytes = LENIENT.decode(text.trim()).map_err(|_| wrong("no base64".to_owned()))?;
        let bytes = Zeroizing::new(bytes);
        match <&[u8; Self::LENGTH]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(Self::new(*bytes)),
            Err(_) => Err(wrong(format!("of {} bytes instead of {}", bytes.len(), Self::LENGTH))),
        }
    }

    pub(super) fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl From<[u8; Self::LENGTH]> for FileKey {
    fn from(bytes: [u8; Self::LENGTH]) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey([redacted])")
    }
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_key_of_32_bytes_and_shows_none_of_what_is_wrong() {
        let good = LENIENT.encode([7; 32]);
        for text in [good.clone(), format!(" {good}\n"), good.trim_end_matches('=').to_owned()] {
            assert_eq!(FileKey::from_base64(&text).unwrap().bytes(), &[7; 32], "{text}");
        }
        for (text, why) in [
            (String::new(), "of 0 bytes instead of 32"),
            (LENIENT.encode([7; 31]), "of 31 bytes"),
            (LENIENT.encode([7; 33]), "of 33 bytes"),
            (format!("{good}AAAA"), "no base64"),
            ("hunter2!".to_owned(), "no base64"),
        ] {
            let error = FileKey::from_base64(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Store);
            assert!(error.to_string().contains(why) && error.to_string().contains("openssl rand"), "{error}");
            assert!(text.is_empty() || !format!("{error} {error:?}").contains(&text), "{error}");
        }
    }
}
