//! Mask: secrets by their values, and a service's words without them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use super::Secret;

/// Secrets that a service was sent, to be taken out of what it says.
pub(crate) struct Mask(Vec<Secret>);

impl Mask {
    /// Those of fewer than 4 bytes are left out: they stand in any text.
    pub(crate) fn of(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut all: Vec<Secret> = Vec::new();
        for secret in secrets {
            let forms = [trimmed(&secret), in_a_form(&secret), in_a_url(&secret)];
            for form in forms.into_iter().filter(|form| form.expose().len() >= LEAST) {
                if !all.contains(&form) {
                    all.push(form);
                }
            }
        }
        // One that holds another goes first.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(all)
    }

    /// The text without them. Where it was cut inside of one, without the beginning of that.
    pub(crate) fn hide(&self, text: &str) -> String {
        let secrets = || self.0.iter().map(Secret::expose);
        let cut = secrets().filter_map(|secret| begins(secret, text)).max().unwrap_or_default();
        let (whole, beginning) = text.split_at(text.len().saturating_sub(cut));
        let mut shown = secrets().fold(whole.to_owned(), |text, secret| text.replace(secret, "…"));
        if !beginning.is_empty() {
            shown.push('…');
        }
        shown
    }

    /// As [`hide`](Self::hide), of a text that may be missing.
    pub(crate) fn hide_in(&self, text: Option<&str>) -> Option<String> {
        text.map(|text| self.hide(text))
    }
}

/// How many bytes at the text's end are the beginning of a secret.
fn begins(secret: &str, text: &str) -> Option<usize> {
    let lengths = (LEAST_BEGINNING..secret.len()).rev();
    lengths.into_iter().find(|length| secret.get(..*length).is_some_and(|beginning| text.ends_with(beginning)))
}

fn trimmed(secret: &Secret) -> Secret {
    Secret::new(secret.expose().trim())
}

fn in_a_form(secret: &Secret) -> Secret {
    Secret::new(url::form_urlencoded::byte_serialize(secret.expose().as_bytes()).collect::<String>())
}

fn in_a_url(secret: &Secret) -> Secret {
    Secret::new(percent_encoding::utf8_percent_encode(secret.expose(), RESERVED).to_string())
}

/// All but what a URL may hold anywhere (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A shorter one is a word of any text.
const LEAST: usize = 4;
/// A shorter beginning may be the end of any text.
const LEAST_BEGINNING: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_secrets_out_however_they_are_written() {
        let mask = Mask::of(["K3Y/ONE+2", "abc", "S3CRET", "S3CRET-AND-MORE"].map(Secret::new));
        for (text, shown) in [
            ("the key K3Y/ONE+2 is wrong", "the key … is wrong"),
            ("?key=K3Y%2FONE%2B2&a=1", "?key=…&a=1"),
            ("abc is short", "abc is short"),
            ("S3CRET-AND-MORE, S3CRET", "…, …"),
            ("it was cut: K3Y/ON", "it was cut: …"),
            ("it was cut: S3CRET-AND-", "it was cut: …"),
            ("K3Y/O", "K3Y/O"),
            ("", ""),
        ] {
            assert_eq!(mask.hide(text), shown, "{text}");
        }
    }
}
