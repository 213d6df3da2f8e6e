//! Encryption: a secret text as bytes that nobody without the key can read, or change undetected.

use chacha20poly1305::aead::{AeadInOut, Generate, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::key::FileKey;

/// A kind of sealed text. The header before the text names the kind: no kind is mistaken for another, even under the
/// same key.
pub(crate) struct Seal {
    magic: &'static [u8],
    /// The magic and the version, which are authenticated with the text.
    header: &'static [u8],
}

/// The token of a credential, in a file.
pub(super) const TOKEN_FILE: Seal = Seal { magic: b"longhaul token ", header: b"longhaul token 2" };
/// The token of a credential, in a store of several machines.
#[cfg(feature = "redis")]
pub(super) const SHARED_TOKEN: Seal = Seal { magic: b"longhaul login ", header: b"longhaul login 1" };
/// A saved task.
pub(crate) const RESUME_TOKEN: Seal = Seal { magic: b"longhaul task ", header: b"longhaul task 1" };
/// A task in a task store.
pub(crate) const STORED_TASK: Seal = Seal { magic: b"longhaul record ", header: b"longhaul record 1" };

impl Seal {
    /// Encrypts a text: a header, a random nonce, the text, and the tag over all of them and over the place that the
    /// text is bound to, which is empty if it may be read anywhere. `None` if the system has no random numbers.
    pub(crate) fn seal(&self, key: &FileKey, place: &[u8], text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let nonce = XNonce::try_generate().ok()?;
        let mut sealed = Zeroizing::new(Vec::with_capacity(self.header.len() + NONCE + TAG + text.len()));
        sealed.extend_from_slice(self.header);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let (_, body) = sealed.split_at_mut(self.header.len() + nonce.len());
        let tag = cipher(key).encrypt_inout_detached(&nonce, &self.bound(place), body.into()).ok()?;
        sealed.extend_from_slice(&tag);
        Some(sealed)
    }

    /// Decrypts a text that [`seal`](Self::seal) created for this place.
    pub(crate) fn unseal(&self, key: &FileKey, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let Some(rest) = sealed.strip_prefix(self.header) else { return Err(self.unreadable(sealed)) };
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(Unreadable::Cut)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(Unreadable::Cut)?;
        let mut text = Zeroizing::new(body.to_vec());
        cipher(key)
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &self.bound(place),
                text.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| Unreadable::Changed)?;
        Ok(text)
    }

    /// Returns whether [`seal`](Self::seal) created the bytes, in any version.
    pub(super) fn is_sealed(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(self.magic)
    }

    /// Returns the bytes that are authenticated with the text: the header has a fixed length, so that no place is read
    /// as part of it.
    fn bound(&self, place: &[u8]) -> Vec<u8> {
        [self.header, place].concat()
    }

    /// Returns the error for bytes that do not begin with the header.
    fn unreadable(&self, bytes: &[u8]) -> Unreadable {
        if self.header.starts_with(bytes) {
            Unreadable::Cut
        } else if self.is_sealed(bytes) {
            Unreadable::OtherVersion
        } else if bytes.starts_with(b"{") {
            Unreadable::PlainText
        } else {
            Unreadable::Foreign
        }
    }
}

/// The reason why bytes cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Cut,
    OtherVersion,
    /// A text that is not encrypted.
    PlainText,
    /// Bytes of another program.
    Foreign,
    /// Sealed with another key, for another place, or changed since.
    Changed,
}

fn cipher(key: &FileKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(<&Key>::from(key.bytes()))
}

const NONCE: usize = 24;
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: usize = TOKEN_FILE.header.len() + NONCE + TAG;
    const PLACE: &[u8] = b"/var/lib/app/token";
    const TEXT: &[u8] = b"{\"access\":\"T0KEN\"}";

    fn sealed() -> (FileKey, Vec<u8>) {
        let key = FileKey::new([7; 32]);
        let sealed = TOKEN_FILE.seal(&key, PLACE, TEXT).unwrap().to_vec();
        (key, sealed)
    }

    #[test]
    fn reads_what_it_wrote_and_writes_it_each_time_anew() {
        let (key, once) = sealed();
        let again = TOKEN_FILE.seal(&key, PLACE, TEXT).unwrap();
        assert_eq!(once.len(), AROUND + TEXT.len());
        assert_ne!(once, *again);
        assert_eq!(*TOKEN_FILE.unseal(&key, PLACE, &once).unwrap(), TEXT);
        assert_eq!(*TOKEN_FILE.unseal(&key, PLACE, &again).unwrap(), TEXT);
        assert!(!once.windows(5).any(|part| part == b"T0KEN"));
        assert!(TOKEN_FILE.unseal(&key, PLACE, &TOKEN_FILE.seal(&key, PLACE, b"").unwrap()).unwrap().is_empty());
    }

    #[test]
    fn any_changed_bit_is_seen() {
        let (key, sealed) = sealed();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(TOKEN_FILE.unseal(&key, PLACE, &changed).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let (key, sealed) = sealed();
        for length in 0..sealed.len() {
            let cut = TOKEN_FILE.unseal(&key, PLACE, &sealed[..length]).unwrap_err();
            assert_eq!(cut, if length < AROUND { Unreadable::Cut } else { Unreadable::Changed }, "{length}");
        }
        let longer = [sealed.as_slice(), b"x"].concat();
        let newer = [b"longhaul token 3", &sealed[16..]].concat();
        for (bytes, why) in [
            (longer, Unreadable::Changed),
            (newer, Unreadable::OtherVersion),
            (TEXT.to_vec(), Unreadable::PlainText),
            (b"root:x:0:0".to_vec(), Unreadable::Foreign),
        ] {
            assert_eq!(TOKEN_FILE.unseal(&key, PLACE, &bytes), Err(why));
        }
        assert_eq!(TOKEN_FILE.unseal(&FileKey::new([8; 32]), PLACE, &sealed), Err(Unreadable::Changed));
    }

    #[test]
    fn is_for_its_place_alone() {
        let (key, sealed) = sealed();
        for place in ["/var/lib/app/tokens", "/var/lib/app/toke", "token", "", "2/var/lib/app/token"] {
            assert_eq!(TOKEN_FILE.unseal(&key, place.as_bytes(), &sealed), Err(Unreadable::Changed), "{place}");
        }
    }

    #[test]
    fn a_token_file_is_no_resume_token() {
        let (key, sealed) = sealed();
        assert_eq!(RESUME_TOKEN.unseal(&key, PLACE, &sealed), Err(Unreadable::Foreign));
        let task = RESUME_TOKEN.seal(&key, PLACE, TEXT).unwrap();
        assert_eq!(*RESUME_TOKEN.unseal(&key, PLACE, &task).unwrap(), TEXT);
        assert_eq!(TOKEN_FILE.unseal(&key, PLACE, &task), Err(Unreadable::Foreign));
        let renamed = [TOKEN_FILE.header, &task[RESUME_TOKEN.header.len()..]].concat();
        assert_eq!(TOKEN_FILE.unseal(&key, PLACE, &renamed), Err(Unreadable::Changed));
    }
}
