//! The command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use lexopt::{Arg, Parser, ValueExt};
use longhaul::credentials::Secrets;
use longhaul::protocols::FinalStateVia;
use longhaul::{Profile, ResumeToken};
use serde_json::{Value, json};
use url::Url;

pub(crate) const HELP: &str = "\
Submits a long-running task over HTTP, follows it to its end, and fetches its result.

Usage: task [OPTIONS] METHOD URL
       task [OPTIONS] --resume FILE [URL]

  --json BODY              the body of the submit
  -H 'Name: value'         a header, for every request to the URL's origin; as
                           often as needed
  --profile NAME|FILE      auto (default), or another name that
                           `cargo run --example profile -- list` prints, or a
                           profile as JSON, or as TOML if the name ends in .toml
  --set NAME=VALUE         a variable of the profile, such as a region
  --env PREFIX             the secrets of the profile's credential, from the
                           environment: PREFIX_CLIENT_ID, PREFIX_API_KEY
  --base URL               the base of the profile's paths; by default the part
                           of URL that ends as the profile's base does, or else
                           the folder of URL
  --kind NAME              the kind of task, of those that the profile has
  --final-state-via PLACE  operation, location or original-uri, whatever the
                           profile says
  --deadline SECONDS       how long to wait for the end; the task itself goes on
  --min-interval MS        the shortest pause between polls (250)
  --token-out FILE         writes a resume token as soon as the submit is
                           accepted, for its owner alone
  --resume FILE            goes on with the task of that token, or of the line
                           that Ctrl-C prints; give -H, --profile and
                           --final-state-via again
  --out FILE|DIR           downloads the result's link, or writes the value's
                           bytes; several links go into the folder, which is
                           made where it is not there
  --cancel-after SECONDS   asks the service to give the task up, and waits on
                           for its true end
  --record FILE            writes the answers, secrets left out, as a transcript
                           for `cargo run --example profile -- replay`
  --explain                tells on stderr why the answers were read as they were
  --help

It prints JSON, a line for each update, and for the end (here on several lines):

  {\"event\":\"update\",\"state\":\"running\",\"word\":\"InProgress\",\"percent\":40.0,
   \"status\":200,\"next_poll_ms\":1000,\"warning\":null}
  {\"event\":\"download\",\"bytes\":1000000,\"file\":\"farms.parquet\"}
  {\"event\":\"outcome\",\"outcome\":\"succeeded\",\"value\":{\"rows\":7},
   \"link\":\"https://store.example.net/7?\u{2026}\",
   \"error\":{\"kind\":\"task_failed\",\"code\":\"QuotaExceeded\",\"message\":\"...\",
            \"body\":\"...\"},
   \"status\":200,\"polls\":3}

Ctrl-C prints {\"event\":\"token\",\"token\":{...}} before the end, where there is a
task to go on with. `error` is null after a success, and `links` stands behind
`link` where there are several. Queries of URLs are left out, but in `value` and
`body`: these are the service's own words, and may hold signed links.

Exit code: 0 succeeded, 3 partially succeeded, 1 failed, canceled or expired,
2 anything else.
";

pub(crate) struct Options {
    pub(crate) start: Start,
    pub(crate) json: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) profile: Profile,
    pub(crate) base: Option<Url>,
    pub(crate) secrets: Option<Secrets>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) kind: Option<String>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) cancel_after: Option<Duration>,
    pub(crate) min_interval: Option<Duration>,
    pub(crate) token_out: Option<PathBuf>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) explain: bool,
}

pub(crate) enum Start {
    Submit { method: Method, url: Url },
    Resume { token: Box<ResumeToken>, base: Url },
}

