//! Signature: the proof that a webhook comes from the service.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret that the service and this program share. A webhook carries `sha256=` and the HMAC-SHA256 of its body, in
/// hex.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// Takes the secret as the service shows it.
    pub fn new(secret: &str) -> Result<Self, hmac::digest::InvalidLength> {
        Ok(Self(Hmac::new_from_slice(secret.as_bytes())?))
    }

    /// Returns the signature of a body, as the service sends it.
    pub fn sign(&self, body: &[u8]) -> String {
        let digest = self.0.clone().chain_update(body).finalize().into_bytes();
        digest.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// Returns whether the signature is that of the body. The comparison takes the same time wherever they differ.
    pub fn verifies(&self, body: &[u8], signature: &str) -> bool {
        let Some(digest) = signature.strip_prefix("sha256=").and_then(from_hex) else { return false };
        self.0.clone().chain_update(body).verify_slice(&digest).is_ok()
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits?.chunks(2).map(byte).collect()
}
