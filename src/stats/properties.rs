//! Properties: observations that are put aside are counted as if they were not.

use std::time::Duration;

use http::{Method, StatusCode};
use proptest::prelude::*;
use tokio::time::Instant;
use url::Url;

use super::recorder::Recorder;
use super::{Alerts, Telemetry};
use crate::event::{Observation, RefusalCause, RequestInfo, RetryReason};
use crate::message::Priority;
use crate::throttle::Throttle;

const MINUTE: Duration = Duration::from_secs(60);

/// A step of one client: an observation of a request, or another observation.
#[derive(Clone, Copy, Debug)]
enum Did {
    Sent(Priority, u64),
    Answered(usize, u16, u64),
    Broke(usize, bool),
    Refused(bool),
    Retried,
    Passed(u64),
    Looked,
}

fn any_step() -> impl Strategy<Value = Did> {
    let class = prop_oneof![Just(Priority::Call), Just(Priority::Poll), Just(Priority::Token)];
    prop_oneof![
        8 => (class, 0..9_u64).prop_map(|(class, queued)| Did::Sent(class, queued)),
        8 => (0..9_usize, prop_oneof![Just(200), Just(401), Just(429), Just(503)], prop_oneof![0..9_u64, 55_000..65_000_u64])
            .prop_map(|(route, status, took)| Did::Answered(route, status, took)),
        1 => (0..9_usize, any::<bool>()).prop_map(|(route, unsent)| Did::Broke(route, unsent)),
        1 => any::<bool>().prop_map(Did::Refused),
        1 => Just(Did::Retried),
        2 => prop_oneof![0..3_000_u64, 0..200_000_u64].prop_map(Did::Passed),
        1 => Just(Did::Looked),
    ]
}

/// Compares the counts of a telemetry that puts observations aside with a ledger that counts each at once.
async fn count_both(steps: Vec<Did>) {
    let (alerts, began) = (Alerts::standard(), Instant::now());
    let telemetry = Telemetry::new(Throttle::new(), alerts, MINUTE);
    let mut ledger = Recorder::new(began);
    let urls: Vec<Url> =
        (0..9).map(|route| format!("https://h{}.example/r{}", route % 3, "x".repeat(route)).parse().unwrap()).collect();
    let asked =
        |route: usize| RequestInfo { class: Priority::Call, method: &Method::GET, url: &urls[route], route: None };
    let millis = Duration::from_millis;
    let mut looked = 0;
    for step in steps.into_iter().chain([Did::Looked]) {
        let now = Instant::now();
        let mark = match step {
            Did::Sent(class, queued) => Observation::Sent { class, queued: millis(queued) },
            Did::Answered(route, status, took) => Observation::Answered {
                asked: asked(route),
                status: StatusCode::from_u16(status).unwrap(),
                took: millis(took),
            },
            Did::Broke(route, unsent) => Observation::Broke { asked: asked(route), unsent, took: millis(7) },
            Did::Refused(is_new) => {
                Observation::Refused { limit: "l", cause: RefusalCause::NoKnownLimit, is_new, kept: true }
            }
            Did::Retried => {
                let (asked, reason) = (asked(0), RetryReason::Transient);
                Observation::Retrying { asked, reason, attempts: 1, pause: Duration::ZERO }
            }
            Did::Passed(time) => {
                tokio::time::advance(millis(time)).await;
                continue;
            }
            Did::Looked => {
                ledger.look(&alerts, &[], Vec::new(), now);
                assert_eq!(telemetry.stats(), ledger.stats(Vec::new(), now));
                assert_eq!(telemetry.summary(), ledger.summary(now));
                continue;
            }
        };
        telemetry.record(mark, now);
        ledger.record(&mark, MINUTE, now);
        // As the telemetry does: alerts end by the checks.
        let second = now.duration_since(began).as_secs() + 1;
        if looked < second {
            looked = second;
            ledger.look(&alerts, &[], Vec::new(), now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn marks_that_are_put_aside_are_counted_as_if_they_were_not(
        steps in prop::collection::vec(any_step(), 0..600),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(count_both(steps));
    }
}
