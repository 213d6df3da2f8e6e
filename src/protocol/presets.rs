//! The protocols that are known by name. Data only.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exchange::DEFAULT_CANCEL;
use super::result_rule::{ResultKind, ResultPlace, ResultRule};
use super::rules::{FinalStateVia, Interval, ProgressUnit, Reduce, Rules, StatusKind, StatusUrl, put_first};
use super::template::Template;
use super::words::State;
use crate::hint::Unit;
use crate::pointer::Source;

/// The rules of `auto`, which apply to every part that a protocol leaves out.
impl Default for Rules {
    fn default() -> Self {
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
            poll_many: None,
            repeat_query: Vec::new(),
            cookies: false,
            conditional: false,
            status_header: None,
            reduce: Reduce::First,
            statuses: BTreeMap::new(),
            without_state: None,
            accept_html: false,
            progress_of: None,
            done_at_full_progress: false,
            failed_parts: Vec::new(),
            error_code: Vec::new(),
            error_message: Vec::new(),
            canceled_codes: Vec::new(),
            keep_alive: None,
            start: Vec::new(),
            visibility: Duration::from_secs(30),
            pages: None,
            cancel_url: ["/urls/cancel", "/cancel_url", "/_links/cancel/href"].map(Source::pointer).into(),
            cleanup: None,
            state: STATE.map(Source::pointer).into(),
            words: BTreeMap::new(),
            done: Vec::new(),
            progress: PROGRESS.map(Source::pointer).into_iter().chain([Source::header("x-progress")]).collect(),
            progress_unit: ProgressUnit::Percent,
            intervals: Vec::new(),
            default_interval: None,
            result: result
                .into_iter()
                .map(|(at, kind)| ResultRule {
                    guess: true,
                    ..ResultRule::new(ResultPlace::In(Source::pointer(at)), kind)
                })
                .collect(),
            final_state_via: None,
            cancel: DEFAULT_CANCEL.parse().ok(),
            patience: Duration::from_secs(600),
        }
    }
}

pub(super) fn without_places() -> Rules {
    Rules {
        status_url: Vec::new(),
        id: Vec::new(),
        state: Vec::new(),
        progress: Vec::new(),
        result: Vec::new(),
        cancel_url: Vec::new(),
        ..Rules::default()
    }
}

pub(super) fn smag_task() -> Rules {
    let result = |at, kind| ResultRule::new(ResultPlace::In(at), kind);
    let mut rules = Rules {
        name: "smag_task".into(),
        status_url: vec![
            StatusUrl::new(Source::header("location"), StatusKind::Monitor),
            StatusUrl::new(Source::pointer("/Location"), StatusKind::Monitor),
        ],
        rotates: false,
        id: vec![Source::pointer("/TaskUid")],
        intervals: vec![Interval { at: Source::pointer("/RetryAfter"), unit: Unit::Milliseconds }],
        default_interval: Some(Duration::from_secs(300)),
        result: vec![
            result(Source::header("location"), ResultKind::Url),
            result(Source::pointer("/Location"), ResultKind::Url),
            result(Source::pointer("/Result"), ResultKind::Link),
        ],
        done: vec![Source::pointer("/Result")],
        cancel: None,
        cancel_url: Vec::new(),
        ..Rules::default()
    };
    put_first(&mut rules.progress, Source::pointer("/PercentComplete"));
    rules
}

pub(super) fn async_request_reply() -> Rules {
    let mut rules = Rules { name: "async_request_reply".into(), ..Rules::default() };
    rules.statuses.extend(["200", "204"].map(|code| (code.to_owned(), State::Running)));
    for pointer in rules.status_url.iter_mut().filter(|pointer| pointer.kind == StatusKind::Bare) {
        pointer.kind = StatusKind::Monitor;
    }
    rules
}

pub(super) fn azure_guidelines() -> Rules {
    Rules { name: "azure_guidelines".into(), repeat_query: vec!["api-version".into()], ..Rules::default() }
}

pub(super) fn azure_resource_manager() -> Rules {
    let mut rules = Rules { name: "azure_resource_manager".into(), ..azure_guidelines() };
    rules.status_url.swap(0, 1);
    // `properties.output` and the like belong to the operation, not to the resource.
    rules.result.retain(|rule| rule.kind == ResultKind::Url);
    rules
}

pub(super) fn azure_data_plane() -> Rules {
    let error_code = vec![Source::pointer("/error/innererror/code")];
    Rules { name: "azure_data_plane".into(), error_code, ..azure_guidelines() }
}

pub(super) fn google_operations() -> Rules {
    let mut rules = Rules {
        name: "google_operations".into(),
        status_url: Vec::new(),
        status_template: Some(Template::new("{+id}")),
        id: vec![Source::pointer("/name")],
        state: vec![Source::pointer("/done")],
        words: [("true", State::Succeeded), ("false", State::Running)].map(|(word, state)| (word.into(), state)).into(),
        // The JSON of protocol buffers leaves `false` out.
        without_state: Some(State::Running),
        canceled_codes: vec!["1".into()],
        result: vec![ResultRule::new(ResultPlace::In(Source::pointer("/response")), ResultKind::Value)],
        final_state_via: Some(FinalStateVia::Operation),
        cancel: "POST {+id}:cancel {}".parse().ok(),
        cancel_url: Vec::new(),
        cleanup: "DELETE {+id}".parse().ok(),
        ..Rules::default()
    };
    rules.progress.insert(0, Source::pointer("/metadata/progressPercent"));
    rules
}

/// The places where services put the word of the state.
const STATE: [&str; 7] = [
    "/status",
    "/state",
    "/properties/provisioningState",
    "/provisioningState",
    "/runtimeStatus",
    "/status/state",
    "/status/status",
];

/// The places where services put the progress.
const PROGRESS: [&str; 6] = [
    "/percentComplete",
    "/percent_done",
    "/percentProgress",
    "/percentageComplete",
    "/progress",
    "/properties/percentComplete",
];
