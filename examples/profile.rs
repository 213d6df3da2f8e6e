//! Profiles: what longhaul knows of an API, as data to read, to change and to try.
//!
//! ```text
//! cargo run --example profile -- show constant_contact > mine.toml
//! cargo run --example profile -- check mine.toml
//! cargo run --example profile -- replay mine.toml answers.json
//! cargo run --example profile -- try mine.toml POST https://api.example.com/v1/exports --json '{"farms": [1]}'
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

use std::fs;
use std::process::ExitCode;

use futures::TryStreamExt;
use longhaul::credentials::Secrets;
use longhaul::http::{Method, Transcript};
use longhaul::tasks::Transcripts;
use longhaul::{Client, Profile};

const HELP: &str = "\
Shows, checks and tries profiles: what longhaul knows of an API, as data.

Usage: profile list                      the names of the known profiles
       profile show NAME|FILE            the profile as TOML, to change and to keep
       profile check NAME|FILE           its mistakes, each with its place
       profile replay NAME|FILE ANSWERS  how it reads recorded answers: the file
                                         that `task --record ANSWERS` wrote
       profile try NAME|FILE METHOD URL  sends the request, follows the task to
                                         its end, and prints by which rule each
                                         answer was read

  FILE                     JSON, or TOML if its name ends in .toml
  --kind NAME              the kind of task, of those that the profile has
  --set NAME=VALUE         a variable of the profile, such as a region
  --env PREFIX             secrets from the environment: PREFIX_CLIENT_ID, ...
  --json BODY              the body of the request that is tried
  --record ANSWERS         writes the answers of a try, secrets left out

Exit code: 0 all is well, 1 the profile has a mistake or does not fit the answers,
2 anything else, such as a file that is no profile.
";

#[derive(Default)]
struct Options {
    words: Vec<String>,
    kind: Option<String>,
    variables: Vec<(String, String)>,
    secrets: Option<Secrets>,
    json: Option<String>,
    record: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = match parse(lexopt::Parser::from_env()) {
        Ok(options) => run(&options).await,
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("profile: {why}\nprofile: try `--help`");
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: lexopt::Parser) -> Result<Options, lexopt::Error> {
    use lexopt::{Arg, ValueExt};
    let mut options = Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("kind") => options.kind = Some(args.value()?.string()?),
            Arg::Long("set") => {
                let text = args.value()?.string()?;
                let (name, value) = text.split_once('=').ok_or("--set: wanted NAME=VALUE")?;
                options.variables.push((name.to_owned(), value.to_owned()));
            }
            Arg::Long("env") => options.secrets = Some(Secrets::from_env(&args.value()?.string()?)),
            Arg::Long("json") => options.json = Some(args.value()?.string()?),
            Arg::Long("record") => options.record = Some(args.value()?.string()?),
            Arg::Short('h') | Arg::Long("help") => options.words = vec!["help".to_owned()],
            Arg::Value(word) => options.words.push(word.string()?),
            other @ (Arg::Short(_) | Arg::Long(_)) => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// Returns whether the profile is right.
async fn run(options: &Options) -> Result<bool, String> {
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            Profile::NAMES.iter().for_each(|name| println!("{name}"));
            Ok(true)
        }
        ["show", name] => {
            print!("{}", profile(name, options)?.to_toml().map_err(|error| error.to_string())?);
            Ok(true)
        }
        ["check", name] => Ok(is_right(profile(name, options)?.check())),
        ["replay", name, file] => {
            let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let transcript: Transcript = serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
            let replay = profile(name, options)?.replay(options.kind.as_deref(), &transcript);
            println!("{replay}");
            Ok(replay.state().is_some())
        }
        ["try", name, method, url] => try_out(profile(name, options)?, method, url, options).await,
        ["help"] | [] => {
            print!("{HELP}");
            Ok(true)
        }
        _ => Err(format!("`{}` is not one of the commands", words.join(" "))),
    }
}

/// Prints the mistakes of a profile.
fn is_right(checked: longhaul::Result<()>) -> bool {
    match checked {
        Ok(()) => println!("no mistake was found"),
        Err(error) => {
            println!("{error}");
            return false;
        }
    }
    true
}

fn profile(name: &str, options: &Options) -> Result<Profile, String> {
    let profile = match Profile::by_name(name) {
        Some(profile) => profile,
        None => {
            let text = fs::read_to_string(name)
                .map_err(|error| format!("`{name}` is no known profile, and no file that can be read: {error}"))?;
            let read = if name.ends_with(".toml") { Profile::from_toml(&text) } else { Profile::from_json(&text) };
            read.map_err(|error| format!("{name}: {error}"))?
        }
    };
    Ok(options.variables.iter().fold(profile, |profile, (name, value)| profile.variable(name, value)))
}

/// Sends a request, follows its task, and prints how each answer was read.
async fn try_out(profile: Profile, method: &str, url: &str, options: &Options) -> Result<bool, String> {
    if !is_right(profile.check()) {
        return Ok(false);
    }
    let shown = |error: longhaul::Error| error.to_string();
    let method: Method = method.parse().map_err(|_| format!("`{method}` is no method"))?;
    let transcripts = Transcripts::new();
    // The profile's own base serves relative paths of its templates; without one, the URL's folder does.
    let is_relative = !url.contains("://");
    let builder = match is_relative {
        true => Client::for_profile(profile.clone()),
        false => Client::builder(url.rsplit_once('/').map_or(url, |(folder, _)| folder)).profile(profile.clone()),
    };
    let builder = match &options.secrets {
        Some(secrets) => builder.secrets(secrets.clone()),
        None => builder,
    };
    let client = builder.transcripts(&transcripts).build().map_err(shown)?;
    let mut request = client.task().method(method, url);
    if let Some(kind) = &options.kind {
        request = request.kind(kind);
    }
    if let Some(json) = &options.json {
        request = request.body(json.clone(), "application/json");
    }
    let outcome = async {
        let mut task = request.submit::<serde_json::Value>().await?;
        let mut updates = task.updates();
        while let Some(update) = updates.try_next().await? {
            let next = update.next_poll().map(|next| format!(", next look in {:.1} s", next.as_secs_f64()));
            println!("{}{}", update.state(), next.unwrap_or_default());
        }
        task.await
    };
    let ended = outcome.await;
    if let Some(transcript) = transcripts.all().pop() {
        println!("{}", profile.replay(options.kind.as_deref(), &transcript));
        if let Some(file) = &options.record {
            let text = serde_json::to_string_pretty(&transcript).map_err(|error| error.to_string())?;
            fs::write(file, text + "\n").map_err(|error| format!("{file}: {error}"))?;
        }
    }
    match ended {
        Ok(outcome) if outcome.links().is_empty() => {
            println!("the result is a value of {} bytes", value_bytes(&outcome));
        }
        Ok(outcome) => outcome.links().iter().for_each(|link| println!("the result is at {link}")),
        Err(error) => {
            println!("{error}");
            return Ok(false);
        }
    }
    Ok(true)
}

fn value_bytes(outcome: &longhaul::Outcome<serde_json::Value>) -> usize {
    outcome.bytes().map_or(0, longhaul::http::Bytes::len)
}
