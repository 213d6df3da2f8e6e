//! Beginning: the members at the front of a document that is too large to hold.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Returns the members of an object whose text is cut off or malformed, as far as they are complete before that point
/// and neither objects nor arrays; none for any other document.
pub(super) fn members(text: &[u8]) -> Map<String, Value> {
    let mut found = Members(Map::new());
    // Parsing ends in an error, because the text is incomplete.
    let _ = serde_json::Deserializer::from_slice(text).deserialize_map(&mut found);
    found.0
}

struct Members(Map<String, Value>);

impl<'de> Visitor<'de> for &mut Members {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // A number may continue where the text was cut: it counts once a further member follows.
        let mut open = None;
        while let Some(name) = map.next_key::<String>()? {
            if let Some((name, number)) = open.take() {
                self.0.insert(name, number);
            }
            match map.next_value::<Scalar>()?.0 {
                Some(number @ Value::Number(_)) => open = Some((name, number)),
                Some(value) => drop(self.0.insert(name, value)),
                None => drop(self.0.remove(&name)),
            }
        }
        self.0.extend(open);
        Ok(())
    }
}

/// A text, a number, a bool or null; nothing for any other value.
struct Scalar(Option<Value>);

impl<'de> serde::Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(Some(Value::Null)))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_members_that_are_whole() {
        for (text, expected) in [
            (r#"{"status": "Failed", "n": 7, "log": "xxx"#, json!({"status": "Failed", "n": 7})),
            (r#"{"a": {"status": "x"}, "b": [1, {}], "c": null, "d": tr"#, json!({"c": null})),
            (r#"{"status": "ru"#, json!({})),
            (r#"{"id": 12"#, json!({})),
            (r#"{"id": 12,"#, json!({})),
            (r#"{"id": 12, "a"#, json!({})),
            (r#"{"id": 12, "a":"#, json!({"id": 12})),
            (r#"{"id": 12, "a": NaN, "b": 7}"#, json!({"id": 12})),
            (r#"{"url": "/t/1", "a": "\ud83d", "b": 7}"#, json!({"url": "/t/1"})),
            (r#"{"id": 12}"#, json!({"id": 12})),
            (r#"[{"status": "x"}"#, json!({})),
            ("a,b", json!({})),
            ("", json!({})),
        ] {
            assert_eq!(Value::from(members(text.as_bytes())), expected, "{text}");
        }
        assert!(members("[".repeat(100_000).as_bytes()).is_empty());
        assert!(members(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes()).is_empty());
    }
}
