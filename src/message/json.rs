//! JSON that holds a number outside the range of floats.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// Parses a document that is valid JSON, but does not parse because of a number beyond all floats, such as `1e400`.
/// The number becomes the text of its digits.
pub(super) fn with_wide_numbers(document: &[u8]) -> Option<Value> {
    let document: &RawValue = serde_json::from_slice(document).ok()?;
    read(document, MAX_DEPTH)
}

fn read(raw: &RawValue, depth: u8) -> Option<Value> {
    let text = raw.get();
    let depth = depth.checked_sub(1)?;
    match text.bytes().next()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            members
                .into_iter()
                .map(|(name, member)| Some((name, read(member, depth)?)))
                .collect::<Option<_>>()
                .map(Value::Object)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            items.into_iter().map(|item| read(item, depth)).collect::<Option<_>>().map(Value::Array)
        }
        b'-' | b'0'..=b'9' => Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
        _ => serde_json::from_str(text).ok(),
    }
}

/// The nesting depth that serde_json accepts.
const MAX_DEPTH: u8 = 127;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_past_all_floats_becomes_its_digits() {
        let read = |text: &str| with_wide_numbers(text.as_bytes());
        assert_eq!(
            read(r#"{"a": [1e400, -1e999, 1], "b": {"c": "x"}}"#),
            Some(json!({"a": ["1e400", "-1e999", 1], "b": {"c": "x"}}))
        );
        assert_eq!(read("1e400"), Some(json!("1e400")));
        for broken in ["", "{", "[1e400", "1e400 1", r#"{"a": 1e400, "b": "\ud800"}"#, "01"] {
            assert_eq!(read(broken), None, "{broken}");
        }
        let nested = |depth: usize| format!("{}1e400{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(126)).is_some());
        assert_eq!(read(&nested(100_000)), None, "no depth overflows the stack");
    }
}
