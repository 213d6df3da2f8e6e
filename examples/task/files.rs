//! The names of several results in one folder.

use std::collections::BTreeSet;

use longhaul::Download;

/// Returns a name for each result: the last part of its link, sanitized, with no two equal in any case of letters.
pub(crate) fn names(downloads: &[Download]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    downloads
        .iter()
        .map(|download| {
            let path = download.link().map_or("", |link| link.split_sas().0);
            let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let clean = clean(last);
            let wanted = if clean.is_empty() { "result".to_owned() } else { clean };
            let free = (1..).map(|number| numbered(&wanted, number)).find(|name| taken.insert(name.to_lowercase()));
            free.unwrap_or(wanted)
        })
        .collect()
}

/// `farms.csv`, then `farms-2.csv`.
fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (1, _) => name.to_owned(),
        (_, Some((stem, ending))) if !stem.is_empty() => format!("{stem}-{number}.{ending}"),
        _ => format!("{name}-{number}"),
    }
}

/// Cleans a name from a service: no part of it may lead out of the folder, or be hidden there.
fn clean(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.replace("%20", "_").chars().map(plain).collect();
    name.trim_start_matches('.').chars().take(100).collect()
}
