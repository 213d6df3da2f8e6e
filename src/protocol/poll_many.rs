//! PollMany: one request for the status of several tasks.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use super::exchange::Exchange;
use crate::message::Reply;
use crate::pointer::Source;

/// One request for the status of several tasks, for services that take many ids at a time:
/// [`Protocol::poll_many`](crate::Protocol::poll_many).
///
/// ```
/// use longhaul::Protocol;
/// use longhaul::protocols::{PollMany, Source};
///
/// let jobs = Protocol::auto().status_template("jobs/{id}").poll_many(
///     PollMany::new("GET jobs?ids={ids}".parse()?, 10).items(Source::pointer("/jobs/*")).id(Source::pointer("/jobId")),
/// );
/// assert_eq!(jobs.check(), Ok(()));
/// # Ok::<(), longhaul::protocols::ExchangeError>(())
/// ```
///
/// | written | sent for the ids 7 and 8 |
/// | --- | --- |
/// | `GET jobs?ids={ids}` | `jobs?ids=7,8` |
/// | `GET jobs{?id*}`, `GET jobs?all=1{&id*}` | `jobs?id=7&id=8`, `jobs?all=1&id=7&id=8` |
/// | `POST jobs/status {"ids": ["{ids}"]}` | `{"ids":["7","8"]}` |
/// | `POST jobs/status {"ids": "{ids}"}` | `{"ids":"7,8"}` |
///
/// Ids are percent-encoded in a URL, and texts in a body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollMany {
    request: Exchange,
    most: usize,
    #[serde(default = "body")]
    items: Source,
    #[serde(default = "id")]
    id: Source,
    #[serde(default = "quarter")]
    early: f64,
}

impl PollMany {
    /// Creates a request for the status of at most `most` tasks.
    #[must_use]
    pub fn new(request: Exchange, most: usize) -> Self {
        Self { request, most, items: body(), id: id(), early: quarter() }
    }

    /// Sets the place of the status documents in the answer: a list, with one document for each task in any order
    /// (`/jobs` or `/jobs/*`). By default, it is the whole answer.
    #[must_use]
    pub fn items(mut self, at: Source) -> Self {
        self.items = at;
        self
    }

    /// Sets the place of the task's id in its document: `/id` by default.
    #[must_use]
    pub fn id(mut self, at: Source) -> Self {
        self.id = at;
        self
    }

    /// Sets how early a task may be polled together with another, as a part of its pause: 0.25 by default, 0 to 1. At 0,
    /// only tasks that are due share a request. No task is polled before the time that the service asked for.
    #[must_use]
    pub const fn early(mut self, part: f64) -> Self {
        self.early = part;
        self
    }

    /// Returns the part of its pause by which a task may be polled early.
    pub(crate) const fn part(&self) -> f64 {
        self.early.clamp(0.0, 1.0)
    }

    /// Returns how many tasks one request asks for.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    pub(super) const fn request(&self) -> &Exchange {
        &self.request
    }

    /// Returns the URL and the body for these ids.
    pub(super) fn fill(&self, base: &Url, ids: &[&str]) -> Option<(Url, Option<String>)> {
        self.request.fill_many(base, ids)
    }

    /// Returns the document of each task by its id; `None` if the answer has no list. The last of two documents with one
    /// id counts.
    pub(super) fn divide(&self, reply: &Reply) -> Option<BTreeMap<String, Bytes>> {
        let items = self.items.elements(reply)?;
        Some(items.into_iter().filter_map(|item| Some((self.id.text_in(item.clone())?, item))).collect())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.most == 0 {
            return Err("it asks for 0 tasks at a time: set 1 at least".into());
        }
        if !(0.0..=1.0).contains(&self.early) {
            return Err(format!("early is {}: it is a part of the pause, from 0 to 1", self.early));
        }
        self.request.check_many()
    }
}

const fn body() -> Source {
    Source::body()
}

fn id() -> Source {
    Source::pointer("/id")
}

