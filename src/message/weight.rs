//! Weight: the memory that a JSON text would take, computed before any is allocated.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Returns whether a JSON text would take more memory than a status is worth when it is parsed: maps of one member take
/// 90 times their text. A text that is not JSON is not heavy.
pub(super) fn is_heavy(text: &[u8], most: usize) -> bool {
    if is_light(text, most) {
        return false;
    }
    let mut weight = Weight { left: most, ran_out: false };
    let mut json = serde_json::Deserializer::from_slice(text);
    let _ = Weigher(&mut weight).deserialize(&mut json);
    weight.ran_out
}

/// Returns how many bytes of memory a document may take under a body limit: rows of two short members take 35 times
/// their text.
pub(super) const fn most(limit: usize) -> usize {
    let most = limit.saturating_mul(40);
    if most > MOST { most } else { MOST }
}

/// Returns whether a text is so short that it is never heavy, whatever its contents.
pub(super) const fn is_light(text: &[u8], most: usize) -> bool {
    text.len().saturating_mul(MOST_TIMES) <= most
}

struct Weight {
    left: usize,
    ran_out: bool,
}

impl Weight {
    fn take<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.ran_out = true;
                Err(E::custom("too heavy"))
            }
        }
    }
}

struct Weigher<'a>(&'a mut Weight);

impl<'de> DeserializeSeed<'de> for Weigher<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weigher<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.0.take(VALUE)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.0.take(VALUE)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.0.take(VALUE)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.0.take(VALUE)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.take(VALUE)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.take(VALUE + text.len() + ALLOCATION)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.take(VALUE + ALLOCATION)?;
        while items.next_element_seed(Weigher(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.take(VALUE)?;
        let mut count = 0_usize;
        while let Some(Length(name)) = members.next_key()? {
            // The nodes of a B-tree have room for 11 members, and are half full at worst.
            self.0.take(name + ALLOCATION + if count.is_multiple_of(6) { NODE } else { 0 })?;
            members.next_value_seed(Weigher(&mut *self.0))?;
            count += 1;
        }
        Ok(())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(from).map(drop)
    }
}

/// The length of a member's name, without the name.
struct Length(usize);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Length, E> {
                Ok(Length(name.len()))
            }
        }
        from.deserialize_str(Name)
    }
}

/// A status takes some kilobytes of memory; a result of a mebibyte, of rows as small as rows are, up to some 50 MiB.
const MOST: usize = 64 << 20;
/// No text takes more than this many times its length: `{"":0}` and a comma are 7 bytes.
const MOST_TIMES: usize = 110;
/// A value, in a list or beside its name.
const VALUE: usize = 32;
/// A node of a map.
const NODE: usize = 632;
/// The overhead of an allocation.
const ALLOCATION: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_maps_are_heavy_and_results_of_the_same_length_are_not() {
        let list = |item: &str, length: usize| {
            let items = vec![item; length / (item.len() + 1)].join(",");
            format!("[{items}]")
        };
        let mebibyte = 1 << 20;
        for (text, heavy) in [
            (list(r#"{"":0}"#, mebibyte), true),
            (list(r#"{"a":1}"#, mebibyte), true),
            (list(r#"{"a":{"a":1}}"#, mebibyte), true),
            (format!("{{\"a\":{}}}", list(r#"{"":[]}"#, mebibyte)), true),
            (list(r#"{"id":71234,"v":0.25}"#, mebibyte), false),
            (list("12", mebibyte), false),
            (list("[]", mebibyte), false),
            (list("{}", mebibyte), false),
            (list(r#""2030-01-01""#, mebibyte), false),
            (list(r#"{"":0}"#, 100_000), false),
            ("{".repeat(mebibyte), false),
            (String::new(), false),
        ] {
            assert_eq!(is_heavy(text.as_bytes(), MOST), heavy, "{text:.40}");
        }
    }
}
