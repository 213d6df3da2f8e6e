//! Recorder: all counts, behind one lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::alert_rules::{Seen, judge};
use super::alert_state::Watch;
use super::alerts::Alerts;
use super::counts::Counts;
use super::endpoint::{Endpoints, OTHER};
use super::latency::Timing;
use super::long::LongTasks;
use super::recent::{Minutes, Seconds};
use super::refusals::Refusals;
use super::snapshot::Stats;
use super::summary::{Day, Summary};
use super::tasks::TaskCounts;
use super::token::Tokens;
use crate::event::{Alert, AlertKind, Event, Observation, RefusalCause, RequestInfo, RetryReason};
use crate::message::{Priority, write_route};
use crate::throttle::LimitUsage;

/// All counts.
#[derive(Debug)]
pub(super) struct Recorder {
    began: Instant,
    counts: Counts,
    statuses: BTreeMap<u16, u64>,
    retries: BTreeMap<RetryReason, u64>,
    refusals: Vec<Refusals>,
    timing: Timing,
    routes: Endpoints,
    hosts: Endpoints,
    tokens: Tokens,
    tasks: TaskCounts,
    seconds: Seconds,
    minutes: Minutes,
    throttled: Option<ThrottledRun>,
    day: Day,
    long: LongTasks,
    /// Limits that have not counted any request.
    unmatched: Vec<Arc<str>>,
    watch: Watch,
    /// A buffer for the route that is looked up.
    text: String,
}

/// Requests that were sent within one second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) second: u64,
    pub(super) requests: u64,
    pub(super) polls: u64,
    pub(super) queued: Duration,
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) place: CountedPlace,
    pub(super) class: Priority,
    /// `None` without a response.
    pub(super) status: Option<StatusCode>,
    pub(super) took: Duration,
    pub(super) second: u64,
}

/// The places at which a request is counted: its route and its host, which keep their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountedPlace {
    route: u16,
    host: u16,
}

/// 429s that continue.
#[derive(Clone, Copy, Debug)]
struct ThrottledRun {
    first: Instant,
    last: Instant,
    /// Whether other responses arrived since the last 429.
    others: bool,
}

/// The names under which an observation was counted; their number is bounded.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "who publishes them reads them"))]
pub(super) struct Names {
    pub(super) route: Option<Arc<str>>,
    pub(super) host: Option<Arc<str>>,
    /// A limit or a credential.
    pub(super) about: Option<Arc<str>>,
}

