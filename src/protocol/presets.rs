//! The protocols that are known by name. Data only.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    FinalStateVia, ProgressUnit, Protocol, Reduce, ResultKind, ResultPlace, ResultRule, State, StatusKind, StatusUrl,
};
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
                .map(|(at, kind, only_pending)| StatusUrl { at, kind, only_pending, guess: true })
                .collect(),
            rotates: true,
            id: std::iter::once(Source::header("operation-id"))
                .chain(["/TaskUid", "/id", "/jobId", "/taskId", "/activity_id", "/name"].map(Source::pointer))
                .collect(),
            prefer: None,
            status_template: None,
            template_kind: StatusKind::Monitor,
            poll: None,
            repeat_query: Vec::new(),
            cookies: false,
            conditional: false,
            status_header: None,
            reduce: Reduce::First,
            statuses: BTreeMap::new(),
            without_state: None,
            accept_html: false,
            progress_of: None,
            error_code: Vec::new(),
            error_message: Vec::new(),
            canceled_codes: Vec::new(),
            keep_alive: None,
            start: Vec::new(),
            visibility: Duration::from_secs(30),
            pages: None,
            cancel_url: ["/urls/cancel", "/cancel_url", "/_links/cancel/href"].map(Source::pointer).into(),
            cleanup: None,
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
            result: result
                .into_iter()
                .map(|(at, kind)| ResultRule { at: ResultPlace::In(Source::pointer(at)), kind, guess: true })
                .collect(),
            final_state_via: None,
            cancel: CANCEL_AT_STATUS_URL.parse().ok(),
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
            cancel_url: Vec::new(),
            ..Self::auto()
        }
        .status_url(Source::pointer("/Location"), StatusKind::Monitor)
        .status_url(Source::header("location"), StatusKind::Monitor)
        .interval(Source::pointer("/RetryAfter"), Unit::Milliseconds)
        .default_interval(Duration::from_secs(300))
        .result(Source::pointer("/Result"), ResultKind::Link)
        .result(Source::pointer("/Location"), ResultKind::Url)
        .result(Source::header("location"), ResultKind::Url)
        .done(Source::pointer("/Result"))
        .progress(Source::pointer("/PercentComplete"), ProgressUnit::Percent)
    }

    /// Reads the pattern "Asynchronous Request-Reply" of the Azure Architecture Center: 202 with `Location`, then 200
    /// while it is pending, and 302 or 303 to the result. A 200 without a final word is always pending here.
    #[must_use]
    pub fn async_request_reply() -> Self {
        let mut protocol =
            Self::auto().named("async_request_reply").status(200, State::Running).status(204, State::Running);
        for pointer in &mut protocol.status_url {
            if pointer.kind == StatusKind::Bare {
                pointer.kind = StatusKind::Monitor;
            }
        }
        protocol
    }

    /// Reads the Microsoft REST API guidelines: `Operation-Location`, a monitor with `status`, `resourceLocation` or an
    /// inline `result` at the end. `api-version` is repeated on every poll.
    #[must_use]
    pub fn azure_guidelines() -> Self {
        Self::auto().named("azure_guidelines").repeat_query("api-version")
    }

    /// Reads Azure Resource Manager: `Azure-AsyncOperation` before `Operation-Location` before `Location`, or the
    /// resource's own `provisioningState`. The result is at `Location` of a POST, and at the resource of a PUT or PATCH.
    #[must_use]
    pub fn azure_resource_manager() -> Self {
        let mut protocol = Self::auto().named("azure_resource_manager").repeat_query("api-version");
        protocol.status_url.swap(0, 1);
        // `properties.output` and the like belong to the operation, not to the resource.
        protocol.result.retain(|rule| rule.kind == ResultKind::Url);
        protocol
    }

    /// Reads Azure data plane services: as the guidelines, with the result in the status document where nothing else is
    /// named.
    #[must_use]
    pub fn azure_data_plane() -> Self {
        Self::azure_guidelines().named("azure_data_plane").error_code(Source::pointer("/error/innererror/code"))
    }

    /// Reads Google's long-running operations (AIP-151): `name`, `done`, then `error` or `response`. The base of the
    /// client is the API's versioned root, such as `https://storage.googleapis.com/v1`.
    #[must_use]
    pub fn google_operations() -> Self {
        let mut protocol = Self {
            name: "google_operations".into(),
            status_url: Vec::new(),
            id: vec![Source::pointer("/name")],
            state: vec![Source::pointer("/done")],
            result: vec![ResultRule {
                at: ResultPlace::In(Source::pointer("/response")),
                kind: ResultKind::Value,
                guess: false,
            }],
            cancel: "POST {+id}:cancel {}".parse().ok(),
            cancel_url: Vec::new(),
            cleanup: "DELETE {+id}".parse().ok(),
            ..Self::auto()
        };
        protocol.progress.insert(0, Source::pointer("/metadata/progressPercent"));
        protocol
            .status_template("{+id}")
            .word("true", State::Succeeded)
            .word("false", State::Running)
            // The JSON of protocol buffers leaves `false` out.
            .without_state(State::Running)
            .canceled_code("1")
            .final_state_via(FinalStateVia::Operation)
    }
}

pub(super) const CANCEL_AT_STATUS_URL: &str = "DELETE {status}";
