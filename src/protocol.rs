//! Protocol: how an API speaks of tasks. A pure reader: a response goes in, a step comes out.

mod accept;
mod cursor;
mod fault;
mod location;
mod poll;
mod presets;
mod result;
mod step;
mod words;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use url::Url;

pub use cursor::Cursor;
pub use step::{Finding, Report, Step};
pub use words::State;

pub(crate) use cursor::Phase;
pub(crate) use fault::read as read_fault;
pub(crate) use location::join;

use crate::hint::Unit;
use crate::message::Reply;
use crate::pointer::Source;

/// How an API speaks of tasks: where the status URL stands, what its words mean, where the result is.
///
/// A protocol is data: it can be written as JSON or TOML, and every part has a setter. Start from
/// [`Protocol::auto`], which reads the common handshakes, and say only what differs.
///
/// ```
/// use longhaul::{Protocol, ResultKind, Source, State};
///
/// let protocol = Protocol::auto()
///     .named("video_render")
///     .id(Source::pointer("/job/id"))
///     .status_template("jobs/{id}")
///     .word("READY", State::Succeeded)
///     .result(Source::pointer("/job/file"), ResultKind::Link);
/// assert_eq!(protocol.name(), "video_render");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protocol {
    name: String,
    status_url: Vec<StatusUrl>,
    rotates: bool,
    id: Vec<Source>,
    status_template: Option<String>,
    template_kind: StatusKind,
    state: Vec<Source>,
    words: BTreeMap<String, State>,
    done: Vec<Source>,
    progress: Vec<Source>,
    progress_unit: ProgressUnit,
    intervals: Vec<Interval>,
    default_interval: Option<Duration>,
    result: Vec<ResultRule>,
    final_state_via: Option<FinalStateVia>,
    cancel: Option<String>,
    patience: Duration,
}

/// What stands behind a status URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StatusKind {
    /// The HTTP status tells: 202 is pending, 200 is the result itself. A document that is plainly a monitor is read
    /// as one.
    #[default]
    Bare,
    /// A status document: its word tells.
    Monitor,
    /// The created resource, with a state inside.
    Resource,
}

/// What stands where a result is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResultKind {
    /// The value itself. A text that is an absolute URL is taken as a link.
    Value,
    /// The URL of the result: fetched when it lies on the API's own origin and is not signed; else it is the link.
    Url,
    /// A link, or several, to be downloaded. It is never fetched to be read.
    Link,
}

/// Where the final value is, if the API says so (the `final-state-via` of the Azure specifications).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinalStateVia {
    /// In the status document.
    Operation,
    /// At the last `Location`.
    Location,
    /// At the URL that the task was submitted to.
    OriginalUri,
}

