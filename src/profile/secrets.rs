//! Secrets: the named values that a credential style needs.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::redact::Secret;

/// The named values that turn a [`CredentialStyle`](super::CredentialStyle) into a credential: ids, keys, passwords.
/// `Debug` shows the names alone.
///
/// The names are those of the style, such as `client_id`, `client_secret`, `api_key`; case does not matter. The values
/// lose surrounding white space, such as the line break at the end of a file, and are wiped from memory when they are
/// dropped.
///
/// ```
/// use longhaul::credentials::Secrets;
///
/// let secrets = Secrets::new().set("client_id", "my-id").set("client_secret", "my-secret\n");
/// assert_eq!(format!("{secrets:?}"), r#"Secrets{"client_id", "client_secret"}"#);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Creates an empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads the environment variables that begin with this prefix and an underscore: with `GENESYS`, the variable
    /// `GENESYS_CLIENT_ID` becomes `client_id`. A variable that is not Unicode is left out.
    #[must_use]
    pub fn from_env(prefix: &str) -> Self {
        Self::from_variables(
            prefix,
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    fn from_variables(prefix: &str, variables: impl Iterator<Item = (String, String)>) -> Self {
        let begin = format!("{}_", prefix.trim_end_matches('_')).to_lowercase();
        let named = variables.filter_map(|(name, value)| {
            let name = name.to_lowercase();
            let name = name.strip_prefix(&begin).filter(|rest| !rest.is_empty())?;
            Some((name.to_owned(), Secret::trimmed(value)))
        });
        Self(named.collect())
    }

    /// Sets a value. A later value of the same name replaces an earlier one.
    #[must_use]
    pub fn set(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.0.insert(name.as_ref().to_lowercase(), Secret::trimmed(value));
        self
    }

    /// Returns the value of a name, or an error that says which one is missing.
    pub(super) fn wanted(&self, name: &str) -> Result<&Secret, Error> {
        self.find(name).ok_or_else(|| {
            let why = format!(
                "the profile's credential needs the secret `{name}`, and {self:?} was given: set it by \
                 `Secrets::set(\"{name}\", ..)`, or by the environment variable PREFIX_{} with `Secrets::from_env(\"PREFIX\")`",
                name.to_uppercase()
            );
            Error::new(ErrorKind::Config, why)
        })
    }

    /// Returns the value of a name; `None` if it is missing or empty.
    pub(super) fn find(&self, name: &str) -> Option<&Secret> {
        self.0.get(&name.to_lowercase()).filter(|value| !value.expose().is_empty())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_by_their_prefix_in_any_case() {
        let variables =
            [("GENESYS_CLIENT_ID", " id \n"), ("genesys_scope", "s"), ("GENESYSX_KEY", "k"), ("GENESYS_", "n")];
        let given = || variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        for prefix in ["GENESYS", "genesys_"] {
            let secrets = Secrets::from_variables(prefix, given());
            assert_eq!(format!("{secrets:?}"), r#"Secrets{"client_id", "scope"}"#);
            assert_eq!(secrets.find("Client_Id").map(Secret::expose), Some("id"));
        }
    }

    #[test]
    fn an_empty_value_counts_as_missing() {
        let secrets = Secrets::new().set("key", "one").set("KEY", "  ");
        assert_eq!(secrets.find("key"), None);
        assert_eq!(format!("{secrets:?}"), r#"Secrets{"key"}"#);
    }
}
