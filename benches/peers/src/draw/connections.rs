//! Connections: how many a download had, and what they gave, over its time.

use serde_json::{Deserializer, Value};

use super::axis::Axis;
use super::chart::wrapped;
use super::svg::{Align, Svg};
use crate::Failure;

/// The file that a picture is drawn from, if it is there, and the name of the picture.
pub(super) const FILE: &str = "download-connections";

/// The progress of one download.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Log {
    machine: String,
    samples: Vec<Sample>,
}

/// At one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) connections: f64,
    /// Bytes of a second.
    pub(super) rate: f64,
}

impl Log {
    /// Reads objects of `seconds`, `connections` and `rate`, one a line or in an array. An object with `machine` describes
    /// where they were seen.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut log = Self::default();
        for value in Deserializer::from_str(text).into_iter::<Value>() {
            let values = match value? {
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                if let Some(machine) = value.get("machine").and_then(Value::as_str) {
                    machine.clone_into(&mut log.machine);
                    continue;
                }
                // The first line of a report.
                if value.get("bench").is_some() {
                    if let (Some("described"), Some(machine)) = (text_of(&value, "metric"), text_of(&value, "value")) {
                        machine.clone_into(&mut log.machine);
                    }
                    continue;
                }
                let number = |name: &str| {
                    value.get(name).and_then(Value::as_f64).ok_or_else(|| format!("no number `{name}` in {value}"))
                };
                let (seconds, connections, rate) = (number("seconds")?, number("connections")?, number("rate")?);
                log.samples.push(Sample { seconds, connections, rate });
            }
        }
        if log.samples.is_empty() { Err("no samples".into()) } else { Ok(log) }
    }

    pub(super) fn draw(&self) -> String {
        draw(&self.samples, &self.machine)
    }
}

fn text_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// Draws two panels over the same time: the connections as steps, and the rate.
pub(super) fn draw(samples: &[Sample], footer: &str) -> String {
    const MIB: f64 = (1 << 20) as f64;
    let mut svg = Svg::new(TITLE);
    svg.text("title", Align::Start, EDGE, 34.0, TITLE);
    let time = Axis::over(samples.iter().map(|sample| sample.seconds));
    let connections: Vec<_> = samples.iter().map(|sample| (sample.seconds, sample.connections)).collect();
    let rate: Vec<_> = samples.iter().map(|sample| (sample.seconds, sample.rate / MIB)).collect();
    panel(&mut svg, 70.0, "connections", time, &steps(&connections));
    panel(&mut svg, 70.0 + BELOW, "rate, MiB/s", time, &rate);
    let mut below = 70.0 + 2.0 * BELOW - 14.0;
    svg.text("note", Align::Start, LEFT, below, "seconds");
    below += 8.0;
    for line in wrapped(footer, LINE) {
        below += 15.0;
        svg.text("note", Align::Start, EDGE, below, &line);
    }
    svg.finish(LEFT + WIDTH + EDGE + 10.0, below + 16.0)
}

fn panel(svg: &mut Svg, top: f64, heading: &str, time: Axis, points: &[(f64, f64)]) {
    let axis = Axis::over(points.iter().map(|(_, value)| *value));
    let (first, bottom) = (top + 12.0, top + 12.0 + HEIGHT);
    svg.text("heading", Align::Start, LEFT, top, heading);
    for tick in axis.ticks() {
        let y = bottom - axis.place(tick) * HEIGHT;
        svg.line("grid", [(LEFT, y), (LEFT + WIDTH, y)]);
        svg.text("tick", Align::End, LEFT - 6.0, y + 4.0, &written(tick));
    }
    for tick in time.ticks() {
        let x = LEFT + time.place(tick) * WIDTH;
        svg.rule("grid", x, first, bottom + 4.0);
        svg.text("tick", Align::Middle, x, bottom + 17.0, &written(tick));
    }
    let place = |(at, value): &(f64, f64)| (LEFT + time.place(*at) * WIDTH, bottom - axis.place(*value) * HEIGHT);
    svg.line("own-line", points.iter().map(place));
}

/// A value holds until the next one.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for &(at, value) in points {
        if let Some(&(_, before)) = steps.last() {
            steps.push((at, before));
        }
        steps.push((at, value));
    }
    steps
}

/// Two digits, without the noise of binary fractions.
fn written(tick: f64) -> String {
    ((tick * 100.0).round() / 100.0).to_string()
}

const TITLE: &str = "Connections of one download";
const EDGE: f64 = 20.0;
const LEFT: f64 = 70.0;
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 90.0;

/// Characters of a line of small text.
const LINE: usize = 95;

/// From one panel to the next.
const BELOW: f64 = 150.0;

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"machine":"2026-01-02; a <CPU>"}
{"seconds":0,"connections":1,"rate":20971520}
{"seconds":1.0,"connections":2,"rate":41943040}
{"seconds":4.0,"connections":8,"rate":167772160}"#;

    #[test]
    fn reads_lines_and_arrays() {
        let log = Log::parse(LINES).unwrap();
        assert_eq!(log.machine, "2026-01-02; a <CPU>");
        assert_eq!(log.samples[1], Sample { seconds: 1.0, connections: 2.0, rate: 41_943_040.0 });
        assert_eq!(Log::parse(&format!("[{}]", LINES.replace('\n', ","))).unwrap(), log);
        for (text, expected) in [("", "no samples"), (r#"{"seconds":1,"rate":2}"#, "no number `connections`")] {
            let error = Log::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_value_holds_until_the_next() {
        assert_eq!(steps(&[(0.0, 1.0), (2.0, 4.0)]), [(0.0, 1.0), (2.0, 1.0), (2.0, 4.0)]);
    }

    #[test]
    fn is_well_formed_and_the_same_each_time() {
        let log = Log::parse(LINES).unwrap();
        let text = log.draw();
        assert_eq!(text, log.draw());
        let document = roxmltree::Document::parse(&text).unwrap();
        let shown: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
        for text in [TITLE, "connections", "rate, MiB/s", "200", "2026-01-02; a <CPU>"] {
            assert!(shown.contains(&text), "no {text}");
        }
        let lines = document.descendants().filter(|node| node.attribute("class") == Some("own-line"));
        let ends: Vec<_> = lines.filter_map(|node| node.attribute("d")?.rsplit_once('L')).map(|(_, end)| end).collect();
        // Both end at 4 s of 4; at 8 of 8, and at 160 of 200.
        assert_eq!(ends, ["590 82", "590 250"]);
    }
}
