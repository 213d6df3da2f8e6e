//! A live view: limits, queue, latencies, tokens, tasks, alerts and events of a client, on a terminal.
//!
//! ```text
//! cargo run --example watch              # redrawn in place
//! cargo run --example watch -- --plain   # a block of text each second, as in a log
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows its user what happens")]

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::num::NonZeroU32;
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use lexopt::prelude::{Long, Short, ValueExt};
use longhaul::limits::LimitUsage;
use longhaul::telemetry::Latency;
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, Event, Limit, OAuth, Stats};
use serde_json::{Value, json};

const HELP: &str = "\
Watches a client at work: exports from a simulated service on this machine, under its limit.

cargo run --example watch -- [OPTIONS]

  --tasks N    how many exports (30)
  --limit N    how many requests the service allows in any second (10)
  --plain      print a block each second, in place of a screen that is redrawn; so it does
               where stdout is no terminal
  --help       this text

It ends when all exports have ended. Exit codes: 0 when all is well, 1 when an export failed, 2 for
wrong options.
";

type Failure = Box<dyn Error>;

struct Options {
    tasks: u32,
    limit: u32,
    plain: bool,
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
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all exports and shows the client meanwhile; returns how many failed.
async fn watch(options: &Options) -> Result<usize, Failure> {
    let service = Simulator::builder()
        .limit(options.limit, Duration::from_secs(1))
        .tokens(Duration::from_secs(60 * 60))
        .latency(Duration::from_millis(60))
        .jitter(Duration::from_millis(80))
        .task_duration(Duration::from_secs(3))
        .start()
        .await?;
    let client = client_of(&service, options.limit)?;
    let mut events = client.events();
    let mut runs: FuturesUnordered<_> = (0..options.tasks).map(|_| export(&client)).collect();
    let mut screen = Screen::new(options.plain);
    let mut ticks = tokio::time::interval(screen.pause());
    let mut failed = 0;
    loop {
        tokio::select! {
            run = runs.next() => match run {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    failed += 1;
                    screen.tell(&format!("failed: {error}"));
                }
            },
            Some(event) = events.next() => screen.event(&event),
            _ = ticks.tick() => screen.show(&client.stats())?,
        }
    }
    // The last events.
    let mut rest = pin!(tokio::time::sleep(Duration::from_millis(50)));
    loop {
        tokio::select! {
            Some(event) = events.next() => screen.event(&event),
            () = &mut rest => break,
        }
    }
    screen.show(&client.stats())?;
    println!("\nthe day so far\n{}", client.summary());
    Ok(failed)
}

fn client_of(service: &Simulator, limit: u32) -> Result<Client, Failure> {
    let oauth = OAuth::client_credentials(service.token_url(), service.client_id(), service.client_secret());
    let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key());
    Ok(testing::client(service)
        .credential(Credential::oauth(oauth).and(key))
        .limit(Limit::per_second(limit))
        .limit(Limit::per_minute(limit.saturating_mul(60)))
        .limit(Limit::concurrent(8))
        .build()?)
}

async fn export(client: &Client) -> longhaul::Result<()> {
    let task = client.task().post("exports").json(&json!({ "size": 100_000 })).submit::<Value>().await?;
    task.await?.download().to_memory(1 << 20).await?;
    Ok(())
}