/// Parses a command line; `None` if it asks for help.
pub(crate) fn parse(mut args: Parser) -> Result<Option<Options>, lexopt::Error> {
    let (mut json, mut headers, mut profile, mut kind, mut via) = (None, Vec::new(), None, None, None);
    let (mut deadline, mut cancel_after, mut min_interval, mut explain) = (None, None, None, false);
    let (mut token_out, mut resume, mut out) = (None, None, None);
    let (mut variables, mut secrets, mut given_base, mut record) = (Vec::new(), None, None, None);
    let mut words = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("json") => json = Some(body(args.value()?.string()?)?),
            Arg::Short('H') => headers.push(header(&args.value()?.string()?)?),
            Arg::Long("profile") => profile = Some(profile_of(&args.value()?.string()?)?),
            Arg::Long("set") => variables.push(variable(&args.value()?.string()?)?),
            Arg::Long("env") => secrets = Some(Secrets::from_env(&args.value()?.string()?)),
            Arg::Long("base") => given_base = Some(absolute(&args.value()?.string()?)?),
            Arg::Long("record") => record = Some(PathBuf::from(args.value()?)),
            Arg::Long("kind") => kind = Some(args.value()?.string()?),
            Arg::Long("final-state-via") => via = Some(final_state(&args.value()?.string()?)?),
            Arg::Long("deadline") => deadline = Some(seconds("--deadline", &args.value()?.string()?)?),
            Arg::Long("cancel-after") => cancel_after = Some(seconds("--cancel-after", &args.value()?.string()?)?),
            Arg::Long("min-interval") => min_interval = Some(Duration::from_millis(args.value()?.parse()?)),
            Arg::Long("token-out") => token_out = Some(PathBuf::from(args.value()?)),
            Arg::Long("resume") => resume = Some(PathBuf::from(args.value()?)),
            Arg::Long("out") => out = Some(PathBuf::from(args.value()?)),
            Arg::Long("explain") => explain = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => words.push(word.string()?),
            Arg::Short(_) | Arg::Long(_) => return Err(arg.unexpected()),
        }
    }
    let start = match (resume, words.as_slice()) {
        (None, [method, url]) => Start::Submit { method: method_of(method)?, url: absolute(url)? },
        (Some(file), []) => resumed(&file, None)?,
        (Some(file), [url]) => resumed(&file, Some(absolute(url)?))?,
        (None, _) => return Err("wanted METHOD and URL".into()),
        (Some(_), _) => return Err("wanted at most a URL beside --resume".into()),
    };
    if let Some(file) = &token_out {
        super::token::check(file).map_err(|error| format!("--token-out {}: {error}", file.display()))?;
    }
    let profile = profile.unwrap_or_default();
    let profile = via.map_or_else(|| Ok(profile.clone()), |via| final_state_via(&profile, via))?;
    let mut profile = profile;
    for (name, value) in variables {
        let known = serde_json::to_value(&profile).unwrap_or_default();
        if known.get("variables").and_then(|variables| variables.get(&name)).is_none() {
            return Err(format!("--set {name}: the profile `{}` has no such variable", profile.name()).into());
        }
        profile = profile.variable(name, value);
    }
    if kind.is_none() && !matches!(start, Start::Resume { .. }) {
        let kinds = kinds_of(&profile);
        if !kinds.is_empty() {
            eprintln!("task: the profile has kinds of task, and none is named by --kind: {}", kinds.join(", "));
        }
    }
    Ok(Some(Options {
        base: given_base,
        secrets,
        record,
        start,
        json,
        headers,
        profile,
        kind,
        deadline,
        cancel_after,
        min_interval,
        token_out,
        out,
        explain,
    }))
}

impl Options {
    /// Returns the base for relative paths of the service.
    pub(crate) fn base(&self) -> Url {
        match (&self.base, &self.start) {
            (Some(base), _) => base.clone(),
            (None, Start::Resume { base, .. }) => base.clone(),
            (None, Start::Submit { url, .. }) => below(url, &self.profile).unwrap_or_else(|| folder(url)),
        }
    }

    /// Returns whether the result is paged.
    pub(crate) fn has_pages(&self) -> bool {
        let kind = match &self.start {
            Start::Submit { .. } => self.kind.as_deref(),
            Start::Resume { token, .. } => token.kind(),
        };
        let profile = serde_json::to_value(&self.profile).unwrap_or_default();
        let protocol = kind.map_or_else(|| profile.get("protocol"), |kind| profile.get("kinds")?.get(kind));
        protocol.is_some_and(|protocol| protocol.get("pages").is_some())
    }
}

