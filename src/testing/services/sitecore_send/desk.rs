//! The API of Sitecore Send, without I/O.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::route::Route;
use crate::testing::counts::Counts;
use crate::testing::services::answer::Answer;
use crate::testing::services::fixed::Fixed;
use crate::testing::services::head::Head;
use crate::testing::services::vendor::{Vendor, Verdict};
use crate::testing::services::wall::Wall;

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) keys: BTreeSet<String>,
    /// By API key and route.
    pub(super) windows: Fixed,
    /// By how much every window is shortened.
    pub(super) shrink: u32,
    pub(super) wall: Wall,
    /// Whether times are written rounded down.
    pub(super) rounds_down: bool,
    /// How many of the next requests are throttled whatever their windows say.
    pub(super) throttle_next: usize,
}

impl Vendor for Desk {
    fn arrive(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Verdict {
        // The name is written `apikey` and `apiKey`.
        let key = head.query("apikey").or_else(|| head.query("apiKey"));
        let Some(key) = key.filter(|key| self.keys.contains(key)) else {
            counts.unauthorized += 1;
            return Verdict::Refuse(envelope(401, "AUTHENTICATION_FAILED"));
        };
        let Some(route) = Route::of(head) else {
            counts.other_calls += 1;
            return Verdict::Refuse(envelope(404, "NOT_FOUND"));
        };
        if let Some((limit, per)) = route.limit {
            let per = per / self.shrink.max(1);
            let admitted = if self.throttle_next > 0 {
                self.throttle_next -= 1;
                Err(now)
            } else {
                self.windows.admit(&format!("{key} {}", route.name), limit, per, now)
            };
            if let Err(first) = admitted {
                counts.throttled += 1;
                return Verdict::Refuse(self.throttled(first, per, now));
            }
        }
        counts.other_calls += 1;
        Verdict::Admit
    }

    fn answer(&mut self, head: &Head, body: &Bytes, _counts: &mut Counts, _now: Instant) -> Answer {
        let is_json = body.is_empty() || serde_json::from_slice::<Value>(body).is_ok();
        match Route::of(head) {
            _ if !is_json => envelope(400, "INVALID_JSON"),
            Some(route) => {
                let context = json!({ "Operation": route.name });
                Answer::json(StatusCode::OK, &json!({ "Code": 0, "Error": null, "Context": context }))
            }
            None => envelope(404, "NOT_FOUND"),
        }
    }

    fn wall(&self) -> Wall {
        self.wall
    }
}

impl Desk {
    /// States the window: from its first call to its end, in whole seconds of the service's clock.
    fn throttled(&self, first: Instant, per: Duration, now: Instant) -> Answer {
        let wall = self.wall.now();
        let first = wall.checked_sub(now.saturating_duration_since(first)).unwrap_or(wall);
        let rounding = if self.rounds_down { Duration::ZERO } else { JUST_BELOW_A_SECOND };
        let written = |moment: SystemTime| written(moment.checked_add(rounding).unwrap_or(moment));
        let expires = first.checked_add(per).unwrap_or(first);
        envelope(429, "RATE_LIMITING").header(FIRST_CALL, &written(first)).header(EXPIRES, &written(expires))
    }
}

/// An error travels as a success of HTTP.
fn envelope(code: u16, error: &str) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "Code": code, "Error": error, "Context": null }))
}

/// Writes a moment in whole seconds, the month first, in UTC.
fn written(moment: SystemTime) -> String {
    Timestamp::try_from(moment).unwrap_or_default().strftime("%m/%d/%Y %H:%M:%S").to_string()
}

const EXPIRES: HeaderName = HeaderName::from_static("x-ratelimit-expires");
const FIRST_CALL: HeaderName = HeaderName::from_static("x-ratelimit-firstcall");
const JUST_BELOW_A_SECOND: Duration = Duration::from_nanos(999_999_999);
