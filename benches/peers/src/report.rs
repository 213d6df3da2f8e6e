//! Report: tables for people, and JSON lines for programs.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use serde_json::Value;

use crate::machine;
use crate::spread::Spread;

/// Where the numbers of one bench go.
pub(crate) struct Report {
    bench: &'static str,
    json: Option<File>,
}

impl Report {
    /// Prints the line about the machine, and opens the file for the JSON lines.
    pub(crate) fn begin(bench: &'static str, json: Option<&OsStr>) -> io::Result<Self> {
        let json = json.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        let mut report = Self { bench, json };
        let machine = machine::describe();
        println!("{machine}");
        report.line("machine", "described", &machine.into())?;
        Ok(report)
    }

    /// Adds the versions of programs to the line about the machine.
    pub(crate) fn tools(&mut self, versions: &str) -> io::Result<()> {
        println!("{versions}");
        self.line("machine", "tools", &versions.into())
    }

    /// Prints a table and appends its numbers: of each cell its least and its median, or its only one. The note is for
    /// people alone.
    pub(crate) fn table(&mut self, title: &str, note: &str, rows: &[Row]) -> io::Result<()> {
        let headings = rows.first().map(|row| row.cells.iter().map(|cell| cell.metric)).into_iter().flatten();
        let mut lines = vec![["subject"].into_iter().chain(headings).map(str::to_owned).collect::<Vec<_>>()];
        for row in rows {
            lines.push([row.subject.clone()].into_iter().chain(row.cells.iter().map(Cell::shown)).collect());
        }
        println!("\n{title} ({note})");
        print(&lines);
        for row in rows {
            for cell in &row.cells {
                let metric = format!("{title}: {}", cell.metric);
                for (suffix, value) in cell.values() {
                    self.line(&row.subject, &format!("{metric}{suffix}"), &value.into())?;
                }
            }
        }
        Ok(())
    }

    /// Appends a sample of a download: the seconds since its start, its connections, and its bytes of a second.
    #[cfg(feature = "longhaul")]
    pub(crate) fn sample(&mut self, seconds: f64, connections: usize, rate: f64) -> io::Result<()> {
        let Some(file) = &mut self.json else { return Ok(()) };
        writeln!(file, r#"{{"seconds":{seconds:.2},"connections":{connections},"rate":{rate:.0}}}"#)
    }

    fn line(&mut self, subject: &str, metric: &str, value: &Value) -> io::Result<()> {
        let Some(file) = &mut self.json else { return Ok(()) };
        let (bench, subject, metric) = (Value::from(self.bench), Value::from(subject), Value::from(metric));
        writeln!(file, r#"{{"bench":{bench},"subject":{subject},"metric":{metric},"value":{value}}}"#)
    }
}

/// What one subject gave.
pub(crate) struct Row {
    subject: String,
    cells: Vec<Cell>,
}

impl Row {
    pub(crate) fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), cells: Vec::new() }
    }

    /// One value.
    pub(crate) fn one(self, metric: &'static str, unit: Unit, value: f64) -> Self {
        self.cell(metric, unit, Some((value.into(), Shown::One)))
    }

    /// The least and the median of the rounds.
    pub(crate) fn rounds(self, metric: &'static str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        self.cell(metric, unit, Some((values.into_iter().collect(), Shown::MinAndMedian)))
    }

    /// A value that is at least so much: what was waited for did not come while it was measured.
    pub(crate) fn at_least(self, metric: &'static str, unit: Unit, value: f64) -> Self {
        self.cell(metric, unit, Some((value.into(), Shown::AtLeast)))
    }

    /// A metric that this subject does not have.
    pub(crate) fn none(self, metric: &'static str) -> Self {
        self.cell(metric, Unit::Count, None)
    }

    fn cell(mut self, metric: &'static str, unit: Unit, spread: Option<(Spread, Shown)>) -> Self {
        self.cells.push(Cell { metric, unit, spread });
        self
    }
}

/// How a value is written for people. In JSON a share is a fraction.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Count,
    Nanoseconds,
    Microseconds,
    Seconds,
    Ratio,
    /// A ratio of which small differences count.
    Precise,
    Share,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Nanoseconds => format!("{value:.1}"),
            Self::Microseconds => format!("{value:.2}"),
            Self::Seconds => format!("{value:.3}"),
            Self::Ratio => format!("{value:.2}"),
            Self::Precise => format!("{value:.4}"),
            Self::Share => format!("{:.2} %", value * 100.0),
        }
    }
}

struct Cell {
    metric: &'static str,
    unit: Unit,
    spread: Option<(Spread, Shown)>,
}

enum Shown {
    One,
    AtLeast,
    MinAndMedian,
}

impl Cell {
    fn shown(&self) -> String {
        let Some((spread, shown)) = &self.spread else { return "-".into() };
        let (min, median) = (self.unit.write(spread.min()), self.unit.write(spread.median()));
        match shown {
            Shown::One => min,
            Shown::AtLeast => format!(">= {min}"),
            Shown::MinAndMedian if min == median => min,
            Shown::MinAndMedian => format!("{min} / {median}"),
        }
    }

    fn values(&self) -> Vec<(&'static str, f64)> {
        match &self.spread {
            None => Vec::new(),
            Some((spread, Shown::One)) => vec![("", spread.min())],
            Some((spread, Shown::AtLeast)) => vec![(", at least", spread.min())],
            Some((spread, Shown::MinAndMedian)) => vec![(", min", spread.min()), (", median", spread.median())],
        }
    }
}

fn print(lines: &[Vec<String>]) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for line in lines {
        let cells =
            line.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| {
                if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
