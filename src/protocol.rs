//! Protocol: how an API reports its tasks. A pure reader: a response goes in, a step comes out.
//!
//! # Implementation
//! This module does no I/O and reads no clock. The task sends the requests and keeps the time; the module decides which
//! request is next, and how an answer is interpreted.
//!
//! ## Parts
//! - [`Protocol`] is the public face over [`rules`], which is plain data. [`presets`] fills it.
//! - [`Cursor`] holds everything known about one task, and becomes part of its resume token. [`plain`] decides which
//!   parts of it a token in plain text may contain.
//! - [`reading`] bundles one answer with the rules, the cursor and the time. Every reader takes it.
//! - [`requests`] builds the next request from the cursor.
//!
//! ## Phases
//! Each phase has one reader, which returns a [`Step`] and sets the next phase:
//! ```text
//! Submitting ──> Polling ──────────> Fetching ──> Done
//!   submit        poll │ ▲             fetch
//!                      │ ├── Starting    ▲     a word fires a request: follow_up
//!                      │ └── Moved ──────┘     a 302 leads to a status or to the result: moved
//!                      └──> Ended, Stop        the task failed; or waiting makes no sense any more
//! ```
//! A submit that is answered at once goes straight to `Done` or `Fetching`; a poll whose answer contains the result
//! goes to `Done`. A service that withdraws its success at the URL of the result returns the task to `Polling`.
//!
//! ## Steps of reading an answer to a poll
//! 1. [`foreign`] notes the URLs of the cursor, so that URLs named by a foreign origin are requested without a
//!    credential.
//! 2. [`report`] collects word, progress and hint, whatever the HTTP status is.
//! 3. The HTTP status selects the next reader: [`redirect`] for 3xx, [`poll_error`] for 4xx and 5xx, and for 2xx
//!    [`verdict`], which alone decides between pending, ended and "this is the result itself". [`created`] comes before
//!    it if the status URL may be that of the created resource.
//! 4. An answer that states nothing about the task costs patience ([`patience`]): the wait ends only once the patience
//!    is used up.
//! 5. A final state goes to [`result`]: [`result_link`] for a URL, [`result_body`] for the answer itself, which must be
//!    a document ([`flaw`]), because a page of a gateway must never count as a success.
//! 6. [`reason`] records the reason, for `explain()`.
//!
//! ## Redirects
//! A submit that is answered with 307 or 308 is sent again ([`moved_submit`] decides, the client sends). For a poll,
//! 303 leads to the result, and 302 to the status or the result ([`moved`]); 301 and 308 move the status URL once a
//! status is found there, and 307 is followed while the status URL stays.
//!
//! ## Glossary
//! - *Bare, monitor, resource*: the three kinds of status URL; at a bare one, the HTTP status takes precedence over the
//!   words.
//! - *Guess*: a place that common services use and that nobody named for this one; a named place takes precedence over
//!   the answer itself, a guessed one does not.
//! - *Hint*: how long the service asks to wait. *Patience*: how long the task tolerates answers that state nothing
//!   about it.
//! - *Hop*: one redirect in a row. *Look*: one fetch of a result that was not a document.
//! - *Flaw*: why a body is not a document. *Gap*: an empty answer in a row of status documents.
//! - *Trust*: the origins that get the credential; every URL is checked against it before it becomes a step.

mod cookies;
mod created;
mod cursor;
mod exchange;
mod extra;
mod fault;
mod fetch;
mod flaw;
mod follow_up;
mod foreign;
mod location;
mod moved;
mod named_result;
mod next;
mod page;
mod patience;
mod phase;
mod plain;
mod poll;
mod poll_error;
mod poll_many;
mod presets;
mod reading;
mod reason;
mod redirect;
mod report;
mod requests;
mod result;
mod result_body;
mod result_link;
mod result_rule;
mod rules;
mod shape;
mod since;
mod status_place;
mod step;
mod submit;
mod template;
mod trail;
mod verdict;
mod words;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

pub use cursor::Cursor;
pub use exchange::{Exchange, ExchangeError};
pub use next::Next;
pub use page::PageRule;
pub use poll_many::PollMany;
pub use result_rule::ResultKind;
pub use rules::{FinalStateVia, ProgressUnit, Reduce, StatusKind};
pub use step::{Finding, Report, Step};
pub use words::State;

