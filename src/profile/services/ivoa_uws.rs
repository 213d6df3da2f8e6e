//! IVOA UWS: jobs of astronomical services.

use http::Method;

use crate::pointer::Source;
use crate::profile::Profile;
use crate::protocol::{Exchange, Protocol, ResultKind, State, StatusKind};

/// Returns the profile of jobs by the Universal Worker Service pattern of the IVOA.
///
/// Base: that of the service, such as `https://example.org/tap`. Submit a form to the list of jobs, which is `async`
/// for TAP.
///
/// A new job is held until it is told to run: that request is sent at once. The state is the phase, a word of plain
/// text. A cancel aborts the job, and a cleanup deletes it.
///
/// - Without a kind: TAP, whose result is the link of the table, at `results/result`.
/// - Kind `results`: any service. The result is the list of the job's results, as XML text.
///
/// The phase tells that a job failed, and not why: the reason is a document of the job's own at `error`, which your
/// code requests ([`TaskHandle::id`](crate::TaskHandle::id) is the job's URL).
///
/// Limits: those of the server.
///
/// Source: International Virtual Observatory Alliance, Universal Worker Service pattern 1.1; Table Access Protocol 1.1.
#[must_use]
pub fn ivoa_uws() -> Profile {
    let phase = |form: &str| Exchange::new(Method::POST, "{status}/phase").form(form);
    let jobs = |name: &str| {
        Protocol::new(name)
            .id(Source::header("location"))
            .status_url(Source::header("location"), StatusKind::Monitor)
            .fixed_status_url()
            .poll(Exchange::new(Method::GET, "{status}/phase"))
            .state(Source::body())
            .start("PENDING", phase("PHASE=RUN"))
            .word("UNKNOWN", State::Running)
            .word("HELD", State::Accepted)
            .word("SUSPENDED", State::Running)
            .word("ARCHIVED", State::Expired)
            .cancel(phase("PHASE=ABORT"))
            .cleanup(Exchange::new(Method::DELETE, "{status}"))
    };
    let tap = jobs("ivoa_uws").result_template("{+id}/results/result", ResultKind::Link);
    let results = jobs("ivoa_uws_results").result_template("{+id}/results", ResultKind::Url);
    Profile::auto().named("ivoa_uws").protocol(tap).kind("results", results)
}
