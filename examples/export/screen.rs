//! What the user sees meanwhile, on stderr: a bar for each task on a terminal, else plain lines.

use std::cell::Cell;
use std::env;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longhaul::Update;
use longhaul::downloads::Progress;

use crate::report::Row;
use crate::terminal::Terminal;

pub(crate) struct Screen(Option<MultiProgress>);

impl Screen {
    pub(crate) fn new() -> Self {
        // Bars and a log would overwrite each other.
        let bars = Terminal(Term::stderr()).is_screen() && env::var_os("RUST_LOG").is_none();
        Self(bars.then(MultiProgress::new))
    }

    /// Leaves the bars as they are. After Ctrl-C the cursor is not where they were drawn last: to draw them again would
    /// leave pieces behind.
    pub(crate) fn freeze(&self) {
        if let Some(bars) = &self.0 {
            bars.set_draw_target(ProgressDrawTarget::hidden());
            eprintln!();
        }
    }

    /// The line of one task.
    pub(crate) fn line(&self, name: &str) -> Line {
        let bar = self.0.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(100)).with_style(style(WAITING)).with_prefix(short(name));
            bar.tick();
            bar
        });
        Line { name: name.to_owned(), bars: self.0.clone(), bar, quarter: Cell::new(0) }
    }
}

pub(crate) struct Line {
    name: String,
    bars: Option<MultiProgress>,
    bar: Option<ProgressBar>,
    /// How many quarters of the download were told of.
    quarter: Cell<u64>,
}

impl Line {
    pub(crate) fn update(&self, update: &Update) {
        let state = match update.word() {
            Some(word) if word != update.state().as_str() => format!("{} ({word})", update.state()),
            _ => update.state().to_string(),
        };
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
        // In plain lines, every quarter.
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
        let text = Terminal(Term::stderr()).fold(&format!("{}: {text}", self.name), 2);
        match &self.bars {
            // Above the bars. A terminal that is gone is nobody's concern here.
            Some(bars) => drop(bars.println(text)),
            None => eprintln!("{text}"),
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

// The bar takes what the rest leaves of the line, and the rest is of one width: no line wraps, down to 60 columns.
const WAITING: &str = "{prefix:8} {wide_bar:.cyan} {pos:>3} % {msg:32!}";
const DOWNLOADING: &str = "{prefix:8} {wide_bar:.green} {bytes:>10} of {total_bytes:>10} {bytes_per_sec:>13}";
const ENDED: &str = "{prefix:8} {wide_bar:.green} {msg:38!}";
