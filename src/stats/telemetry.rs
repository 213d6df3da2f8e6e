//! Telemetry: the receiver of a client's observations.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::alerts::Alerts;
use super::aside::Aside;
use super::metrics_facade;
use super::recorder::{Names, Recorder};
use super::snapshot::Stats;
use super::summary::Summary;
use crate::event::{self, Event, Events, Observation, RequestInfo};
use crate::redact::shown;
use crate::throttle::{LimitUsage, Throttle};

/// Counts the observations of a client, and emits events and alerts.
#[derive(Debug)]
pub(crate) struct Telemetry {
    throttle: Throttle,
    alerts: Alerts,
    slow_after: Duration,
    began: Instant,
    /// Locked before the ledger.
    aside: Mutex<Aside>,
    ledger: Mutex<Recorder>,
    /// The second of the last check, from 1 on.
    looked: AtomicU64,
    events: broadcast::Sender<Event>,
}

impl Telemetry {
    pub(crate) fn new(throttle: Throttle, alerts: Alerts, slow_after: Duration) -> Self {
        let began = Instant::now();
        Self {
            throttle,
            alerts,
            slow_after,
            began,
            aside: Mutex::default(),
            ledger: Mutex::new(Recorder::new(began)),
            looked: AtomicU64::new(0),
            events: broadcast::Sender::new(event::KEPT),
        }
    }

