//! Veil: documents and URLs in full, without the secrets in them, for files that are kept.

use serde_json::{Map, Value};
use url::{Position, Url, form_urlencoded};

use super::names::{looks_secret, sounds_secret};
use super::words::without_jwts;
use super::{Mask, SIGNATURES, TOKENS, is_one_of, scrub_lines};

/// Returns a URL whose query and fragment keep their names, while each secret value is replaced by [`HIDDEN`].
pub(crate) fn veiled_url(url: &Url) -> Url {
    let mut veiled = url.clone();
    let _ = veiled.set_username("");
    let _ = veiled.set_password(None);
    // Without a secret, the query keeps its bytes.
    if let Some(query) = url.query().and_then(veiled_pairs) {
        veiled.set_query(Some(&query));
    }
    if let Some(fragment) = url.fragment().and_then(veiled_pairs) {
        veiled.set_fragment(Some(&fragment));
    }
    veiled
}

/// Returns the pairs of a query without their secrets; `None` if there is none.
fn veiled_pairs(query: &str) -> Option<String> {
    let pairs = || form_urlencoded::parse(query.as_bytes());
    let is_hidden = |name: &str, value: &str| is_secret(name, value) || is_signature(name, value);
    pairs().any(|(name, value)| is_hidden(&name, &value)).then(|| {
        let mut kept = form_urlencoded::Serializer::new(String::new());
        for (name, value) in pairs() {
            kept.append_pair(&name, if is_hidden(&name, &value) { HIDDEN } else { &value });
        }
        kept.finish()
    })
}

/// Returns a JSON document without its secrets: those of the mask, members that sound like secrets, values that look
/// like them, and the secret parts of URLs.
pub(crate) fn veiled_json(value: &Value, mask: &Mask) -> Value {
    match value {
        Value::String(text) => Value::String(veiled_text(text, mask)),
        Value::Array(items) => Value::Array(items.iter().map(|item| veiled_json(item, mask)).collect()),
        Value::Object(members) => {
            let is_named = names_secret(members);
            let veiled = members.iter().map(|(name, item)| {
                let is_hidden = is_secret_member(name) || (is_named && is_value(name));
                (mask.hide(name), if is_hidden { veiled_secret(item, mask) } else { veiled_json(item, mask) })
            });
            Value::Object(veiled.collect())
        }
        other => other.clone(),
    }
}

/// Returns the value of a member that sounds like a secret: a link keeps its place, a list has secrets, and an object
/// has one where its value is.
fn veiled_secret(value: &Value, mask: &Mask) -> Value {
    match value {
        Value::String(text) if Url::parse(text).is_ok_and(|url| url.has_host()) => veiled_json(value, mask),
        Value::String(_) | Value::Number(_) => Value::String(HIDDEN.into()),
        Value::Array(items) => Value::Array(items.iter().map(|item| veiled_secret(item, mask)).collect()),
        Value::Object(members) => {
            let veiled = members.iter().map(|(name, item)| {
                let is_hidden = is_value(name) || is_secret_member(name);
                (mask.hide(name), if is_hidden { veiled_secret(item, mask) } else { veiled_json(item, mask) })
            });
            Value::Object(veiled.collect())
        }
        other => other.clone(),
    }
}

/// `code` is the word of an error in most documents, and a secret only in the answer to a login.
fn is_secret_member(name: &str) -> bool {
    let is_more = || MEMBERS.iter().any(|more| plain(name).ends_with(more));
    (sounds_secret(name) || is_more()) && !name.eq_ignore_ascii_case("code")
}

/// Returns whether an object says that its value is a secret: `{"name": "X-Api-Key", "value": ..}`.
fn names_secret(members: &Map<String, Value>) -> bool {
    let names = ["name", "key", "header", "type"].iter().filter_map(|name| {
        members.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    });
    names.into_iter().any(is_secret_member)
}

fn is_value(name: &str) -> bool {
    ["value", "values", "raw"].iter().any(|value| name.eq_ignore_ascii_case(value))
}

/// Returns a name in lower case, without what separates its words.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns one text of a document or a header, or a whole text, without its secrets.
pub(crate) fn veiled_text(text: &str, mask: &Mask) -> String {
    if looks_secret(text) {
        return HIDDEN.into();
    }
    let text = mask.hide(text);
    // A document inside a text.
    if let Some(json) = nested(&text) {
        let veiled = veiled_json(&json, mask);
        return if veiled == json { text } else { veiled.to_string() };
    }
    match Url::parse(&text) {
        Ok(url) if url.has_host() => {
            let veiled = veiled_url(&url);
            if veiled == url { text } else { veiled.into() }
        }
        _ => veiled_reference(&text).unwrap_or_else(|| veiled_words(&text)),
    }
}