impl Recorder {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            counts: Counts::default(),
            statuses: BTreeMap::new(),
            retries: BTreeMap::new(),
            refusals: Vec::new(),
            timing: Timing::fine(),
            routes: Endpoints::new(MOST_ROUTES),
            hosts: Endpoints::new(MOST_HOSTS),
            tokens: Tokens::default(),
            tasks: TaskCounts::default(),
            seconds: Seconds::default(),
            minutes: Minutes::default(),
            throttled: None,
            day: Day::new(began),
            long: LongTasks::default(),
            unmatched: Vec::new(),
            watch: Watch::default(),
            text: String::new(),
        }
    }

    /// Counts an observation. `slow_after`: a longer latency is slow.
    pub(super) fn record(&mut self, mark: &Observation<'_>, slow_after: Duration, now: Instant) -> Names {
        let second = self.second(now);
        let mut names = Names::default();
        match *mark {
            Observation::Sent { class, queued } => {
                self.sent(&Sent { second, requests: 1, polls: u64::from(class == Priority::Poll), queued });
            }
            Observation::Answered { asked, status, took } => {
                let place = self.place(&asked);
                self.ended(&Ended { place, class: asked.class, status: Some(status), took, second }, slow_after);
                if status == StatusCode::TOO_MANY_REQUESTS {
                    self.throttled_at(now);
                }
                names = self.names(place);
            }
            Observation::Broke { asked, unsent, took } => {
                let place = self.place(&asked);
                self.ended(&Ended { place, class: asked.class, status: None, took, second }, slow_after);
                self.counts.unsent += u64::from(unsent);
                names = self.names(place);
            }
            Observation::Refused { limit, cause, is_new, kept } => {
                self.counts.pauses += u64::from(is_new);
                let limit = self.refuse(limit, cause);
                if kept && is_new {
                    self.day.kept.refused(&limit, cause, now);
                }
                names.about = Some(limit);
            }
            Observation::Retrying { reason, .. } => *self.retries.entry(reason).or_default() += 1,
            Observation::Refreshed { credential, valid_for, took } => {
                self.day.refreshes += 1;
                names.about = self.tokens.refreshed(credential, valid_for, took, now);
            }
            Observation::RefreshFailed { credential, needs_login, .. } => {
                self.day.failed_refreshes += 1;
                names.about = self.tokens.failed(credential, needs_login);
            }
            Observation::LoggedOut { credential, needs_login } => self.tokens.logged_out(credential, needs_login),
            Observation::Task { was, is } => self.tasks.turn(was, is),
            // Reported, and not counted.
            Observation::UnknownWord { .. } => {}
            Observation::Long { number, name, age } => self.long.add(number, name, age, now),
            Observation::NoLonger { number } => self.long.remove(number),
        }
        names
    }

    /// Counts the requests that were sent within one second.
    pub(super) fn sent(&mut self, sent: &Sent) {
        self.counts.requests += sent.requests;
        self.counts.polls += sent.polls;
        self.counts.queued = self.counts.queued.saturating_add(sent.queued);
        self.seconds.count(sent.second, sent.requests);
        self.day.sent(sent.second / 60, sent.requests);
    }

    /// Counts a request that has ended, with or without a response.
    pub(super) fn ended(&mut self, ended: &Ended, slow_after: Duration) {
        let Ended { place, class, status, took, second } = *ended;
        self.counts.tally.count(status);
        self.counts.slow += u64::from(took > slow_after);
        self.day.tally.count(status);
        self.minutes.count(second, class, status, took);
        self.routes.count(place.route.into(), status, took);
        self.hosts.count(place.host.into(), status, took);
        let Some(status) = status else { return };
        *self.statuses.entry(status.as_u16()).or_default() += 1;
        self.timing.record(took);
        self.day.timing.record(took);
        // A refusal by a token endpoint is a refresh that failed.
        if class != Priority::Token {
            self.counts.answers += 1;
            self.counts.unauthorized += u64::from(status == StatusCode::UNAUTHORIZED);
        }
        if let Some(throttled) = self.throttled.as_mut().filter(|_| status != StatusCode::TOO_MANY_REQUESTS) {
            throttled.others = true;
        }
    }

    /// Returns the place at which a request is counted.
    pub(super) fn place(&mut self, asked: &RequestInfo<'_>) -> CountedPlace {
        let host = asked.url.host_str().unwrap_or_default();
        let route = asked.route.unwrap_or_else(|| {
            self.text.clear();
            write_route(&mut self.text, Some(asked.method), host, asked.url.path());
            &self.text
        });
        // There are at most some hundred of either.
        let small = |place| u16::try_from(place).unwrap_or(u16::MAX);
        CountedPlace { route: small(self.routes.place(route)), host: small(self.hosts.place(host)) }
    }

    /// Returns the names of a place, which only publishing uses.
    pub(super) fn names(&self, place: CountedPlace) -> Names {
        let named = |name: Option<&Arc<str>>| name.filter(|_| cfg!(feature = "metrics")).cloned();
        Names {
            route: named(self.routes.name(place.route.into())),
            host: named(self.hosts.name(place.host.into())),
            about: None,
        }
    }

    /// Records a 429, which may continue a series.
    fn throttled_at(&mut self, now: Instant) {
        let first = self.throttled.filter(|throttled| throttled.goes_on(now)).map_or(now, |throttled| throttled.first);
        self.throttled = Some(ThrottledRun { first, last: now, others: false });
    }

    fn refuse(&mut self, limit: &str, cause: RefusalCause) -> Arc<str> {
        let find = |refusals: &[Refusals], limit: &str| {
            refusals.iter().position(|known| *known.limit == *limit && known.cause == cause)
        };
        let name = if self.refusals.len() >= MOST_REFUSALS { OTHER } else { limit };
        let known = find(&self.refusals, limit).or_else(|| find(&self.refusals, name));
        if let Some(known) = known.and_then(|at| self.refusals.get_mut(at)) {
            known.count += 1;
            return known.limit.clone();
        }
        let limit: Arc<str> = name.into();
        self.refusals.push(Refusals { limit: limit.clone(), cause, count: 1 });
        limit
    }

    /// Checks whether a condition is worth an alert.
    pub(super) fn look(
        &mut self,
        alerts: &Alerts,
        usage: &[LimitUsage],
        unmatched: Vec<Arc<str>>,
        now: Instant,
    ) -> Vec<Event> {
        self.unmatched = unmatched;
        let second = self.second(now);
        self.day.used(usage);
        let mut told = self.watch.near(usage, now);
        let (recent, before) = (self.minutes.now(second), self.minutes.before(second));
        let found = judge(
            alerts,
            &Seen {
                recent: &recent,
                before: &before,
                throttled_for: self.throttled.filter(|it| it.goes_on(now)).map(|it| it.last - it.first),
                usage,
                tokens: &self.tokens,
                long: &self.long,
                kept: &self.day.kept,
                is_active: self.seconds.sum(second) > 0,
            },
            now,
        );
        told.extend(self.watch.take(found, alerts.quiet, now).into_iter().map(Event::Alert));
        if alerts.daily.is_some_and(|length| now.saturating_duration_since(self.day.began) >= length) {
            let text = format!("the summary of the day\n{}", self.summary(now));
            told.push(Event::Alert(Alert::new(AlertKind::Daily, None, text)));
            self.day = Day::new(now);
            self.routes.begin_day();
        }
        told
    }

    pub(super) fn summary(&self, now: Instant) -> Summary {
        // Before the first request, no limit could have counted any.
        let unmatched = if self.counts.requests > 0 { self.unmatched.clone() } else { Vec::new() };
        self.day.summary(&self.routes, unmatched, &self.long, now)
    }

    pub(super) fn stats(&mut self, limits: Vec<LimitUsage>, now: Instant) -> Stats {
        let second = self.second(now);
        Stats {
            counts: self.counts,
            requests_per_minute: self.seconds.sum(second),
            limits,
            latency: self.timing.latency(),
            recent_latency: self.minutes.now(second).timing.latency(),
            routes: self.routes.all(),
            hosts: self.hosts.all(),
            statuses: self.statuses.clone(),
            retries: self.retries.clone(),
            refusals: self.refusals.clone(),
            tokens: self.tokens.report(now),
            tasks: self.tasks.clone(),
            alerts: self.watch.alerts(),
        }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }
}

impl ThrottledRun {
    /// Returns whether a 429 now would continue the series: there was no minute without a 429 in which other responses
    /// arrived.
    fn goes_on(&self, now: Instant) -> bool {
        !self.others || now.saturating_duration_since(self.last) < GAP
    }
}

const MOST_ROUTES: usize = 256;
const MOST_HOSTS: usize = 64;
const MOST_REFUSALS: usize = 256;
const GAP: Duration = Duration::from_secs(60);
