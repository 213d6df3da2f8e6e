//! Check: the mistakes of a profile, each with the place where it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::{Profile, variables};
use crate::error::{Error, ErrorKind};
use crate::limit::{Limit, Scope, Window};
use crate::message::{RESERVED_WHY, is_reserved};
use crate::redact::{looks_secret, sounds_secret};
use crate::retry::EnvelopeRule;

/// Checks a profile. The error has a line for each mistake.
pub(super) fn check(profile: &Profile) -> Result<(), Error> {
    let flaws = flaws(profile);
    if flaws.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = flaws.iter().map(|(place, why)| format!("`{place}`: {why}")).collect();
    let why = format!("the profile `{}`: {}", profile.name, lines.join("; "));
    Err(Error::new(ErrorKind::Config, why))
}

fn flaws(profile: &Profile) -> Vec<(String, String)> {
    let mut flaws = Vec::new();
    let mut found = |place: String, why: Option<String>| flaws.extend(why.map(|why| (place, why)));
    found("base".into(), base(profile).err());
    for name in profile.variables.keys() {
        found(format!("variables.{name}"), unused(profile, name));
    }
    for (name, value) in &profile.headers {
        found(format!("headers.{name}"), header(name, value, &profile.variables).err());
    }
    for (place, style) in profile.credential.iter().enumerate() {
        let fill = |text: &str| variables::fill(text, &filled(&profile.variables));
        found(format!("credential[{place}]"), style.flaw(&fill));
    }
    found("protocol".into(), profile.protocol.check().err());
    for (name, protocol) in &profile.kinds {
        found(format!("kinds.{name}"), protocol.check().err());
    }
    for (place, limit) in profile.limits.iter().enumerate() {
        found(format!("limits[{place}]"), limit_flaw(profile, place, limit));
    }
    for (place, rule) in profile.envelopes.iter().enumerate() {
        found(format!("envelopes[{place}]"), EnvelopeRule::check(rule).err());
    }
    found("retry".into(), profile.retry.check().err());
    flaws
}

