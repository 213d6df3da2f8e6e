//! Structured list: the part of RFC 9651 (structured fields) that rate limits use.

use std::borrow::Cow;

/// One member: `100;w=60`, `"burst";r=50;t=30`, `remaining=50`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) value: Value<'a>,
    parameters: Vec<(&'a str, Value<'a>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Integer(u64),
    Text(Cow<'a, str>),
    Token(&'a str),
    /// A value of a type that is not used for limits.
    Other,
}

/// Parses the members of a list or dictionary; none if any of it is malformed (RFC 9651, 4.2).
pub(super) fn list(text: &str) -> Option<Vec<Item<'_>>> {
    let mut reader = FieldReader(text.trim());
    let mut items = Vec::new();
    loop {
        items.push(reader.item()?);
        reader.skip(&[' ', '\t']);
        if reader.0.is_empty() {
            return Some(items);
        }
        reader.eat(',')?;
        reader.skip(&[' ', '\t']);
    }
}

impl<'a> Item<'a> {
    /// Returns a parameter; the last of its name counts.
    pub(super) fn parameter(&self, name: &str) -> Option<&Value<'a>> {
        self.parameters.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl<'a> Value<'a> {
    pub(super) const fn integer(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Token(token) => Some(Cow::Borrowed(token)),
            Self::Integer(_) | Self::Other => None,
        }
    }
}

struct FieldReader<'a>(&'a str);

impl<'a> FieldReader<'a> {
    fn item(&mut self) -> Option<Item<'a>> {
        let mut value = self.value()?;
        let mut key = None;
        if let Value::Token(token) = value
            && self.eat('=').is_some()
        {
            (key, value) = (Some(token), self.value()?);
        }
        let mut parameters = Vec::new();
        while self.eat(';').is_some() {
            self.skip(&[' ']);
            let name = self.take(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '*'));
            name.starts_with(|c: char| c.is_ascii_lowercase() || c == '*').then_some(())?;
            let value = if self.eat('=').is_some() { self.value()? } else { Value::Other };
            parameters.push((name, value));
        }
        Some(Item { key, value, parameters })
    }

    fn value(&mut self) -> Option<Value<'a>> {
        match self.0.chars().next()? {
            '"' => self.string(),
            '0'..='9' | '-' => self.number(),
            'A'..='Z' | 'a'..='z' | '*' => Some(Value::Token(self.take(is_token))),
            // Bytes, such as the key of a partition.
            ':' => {
                let (_, rest) = self.0.strip_prefix(':')?.split_once(':')?;
                self.0 = rest;
                Some(Value::Other)
            }
            '?' => {
                self.eat('?')?;
                self.eat('0').or_else(|| self.eat('1'))?;
                Some(Value::Other)
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Value<'a>> {
        self.eat('"')?;
        let mut text = Cow::Borrowed("");
        loop {
            let plain = self.take(|c| c != '"' && c != '\\');
            text += plain;
            if self.eat('"').is_some() {
                return Some(Value::Text(text));
            }
            self.eat('\\')?;
            let escaped = self.0.chars().next().filter(|c| matches!(c, '"' | '\\'))?;
            self.eat(escaped)?;
            text.to_mut().push(escaped);
        }
    }

    /// Numbers of more than 15 digits, and decimals without digits on both sides of the point, are invalid.
    fn number(&mut self) -> Option<Value<'a>> {
        let negative = self.eat('-').is_some();
        let number = self.take(|c| c.is_ascii_digit() || c == '.');
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| matches!(text.len(), 1..=15) && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(whole) && digits(fraction)).then_some(())?;
        match negative || number.contains('.') {
            true => Some(Value::Other),
            false => number.parse().ok().map(Value::Integer),
        }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn eat(&mut self, wanted: char) -> Option<()> {
        self.0 = self.0.strip_prefix(wanted)?;
        Some(())
    }

    fn skip(&mut self, blanks: &[char]) {
        self.0 = self.0.trim_start_matches(blanks);
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_members_with_their_parameters() {
        let items = list(r#""a \"b\" \\";q=100;w=60;qu="requests";pk=:cGs=:;x;y=?1;z=-1.5, de.f/g;r=7 ,100;w=60;w=61"#)
            .unwrap();
        assert_eq!(items[0].value.text().unwrap(), r#"a "b" \"#);
        let parameter = |name| items[0].parameter(name).unwrap();
        assert_eq!((parameter("q").integer(), parameter("w").integer()), (Some(100), Some(60)));
        assert_eq!(parameter("qu").text().unwrap(), "requests");
        for other in ["pk", "x", "y", "z"] {
            assert_eq!(*parameter(other), Value::Other, "{other}");
        }
        assert_eq!((&items[1].value, items[1].parameter("q")), (&Value::Token("de.f/g"), None));
        assert_eq!(items[2].value.integer(), Some(100));
        assert_eq!(items[2].parameter("w"), Some(&Value::Integer(61)));
        let items = list("limit=100, remaining=50").unwrap();
        assert_eq!((items[1].key, &items[1].value), (Some("remaining"), &Value::Integer(50)));
    }

    #[test]
    fn refuses_the_whole_where_a_part_is_malformed() {
        for text in [
            "",
            ",",
            "1,",
            "1,,2",
            "1 2",
            "1;",
            "1;W=1",
            "1;w=",
            "1;=1",
            "\"a",
            "\"a\\b\"",
            "\"a\\",
            "-",
            "1.",
            "1..2",
            ".5",
            "--1",
            "1234567890123456",
            "?2",
            ":a",
            "(1 2)",
            "@1",
            "a=",
            "é",
            "1;w=é",
            "\"é",
            ";",
        ] {
            assert_eq!(list(text), None, "{text}");
        }
    }
}
