//! The screen: what is known of the client, cut to the terminal and drawn over itself.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use console::Term;
use longhaul::limits::LimitUsage;
use longhaul::telemetry::Latency;
use longhaul::{Event, Stats};

use crate::terminal::Terminal;

/// What is shown, and how.
pub(crate) struct Screen {
    terminal: Terminal,
    plain: bool,
    begun: Instant,
    /// Lines of the last drawing, to be drawn over.
    drawn: usize,
    told: VecDeque<String>,
}

impl Screen {
    pub(crate) fn new(plain: bool) -> Self {
        Self { terminal: Terminal(Term::stdout()), plain, begun: Instant::now(), drawn: 0, told: VecDeque::new() }
    }

    pub(crate) const fn pause(&self) -> Duration {
        Duration::from_millis(if self.plain { 1000 } else { 200 })
    }

    pub(crate) fn tell(&mut self, text: &str) {
        self.told.push_back(format!("{:5.1} s  {text}", self.begun.elapsed().as_secs_f64()));
        if self.told.len() > EVENTS_SHOWN {
            self.told.pop_front();
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        if let Some(text) = text_of(event) {
            self.tell(&text);
        }
    }

    /// Draws what is known, over the last drawing where there is a screen.
    pub(crate) fn show(&mut self, stats: &Stats) -> io::Result<()> {
        let (rows, columns) = self.terminal.size().unwrap_or((usize::MAX, usize::MAX));
        let text = self.text(stats, columns);
        let lines = text.lines().map(|line| cut(line, columns));
        let mut out = io::stdout().lock();
        if self.plain {
            lines.chain([String::new()]).try_for_each(|line| writeln!(out, "{line}"))?;
            return out.flush();
        }
        // The row of the cursor stays free: a drawing that scrolls cannot be drawn over.
        let rows = rows.saturating_sub(1);
        if self.drawn > 0 {
            write!(out, "\x1b[{}A", self.drawn.min(rows))?;
        }
        let lines: Vec<_> = lines.take(rows).collect();
        // Each line clears what is left of the one before it, and the last one all below, a `^C` too.
        lines.iter().try_for_each(|line| write!(out, "\r{line}\x1b[K\n"))?;
        write!(out, "\r\x1b[J")?;
        self.drawn = lines.len();
        out.flush()
    }

    /// The last drawing, in full: it may scroll, as nothing is drawn over it.
    pub(crate) fn end(&mut self, stats: &Stats) -> io::Result<()> {
        if self.plain && self.terminal.size().is_some() {
            // Where Ctrl-C has left its mark.
            println!();
        }
        self.show(stats)?;
        let (text, width) = (self.text(stats, self.terminal.width()), self.terminal.width());
        text.lines().skip(self.drawn).filter(|_| !self.plain).for_each(|line| println!("{}", cut(line, width)));
        Ok(())
    }

    fn text(&self, stats: &Stats, width: usize) -> String {
        let mut text = String::new();
        let mut line = |name: &str, what: String| {
            // A String takes all.
            let _ = writeln!(text, "{name:9} {what}");
        };
        line("time", format!("{:.1} s", self.begun.elapsed().as_secs_f64()));
        let rate = stats.success_rate().map_or("nothing yet".into(), |rate| format!("{:.1} % succeeded", rate * 100.0));
        let (minute, refused, queued) = (stats.requests_per_minute(), stats.throttled(), stats.queued());
        line("requests", format!("{} ({minute} in a minute), {rate}, {refused} refused", stats.requests()));
        line("queue", format!("{} waiting, {queued:.1?} waited so far", waiting(stats)));
        for limit in stats.limits() {
            let bar = bar(limit, if width < 80 { 8 } else { 20 });
            line("limit", format!("{bar} {:21} {}", limit.to_string(), limit.label()));
        }
        line("latency", percentiles(stats.latency()));
        for route in stats.routes().iter().take(ROUTES_SHOWN) {
            let (name, latency) = (end(route.name()), percentiles(route.latency()));
            line("route", format!("{name:16} {:4}  {latency}", route.requests()));
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

fn bar(limit: &LimitUsage, length: u8) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the length")]
    let full = (limit.share().clamp(0.0, 1.0) * f64::from(length)).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(usize::from(length) - full))
}

/// A line that ends at the edge, and shows where it was cut.
fn cut(line: &str, width: usize) -> String {
    let letters = line.chars().count();
    if letters <= width { line.to_owned() } else { line.chars().take(width.saturating_sub(1)).chain(['…']).collect() }
}

/// The last two segments of a route, which say most about it.
fn end(route: &str) -> String {
    let cut = route.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    route.split_at(cut).1.chars().take(16).collect()
}

fn percentiles(latency: &Latency) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (p50, p95, max) = (ms(latency.p50()), ms(latency.p95()), ms(latency.max()));
    format!("p50 {p50:3.0} p95 {p95:3.0} max {max:3.0} ms")
}

/// What is worth a line. A queue that moves is shown by its length.
fn text_of(event: &Event) -> Option<String> {
    let moves = matches!(event, Event::Waiting { .. } | Event::Granted { .. });
    (!moves).then(|| event.to_string())
}

const EVENTS_SHOWN: usize = 6;
const ROUTES_SHOWN: usize = 4;