impl Options {
    /// Reads the options; `None` if the user asked for help, and got it.
    fn read() -> Result<Option<Self>, Failure> {
        let mut options = Self { tasks: 30, limit: 10, plain: !io::stdout().is_terminal() };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("tasks") => options.tasks = arguments.value()?.parse::<NonZeroU32>()?.get(),
                Long("limit") => options.limit = arguments.value()?.parse::<NonZeroU32>()?.get(),
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

/// The contents of the screen, and how they are drawn.
struct Screen {
    plain: bool,
    begun: Instant,
    /// Lines of the last drawing, to be overwritten.
    drawn: usize,
    told: VecDeque<String>,
}

impl Screen {
    fn new(plain: bool) -> Self {
        Self { plain, begun: Instant::now(), drawn: 0, told: VecDeque::new() }
    }

    const fn pause(&self) -> Duration {
        Duration::from_millis(if self.plain { 1000 } else { 200 })
    }

    fn tell(&mut self, text: &str) {
        self.told.push_back(format!("{:5.1} s  {text}", self.begun.elapsed().as_secs_f64()));
        if self.told.len() > EVENTS_SHOWN {
            self.told.pop_front();
        }
    }

    fn event(&mut self, event: &Event) {
        if let Some(text) = text_of(event) {
            self.tell(&text);
        }
    }

    fn show(&mut self, stats: &Stats) -> io::Result<()> {
        let text = self.text(stats);
        let mut out = io::stdout().lock();
        if self.plain {
            writeln!(out, "{text}")?;
        } else {
            // Moves to the start of the last drawing; lines are cut at the edge, and not wrapped.
            if self.drawn > 0 {
                write!(out, "\x1b[{}A", self.drawn)?;
            }
            write!(out, "\x1b[?7l\x1b[J{text}\x1b[?7h")?;
            self.drawn = text.lines().count();
        }
        out.flush()
    }

    fn text(&self, stats: &Stats) -> String {
        let mut text = String::new();
        let mut line = |name: &str, what: String| {
            // Writing to a String never fails.
            let _ = writeln!(text, "{name:9} {what}");
        };
        line("time", format!("{:.1} s", self.begun.elapsed().as_secs_f64()));
        let rate = stats.success_rate().map_or("nothing yet".into(), |rate| format!("{:.1} % succeeded", rate * 100.0));
        let (minute, refused, queued) = (stats.requests_per_minute(), stats.throttled(), stats.queued());
        line("requests", format!("{}, {minute} in the last minute, {rate}, {refused} refused", stats.requests()));
        line("queue", format!("{} waiting, {queued:.1?} waited so far", waiting(stats)));
        for limit in stats.limits() {
            line("limit", format!("{} {limit:22} {}", bar(limit), limit.label()));
        }
        line("latency", percentiles(stats.latency()));
        for route in stats.routes().iter().take(ROUTES_SHOWN) {
            let name = route.name().split_once('/').map_or(route.name(), |(_, path)| path);
            line("route", format!("{:5} {}  {name}", route.requests(), percentiles(route.latency())));
        }
        for token in stats.tokens() {
            line("token", token.to_string());
        }
        let count = |(state, count): (&str, u64)| format!("{count} {state}");
        let tasks: Vec<_> = stats.tasks().alive().chain(stats.tasks().ended()).map(count).collect();
        line("tasks", if tasks.is_empty() { "none yet".into() } else { tasks.join(", ") });
        if stats.alerts().is_empty() {
            line("alerts", "none".into());
        }
        stats.alerts().iter().for_each(|alert| line("alert", alert.to_string()));
        self.told.iter().for_each(|told| line("event", told.clone()));
        text
    }
}

fn waiting(stats: &Stats) -> u32 {
    stats.limits().iter().map(LimitUsage::waiting).max().unwrap_or(0)
}

fn bar(limit: &LimitUsage) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 20")]
    let full = (limit.share().clamp(0.0, 1.0) * 20.0).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(20 - full))
}

fn percentiles(latency: &Latency) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!(
        "p50 {:6.1} ms  p95 {:6.1} ms  p99 {:6.1} ms  max {:6.1} ms",
        ms(latency.p50()),
        ms(latency.p95()),
        ms(latency.p99()),
        ms(latency.max())
    )
}

/// Returns the text of an event that is worth a line. A changing queue is shown by its length.
fn text_of(event: &Event) -> Option<String> {
    let moves = matches!(event, Event::Waiting { .. } | Event::Granted { .. });
    (!moves).then(|| event.to_string())
}

const EVENTS_SHOWN: usize = 6;
const ROUTES_SHOWN: usize = 4;
