//! Variables: the parts of a profile's URLs that differ from tenant to tenant.

use std::collections::BTreeMap;

/// Replaces the variables of a text, or explains which is missing.
pub(super) type Fill<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Replaces each `{name}` of a text by the variable of that name. The error says which variable is missing, and how it
/// is set.
pub(super) fn fill(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("`{}` has a `{{` without a `}}`", text.escape_debug()));
        };
        match variables.get(name).map(|value| value.trim()) {
            Some("") => {
                return Err(format!("the variable `{name}` is not set: set it by `.variable(\"{name}\", ..)`"));
            }
            Some(value) => filled.push_str(value),
            None => {
                let known: Vec<&str> = variables.keys().map(String::as_str).collect();
                return Err(format!(
                    "`{}` names the variable `{name}`, which the profile does not have; its variables are [{}]",
                    text.escape_debug(),
                    known.join(", ")
                ));
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_is_replaced_and_a_missing_one_is_named() {
        let variables =
            [("region", "mypurecloud.ie"), ("env", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (text, expected) in [
            ("https://api.{region}/v2", Ok("https://api.mypurecloud.ie/v2")),
            ("{region}{region}", Ok("mypurecloud.iemypurecloud.ie")),
            ("plain", Ok("plain")),
            ("https://{env}.example.com", Err("the variable `env` is not set")),
            ("https://{tenant}.example.com", Err("its variables are [env, region]")),
            ("https://{region", Err("has a `{` without a `}`")),
        ] {
            match (fill(text, &variables), expected) {
                (Ok(filled), Ok(expected)) => assert_eq!(filled, expected),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{text}: {why}"),
                (given, _) => panic!("{text}: {given:?}"),
            }
        }
    }
}
