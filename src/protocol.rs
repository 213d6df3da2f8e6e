//! Protocol: how an API speaks of tasks. A pure reader: a response goes in, a step comes out.

mod accept;
mod check;
mod cookies;
mod created;
mod cursor;
mod exchange;
mod fault;
mod flaw;
mod location;
mod named;
mod next;
mod page;
mod place;
mod plain;
mod poll;
mod presets;
mod result;
mod result_rule;
mod rule;
mod setters;
mod start;
mod step;
mod template;
mod trouble;
mod verdict;
mod words;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub use cursor::Cursor;
pub use exchange::{Exchange, ExchangeError};
pub use next::Next;
pub use page::PageRule;
pub use step::{Finding, Report, Step};
pub use words::State;

pub(crate) use cookies::Cookies;
pub(crate) use cursor::Phase;
pub(crate) use exchange::Asking;
pub(crate) use fault::read_common as read_fault;
pub(crate) use location::join;
pub(crate) use page::{NoPage, Page};

use crate::clock::seconds;
use crate::error::Fault;
use crate::hint::Unit;
use crate::message::Reply;
use crate::pointer::Source;

use named::Before;
use result_rule::{ResultPlace, ResultRule};
use rule::Rule;
use template::Template;

/// How an API speaks of tasks: where the status URL stands, what its words mean, where the result is.
///
/// A protocol is data: it can be written as JSON or TOML, and every part has a setter. Start from
/// [`Protocol::auto`], which reads the common handshakes, and say only what differs. What you say goes before what stands
/// already: a place that is said last is looked at first, and replaces what was said of the same place.
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
    // The submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefer: Option<String>,
    status_url: Vec<StatusUrl>,
    rotates: bool,
    id: Vec<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_template: Option<Template>,
    template_kind: StatusKind,
    // The poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<Exchange>,
    repeat_query: Vec<String>,
    cookies: bool,
    conditional: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_header: Option<Source>,
    state: Vec<Source>,
    reduce: Reduce,
    #[serde(deserialize_with = "words::plain_keys")]
    words: BTreeMap<String, State>,
    statuses: BTreeMap<String, State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    without_state: Option<State>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accept_html: bool,
    done: Vec<Source>,
    progress: Vec<Source>,
    progress_unit: ProgressUnit,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_of: Option<Fraction>,
    error_code: Vec<Source>,
    error_message: Vec<Source>,
    canceled_codes: Vec<String>,
    intervals: Vec<Interval>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    default_interval: Option<Duration>,
    #[serde(with = "seconds::option", skip_serializing_if = "Option::is_none")]
    keep_alive: Option<Duration>,
    start: Vec<Start>,
    #[serde(with = "seconds")]
    patience: Duration,
    #[serde(with = "seconds")]
    visibility: Duration,
    // The end.
    result: Vec<ResultRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<PageRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    final_state_via: Option<FinalStateVia>,
    #[serde(with = "exchange::or_none")]
    cancel: Option<Exchange>,
    cancel_url: Vec<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cleanup: Option<Exchange>,
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
    /// Known from other services, and not said of this one: it counts only where the answer shows that there is a task.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    guess: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    at: Source,
    unit: Unit,
}

/// How the states of several parts make one, where a place such as `/parts/*/state` has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reduce {
    /// The first counts.
    #[default]
    First,
    /// It ends when all have ended: succeeded if all did, partially succeeded if some did.
    All,
    /// It ends with the first that ends.
    Any,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fraction {
    done: Source,
    total: Source,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    when: String,
    request: Exchange,
}

impl StatusKind {
    const fn words(self) -> &'static str {
        match self {
            Self::Bare => "bare: its HTTP status tells",
            Self::Monitor => "a monitor: its word tells",
            Self::Resource => "the resource, with a state inside",
        }
    }
}

impl Protocol {
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
        if self.cookies || cursor.keeps_cookies() {
            cursor.extra().cookies.take(reply.url(), reply.headers());
        }
        let before = Before::of(cursor, reply);
        let step = match cursor.phase {
            Phase::Submit => accept::read(self, cursor, reply, now),
            Phase::Poll => poll::read(self, cursor, reply, now),
            Phase::Moved => poll::read_moved(self, cursor, reply, now),
            Phase::Start => start::read(self, cursor, reply, now),
            Phase::Result => result::read(self, cursor, reply, now),
        };
        let step = match before {
            Some(before) => before.mark(cursor, step, self.pages.as_ref().is_some_and(PageRule::reads_an_answer)),
            None => step,
        };
        match &self.pages {
            Some(rule) => rule.begin(step, reply),
            None => step,
        }
    }

    /// Reads that no answer came: the task's state is what it was, and the wait goes on while there is patience.
    #[must_use]
    pub fn read_silence(&self, cursor: &mut Cursor, why: &str, now: SystemTime) -> Step {
        cursor.because(Rule::NoAnswer);
        trouble::wait(self, cursor, Report::new(cursor.state), why, Fault::default(), now)
    }

    /// Why the answers up to the cursor were read as they were, in words that a person can act on.
    pub(crate) fn explain(&self, cursor: &Cursor) -> String {
        let (submit, last) = cursor.rules();
        let mut lines = vec![format!("protocol: {}", self.name)];
        if submit != Rule::NotReadYet {
            lines.push(format!("submit: {}", submit.words(self)));
        }
        if let Some(url) = cursor.status_url() {
            lines.push(format!("status URL: {url} ({})", cursor.kind.words()));
        }
        if last != Rule::NotReadYet {
            lines.push(format!("last answer: {}", last.words(self)));
        }
        lines.join("\n")
    }

    pub(crate) const fn interval_without_hint(&self) -> Option<Duration> {
        self.default_interval
    }

    pub(crate) const fn longest_interval(&self) -> Option<Duration> {
        self.keep_alive
    }

    pub(crate) const fn page_rule(&self) -> Option<&PageRule> {
        self.pages.as_ref()
    }

    pub(crate) fn prefer_header(&self) -> Option<&str> {
        self.prefer.as_deref()
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self::auto()
    }
}
