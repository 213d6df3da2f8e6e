//! Words: a service's text in the form that may be shown.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Returns a service's text in the form that may be shown: every URL in it loses its query and user, cookies and JWTs
/// are left out, and characters that could change how a line is read (control characters, line separators, marks of
/// direction) are removed.
pub(crate) fn scrub(text: &str) -> Cow<'_, str> {
    let clean = without_jwts(on_one_line(text));
    if !(clean.contains("://") || names_signature(&clean) || names_cookie(&clean)) {
        return clean;
    }
    let mut out = String::with_capacity(clean.len());
    let (mut after_scheme, mut in_cookie) = (false, false);
    let schemes: &[&str] =
        if clean.to_ascii_lowercase().contains("authorization") { &["bearer", "basic"] } else { &["bearer"] };
    for (at, word) in clean.split(' ').enumerate() {
        if at > 0 {
            out.push(' ');
        }
        let query = word.find('?').filter(|_| word.contains("://") || names_signature(word));
        if (after_scheme || in_cookie) && word.is_empty() {
            continue;
        }
        if after_scheme {
            out.push('…');
        } else if in_cookie {
            // A header lists one cookie after the other, separated by semicolons.
            out.push('…');
            in_cookie = word.ends_with(';');
        } else if let Some(value) = cookie(word) {
            let (name, value) = word.split_at(value);
            out.push_str(name);
            out.push_str(if value.is_empty() { "" } else { "…" });
            in_cookie = value.is_empty() || value.ends_with(';');
        } else if let Some(query) = query {
            out.push_str(&strip_user(word.split_at(query).0));
            out.push_str("?…");
            // Punctuation at the end of a sentence is not part of the link.
            let end = word.trim_end_matches(['.', ',', ':', ';', ')']).len();
            out.push_str(word.split_at(end).1);
        } else if names_value(word) && names_signature(word) {
            out.push('…');
        } else {
            out.push_str(&strip_user(word));
        }
        // `Authorization: Bearer …` (RFC 9110, 11.4).
        after_scheme = schemes.iter().any(|scheme| word.to_ascii_lowercase().ends_with(scheme));
    }
    Cow::Owned(out)
}

/// Scrubs a text line by line; see [`scrub`].
pub(crate) fn scrub_lines(text: &str) -> String {
    text.lines().map(scrub).collect::<Vec<_>>().join("\n")
}

/// Scrubs a text, and cuts it to this many characters; see [`scrub`].
pub(crate) fn brief(text: &str, most: usize) -> String {
    // A service may send a megabyte of words.
    let looked_at =
        text.char_indices().nth(most.saturating_add(LOOK_AHEAD)).map_or(text, |(end, _)| text.split_at(end).0);
    let clean = scrub(looked_at);
    match clean.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", clean.split_at(end).0),
        None if looked_at.len() < text.len() => format!("{clean}…"),
        None => clean.into_owned(),
    }
}

fn on_one_line(text: &str) -> Cow<'_, str> {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    // These characters reorder the neighboring text (Unicode, UAX 9).
    let is_direction =
        |c: char| matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if !text.chars().any(|c| is_break(c) || is_direction(c)) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|c| !is_direction(*c));
    Cow::Owned(kept.map(|c| if is_break(c) { ' ' } else { c }).collect())
}

