//! Feedback: the limits that a response states, and the actions that follow.
//!
//! [`interpret`] is a pure function of the response and of a [`View`] of the limiters that counted its request; the
//! [core](super::core) carries out its actions. [`limiter::pause`](super::limiter::pause) describes how a limiter
//! pauses, and [`account::budgets`](super::account::budgets) how a stated budget is kept.

mod view;

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::ids::LimiterId;
use super::limiter::pause::During;
use super::request::host_of;
use super::time::{Tick, nanos};
use crate::event::RefusalCause;
use crate::hint::Hints;

pub(super) use view::{LimiterView, View};

/// How a throttle uses the limits that responses state. The pause after a refusal is always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feedback {
    /// Uses nothing: only declared limits apply.
    Off,
    /// Uses the budgets that the service states (`RateLimit`, `X-RateLimit-…` and their kin). Once less than half of a
    /// budget is left, the rest is spread over the time to its reset, with a tenth reserved for tokens, cancels and
    /// submits. An undeclared limit is kept as the service states it.
    #[default]
    Budgets,
    /// As `Budgets`, and searches for a limit if neither you nor the service states one. The search starts at 2
    /// requests a second, doubled each second until the first refusal, and then follows the count. A limit that was
    /// found is probed again from time to time, because limits change.
    Learn,
}

impl Feedback {
    pub(super) const fn reads_answers(self) -> bool {
        !matches!(self, Self::Off)
    }
}

/// A response, as the throttle sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceAnswer<'a> {
    pub(super) status: StatusCode,
    pub(super) hints: &'a Hints,
    /// The route of its request, if it is known.
    pub(super) route: Option<&'a Arc<str>>,
    /// When its request was sent.
    pub(super) sent: Tick,
}

impl ServiceAnswer<'_> {
    /// Whether the response is a refusal for load.
    #[inline]
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// An action that follows from a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Records that the route was refused without a declared limit of its own: if another route is refused now, the
    /// account is refused.
    RememberRefused(Arc<str>),
    /// Records that the route was unavailable: if another route of its host is unavailable, the host is.
    RememberUnavailable(Arc<str>),
    /// Counts the refusal at a target, and stops the target.
    Pause(PauseOrder),
}

/// How a refusal stops a limiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PauseOrder {
    pub(super) target: Target,
    pub(super) cause: RefusalCause,
    pub(super) during: During,
}

/// The limiter that stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Limiter(LimiterId),
    /// The gate of a route or of a host.
    Gate(Arc<str>),
    Account,
}

/// The effect of a response on the throttle.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    /// The limit, or the route, that now pauses.
    pub(crate) limit: Arc<str>,
    pub(crate) cause: RefusalCause,
    /// Whether the limit was open before.
    pub(crate) is_new: bool,
    /// Whether the limit is a declared limit, which was kept.
    pub(crate) kept: bool,
}

/// Returns the actions that follow from a refusal.
pub(super) fn interpret(answer: &ServiceAnswer<'_>, view: &View, now: Tick) -> Vec<Action> {
    let (target, cause, remember) = refusing(answer, view, now);
    let asked = answer.hints.wait_after(answer.status).map(nanos);
    let during = match asked {
        Some(asked) => During::Asked(asked),
        None if view.limiters.iter().any(|limiter| limiter.searches) => During::Searching,
        // A 503 exceeds no limit, so that no limit knows how long it lasts.
        None if answer.status == StatusCode::SERVICE_UNAVAILABLE => During::Unasked(None),
        None => During::Unasked(view.limiters.iter().filter_map(|limiter| limiter.pause_without_hint).max()),
    };
    let pause = Action::Pause(PauseOrder { target, cause, during });
    remember.into_iter().chain([pause]).collect()
}

