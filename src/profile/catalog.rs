//! Catalog: the profiles that are known by name.

use super::{Profile, services};

/// Creates a profile.
type Make = fn() -> Profile;

/// Each name and its profile.
const CATALOG: [(&str, Make); 29] = [
    ("auto", Profile::auto),
    ("smag_task", Profile::smag_task),
    ("constant_contact", Profile::constant_contact),
    ("constant_contact_partner", Profile::constant_contact_partner),
    ("aprimo", Profile::aprimo),
    ("genesys", Profile::genesys),
    ("sitecore_send", Profile::sitecore_send),
    ("async_request_reply", Profile::async_request_reply),
    ("azure", Profile::azure),
    ("google_operations", Profile::google_operations),
    ("databricks", services::databricks),
    ("dropbox", services::dropbox),
    ("durable_functions", services::durable_functions),
    ("fhir", services::fhir),
    ("hubspot", services::hubspot),
    ("ivoa_uws", services::ivoa_uws),
    ("mailchimp", services::mailchimp),
    ("marketo", services::marketo),
    ("microsoft_graph", services::microsoft_graph),
    ("ogc_processes", services::ogc_processes),
    ("openai", services::openai),
    ("power_bi", services::power_bi),
    ("replicate", services::replicate),
    ("salesforce_bulk", services::salesforce_bulk),
    ("shopify", services::shopify),
    ("snowflake", services::snowflake),
    ("trino", services::trino),
    ("twilio", services::twilio),
    ("zuora", services::zuora),
];

#[expect(clippy::indexing_slicing, reason = "a constant, which would not compile")]
pub(super) const NAMES: [&str; CATALOG.len()] = {
    let mut names = [""; CATALOG.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = CATALOG[place].0;
        place += 1;
    }
    names
};

/// Returns the profile of this name.
pub(super) fn find(name: &str) -> Option<Profile> {
    CATALOG.iter().find(|(known, _)| *known == name).map(|(_, profile)| profile())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_bears_the_name_that_finds_it() {
        for name in NAMES {
            assert_eq!(find(name).unwrap().name(), name);
        }
        assert_eq!(find("nobody"), None);
    }
}