pub(crate) use cookies::Cookies;
pub(crate) use fault::parse_common as read_fault;
pub(crate) use location::{is_absolute, join, link};
pub(crate) use page::{NoPage, Page};
pub(crate) use plain::{check_urls, clean_urls, without_signed};
pub(crate) use requests::{Asking, Purpose};
pub(crate) use submit::moved as moved_submit;

use crate::hint::Unit;
use crate::message::{Reply, Request};
use crate::pointer::Source;

use foreign::Before;
use patience::Trouble;
use phase::Phase;
use reading::Reading;
use reason::Reason;
use result_rule::{ResultPlace, ResultRule};
use rules::{Fraction, Interval, Rules, Start, StatusUrl, put_first};
use template::Template;

/// A description of how an API reports its tasks: the place of the status URL, the meaning of its words, the place of
/// the result.
///
/// A protocol is data: it can be written as JSON or TOML, and every part has a setter. Start from [`Protocol::auto`],
/// which reads the common handshakes, and set only the differences. A setter takes precedence over earlier settings:
/// the place that is set last is checked first, and replaces an earlier setting of the same place.
///
/// ```
/// use longhaul::{Protocol, State};
/// use longhaul::protocols::{ResultKind, Source};
///
/// let protocol = Protocol::auto()
///     .named("video_render")
///     .id(Source::pointer("/job/id"))
///     .status_template("jobs/{id}")
///     .word("READY", State::Succeeded)
///     .result(Source::pointer("/job/file"), ResultKind::Link);
/// assert_eq!(protocol.name(), "video_render");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "a protocol does nothing until a client, a profile or a task has it"]
pub struct Protocol(Rules);

/// The protocols that are known by name.
impl Protocol {
    /// Returns a protocol that reads the common handshakes: `Operation-Location`, `Azure-AsyncOperation`, 202 with
    /// `Location`, a created resource with a state, a link in the body, finished at once.
    pub fn auto() -> Self {
        Self(Rules::default())
    }

    /// Returns a protocol without places: every place of a status URL, an id, a state, a progress, a result and a cancel
    /// is the one that a setter names. The common words have their meaning.
    ///
    /// Use it for a service whose documents are known in full. Nothing is guessed then, so that rows with a `status` of
    /// their own are rows, and an id of another kind is not compared with the task's.
    ///
    /// ```
    /// use longhaul::Protocol;
    /// use longhaul::protocols::{ResultKind, Source};
    ///
    /// let exports = Protocol::new("exports")
    ///     .id(Source::pointer("/export/id"))
    ///     .status_template("{submit}/{id}")
    ///     .state(Source::pointer("/export/phase"))
    ///     .result(Source::pointer("/export/file"), ResultKind::Link);
    /// assert_eq!(exports.check(), Ok(()));
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self(Rules { name: name.into(), ..presets::without_places() })
    }

    /// Returns a protocol that reads a SmagTask: `TaskUid` and `Location` at submit, `Status` and `RetryAfter`
    /// (milliseconds) while it runs, and at the end `Location` in header and body, or `Result` with a signed URL.
    ///
    /// If the service asks for no wait, five minutes pass between polls, as its documentation advises.
    pub fn smag_task() -> Self {
        Self(presets::smag_task())
    }

    /// Returns a protocol that reads the pattern "Asynchronous Request-Reply" of the Azure Architecture Center: 202
    /// with `Location`, then 200 while it is pending, and 302 or 303 to the result. A 200 without a final word is
    /// always pending in this protocol.
    pub fn async_request_reply() -> Self {
        Self(presets::async_request_reply())
    }

    /// Returns a protocol that reads the Microsoft REST API guidelines: `Operation-Location`, a monitor with `status`,
    /// `resourceLocation` or an inline `result` at the end. Every poll repeats `api-version`.
    pub fn azure_guidelines() -> Self {
        Self(presets::azure_guidelines())
    }

    /// Returns a protocol that reads Azure Resource Manager: `Azure-AsyncOperation` before `Operation-Location` before
    /// `Location`, or the resource's own `provisioningState`. The result is at `Location` of a POST, and at the
    /// resource of a PUT or PATCH.
    pub fn azure_resource_manager() -> Self {
        Self(presets::azure_resource_manager())
    }

    /// Returns a protocol that reads Azure data plane services: as the guidelines, with the result in the status
    /// document if no other place is named.
    pub fn azure_data_plane() -> Self {
        Self(presets::azure_data_plane())
    }

    /// Returns a protocol that reads Google's long-running operations (AIP-151): `name`, `done`, then `error` or
    /// `response`. The base of the client is the API's versioned root, such as `https://storage.googleapis.com/v1`.
    pub fn google_operations() -> Self {
        Self(presets::google_operations())
    }
}

