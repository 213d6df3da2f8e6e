//! Watch: the alerts that were already emitted, so that each is emitted once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::alert_rules::{AlertFinding, is_near};
use crate::event::{Alert, Event};
use crate::throttle::LimitUsage;

/// Alerts that have begun and not ended, and limits that are nearly used up.
#[derive(Debug, Default)]
pub(super) struct Watch {
    alerts: Vec<(Alert, Instant)>,
    near: HashMap<Arc<str>, Instant>,
}

impl Watch {
    /// Records the conditions found now, and returns the alerts that begin.
    pub(super) fn take(&mut self, found: Vec<AlertFinding>, quiet: Duration, now: Instant) -> Vec<Alert> {
        let mut new = Vec::new();
        for AlertFinding { kind, about, text } in found {
            let is_full = self.alerts.len() + new.len() >= MOST_ALERTS;
            match self.alerts.iter_mut().find(|(alert, _)| alert.is_of(kind, about.as_deref())) {
                Some((_, met)) => *met = now,
                None if is_full => {}
                None => new.push(Alert::new(kind, about, text)),
            }
        }
        self.alerts.retain(|(_, met)| now.saturating_duration_since(*met) < quiet);
        self.alerts.extend(new.iter().map(|alert| (alert.clone(), now)));
        // Alerts of the same moment are ordered by urgency, the most urgent first.
        new.sort_by_key(|alert| std::cmp::Reverse(alert.severity()));
        new
    }

    /// Records how much of the limits is used, and returns events for those that begin to be nearly used up.
    pub(super) fn near(&mut self, usage: &[LimitUsage], now: Instant) -> Vec<Event> {
        let mut new = Vec::new();
        for limit in usage {
            match self.near.get_mut(limit.label()) {
                Some(met) if is_near(limit, Some(NEAR_ENDS), Some(FEW)) => *met = now,
                None if is_near(limit, Some(NEAR), Some(FEW)) => {
                    let label: Arc<str> = limit.label().into();
                    self.near.insert(label.clone(), now);
                    let (used, of, left) = (limit.used(), limit.of(), limit.left().unwrap_or(0));
                    new.push(Event::NearLimit { limit: label, used, of, left });
                }
                _ => {}
            }
        }
        self.near.retain(|_, met| now.saturating_duration_since(*met) < NEAR_QUIET);
        new
    }

    /// Returns the alerts that have begun and not ended, the most urgent first.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.alerts.iter().map(|(alert, _)| alert.clone()).collect();
        alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.severity()), alert.kind()));
        alerts
    }
}

/// A limit is nearly used up from 80 % on, until no check within two minutes finds 60 % used: a minute for the window
/// to run out, and a minute of rest.
const NEAR: f64 = 0.80;
const NEAR_ENDS: f64 = 0.60;
const NEAR_QUIET: Duration = Duration::from_secs(120);
/// Of thousands of limits that are used up, at most this many raise alerts.
const MOST_ALERTS: usize = 256;
/// Fewer than this number left of a stated budget is little.
const FEW: u32 = 10;
