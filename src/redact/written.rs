//! Written: a secret in a text, in any encoding of its characters.

/// An occurrence of a secret at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The whole secret, in this many bytes.
    Whole(usize),
    /// The text was cut inside the secret, after this many bytes.
    Cut(usize),
}

/// Looks for the secret at the beginning of the text. Each of its characters may be plain, percent-encoded in either
/// case and any number of times, or escaped as in JSON, HTML and XML.
pub(super) fn find(secret: &str, text: &str, in_any_case: bool) -> Option<Written> {
    let first = secret.chars().next()?;
    if !may_begin(first, text, in_any_case) {
        return None;
    }
    // Several readings of one text are possible: `%25` is a percent sign, or the beginning of an encoded one.
    let (mut ends, mut next) = (vec![0], Vec::new());
    for (count, wanted) in secret.chars().enumerate() {
        for end in &ends {
            let rest = text.get(*end..).unwrap_or_default();
            units(wanted, rest, in_any_case, |length| {
                if !next.contains(&(end + length)) {
                    next.push(end + length);
                }
            });
        }
        if next.is_empty() {
            if count < LEAST_BEGINNING {
                return None;
            }
            let cut = |end: usize| text.get(end..).and_then(cut).map(|length| end + length);
            return ends.into_iter().filter_map(cut).max().map(Written::Cut);
        }
        std::mem::swap(&mut ends, &mut next);
        next.clear();
    }
    ends.into_iter().max().map(Written::Whole)
}

/// Reports the length of each encoding of the character at the beginning of the text.
fn units(wanted: char, text: &str, in_any_case: bool, mut found: impl FnMut(usize)) {
    let Some(first) = text.chars().next() else { return };
    if is_same(first, wanted, in_any_case) {
        found(first.len_utf8());
    }
    match first {
        '+' if wanted == ' ' => found(1),
        '%' => percent(wanted, text).into_iter().for_each(found),
        '\\' => escaped(wanted, text, in_any_case).into_iter().for_each(found),
        '&' => entity(wanted, text).into_iter().for_each(found),
        _ => {}
    }
}

fn is_same(found: char, wanted: char, in_any_case: bool) -> bool {
    // Control characters in a service's words are shown as spaces.
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    found == wanted || in_any_case && found.eq_ignore_ascii_case(&wanted) || is_blank(found) && is_blank(wanted)
}

/// Finds `%2f`, and encoded again `%252f`; a character beyond ASCII takes one per byte.
fn percent(wanted: char, text: &str) -> Vec<usize> {
    let mut bytes = [0; 4];
    let mut lengths = vec![0];
    for byte in wanted.encode_utf8(&mut bytes).bytes() {
        lengths = lengths.into_iter().flat_map(|at| octet(byte, text, at)).collect();
    }
    lengths
}

/// Returns the possible ends of a byte that is percent-encoded from this position on.
fn octet(wanted: u8, text: &str, at: usize) -> Vec<usize> {
    let digits = |at: usize| text.get(at..at + 2).and_then(hex);
    let mut ends = Vec::new();
    let Some(mut next) = text.get(at..).and_then(|rest| rest.starts_with('%').then_some(at + 1)) else { return ends };
    while let Some(value) = digits(next) {
        next += 2;
        if value == u32::from(wanted) {
            ends.push(next);
        }
        if value != u32::from(b'%') || ends.len() > MOST_TIMES {
            break;
        }
    }
    ends
}

/// Finds `\"`, `\/`, `\u002f`; in JSON inside JSON with several backslashes.
fn escaped(wanted: char, text: &str, in_any_case: bool) -> Vec<usize> {
    let rest = text.trim_start_matches('\\');
    let slashes = text.len() - rest.len();
    let mut lengths = Vec::new();
    if wanted == '\\' {
        // Each writer doubles the backslashes.
        lengths.extend([2, 4, 8].into_iter().filter(|length| *length <= slashes));
    }
    let Some(first) = rest.chars().next() else { return lengths };
    let named = match first {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        _ => None,
    };
    if named == Some(wanted) || is_same(first, wanted, in_any_case) && !first.is_alphanumeric() {
        lengths.push(slashes + first.len_utf8());
    }
    let mut units = [0; 2];
    let mut codes = rest;
    for unit in wanted.encode_utf16(&mut units) {
        let code = codes.trim_start_matches('\\').strip_prefix('u').and_then(|code| Some((hex(code.get(..4)?)?, code)));
        match code {
            Some((value, code)) if value == u32::from(*unit) => codes = code.get(4..).unwrap_or_default(),
            _ => return lengths,
        }
    }
    lengths.push(text.len() - codes.len());
    lengths
}

