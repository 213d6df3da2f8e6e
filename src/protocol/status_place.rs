//! Status place: finds the status URL in the answer to a submit.

use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::cursor::Cursor;
use super::location::join;
use super::reading::Reading;
use super::reason::Reason;
use super::rules::{StatusKind, StatusUrl, numbered};
use super::shape::{is_hollow, is_resting, provisioning_state};
use super::step::{Report, Step};
use super::verdict::word;
use super::words::State;
use crate::error::ErrorKind;
use crate::pointer::{Source, link};

/// The words of a submit's answer.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub(super) known: Option<State>,
    /// Whether there is an unknown word. The next answer shows its meaning.
    pub(super) is_unknown: bool,
    /// Whether the word is a resting state of a resource, such as `active`.
    is_resting: bool,
    /// Whether the resource has a `provisioningState`: all but three of its words mean that it is not finished.
    is_provisioned: bool,
}

impl Said {
    pub(super) fn from_reading(reading: &Reading<'_>, report: &Report) -> Self {
        let (known, _) = word(reading);
        let is_resting = known.is_none() && report.word().is_some_and(is_resting);
        let is_provisioned = reading.body.and_then(provisioning_state).is_some();
        let is_unknown = known.is_none() && (is_provisioned || report.word().is_some());
        Self { known, is_unknown, is_resting: is_resting && !is_provisioned, is_provisioned }
    }

    pub(super) fn is_pending(self) -> bool {
        self.known.is_some_and(|state| !state.is_terminal())
    }

    /// Returns whether the answer may be pending if it names a status URL: the word is pending, or may be.
    fn may_be_pending(self) -> bool {
        self.is_pending() || (self.is_unknown && !self.is_resting)
    }
}

/// The place where the status is requested.
pub(super) struct Place {
    pub(super) url: Url,
    pub(super) kind: StatusKind,
    pub(super) is_location: bool,
    /// Whether the URL may hold the created resource, and no status.
    pub(super) is_created: bool,
    pub(super) reason: Reason,
}

impl Place {
    const fn new(url: Url, kind: StatusKind, reason: Reason) -> Self {
        Self { url, kind, is_location: false, is_created: false, reason }
    }
}

/// Returns the first usable status URL in this answer; `None` if the answer names none.
pub(super) fn find(reading: &mut Reading<'_>, said: Said) -> Result<Option<Place>, Step> {
    let is_accepted = reading.reply.status() == StatusCode::ACCEPTED;
    let (named, unusable) = named(reading, said);
    if named.is_some() {
        return Ok(named);
    }
    if (said.may_be_pending() || is_accepted)
        && reading.rules.rotates
        && let Some(url) = ["monitor", "status", "self"]
            .iter()
            .filter_map(|rel| rel_link(rel, reading))
            .find(|url| reading.cursor.admit(url).is_ok())
    {
        return Ok(Some(Place::new(url, StatusKind::Monitor, Reason::LinkRel)));
    }
    if let Some(place) = from_template(reading) {
        return place.map(Some);
    }
    if let Some((kind, reason)) = own_url(reading.cursor, said, is_accepted) {
        return Ok(Some(Place::new(reading.reply.url().clone(), kind, reason)));
    }
    match unusable {
        // A finished answer whose link leads nowhere is finished all the same.
        Some(step) if is_accepted || said.may_be_pending() => {
            reading.cursor.accepted_because(Reason::NowhereToAsk);
            Err(step)
        }
        _ => Ok(None),
    }
}

/// Finds the status URL in the beginning of an acceptance that is not complete JSON; otherwise as [`find`].
pub(super) fn find_in_beginning(reading: &mut Reading<'_>, said: Said) -> Option<Place> {
    let is_broken = reading.reply.status() == StatusCode::ACCEPTED && reading.body.is_none();
    let beginning = is_broken.then(|| reading.reply.beginning()).flatten()?;
    let mut reading = reading.with_beginning(&beginning);
    let id = reading.rules.id.iter().find_map(|at| at.text(reading.reply, reading.body));
    reading.cursor.id = reading.cursor.id.take().or_else(|| id.map(Into::into));
    find(&mut reading, said).ok().flatten()
}

/// Returns the place at one of the protocol's pointers; or why the first pointer with a value cannot be used.
fn named(reading: &Reading<'_>, said: Said) -> (Option<Place>, Option<Step>) {
    let (reply, body) = (reading.reply, reading.body);
    let mut unusable = None;
    for (pointer, place) in numbered(&reading.rules.status_url) {
        // The first of its values that can be used.
        let texts = pointer.at.texts(reply, body);
        let url = texts.iter().filter(|text| may_be_url(reading, pointer, text)).find_map(|text| {
            let url = join(reply.url(), text).map_err(|why| {
                no_status_url(reading, &format!("{} is no URL that can be requested: {why}", pointer.at))
            });
            match url.and_then(|url| reading.cursor.admit(&url).map(|()| url)) {
                Ok(url) => Some(url),
                Err(step) => {
                    unusable.get_or_insert(step);
                    None
                }
            }
        });
        let Some(url) = url else { continue };
        let Some((kind, is_created)) = counts(reading, pointer, said, &url) else { continue };
        let reason = if is_created { Reason::Created(place) } else { Reason::PointerAt(place) };
        let is_location = pointer.at == Source::header("location");
        return (Some(Place { url, kind, is_location, is_created, reason }), unusable);
    }
    (None, unusable)
}

