//! The API and the token endpoint of Constant Contact, without I/O.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::activity::{Activity, ActivityEnd};
use crate::testing::counts::Counts;
use crate::testing::seen::Side;
use crate::testing::services::answer::Answer;
use crate::testing::services::authority::{Authority, Party};
use crate::testing::services::head::Head;
use crate::testing::services::keyed::Keyed;
use crate::testing::services::multipart;
use crate::testing::services::vendor::{Vendor, Verdict};
use crate::testing::tokens::random;

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) rules: Rules,
    pub(super) authority: Authority,
    /// By API key.
    pub(super) windows: Keyed,
    pub(super) activities: HashMap<String, Activity>,
    /// The ids of all activities, oldest first.
    pub(super) order: Vec<String>,
    /// The ends of the next activities, in this order.
    pub(super) ends: VecDeque<ActivityEnd>,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) queued: usize,
    pub(super) duration: Duration,
    pub(super) contacts: u64,
    pub(super) legacy: bool,
    pub(super) results_early: bool,
}

impl Vendor for Desk {
    fn arrive(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Verdict {
        if head.side() == Side::Token {
            let refused = self.authority.arrive(counts, now).is_err();
            return match (head.path(), head.method()) {
                _ if refused => Verdict::Refuse(self.over_rate()),
                (TOKEN, &Method::POST) => Verdict::Admit,
                _ => Verdict::Refuse(not_found()),
            };
        }
        let Some(party) = self.party(head, now) else {
            counts.unauthorized += 1;
            counts.tokens_refused += 1;
            return Verdict::Refuse(unauthorized());
        };
        if self.windows.admit(&party.client, now).is_err() {
            counts.throttled += 1;
            return Verdict::Refuse(self.over_rate());
        }
        let route = Route::of(head);
        if matches!(route, Route::Submit(_)) && self.queued(&party.account, now) >= self.rules.queued {
            counts.throttled += 1;
            let message = "The account has too many activities that are not finished.";
            return Verdict::Refuse(errors(StatusCode::TOO_MANY_REQUESTS, TOO_MANY, message));
        }
        match route {
            Route::Submit(_) => counts.submits += 1,
            Route::Activity(_) => counts.polls += 1,
            Route::Export(_) => counts.follow_ups += 1,
            Route::Activities | Route::Account | Route::Unknown => counts.other_calls += 1,
        }
        Verdict::Admit
    }

    fn answer(&mut self, head: &Head, body: &Bytes, counts: &mut Counts, now: Instant) -> Answer {
        if head.side() == Side::Token {
            return self.authority.answer(head, body, counts, now);
        }
        let Some(account) = self.party(head, now).map(|party| party.account) else {
            return unauthorized();
        };
        match Route::of(head) {
            Route::Submit(kind) => match kind.items(head, body, self.rules.contacts) {
                Ok(items) => self.submit(kind, &account, items, now),
                Err(message) => errors(StatusCode::BAD_REQUEST, "activities.api.validation.error", message),
            },
            Route::Activity(id) => match self.activities.get(id) {
                Some(activity) => Answer::json(StatusCode::OK, &activity.json(now, self.rules.results_early)),
                None => not_found(),
            },
            Route::Export(id) => self.export(id, now),
            Route::Activities => self.list(head, &account, now),
            Route::Account => Answer::json(StatusCode::OK, &json!({ "encoded_account_id": account })),
            Route::Unknown => not_found(),
        }
    }
}

impl Desk {
    /// Returns the table that the export of an activity writes.
    pub(super) fn csv(&self, activity_id: &str) -> Option<String> {
        let activity = self.activities.get(activity_id).filter(|activity| activity.export.is_some())?;
        let mut table = "email_address,first_name\r\n".to_owned();
        table.extend((0..activity.items).map(|row| format!("{row}@{activity_id}.example,Contact {row}\r\n")));
        Some(table)
    }

    fn party(&self, head: &Head, now: Instant) -> Option<Party> {
        head.bearer().and_then(|token| self.authority.party(token, now)).cloned()
    }

    fn queued(&self, account: &str, now: Instant) -> usize {
        let queued = self.activities.values().filter(|activity| activity.account == account && !activity.is_over(now));
        queued.count()
    }

    fn submit(&mut self, kind: Kind, account: &str, items: u64, now: Instant) -> Answer {
        let activity = Activity {
            id: random(12),
            account: account.to_owned(),
            export: (kind == Kind::Export).then(|| random(12)),
            items,
            end: self.ends.pop_front().unwrap_or_default(),
            begun: now,
            begun_at: SystemTime::now(),
            duration: self.rules.duration,
        };
        let body = activity.json(now, self.rules.results_early);
        self.order.push(activity.id.clone());
        self.activities.insert(activity.id.clone(), activity);
        Answer::json(StatusCode::CREATED, &body)
    }

