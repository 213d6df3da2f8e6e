//! The tasks of the service: their requests, and their progress.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::knobs::Knobs;

/// All tasks ever submitted.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    order: Vec<String>,
    by_uid: HashMap<String, Task>,
    by_key: HashMap<String, String>,
}

impl Tasks {
    /// Creates a task from the JSON of its submit, and returns its uid.
    pub(super) fn submit(&mut self, body: &Value, knobs: &Knobs, now: Instant) -> String {
        let number = self.order.len() + 1;
        let fails = usize::try_from(knobs.fail_every).is_ok_and(|k| k > 0 && number.is_multiple_of(k));
        let uid = uid();
        let task = Task::new(body, knobs, fails, now);
        self.order.push(uid.clone());
        self.by_uid.insert(uid.clone(), task);
        uid
    }

    /// As [`submit`](Self::submit), once for each idempotency key.
    pub(super) fn submit_once(&mut self, key: &str, body: &Value, knobs: &Knobs, now: Instant) -> String {
        if let Some(uid) = self.by_key.get(key) {
            return uid.clone();
        }
        let uid = self.submit(body, knobs, now);
        self.by_key.insert(key.to_owned(), uid.clone());
        uid
    }

    pub(super) fn get(&self, uid: &str) -> Option<&Task> {
        self.by_uid.get(uid)
    }

    pub(super) fn get_mut(&mut self, uid: &str) -> Option<&mut Task> {
        self.by_uid.get_mut(uid)
    }

    /// Returns the uids, in the order of their submits.
    pub(super) fn uids(&self) -> &[String] {
        &self.order
    }
}

#[derive(Debug)]
pub(super) struct Task {
    format: String,
    size: u64,
    submitted: Instant,
    duration: Duration,
    failure: Option<String>,
    canceled: bool,
    /// The number of admitted polls.
    polls: u32,
    /// Whether a poll has found the task alive.
    seen: bool,
    not_before: Option<Instant>,
    /// The number of cut bodies of the result.
    cuts: u32,
}

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Running { percent: u64 },
    Finished,
    Failed(String),
    Canceled,
}

impl Task {
    fn new(body: &Value, knobs: &Knobs, fails: bool, now: Instant) -> Self {
        let number = |name: &str| body.get(name).and_then(Value::as_u64);
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let fits =
            |format: &&str| (1..=16).contains(&format.len()) && format.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Self {
            format: text("format").filter(fits).unwrap_or("parquet").to_owned(),
            size: number("size").unwrap_or(knobs.result_size),
            submitted: now,
            duration: number("duration_ms").map_or(knobs.task_duration, Duration::from_millis),
            failure: text("fail").or(fails.then_some("The export could not be written.")).map(str::to_owned),
            canceled: false,
            polls: 0,
            seen: false,
            not_before: None,
            cuts: 0,
        }
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        let age = now.saturating_duration_since(self.submitted);
        if self.canceled {
            Standing::Canceled
        } else if age < self.duration {
            // The age is the smaller number, so this is 99 at most.
            let percent = age.as_nanos() * 100 / self.duration.as_nanos();
            Standing::Running { percent: u64::try_from(percent).unwrap_or(99) }
        } else {
            self.failure.clone().map_or(Standing::Finished, Standing::Failed)
        }
    }

    /// Cancels the task, unless it has already ended.
    pub(super) fn cancel(&mut self, now: Instant) {
        self.canceled |= matches!(self.standing(now), Standing::Running { .. });
    }

    /// Counts one more poll, and returns how many there were before.
    pub(super) fn poll(&mut self) -> u32 {
        let before = self.polls;
        self.polls = before.saturating_add(1);
        before
    }

    /// Returns whether this is the first poll that finds the task alive.
    pub(super) fn see(&mut self) -> bool {
        !std::mem::replace(&mut self.seen, true)
    }

    /// Records that the next poll was asked to wait.
    pub(super) fn ask_to_wait(&mut self, now: Instant, wait: Duration) {
        self.not_before = now.checked_add(wait);
    }

    pub(super) fn is_early(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| now < at)
    }

    /// Returns whether to cut one more of the bodies, out of `most`.
    pub(super) fn cut(&mut self, most: u32) -> bool {
        let cut = self.cuts < most;
        self.cuts += u32::from(cut);
        cut
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn format(&self) -> &str {
        &self.format
    }
}

/// Returns a random id, in the shape of a UUID.
pub(in crate::testing) fn uid() -> String {
    let digits = format!("{:032x}", fastrand::u128(..));
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted(body: &Value) -> (Task, Instant) {
        let now = Instant::now();
        (Task::new(body, &Knobs::default(), false, now), now)
    }

    #[test]
    fn grows_with_time_until_it_is_finished() {
        let (task, start) = submitted(&serde_json::json!({ "duration_ms": 200 }));
        let at = |millis| task.standing(start + Duration::from_millis(millis));
        assert_eq!(at(0), Standing::Running { percent: 0 });
        assert_eq!(at(50), Standing::Running { percent: 25 });
        assert_eq!(at(199), Standing::Running { percent: 99 });
        assert_eq!(at(200), Standing::Finished);
    }

    #[test]
    fn ends_as_it_was_told_to() {
        let (task, start) = submitted(&serde_json::json!({ "duration_ms": 0, "fail": "no" }));
        assert_eq!(task.standing(start), Standing::Failed("no".to_owned()));
    }

    #[test]
    fn cannot_be_canceled_once_it_has_ended() {
        let (mut task, start) = submitted(&serde_json::json!({ "duration_ms": 200 }));
        let end = start + Duration::from_millis(200);
        task.cancel(end);
        assert_eq!(task.standing(end), Standing::Finished);
        task.cancel(start);
        assert_eq!(task.standing(end), Standing::Canceled);
    }

    #[test]
    fn a_format_that_could_not_stand_in_a_path_is_ignored() {
        for (given, format) in [("csv", "csv"), ("../x", "parquet"), ("", "parquet"), ("a?b", "parquet")] {
            let (task, _) = submitted(&serde_json::json!({ "format": given }));
            assert_eq!(task.format(), format);
        }
    }

    #[test]
    fn uids_have_the_shape_of_a_uuid() {
        let lengths: Vec<usize> = uid().split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(uid(), uid());
    }
}