/// Returns the limiter that refuses, the cause, and the note to keep for the next refusal.
fn refusing(answer: &ServiceAnswer<'_>, view: &View, now: Tick) -> (Target, RefusalCause, Option<Action>) {
    if let Some(limiter) = named(answer, view).or_else(|| view.limiters.iter().find(|limiter| limiter.is_spent)) {
        let cause = if limiter.is_declared && limiter.is_above {
            RefusalCause::NoKnownLimit
        } else {
            RefusalCause::WithinKnownLimits
        };
        return (Target::Limiter(limiter.id), cause, None);
    }
    let declared = || view.limiters.iter().filter(|limiter| limiter.is_declared);
    let widest = declared().min_by_key(|limiter| limiter.width);
    let own = declared().filter(|limiter| limiter.width >= OWN).max_by_key(|limiter| limiter.width);
    let of_limiter = |limiter: &LimiterView| {
        let cause = if limiter.is_above { RefusalCause::NoKnownLimit } else { RefusalCause::WithinKnownLimits };
        (Target::Limiter(limiter.id), cause)
    };
    // If no limit was known, no limit was kept.
    let undeclared = if widest.is_some() { RefusalCause::WithinKnownLimits } else { RefusalCause::NoKnownLimit };
    let Some(route) = answer.route else {
        let (target, cause) = widest.map_or((Target::Account, undeclared), of_limiter);
        return (target, cause, None);
    };
    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
        // A 503 means that something is out of order, and seldom that the account asks too much. Its route pauses; its
        // host pauses if another route of the host was unavailable within a round trip.
        let host = host_of(route);
        let before = view.unavailable.as_ref().filter(|(other, _)| host_of(other) == host);
        let name = if are_together(before, route, answer, now) { host.into() } else { route.clone() };
        return (Target::Gate(name), undeclared, Some(Action::RememberUnavailable(route.clone())));
    }
    let is_second = are_together(view.refused.as_ref(), route, answer, now);
    let (target, cause) = match (widest, own) {
        (Some(widest), Some(own)) => of_limiter(if is_second { widest } else { own }),
        (Some(widest), None) => {
            let (target, cause) = of_limiter(widest);
            return (target, cause, None);
        }
        // Without a declared limit the route is refused; if another route was refused within a round trip, the account
        // is.
        (None, _) if is_second => (Target::Account, undeclared),
        (None, _) => (Target::Gate(route.clone()), undeclared),
    };
    (target, cause, Some(Action::RememberRefused(route.clone())))
}

/// Returns the limiter that a spent budget of the response names.
fn named<'a>(answer: &ServiceAnswer<'_>, view: &'a View) -> Option<&'a LimiterView> {
    let spent = answer.hints.budgets().iter().filter(|budget| budget.remaining() == Some(0));
    spent
        .filter_map(|budget| budget.name())
        .find_map(|name| view.limiters.iter().find(|limiter| limiter.name.as_deref() == Some(name)))
}

/// Returns whether the previously refused route is a different route, refused about a round trip ago.
fn are_together(before: Option<&(Arc<str>, Tick)>, route: &Arc<str>, answer: &ServiceAnswer<'_>, now: Tick) -> bool {
    let together = now.saturating_sub(answer.sent).max(TOGETHER);
    before.is_some_and(|(other, at)| other != route && now <= at.saturating_add(together))
}

