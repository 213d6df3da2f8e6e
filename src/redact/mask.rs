//! Mask: removes known secrets from a service's words.

use std::ops::Range;

use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::written::{self, Written};
use super::{Secret, base64};

/// The secrets that were sent to a service, to be removed from its answers.
///
/// Secrets are found plain, percent-encoded in either case, escaped as in JSON, HTML and XML, in base64 of any data,
/// and in a text that was cut inside a secret.
#[derive(Default)]
pub(crate) struct Mask(Vec<Form>);

/// One form in which a secret may occur in a text.
struct Form {
    text: Secret,
    /// Whether the form occurs inside a longer base64 text.
    is_base64: bool,
    in_any_case: bool,
}

impl Mask {
    /// Creates a mask. Secrets of fewer than 4 bytes are left out: they occur in any text.
    pub(crate) fn from_secrets(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self::default().and(secrets)
    }

    /// Adds more secrets.
    pub(crate) fn and(mut self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        for secret in secrets {
            let secret = Secret::new(secret.expose().trim());
            let is_known = self.0.iter().any(|form| form.text == secret);
            if is_known || secret.expose().len() < LEAST {
                continue;
            }
            for written in as_written(&secret) {
                let encoded = base64::forms(&written);
                self.0.extend(encoded.into_iter().map(|text| Form { text, is_base64: true, in_any_case: false }));
            }
            let in_any_case = secret.expose().len() >= LEAST_IN_ANY_CASE;
            self.0.push(Form { text: secret, is_base64: false, in_any_case });
        }
        self
    }

    /// Returns the text without the secrets. If the text was cut inside a secret, the beginning of the secret is
    /// removed too.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut found: Vec<Range<usize>> = Vec::new();
        for (at, _) in text.char_indices() {
            let (before, rest) = text.split_at(at);
            let forms = self.0.iter().filter_map(|form| form.range(before, rest));
            let Some(range) = forms.reduce(|one, other| one.start.min(other.start)..one.end.max(other.end)) else {
                continue;
            };
            match found.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => found.push(range),
            }
        }
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        for range in found {
            shown.push_str(text.get(at..range.start).unwrap_or_default());
            shown.push('…');
            at = range.end;
        }
        shown.push_str(text.get(at..).unwrap_or_default());
        shown
    }

    /// Hides the secrets in a text that may be missing; see [`hide`](Self::hide).
    pub(crate) fn hide_in(&self, text: Option<&str>) -> Option<String> {
        text.map(|text| self.hide(text))
    }
}

impl Form {
    /// Returns the range to hide if this form occurs at the beginning of `rest`.
    fn range(&self, before: &str, rest: &str) -> Option<Range<usize>> {
        let (Written::Whole(length) | Written::Cut(length)) =
            written::find(self.text.expose(), rest, self.in_any_case)?;
        let end = before.len() + length;
        if !self.is_base64 {
            return Some(before.len()..end);
        }
        // The neighboring characters hold bits of the secret, and the rest belongs to the same base64 text.
        let tail = rest.as_bytes().iter().skip(length).take_while(|byte| base64::is_digit(**byte)).count();
        let head = before.bytes().rev().take_while(|byte| base64::is_digit(*byte)).count();
        Some(before.len() - head..end + tail)
    }
}

/// Returns the forms of a secret in a text that is then encoded as base64: plain, in JSON of two kinds, in a form.
fn as_written(secret: &Secret) -> Vec<Secret> {
    let mut all = vec![secret.clone()];
    let json = Zeroizing::new(serde_json::to_string(secret.expose()).unwrap_or_default());
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    let slashed = Zeroizing::new(inner.replace('/', "\\/"));
    let in_form = byte_serialize(secret.expose().as_bytes()).collect::<String>();
    for other in [Secret::new(inner), Secret::new(slashed.as_str()), Secret::new(in_form)] {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    all
}

/// A shorter secret is a word of any text.
const LEAST: usize = 4;
/// Some services write a key in the other case; a shorter secret may be a word in that case.
const LEAST_IN_ANY_CASE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_secrets_out_however_they_are_written() {
        let mask =
            Mask::from_secrets(["K3Y/ONE+2", "abc", "S3CRET", "S3CRET-AND-MORE", "Q\"Y\\E", "line\n"].map(Secret::new));
        for (text, shown) in [
            ("the key K3Y/ONE+2 is wrong", "the key … is wrong"),
            ("?key=K3Y%2FONE%2B2&a=1", "?key=…&a=1"),
            ("?key=K3Y%2fONE%2b2&a=1", "?key=…&a=1"),
            ("?key=k3y%252fone%252b2", "?key=…"),
            ("{\"key\":\"K3Y\\/ONE\\u002b2\"}", "{\"key\":\"…\"}"),
            ("{\"key\":\"Q\\\"Y\\\\E\"}", "{\"key\":\"…\"}"),
            ("the line is known", "the … is known"),
            ("abc is short", "abc is short"),
            ("S3CRET-AND-MORE, S3CRET", "…, …"),
            ("S3CRETS3CRET-AND-MORE", "……"),
            ("s3cret is another", "s3cret is another"),
            ("it was cut: K3Y/ON", "it was cut: …"),
            ("it was cut: S3CRET-AND-", "it was cut: …"),
            ("it was cut: `S3CRET-AND`", "it was cut: `…`"),
            ("it was cut: K3Y%2FON%2", "it was cut: …"),
            ("K3Y/O", "K3Y/O"),
            ("", ""),
        ] {
            assert_eq!(mask.hide(text), shown, "{text}");
        }
    }

    #[test]
    fn takes_base64_out_that_holds_a_secret() {
        let mask = Mask::from_secrets([Secret::new("S3CRET-AND-MORE")]);
        for (text, shown) in [
            // S3CRET-AND-MORE, user:S3CRET-AND-MORE, S3CRET-AND-MORE:, and one that is not of it.
            ("of UzNDUkVULUFORC1NT1JF here", "of … here"),
            ("Basic dXNlcjpTM0NSRVQtQU5ELU1PUkU=.", "Basic …."),
            ("Basic UzNDUkVULUFORC1NT1JFOg==", "Basic …"),
            ("Basic dXNlcjpvdGhlcg==", "Basic dXNlcjpvdGhlcg=="),
        ] {
            assert_eq!(mask.hide(text), shown, "{text}");
        }
    }
}
