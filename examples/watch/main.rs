//! A run to look at: limits, queue, latencies, tokens, tasks, alerts and events of a client, live on a terminal.
//!
//! ```text
//! cargo run --example watch              # redrawn in place
//! cargo run --example watch -- --plain   # a block of text each second, as in a log
//! cargo run --example watch -- --help    # against a real service, and more
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows its user what happens")]

mod screen;
#[path = "../terminal/terminal.rs"]
mod terminal;

use std::env;
use std::error::Error;
use std::num::NonZeroU32;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use console::Term;
use futures::stream::{FuturesUnordered, StreamExt};
use lexopt::prelude::{Long, Short, ValueExt};
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, Limit, OAuth, Profile};
use serde_json::{Value, json};

use screen::Screen;
use terminal::Terminal;

const HELP: &str = "\
Watches a client at work: many exports under one limit.

cargo run --example watch -- [OPTIONS]

  --tasks N    how many exports (30)
  --limit N    at most so many requests in any second (10)
  --plain      print a block each second, in place of a screen that is
               redrawn; so it does where stdout is no terminal
  --help       this text

A real service, in place of a simulated one in this process:
  --url BASE   its base URL; each export is a POST of {} to BASE/exports

  LONGHAUL_BEARER           its bearer token
  LONGHAUL_API_KEY_HEADER   another secret header, as 'Name: value'

It ends with a summary when all exports have ended, or by Ctrl-C. Exit
codes: 0 when all is well, 1 when an export failed, 2 for wrong options,
130 after Ctrl-C.
";

type Failure = Box<dyn Error>;

struct Options {
    tasks: u32,
    limit: u32,
    plain: bool,
    url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match watch(&options).await {
        Ok(code) => code,
        Err(error) => {
            show(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Shows an error with its causes.
fn show(error: &(dyn Error + 'static)) {
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
}

/// Runs all exports, and shows the client meanwhile.
async fn watch(options: &Options) -> Result<ExitCode, Failure> {
    // Unused, and idle, beside a real service.
    let simulator = simulate(options.limit).await?;
    let client = match &options.url {
        Some(url) => Client::builder(url).profile(Profile::smag_task()).credential(credential()?),
        None => testing::client(&simulator).credential(simulated_login(&simulator)),
    };
    let (second, minute) = (Limit::per_second(options.limit), Limit::per_minute(options.limit.saturating_mul(60)));
    let client = client.limit(second).limit(minute).limit(Limit::concurrent(8)).build()?;

    let mut events = client.events();
    let mut runs: FuturesUnordered<_> = (0..options.tasks).map(|_| export(&client, options)).collect();
    let mut screen = Screen::new(options.plain);
    let mut ticks = tokio::time::interval(screen.pause());
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let (mut failed, mut interrupted) = (0, false);
    while !interrupted && !runs.is_empty() {
        tokio::select! {
            Some(run) = runs.next() => if let Err(error) = run {
                failed += 1;
                screen.tell(&format!("failed: {error}"));
            },
            Some(event) = events.next() => screen.event(&event),
            _ = ticks.tick() => screen.show(&client.stats())?,
            _ = &mut interrupt => interrupted = true,
        }
    }
    // What was told last.
    let mut rest = pin!(tokio::time::sleep(Duration::from_millis(50)));
    loop {
        tokio::select! {
            Some(event) = events.next() => screen.event(&event),
            () = &mut rest => break,
        }
    }
    screen.end(&client.stats())?;
    let terminal = Terminal(Term::stdout());
    println!("\nthe day so far\n{}", terminal.fold(&client.summary().to_string(), 4));
    if interrupted {
        let given_up = format!(
            "{} exports were given up; those that the service has accepted go on there. The example `export` saves \
             tokens, to take them up again",
            runs.len()
        );
        println!("{}", terminal.fold(&given_up, 0));
        return Ok(ExitCode::from(130));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn simulate(limit: u32) -> std::io::Result<Simulator> {
    Simulator::builder()
        .limit(limit, Duration::from_secs(1))
        .tokens(Duration::from_secs(60 * 60))
        .latency(Duration::from_millis(60))
        .jitter(Duration::from_millis(80))
        .task_duration(Duration::from_secs(3))
        .start()
        .await
}

fn simulated_login(service: &Simulator) -> Credential {
    let oauth = OAuth::client_credentials(service.token_url(), service.client_id(), service.client_secret());
    Credential::oauth(oauth).and(Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key()))
}

fn credential() -> Result<Credential, Failure> {
    let mut credential = Credential::none();
    if let Ok(token) = env::var("LONGHAUL_BEARER") {
        credential = credential.and(Credential::bearer(token));
    }
    if let Ok(header) = env::var("LONGHAUL_API_KEY_HEADER") {
        let (name, value) = header.split_once(':').ok_or("LONGHAUL_API_KEY_HEADER: it is not 'Name: value'")?;
        credential = credential.and(Credential::api_key_header(name.trim(), value.trim()));
    }
    Ok(credential)
}

async fn export(client: &Client, options: &Options) -> longhaul::Result<()> {
    let body = if options.url.is_some() { json!({}) } else { json!({ "size": 100_000 }) };
    let outcome = client.task().post("exports").json(&body).submit::<Value>().await?.await?;
    for download in outcome.downloads() {
        download.to_memory(1 << 30).await?;
    }
    Ok(())
}

impl Options {
    /// Reads them; `None` where the user wanted help, and got it.
    fn read() -> Result<Option<Self>, Failure> {
        let mut options = Self { tasks: 30, limit: 10, plain: !Terminal(Term::stdout()).is_screen(), url: None };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("tasks") => options.tasks = arguments.value()?.parse::<NonZeroU32>()?.get(),
                Long("limit") => options.limit = arguments.value()?.parse::<NonZeroU32>()?.get(),
                Long("url") => options.url = Some(arguments.value()?.string()?),
                Long("plain") => options.plain = true,
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        Ok(Some(options))
    }
}
