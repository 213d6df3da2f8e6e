//! The main job: many exports at once under one limit, each with a progress bar, each downloaded and checked.
//!
//! ```text
//! cargo run --example export              # against a simulated service on this machine
//! cargo run --example export -- --help    # against yours, and how to go on after Ctrl-C
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that speaks to its user")]

mod options;
mod report;
mod saved;
mod screen;
mod service;
#[path = "../terminal/terminal.rs"]
mod terminal;

use std::error::Error;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Instant;

use console::Term;
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use longhaul::{ErrorKind, Task};
use serde_json::Value;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use options::Options;
use report::Row;
use saved::Saved;
use screen::{Line, Screen};
use service::Service;
use terminal::Terminal;

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::read().and_then(|options| log().map(|()| options)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    let ended = if options.serve { service::serve(&options).await } else { export(&options).await };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {}", report::in_full(error.as_ref()));
        let wrong_option =
            error.downcast_ref().is_some_and(|error: &longhaul::Error| error.kind() == ErrorKind::Config);
        ExitCode::from(if wrong_option { 2 } else { 1 })
    })
}

/// Submits all, watches all, downloads all, at once: everything below is polled by this one loop.
async fn export(options: &Options) -> Result<ExitCode, Failure> {
    let service = Service::of(options).await?;
    let folder = options.folder()?;
    let screen = Screen::new();
    let mut submits = FuturesUnordered::new();
    let mut runs = FuturesUnordered::new();
    let mut rows = Vec::new();

    let mut saved = if let Some(file) = &options.resume {
        let (mut saved, tokens) = Saved::open(file)?;
        for (name, token) in tokens {
            match service.client.resume(token) {
                Ok(task) => {
                    saved.add(&name, task.handle())?;
                    runs.push(run(task, name.clone(), screen.line(&name), &folder, &service));
                }
                Err(error) => rows.push(Row::refused(name, &error)),
            }
        }
        saved
    } else {
        submits.extend((0..options.tasks).map(|number| service.submit(options, number)));
        Saved::create(&folder)?
    };

    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut interrupted = false;
    while !interrupted && submits.len() + runs.len() > 0 {
        tokio::select! {
            Some(submitted) = submits.next() => match submitted {
                Ok(task) => {
                    let name = saved.name(task.handle().id(), saved.len() + rows.len());
                    // From here on a crash loses nothing: another process can go on from the token.
                    saved.add(&name, task.handle())?;
                    runs.push(run(task, name.clone(), screen.line(&name), &folder, &service));
                }
                Err(error) => rows.push(Row::refused("submit".into(), &error)),
            },
            Some((row, over)) = runs.next() => {
                if over {
                    saved.remove(&row.task)?;
                }
                rows.push(row);
            }
            _ = &mut interrupt => interrupted = true,
        }
    }

    if interrupted {
        screen.freeze();
    }
    let unanswered = submits.len();
    drop((submits, runs));
    report::print(&rows, saved.len(), &service, options.json);
    say(&format!("files in {}", folder.display()));
    if unanswered > 0 {
        say(&format!("{unanswered} submits were not answered yet: the service may have started them"));
    }
    saved.finish()?;
    if saved.len() > 0 {
        say(&format!("{} tasks are saved in {}", saved.len(), saved.path().display()));
        say(&options.how_to_go_on(saved.path()));
    }
    Ok(match (interrupted, rows.iter().all(Row::is_right)) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// Speaks to the user, in lines that fit.
fn say(text: &str) {
    eprintln!("{}", Terminal(Term::stderr()).fold(text, 2));
}

/// One task to its end, and whether nothing is left to go on with.
async fn run(task: Task<Value>, name: String, line: Line, folder: &Path, service: &Service) -> (Row, bool) {
    let handle = task.handle();
    let mut row = Row::new(name);
    let ended = watch_and_download(task, &mut row, &line, folder, service).await;
    let last = handle.last_update();
    (row.state, row.polls) = (last.state().to_string(), last.polls());
    let over = match &ended {
        Ok(()) => true,
        // A failed wait or download is not a failed task: only these are its end.
        Err(error) => error.downcast_ref::<longhaul::Error>().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::TaskFailed | ErrorKind::TaskCanceled | ErrorKind::TaskExpired)
        }),
    };
    row.error = ended.err().map(|error| report::in_full(error.as_ref()));
    line.end(&row);
    (row, over)
}

async fn watch_and_download(
    mut task: Task<Value>,
    row: &mut Row,
    line: &Line,
    folder: &Path,
    service: &Service,
) -> Result<(), Failure> {
    let id = task.handle().id();
    let begun = Instant::now();
    let mut updates = task.updates();
    while let Some(update) = updates.try_next().await? {
        row.waited = begun.elapsed();
        line.update(&update);
    }
    let outcome = task.await?;

    let begun = Instant::now();
    if outcome.has_pages() {
        let target = folder.join(saved::pages_name(&row.task));
        line.begin_download();
        row.bytes = outcome.page_bytes().to_file(&target).await?;
        row.took = begun.elapsed();
        row.files.push(target);
        return Ok(());
    }
    // One link, several, or the body; a task may also succeed with nothing to save.
    let downloads = outcome.downloads();
    let several = downloads.len() > 1;
    for (index, download) in downloads.into_iter().enumerate() {
        let name = if several { format!("{}-{index}", row.task) } else { row.task.clone() };
        let target = folder.join(saved::file_name(&name, download.link()));
        let mut progress = download.progress();
        line.begin_download();
        let show = async {
            while let Some(progress) = progress.changed().await {
                line.progress(progress);
            }
        };
        let (receipt, ()) = tokio::join!(download.to_file(&target), show);
        let receipt = receipt?;
        row.add(&receipt);
        row.took = begun.elapsed();
        // Of one file alone it is known what it must hold.
        let id = id.as_deref().filter(|_| !several);
        row.verified = Some(service.verify(id, &target, &receipt).await?);
        row.files.push(target);
    }
    Ok(())
}

/// What longhaul tells of its work, on stderr: `RUST_LOG=longhaul=debug`. Off by default.
fn log() -> Result<(), Failure> {
    if let Ok(wanted) = std::env::var("RUST_LOG") {
        let targets: Targets = wanted.parse().map_err(|error| format!("RUST_LOG: {error}"))?;
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
        tracing_subscriber::registry().with(layer).try_init()?;
    }
    Ok(())
}