/// A variable that the user must still set is no mistake of the profile.
fn filled(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let value = |value: &str| if value.trim().is_empty() { "unset".to_owned() } else { value.to_owned() };
    variables.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

fn base(profile: &Profile) -> Result<(), String> {
    let Some(base) = &profile.base else { return Ok(()) };
    let url = variables::fill(base, &filled(&profile.variables))?;
    let parsed = url::Url::parse(url.trim()).map_err(|why| format!("`{}` is no URL: {why}", base.escape_debug()))?;
    match parsed.scheme() {
        "http" | "https" => Ok(()),
        other => Err(format!("its scheme is `{other}`, and must be https or http")),
    }
}

fn unused(profile: &Profile, name: &str) -> Option<String> {
    let written = format!("{{{name}}}");
    let in_headers = || profile.headers.values().any(|value| value.contains(&written));
    let in_base = || profile.base.as_ref().is_some_and(|base| base.contains(&written));
    let in_styles = || profile.credential.iter().any(|style| style.mentions(&written));
    (!in_base() && !in_headers() && !in_styles())
        .then(|| format!("no base URL, header or credential has `{written}`: use it, or leave it out"))
}

/// Checks a header that every request carries, and returns it.
pub(super) fn header(
    name: &str,
    value: &str,
    variables: &BTreeMap<String, String>,
) -> Result<(HeaderName, HeaderValue), String> {
    let value = variables::fill(value, &filled(variables))?;
    let parsed = HeaderName::try_from(name).map_err(|_| format!("`{}` is no name of a header", name.escape_debug()))?;
    if is_reserved(&parsed) {
        return Err(format!("the header {RESERVED_WHY}"));
    }
    if sounds_secret(parsed.as_str()) || looks_secret(&value) {
        return Err("the header sounds like a secret, and a profile holds none: use a credential style".into());
    }
    let value = HeaderValue::try_from(&value).map_err(|_| "the value contains a control character".to_owned())?;
    Ok((parsed, value))
}

fn limit_flaw(profile: &Profile, place: usize, limit: &Limit) -> Option<String> {
    if let Err(why) = limit.check() {
        return Some(why.message().to_owned());
    }
    if let Scope::Kind(kind) = limit.scoped()
        && !profile.kinds.contains_key(kind)
    {
        let kinds: Vec<&str> = profile.kinds.keys().map(String::as_str).collect();
        return Some(format!("it is for the kind `{kind}`, and the kinds are [{}]", kinds.join(", ")));
    }
    if let Some(why) = contradiction(limit.windows(), limit.windows()) {
        return Some(why);
    }
    let earlier = profile.limits.iter().take(place).filter(|earlier| earlier.scoped() == limit.scoped());
    earlier.into_iter().find_map(|earlier| {
        let why = contradiction(earlier.windows(), limit.windows())?;
        Some(format!("beside the limit `{earlier}`: {why}"))
    })
}

/// Two windows of one length with two counts contradict each other; and a shorter window that allows more than a longer
/// one is never reached.
fn contradiction(some: &[Window], others: &[Window]) -> Option<String> {
    let pairs = some.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
    pairs.filter_map(|(one, other)| Some((size(one)?, size(other)?))).find_map(|((count, length), (other, long))| {
        if length == long && count != other {
            return Some(format!("{count} and {other} in the same window of {length:?}: keep one"));
        }
        (length < long && count > other).then(|| {
            format!("{count} in {length:?} can never be reached, because {long:?} allows {other}: one of them is wrong")
        })
    })
}

fn size(window: &Window) -> Option<(u32, Duration)> {
    match window {
        Window::Sliding { count, length } => Some((*count, *length)),
        Window::Daily { count, .. } => Some((*count, DAY)),
        _ => None,
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{CredentialStyle, OAuthStyle};
    use crate::protocol::Protocol;
    use crate::retry::RetryPolicy;

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let auto = Profile::auto;
        for (profile, expected) in [
            (auto().base("https://{region}.example.com"), "`base`: `https://{region}.example.com` names the variable"),
            (auto().base("ftp://a.example"), "`base`: its scheme is `ftp`"),
            (auto().variable("env", "x"), "`variables.env`: no base URL"),
            (auto().header("Authorization", "x"), "`headers.Authorization`"),
            (auto().header("X-Api-Key", "x"), "sounds like a secret"),
            (auto().header("a b", "x"), "is no name of a header"),
            (
                auto().credential_style(CredentialStyle::oauth(OAuthStyle::client_credentials("no url"))),
                "`credential[0]`: token_url: `no url` is no URL",
            ),
            (
                auto().credential_style(CredentialStyle::oauth(
                    OAuthStyle::client_credentials("https://a.example/t").scope("{tenant}"),
                )),
                "`credential[0]`: scope: `{tenant}` names the variable",
            ),
            (
                auto().credential_style(CredentialStyle::oauth(
                    OAuthStyle::client_credentials("https://a.example/t").param("audience", "{tenant}"),
                )),
                "`credential[0]`: params.audience: `{tenant}` names the variable",
            ),
            (
                auto().credential_style(CredentialStyle::oauth(
                    OAuthStyle::client_credentials("https://a.example/t").header("a b", "key"),
                )),
                "`credential[0]`: `a b` is no name of a header",
            ),
            (auto().kind("export", Protocol::auto().status_template("jobs/{job}")), "`kinds.export`: status_template"),
            (auto().limit(Limit::per_second(0)), "`limits[0]`"),
            (auto().limit(Limit::per_second(4).scope(Scope::Kind("nobody".into()))), "for the kind `nobody`"),
            (auto().limit(Limit::per_second(4)).limit(Limit::per_second(5)), "`limits[1]`: beside the limit"),
            (
                auto().limit(Limit::per_second(400).and_per(5, Duration::from_secs(60))),
                "400 in 1s can never be reached",
            ),
            (auto().limit(Limit::per_second(4).scope(Scope::route("get farms"))), "`get` is no method"),
            (
                auto().envelope(EnvelopeRule::reads_as(299, crate::pointer::Source::pointer("/a"), ["b"])),
                "`envelopes[0]`",
            ),
            (
                auto().retry(
                    RetryPolicy::standard()
                        .retries(1_000)
                        .without_budget()
                        .schedule(crate::retry::Schedule::constant(Duration::ZERO)),
                ),
                "`retry`",
            ),
        ] {
            let error = check(&profile).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn the_built_in_profiles_are_without_a_mistake() {
        for name in Profile::NAMES {
            assert_eq!(flaws(&Profile::by_name(name).unwrap()), [], "{name}");
        }
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let profile = Profile::auto().limit(Limit::per_second(0)).header("a b", "x").base("x");
        assert_eq!(flaws(&profile).len(), 3);
    }
}