fn nested(text: &str) -> Option<Value> {
    let is_document = text.trim_start().starts_with(['{', '[']) && text.len() <= LONGEST_NESTED;
    is_document.then(|| serde_json::from_str(text).ok())?
}

/// Returns a relative reference without its secrets; `None` if the text is none, or has none.
fn veiled_reference(text: &str) -> Option<String> {
    if text.contains(char::is_whitespace) || !(text.starts_with("//") || text.contains(['?', '#'])) {
        return None;
    }
    let url = BASE.parse::<Url>().ok()?.join(text).ok()?;
    let veiled = veiled_url(&url);
    if veiled == url {
        return None;
    }
    if text.starts_with("//") {
        return Some(veiled[Position::BeforeUsername..].to_owned()).map(|rest| format!("//{rest}"));
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    Some(format!("{path}{}", &veiled[Position::AfterPath..]))
}

/// Returns words without the secrets in them: in pairs, in tags, behind the word of a scheme, in URLs.
fn veiled_words(text: &str) -> String {
    let text = without_pairs(&without_jwts(text.into()));
    let text = without_bearers(&text);
    // Words may quote a URL.
    if text.contains("://") { scrub_lines(&text) } else { text }
}

/// Hides the values of secret names: `token=.. & sig=..`, `AccountKey=..;`, `"password": ".."`, `<token>..</token>`.
fn without_pairs(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    // The text from the last `<` on.
    let mut tag = "";
    while let Some(at) = rest.find(['=', ':', '>']) {
        let (before, behind) = rest.split_at(at);
        tag = before.rfind('<').and_then(|open| rest.get(open + 1..)).unwrap_or(tag);
        let (sign, behind) = behind.split_at(1);
        shown.push_str(before);
        shown.push_str(sign);
        rest = behind;
        let name = if sign == ">" { opened(tag) } else { name_before(before, sign) };
        if !is_secret_name(name, sign) {
            continue;
        }
        // `ticket:7` alone may be an id, and `token://` is a URL.
        let is_id = sign == ":" && !text.contains(char::is_whitespace) && !before.ends_with(QUOTES);
        if is_id || behind.starts_with("//") {
            continue;
        }
        let quotes = |c: char| QUOTES.contains(&c) || matches!(c, ' ' | '\t');
        let value = if sign == ">" { behind } else { behind.trim_start_matches(quotes) };
        let end = match sign {
            ">" => value.find('<'),
            // The cookies of a header are many.
            _ if plain(name).contains("cookie") => value.find(['"', '\n']),
            _ => {
                let scheme = SCHEMES.iter().find(|scheme| begins(value, scheme)).map_or(0, |scheme| scheme.len());
                let ends = |c: char| c.is_whitespace() || "&;,\"'<>)}]".contains(c);
                value.get(scheme..).and_then(|word| word.find(ends)).map(|end| scheme + end)
            }
        };
        let (value, after) = value.split_at(end.unwrap_or(value.len()));
        shown.push_str(behind.get(..behind.len() - value.len() - after.len()).unwrap_or_default());
        if !value.trim().is_empty() {
            shown.push_str(HIDDEN);
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Returns the name of a tag that opens, without its namespace; nothing for all else between `<` and `>`.
fn opened(tag: &str) -> &str {
    let name = tag.split(|c: char| c.is_whitespace() || c == '>').next().unwrap_or_default();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.rsplit(':').next().filter(|name| name.chars().all(is_name)).unwrap_or_default()
}

fn name_before<'t>(before: &'t str, sign: &str) -> &'t str {
    let before = before.trim_end_matches(|c| QUOTES.contains(&c) || c == ' ');
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    let begin = before.trim_end_matches(is_part).len();
    let name = before.split_at(begin).1;
    // A sentence ends before its name: `done.token=`.
    if sign == ":" { name.rsplit('.').next().unwrap_or(name) } else { name }
}

fn is_secret_name(name: &str, sign: &str) -> bool {
    is_secret_member(name) || (sign == "=" && is_secret(name, ""))
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Hides the word behind `Bearer` that is no word of a language.
fn without_bearers(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut shown, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(found) = lower.get(at..).and_then(|later| later.find(BEARER)) {
        let begin = at + found + BEARER.len();
        let behind = text.get(begin..).unwrap_or_default();
        let ends = |c: char| c.is_whitespace() || "\"',;<>)}]".contains(c);
        let end = begin + behind.find(ends).unwrap_or(behind.len());
        let value = text.get(begin..end).unwrap_or_default();
        let is_word = value.len() < LONG && !value.contains(|c: char| c.is_ascii_digit());
        shown.push_str(text.get(at..begin).unwrap_or_default());
        shown.push_str(if is_word { value } else { HIDDEN });
        at = end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

/// Returns whether the value of a header or of a member of a query is a secret.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let is_known = [&SIGNATURES[..], &TOKENS].into_iter().any(|names| is_one_of(names, name));
    is_known || sounds_secret(name) || looks_secret(value)
}

/// Returns whether a member of a query signs a link by a name that has other meanings, too.
fn is_signature(name: &str, value: &str) -> bool {
    // A moment is none: the `st` of a SAS is its start.
    (is_one_of(&LINK_SIGNATURES, name) && value.len() >= LONG && !value.contains(':')) || value.contains("hmac=")
}

/// Stands in the place of a secret.
pub(crate) const HIDDEN: &str = "hidden";
const BASE: &str = "https://a.example/";
/// Ends of names that hold a secret in a document, and may name a thing elsewhere.
const MEMBERS: [&str; 5] = ["cookies", "connectionstring", "masterkey", "primarykey", "secondarykey"];
/// The signatures of links by names that may have another meaning: of CDNs and of file servers.
const LINK_SIGNATURES: [&str; 12] =
    ["h", "hash", "hdnea", "hdntl", "hdnts", "mac", "md5", "s", "sign", "st", "t", "verify"];
/// A signature is no shorter.
const LONG: usize = 16;
const QUOTES: [char; 3] = ['"', '\'', '\\'];
const SCHEMES: [&str; 5] = ["bearer ", "basic ", "digest ", "dpop ", "token "];
const BEARER: &str = "bearer ";
/// A longer text is a file, and no document inside another.
const LONGEST_NESTED: usize = 64 << 10;

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

    #[test]
    fn a_secret_is_left_out_wherever_a_document_has_it() {
        for document in [
            json!({"access_token": "hvs:S1", "password": "a:S1", "list": 7}),
            json!({"tokens": ["S1"], "token": {"value": "S1", "kind": "x"}}),
            json!({"cookies": [{"name": "sid", "value": "S1"}], "primaryKey": "S1"}),
            json!({"headers": [{"name": "X-Api-Key", "value": "S1"}]}),
            json!({"form": "grant=x&access_token=S1&refresh_token=S1"}),
            json!({"query": "sv=2020&sp=r&sig=S1", "page": "?page_access_token=S1"}),
            json!({"response": "{\"access_token\":\"S1\"}", "inner": "said {\"password\": \"S1\"}"}),
            json!({"connection": "AccountName=x;AccountKey=S1==;EndpointSuffix=y"}),
            json!({"message": "sent Authorization: Basic S1 and Bearer S1, again"}),
            json!({"a": "//me:S1@host.example/x", "b": "https://me:S1@host.example/x"}),
            json!({"a": "https://a.example/cb#access_token=S1&x=1", "b": "/cb#token=S1"}),
            json!({"a": "https://cdn.example/f?hdnts=exp=1~hmac=S1", "b": "/f?md5=S1aaaaaaaaaaaaaaaa&x=1"}),
        ] {
            let veiled = veiled_json(&document, &Mask::default()).to_string();
            assert!(!veiled.contains("S1"), "{document} became {veiled}");
        }
    }

    #[test]
    fn a_secret_is_left_out_of_text() {
        for (text, veiled) in [
            ("access_token=S1&refresh_token=S1&x=1", "access_token=hidden&refresh_token=hidden&x=1"),
            ("password: S1\ntoken: S1\nstate: done", "password: hidden\ntoken: hidden\nstate: done"),
            ("you sent Bearer S1.", "you sent Bearer hidden"),
            ("Set-Cookie: a=S1; b=S1\nx: 1", "Set-Cookie: hidden\nx: 1"),
            (
                "<a><ns:token>S1</ns:token><b pwd='S1' n='2'/></a>",
                "<a><ns:token>hidden</ns:token><b pwd='hidden' n='2'/></a>",
            ),
            ("</jobs/7?sig=S1>; rel=\"next\"", "</jobs/7?sig=hidden>; rel=\"next\""),
            ("5; url=/x?token=S1", "5; url=/x?token=hidden"),
            ("is eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.S1 good", "is … good"),
        ] {
            assert_eq!(veiled_text(text, &Mask::default()), veiled, "{text}");
        }
    }

    #[test]
    fn words_and_ids_are_kept() {
        for text in [
            "EXECUTING",
            "ticket:7",
            "urn:ietf:params:oauth:token-type:jwt",
            "the bearer token was refused",
            "a,b\n1,2\n",
            "at 12:30: done=true; next=b",
            "{\"status\": 7}",
            "</jobs/7?page=2>; rel=\"next\"",
            "<status>done</status>",
            "monkey=1, next_page_token=2",
            "2030-01-01T00:00:00Z",
            "</token>done<b>1</b>",
            "é=ü:ß>ö",
            "=:>",
        ] {
            assert_eq!(veiled_text(text, &Mask::default()), text);
        }
        let sas: Url = "https://s.example/f?st=2030-01-01T00%3A00%3A00Z&se=2030".parse().unwrap();
        assert_eq!(veiled_url(&sas), sas);
    }
}