fn method_of(text: &str) -> Result<Method, String> {
    text.to_ascii_uppercase().parse().map_err(|_| format!("`{text}` is no method, such as POST"))
}

fn absolute(text: &str) -> Result<Url, String> {
    // The URL may contain a key: the message does not repeat it.
    let url = Url::parse(text).map_err(|error| format!("the URL is no absolute URL: {error}"))?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err("the URL is neither http nor https".into()) }
}

/// Returns the part of a URL that ends as the profile's base does: `/api/v2/` of `/api/v2/analytics/jobs`.
fn below(url: &Url, profile: &Profile) -> Option<Url> {
    let data = serde_json::to_value(profile).ok()?;
    let (_, rest) = data.get("base")?.as_str()?.split_once("://")?;
    let path = rest.find('/').map_or("", |slash| rest.split_at(slash).1).trim_end_matches('/');
    let mut base = url.clone();
    let is_below = !path.contains('{') && url.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    base.set_path(&format!("{path}/"));
    base.set_query(None);
    base.set_fragment(None);
    is_below.then_some(base)
}

fn kinds_of(profile: &Profile) -> Vec<String> {
    let data = serde_json::to_value(profile).unwrap_or_default();
    let kinds = data.get("kinds").and_then(Value::as_object);
    kinds.into_iter().flat_map(serde_json::Map::keys).cloned().collect()
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("--set: `{text}` is not NAME=VALUE"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn folder(url: &Url) -> Url {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    base.join(".").unwrap_or(base)
}

fn resumed(file: &Path, url: Option<Url>) -> Result<Start, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("--resume {}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
    // The token itself, or the line with it that Ctrl-C prints.
    let line = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()?.get("token").cloned());
    let token: ResumeToken = line.map_or(text, |token| token.to_string()).parse().map_err(|error| wrong(&error))?;
    let base = match url {
        Some(url) => folder(&url),
        None => token.base().parse().map_err(|error| wrong(&error))?,
    };
    Ok(Start::Resume { token: Box::new(token), base })
}

fn body(text: String) -> Result<String, String> {
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("--json: {error}")),
    }
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("-H: a header is given as 'Name: value'")?;
    let (name, value) = (name.trim(), value.trim());
    HeaderName::try_from(name).map_err(|_| "-H: the name is not one of a header")?;
    HeaderValue::try_from(value).map_err(|_| "-H: the value is not one of a header")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn seconds(option: &str, text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{option}: `{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{option}: {error}"))
}

fn profile_of(text: &str) -> Result<Profile, String> {
    if let Some(profile) = Profile::by_name(text) {
        return Ok(profile);
    }
    let file = fs::read_to_string(text).map_err(|error| {
        format!("--profile {text}: it is no profile that is known by name, and no file that can be read: {error}")
    })?;
    let is_toml = text.to_ascii_lowercase().ends_with(".toml");
    let profile = if is_toml { Profile::from_toml(&file) } else { Profile::from_json(&file) };
    profile.map_err(|error| format!("--profile {text}: {error}"))
}

fn final_state(text: &str) -> Result<FinalStateVia, &'static str> {
    match text {
        "operation" => Ok(FinalStateVia::Operation),
        "location" => Ok(FinalStateVia::Location),
        "original-uri" => Ok(FinalStateVia::OriginalUri),
        _ => Err("--final-state-via: wanted operation, location or original-uri"),
    }
}

/// Returns the profile, with the location of the final value set in all its protocols. They are accessible as data.
fn final_state_via(profile: &Profile, via: FinalStateVia) -> Result<Profile, String> {
    let edit = || {
        let mut data = serde_json::to_value(profile)?;
        let set = |protocol: &mut Value| {
            if let Some(members) = protocol.as_object_mut() {
                members.insert("final_state_via".into(), json!(via));
            }
        };
        data.get_mut("protocol").into_iter().for_each(set);
        let kinds = data.get_mut("kinds").and_then(Value::as_object_mut);
        kinds.into_iter().flat_map(serde_json::Map::values_mut).for_each(set);
        serde_json::from_value(data)
    };
    edit().map_err(|error: serde_json::Error| error.to_string())
}
