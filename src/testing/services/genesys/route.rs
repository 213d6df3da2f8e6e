//! Route: the target of a request to the API.

use http::Method;

use super::job::Kind;
use crate::testing::counts::Counts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Submit(Kind),
    Poll(Kind, &'a str),
    /// A page of the results.
    Results(Kind, &'a str),
    /// The request that starts the second part of a recording job.
    Start(&'a str),
    Cancel(Kind, &'a str),
    FailedRecordings(&'a str),
    Exports,
    Contacts(&'a str),
    Download(&'a str),
    RevokeToken,
    EndSession,
    /// A call of the analytics service that is answered at once.
    Query,
    /// A listing.
    List(&'a str),
    Me,
    Unknown,
}

impl<'a> Route<'a> {
    pub(super) fn of(method: &Method, path: &'a str) -> Self {
        if path == SESSION && method == Method::DELETE {
            return Self::EndSession;
        }
        let Some(path) = path.strip_prefix(BASE) else { return Self::Unknown };
        let segments: Vec<&str> = path.split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("DELETE", ["tokens", "me"]) => Self::RevokeToken,
            ("GET", ["users", "me"]) => Self::Me,
            ("GET", ["users" | "scim", ..] | ["routing", "queues"]) => Self::List(path),
            ("POST", ["analytics", "conversations", "details", "query"]) => Self::Query,
            ("POST", ["outbound", "contactlists", list, "contacts"]) => Self::Contacts(list),
            ("GET", ["downloads", id]) => Self::Download(id),
            ("GET", ["analytics", "reporting", "exports"]) => Self::Exports,
            ("GET", ["recording", "jobs", id, "failedrecordings"]) => Self::FailedRecordings(id),
            ("PUT", ["recording", "jobs", id]) => Self::Start(id),
            (method, segments) => match kind(segments) {
                Some((kind, rest)) => Self::of_job(method, kind, rest),
                None => Self::Unknown,
            },
        }
    }

    fn of_job(method: &str, kind: Kind, rest: &[&'a str]) -> Self {
        match (method, rest) {
            ("POST", []) => Self::Submit(kind),
            ("GET", [id]) => Self::Poll(kind, id),
            ("DELETE", [id]) if matches!(kind, Kind::Details | Kind::Recordings) => Self::Cancel(kind, id),
            ("GET", [id, "results"]) if matches!(kind, Kind::Details | Kind::Audit) => Self::Results(kind, id),
            _ => Self::Unknown,
        }
    }

    pub(super) const fn count(self, counts: &mut Counts) {
        let count = match self {
            Self::Submit(_) => &mut counts.submits,
            Self::Poll(..) => &mut counts.polls,
            Self::Cancel(..) => &mut counts.cancels,
            Self::Results(..) | Self::Download(_) => &mut counts.follow_ups,
            _ => &mut counts.other_calls,
        };
        *count += 1;
    }
}

/// Returns the kind of job that a path is about, and the rest of the path.
fn kind<'s, 'a>(segments: &'s [&'a str]) -> Option<(Kind, &'s [&'a str])> {
    match segments {
        ["analytics", "conversations" | "users", "details" | "aggregates", "jobs", rest @ ..] => {
            Some((Kind::Details, rest))
        }
        ["audits", "query", rest @ ..] => Some((Kind::Audit, rest)),
        ["recording", "jobs", rest @ ..] => Some((Kind::Recordings, rest)),
        ["recording", "batchrequests", rest @ ..] => Some((Kind::Batch, rest)),
        ["analytics", "reporting", "exports", rest @ ..] => Some((Kind::Export, rest)),
        _ => None,
    }
}

pub(super) const BASE: &str = "/api/v2/";
pub(super) const SESSION: &str = "/oauth/sessions/me";
