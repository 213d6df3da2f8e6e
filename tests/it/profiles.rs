//! The profiles of the field: each held against exchanges that are written from what its vendor documents.
//!
//! A case is a list of requests and answers in their order. The first request is the submit; behind the end of the task
//! its links are downloaded, and its pages are read.

mod ai;
mod data;
mod marketing;
mod microsoft;
mod science;

use std::time::Duration;

use futures::TryStreamExt;
use longhaul::credentials::Secrets;
use longhaul::testing::{Canned, Recorded, Script, reply, script};
use longhaul::{Client, Credential, Error, ErrorKind, Outcome, Profile, Task, profiles};
use serde_json::Value;

/// One exchange with a service.
pub(crate) struct Case {
    /// The profile, and behind a colon the kind.
    profile: &'static str,
    name: &'static str,
    /// Requests as `METHOD path`, with the body behind ` | `, and before it `+SECONDS` that pass at least. Answers as
    /// `STATUS | name: value | body`.
    talk: &'static [(&'static str, &'static str)],
    /// The states of the updates.
    told: &'static str,
    /// What becomes of the task.
    end: &'static str,
}

#[tokio::test(start_paused = true)]
async fn every_service_is_understood_as_its_vendor_documents_it() {
    let mut wrong = Vec::new();
    for case in cases() {
        let profile = Profile::by_name(case.profile.split(':').next().unwrap()).unwrap();
        let json = serde_json::to_string(&profile).unwrap();
        let toml = toml::to_string(&profile).unwrap();
        let read = [serde_json::from_str(&json).unwrap(), toml::from_str(&toml).unwrap()];
        for (form, profile) in ["as it is", "from JSON", "from TOML"].into_iter().zip([profile].into_iter().chain(read))
        {
            if let Err(why) = held(case, profile).await {
                wrong.push(format!("{}, {}, {form}:\n{why}", case.profile, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_service_is_known_by_name_and_has_a_success_and_a_failure() {
    let names = Profile::NAMES;
    for name in names {
        let profile = Profile::by_name(name).unwrap();
        assert_eq!(profile.name(), *name);
        assert!(Client::builder("https://api.example.com/v1").profile(profile).build().is_ok(), "{name}");
    }
    for profile in services() {
        assert_eq!(Profile::by_name(profile.name()), Some(profile.clone()));
        // A server of one's own has a base of its own.
        if ["fhir", "ivoa_uws", "ogc_processes", "trino"].contains(&profile.name()) {
            continue;
        }
        let secrets = profile.secret_names().iter().fold(Secrets::new(), |secrets, name| secrets.set(name, "secret"));
        let secrets = secrets.set("refresh_token", "secret");
        // An empty variable is one that the user must set.
        let written = serde_json::to_value(&profile).unwrap();
        let open = written["variables"].as_object().into_iter().flatten().filter(|(_, value)| *value == "");
        let name = profile.name().to_owned();
        let profile = open.fold(profile, |profile, (name, _)| profile.variable(name, "acme"));
        let client = Client::for_profile(profile).secrets(secrets).build();
        assert!(client.is_ok(), "{name}: {}", client.unwrap_err());
    }
    let services = services();
    for service in services.iter().map(Profile::name).chain(["azure", "google_operations"]) {
        let ends: Vec<_> = cases()
            .filter(|case| case.profile.split(':').next() == Some(service))
            .map(|case| case.end.split(' ').next().unwrap())
            .collect();
        assert!(ends.iter().any(|end| ["links", "value", "rows", "bytes"].contains(end)), "{service}: no success");
        assert!(
            ends.iter().any(|end| ["failed", "refused", "expired", "canceled"].contains(end)),
            "{service}: no failure"
        );
    }
}

fn services() -> [Profile; 19] {
    [
        profiles::databricks(),
        profiles::dropbox(),
        profiles::durable_functions(),
        profiles::fhir(),
        profiles::hubspot(),
        profiles::ivoa_uws(),
        profiles::mailchimp(),
        profiles::marketo(),
        profiles::microsoft_graph(),
        profiles::ogc_processes(),
        profiles::openai(),
        profiles::power_bi(),
        profiles::replicate(),
        profiles::salesforce_bulk(),
        profiles::shopify(),
        profiles::snowflake(),
        profiles::trino(),
        profiles::twilio(),
        profiles::zuora(),
    ]
}

fn cases() -> impl Iterator<Item = &'static Case> {
    [ai::CASES, data::CASES, marketing::CASES, microsoft::CASES, science::CASES].into_iter().flatten()
}

/// Runs a case.
async fn held(case: &Case, profile: Profile) -> Result<(), String> {
    let service = script(case.talk.iter().map(|(_, answer)| canned(answer)));
    let client = service.client().profile(profile).credential(Credential::bearer("t0ken")).build().unwrap();
    let mut told = Vec::new();
    let end = match submit(&client, case).await {
        Err(error) => format!("refused {}{}", error.status().map_or(0, |status| status.as_u16()), fault(&error)),
        Ok(mut task) => {
            let mut updates = task.updates();
            while let Ok(Some(update)) = updates.try_next().await {
                let percent = update.percent().map(|percent| format!(" {percent}%")).unwrap_or_default();
                let warning = update.warning().map(|warning| format!(" ({warning})")).unwrap_or_default();
                told.push(format!("{}{percent}{warning}", update.state()));
            }
            match task.await {
                Ok(outcome) => taken(&outcome, case.end.starts_with("bytes")).await,
                Err(error) if ENDS.contains(&error.kind()) => {
                    let state = told.last().map_or("", |told| told.split(' ').next().unwrap());
                    format!("{state}{}", fault(&error))
                }
                Err(error) => format!("{:?} {error}", error.kind()),
            }
        }
    };
    compare("requests", &requests(&service), &case.talk.iter().map(|(request, _)| *request).collect::<Vec<_>>())?;
    compare("states", &[told.join(", ")], &[case.told])?;
    compare("end", &[end], &[case.end])?;
    if service.left() > 0 { Err(format!("{} answers are left", service.left())) } else { Ok(()) }
}

async fn submit(client: &Client, case: &Case) -> longhaul::Result<Task<Value>> {
    let (request, _) = case.talk[0];
    let (line, body) = request.split_once(" | ").unwrap_or((request, ""));
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut task = client.task().method(method.parse().unwrap(), path).query(query);
    if let Some((_, kind)) = case.profile.split_once(':') {
        task = task.kind(kind);
    }
    if !body.is_empty() {
        let kind = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        task = task.body(body, kind);
    }
    task.submit().await
}

/// What an outcome is, with its links downloaded and its pages read.
async fn taken(outcome: &Outcome<Value>, are_bytes: bool) -> String {
    if outcome.has_pages() {
        if are_bytes {
            let pages: Vec<_> = outcome.page_bytes().try_collect().await.unwrap();
            return format!("bytes {}", String::from_utf8_lossy(&pages.concat()));
        }
        return match outcome.pages::<Value>().try_collect::<Vec<_>>().await {
            Ok(rows) => format!("rows {}", Value::from(rows)),
            Err(error) => format!("rows end with {:?}{}", error.kind(), fault(&error)),
        };
    }
    if outcome.links().is_empty() {
        return format!("value {}", outcome.text().unwrap_or_default());
    }
    let mut end = "links".to_owned();
    for (link, download) in outcome.links().iter().zip(outcome.downloads()) {
        end += &format!(" {}", short(link.expose()));
        match download.to_memory(1_000).await {
            Ok(bytes) => end += &format!("={}", String::from_utf8_lossy(&bytes)),
            Err(error) => end += &format!("={error}"),
        }
    }
    end
}

fn fault(error: &Error) -> String {
    let fault = error.fault();
    let code = fault.and_then(longhaul::Fault::code).unwrap_or("-");
    format!(" {code}: {}", fault.and_then(longhaul::Fault::message).unwrap_or("-"))
}

/// The requests as a case writes them. Only the API's own origin gets the credential.
fn requests(service: &Script) -> Vec<String> {
    let gaps = [Duration::ZERO].into_iter().chain(service.gaps());
    service.requests().iter().zip(gaps).map(|(request, gap)| written(request, gap)).collect()
}

fn written(request: &Recorded, gap: Duration) -> String {
    let is_own = request.url().host_str() == Some("api.example.com");
    assert_eq!(request.header("authorization").is_some(), is_own, "{}", request.url());
    let wait = if gap.as_secs() > 1 { format!("+{} ", gap.as_secs()) } else { String::new() };
    let body = String::from_utf8_lossy(request.body());
    let body = if body.is_empty() { String::new() } else { format!(" | {body}") };
    format!("{wait}{} {}{body}", request.method(), short(request.url().as_str()))
}

fn short(url: &str) -> String {
    url.replacen("https://api.example.com/v1/", "", 1)
}

fn canned(answer: &str) -> Canned {
    let mut parts = answer.splitn(8, " | ");
    let mut canned = reply(parts.next().unwrap().parse().unwrap());
    for part in parts {
        match part.split_once(": ") {
            Some((name, value)) if !part.starts_with(['{', '[', '<']) => canned = canned.header(name, value),
            _ if part.starts_with(['{', '[']) => {
                canned = canned.header("content-type", "application/json").body(part.to_owned());
            }
            _ => canned = canned.body(part.to_owned()),
        }
    }
    canned
}

const ENDS: [ErrorKind; 3] = [ErrorKind::TaskFailed, ErrorKind::TaskCanceled, ErrorKind::TaskExpired];

fn compare(what: &str, found: &[impl AsRef<str>], wanted: &[&str]) -> Result<(), String> {
    let found: Vec<_> = found.iter().map(AsRef::as_ref).collect();
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:#?}\nwanted: {wanted:#?}")) }
}