/// What the numbers of a progress member mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProgressUnit {
    /// 0 to 100.
    #[default]
    Percent,
    /// 0 to 1.
    Fraction,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusUrl {
    at: Source,
    kind: StatusKind,
    /// It counts only beside 202 or a pending word: else it is a link to what was created.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    only_pending: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    at: Source,
    unit: Unit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultRule {
    at: Source,
    kind: ResultKind,
}

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

    /// A place of the status URL in the submit's answer, looked at before those that stand already.
    #[must_use]
    pub fn prefer_status_url(mut self, at: Source, kind: StatusKind) -> Self {
        self.status_url.insert(0, StatusUrl { at, kind, only_pending: false });
        self
    }

    /// A place of the status URL in the submit's answer, looked at after those that stand already.
    #[must_use]
    pub fn status_url(mut self, at: Source, kind: StatusKind) -> Self {
        self.status_url.push(StatusUrl { at, kind, only_pending: false });
        self
    }

    /// The place of the task's id in the submit's answer.
    #[must_use]
    pub fn id(mut self, at: Source) -> Self {
        self.id.insert(0, at);
        self
    }

    /// The status URL of a task by its id, relative to the client's base: `jobs/{id}`. `{id}` is one path segment,
    /// percent-encoded; `{+id}` keeps its slashes.
    #[must_use]
    pub fn status_template(mut self, template: impl Into<String>) -> Self {
        self.status_template = Some(template.into());
        self
    }

    /// The place of the state's word, looked at first.
    #[must_use]
    pub fn state(mut self, at: Source) -> Self {
        self.state.insert(0, at);
        self
    }

    /// What a word of this API means, before the common words. Case, spaces, `_` and `-` do not count.
    #[must_use]
    pub fn word(mut self, word: &str, state: State) -> Self {
        self.words.insert(words::plain(word), state);
        self
    }

    /// A value here means success, unless a word says that the task is pending or has failed.
    #[must_use]
    pub fn done(mut self, at: Source) -> Self {
        self.done.push(at);
        self
    }

    /// The place of the progress, looked at first, and the unit of all.
    #[must_use]
    pub fn progress(mut self, at: Source, unit: ProgressUnit) -> Self {
        self.progress.insert(0, at);
        self.progress_unit = unit;
        self
    }

    /// A place that says when to poll next, looked at after the `Retry-After` headers.
    #[must_use]
    pub fn interval(mut self, at: Source, unit: Unit) -> Self {
        self.intervals.push(Interval { at, unit });
        self
    }

    /// How long to wait between polls where the service has never said.
    #[must_use]
    pub const fn default_interval(mut self, interval: Duration) -> Self {
        self.default_interval = Some(interval);
        self
    }

    /// A place of the result in the finished answer, looked at after those that were added before it, and before
    /// those of the protocol it began as.
    #[must_use]
    pub fn result(mut self, at: Source, kind: ResultKind) -> Self {
        let base = Self::auto().result;
        let own = self.result.iter().position(|rule| base.contains(rule)).unwrap_or(self.result.len());
        self.result.insert(own, ResultRule { at, kind });
        self
    }

    /// Where the final value is, whatever the answers hint at.
    #[must_use]
    pub const fn final_state_via(mut self, via: FinalStateVia) -> Self {
        self.final_state_via = Some(via);
        self
    }

    /// How a task is canceled: a method and a URL template relative to the base, such as `POST jobs/{id}/cancel`;
    /// `DELETE {status}` stands for the status URL.
    #[must_use]
    pub fn cancel(mut self, how: impl Into<String>) -> Self {
        self.cancel = Some(how.into());
        self
    }

    /// For how long in a row polls may fail before the wait ends with an error: 10 minutes by default.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Reads one answer: moves the cursor, and says what to do next.
    ///
    /// `now` is the wall time, for dates in headers. It never panics, whatever the answer holds.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use http::{HeaderMap, Method, StatusCode};
    /// use longhaul::{Cursor, Protocol, Reply, State, Step};
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
        match cursor.phase {
            Phase::Submit => accept::read(self, cursor, reply, now),
            Phase::Poll => poll::read(self, cursor, reply, now),
            Phase::Moved => poll::read_moved(self, cursor, reply, now),
            Phase::Result => result::read(self, cursor, reply, now),
        }
    }

    /// Reads that no answer came: the task's state is what it was, and the wait goes on while there is patience.
    #[must_use]
    pub fn read_silence(&self, cursor: &mut Cursor, why: &str, now: SystemTime) -> Step {
        poll::trouble(self, cursor, Report::new(State::Running), why, now)
    }

    /// The request that cancels the task at the cursor: method and URL; `None` where there is none.
    pub(crate) fn cancel_request(&self, cursor: &Cursor, base: &Url) -> Option<(http::Method, Url)> {
        let (method, target) = self.cancel.as_deref()?.split_once(' ')?;
        let method = method.parse().ok()?;
        if target == "{status}" {
            return Some((method, cursor.status_url.as_deref()?.parse().ok()?));
        }
        let target = if target.contains("id}") {
            crate::pointer::expand(target, cursor.id.as_deref()?)
        } else {
            target.to_owned()
        };
        join(base, &target).ok().map(|url| (method, url))
    }

    pub(crate) const fn interval_without_hint(&self) -> Option<Duration> {
        self.default_interval
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self::auto()
    }
}
