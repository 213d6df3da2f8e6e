//! The protocols that are known by name. Data only.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ProgressUnit, Protocol, ResultKind, ResultRule, StatusKind, StatusUrl};
use crate::hint::Unit;
use crate::pointer::Source;

impl Protocol {
    /// Reads what the common handshakes send: `Operation-Location`, `Azure-AsyncOperation`, 202 with `Location`, a
    /// created resource with a state, a link in the body, finished at once.
    #[must_use]
    pub fn auto() -> Self {
        let status_url = [
            (Source::header("operation-location"), StatusKind::Monitor, false),
            (Source::header("azure-asyncoperation"), StatusKind::Monitor, false),
            (Source::header("location"), StatusKind::Bare, false),
            (Source::header("content-location"), StatusKind::Bare, true),
            (Source::pointer("/statusQueryGetUri"), StatusKind::Monitor, false),
            (Source::pointer("/status_url"), StatusKind::Monitor, true),
            (Source::pointer("/urls/get"), StatusKind::Monitor, true),
            (Source::pointer("/_links/self/href"), StatusKind::Monitor, true),
        ];
        let result = [
            ("/result", ResultKind::Value),
            ("/response", ResultKind::Value),
            ("/output", ResultKind::Value),
            ("/resourceLocation", ResultKind::Url),
        ];
        Self {
            name: "auto".into(),
            status_url: status_url
                .into_iter()
                .map(|(at, kind, only_pending)| StatusUrl { at, kind, only_pending })
                .collect(),
            rotates: true,
            id: std::iter::once(Source::header("operation-id"))
                .chain(["/TaskUid", "/id", "/jobId", "/taskId", "/activity_id", "/name"].map(Source::pointer))
                .collect(),
            status_template: None,
            template_kind: StatusKind::Monitor,
            state: [
                "/status",
                "/state",
                "/properties/provisioningState",
                "/provisioningState",
                "/runtimeStatus",
                "/status/state",
                "/status/status",
            ]
            .map(Source::pointer)
            .into(),
            words: BTreeMap::new(),
            done: Vec::new(),
            progress: [
                "/percentComplete",
                "/percent_done",
                "/percentProgress",
                "/percentageComplete",
                "/progress",
                "/properties/percentComplete",
            ]
            .map(Source::pointer)
            .into_iter()
            .chain([Source::header("x-progress")])
            .collect(),
            progress_unit: ProgressUnit::Percent,
            intervals: Vec::new(),
            default_interval: None,
            result: result.into_iter().map(|(at, kind)| ResultRule { at: Source::pointer(at), kind }).collect(),
            final_state_via: None,
            cancel: Some(CANCEL_AT_STATUS_URL.into()),
            patience: Duration::from_secs(600),
        }
    }

    /// Reads a SmagTask: `TaskUid` and `Location` at submit, `Status` and `RetryAfter` (milliseconds) while it runs, and
    /// at the end `Location` in header and body, or `Result` with a signed URL.
    ///
    /// Five minutes between polls where the service does not say, as its documents advise.
    #[must_use]
    pub fn smag_task() -> Self {
        Self {
            name: "smag_task".into(),
            status_url: Vec::new(),
            rotates: false,
            id: vec![Source::pointer("/TaskUid")],
            result: Vec::new(),
            cancel: None,
            ..Self::auto()
        }
        .status_url(Source::header("location"), StatusKind::Monitor)
        .status_url(Source::pointer("/Location"), StatusKind::Monitor)
        .interval(Source::pointer("/RetryAfter"), Unit::Milliseconds)
        .default_interval(Duration::from_secs(300))
        .result(Source::header("location"), ResultKind::Url)
        .result(Source::pointer("/Location"), ResultKind::Url)
        .result(Source::pointer("/Result"), ResultKind::Link)
        .done(Source::pointer("/Result"))
        .progress(Source::pointer("/PercentComplete"), ProgressUnit::Percent)
    }
}

const CANCEL_AT_STATUS_URL: &str = "DELETE {status}";
