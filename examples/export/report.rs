//! The final report for the user, on stdout: a table, or JSON for programs.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use console::Term;
use indicatif::HumanBytes;
use longhaul::Stats;
use longhaul::downloads::Receipt;
use serde_json::{Value, json};

use crate::service::Service;
use crate::terminal::Terminal;

/// Numbers with their names, in reading order.
pub(crate) type Counted = Vec<(&'static str, u64)>;

/// The report on one task.
pub(crate) struct Row {
    pub(crate) task: String,
    pub(crate) state: String,
    pub(crate) polls: u32,
    pub(crate) waited: Duration,
    /// Of all files together, like the next two fields.
    pub(crate) bytes: u64,
    resumed_at: u64,
    reopened: u32,
    pub(crate) took: Duration,
    pub(crate) verified: Option<&'static str>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) error: Option<String>,
}

impl Row {
    pub(crate) fn new(task: String) -> Self {
        Self {
            task,
            state: String::new(),
            polls: 0,
            waited: Duration::ZERO,
            bytes: 0,
            resumed_at: 0,
            reopened: 0,
            took: Duration::ZERO,
            verified: None,
            files: Vec::new(),
            error: None,
        }
    }

    /// Reports a submit that was not accepted, or a token that cannot be resumed.
    pub(crate) fn refused(task: String, error: &longhaul::Error) -> Self {
        Self { state: "refused".into(), error: Some(in_full(error)), ..Self::new(task) }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.error.is_none()
    }

    pub(crate) fn outcome(&self) -> String {
        match (&self.error, self.files.as_slice()) {
            (Some(error), _) => error.clone(),
            (None, []) => format!("{}, without a file", self.state),
            (None, files) => {
                let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
                format!("saved {}", files.join(", "))
            }
        }
    }

    /// Adds a downloaded file.
    pub(crate) fn add(&mut self, receipt: &Receipt) {
        self.bytes += receipt.bytes();
        self.resumed_at += receipt.resumed_at();
        self.reopened += receipt.reopened();
    }

    fn rate(&self) -> u64 {
        let millis = self.took.as_millis().max(1);
        u64::try_from(u128::from(self.bytes.saturating_sub(self.resumed_at)) * 1000 / millis).unwrap_or(u64::MAX)
    }

    /// The cells of the table, each as wide as its column.
    fn line(&self, width: usize) -> String {
        let (bytes, rate) = (HumanBytes(self.bytes).to_string(), format!("{}/s", HumanBytes(self.rate())));
        let (waited, verified) = (format!("{:.1} s", self.waited.as_secs_f64()), self.verified.unwrap_or("-"));
        table([&self.task, &self.state, &self.polls.to_string(), &waited, &bytes, &rate, verified], width)
    }

    fn json(&self) -> Value {
        json!({
            "task": self.task,
            "state": self.state,
            "polls": self.polls,
            "waited_ms": u64::try_from(self.waited.as_millis()).ok(),
            "bytes": self.bytes,
            "resumed_at": self.resumed_at,
            "reopened": self.reopened,
            "bytes_per_second": self.rate(),
            "verified": self.verified,
            "file": self.files.first(),
            "files": self.files,
            "error": self.error,
        })
    }
}

/// Prints the tasks, and the totals of the client and the simulated service.
pub(crate) fn print(rows: &[Row], saved: usize, service: &Service, as_json: bool) {
    let stats = service.client.stats();
    let failed = rows.iter().filter(|row| !row.is_right()).count();
    if as_json {
        for row in rows {
            println!("{}", row.json());
        }
        let (client, simulator) = (in_json(counted(&stats)), service.counts().map(in_json));
        let totals = json!({
            "tasks": rows.len(),
            "failed": failed,
            "saved": saved,
            "client": client,
            "simulator": simulator,
        });
        println!("{}", json!({ "totals": totals }));
        return;
    }
    let terminal = Terminal(Term::stdout());
    println!("{}", table(["task", "state", "polls", "wait", "bytes", "rate", "checked"], terminal.width()));
    for row in rows {
        println!("{}", row.line(terminal.width()));
    }
    for row in rows.iter().filter(|row| !row.is_right()) {
        println!("{}", terminal.fold(&format!("{}: {}", row.task, row.outcome()), 2));
    }
    println!("{}", terminal.fold(&format!("client:    {}", in_words(&counted(&stats))), 11));
    if let Some(counts) = service.counts() {
        println!("{}", terminal.fold(&format!("simulator: {}", in_words(&counts)), 11));
    }
}

/// A row of the table. Where the terminal is narrow, ids are cut as the bars cut them, then polls and rate are left out.
fn table([task, state, polls, wait, bytes, rate, checked]: [&str; 7], width: usize) -> String {
    let short: String = task.chars().take(8).collect();
    match width {
        102.. => format!("{task:36}  {state:12}  {polls:>5}  {wait:>7}  {bytes:>11}  {rate:>13}  {checked}"),
        74.. => format!("{short:8}  {state:12}  {polls:>5}  {wait:>7}  {bytes:>11}  {rate:>13}  {checked}"),
        _ => format!("{short:8}  {state:12}  {wait:>7}  {bytes:>11}  {checked}"),
    }
}

fn counted(stats: &Stats) -> Counted {
    vec![
        ("requests", stats.requests()),
        ("polls", stats.polls()),
        ("throttled", stats.throttled()),
        ("failed", stats.failed()),
        ("broken", stats.broken()),
        ("retries", stats.retries()),
        ("pauses", stats.pauses()),
        ("queued_ms", u64::try_from(stats.queued().as_millis()).unwrap_or(u64::MAX)),
    ]
}

fn in_words(counts: &Counted) -> String {
    counts.iter().map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect::<Vec<_>>().join(", ")
}

pub(crate) fn in_json(counts: Counted) -> Value {
    counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect::<serde_json::Map<_, _>>().into()
}

/// Returns an error with its causes: `Display` of a longhaul error is one line, and its causes are its sources.
pub(crate) fn in_full(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
