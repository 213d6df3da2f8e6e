//! How a protocol is written: a setter for every part.
//!
//! There is one order for all lists of places: what is said last goes first, and replaces what was said of that place.

use std::time::Duration;

use super::{
    Exchange, FinalStateVia, Fraction, Interval, PageRule, ProgressUnit, Protocol, Reduce, ResultKind, ResultPlace,
    ResultRule, Start, State, StatusKind, StatusUrl, Template, words,
};
use crate::hint::Unit;
use crate::pointer::Source;

impl Protocol {
    /// Its name, which stands in resume tokens and in errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A place of the status URL in the submit's answer, looked at first. Where something stands there, it counts at any
    /// 2xx and at 303. Where it cannot be used, the next place is looked at.
    #[must_use]
    pub fn status_url(mut self, at: Source, kind: StatusKind) -> Self {
        self.status_url.retain(|pointer| pointer.at != at);
        self.status_url.insert(0, StatusUrl { at, kind, only_pending: false, guess: false });
        self
    }

    /// Keeps the status URL that the submit gave, whatever later answers name.
    #[must_use]
    pub const fn fixed_status_url(mut self) -> Self {
        self.rotates = false;
        self
    }

    /// The place of the task's id in the submit's answer, looked at first.
    #[must_use]
    pub fn id(mut self, at: Source) -> Self {
        first(&mut self.id, at);
        self
    }

    /// The status URL of a task by its id, relative to the client's base: `jobs/{id}`. `{id}` is one path segment,
    /// percent-encoded; `{+id}` keeps its slashes. `{/job/id}` is a member of the submit's answer. A status URL that the
    /// answer names goes before it.
    #[must_use]
    pub fn status_template(mut self, template: impl Into<String>) -> Self {
        self.status_template = Some(Template::new(template));
        self
    }

    /// The place of the state's word, looked at first.
    #[must_use]
    pub fn state(mut self, at: Source) -> Self {
        first(&mut self.state, at);
        self
    }

    /// What a word of this API means, before the common words. Case, spaces, `_` and `-` do not count.
    #[must_use]
    pub fn word(mut self, word: &str, state: State) -> Self {
        self.words.insert(words::plain(word), state);
        self
    }

    /// A place where a value means success, looked at first, unless a word says that the task is pending or has failed.
    #[must_use]
    pub fn done(mut self, at: Source) -> Self {
        first(&mut self.done, at);
        self
    }

    /// The place of the progress, looked at first, and the unit of all.
    #[must_use]
    pub fn progress(mut self, at: Source, unit: ProgressUnit) -> Self {
        first(&mut self.progress, at);
        self.progress_unit = unit;
        self
    }

    /// A place that says when to poll next, looked at after the `Retry-After` headers and before all other places.
    #[must_use]
    pub fn interval(mut self, at: Source, unit: Unit) -> Self {
        self.intervals.retain(|interval| interval.at != at);
        self.intervals.insert(0, Interval { at, unit });
        self
    }

    /// How long to wait between polls where the service has never said.
    #[must_use]
    pub const fn default_interval(mut self, interval: Duration) -> Self {
        self.default_interval = Some(interval);
        self
    }

    /// A place of the result in the finished answer, looked at first. Where something stands there, it goes before an
    /// answer that would else be the result itself; where nothing does, a warning says so.
    #[must_use]
    pub fn result(self, at: Source, kind: ResultKind) -> Self {
        self.result_rule(ResultPlace::In(at), kind)
    }

    /// The URL of the result as a template, relative to the client's base: `files/{/result/fileId}/content`. It is looked
    /// at first, as a place of [`result`](Self::result). In data: `{ template = "jobs/{id}/results", kind = "url" }`.
    ///
    /// `{id}` is the task's id, and `{/result/fileId}` a member of the final answer, of a list its first element; each as
    /// one path segment, percent-encoded, so that nothing of it leaves the folder. `{+/result/path}` keeps its slashes. A
    /// member with a `*` (`files/{/files/*/id}`) makes a link of each. Where the answer lacks a member, the next place is
    /// looked at.
    ///
    /// A [`ResultKind::Url`] is fetched where it is one on the API's own origin; a [`ResultKind::Link`], and several, are
    /// downloaded. [`ResultKind::Value`] is no kind of a URL: [`check`](Self::check) reports it.
    ///
    /// ```
    /// use longhaul::{Protocol, ResultKind};
    ///
    /// let protocol = Protocol::auto()
    ///     .status_template("jobs/{id}")
    ///     .result_template("files/{/result/fileId}/content", ResultKind::Url);
    /// assert_eq!(protocol.check(), Ok(()));
    /// ```
    #[must_use]
    pub fn result_template(self, template: impl Into<String>, kind: ResultKind) -> Self {
        self.result_rule(ResultPlace::Made(Template::new(template)), kind)
    }

    fn result_rule(mut self, at: ResultPlace, kind: ResultKind) -> Self {
        self.result.retain(|rule| rule.at != at);
        self.result.insert(0, ResultRule { at, kind, guess: false });
        self
    }

    /// Where the final value is, whatever the answers hint at.
    #[must_use]
    pub const fn final_state_via(mut self, via: FinalStateVia) -> Self {
        self.final_state_via = Some(via);
        self
    }

