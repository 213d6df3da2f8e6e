//! Published: the counts, published through the `metrics` facade as they happen.

#[cfg(feature = "metrics")]
pub(super) use facade::{alert, mark, usage};

#[cfg(not(feature = "metrics"))]
pub(super) use nobody::{alert, mark, usage};

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::Arc;

    use metrics::{SharedString, counter, gauge, histogram};

    use crate::event::{Alert, Observation, RefusalCause};
    use crate::message::Priority;
    use crate::stats::recorder::Names;
    use crate::stats::tasks::is_alive;
    use crate::throttle::LimitUsage;

    pub(in crate::stats) fn mark(mark: &Observation<'_>, names: &Names) {
        let (route, host) = (name(names.route.as_ref()), name(names.host.as_ref()));
        let about = name(names.about.as_ref());
        match *mark {
            Observation::Sent { class, queued } => {
                counter!("longhaul.requests", "class" => name_of(class)).increment(1);
                histogram!("longhaul.queued", "class" => name_of(class)).record(queued.as_secs_f64());
            }
            Observation::Answered { status, took, .. } => {
                let (family, code) = (family(status.as_u16()), status.as_str().to_owned());
                let (of, at) = (route.clone(), host.clone());
                counter!("longhaul.answers", "route" => of, "host" => at, "status_class" => family, "status" => code)
                    .increment(1);
                histogram!("longhaul.latency", "route" => route, "host" => host).record(took.as_secs_f64());
            }
            Observation::Broke { unsent, .. } => {
                let reason = if unsent { "unsent" } else { "lost" };
                counter!("longhaul.broken", "route" => route, "host" => host, "reason" => reason).increment(1);
            }
            Observation::Refused { cause, is_new, .. } => {
                let cause = match cause {
                    RefusalCause::NoKnownLimit => "no_known_limit",
                    RefusalCause::WithinKnownLimits => "within_known_limits",
                };
                counter!("longhaul.refused", "limit" => about.clone(), "cause" => cause).increment(1);
                if is_new {
                    counter!("longhaul.pauses", "limit" => about).increment(1);
                }
            }
            Observation::Retrying { reason, .. } => {
                counter!("longhaul.retries", "reason" => reason.name()).increment(1);
            }
            Observation::Refreshed { took, .. } => {
                counter!("longhaul.refreshes", "credential" => about.clone()).increment(1);
                histogram!("longhaul.refresh_latency", "credential" => about).record(took.as_secs_f64());
            }
            Observation::RefreshFailed { .. } => {
                counter!("longhaul.failed_refreshes", "credential" => about).increment(1);
            }
            Observation::LoggedOut { .. } | Observation::Long { .. } | Observation::NoLonger { .. } => {}
            // Reported, and not counted.
            Observation::UnknownWord { .. } => {}
            Observation::Task { was, is } => {
                if let Some(was) = was {
                    gauge!("longhaul.tasks", "state" => was).decrement(1.0);
                }
                match is {
                    Some(is) if is_alive(is) => gauge!("longhaul.tasks", "state" => is).increment(1.0),
                    is => counter!("longhaul.tasks_ended", "state" => is.unwrap_or("dropped")).increment(1),
                }
            }
        }
    }

    pub(in crate::stats) fn usage(usage: &[LimitUsage]) {
        for limit in usage.iter().filter(|limit| limit.of().is_some()) {
            gauge!("longhaul.limit_use", "limit" => limit.label().to_owned()).set(limit.share());
            gauge!("longhaul.waiting", "limit" => limit.label().to_owned()).set(f64::from(limit.waiting()));
        }
    }

    pub(in crate::stats) fn alert(alert: &Alert) {
        let (severity, kind) = (alert.severity().name(), alert.kind().name());
        counter!("longhaul.alerts", "severity" => severity, "alert" => kind).increment(1);
    }

    fn name(name: Option<&Arc<str>>) -> SharedString {
        name.map_or(SharedString::const_str(""), |name| SharedString::from_shared(name.clone()))
    }

    const fn family(status: u16) -> &'static str {
        match status {
            100..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        }
    }

    const fn name_of(class: Priority) -> &'static str {
        match class {
            Priority::Token => "token",
            Priority::Cancel => "cancel",
            Priority::Submit => "submit",
            Priority::Call => "call",
            Priority::Poll => "poll",
            Priority::Result => "result",
            Priority::Download => "download",
            Priority::Batch => "batch",
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nobody {
    use crate::event::{Alert, Observation};
    use crate::stats::recorder::Names;
    use crate::throttle::LimitUsage;

    pub(in crate::stats) const fn mark(_: &Observation<'_>, _: &Names) {}

    pub(in crate::stats) const fn usage(_: &[LimitUsage]) {}

    pub(in crate::stats) const fn alert(_: &Alert) {}
}
