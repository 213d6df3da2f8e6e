//! Durable Functions: orchestrations.

use http::Method;

use crate::pointer::Source;
use crate::profile::{CredentialStyle, Profile};
use crate::protocol::{Exchange, Protocol, ResultKind, State, StatusKind};

/// Returns the profile of the HTTP API of Azure Durable Functions.
///
/// Variable: `app`, the name of the function app. Secret: `function_key`, in the header `x-functions-key`.
///
/// Submit to the function that starts the orchestration, or to
/// `/runtime/webhooks/durabletask/orchestrators/{function}`.
///
/// The 202 names the status in `statusQueryGetUri` (and the same in `Location`). The result is `output`, and so is the
/// text of a failure. A cancel terminates the orchestration, and a cleanup purges its history.
///
/// The status URL carries a key in its query (`code`), which is treated as a secret.
///
/// Limits: none.
///
/// Source: Microsoft, Durable Functions: HTTP API reference.
#[must_use]
pub fn durable_functions() -> Profile {
    let orchestrations = Protocol::new("durable_functions")
        .id(Source::pointer("/id"))
        .status_url(Source::header("location"), StatusKind::Monitor)
        .status_url(Source::pointer("/statusQueryGetUri"), StatusKind::Monitor)
        .fixed_status_url()
        .state(Source::pointer("/runtimeStatus"))
        .word("ContinuedAsNew", State::Running)
        .word("Suspended", State::Running)
        .word("Terminated", State::Canceled)
        .error_message(Source::pointer("/output"))
        .result(Source::pointer("/output"), ResultKind::Value)
        .cancel(Exchange::new(Method::POST, "{status}/terminate"))
        .cleanup(Exchange::new(Method::DELETE, "{status}"));
    Profile::auto()
        .named("durable_functions")
        .base("https://{app}.azurewebsites.net/api")
        .variable("app", "")
        .credential_style(CredentialStyle::header("x-functions-key", "function_key"))
        .protocol(orchestrations)
}
