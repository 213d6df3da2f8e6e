//! Written: profiles in files, and where in a file a mistake stands.

use serde_path_to_error::Track;

use super::Profile;
use crate::error::{Error, ErrorKind};

pub(super) fn from_json(text: &str) -> Result<Profile, Error> {
    let mut track = Track::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let profile = serde::Deserialize::deserialize(tracked)
        .map_err(|why: serde_json::Error| wrong("JSON", &track.path().to_string(), &why.to_string()))?;
    reader.end().map_err(|why| wrong("JSON", "", &why.to_string()))?;
    Ok(profile)
}

#[cfg(feature = "toml")]
pub(super) fn from_toml(text: &str) -> Result<Profile, Error> {
    let mut track = Track::new();
    let reader = toml::Deserializer::parse(text).map_err(|why| wrong("TOML", "", &placed(text, &why)))?;
    let tracked = serde_path_to_error::Deserializer::new(reader, &mut track);
    serde::Deserialize::deserialize(tracked)
        .map_err(|why: toml::de::Error| wrong("TOML", &track.path().to_string(), &placed(text, &why)))
}

#[cfg(feature = "toml")]
pub(super) fn to_toml(profile: &Profile) -> Result<String, Error> {
    toml::to_string(profile)
        .map_err(|why| Error::new(ErrorKind::Config, format!("the profile `{}`: {why}", profile.name)))
}

/// Returns the message of an error with its line, and without an excerpt of the text.
#[cfg(feature = "toml")]
fn placed(text: &str, why: &toml::de::Error) -> String {
    let line = why.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    match line {
        Some(line) => format!("{} at line {line}", why.message()),
        None => why.message().to_owned(),
    }
}

fn wrong(format: &str, path: &str, why: &str) -> Error {
    let place = if matches!(path, "" | ".") { String::new() } else { format!(", at `{path}`") };
    Error::new(ErrorKind::Config, format!("the profile in {format}{place}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named_with_its_path_and_its_line() {
        for (text, path, why) in [
            ("{\"name\": 7}", "`name`", "expected a string"),
            ("{\"nam\": \"x\"}", "`nam`", "unknown field `nam`"),
            ("{\"protocol\": {\"state\": [\"/a\", \"b\"]}}", "`protocol.state[1]`", "line 1"),
            ("{\"protocol\": {\"cancel\": \"nothing\"}}", "`protocol.cancel`", "is no request"),
            ("{\"kinds\": {\"a\": {\"words\": {\"X\": \"gone\"}}}}", "`kinds.a.words.X`", "unknown variant `gone`"),
            ("{\"limits\": [{\"windows\": [{\"count\": 4}]}]}", "`limits[0]", ""),
            ("{} x", "JSON", "trailing characters"),
        ] {
            let error = from_json(text).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains(why), "{text}: {error}");
        }
    }

    #[cfg(feature = "toml")]
    #[test]
    fn a_mistake_in_toml_is_named_in_the_same_way() {
        for (text, path, why) in [
            ("name = 7", "`name`", "at line 1"),
            ("name = \"a\"\nlimit = 3", "`limit`", "unknown field"),
            ("name = ", "TOML", "at line 1"),
            ("\n\n[kinds.export]\nresult = [{ at = \"/a\", kind = \"lnk\" }]", "`kinds.export.result[0]", "lnk"),
        ] {
            let error = from_toml(text).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains(why), "{text}: {error}");
        }
    }
}
