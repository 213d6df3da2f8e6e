//! One activity: a task of Constant Contact.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

/// How an activity ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ActivityEnd {
    /// `completed`: with a result, if it is an export.
    #[default]
    Completed,
    /// `cancelled`.
    Cancelled,
    /// `failed`, with a line in `activity_errors`.
    Failed,
    /// `timed_out`.
    TimedOut,
}

#[derive(Clone, Debug)]
pub(super) struct Activity {
    pub(super) id: String,
    pub(super) account: String,
    /// The id of the file that an export writes.
    pub(super) export: Option<String>,
    pub(super) items: u64,
    pub(super) end: ActivityEnd,
    pub(super) begun: Instant,
    pub(super) begun_at: SystemTime,
    pub(super) duration: Duration,
}

impl Activity {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) >= self.duration
    }

    /// Returns the word of the state: `initialized` for the first quarter of the time, then `processing`.
    pub(super) fn state(&self, now: Instant) -> &'static str {
        match self.end {
            _ if self.percent(now) < 25 => "initialized",
            _ if !self.is_over(now) => "processing",
            ActivityEnd::Completed => "completed",
            ActivityEnd::Cancelled => "cancelled",
            ActivityEnd::Failed => "failed",
            ActivityEnd::TimedOut => "timed_out",
        }
    }

    /// Returns whether a result can be fetched.
    pub(super) fn has_result(&self, now: Instant) -> bool {
        self.export.is_some() && self.is_over(now) && self.end == ActivityEnd::Completed
    }

    pub(super) fn json(&self, now: Instant, results_early: bool) -> Value {
        let percent = self.percent(now);
        let elapsed = now.saturating_duration_since(self.begun).min(self.duration);
        let errors: &[&str] = match self.end {
            ActivityEnd::Failed if self.is_over(now) => &["The activity could not be carried out."],
            _ => &[],
        };
        let mut links = json!({ "self": { "href": format!("/v3/activities/{}", self.id) } });
        let is_linked = self.has_result(now) || results_early;
        if let (Some(export), true, Some(links)) = (&self.export, is_linked, links.as_object_mut()) {
            links.insert("results".to_owned(), json!({ "href": format!("/v3/contact_exports/{export}") }));
        }
        json!({
            "activity_id": self.id,
            "state": self.state(now),
            "created_at": written(self.begun_at),
            "updated_at": written(self.begun_at.checked_add(elapsed).unwrap_or(self.begun_at)),
            "percent_done": percent,
            "activity_errors": errors,
            "status": { "items_total_count": self.items, "items_completed_count": self.items * percent / 100 },
            "_links": links,
        })
    }

    fn percent(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.begun).as_nanos();
        let percent = (elapsed * 100).checked_div(self.duration.as_nanos()).unwrap_or(100);
        u64::try_from(percent.min(100)).unwrap_or(100)
    }
}

/// Writes a moment as RFC 3339 has it.
fn written(moment: SystemTime) -> String {
    Timestamp::try_from(moment).unwrap_or_default().to_string()
}
