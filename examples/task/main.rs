//! Any API from the command line, to try a service before code is written for it: `cargo run --example task -- --help`.
//!
//! ```text
//! task --json '{"farms": [1, 2]}' -H "Authorization: Bearer $TOKEN" --out farms.parquet POST https://api.example.com/v1/exports
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

mod files;
mod lines;
mod options;
mod token;

use std::convert::Infallible;
use std::future::pending;
use std::io::IsTerminal;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures::TryStreamExt;
use longhaul::tasks::Transcripts;
use longhaul::{Client, Credential, Download, Outcome, PollPolicy, Task, TaskHandle};
use serde_json::value::RawValue;

use lines::{DownloadLine, End, TokenLine, Trouble, UpdateLine, print};
use options::{HELP, Options, Start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("task: {error}\ntask: try `--help`");
            return ExitCode::from(2);
        }
    };
    let transcripts = Transcripts::new();
    let mut end = run(&options, &transcripts).await;
    if let Some(file) = &options.record
        && let Err(error) = record(file, &transcripts)
    {
        end = end.but(Trouble::io(&format!("--record {}: {error}", file.display())));
    }
    let code = end.exit_code();
    match print(&end) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(2),
    }
}

/// Runs a task from the submit to any end.
async fn run(options: &Options, transcripts: &Transcripts) -> End {
    let mut interrupt = pin!(interrupt());
    let begun = tokio::select! {
        begun = begin(options, transcripts) => begun,
        () = &mut interrupt => return End::error(Trouble::interrupted("whether the service has the task is unknown")),
    };
    let mut task = match begun {
        Ok(task) => task,
        Err(error) => {
            explain(options, error.explain());
            return End::of_error(&error);
        }
    };
    let handle = task.handle();
    if let Err(error) = keep_token(options, &task) {
        return End::error(error).at(&handle.last_update());
    }
    let end = tokio::select! {
        end = follow(options, &mut task) => end.unwrap_or_else(|trouble| End::error(trouble).at(&handle.last_update())),
        () = &mut interrupt => {
            // The status URL may have moved since the submit.
            let kept = keep_token(options, &task).and_then(|()| show_token(&handle));
            let trouble = kept.err().unwrap_or_else(|| Trouble::interrupted("the task goes on at the service"));
            End::error(trouble).at(&handle.last_update())
        }
        never = cancel_after(options.cancel_after, &handle) => match never {},
    };
    explain(options, Some(&handle.explain()));
    end
}

/// Asks the service to cancel the task, if the user wants that; the wait continues to the true end.
async fn cancel_after(after: Option<Duration>, task: &TaskHandle) -> Infallible {
    if let Some(after) = after {
        tokio::time::sleep(after).await;
        match task.cancel().await {
            Ok(()) => eprintln!("task: the cancel is sent"),
            Err(error) => eprintln!("task: {error}"),
        }
    }
    pending().await
}

/// Prints the token of a task that continues without this process, and how another process resumes it.
fn show_token(task: &TaskHandle) -> Result<(), Trouble> {
    let plain = task.token();
    let token = if plain.can_resume() { plain } else { task.token_with_signed_urls() };
    if !token.can_resume() {
        return Ok(());
    }
    print(&TokenLine::of(token))?;
    eprintln!("task: go on with `task --resume FILE`; FILE holds that line\n      (with the same -H and --profile)");
    Ok(())
}

/// Waits for Ctrl-C.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
    if std::io::stdout().is_terminal() && std::io::stderr().is_terminal() {
        // Behind the `^C` that the terminal shows, the next line of JSON begins on a line of its own.
        eprintln!();
    }
}

/// Submits a task, or resumes one.
async fn begin(options: &Options, transcripts: &Transcripts) -> longhaul::Result<Task<Box<RawValue>>> {
    let client = client(options, transcripts)?;
    let (method, url) = match &options.start {
        Start::Submit { method, url } => (method.clone(), url),
        Start::Resume { token, .. } => {
            let task = client.resume((**token).clone())?;
            return Ok(match options.deadline {
                Some(deadline) => task.timeout(deadline),
                None => task,
            });
        }
    };
    // An absolute URL stays unchanged; the base is used only for relative paths of the service.
    let mut new = client.task().method(method, url.as_str()).with_cookies();
    if let Some(body) = &options.json {
        new = new.body(body.clone(), "application/json");
    }
    for (name, value) in &options.headers {
        new = new.header(name, value);
    }
    if let Some(kind) = &options.kind {
        new = new.kind(kind);
    }
    if let Some(deadline) = options.deadline {
        new = new.timeout(deadline);
    }
    new.submit().await
}

