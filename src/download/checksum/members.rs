//! Members: the parts of a header that is a list or a dictionary.

/// Splits a dictionary at the commas outside of strings.
pub(super) fn members(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte| {
        let is_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' => escaped = quoted && !is_escaped,
            b'"' if !is_escaped => quoted = !quoted,
            _ => {}
        }
        *byte == b',' && !quoted
    })
}

/// Splits `key=value`. The key may have spaces around it.
pub(super) fn pair(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut halves = member.splitn(2, |byte| *byte == b'=');
    (halves.next().unwrap_or_default(), halves.next())
}

/// Returns the base64 of a byte sequence with any parameters: `:base64:;parameter=1`.
pub(super) fn byte_sequence(value: &[u8]) -> Option<&str> {
    let (inner, after) = str::from_utf8(value).ok()?.trim().strip_prefix(':')?.split_once(':')?;
    let after = after.trim_start();
    (after.is_empty() || after.starts_with(';')).then_some(inner)
}

pub(super) fn is(text: &[u8], name: &str) -> bool {
    text.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}

/// Returns whether a value has the count of the parts behind it: `base64-3`.
pub(super) fn counts_parts(value: &[u8]) -> bool {
    let mut parts = value.trim_ascii().rsplitn(2, |byte| *byte == b'-');
    let count = parts.next().unwrap_or_default();
    parts.next().is_some() && !count.is_empty() && count.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_commas_outside_of_strings() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a,b", &["a", "b"]),
            ("a=\"x,y\",b", &["a=\"x,y\"", "b"]),
            ("a=\"x\\\",y\",b", &["a=\"x\\\",y\"", "b"]),
            ("a=\"x\\\\\",b", &["a=\"x\\\\\"", "b"]),
            ("a=\\\"x,y\",b", &["a=\\\"x,y\"", "b"]),
            ("a=\"x,b", &["a=\"x,b"]),
        ] {
            let found: Vec<_> = members(text.as_bytes()).map(|member| str::from_utf8(member).unwrap()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn sees_the_count_of_parts_behind_a_value() {
        for (text, expected) in [
            ("AAAA-1", true),
            ("AAAA==-10000 ", true),
            ("AAAA", false),
            ("AAAA-", false),
            ("AAAA-1a", false),
            ("-1", true),
            ("", false),
        ] {
            assert_eq!(counts_parts(text.as_bytes()), expected, "{text}");
        }
    }
}
