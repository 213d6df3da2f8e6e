//! The progress display, on stderr: a bar for each task on a terminal, else plain lines.

use std::cell::Cell;
use std::env;
use std::io::{self, IsTerminal};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use longhaul::Update;
use longhaul::downloads::Progress;

use crate::report::Row;

pub(crate) struct Screen(Option<MultiProgress>);

impl Screen {
    pub(crate) fn new() -> Self {
        // Bars and a log would overwrite each other.
        let bars = io::stderr().is_terminal() && env::var_os("RUST_LOG").is_none();
        Self(bars.then(MultiProgress::new))
    }

    /// Returns the line of one task.
    pub(crate) fn line(&self, name: &str) -> Line {
        let bar = self.0.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(100)).with_style(style(WAITING)).with_prefix(short(name));
            bar.tick();
            bar
        });
        Line { name: name.to_owned(), bar, quarter: Cell::new(0) }
    }
}

pub(crate) struct Line {
    name: String,
    bar: Option<ProgressBar>,
    /// The number of quarters of the download that were reported.
    quarter: Cell<u64>,
}

impl Line {
    pub(crate) fn update(&self, update: &Update) {
        let word = update.word().map(|word| format!(" ({word})")).unwrap_or_default();
        let state = format!("{}{word}", update.state());
        match (&self.bar, update.percent()) {
            (Some(bar), percent) => {
                bar.set_message(state);
                bar.set_position(whole(percent.unwrap_or_default()));
            }
            (None, Some(percent)) => self.say(&format!("{state} {percent:.0} %")),
            (None, None) => self.say(&state),
        }
        if let Some(warning) = update.warning() {
            self.say(warning);
        }
    }

    pub(crate) fn begin_download(&self) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(DOWNLOADING));
                bar.set_position(0);
            }
            None => self.say("downloading"),
        }
    }

    pub(crate) fn progress(&self, progress: Progress) {
        let (bytes, total) = (progress.bytes(), progress.total().unwrap_or(progress.bytes()));
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(bytes);
            return;
        }
        // Plain lines report every quarter.
        let quarter = (bytes * 4).checked_div(total).unwrap_or_default();
        if quarter > self.quarter.replace(quarter) && quarter < 4 {
            self.say(&format!("downloading {} %", quarter * 25));
        }
    }

    pub(crate) fn end(&self, row: &Row) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(ENDED));
                bar.finish_with_message(if row.is_right() { "saved" } else { "failed" });
            }
            None => self.say(&row.outcome()),
        }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => eprintln!("{}: {text}", self.name),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percent is 0 to 100")]
fn whole(percent: f64) -> u64 {
    percent as u64
}

fn short(name: &str) -> String {
    name.chars().take(8).collect()
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

const WAITING: &str = "{prefix:8} {bar:30.cyan} {pos:>3} % {msg}";
const DOWNLOADING: &str = "{prefix:8} {bar:30.green} {bytes} of {total_bytes}, {bytes_per_sec}";
const ENDED: &str = "{prefix:8} {bar:30.green} {msg}";