impl Protocol {
    /// Interprets one answer: advances the cursor, and returns the next step.
    ///
    /// `now` is the wall time, for dates in headers. The method never panics, whatever the answer contains.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use http::{HeaderMap, Method, StatusCode};
    /// use longhaul::{Protocol, State};
    /// use longhaul::http::Reply;
    /// use longhaul::protocols::{Cursor, Step};
    ///
    /// let url: url::Url = "https://api.example.com/v1/exports".parse().unwrap();
    /// let headers = HeaderMap::from_iter([
    ///     ("location".parse().unwrap(), "tasks/7".parse().unwrap()),
    ///     ("retry-after".parse().unwrap(), "30".parse().unwrap()),
    /// ]);
    /// let accepted = Reply::new(StatusCode::ACCEPTED, url.clone(), headers, "");
    ///
    /// let mut cursor = Cursor::new(Method::POST, &url, SystemTime::now());
    /// let Step::Wait(report) = Protocol::auto().read(&mut cursor, &accepted, SystemTime::now()) else { panic!() };
    /// assert_eq!(report.state(), State::Accepted);
    /// assert_eq!(report.hint().unwrap().as_secs(), 30);
    /// assert_eq!(cursor.status_url().unwrap().expose(), "https://api.example.com/v1/tasks/7");
    /// ```
    #[must_use]
    pub fn read(&self, cursor: &mut Cursor, reply: &Reply, now: SystemTime) -> Step {
        let rules = &self.0;
        if rules.cookies || cursor.keeps_cookies() {
            cursor.extra().cookies.take(reply.url(), reply.headers());
        }
        let before = Before::from_cursor(cursor, reply);
        let json = reply.json();
        let code = reply.status().as_u16();
        let mut reading = Reading { rules, cursor, reply, body: json.as_ref(), code, now };
        let step = match reading.cursor.phase {
            Phase::Submitting => submit::read(&mut reading),
            Phase::Polling { .. } => poll::read(&mut reading),
            Phase::Moved => moved::read(&mut reading),
            Phase::Starting { firing } => follow_up::read(&mut reading, firing),
            Phase::Fetching { .. } => fetch::read(&mut reading),
        };
        let step = match before {
            Some(before) => before.mark(cursor, step, rules.pages.as_ref().is_some_and(PageRule::reads_an_answer)),
            None => step,
        };
        match &rules.pages {
            Some(rule) => rule.begin(step, reply),
            None => step,
        }
    }

    /// Records that no answer arrived: the task's state is unchanged, and the wait continues while there is patience.
    #[must_use]
    pub fn read_silence(&self, cursor: &mut Cursor, why: &str, now: SystemTime) -> Step {
        cursor.because(Reason::NoAnswer);
        let report = Report::new(cursor.state);
        Trouble::new(why).wait(cursor, self.0.patience, report, now)
    }

    /// Checks all templates of the protocol: those of the status URL, the result, the pages, and the requests that
    /// poll, start, cancel and clean up.
    ///
    /// ```
    /// use longhaul::Protocol;
    ///
    /// let protocol = Protocol::auto().status_template("jobs/{job_id}");
    /// assert!(protocol.check().unwrap_err().contains("{job_id} is no member that is known"));
    /// assert_eq!(Protocol::auto().status_template("jobs/{id}").check(), Ok(()));
    /// ```
    ///
    /// # Errors
    /// The first template that cannot be filled, and the reason: a member that is neither the id nor a JSON pointer, an
    /// unmatched brace, a member of an answer at a place without one, a text that does not make a URL.
    pub fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    /// Returns the protocol's name, as resume tokens and errors contain it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Explains how the answers up to the cursor were read, in words that a person can act on.
    pub(crate) fn explain(&self, cursor: &Cursor) -> String {
        let (submit, last) = cursor.reasons();
        let mut lines = vec![format!("protocol: {}", self.name())];
        if submit != Reason::NotReadYet {
            lines.push(format!("submit: {}", submit.words(&self.0)));
        }
        if let Some(url) = cursor.status_url() {
            lines.push(format!("status URL: {url} ({})", cursor.kind.words()));
        }
        if last != Reason::NotReadYet {
            lines.push(format!("last answer: {}", last.words(&self.0)));
        }
        lines.join("\n")
    }