    /// Records an observation.
    pub(crate) fn record(&self, mark: Observation<'_>, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        let names = match mark {
            Observation::Sent { class, queued } => {
                let mut aside = self.aside();
                aside.sent(class, queued, second);
                self.fold_where_full(aside);
                Names::default()
            }
            Observation::Answered { asked, status, took } if self.is_ordinary(status, took) => {
                let mut aside = self.aside();
                let names = aside.answered(&asked, status, took, second, |asked| {
                    let mut ledger = self.ledger();
                    let place = ledger.place(asked);
                    (place, ledger.names(place))
                });
                self.fold_where_full(aside);
                names
            }
            _ => self.count(&mark, now),
        };
        metrics_facade::mark(&mark, &names);
        self.emit(&mark);
        // Once a second, the first caller runs the checks.
        let second = second + 1;
        if self.looked.load(Relaxed) < second && self.looked.fetch_max(second, Relaxed) < second {
            self.look(now);
        }
    }

    /// Returns the counts so far.
    pub(crate) fn stats(&self) -> Stats {
        let now = Instant::now();
        let usage = self.look(now);
        self.whole_ledger().stats(usage, now)
    }

    /// Returns the day so far.
    pub(crate) fn summary(&self) -> Summary {
        let now = Instant::now();
        self.look(now);
        self.whole_ledger().summary(now)
    }

    /// Returns the events of the client and of its throttle, as they are emitted.
    pub(crate) fn events(&self) -> Events {
        Events::from_channel(self.events.subscribe()).and(self.throttle.events())
    }

    /// Checks whether alerts are due. The throttle's lock is released before the ledger's lock is taken.
    fn look(&self, now: Instant) -> Vec<LimitUsage> {
        let usage = self.throttle.look();
        metrics_facade::usage(&usage);
        let unmatched = self.throttle.unmatched();
        let told = self.whole_ledger().look(&self.alerts, &usage, unmatched, now);
        for event in told {
            if let Event::Alert(alert) = &event {
                metrics_facade::alert(alert);
            }
            // No watcher may be left.
            let _ = self.events.send(event);
        }
        usage
    }

    /// Returns whether a response is only added up, and the time of the observation does not matter. A 429 begins or
    /// continues a series of refusals, and a slow response is an event.
    fn is_ordinary(&self, status: StatusCode, took: Duration) -> bool {
        took <= self.slow_after && status != StatusCode::TOO_MANY_REQUESTS
    }

    /// Counts an observation at once, after those that came before it: minutes, and series of refusals, depend on the
    /// order.
    #[inline(never)]
    fn count(&self, mark: &Observation<'_>, now: Instant) -> Names {
        self.whole_ledger().record(mark, self.slow_after, now)
    }

    fn fold_where_full(&self, mut aside: MutexGuard<'_, Aside>) {
        if aside.is_full() {
            aside.fold_into(&mut self.ledger(), self.slow_after);
        }
    }

    /// Returns the ledger, with all observations so far counted.
    fn whole_ledger(&self) -> MutexGuard<'_, Recorder> {
        let mut aside = self.aside();
        let mut ledger = self.ledger();
        aside.fold_into(&mut ledger, self.slow_after);
        ledger
    }

    fn aside(&self) -> MutexGuard<'_, Aside> {
        // As of the ledger.
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Emits the event of an observation, if it is watched.
    fn emit(&self, mark: &Observation<'_>) {
        let is_told = match mark {
            Observation::Answered { took, .. } | Observation::Broke { took, .. } => *took > self.slow_after,
            Observation::Retrying { .. }
            | Observation::Refreshed { .. }
            | Observation::RefreshFailed { .. }
            | Observation::UnknownWord { .. } => true,
            Observation::Sent { .. }
            | Observation::Refused { .. }
            | Observation::LoggedOut { .. }
            | Observation::Task { .. }
            | Observation::Long { .. }
            | Observation::NoLonger { .. } => false,
        };
        if is_told && self.events.receiver_count() > 0 {
            // No watcher may be left.
            let _ = event_of(mark).map(|event| self.events.send(event));
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Recorder> {
        // No code panics while it holds the lock; if it did, the numbers behind the lock would still be intact.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn event_of(mark: &Observation<'_>) -> Option<Event> {
    let request = |asked: &RequestInfo<'_>| format!("{} {}", asked.method, shown(asked.url)).into();
    match *mark {
        Observation::Answered { asked, took, .. } | Observation::Broke { asked, took, .. } => {
            Some(Event::Slow { request: request(&asked), took })
        }
        Observation::Retrying { asked, reason, attempts, pause } => {
            Some(Event::Retrying { request: request(&asked), reason, attempts, pause })
        }
        Observation::Refreshed { credential, valid_for, .. } => {
            Some(Event::Refreshed { credential: credential.into(), valid_for })
        }
        Observation::RefreshFailed { credential, why, needs_login } => {
            Some(Event::RefreshFailed { credential: credential.into(), why: why.into(), needs_login })
        }
        Observation::UnknownWord { task, word } => {
            Some(Event::UnknownWord { task: task.map(Into::into), word: word.into() })
        }
        Observation::Sent { .. }
        | Observation::Refused { .. }
        | Observation::LoggedOut { .. }
        | Observation::Task { .. }
        | Observation::Long { .. }
        | Observation::NoLonger { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::event::{Alert, AlertKind};
    use crate::message::Priority;

    const MINUTE: Duration = Duration::from_secs(60);

    fn telemetry() -> Telemetry {
        Telemetry::new(Throttle::new(), Alerts::standard(), MINUTE)
    }

    fn refreshed(telemetry: &Telemetry, valid_for: Option<Duration>) {
        let took = Duration::from_millis(5);
        telemetry.record(Observation::Refreshed { credential: "oauth", valid_for, took }, Instant::now());
    }

    fn failed(telemetry: &Telemetry, needs_login: bool) {
        telemetry.record(
            Observation::RefreshFailed { credential: "oauth", why: "invalid_grant", needs_login },
            Instant::now(),
        );
    }

    fn sent(telemetry: &Telemetry) {
        telemetry.record(Observation::Sent { class: Priority::Call, queued: Duration::ZERO }, Instant::now());
    }

    fn kinds(telemetry: &Telemetry) -> Vec<AlertKind> {
        telemetry.stats().alerts().iter().map(Alert::kind).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_has_an_age_and_what_is_left_of_it() {
        let telemetry = telemetry();
        let mut events = telemetry.events();
        assert!(telemetry.stats().tokens().is_empty());
        failed(&telemetry, true);
        let stats = telemetry.stats();
        let token = &stats.tokens()[0];
        assert_eq!((token.age(), token.left(), token.is_active(), token.needs_login()), (None, None, false, true));

        refreshed(&telemetry, Some(60 * MINUTE));
        tokio::time::advance(10 * MINUTE).await;
        let stats = telemetry.stats();
        let token = &stats.tokens()[0];
        assert_eq!((token.credential(), token.age(), token.left()), ("oauth", Some(10 * MINUTE), Some(50 * MINUTE)));
        assert_eq!((token.is_active(), token.needs_login(), token.failed_in_a_row()), (true, false, 0));
        assert_eq!(token.took(), Some(Duration::from_millis(5)));
        assert_eq!((stats.refreshes(), stats.failed_refreshes()), (1, 1));
        tokio::time::advance(51 * MINUTE).await;
        assert_eq!(telemetry.stats().tokens()[0].left(), Some(Duration::ZERO));
        assert!(!telemetry.stats().tokens()[0].is_active());
        refreshed(&telemetry, None);
        assert!(telemetry.stats().tokens()[0].is_active(), "nobody knows that it is over");

        let told: Vec<Event> = std::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
        let oauth: std::sync::Arc<str> = "oauth".into();
        assert_eq!(
            told.iter().filter(|event| !matches!(event, Event::Alert(_))).collect::<Vec<_>>(),
            [
                &Event::RefreshFailed { credential: oauth.clone(), why: "invalid_grant".into(), needs_login: true },
                &Event::Refreshed { credential: oauth.clone(), valid_for: Some(60 * MINUTE) },
                &Event::Refreshed { credential: oauth, valid_for: None },
            ]
        );
        let summary = telemetry.summary();
        assert_eq!((summary.refreshes(), summary.failed_refreshes()), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn failed_refreshes_are_a_warning_until_one_goes_well() {
        let telemetry = telemetry();
        failed(&telemetry, false);
        let stats = telemetry.stats();
        assert_eq!(stats.alerts()[0].to_string(), "warning: the token `oauth` could not be fetched or refreshed");
        assert_eq!(stats.alerts()[0].about(), Some("oauth"));
        tokio::time::advance(60 * MINUTE).await;
        assert_eq!(kinds(&telemetry), [AlertKind::RefreshFailed], "nothing is better");
        refreshed(&telemetry, None);
        assert_eq!(kinds(&telemetry), [AlertKind::RefreshFailed], "it was just now");
        tokio::time::advance(5 * MINUTE).await;
        assert!(kinds(&telemetry).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_used_and_not_refreshed_is_a_warning_and_an_idle_one_is_not() {
        let telemetry = telemetry();
        refreshed(&telemetry, Some(60 * MINUTE));
        tokio::time::advance(59 * MINUTE).await;
        assert!(kinds(&telemetry).is_empty(), "nobody uses it");
        sent(&telemetry);
        assert_eq!(kinds(&telemetry), [AlertKind::TokenNotRefreshed]);
        // A tenth of a short life.
        let telemetry = self::telemetry();
        refreshed(&telemetry, Some(MINUTE));
        tokio::time::advance(Duration::from_secs(53)).await;
        sent(&telemetry);
        assert!(kinds(&telemetry).is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(kinds(&telemetry), [AlertKind::TokenNotRefreshed]);
    }
}