/// Leaves out JWTs (RFC 7519): a header that decodes to a JSON object, a dot, and the text after it.
pub(super) fn without_jwts(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_header = |header: &str| {
        let decoded = URL_SAFE_NO_PAD.decode(header.trim_end_matches('=')).unwrap_or_default();
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&decoded).is_ok()
    };
    let mut out = String::new();
    let mut rest = &*text;
    let mut at = 0;
    // `{"` in base64.
    while let Some(begin) = rest.get(at..).and_then(|later| later.find("eyJ")).map(|found| at + found) {
        let (before, jwt) = rest.split_at(begin);
        let header = jwt.find(|c| !is_digit(c)).unwrap_or(jwt.len());
        let (header, behind) = jwt.split_at(header);
        if !(behind.starts_with('.') && is_header(header)) {
            at = begin + 3;
            continue;
        }
        out.push_str(before);
        out.push('…');
        let end = behind.find(|c| !(is_digit(c) || matches!(c, '.' | '='))).unwrap_or(behind.len());
        // A dot at the end of a sentence is not part of the token.
        let token = behind.split_at(end).0.trim_end_matches('.').len();
        (rest, at) = (behind.split_at(token).1, 0);
    }
    if out.is_empty() {
        return text;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn strip_user(word: &str) -> String {
    let Some((before, rest)) = word.split_once("://") else { return word.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{before}://{host}{path}")
}

fn names_value(word: &str) -> bool {
    word.contains('=') || word.to_ascii_lowercase().contains("%3d")
}

fn names_signature(text: &str) -> bool {
    let lower = text.to_ascii_lowercase().replace("%3d", "=").replace("%3f", "?").replace("%26", "&");
    [
        "sig=",
        "signature=",
        "bearer",
        "authorization",
        "apikey=",
        "api_key=",
        "api-key=",
        "token=",
        "password=",
        "secret=",
        "subscription-key=",
        "functions-key=",
        "?code=",
        "&code=",
    ]
    .iter()
    .any(|mark| lower.contains(mark))
}

fn names_cookie(text: &str) -> bool {
    text.split(' ').any(|word| cookie(word).is_some())
}

/// Returns the position in a word at which the value of a `Cookie` or `Set-Cookie` header begins.
fn cookie(word: &str) -> Option<usize> {
    let lower = word.to_ascii_lowercase();
    let name = lower.find("cookie")? + "cookie".len();
    let behind = lower.get(name..)?.trim_start_matches(['"', '\'', '\\']);
    let value = behind.strip_prefix([':', '='])?.trim_start_matches(['"', '\'', '\\']);
    Some(lower.len() - value.len())
}

/// A token that begins before the cut is recognized by the text after it.
const LOOK_AHEAD: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"alg":"none"}` and `{"sub":"me"}`.
    const JWT: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2ln";

    #[test]
    fn scrubs_text_of_a_service() {
        for (text, shown) in [
            ("plain words", "plain words"),
            ("see https://a.example/b?sig=S&x=1 now", "see https://a.example/b?… now"),
            ("at https://user:pw@a.example/b", "at https://a.example/b"),
            ("/b?se=1&sig=S", "/b?…"),
            ("(at https://a.example/b?sig=S), and", "(at https://a.example/b?…), and"),
            ("broken sig=S", "broken …"),
            ("back=https%3a%2F%2Fa.example%2Fb%3Fsig%3DS", "…"),
            ("Authorization: Basic dTpw", "Authorization: Basic …"),
            ("the basic plan", "the basic plan"),
            ("Bearer  T0K.EN and more", "Bearer  … and more"),
            ("with apikey=K3Y at", "with … at"),
            ("/p?code=SYSTEMKEY", "/p?…"),
            ("sent Authorization: Bearer T0K.EN again", "sent Authorization: Bearer … again"),
            ("a\r\nb", "a  b"),
            ("a\u{2028}b\u{2029}c\u{85}d", "a b c d"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{61c}e", "abcde"),
            ("a\u{301} \u{200d} ü", "a\u{301} \u{200d} ü"),
        ] {
            assert_eq!(scrub(text), shown, "{text}");
        }
    }

    #[test]
    fn leaves_jwts_and_cookies_out() {
        for (text, shown) in [
            (format!("the token {JWT} is over"), "the token … is over"),
            (format!("({JWT}), then \"{JWT}\"."), "(…), then \"…\"."),
            (format!("%22{JWT}%22"), "%22…%22"),
            (format!("{JWT}."), "…."),
            ("cut eyJhbGciOiJub25lIn0.eyJzd".into(), "cut …"),
            ("keyJobs.of.yours eyJ eyJ.a.b".into(), "keyJobs.of.yours eyJ eyJ.a.b"),
            ("Cookie: sid=1; theme=dark was refused".into(), "Cookie: … … was refused"),
            ("cookie:sid=1 was refused".into(), "cookie:… was refused"),
            ("Set-Cookie: sid=1; Path=/; HttpOnly".into(), "Set-Cookie: … … …"),
            ("{\"Cookie\":\"sid=1; b=2\", \"a\":1}".into(), "{\"Cookie\":\"… … \"a\":1}"),
            ("cookies are off".into(), "cookies are off"),
            ("no cookie".into(), "no cookie"),
        ] {
            assert_eq!(scrub(&text), shown, "{text}");
        }
    }

    #[test]
    fn cuts_long_words_behind_what_is_left_out() {
        assert_eq!(brief("short", 5), "short");
        assert_eq!(brief("longer", 5), "longe…");
        assert_eq!(brief("ä€😀ä€😀", 5), "ä€😀ä€…");
        assert_eq!(brief(&format!("{JWT} and more"), 5), "… and…");
        let long = brief(&format!("at https://a.example/b?sig={}", "S".repeat(1 << 20)), 100);
        assert_eq!(long, "at https://a.example/b?……");
    }
}