    /// Returns the next request of the task at the cursor, with the caller's headers; `None` if there is nothing to
    /// request.
    pub(crate) fn next(&self, cursor: &Cursor, headers: HeaderMap) -> Option<Asking> {
        requests::next(&self.0, cursor, headers)
    }

    /// Returns the rule for the status of several tasks, if the next poll of the task at the cursor may follow it.
    pub(crate) fn shared_poll(&self, cursor: &Cursor) -> Option<&PollMany> {
        self.0.poll_many.as_ref().filter(|_| requests::is_shareable(&self.0, cursor))
    }

    /// Returns whether tasks may share polls.
    pub(crate) const fn shares_polls(&self) -> bool {
        self.0.poll_many.is_some()
    }

    /// Returns the request for the status of several tasks, as the task at the cursor would send it.
    pub(crate) fn many_request(&self, cursor: &Cursor, headers: HeaderMap, ids: &[&str]) -> Option<Request> {
        requests::many(&self.0, cursor, headers, ids)
    }

    /// Returns the document of each task in an answer for several; `None` if the answer has no list of them.
    pub(crate) fn divide(&self, reply: &Reply) -> Option<BTreeMap<String, Bytes>> {
        self.0.poll_many.as_ref()?.divide(reply)
    }

    /// Returns the request that cancels the task; `None` if there is none.
    pub(crate) fn cancel_request(&self, cursor: &Cursor, headers: HeaderMap) -> Option<Request> {
        requests::cancel(&self.0, cursor, headers)
    }

    /// Returns the request that makes the service delete the task; `None` if there is none.
    pub(crate) fn cleanup_request(&self, cursor: &Cursor, headers: HeaderMap) -> Option<Request> {
        requests::cleanup(&self.0, cursor, headers)
    }

    /// Returns the jar for the cookies of the task's submit; `None` if nobody asked for one.
    pub(crate) fn jar<'c>(&self, cursor: &'c mut Cursor) -> Option<&'c mut Cookies> {
        (self.0.cookies || cursor.keeps_cookies()).then(|| &mut cursor.extra().cookies)
    }

    /// Returns whether the headers alone name the status URL of a submit.
    pub(crate) fn is_named_in(&self, headers: &HeaderMap) -> bool {
        let names = self.0.status_url.iter().filter_map(|at| at.at.header_name());
        names.chain(["link"]).any(|name| headers.contains_key(name))
    }

    pub(crate) const fn interval_without_hint(&self) -> Option<Duration> {
        self.0.default_interval
    }

    pub(crate) const fn longest_interval(&self) -> Option<Duration> {
        self.0.keep_alive
    }

    pub(crate) const fn page_rule(&self) -> Option<&PageRule> {
        self.0.pages.as_ref()
    }

    pub(crate) fn prefer_header(&self) -> Option<&str> {
        self.0.prefer.as_deref()
    }
}

/// The setters of a protocol, one for every part. All lists of places have one order: the place that is set last is
/// checked first, and replaces an earlier setting of that place.
impl Protocol {
    /// Sets the name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// Adds a place of the status URL in the submit's answer, which is checked first. If the place holds a value, it
    /// counts at any 2xx and at 303. If the value cannot be used, the next place is checked.
    pub fn status_url(mut self, at: Source, kind: StatusKind) -> Self {
        self.0.status_url.retain(|pointer| pointer.at != at);
        self.0.status_url.insert(0, StatusUrl::new(at, kind));
        self
    }

    /// Keeps the status URL from the submit's answer, whatever later answers name.
    pub const fn fixed_status_url(mut self) -> Self {
        self.0.rotates = false;
        self
    }

    /// Adds a place of the task's id in the submit's answer, which is checked first.
    pub fn id(mut self, at: Source) -> Self {
        put_first(&mut self.0.id, at);
        self
    }

