//! The profile of Sitecore Send. Data only.

use std::time::Duration;

use super::{CredentialStyle, Profile};
use crate::limit::{Limit, Scope};
use crate::pointer::Source;
use crate::protocol::Protocol;
use crate::retry::{EnvelopeRule, RetryPolicy, Schedule};

pub(super) fn profile() -> Profile {
    let mut profile = Profile::of("sitecore_send", Protocol::auto().named("sitecore_send"))
        .base("https://api.sitecoresend.io/v3")
        .credential_style(CredentialStyle::query("apikey", "api_key"))
        // Refusals and errors arrive with 200. The word of a refusal is written in two ways, its code in one.
        .envelope(EnvelopeRule::reads_as(429, Source::pointer("/Code"), ["429"]))
        .envelope(EnvelopeRule::reads_as(429, Source::pointer("/Error"), ["RATE_LIMITING"]))
        .envelope(EnvelopeRule::reads_as(401, Source::pointer("/Code"), ["401"]))
        // Another HTTP status says itself whether the failure may pass.
        .envelope(EnvelopeRule::reads_as(400, Source::pointer("/Code"), ["0"]).unless().status(200))
        .envelope(EnvelopeRule::reads_as(400, Source::pointer("/Error"), [""]).unless().status(200))
        .retry(
            RetryPolicy::standard()
                .retries(5)
                .schedule(Schedule::decorrelated(MEDIAN, WINDOW))
                .hint_margin(Duration::from_millis(50)),
        );
    for (name, route, count, seconds) in ROUTES {
        profile = profile.limit(Limit::per(count, Duration::from_secs(seconds)).scope(Scope::route(route)).named(name));
    }
    profile
}

/// The limits of an API key: each route has a window of its own.
const ROUTES: [(&str, &str, u32, u64); 11] = [
    ("campaign statistics", "GET campaigns/*/stats/*", 2, 60),
    ("subscribe", "POST subscribers/*/subscribe.json", 10, 10),
    ("subscribe many", "POST subscribers/*/subscribe_many.json", 2, 10),
    ("unsubscribe from the account", "POST subscribers/unsubscribe.json", 20, 10),
    ("unsubscribe from a list", "POST subscribers/*/unsubscribe.json", 20, 10),
    ("unsubscribe from a list and campaign", "POST subscribers/*/*/unsubscribe.json", 20, 10),
    ("delete", "DELETE subscribers/*/delete.json", 40, 10),
    ("delete many", "DELETE subscribers/*/delete_many.json", 8, 10),
    // The older names of the same operations.
    ("remove", "POST subscribers/*/remove.json", 40, 10),
    ("remove many", "POST subscribers/*/remove_many.json", 8, 10),
    ("transactional", "POST campaigns/transactional/send.json", 6, 1),
];

/// The window over the number of requests in it, times one and a half.
const MEDIAN: Duration = Duration::from_millis(1_500);
/// The longest window but that of the statistics, whose end the service states.
const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::message::Reply;

    #[test]
    fn a_failure_inside_200_is_one_and_another_status_keeps_its_meaning() {
        let profile = profile();
        for (status, body, read_as) in [
            (200, r#"{"Code": 0, "Error": null, "Context": {}}"#, None),
            (200, r#"{"Code": 0, "Error": ""}"#, None),
            (200, r#"{"Code": 0, "Error": "MEMBER_ALREADY_EXISTS"}"#, Some(400)),
            (200, r#"{"Code": 429, "Error": "RATE_LIMITING"}"#, Some(429)),
            (200, r#"{"Code": 501, "Error": "NOT_FOUND"}"#, Some(400)),
            (429, r#"{"Code": 429, "Error": "RATE_LIMITING"}"#, Some(429)),
            (503, r#"{"Code": 503, "Error": "MAINTENANCE"}"#, None),
            (500, r#"{"Code": 500, "Error": "X"}"#, None),
        ] {
            let url = "https://a.example".parse().unwrap();
            let reply = Reply::new(StatusCode::from_u16(status).unwrap(), url, HeaderMap::new(), body);
            let json = reply.json();
            let found = profile.envelopes().iter().find_map(|rule| rule.read(&reply, json.as_ref()));
            assert_eq!(found.map(|status| status.as_u16()), read_as, "{status} {body}");
        }
    }
}
