//! Vendor: the formats of single services.

use super::ignored::each;
use super::ledger::Ledger;
use super::number;

/// Reads headers of a used amount and a limit: `32/40`, or `api-usage=18/5000; per-app-api-usage=17/250(appName=x)`.
///
/// Returns none if the header is not one of these.
pub(super) fn usage<'a>(header: &'a str, text: &'a str, ledger: &mut Ledger<'a>) -> Option<Option<()>> {
    if header.ends_with("-api-call-limit") {
        return Some(pair(header, None, text, ledger));
    }
    (header == "sforce-limit-info").then_some(())?;
    Some(each(text.split([';', ',']), |part| {
        let (name, pair_text) = part.trim().split_once('=').filter(|(name, _)| !name.is_empty())?;
        let pair_text = pair_text.split_once('(').map_or(pair_text, |(pair_text, _)| pair_text);
        pair(header, Some(name), pair_text, ledger)
    }))
}

/// `Microsoft.Compute/GetVMScaleSet3Min;197,Microsoft.Compute/GetVMScaleSet30Min;1297`
pub(super) fn remainings<'a>(source: &'a str, text: &'a str, ledger: &mut Ledger<'a>) -> Option<()> {
    each(text.split(','), |part| {
        let (name, remaining) = part.trim().rsplit_once(';').filter(|(name, _)| !name.is_empty())?;
        let remaining = number::count(remaining.trim())?;
        let draft = ledger.draft(source, Some(name.trim()))?;
        draft.remaining = draft.remaining.or(Some(remaining));
        Some(())
    })
}

fn pair<'a>(header: &'a str, name: Option<&'a str>, text: &str, ledger: &mut Ledger<'a>) -> Option<()> {
    let (used, limit) = text.split_once('/')?;
    let (used, limit) = (number::count_up(used.trim())?, number::count(limit.trim())?);
    let draft = ledger.draft(header, name)?;
    (draft.used, draft.limit) = (draft.used.or(Some(used)), draft.limit.or(Some(limit)));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::hints::tests::{budgets, ignored};

    #[test]
    fn reads_what_single_services_have_of_their_own() {
        type Pairs = [(&'static str, &'static str)];
        let cases: &[(&Pairs, &[&str])] = &[
            // Genesys
            (
                &[("inin-ratelimit-count", "18"), ("inin-ratelimit-allowed", "300"), ("inin-ratelimit-reset", "42")],
                &["- 282/300 in ? reset 42s"],
            ),
            (
                &[
                    ("inin-ratelimit-count", "301"),
                    ("inin-ratelimit-allowed", "300"),
                    ("inin-ratelimit-reset", "90000"),
                ],
                &["- 0/300 in ? reset 90000s"],
            ),
            // Sitecore Send
            (
                &[("x-ratelimit-expires", "07/10/2024 14:12:52"), ("x-ratelimit-firstcall", "07/10/2024 14:12:42")],
                &["- ?/? in 10s reset 7s"],
            ),
            // HubSpot
            (
                &[
                    ("x-hubspot-ratelimit-daily", "250000"),
                    ("x-hubspot-ratelimit-daily-remaining", "249900"),
                    ("x-hubspot-ratelimit-interval-milliseconds", "10000"),
                    ("x-hubspot-ratelimit-max", "100"),
                    ("x-hubspot-ratelimit-remaining", "99"),
                    ("x-hubspot-ratelimit-secondly", "10"),
                    ("x-hubspot-ratelimit-secondly-remaining", "9"),
                ],
                &["daily 249900/250000 in 86400s reset ?", "- 99/100 in 10s reset ?", "secondly 9/10 in 1s reset ?"],
            ),
            // Azure Resource Manager
            (
                &[
                    ("x-ms-ratelimit-remaining-subscription-reads", "11999"),
                    ("x-ms-ratelimit-remaining-subscription-resource-entities-read", "45"),
                    (
                        "x-ms-ratelimit-remaining-resource",
                        "Microsoft.Compute/GetVMScaleSet3Min;197, Microsoft.Compute/GetVMScaleSet30Min;1297",
                    ),
                ],
                &[
                    "subscription-reads 11999/? in ? reset ?",
                    "subscription-resource-entities-read 45/? in ? reset ? of others",
                    "Microsoft.Compute/GetVMScaleSet3Min 197/? in ? reset ?",
                    "Microsoft.Compute/GetVMScaleSet30Min 1297/? in ? reset ?",
                ],
            ),
            // Salesforce, Shopify, Gorgias
            (&[("sforce-limit-info", "api-usage=18/5000")], &["api-usage 4982/5000 in ? reset ?"]),
            (
                &[("sforce-limit-info", "api-usage=25/5000; per-app-api-usage=17/250(appName=an-app)")],
                &["api-usage 4975/5000 in ? reset ?", "per-app-api-usage 233/250 in ? reset ?"],
            ),
            (&[("x-shopify-shop-api-call-limit", "32/40")], &["- 8/40 in ? reset ?"]),
            (&[("x-gorgias-account-api-call-limit", "10/40")], &["- 30/40 in ? reset ?"]),
        ];
        for (pairs, expected) in cases {
            assert_eq!(budgets(pairs), *expected, "{pairs:?}");
            assert!(ignored(pairs).is_empty(), "{pairs:?}");
        }
    }

    #[test]
    fn reads_the_rest_of_a_list_that_is_partly_malformed() {
        for (header, text, expected) in [
            ("x-ms-ratelimit-remaining-resource", "a;1,b;c,d;3", &["a 1/? in ? reset ?", "d 3/? in ? reset ?"][..]),
            ("x-ms-ratelimit-remaining-resource", ";1", &[]),
            ("sforce-limit-info", "api-usage=18, other=1/2", &["other 1/2 in ? reset ?"]),
            ("sforce-limit-info", "=1/2", &[]),
            ("x-shopify-shop-api-call-limit", "32", &[]),
            ("x-shopify-shop-api-call-limit", "-1/40", &[]),
            ("inin-ratelimit-reset", "1720620825", &[]),
            ("x-hubspot-ratelimit-interval-milliseconds", "0", &[]),
        ] {
            assert_eq!(budgets(&[(header, text)]), expected, "{text}");
            assert_eq!(ignored(&[(header, text)]), [format!("ignored {header}: `{text}`")]);
        }
    }
}
