//! OGC API Processes: jobs.

use crate::pointer::Source;
use crate::profile::Profile;
use crate::protocol::{ProgressUnit, Protocol, ResultKind, StatusKind};

/// Returns the profile of the jobs of OGC API Processes.
///
/// Base: the landing page of the API. Submit `{"inputs": {..}}` to `processes/{process}/execution`;
/// `Prefer: respond-async` is sent by itself. A server may answer at once all the same.
///
/// The result is at the link of the relation `results`, or else at `jobs/{id}/results`, and is fetched. A cancel
/// dismisses the job.
///
/// Limits: those of the server.
///
/// Source: Open Geospatial Consortium, OGC API Processes, part 1: core (18-062r2).
#[must_use]
pub fn ogc_processes() -> Profile {
    let jobs = Protocol::new("ogc_processes")
        .prefer("respond-async")
        .id(Source::pointer("/jobID"))
        .status_url(Source::header("location"), StatusKind::Monitor)
        .status_template("jobs/{id}")
        .state(Source::pointer("/status"))
        .progress(Source::pointer("/progress"), ProgressUnit::Percent)
        .result_template("jobs/{id}/results", ResultKind::Url)
        .result(Source::rel("results"), ResultKind::Url)
        .result(Source::rel("http://www.opengis.net/def/rel/ogc/1.0/results"), ResultKind::Url);
    Profile::auto().named("ogc_processes").protocol(jobs)
}
