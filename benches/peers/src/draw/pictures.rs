//! Pictures: which numbers of which bench each picture shows.

use super::chart::{Bar, Chart, Panel, Unit};
use super::results::Results;
use crate::Failure;

/// A picture in the documents.
pub(super) struct Picture {
    /// The name of its file.
    pub(super) name: &'static str,
    /// Where its numbers come from.
    pub(super) bench: &'static str,
    title: &'static str,
    subtitle: &'static str,
    rows: fn(&Results) -> Result<Vec<Vec<Panel>>, Failure>,
}

impl Picture {
    pub(super) fn draw(&self, results: &Results) -> Result<String, Failure> {
        let (title, subtitle) = (self.title, self.subtitle);
        let chart = Chart { title, subtitle, rows: (self.rows)(results)?, footer: results.machine().to_owned() };
        Ok(chart.draw())
    }
}

pub(super) const PICTURES: [Picture; 5] = [
    Picture {
        name: "refusals",
        bench: "exact",
        title: "Requests that the service refused",
        subtitle: "A service with a strict sliding window, 20\u{a0}ms + Exp(30\u{a0}ms) away in each direction; 200 keys, each \
                   with 16 workers that always have a request ready, for 57\u{a0}s. Shorter is better.",
        rows: refusals,
    },
    Picture {
        name: "waiters",
        bench: "waiters",
        title: "CPU time of 100,000 waiters",
        subtitle: "100,000 tasks wait on one thread for one limiter of 2,000 per 100\u{a0}ms, until the last has \
                   passed; median of 2 rounds. Shorter is better.",
        rows: waiters,
    },
    Picture {
        name: "learning",
        bench: "learn",
        title: "A limit that nobody has declared",
        subtitle: "50 workers for 600 s at a service whose limit they do not know; median of 5 seeds, paused clock.",
        rows: learning,
    },
    Picture {
        name: "pipeline",
        bench: "pipeline",
        title: "A whole request, beside bare reqwest",
        subtitle: "GET over HTTP/1.1 on loopback, client on one thread, 16 and 64 requests at once; median of the \
                   ratios to reqwest in the same round of 29.",
        rows: pipeline,
    },
    Picture {
        name: "download",
        bench: "download",
        title: "A large file, beside a raw TCP reader",
        subtitle: "From nginx on loopback to a file, each subject a process of its own: time as a multiple of a blocking \
                   reader of 1\u{a0}MiB, median of the ratios in the same round; on disk until all is synced. Below: \
                   from a server that gives each connection 20\u{a0}MiB/s.",
        rows: download,
    },
];

fn download(results: &Results) -> Result<Vec<Vec<Panel>>, Failure> {
    let column = |table: &str, heading: &str, axis: &'static str| {
        // One that failed has no number, and a bar that says so.
        let bar = |subject: &str| {
            let seen = results.value(table, subject, heading);
            Ok(seen.map_or_else(|_| (0.0, "failed".to_owned()), |ratio| (ratio, format!("{ratio:.2}"))))
        };
        let gib = results.value(table, results.subjects(table).first().copied().unwrap_or_default(), "GiB");
        let heading = gib.map_or_else(|_| table.to_owned(), |gib| format!("{gib} GiB {table}"));
        let panel = panel(results, table, heading, axis, Unit::Ratio, bar)?;
        Ok::<_, Failure>(Panel { mark: Some(1.0), ..panel })
    };
    Ok(vec![
        vec![
            column("to tmpfs", "wall of raw", "wall time, raw reader = 1 (shorter is better)")?,
            column("to disk", "wall of raw, synced", "wall time until synced, raw reader = 1 (shorter is better)")?,
        ],
        vec![column(
            "at 20 MiB/s per connection",
            "times one connection",
            "times as fast as one connection (longer is better)",
        )?],
    ])
}

fn refusals(results: &Results) -> Result<Vec<Vec<Panel>>, Failure> {
    let panel = |table: &str| {
        let bar = |subject: &str| {
            let value = |heading| results.value(table, subject, heading);
            let (share, refused, requests) = (value("refused share")?, value("refused")?, value("requests")?);
            let shown = if refused < FEW { format!("{refused} of {}", thousands(requests)) } else { percent(share) };
            Ok((share, shown))
        };
        let axis = "requests refused, % of all that were sent";
        panel(results, table, table.replace('s', " s"), axis, Unit::Percent, bar)
    };
    Ok(vec![
        vec![panel("4 per 1s")?, panel("15 per 1s")?],
        vec![panel("10 per 10s")?, panel("4 per 1s and 100 per 60s")?],
    ])
}

fn waiters(results: &Results) -> Result<Vec<Vec<Panel>>, Failure> {
    let table = "100000 waiters at 2000 per 100 ms";
    let bar = |subject: &str| {
        let seconds = results.value(table, subject, "CPU s")?;
        Ok((seconds, format!("{seconds:.3} s")))
    };
    let heading = "2,000 per 100 ms".to_owned();
    Ok(vec![vec![panel(results, table, heading, "CPU time, seconds", Unit::Seconds, bar)?]])
}

