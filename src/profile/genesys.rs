//! The profile of Genesys Cloud. Data only.

use std::time::Duration;

use super::{CredentialStyle, OAuthStyle, Profile};
use crate::limit::{Limit, Scope};
use crate::pointer::Source;
use crate::protocol::{Exchange, Next, PageRule, ProgressUnit, Protocol, ResultKind, State, StatusKind};
use crate::retry::RetryPolicy;

pub(super) fn profile() -> Profile {
    Profile::of("genesys", resource("genesys"))
        .base("https://api.{region}/api/v2")
        .variable("region", "mypurecloud.com")
        .kind("conversation_details", analytics("conversation_details", "conversations/details", "/conversations/*"))
        .kind("user_details", analytics("user_details", "users/details", "/userDetails/*"))
        .kind("conversation_aggregates", analytics("conversation_aggregates", "conversations/aggregates", "/results/*"))
        .kind("user_aggregates", analytics("user_aggregates", "users/aggregates", "/results/*"))
        .kind("audit", audit())
        .kind("recording_job", recording_job())
        .kind("recording_batch", recording_batch())
        .kind("reporting_export", reporting_export())
        .kind("knowledge_export", knowledge_export())
        .kind("bulk_job", bulk_job())
        .credential_style(CredentialStyle::oauth(
            OAuthStyle::client_credentials("https://login.{region}/oauth/token")
                .refresh_ahead(Duration::from_secs(5 * 60))
                .revoke("DELETE https://api.{region}/api/v2/tokens/me"),
        ))
        .retry(RetryPolicy::batch())
        .slow_start()
        // The headers of each answer state the limit of the token: 60, 180 and 300 a minute were seen.
        .limit(Limit::per_minute(120).scope(Scope::route("scim/**")).pause_without_hint(MINUTE).named("SCIM"))
        .limit(Limit::per_second(PLENTY).scope(Scope::Credential).pause_without_hint(MINUTE).named("token"))
}

/// A resource with a state and the URL of itself.
fn resource(name: &str) -> Protocol {
    Protocol::auto()
        .named(name)
        .status_url(Source::pointer("/selfUri"), StatusKind::Monitor)
        .error_code(Source::pointer("/code"))
        .error_message(Source::pointer("/message"))
        .error_message(Source::pointer("/errorMessage"))
}

/// An asynchronous query of the analytics, with rows in pages behind a cursor.
fn analytics(name: &str, path: &str, rows: &str) -> Protocol {
    let jobs = format!("analytics/{path}/jobs/{{id}}");
    resource(name).id(Source::pointer("/jobId")).status_template(&*jobs).state(Source::pointer("/state")).pages(
        PageRule::new(format!("{jobs}/results"), Source::pointer(rows))
            .next(Next::cursor(Source::pointer("/cursor"), "cursor")),
    )
}

fn audit() -> Protocol {
    resource("audit")
        .id(Source::pointer("/id"))
        .status_template("audits/query/{id}")
        .state(Source::pointer("/state"))
        .without_cancel()
        .pages(
            PageRule::new("audits/query/{id}/results", Source::pointer("/entities/*"))
                .next(Next::cursor(Source::pointer("/cursor"), "cursor")),
        )
}

/// A job on recordings, in two phases: `READY` waits for the word to go on.
fn recording_job() -> Protocol {
    let protocol = resource("recording_job")
        .id(Source::pointer("/id"))
        .status_template("recording/jobs/{id}")
        .state(Source::pointer("/state"))
        .word("READY", State::Running)
        .progress(Source::pointer("/percentProgress"), ProgressUnit::Percent);
    match r#"PUT recording/jobs/{id} {"state": "PROCESSING"}"#.parse::<Exchange>() {
        Ok(process) => protocol.start("READY", process),
        Err(_) => protocol,
    }
}

/// A batch of recordings to download: ready once there is a result for each.
fn recording_batch() -> Protocol {
    resource("recording_batch")
        .id(Source::pointer("/id"))
        .status_template("recording/batchrequests/{id}")
        .progress_of(Source::pointer("/resultCount"), Source::pointer("/expectedResultCount"))
        .done_at_full_progress()
        .failed_parts(Source::pointer("/errorCount"))
        .result(Source::pointer("/results/*/resultUrl"), ResultKind::Link)
        .without_cancel()
}

fn reporting_export() -> Protocol {
    resource("reporting_export")
        .id(Source::pointer("/id"))
        .status_template("analytics/reporting/exports/{id}")
        .state(Source::pointer("/status"))
        .progress(Source::pointer("/percentageComplete"), ProgressUnit::Percent)
        .error_code(Source::pointer("/exportErrorMessagesType"))
        .result(Source::pointer("/downloadUrl"), ResultKind::Link)
        .without_cancel()
}

fn knowledge_export() -> Protocol {
    resource("knowledge_export")
        .state(Source::pointer("/status"))
        .word("ValidationInProgress", State::Running)
        .word("ValidationCompleted", State::Running)
        .word("ValidationFailed", State::Failed)
        .word("PartialCompleted", State::PartiallySucceeded)
        .word("AbortRequested", State::Running)
        .word("Aborted", State::Canceled)
        .result(Source::pointer("/downloadURL"), ResultKind::Link)
        .without_cancel()
}

/// A bulk job of the task management.
fn bulk_job() -> Protocol {
    resource("bulk_job")
        .state(Source::pointer("/state"))
        .word("Idle", State::Accepted)
        .word("Terminated", State::Canceled)
}

/// A 429 without a hint: the window is a minute.
const MINUTE: Duration = Duration::from_secs(60);
/// More than any token is granted: the limit stands for its pause, the headers for its number.
const PLENTY: u32 = 1_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Transcript;

    #[test]
    fn a_batch_is_done_when_each_recording_has_a_result_whatever_its_word() {
        for (word, found, state) in [
            (None, 2, Some(State::Succeeded)),
            (Some("PROCESSING"), 2, Some(State::Succeeded)),
            (Some("PARTIAL"), 2, Some(State::Succeeded)),
            (Some("FAILED"), 2, Some(State::Failed)),
            (Some("PROCESSING"), 1, None),
            (None, 1, None),
        ] {
            let results: Vec<_> =
                (0..found).map(|at| json!({"resultUrl": format!("https://s.example/{at}")})).collect();
            let batch = "https://api.mypurecloud.com/api/v2/recording/batchrequests";
            let transcript = json!({"base": "https://api.mypurecloud.com/api/v2/", "method": "POST", "answers": [
                {"url": batch, "status": 200, "body": {"id": "7"}},
                {"url": format!("{batch}/7"), "status": 200, "body": {
                    "id": "7", "status": word, "expectedResultCount": 2, "resultCount": found, "errorCount": 0, "results": results,
                }},
            ]});
            let transcript: Transcript = serde_json::from_value(transcript).unwrap();
            let replay = profile().replay(Some("recording_batch"), &transcript);
            assert_eq!(replay.state(), state, "{word:?} {found}: {replay}");
        }
    }
}