    /// Sets the template of a task's status URL, relative to the client's base: `jobs/{id}`. `{id}` is one path
    /// segment, percent-encoded; `{+id}` keeps its slashes. `{/job/id}` is a member of the submit's answer. At the
    /// beginning, `{submit}` is the URL of the submit without its query: `{submit}/{id}`, `{submit}/../exports/{id}`. A
    /// status URL that the answer names takes precedence.
    pub fn status_template(mut self, template: impl Into<String>) -> Self {
        self.0.status_template = Some(Template::new(template));
        self
    }

    /// Adds a place of the state's word, which is checked first.
    pub fn state(mut self, at: Source) -> Self {
        put_first(&mut self.0.state, at);
        self
    }

    /// Sets the meaning of a word of this API, which takes precedence over the common words. Case, spaces, `_` and `-`
    /// do not matter.
    pub fn word(mut self, word: &str, state: State) -> Self {
        self.0.words.insert(words::plain(word), state);
        self
    }

    /// Adds a place whose value means success, which is checked first, unless a word states that the task is pending or
    /// has failed.
    pub fn done(mut self, at: Source) -> Self {
        put_first(&mut self.0.done, at);
        self
    }

    /// Adds a place of the progress, which is checked first, and sets the unit of all such places.
    pub fn progress(mut self, at: Source, unit: ProgressUnit) -> Self {
        put_first(&mut self.0.progress, at);
        self.0.progress_unit = unit;
        self
    }

    /// Adds a place that states when to poll next, which is checked after the `Retry-After` headers and before all
    /// other places.
    pub fn interval(mut self, at: Source, unit: Unit) -> Self {
        self.0.intervals.retain(|interval| interval.at != at);
        self.0.intervals.insert(0, Interval { at, unit });
        self
    }

    /// Sets the interval between polls for a service that has never asked for a wait.
    pub const fn default_interval(mut self, interval: Duration) -> Self {
        self.0.default_interval = Some(interval);
        self
    }

    /// Adds a place of the result in the finished answer, which is checked first. If the place holds a value, it takes
    /// precedence over an answer that would otherwise be the result itself; if it is empty, a warning states so.
    pub fn result(self, at: Source, kind: ResultKind) -> Self {
        self.result_rule(ResultPlace::In(at), kind)
    }

    /// Sets the URL of the result as a template, relative to the client's base: `files/{/result/fileId}/content`. The
    /// template is checked first, as a place of [`result`](Self::result). In data:
    /// `{ template = "jobs/{id}/results", kind = "url" }`.
    ///
    /// `{id}` is the task's id, and `{/result/fileId}` a member of the final answer, or the first element if the member
    /// is a list. Each is one path segment, percent-encoded, so that no part of it leaves the folder. `{+/result/path}`
    /// keeps its slashes. A member with a `*` (`files/{/files/*/id}`) makes one link of each value. If the answer lacks
    /// a member, the next place is checked.
    ///
    /// A single [`ResultKind::Url`] on the API's own origin is fetched; a [`ResultKind::Link`], and several URLs, are
    /// downloaded. [`ResultKind::Value`] is not a valid kind for a URL: [`check`](Self::check) reports it.
    ///
    /// ```
    /// use longhaul::Protocol;
    /// use longhaul::protocols::ResultKind;
    ///
    /// let protocol = Protocol::auto()
    ///     .status_template("jobs/{id}")
    ///     .result_template("files/{/result/fileId}/content", ResultKind::Url);
    /// assert_eq!(protocol.check(), Ok(()));
    /// ```
    pub fn result_template(self, template: impl Into<String>, kind: ResultKind) -> Self {
        self.result_rule(ResultPlace::Made(Template::new(template)), kind)
    }

    fn result_rule(mut self, at: ResultPlace, kind: ResultKind) -> Self {
        self.0.result.retain(|rule| rule.at != at);
        self.0.result.insert(0, ResultRule::new(at, kind));
        self
    }

    /// Sets the location of the final value, whatever the answers suggest.
    pub const fn final_state_via(mut self, via: FinalStateVia) -> Self {
        self.0.final_state_via = Some(via);
        self
    }

    /// Sets how a task is canceled, such as `POST jobs/{id}/cancel`; `DELETE {status}` is the default.
    pub fn cancel(mut self, how: Exchange) -> Self {
        self.0.cancel = Some(how);
        self
    }

    /// States that the API has no cancel.
    pub fn without_cancel(mut self) -> Self {
        (self.0.cancel, self.0.cancel_url) = (None, Vec::new());
        self
    }