    fn export(&self, id: &str, now: Instant) -> Answer {
        let is_it = |activity: &&Activity| activity.export.as_deref() == Some(id) && activity.has_result(now);
        let found = self.activities.values().find(is_it);
        let table = found.and_then(|activity| self.csv(&activity.id));
        table.map_or_else(not_found, |table| Answer::bytes(StatusCode::OK, "text/csv", table))
    }

    fn list(&self, head: &Head, account: &str, now: Instant) -> Answer {
        let limit = match head.query("limit") {
            None => Some(MOST_LISTED),
            Some(limit) => limit.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit)),
        };
        let Some(limit) = limit else {
            return errors(StatusCode::BAD_REQUEST, "activities.api.validation.error", "limit must be 1 to 500.");
        };
        let state = head.query("state");
        let of_account = self.order.iter().rev().filter_map(|id| self.activities.get(id));
        let listed: Vec<Value> = of_account
            .filter(|activity| activity.account == account)
            .filter(|activity| state.as_ref().is_none_or(|state| state == activity.state(now)))
            .take(limit)
            .map(|activity| activity.json(now, self.rules.results_early))
            .collect();
        Answer::json(StatusCode::OK, &json!({ "activities": listed, "_links": {} }))
    }

    fn over_rate(&self) -> Answer {
        if self.rules.legacy {
            errors(StatusCode::FORBIDDEN, "mashery.not.authorized.over.qps", "Developer Over Qps")
        } else {
            errors(StatusCode::TOO_MANY_REQUESTS, TOO_MANY, "The limit of the API key is exceeded.")
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Route<'a> {
    Submit(Kind),
    Activity(&'a str),
    Activities,
    Export(&'a str),
    Account,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Export,
    JsonImport,
    FileImport,
}

impl<'a> Route<'a> {
    fn of(head: &'a Head) -> Self {
        let path = head.path().strip_prefix("/v3/").unwrap_or_default();
        match (head.method(), path.split_once('/')) {
            (&Method::POST, Some(("activities", "contact_exports"))) => Self::Submit(Kind::Export),
            (&Method::POST, Some(("activities", "contacts_json_import"))) => Self::Submit(Kind::JsonImport),
            (&Method::POST, Some(("activities", "contacts_file_import"))) => Self::Submit(Kind::FileImport),
            (&Method::GET, Some(("activities", id))) => Self::Activity(id),
            (&Method::GET, Some(("contact_exports", id))) => Self::Export(id),
            (&Method::GET, Some(("account", "summary"))) => Self::Account,
            (&Method::GET, None) if path == "activities" => Self::Activities,
            _ => Self::Unknown,
        }
    }
}

impl Kind {
    /// Returns the number of contacts that an activity works on, or why its request is wrong.
    fn items(self, head: &Head, body: &Bytes, contacts: u64) -> Result<u64, &'static str> {
        let content_type = head.header("content-type").unwrap_or_default();
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        if self == Self::FileImport {
            let parts = multipart::parse(content_type, body).ok_or("The body is no multipart/form-data.")?;
            parts.get("list_ids").ok_or("list_ids is missing.")?;
            let file = parts.get("file").ok_or("file is missing.")?;
            let lines = file.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
            return Ok(count(lines.saturating_sub(1)));
        }
        let json: Value = serde_json::from_slice(body).map_err(|_| "The body is no JSON.")?;
        if self == Self::Export {
            return if json.is_object() { Ok(contacts) } else { Err("The body is no object.") };
        }
        let contacts = json.get("import_data").and_then(Value::as_array).ok_or("import_data is missing.")?;
        let lists = json.get("list_ids").and_then(Value::as_array).ok_or("list_ids is missing.")?;
        if lists.is_empty() { Err("list_ids is empty.") } else { Ok(count(contacts.len())) }
    }
}

/// Errors are an array, most of the time of one.
fn errors(status: StatusCode, key: &str, message: &str) -> Answer {
    Answer::json(status, &json!([{ "error_key": key, "error_message": message }]))
}

fn unauthorized() -> Answer {
    errors(StatusCode::UNAUTHORIZED, "unauthorized", "The token is not valid.")
}

fn not_found() -> Answer {
    errors(StatusCode::NOT_FOUND, "not_found", "The requested resource does not exist.")
}

/// The path of the token endpoint.
pub(super) const TOKEN: &str = "/oauth2/default/v1/token";
/// The documents do not give the key of a 429.
const TOO_MANY: &str = "too_many_requests";
const MOST_LISTED: usize = 500;