/// Routes that are refused within a second, or a round trip, are refused for the same reason.
const TOGETHER: Tick = 1_000_000_000;
/// From this width on, a scope covers only some requests of the account: a kind of task, a route.
const OWN: u8 = 3;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::HeaderMap;

    use super::*;
    use crate::throttle::ids::Id;

    const SECOND: Tick = 1_000_000_000;
    const ROUTE: &str = "GET a.example/exports";
    const OTHER: &str = "GET a.example/farms";

    fn hints(headers: &[(&str, &str)]) -> Hints {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        Hints::from_headers(&map, SystemTime::UNIX_EPOCH)
    }

    fn limiter(slot: u32, width: u8) -> LimiterView {
        LimiterView { id: LimiterId::from_slot(slot), is_declared: true, width, ..LimiterView::default() }
    }

    /// The gate of the account, which counts each request.
    fn gate() -> LimiterView {
        LimiterView { id: LimiterId::from_slot(9), ..LimiterView::default() }
    }

    fn pause(status: u16, headers: &[(&str, &str)], route: Option<&str>, view: &View) -> PauseOrder {
        let hints = hints(headers);
        let route = route.map(Arc::from);
        let status = StatusCode::from_u16(status).unwrap();
        let answer = ServiceAnswer { status, hints: &hints, route: route.as_ref(), sent: 0 };
        match interpret(&answer, view, SECOND / 2).pop() {
            Some(Action::Pause(pause)) => pause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_limiter_that_refuses() {
        let id = |slot| Target::Limiter(LimiterId::from_slot(slot));
        let named = LimiterView { name: Some("minute".into()), ..limiter(3, 4) };
        let spent = LimiterView { is_spent: true, is_declared: false, ..limiter(4, 0) };
        let above = LimiterView { is_above: true, ..limiter(5, 0) };
        let minute = [("ratelimit", r#""minute";r=0;t=30"#)];
        let before = |route: &str| Some((Arc::from(route), 0));
        let view = |limiters: &[LimiterView]| View { limiters: limiters.to_vec(), ..View::default() };
        let after = |limiters: &[LimiterView], route: &str| View {
            limiters: limiters.to_vec(),
            refused: before(route),
            unavailable: before(route),
        };
        let gate_of = |name: &str| Target::Gate(name.into());
        for (what, status, headers, route, view, target, cause) in [
            (
                "named by a budget",
                429,
                &minute[..],
                Some(ROUTE),
                view(&[limiter(0, 0), named.clone()]),
                id(3),
                RefusalCause::WithinKnownLimits,
            ),
            ("spent", 429, &[], Some(ROUTE), view(&[limiter(0, 0), spent]), id(4), RefusalCause::WithinKnownLimits),
            (
                "the widest declared",
                429,
                &[],
                Some(ROUTE),
                view(&[limiter(1, 2), limiter(0, 0)]),
                id(0),
                RefusalCause::WithinKnownLimits,
            ),
            ("wider than stated", 429, &[], Some(ROUTE), view(&[above]), id(5), RefusalCause::NoKnownLimit),
            (
                "its own",
                429,
                &[],
                Some(ROUTE),
                view(&[limiter(0, 0), limiter(1, 4)]),
                id(1),
                RefusalCause::WithinKnownLimits,
            ),
            (
                "the widest after another",
                429,
                &[],
                Some(ROUTE),
                after(&[limiter(0, 0), limiter(1, 4)], OTHER),
                id(0),
                RefusalCause::WithinKnownLimits,
            ),
            (
                "its own again",
                429,
                &[],
                Some(ROUTE),
                after(&[limiter(0, 0), limiter(1, 4)], ROUTE),
                id(1),
                RefusalCause::WithinKnownLimits,
            ),
            ("undeclared", 429, &[], Some(ROUTE), view(&[gate()]), gate_of(ROUTE), RefusalCause::NoKnownLimit),
            (
                "undeclared after another",
                429,
                &[],
                Some(ROUTE),
                after(&[gate()], OTHER),
                Target::Account,
                RefusalCause::NoKnownLimit,
            ),
            ("unknown route", 429, &[], None, view(&[gate()]), Target::Account, RefusalCause::NoKnownLimit),
            (
                "unknown route, declared",
                429,
                &[],
                None,
                view(&[gate(), limiter(0, 0)]),
                id(0),
                RefusalCause::WithinKnownLimits,
            ),
            (
                "unavailable",
                503,
                &[],
                Some(ROUTE),
                view(&[limiter(0, 0)]),
                gate_of(ROUTE),
                RefusalCause::WithinKnownLimits,
            ),
            (
                "unavailable host",
                503,
                &[],
                Some(ROUTE),
                after(&[gate()], OTHER),
                gate_of("a.example"),
                RefusalCause::NoKnownLimit,
            ),
            (
                "another host",
                503,
                &[],
                Some(ROUTE),
                after(&[gate()], "GET b.example/x"),
                gate_of(ROUTE),
                RefusalCause::NoKnownLimit,
            ),
            (
                "unavailable, unknown route",
                503,
                &[],
                None,
                view(&[gate()]),
                Target::Account,
                RefusalCause::NoKnownLimit,
            ),
        ] {
            let pause = pause(status, headers, route, &view);
            assert_eq!((pause.target, pause.cause), (target, cause), "{what}");
        }
    }

    #[test]
    fn for_how_long() {
        let set = LimiterView { pause_without_hint: Some(7), ..limiter(0, 0) };
        let longer = LimiterView { pause_without_hint: Some(9), ..limiter(1, 0) };
        let searches = LimiterView { searches: true, ..gate() };
        let asks = [("retry-after", "3")];
        for (what, status, headers, limiters, during) in [
            ("asked", 429, &asks[..], &[set.clone(), searches.clone()][..], During::Asked(3 * SECOND)),
            ("unasked", 429, &[], &[gate()], During::Unasked(None)),
            ("set", 429, &[], &[set.clone(), longer], During::Unasked(Some(9))),
            ("set, but unavailable", 503, &[], std::slice::from_ref(&set), During::Unasked(None)),
            ("searching", 429, &[], &[set.clone(), searches], During::Searching),
        ] {
            let view = View { limiters: limiters.to_vec(), ..View::default() };
            assert_eq!(pause(status, headers, Some(ROUTE), &view).during, during, "{what}");
        }
    }

    #[test]
    fn the_next_refusal_remembers_this_one() {
        let hints = hints(&[]);
        let route: Arc<str> = ROUTE.into();
        let remembered = |status, limiters: Vec<LimiterView>| {
            let answer = ServiceAnswer { status, hints: &hints, route: Some(&route), sent: 0 };
            let mut actions = interpret(&answer, &View { limiters, ..View::default() }, 0);
            actions.pop();
            actions
        };
        let (too_many, unavailable) = (StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(remembered(too_many, vec![gate()]), [Action::RememberRefused(route.clone())]);
        assert_eq!(remembered(too_many, vec![limiter(0, 4)]), [Action::RememberRefused(route.clone())]);
        assert_eq!(remembered(too_many, vec![limiter(0, 0)]), [], "the widest stops whatever comes next");
        assert_eq!(remembered(unavailable, vec![limiter(0, 0)]), [Action::RememberUnavailable(route.clone())]);
    }
}