/// Finds `&amp;`, `&#47;`, `&#x2f;`.
fn entity(wanted: char, text: &str) -> Option<usize> {
    let end = text.bytes().take(LONGEST_ENTITY).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let code = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => hex(digits),
            None => number.parse().ok(),
        },
        None => NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| u32::from(*c)),
    };
    (code == Some(u32::from(wanted))).then_some(end + 1)
}

fn hex(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Returns whether a text can begin with this character at all.
fn may_begin(wanted: char, text: &str, in_any_case: bool) -> bool {
    text.chars().next().is_some_and(|first| {
        is_same(first, wanted, in_any_case) || matches!(first, '%' | '\\' | '&') || first == '+' && wanted == ' '
    })
}

/// Returns the length of the character that was cut with the rest, if the text after the beginning of a secret shows a
/// cut.
fn cut(rest: &str) -> Option<usize> {
    // This crate ends its quotations with a backtick, and a quotation may be cut.
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with(['…', '`']) || rest.starts_with("...");
    if is_end(rest) {
        return Some(0);
    }
    let code = rest.strip_prefix(['%', '\\', '&'])?;
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '\\' | '#');
    let behind = code.trim_start_matches(is_code);
    let length = rest.len() - behind.len();
    (length <= LONGEST_ENTITY && is_end(behind)).then_some(length)
}

const NAMED: [(&str, char); 5] = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
/// The longest entity that is parsed, such as `&#x1F600;`.
const LONGEST_ENTITY: usize = 10;
/// No text is encoded more often than this.
const MOST_TIMES: usize = 8;
/// A shorter beginning may be the end of any text.
const LEAST_BEGINNING: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_secret_in_every_way_of_writing_it() {
        for (secret, text) in [
            ("a/b+c", "a/b+c"),
            ("a/b+c", "a%2Fb%2Bc"),
            ("a/b+c", "a%2fb%2bc"),
            ("a/b+c", "a%2Fb%2bc"),
            ("a/b+c", "%61%2f%62%2B%63"),
            ("a/b+c", "a%252Fb%25252Bc"),
            ("a/b+c", "a\\/b+c"),
            ("a/b+c", "a\\u002Fb\\u002bc"),
            ("a/b+c", "a\\\\u002Fb+c"),
            ("a/b+c", "a&#x2F;b&#43;c"),
            ("a%2Fb", "a%2Fb"),
            ("a%2Fb", "a%252Fb"),
            ("a%2Fb", "a%25252Fb"),
            ("a\"b\\c", "a\\\"b\\\\c"),
            ("a\"b\\c", "a\\\\\\\"b\\\\\\\\c"),
            ("a\"b\\c", "a\\u0022b\\u005Cc"),
            ("a\"b&c", "a&quot;b&amp;c"),
            ("a b", "a+b"),
            ("a b", "a%20b"),
            ("a\tb", "a\\tb"),
            ("a\tb", "a b"),
            ("ä€😀", "%C3%A4%e2%82%ac😀"),
            ("ä€😀", "\\u00e4\\u20AC\\ud83d\\uDE00"),
        ] {
            assert_eq!(find(secret, text, false), Some(Written::Whole(text.len())), "{secret} in {text}");
            assert_eq!(find(secret, &format!("{text}, and more"), false), Some(Written::Whole(text.len())), "{text}");
        }
        for (secret, text) in [("a/b", "a%2Gb"), ("a/b", "a"), ("a/b", ""), ("", "a"), ("a/b", "a%2"), ("ab", "Ab")] {
            assert_eq!(find(secret, text, false), None, "{secret} in {text}");
        }
        assert_eq!(find("Ab", "aB", true), Some(Written::Whole(2)));
    }

    #[test]
    fn finds_the_beginning_of_one_that_was_cut() {
        for (text, length) in [
            ("secret", 6),
            ("secret/k", 8),
            ("secret%2Fke", 11),
            ("secret%2", 8),
            ("secret%", 7),
            ("secret\\u00", 10),
            ("secret`, and more", 6),
            ("secret%2`, and more", 8),
            ("secret\\u00...", 10),
            ("secret… and more", 6),
            ("secret...", 6),
        ] {
            assert_eq!(find("secret/key", text, false), Some(Written::Cut(length)), "{text}");
        }
        for text in ["secre", "secret and", "secret. And", "secrets", "secret%zz and"] {
            assert_eq!(find("secret/key", text, false), None, "{text}");
        }
    }
}
