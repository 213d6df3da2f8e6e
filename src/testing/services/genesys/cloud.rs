//! The service without its ports: what counts requests, refuses them, and answers them.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderName, Method, StatusCode};

use super::super::answer::Answer;
use super::super::authority::{Authority, RefreshTokens};
use super::super::head::Head;
use super::super::vendor::{Vendor, Verdict};
use super::answers;
use super::builder::{Knobs, LimitHeaders};
use super::contacts::ContactLists;
use super::error_body::{code, error, seconds, throttled};
use super::files::{Files, SIGNATURE};
use super::jobs::Jobs;
use super::quota::{Quotas, Usage};
use super::route::{Route, SESSION};
use crate::testing::counts::Counts;
use crate::testing::seen::Side;

#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) knobs: Knobs,
    pub(super) authority: Authority,
    pub(super) quotas: Quotas,
    pub(super) jobs: Jobs,
    pub(super) lists: ContactLists,
    /// The failures of the next requests to the API, in this order.
    pub(super) faults: VecDeque<Fault>,
}

/// A failure in place of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
}

impl Cloud {
    /// Creates a service whose API and storage have these origins.
    pub(super) fn new(knobs: Knobs, api: String, storage: String) -> Self {
        let mut authority = Authority::new(knobs.token_life, RefreshTokens::Rotating, &knobs.token_limits).opaque();
        authority.add_client(&knobs.client.0, &knobs.client.1);
        let files = Files::new(storage, knobs.file_size, knobs.link_life);
        Self {
            authority,
            quotas: Quotas::new(knobs.rate, knobs.prefixes.clone(), knobs.window),
            jobs: Jobs::new(knobs.clone(), api, files),
            lists: ContactLists::default(),
            faults: VecDeque::new(),
            knobs,
        }
    }

