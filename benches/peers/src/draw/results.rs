//! Results: the JSON lines of one bench, read again.

use serde_json::Value;

use crate::Failure;

/// The numbers of one run of one bench, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Results {
    machine: String,
    numbers: Vec<Number>,
}

#[derive(Debug)]
struct Number {
    subject: String,
    metric: String,
    value: f64,
}

impl Results {
    /// Reads the last run, where a file has several.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut results = None::<Self>;
        for (at, line) in text.lines().enumerate() {
            let line: Value = serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1))?;
            let member = |name: &str| line.get(name).ok_or_else(|| format!("line {} has no `{name}`", at + 1));
            let word = |name| member(name)?.as_str().ok_or_else(|| format!("line {}: `{name}` is no text", at + 1));
            let (subject, metric) = (word("subject")?.to_owned(), word("metric")?.to_owned());
            if let (Some(run), "machine", "tools") = (&mut results, &*subject, &*metric) {
                run.machine = format!("{}; {}", run.machine, word("value")?);
                continue;
            }
            if subject == "machine" {
                results = Some(Self { machine: word("value")?.to_owned(), numbers: Vec::new() });
                continue;
            }
            let value = member("value")?.as_f64().ok_or_else(|| format!("line {}: no number", at + 1))?;
            let run = results.as_mut().ok_or("the first line does not describe the machine")?;
            run.numbers.push(Number { subject, metric, value });
        }
        results.ok_or_else(|| "no results".into())
    }

    /// Date, CPU, compiler and versions.
    pub(super) fn machine(&self) -> &str {
        &self.machine
    }

    /// The subjects of one table, in its order.
    pub(super) fn subjects(&self, table: &str) -> Vec<&str> {
        let mut subjects: Vec<&str> = Vec::new();
        for number in self.numbers.iter().filter(|number| number.metric.strip_prefix(table).is_some_and(is_heading)) {
            if !subjects.contains(&&*number.subject) {
                subjects.push(&number.subject);
            }
        }
        subjects
    }

    /// The value of one cell: its only one, or its median.
    pub(super) fn value(&self, table: &str, subject: &str, heading: &str) -> Result<f64, Failure> {
        let metric = format!("{table}: {heading}");
        let is = |number: &&Number| {
            number.subject == subject && matches!(number.metric.strip_prefix(&metric), Some("" | ", median"))
        };
        let number = self.numbers.iter().find(is).ok_or_else(|| format!("no `{metric}` of {subject}"))?;
        Ok(number.value)
    }
}

fn is_heading(rest: &str) -> bool {
    rest.starts_with(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"{"bench":"b","subject":"machine","metric":"described","value":"2026-01-02; CPU"}
{"bench":"b","subject":"one","metric":"4 per 1s: share, min","value":0.1}
{"bench":"b","subject":"one","metric":"4 per 1s: share, median","value":0.2}
{"bench":"b","subject":"two","metric":"4 per 1s: share","value":0.3}
{"bench":"b","subject":"three","metric":"4 per 1s and 9 per 9s: share","value":0.4}"#;

    #[test]
    fn finds_the_median_or_the_only_value() {
        let results = Results::parse(RUN).unwrap();
        assert_eq!(results.machine(), "2026-01-02; CPU");
        assert_eq!(results.subjects("4 per 1s"), ["one", "two"]);
        assert_eq!(results.value("4 per 1s", "one", "share").unwrap(), 0.2);
        assert_eq!(results.value("4 per 1s", "two", "share").unwrap(), 0.3);
        assert!(results.value("4 per 1s", "three", "share").is_err());
    }

    #[test]
    fn the_versions_of_tools_belong_to_the_machine() {
        let tools = r#"{"bench":"b","subject":"machine","metric":"tools","value":"curl 7"}"#;
        let (first, rest) = RUN.split_once('\n').unwrap();
        let results = Results::parse(&format!("{first}\n{tools}\n{rest}")).unwrap();
        assert_eq!(results.machine(), "2026-01-02; CPU; curl 7");
        assert_eq!(results.value("4 per 1s", "two", "share").unwrap(), 0.3);
    }

    #[test]
    fn the_last_run_of_a_file_counts() {
        let twice = format!("{RUN}\n{}", RUN.replace("0.3", "0.5").replace("2026-01-02", "2026-01-03"));
        let results = Results::parse(&twice).unwrap();
        assert_eq!(results.machine(), "2026-01-03; CPU");
        assert_eq!(results.value("4 per 1s", "two", "share").unwrap(), 0.5);
    }

    #[test]
    fn says_where_a_file_is_malformed() {
        for (text, expected) in [
            ("", "no results"),
            ("{", "line 1: "),
            (r#"{"subject":"one","metric":"m","value":1}"#, "the first line"),
            (r#"{"subject":"machine","metric":"m","value":1}"#, "line 1: `value` is no text"),
            (r#"{"subject":"machine","metric":"m"}"#, "line 1 has no `value`"),
        ] {
            let error = Results::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