fn client(options: &Options, transcripts: &Transcripts) -> longhaul::Result<Client> {
    // As part of the credential, a header is also sent with results and downloads of the same origin, and with a
    // resumed task.
    let carried = options.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    let given = match &options.secrets {
        Some(secrets) => options.profile.credential(secrets)?,
        None => Credential::none(),
    };
    let credential = carried.fold(given, |all, (name, value)| all.and(Credential::api_key_header(name, value)));
    let pace = options.min_interval.map_or(PollPolicy::standard(), |floor| PollPolicy::standard().floor(floor));
    let base = options.base();
    let is_loopback = matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let builder = Client::builder(&base).profile(options.profile.clone()).credential(credential).poll_policy(pace);
    let builder = if options.record.is_some() { builder.transcripts(transcripts) } else { builder };
    if is_loopback { builder.no_proxy() } else { builder }.build()
}

/// Writes the answers of the task, without secrets.
fn record(file: &Path, transcripts: &Transcripts) -> std::io::Result<()> {
    let Some(transcript) = transcripts.all().pop() else { return Ok(()) };
    let text = serde_json::to_string_pretty(&transcript)?;
    std::fs::write(file, text + "\n")
}

/// Prints every update, then fetches the result.
async fn follow(options: &Options, task: &mut Task<Box<RawValue>>) -> Result<End, Trouble> {
    let handle = task.handle();
    let mut updates = task.updates();
    loop {
        match updates.try_next().await {
            Ok(Some(update)) => {
                // The status URL may have moved, and the states seen there matter to the process that resumes the task.
                keep_token_of(options, &handle)?;
                print(&UpdateLine::of(&update))?;
            }
            Ok(None) => break,
            Err(error) => return Ok(End::of_error(&error)),
        }
        let explained = handle.explain();
        explain(options, explained.lines().find(|line| line.starts_with("last answer")));
    }
    let outcome = match task.await {
        Ok(outcome) => outcome,
        Err(error) => return Ok(End::of_error(&error)),
    };
    let end = End::of_outcome(&outcome, options.has_pages());
    let Some(target) = &options.out else { return Ok(end) };
    Ok(match save(&outcome, target).await {
        Ok(()) => end,
        Err(trouble) => end.but(trouble),
    })
}

/// Saves one result into the file, or into the folder; several results all into the folder.
async fn save(outcome: &Outcome<Box<RawValue>>, target: &Path) -> Result<(), Trouble> {
    let mut downloads = outcome.downloads();
    if downloads.len() < 2 && !target.is_dir() {
        let download = downloads.pop().unwrap_or_else(|| outcome.download());
        return fetch(download, target).await;
    }
    let wrong =
        |error| Trouble::io(&format!("--out {} is no folder that can be written to: {error}", target.display()));
    std::fs::create_dir_all(target).map_err(wrong)?;
    let names = files::names(&downloads);
    for (download, name) in downloads.into_iter().zip(names) {
        fetch(download, &target.join(name)).await?;
    }
    Ok(())
}

async fn fetch(download: Download, file: &Path) -> Result<(), Trouble> {
    let receipt = download.to_file(file).await.map_err(|error| Trouble::of(&error))?;
    print(&DownloadLine { event: "download", bytes: receipt.bytes(), file: file.display().to_string() })
}

fn keep_token(options: &Options, task: &Task<Box<RawValue>>) -> Result<(), Trouble> {
    keep_token_of(options, &task.handle())
}

fn keep_token_of(options: &Options, task: &TaskHandle) -> Result<(), Trouble> {
    let Some(file) = &options.token_out else { return Ok(()) };
    token::write(file, task)
        .map_err(|error| Trouble::io(&format!("the token cannot be written to {}: {error}", file.display())))
}

fn explain(options: &Options, text: Option<&str>) {
    if let Some(text) = text.filter(|_| options.explain) {
        eprintln!("{text}");
    }
}