const fn quarter() -> f64 {
    0.25
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn many(request: &str) -> PollMany {
        PollMany::new(request.parse().unwrap(), 10)
    }

    #[test]
    fn every_form_of_a_list_of_ids_is_written() {
        let base: Url = "https://a.example/v1/".parse().unwrap();
        for (request, ids, url, body) in [
            ("GET jobs?ids={ids}", &["7", "8"][..], "jobs?ids=7,8", None),
            ("GET jobs?ids={ids}", &["a,b&c=1", "é"], "jobs?ids=a%2Cb%26c%3D1,%C3%A9", None),
            ("GET jobs{?id*}", &["7", "8"], "jobs?id=7&id=8", None),
            ("GET jobs?all=1{&job.id*}", &["7"], "jobs?all=1&job.id=7", None),
            ("GET jobs/{ids}", &["7", "8"], "jobs/7,8", None),
            (
                r#"POST s {"ids": ["{ids}"], "n": [1, "x"]}"#,
                &["7", "\"8"],
                "s",
                Some(r#"{"ids":["7","\"8"],"n":[1,"x"]}"#),
            ),
            (r#"POST s {"ids": "{ids}"}"#, &["7", "8"], "s", Some(r#"{"ids":"7,8"}"#)),
            (r#"POST s ["{ids}"]"#, &[], "s", Some("[]")),
            (
                "POST s?ids={ids}\nContent-Type: application/x-www-form-urlencoded\n\na=1",
                &["7"],
                "s?ids=7",
                Some("a=1"),
            ),
        ] {
            let many = many(request);
            assert_eq!(many.check(), Ok(()), "{request}");
            let (found, text) = many.fill(&base, ids).unwrap();
            assert_eq!((found.as_str(), text.as_deref()), (&*format!("{base}{url}"), body), "{request}");
        }
        assert_eq!(many("GET jobs/{ids}").fill(&base, &[".."]), None);
    }

    #[test]
    fn a_request_that_cannot_list_ids_is_named() {
        for (many, words) in [
            (many("GET jobs"), "no place for the ids"),
            (many("GET jobs/{id}?ids={ids}"), "`{id}` is no place"),
            (many("GET jobs{?ids}"), "`{?ids}` is no place"),
            (many("GET jobs?ids={ids"), "`{` without its `}`"),
            (many("GET {status}?ids={ids}"), "`{status}` is no place"),
            (many("POST s\nContent-Type: application/x-www-form-urlencoded\n\nids={ids}"), "into a body of JSON"),
            (PollMany { most: 0, ..many("GET jobs?ids={ids}") }, "0 tasks"),
            (many("GET jobs?ids={ids}").early(1.5), "early is 1.5"),
            (many("GET jobs?ids={ids}").early(f64::NAN), "early is NaN"),
        ] {
            let why = many.check().unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn an_answer_is_divided_by_the_ids() {
        let divide = |body: &'static str| {
            let reply = Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), HeaderMap::new(), body);
            let parts = many("GET jobs?ids={ids}").items(Source::pointer("/jobs/*")).divide(&reply)?;
            Some(parts.into_iter().map(|(id, part)| format!("{id} {}", String::from_utf8_lossy(&part))).collect())
        };
        let some = |parts: &[&str]| Some(parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            divide(r#"{"jobs": [{"id": 8}, {"id": "7"}, {"n": 1}, null]}"#),
            some(&[r#"7 {"id": "7"}"#, r#"8 {"id": 8}"#])
        );
        assert_eq!(divide(r#"{"jobs": []}"#), some(&[]));
        assert_eq!(divide(r#"{"error": 1}"#), None);
        assert_eq!(divide("<html>"), None);
    }

    #[test]
    fn it_is_data() {
        let read: PollMany = serde_json::from_str(r#"{"request": "GET jobs?ids={ids}", "most": 10}"#).unwrap();
        assert_eq!(read, many("GET jobs?ids={ids}"));
        let written = serde_json::to_string(&read.clone().early(0.5)).unwrap();
        assert_eq!(serde_json::from_str::<PollMany>(&written).unwrap(), read.early(0.5));
    }
}