/// Returns whether a text at a pointer may be a URL. A member may hold the URL in the answer to the submit, and the word
/// of the state in the answers to polls: a word must not become the URL of the next poll.
pub(super) fn may_be_url(reading: &Reading<'_>, pointer: &StatusUrl, text: &str) -> bool {
    let is_bare = !text.contains(['/', ':', '?', '#']);
    let is_word = reading.rules.classify(text).is_some() || reading.cursor.status_url().is_some();
    pointer.at.is_header() || !is_bare || !is_word
}

fn from_template(reading: &Reading<'_>) -> Option<Result<Place, Step>> {
    let template = reading.rules.status_template.as_ref()?;
    let made = template.url(reading.cursor.trust()?.base(), reading.filling())?;
    let url = made.map_err(|why| no_status_url(reading, &format!("the template `{template}` makes no URL: {why}")));
    let url = url.and_then(|url| reading.cursor.admit(&url).map(|()| url));
    Some(url.map(|url| Place::new(url, reading.rules.template_kind, Reason::Template)))
}

/// Returns whether the status is requested at the URL of the submit: at the resource that was put, or read.
fn own_url(cursor: &Cursor, said: Said, is_accepted: bool) -> Option<(StatusKind, Reason)> {
    let is_read = cursor.method == Method::GET || cursor.method == Method::HEAD;
    let changes = cursor.method == Method::PUT || cursor.method == Method::PATCH;
    let provisions = said.is_unknown && said.is_provisioned;
    if (changes && (said.is_pending() || provisions)) || (is_read && said.is_pending() && !is_accepted) {
        return Some((StatusKind::Resource, Reason::OwnUrl));
    }
    (is_read && is_accepted).then_some((StatusKind::Bare, Reason::OwnUrlAgain))
}

/// Returns whether the value of a pointer is the status URL, of which kind, and whether it must be read first.
fn counts(reading: &Reading<'_>, pointer: &StatusUrl, said: Said, url: &Url) -> Option<(StatusKind, bool)> {
    let status = reading.reply.status();
    let is_accepted = status == StatusCode::ACCEPTED;
    if !pointer.guess && !pointer.only_pending {
        return Some((pointer.kind, false));
    }
    // `active` is the resting state of a created resource, and no state of a task; beside a link to the status it may
    // be one.
    let rests = said.is_resting && (status == StatusCode::CREATED || pointer.at.ends_with("/self/href"));
    let is_pending = said.is_pending() || (said.is_unknown && !rests);
    if pointer.only_pending && !is_pending && !is_accepted {
        // A self link in a finished answer does not promise a task.
        return None;
    }
    if pointer.kind != StatusKind::Bare || is_accepted {
        return Some((pointer.kind, false));
    }
    // A created resource whose body has a state, or that asks to come back: the resource has the state.
    if said.may_be_pending() {
        return Some((StatusKind::Resource, false));
    }
    if reading.asks_to_retry() {
        return Some((StatusKind::Bare, false));
    }
    // No state at all: a 201 may belong to a job, and so may an answer that contains nothing else.
    let holds_nothing = reading.is_empty() || reading.body.is_some_and(is_hollow);
    let is_its_own_url = url == reading.reply.url() && !holds_nothing;
    let may_be_a_job = said.known.is_none()
        && !said.is_unknown
        && !is_its_own_url
        && pointer.at == Source::header("location")
        && (status == StatusCode::CREATED || holds_nothing);
    may_be_a_job.then_some((StatusKind::Bare, true))
}

/// Returns the link of a relation: in the header `Link` (RFC 8288), or in the body. `self` in the header refers to the
/// answer.
pub(super) fn rel_link(rel: &str, reading: &Reading<'_>) -> Option<Url> {
    let first = |targets: Vec<String>| targets.iter().find_map(|target| join(reading.reply.url(), target).ok());
    let in_header = first(link::in_headers(reading.reply.headers(), rel)).filter(|_| rel != "self");
    let in_body = |body: &Value| first(link::in_body(body, rel));
    in_header.or_else(|| in_body(reading.body?))
}

/// Returns the error of an acceptance that names no status URL.
pub(super) fn no_status_url(reading: &Reading<'_>, why: &str) -> Step {
    let why = format!(
        "{why}. Name the place of the status URL with Protocol::status_url; or the place of the task's id with Protocol::id, \
         and the URL that the id makes with Protocol::status_template"
    );
    reading.stop(ErrorKind::NoStatusUrl, why)
}
