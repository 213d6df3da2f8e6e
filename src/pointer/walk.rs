//! The walk along a JSON pointer: over a parsed document, and over its text, which keeps the digits of numbers.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// Collects every value at these parts of a pointer. JSON null, missing members and blank texts are left out.
pub(super) fn values<'a>(value: &'a Value, parts: &[&str], found: &mut Vec<&'a Value>) {
    let Some((part, rest)) = parts.split_first() else {
        if !is_absent(value) {
            found.push(value);
        }
        return;
    };
    match (value, *part) {
        (Value::Array(items), "*") => items.iter().for_each(|item| values(item, rest, found)),
        (Value::Object(members), "*") => members.values().for_each(|item| values(item, rest, found)),
        (Value::Array(items), index) => {
            if let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) {
                values(item, rest, found);
            }
        }
        (Value::Object(members), name) => {
            let name = unescaped(name);
            let in_any_case = || members.iter().find(|(other, _)| other.eq_ignore_ascii_case(&name));
            if let Some(member) = members.get(&name).or_else(|| in_any_case().map(|(_, member)| member)) {
                values(member, rest, found);
            }
        }
        _ => {}
    }
}

/// Returns the values as the document has them, byte for byte; otherwise as [`values`]. `None` if the document is not
/// JSON.
pub(super) fn raw<'a>(document: &'a [u8], parts: &[&str]) -> Option<Vec<&'a str>> {
    let document: &RawValue = serde_json::from_slice(document).ok()?;
    let mut found = Vec::new();
    gather(document, parts, &mut found);
    Some(found)
}

fn gather<'a>(value: &'a RawValue, parts: &[&str], found: &mut Vec<&'a str>) {
    let text = value.get();
    let Some((part, rest)) = parts.split_first() else {
        if !is_absent_text(text) {
            found.push(text);
        }
        return;
    };
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        match *part {
            "*" => items.into_iter().for_each(|item| gather(item, rest, found)),
            index => {
                if let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) {
                    gather(item, rest, found);
                }
            }
        }
    } else if text.starts_with('{') {
        // In the order of a parsed object, in which the last of two members with one name counts.
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
        if *part == "*" {
            members.into_values().for_each(|item| gather(item, rest, found));
            return;
        }
        let name = unescaped(part);
        let in_any_case = || members.iter().find(|(other, _)| other.eq_ignore_ascii_case(&name));
        if let Some(member) = members.get(&name).or_else(|| in_any_case().map(|(_, member)| member)) {
            gather(member, rest, found);
        }
    }
}

pub(super) fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn is_absent_text(text: &str) -> bool {
    let is_blank = || serde_json::from_str::<String>(text).is_ok_and(|text| text.trim().is_empty());
    text == "null" || text.starts_with('"') && is_blank()
}

/// `~1` and `~0` of RFC 6901.
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_value(value: &Value, pointer: &[&str]) -> Vec<Value> {
        let mut found = Vec::new();
        values(value, pointer, &mut found);
        found.into_iter().cloned().collect()
    }

    #[test]
    fn the_text_keeps_what_no_number_holds() {
        let document = br#" {"id" : 123456789012345678901234567890, "rows": [1.10, 1e400, -0, [2.50]],
            "Twice": 1, "Twice": 2.0, "text": "a\u0062\n", "b": {"z": 1, "a": 2}} "#;
        for (pointer, expected) in [
            (&["id"][..], &["123456789012345678901234567890"][..]),
            (&["rows", "*"], &["1.10", "1e400", "-0", "[2.50]"]),
            (&["rows", "3", "0"], &["2.50"]),
            (&["twice"], &["2.0"]),
            (&["text"], &[r#""a\u0062\n""#]),
            (&["b", "*"], &["2", "1"]),
            (&["rows", "-1"], &[]),
        ] {
            assert_eq!(raw(document, pointer).unwrap(), expected, "{pointer:?}");
        }
        assert_eq!(raw(b"{\"a\": 1", &["a"]), None);
        assert_eq!(raw(b"1 2", &[]), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e300..1e300).prop_map(Value::from),
            "[ \\\\\"a~/é\u{1}]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let names = prop::sample::select(vec!["a", "A", "b", "a/b", "~", "é", "0", "1", "*", ""]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names, inner), 0..4).prop_map(|members| {
                    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                    Value::Object(members.collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_walks_find_the_same(
            value in any_json(),
            pointer in prop::collection::vec(
                prop::sample::select(vec!["a", "A", "b", "B", "a~1b", "~0", "é", "É", "0", "1", "*", "", "9"]),
                0..4,
            ),
            pretty in any::<bool>(),
        ) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            let found = raw(text.as_bytes(), &pointer).unwrap();
            let found: Vec<Value> = found.into_iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(found, of_value(&value, &pointer));
        }
    }
}