fn learning(results: &Results) -> Result<Vec<Vec<Panel>>, Failure> {
    let row = |limit: &str| {
        let table = format!("{limit}, unknown, 50 workers, 600 s");
        let column = |heading: &'static str, axis| {
            let bar = |subject: &str| {
                let share = results.value(&table, subject, heading)?;
                Ok((share, percent(share)))
            };
            panel(results, &table, format!("Limit: {limit}"), axis, Unit::Percent, bar)
        };
        Ok::<_, Failure>(vec![
            column("429 share", "requests answered with 429, % (shorter is better)")?,
            column("goodput of limit", "goodput, % of the limit (longer is better)")?,
        ])
    };
    Ok(vec![row("15/s")?, row("15/s, then 5/s, then 15/s")?])
}

fn pipeline(results: &Results) -> Result<Vec<Vec<Panel>>, Failure> {
    let row = |heading: &'static str, axis| {
        let column = |callers: u32| {
            let table = format!("{callers} at once");
            let bar = |subject: &str| {
                let share = results.value(&table, subject, heading)?;
                Ok((share, percent(share)))
            };
            let panel = panel(results, &table, table.clone(), axis, Unit::Percent, bar)?;
            Ok::<_, Failure>(Panel { mark: Some(1.0), ..panel })
        };
        Ok::<_, Failure>(vec![column(16)?, column(64)?])
    };
    Ok(vec![
        row("of bare", "requests per second, % of reqwest (longer is better)")?,
        row("CPU of bare", "CPU time per request, % of reqwest (shorter is better)")?,
    ])
}

/// A panel with a bar for each subject of one table: its value, and how that is shown.
fn panel(
    results: &Results,
    table: &str,
    heading: String,
    axis: &'static str,
    unit: Unit,
    bar: impl Fn(&str) -> Result<(f64, String), Failure>,
) -> Result<Panel, Failure> {
    let subjects = results.subjects(table);
    if subjects.is_empty() {
        return Err(format!("no numbers of `{table}`").into());
    }
    let bars = subjects.into_iter().map(|subject| {
        let (value, shown) = bar(subject)?;
        let own = subject.starts_with("longhaul");
        Ok::<_, Failure>(Bar { subject: short(subject).to_owned(), own, value, shown })
    });
    Ok(Panel { heading, axis, unit, bars: bars.collect::<Result<_, _>>()?, mark: None })
}

/// The name of a subject, where its own is too long for a picture.
fn short(subject: &str) -> &str {
    match subject {
        "longhaul, Anchor::ResponseLessRoundTrip" => "longhaul, ResponseLessRoundTrip",
        "backoff of each request, 30 s at most, full jitter" => "retries with backoff alone",
        "AWS adaptive (CUBIC) with backoff" => "AWS adaptive, with backoff",
        "AWS adaptive (CUBIC) alone, as in its SDK for Rust" => "AWS adaptive, as in its Rust SDK",
        "(no limiter: tokio Semaphore, opened at once)" => "no limiter (tokio's Semaphore)",
        subject => subject,
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So few refusals are shown as a number: as a share they would round to zero, which is another claim.
const FEW: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of a run that never was.
    fn results(bench: &str) -> Results {
        let mut lines =
            vec![r#"{"bench":"b","subject":"machine","metric":"described","value":"2026-01-02; a CPU"}"#.to_owned()];
        let metrics: &[&str] = match bench {
            "exact" => &["4 per 1s", "15 per 1s", "10 per 10s", "4 per 1s and 100 per 60s"],
            "waiters" => &["100000 waiters at 2000 per 100 ms"],
            "learn" => &["15/s, unknown, 50 workers, 600 s", "15/s, then 5/s, then 15/s, unknown, 50 workers, 600 s"],
            "pipeline" => &["16 at once", "64 at once"],
            _ => &["to tmpfs", "to disk", "at 20 MiB/s per connection"],
        };
        let headings = [
            "requests",
            "refused",
            "refused share",
            "CPU s",
            "429 share",
            "goodput of limit",
            "of bare",
            "CPU of bare",
            "wall of raw",
            "wall of raw, synced",
            "times one connection",
            "GiB",
        ];
        for (table, subject) in metrics.iter().flat_map(|table| [(table, "longhaul"), (table, "a <peer>")]) {
            for (at, heading) in headings.iter().enumerate() {
                lines.push(format!(
                    r#"{{"bench":"b","subject":"{subject}","metric":"{table}: {heading}","value":{}}}"#,
                    [1234.0, 3.0, 0.002, 0.15, 0.5, 0.9, 0.88, 1.15, 0.97, 1.02, 7.6, 2.0][at]
                ));
            }
        }
        Results::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn every_picture_is_well_formed_and_the_same_each_time() {
        for picture in &PICTURES {
            let drawn = picture.draw(&results(picture.bench)).unwrap();
            assert_eq!(drawn, picture.draw(&results(picture.bench)).unwrap());
            let document = roxmltree::Document::parse(&drawn).unwrap_or_else(|e| panic!("{}: {e}", picture.name));
            let shown: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
            for text in [picture.title, "2026-01-02; a CPU", "longhaul", "a <peer>"] {
                assert!(shown.contains(&text), "{}: no {text}", picture.name);
            }
        }
    }

    #[test]
    fn few_refusals_are_not_rounded_to_none() {
        let picture = PICTURES.iter().find(|picture| picture.name == "refusals").unwrap();
        assert!(picture.draw(&results("exact")).unwrap().contains(">3 of 1,234<"));
    }

    #[test]
    fn results_of_another_bench_are_an_error() {
        let error = PICTURES[0].draw(&results("learn")).unwrap_err().to_string();
        assert_eq!(error, "no numbers of `4 per 1s`");
    }
}