    fn arrive_at_api(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Verdict {
        if let Some(fault) = self.faults.pop_front() {
            counts.other_calls += 1;
            let answer = error(fault.status, code(fault.status), "The request failed, as the test asked.");
            return Verdict::Refuse(match fault.retry_after {
                Some(wait) => answer.header(RETRY_AFTER, &seconds(wait).to_string()),
                None => answer,
            });
        }
        let bearer = head.bearer().filter(|bearer| self.authority.party(bearer, now).is_some());
        let Some(bearer) = bearer else {
            counts.unauthorized += 1;
            counts.tokens_refused += 1;
            let message = "Invalid login credentials.";
            return Verdict::Refuse(error(StatusCode::UNAUTHORIZED, "bad.credentials", message));
        };
        let usage = self.quotas.count(bearer, head.path(), now);
        if usage.is_over() {
            counts.throttled += 1;
            return Verdict::Refuse(self.refusal(&usage));
        }
        Route::of(head.method(), head.path()).count(counts);
        Verdict::Admit
    }

    fn refusal(&self, usage: &Usage) -> Answer {
        let (allowed, window) = (usage.allowed, seconds(self.quotas.window()));
        let wait = seconds(usage.reset);
        let key = match &usage.prefix {
            Some(prefix) => format!("{}.rate.per.minute", prefix.trim_matches('/').replace('/', ".")),
            None => "token.rate.per.minute".to_owned(),
        };
        let message = format!(
            "Rate limit exceeded the maximum [{allowed}] requests within [{window}] seconds for this token. Retry the \
             request in [{wait}] seconds"
        );
        let retry_after = self.knobs.retry_after.then_some(usage.reset);
        self.state_limit(throttled(&message, (&key, allowed), retry_after), usage)
    }

    /// Adds the headers that state the limit.
    fn state_limit(&self, answer: Answer, usage: &Usage) -> Answer {
        let put = |answer: Answer, names: [&'static str; 3], values: [u64; 3]| {
            names
                .into_iter()
                .zip(values)
                .fold(answer, |answer, (name, value)| answer.header(HeaderName::from_static(name), &value.to_string()))
        };
        let (used, allowed) = (u64::from(usage.used), u64::from(usage.allowed));
        match self.knobs.headers {
            LimitHeaders::Inin => put(answer, ININ, [used, allowed, seconds(usage.reset)]),
            LimitHeaders::XRateLimit => {
                let end = SystemTime::now() + usage.reset;
                let end = seconds(end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
                put(answer, X_RATE_LIMIT, [allowed, allowed.saturating_sub(used), end])
            }
            LimitHeaders::Absent => answer,
        }
    }

    fn answer_api(&mut self, head: &Head, body: &Bytes, counts: &mut Counts, now: Instant) -> Answer {
        match Route::of(head.method(), head.path()) {
            Route::Submit(kind) => self.jobs.submit(kind, body),
            Route::Poll(kind, id) => self.jobs.poll(kind, id, now),
            Route::Results(kind, id) => self.jobs.results(kind, id, head),
            Route::Start(id) => self.jobs.start(id, body),
            Route::Cancel(kind, id) => self.jobs.cancel(kind, id),
            Route::FailedRecordings(id) => self.jobs.failed_recordings(id),
            Route::Exports => self.jobs.exports(),
            Route::Contacts(list) => self.lists.add(list, body, self.knobs.most_contacts),
            Route::Download(id) => self.jobs.download(id, now),
            Route::RevokeToken => {
                let bearer = head.bearer().unwrap_or_default();
                self.authority.revoke(bearer, counts, now);
                Answer::empty(StatusCode::OK)
            }
            Route::EndSession => self.end_session(head, counts, now),
            Route::Query => answers::query(),
            Route::List(path) => answers::list(path),
            Route::Me => answers::me(),
            Route::Unknown => error(StatusCode::NOT_FOUND, "not.found", "The requested resource was not found."),
        }
    }

    fn end_session(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Answer {
        if self.authority.end(head.bearer().unwrap_or_default(), counts, now) {
            Answer::empty(StatusCode::OK)
        } else {
            error(StatusCode::UNAUTHORIZED, "bad.credentials", "Invalid login credentials.")
        }
    }
}

impl Vendor for Cloud {
    fn arrive(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Verdict {
        match head.side() {
            Side::Api => self.arrive_at_api(head, counts, now),
            Side::Storage => {
                counts.downloads += 1;
                Verdict::Admit
            }
            Side::Token => match self.authority.arrive(counts, now) {
                Ok(()) => Verdict::Admit,
                Err(wait) => {
                    let message = format!("Rate limit exceeded. Retry the request in [{}] seconds", seconds(wait));
                    let most = self.knobs.token_limits.first().map_or(0, |(n, _)| *n);
                    let limit = ("client.credentials.token.rate.per.minute", most);
                    Verdict::Refuse(throttled(&message, limit, Some(wait)))
                }
            },
        }
    }

    fn answer(&mut self, head: &Head, body: &Bytes, counts: &mut Counts, now: Instant) -> Answer {
        match head.side() {
            Side::Api => {
                let usage = head.bearer().map(|bearer| self.quotas.look(bearer, head.path(), now));
                let answer = self.answer_api(head, body, counts, now);
                match usage {
                    Some(usage) => self.state_limit(answer, &usage),
                    None => answer,
                }
            }
            Side::Storage => {
                let answer = self.jobs.files.answer(head, now);
                if answer.status().is_success() {
                    counts.storage_bytes += u64::try_from(self.knobs.file_size).unwrap_or(u64::MAX);
                }
                answer
            }
            Side::Token => match (head.method(), head.path()) {
                (&Method::POST, TOKEN) => self.authority.answer(head, body, counts, now),
                (&Method::DELETE, SESSION) => self.end_session(head, counts, now),
                _ => error(StatusCode::NOT_FOUND, "not.found", "The requested resource was not found."),
            },
        }
    }

    /// Beyond credentials at the storage: the client's secret anywhere but at the login host, and a signature at the
    /// API.
    fn is_misplaced(&self, head: &Head) -> bool {
        let (_, secret) = &self.knobs.client;
        let holds_secret =
            || head.headers().values().any(|value| value.to_str().is_ok_and(|value| value.contains(secret.as_str())));
        let carries = ["authorization", "cookie", "referer"].iter().any(|name| head.headers().contains_key(*name));
        match head.side() {
            Side::Storage => carries || holds_secret(),
            Side::Api => head.query(SIGNATURE).is_some() || holds_secret(),
            Side::Token => false,
        }
    }
}

pub(super) const TOKEN: &str = "/oauth/token";
const ININ: [&str; 3] = ["inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset"];
const X_RATE_LIMIT: [&str; 3] = ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"];
