//! Field: the fact and the budget that a header holds, by its name.

use super::span;

/// The parts of a header name: `x-ratelimit-remaining-minute` has the source `x-`, a fact, and the budget's name
/// `minute`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) source: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) fact: Fact,
}

impl<'a> Field<'a> {
    /// Parses a header name; none if the name is no field of a budget.
    pub(super) fn of(header: &'a str) -> Option<Self> {
        let (source, rest) = header.split_once("ratelimit-").or_else(|| header.split_once("rate-limit-"))?;
        if let Some((fact, name)) = of_one_service(source, rest) {
            return Some(Self { source, name, fact });
        }
        if let Some(fact) = fact(rest) {
            return Some(Self { source, name: None, fact });
        }
        if matches!(rest, "resource" | "bucket") {
            return Some(Self { source, name: None, fact: Fact::Label });
        }
        // Kong and OpenAI put the budget's name after the fact, HubSpot and Anthropic before it.
        let (first, behind) = rest.split_once('-')?;
        let (before, last) = rest.rsplit_once('-')?;
        let named = |name, word| fact(word).map(|fact| Self { source, name: Some(name), fact });
        named(behind, first).or_else(|| named(before, last))
    }
}

/// The fact of a budget that a header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Limit,
    Remaining,
    Used,
    Reset,
    /// In seconds from now, and so more reliable than a moment.
    ResetAfter,
    Expires,
    FirstCall,
    WindowMillis,
    /// `name;n,name;n`
    Remainings,
    Label,
}

/// A header that means something other than its words, or that has its own words: its fact and the budget's name.
fn of_one_service<'a>(source: &str, rest: &'a str) -> Option<(Fact, Option<&'a str>)> {
    match (source, rest) {
        // Genesys
        ("inin-", "count") => Some((Fact::Used, None)),
        ("inin-", "allowed") => Some((Fact::Limit, None)),
        ("inin-", "reset") => Some((Fact::ResetAfter, None)),
        // Sitecore Send
        ("x-", "expires") => Some((Fact::Expires, None)),
        ("x-", "firstcall") => Some((Fact::FirstCall, None)),
        // HubSpot
        ("x-hubspot-", "max") => Some((Fact::Limit, None)),
        ("x-hubspot-", "interval-milliseconds") => Some((Fact::WindowMillis, None)),
        ("x-hubspot-", name) if span::named(name).is_some() => Some((Fact::Limit, Some(name))),
        // Azure Resource Manager
        ("x-ms-", "remaining-resource") => Some((Fact::Remainings, None)),
        _ => None,
    }
}

/// Returns the fact that a word stands for in every dialect.
fn fact(word: &str) -> Option<Fact> {
    match word {
        "limit" => Some(Fact::Limit),
        "remaining" => Some(Fact::Remaining),
        "used" => Some(Fact::Used),
        "reset" | "next" => Some(Fact::Reset),
        "reset-after" => Some(Fact::ResetAfter),
        _ => None,
    }
}
