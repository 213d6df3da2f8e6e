//! The profile of Constant Contact's V3 API. Data only.

use std::time::Duration;

use super::{CredentialStyle, OAuthStyle, Profile};
use crate::limit::{Limit, Scope};
use crate::pointer::Source;
use crate::protocol::{Protocol, ResultKind, StatusKind};
use crate::retry::EnvelopeRule;

pub(super) fn profile() -> Profile {
    with_limits(base(), "constant_contact", 4, 10_000)
}

pub(super) fn partner() -> Profile {
    with_limits(base(), "constant_contact_partner", 10, 250_000)
}

fn base() -> Profile {
    let login = "https://authz.constantcontact.com/oauth2/default/v1";
    Profile::of("constant_contact", activity("activity"))
        .base("https://api.cc.email/v3")
        .kind("activity", activity("activity"))
        .kind(
            "contact_export",
            activity("contact_export").result(Source::pointer("/_links/results/href"), ResultKind::Link),
        )
        .kind("contact_import", activity("contact_import"))
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::login(format!("{login}/authorize"), format!("{login}/token"))
                .scope("contact_data offline_access"),
        ))
        // The gateway of old answers with 403, in a list or in a single object.
        .envelope(over("/*/error_key"))
        .envelope(over("/error_key"))
}

/// Adds the limits of an API key, over all its tokens.
fn with_limits(profile: Profile, name: &str, second: u32, day: u32) -> Profile {
    profile
        .named(name)
        .limit(Limit::per_second(second).and_per_day(day, "America/New_York").named("API key"))
        // Behind a 429 at these paths may also stand a queue of more than 1,000 activities, which empties slowly.
        .limit(
            Limit::per_second(second)
                .scope(Scope::route("POST activities/*"))
                .pause_without_hint(FULL_QUEUE)
                .named("queued activities"),
        )
        .limit(Limit::per_second(1).scope(Scope::TokenEndpoint).named("token endpoint"))
}

/// An activity: the links are relative to the host, and already hold `/v3`.
fn activity(name: &str) -> Protocol {
    Protocol::auto()
        .named(name)
        .id(Source::pointer("/activity_id"))
        .status_url(Source::pointer("/_links/self/href"), StatusKind::Monitor)
        .status_template("activities/{id}")
        .state(Source::pointer("/state"))
        .progress_of(Source::pointer("/status/items_completed_count"), Source::pointer("/status/items_total_count"))
        .error_message(Source::pointer("/activity_errors/0"))
        .without_cancel()
}

fn over(at: &str) -> EnvelopeRule {
    EnvelopeRule::reads_as(429, Source::pointer(at), ["mashery.not.authorized.over.*"]).status(403)
}

/// An activity takes minutes; a queue of a thousand is not empty after a second.
const FULL_QUEUE: Duration = Duration::from_secs(5 * 60);