    /// Adds a place of the URL of the cancel, which is checked first. The request has the method of
    /// [`cancel`](Self::cancel), or else is a POST.
    pub fn cancel_url(mut self, at: Source) -> Self {
        put_first(&mut self.0.cancel_url, at);
        self
    }

    /// Sets the request that is sent after the result has been taken, so that the service deletes the task
    /// ([`Outcome::cleanup`](crate::Outcome::cleanup)).
    pub fn cleanup(mut self, how: Exchange) -> Self {
        self.0.cleanup = Some(how);
        self
    }

    /// Sets how the status is requested, if a plain GET of the status URL does not suffice, such as
    /// `POST {status} {"async_job_id": "{id}"}`.
    pub fn poll(mut self, how: Exchange) -> Self {
        self.0.poll = Some(how);
        self
    }

    /// Sets a request for the status of several tasks. The tasks of one kind, or of one protocol, share it if their polls
    /// fall due together: see [PollMany]. The first that is due and has its permit asks for all that are due, that wait
    /// for a permit, or that may be polled [early](PollMany::early).
    ///
    /// A task whose id is missing from the answer is polled alone at once, and for good after the third time. If the
    /// service refuses the shared request itself (such as 400, 404, 413, or an answer without the list), all tasks are
    /// polled alone for a minute. Tasks with other headers of their own, with cookies, or without an id share no request.
    ///
    /// ```
    /// use longhaul::Protocol;
    /// use longhaul::protocols::{PollMany, Source};
    /// use longhaul::testing::{reply, script};
    /// # use longhaul::Profile;
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let many = PollMany::new("GET jobs?ids={ids}".parse()?, 10).items(Source::pointer("/jobs/*"));
    /// let jobs = Protocol::auto().status_template("jobs/{id}").poll_many(many);
    /// let done = |id: u32| json!({"id": id, "status": "succeeded", "result": id * 10});
    /// let service = script([
    ///     reply(202).json(json!({"id": 7})),
    ///     reply(202).json(json!({"id": 8})),
    ///     reply(200).json(json!({"jobs": [done(8), done(7)]})),
    /// ]);
    /// let client = service.client().build()?;
    /// let start = || client.task().protocol(jobs.clone()).post("jobs").submit::<u32>();
    /// let (seven, eight) = (start().await?, start().await?);
    /// let (seven, eight) = futures::future::try_join(seven, eight).await?;
    /// assert_eq!((seven.value()?, eight.value()?), (70, 80));
    /// assert_eq!(service.requests()[2].url().as_str(), "https://api.example.com/v1/jobs?ids=7,8");
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_many(mut self, how: PollMany) -> Self {
        self.0.poll_many = Some(how);
        self
    }

    /// Names a member of the submit's query that every poll repeats, such as `api-version`.
    pub fn repeat_query(mut self, name: impl Into<String>) -> Self {
        self.0.repeat_query.push(name.into());
        self
    }

    /// Sends back the cookies that the service sets, for this task alone. The task's token contains them.
    pub const fn with_cookies(mut self) -> Self {
        self.0.cookies = true;
        self
    }

    /// Sends `If-None-Match` once a status carried an `ETag`, so that an unchanged status costs no body.
    pub const fn conditional(mut self) -> Self {
        self.0.conditional = true;
        self
    }

    /// Sends this `Prefer` header (RFC 7240) with the submit, such as `respond-async` or `respond-async, wait=10`.
    pub fn prefer(mut self, preference: impl Into<String>) -> Self {
        self.0.prefer = Some(preference.into());
        self
    }

    /// Adds a place whose number replaces the HTTP status of a poll.
    pub fn status_header(mut self, at: Source) -> Self {
        self.0.status_header = Some(at);
        self
    }

    /// Sets the meaning of an HTTP status of a poll, if no word is known.
    pub fn status(mut self, code: u16, state: State) -> Self {
        self.0.statuses.insert(code.to_string(), state);
        self
    }

    /// Sets the meaning of a status document without a state.
    pub const fn without_state(mut self, state: State) -> Self {
        self.0.without_state = Some(state);
        self
    }

    /// Accepts a page of HTML as a result if the task itself fetches it. By default such a page counts as a login page
    /// or a gateway's answer, and never as a result. A link that is downloaded may lead to HTML in either case.
    pub const fn accept_html(mut self) -> Self {
        self.0.accept_html = true;
        self
    }

