//! Veil: documents and URLs in full, without the secrets in them, for files that are kept.

use serde_json::Value;
use url::{Url, form_urlencoded};

use super::names::{looks_secret, sounds_secret};
use super::{Mask, SIGNATURES, TOKENS, is_one_of, scrub};

/// Returns a URL whose query keeps its names, while each secret value is replaced by [`HIDDEN`].
pub(crate) fn veiled_url(url: &Url) -> Url {
    let mut veiled = url.clone();
    let _ = veiled.set_username("");
    let _ = veiled.set_password(None);
    // Without a secret, the query keeps its bytes.
    if url.query_pairs().any(|(name, value)| is_secret(&name, &value)) {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in url.query_pairs() {
            pairs.append_pair(&name, if is_secret(&name, &value) { HIDDEN } else { &value });
        }
        veiled.set_query(Some(&pairs.finish()));
    }
    veiled
}

/// Returns a JSON document without its secrets: those of the mask, members that sound like secrets, values that look
/// like them, and the secret parts of URLs.
pub(crate) fn veiled_json(value: &Value, mask: &Mask) -> Value {
    match value {
        Value::String(text) => Value::String(veiled_text(text, mask)),
        Value::Array(items) => Value::Array(items.iter().map(|item| veiled_json(item, mask)).collect()),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, item)| (mask.hide(name), veiled_member(name, item, mask))).collect(),
        ),
        other => other.clone(),
    }
}

fn veiled_member(name: &str, value: &Value, mask: &Mask) -> Value {
    match value {
        Value::String(text) if is_secret_member(name) && Url::parse(text).is_err() => Value::String(HIDDEN.into()),
        Value::Number(_) if is_secret_member(name) => Value::String(HIDDEN.into()),
        other => veiled_json(other, mask),
    }
}

/// `code` is the word of an error in most documents, and a secret only in the answer to a login.
fn is_secret_member(name: &str) -> bool {
    sounds_secret(name) && !name.eq_ignore_ascii_case("code")
}

/// Returns one text of a document or a header, without its secrets.
pub(crate) fn veiled_text(text: &str, mask: &Mask) -> String {
    if looks_secret(text) {
        return HIDDEN.into();
    }
    let text = mask.hide(text);
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    let is_reference = !query.is_empty() && !path.contains(char::is_whitespace) && !query.contains(char::is_whitespace);
    match Url::parse(&text) {
        Ok(url) if url.has_host() => {
            let veiled = veiled_url(&url);
            if veiled == url { text } else { veiled.into() }
        }
        // A relative reference with a query.
        _ if is_reference => match BASE.parse::<Url>().and_then(|base| base.join(&text)) {
            Ok(url) if veiled_url(&url) != url => {
                format!("{path}?{}", veiled_url(&url).query().unwrap_or_default())
            }
            _ => text,
        },
        // Words may quote a URL.
        _ if text.contains("://") => scrub(&text).into_owned(),
        _ => text,
    }
}

/// Returns whether the value of a header or of a member of a query is a secret.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let is_known = [&SIGNATURES[..], &TOKENS].into_iter().any(|names| is_one_of(names, name));
    is_known || sounds_secret(name) || looks_secret(value)
}

/// Stands in the place of a secret.
pub(crate) const HIDDEN: &str = "hidden";
const BASE: &str = "https://a.example/";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::redact::Secret;

    #[test]
    fn a_document_keeps_its_shape_and_loses_its_secrets() {
        let mask = Mask::from_secrets([Secret::new("MINE-1234")]);
        let document = json!({
            "id": 7,
            "status": "Succeeded",
            "url": "https://s.example/f.csv?sp=r&sig=AbC%2F1&se=2030",
            "next": "jobs/7?cursor=m&sig=AbC",
            "said": "see https://s.example/f?sig=AbC for MINE-1234",
            "access_token": "AT", "password": 7,
            "error": {"code": "Quota", "token": {"inner": "eyJa.b.c"}},
            "list": ["a b?c", "MINE-1234"],
        });
        let veiled = veiled_json(&document, &mask);
        let text = veiled.to_string();
        for secret in ["AbC", "MINE-1234", "AT\"", "eyJa"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for kept in
            ["\"Succeeded\"", "sp=r&sig=hidden&se=2030", "jobs/7?cursor=m&sig=hidden", "\"Quota\"", "a b?c", "\"id\":7"]
        {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }

    #[test]
    fn a_url_without_secrets_is_kept_byte_for_byte() {
        for text in ["https://a.example/x?b=%20c", "https://a.example/é", "/x?y=1", "plain words", "?"] {
            assert_eq!(veiled_text(text, &Mask::from_secrets([])), text);
        }
    }
}