    /// How a task is canceled, such as `POST jobs/{id}/cancel`; `DELETE {status}` is the default.
    #[must_use]
    pub fn cancel(mut self, how: Exchange) -> Self {
        self.cancel = Some(how);
        self
    }

    /// Says that the API knows no cancel.
    #[must_use]
    pub fn without_cancel(mut self) -> Self {
        (self.cancel, self.cancel_url) = (None, Vec::new());
        self
    }

    /// A place where the service gives the URL of the cancel, looked at first. It is sent as the method of [`cancel`](Self::cancel), or
    /// as a POST.
    #[must_use]
    pub fn cancel_url(mut self, at: Source) -> Self {
        first(&mut self.cancel_url, at);
        self
    }

    /// What is sent when the result has been taken, to let the service forget the task
    /// ([`Outcome::cleanup`](crate::Outcome::cleanup)).
    #[must_use]
    pub fn cleanup(mut self, how: Exchange) -> Self {
        self.cleanup = Some(how);
        self
    }

    /// How the status is asked for, where that is no plain GET of the status URL, such as
    /// `POST {status} {"async_job_id": "{id}"}`.
    #[must_use]
    pub fn poll(mut self, how: Exchange) -> Self {
        self.poll = Some(how);
        self
    }

    /// Names a member of the submit's query that every poll repeats, such as `api-version`.
    #[must_use]
    pub fn repeat_query(mut self, name: impl Into<String>) -> Self {
        self.repeat_query.push(name.into());
        self
    }

    /// Gives cookies back that the service sets, for this task alone. They stand in its token.
    #[must_use]
    pub const fn with_cookies(mut self) -> Self {
        self.cookies = true;
        self
    }

    /// Asks with `If-None-Match` once a status carried an `ETag`, so that an unchanged one costs no body.
    #[must_use]
    pub const fn conditional(mut self) -> Self {
        self.conditional = true;
        self
    }

    /// Sends this `Prefer` header (RFC 7240) with the submit, such as `respond-async` or `respond-async, wait=10`.
    #[must_use]
    pub fn prefer(mut self, preference: impl Into<String>) -> Self {
        self.prefer = Some(preference.into());
        self
    }

    /// A place whose number stands for the HTTP status of a poll.
    #[must_use]
    pub fn status_header(mut self, at: Source) -> Self {
        self.status_header = Some(at);
        self
    }

    /// What an HTTP status of a poll means, where no word is known.
    #[must_use]
    pub fn status(mut self, code: u16, state: State) -> Self {
        self.statuses.insert(code.to_string(), state);
        self
    }

    /// What a status document without a state means.
    #[must_use]
    pub const fn without_state(mut self, state: State) -> Self {
        self.without_state = Some(state);
        self
    }

    /// Takes a page of HTML as a result where the task itself fetches it. By default such a page is what a login page or a
    /// gateway sends, and never a result; a link that is downloaded may lead to HTML all the same.
    #[must_use]
    pub const fn accept_html(mut self) -> Self {
        self.accept_html = true;
        self
    }

    /// How the states of several parts make one.
    #[must_use]
    pub const fn reduce(mut self, reduce: Reduce) -> Self {
        self.reduce = reduce;
        self
    }

    /// The places of two numbers whose ratio is the progress.
    #[must_use]
    pub fn progress_of(mut self, done: Source, total: Source) -> Self {
        self.progress_of = Some(Fraction { done, total });
        self
    }

    /// A place of the error's code, looked at first.
    #[must_use]
    pub fn error_code(mut self, at: Source) -> Self {
        first(&mut self.error_code, at);
        self
    }

    /// A place of the error's message, looked at first.
    #[must_use]
    pub fn error_message(mut self, at: Source) -> Self {
        first(&mut self.error_message, at);
        self
    }

    /// A code of an error that means that the task was canceled.
    #[must_use]
    pub fn canceled_code(mut self, code: impl Into<String>) -> Self {
        self.canceled_codes.push(code.into());
        self
    }

    /// The longest pause between polls that keeps a task alive, for services that drop one that nobody asks for. What
    /// the service asks for still comes first.
    #[must_use]
    pub const fn keep_alive(mut self, longest: Duration) -> Self {
        self.keep_alive = Some(longest);
        self
    }

    /// A second request, fired once when this word is seen, such as `PUT jobs/{id} {"state": "PROCESSING"}` at
    /// `READY`. A protocol has at most eight; those of one word are fired one after the other, in the order in which they
    /// were said.
    #[must_use]
    pub fn start(mut self, when: impl Into<String>, request: Exchange) -> Self {
        self.start.push(Start { when: when.into(), request });
        self
    }

    /// How long after its submit a task may be answered with 404 before that counts: 30 seconds by default.
    #[must_use]
    pub const fn visibility(mut self, grace: Duration) -> Self {
        self.visibility = grace;
        self
    }

    /// The result comes in pages ([`Outcome::pages`](crate::Outcome::pages)).
    #[must_use]
    pub fn pages(mut self, rule: PageRule) -> Self {
        self.pages = Some(rule);
        self
    }

    /// For how long in a row polls may fail before the wait ends with an error: 10 minutes by default.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// Puts a place first, and nowhere else.
fn first(places: &mut Vec<Source>, at: Source) {
    places.retain(|place| *place != at);
    places.insert(0, at);
}