    /// Sets how the states of several parts combine into one.
    pub const fn reduce(mut self, reduce: Reduce) -> Self {
        self.0.reduce = reduce;
        self
    }

    /// Sets the places of two numbers whose ratio is the progress.
    pub fn progress_of(mut self, done: Source, total: Source) -> Self {
        self.0.progress_of = Some(Fraction { done, total });
        self
    }

    /// Reads a status document as success once [`progress_of`](Self::progress_of) is full, unless it has the word of
    /// another end; and one without a known word as pending before: for services that count results, such as Genesys'
    /// batches of recordings (`expectedResultCount`, `resultCount`). A total of zero is pending: it was not counted yet.
    pub const fn done_at_full_progress(mut self) -> Self {
        self.0.done_at_full_progress = true;
        self
    }

    /// Adds a place that tells of failed parts of a task: a count above zero such as `/failedTargetsCount`, a list with
    /// items, a member of one of its parts (`/entries/*/failure`), or `true`. A success beside it is
    /// [`State::PartiallySucceeded`].
    pub fn failed_parts(mut self, at: Source) -> Self {
        put_first(&mut self.0.failed_parts, at);
        self
    }

    /// Adds a place of the error's code, which is checked first.
    pub fn error_code(mut self, at: Source) -> Self {
        put_first(&mut self.0.error_code, at);
        self
    }

    /// Adds a place of the error's message, which is checked first.
    pub fn error_message(mut self, at: Source) -> Self {
        put_first(&mut self.0.error_message, at);
        self
    }

    /// Adds an error code that means that the task was canceled.
    pub fn canceled_code(mut self, code: impl Into<String>) -> Self {
        self.0.canceled_codes.push(code.into());
        self
    }

    /// Sets the longest pause between polls that keeps a task alive, for services that drop a task that nobody polls. A
    /// wait that the service asks for still takes precedence.
    pub const fn keep_alive(mut self, longest: Duration) -> Self {
        self.0.keep_alive = Some(longest);
        self
    }

    /// Adds a second request, sent once when this word is seen, such as `PUT jobs/{id} {"state": "PROCESSING"}` at
    /// `READY`. A protocol has at most eight; several for one word are sent one after the other, in the order in which
    /// they were added.
    pub fn start(mut self, when: impl Into<String>, request: Exchange) -> Self {
        self.0.start.push(Start { when: when.into(), request });
        self
    }

    /// Sets how long after its submit a task may be answered with 404 before that counts: 30 seconds by default.
    pub const fn visibility(mut self, grace: Duration) -> Self {
        self.0.visibility = grace;
        self
    }

    /// Sets the rule for a paged result ([`Outcome::pages`](crate::Outcome::pages)).
    pub fn pages(mut self, rule: PageRule) -> Self {
        self.0.pages = Some(rule);
        self
    }

    /// Sets for how long in a row polls may fail before the wait ends with an error: 10 minutes by default.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.0.patience = patience;
        self
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, StatusCode};

    use super::*;

    #[test]
    fn a_final_word_in_a_header_above_a_page_for_people_is_not_followed_for_ever() {
        let protocol = Protocol::auto().state(Source::header("x-state"));
        let url: url::Url = "https://a.example/v1/exports".parse().unwrap();
        let now = SystemTime::UNIX_EPOCH;
        let mut cursor = Cursor::new(Method::POST, &url, now);
        let mut read = |status, url: &str, headers: &[(&'static str, &'static str)], body| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let reply = Reply::new(status, url.parse().unwrap(), HeaderMap::from_iter(headers), body);
            format!("{:?}", protocol.read(&mut cursor, &reply, now))
        };
        read(StatusCode::ACCEPTED, url.as_str(), &[("operation-location", "/t/1")], "");
        let html = [("x-state", "done"), ("content-type", "text/html")];
        let mut poll = || read(StatusCode::OK, "https://a.example/t/1", &html, "<html>");
        assert_eq!(poll(), "Follow(https://a.example/t/1, after 1s)");
        assert_eq!(poll(), "Follow(https://a.example/t/1, after 2s)");
        assert!(poll().starts_with("Stop(ResultUnavailable, the result was answered with a page of HTML"));
    }
}
