//! Base64: the forms of a secret inside base64, wherever it stands in the encoded data.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Secret;

/// Returns the part that is equal in every base64 text over the secret, for each position in a group of three bytes
/// where the secret may begin; in both alphabets. A position with too short an equal part is left out.
pub(super) fn forms(secret: &Secret) -> Vec<Secret> {
    let mut forms = Vec::new();
    for shift in 0..3 {
        let bytes = zeroize::Zeroizing::new([vec![0; shift].as_slice(), secret.expose().as_bytes()].concat());
        let encoded = Secret::new(STANDARD_NO_PAD.encode(bytes.as_slice()));
        // Characters that hold bits of a neighbor are not the secret's own. A short secret is searched for only as
        // encoded alone.
        let alone = shift == 0 && bytes.len() < LEAST_WITHIN;
        let begin = (shift * 8).div_ceil(6);
        let end = if alone { encoded.expose().len() } else { bytes.len() * 8 / 6 };
        let Some(own) = encoded.expose().get(begin..end) else { continue };
        if alone || own.len() >= LEAST {
            let in_urls = own.replace('+', "-").replace('/', "_");
            if in_urls != own {
                forms.push(Secret::new(in_urls));
            }
            forms.push(Secret::new(own));
        }
    }
    forms
}

/// Returns whether a character may occur in base64, of either alphabet.
pub(super) const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// Fewer characters occur in other texts too.
const LEAST: usize = 8;
/// A secret of fewer bytes yields fewer characters than that.
const LEAST_WITHIN: usize = 6;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn one_of_them_stands_in_every_text_over_the_secret() {
        for secret in ["S3CRET-K3Y", "abcdefgh", "\u{ff}\u{fe}?>~\u{ff}\u{fe}?>~"] {
            let forms = forms(&Secret::new(secret));
            for before in ["", "u", "us", "user:", "Bearer "] {
                for after in ["", ":", "::", " and more"] {
                    let pair = format!("{before}{secret}{after}");
                    for text in [STANDARD.encode(&pair), URL_SAFE_NO_PAD.encode(&pair)] {
                        assert!(forms.iter().any(|form| text.contains(form.expose())), "{pair}: {text}");
                    }
                }
            }
        }
        let short = forms(&Secret::new("abcd"));
        assert_eq!(short.iter().map(Secret::expose).collect::<Vec<_>>(), ["YWJjZA"]);
    }
}
