//! Replay: a profile, tried on the recorded answers of a task.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method};

use super::Profile;
use crate::hint::Hints;
use crate::message::{Reply, Transcript, Trust};
use crate::protocol::{Cursor, Protocol, State, Step};
use crate::redact::{shown, veiled_url};

/// How a profile reads recorded answers: [`Profile::replay`].
///
/// `Display` prints a line for each answer, with the rule that read it, and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    lines: Vec<String>,
    end: Result<State, String>,
}

impl Replay {
    /// Returns the state at the end of the answers; `None` if the profile does not read them to an end.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.end.as_ref().ok().copied()
    }

    /// Returns why the profile does not read the answers to an end.
    #[must_use]
    pub fn flaw(&self) -> Option<&str> {
        self.end.as_ref().err().map(String::as_str)
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        match &self.end {
            Ok(state) => write!(f, "end: {state}"),
            Err(why) => write!(f, "no end: {why}"),
        }
    }
}

pub(super) fn replay(profile: &Profile, kind: Option<&str>, transcript: &Transcript) -> Replay {
    let mut lines = Vec::new();
    let end = read(profile, kind, transcript, &mut lines);
    Replay { lines, end }
}

fn read(
    profile: &Profile,
    kind: Option<&str>,
    transcript: &Transcript,
    lines: &mut Vec<String>,
) -> Result<State, String> {
    let protocol = protocol(profile, kind.or(transcript.kind()))?;
    protocol.check()?;
    let mut answers = transcript.answers().iter().peekable();
    let Some(first) = answers.peek() else { return Err("the transcript has no answer".into()) };
    let trust = Arc::new(Trust::new(transcript.base(), []));
    let mut cursor = Cursor::new(transcript.method().clone(), &first.url, SystemTime::UNIX_EPOCH).on_behalf(trust);
    let mut asked = (transcript.method().clone(), first.url.clone());
    while let Some(answer) = answers.next() {
        let reply = answer.reply()?;
        let came = reply.status();
        let meant = read_as(profile, &reply);
        let reply = match &meant {
            Some((status, _)) => {
                Reply::new(*status, reply.url().clone(), reply.headers().clone(), reply.body().clone())
            }
            None => reply,
        };
        let now = SystemTime::UNIX_EPOCH.checked_add(answer.after).unwrap_or(SystemTime::UNIX_EPOCH);
        let step = protocol.read(&mut cursor, &reply, now);
        let explained = protocol.explain(&cursor);
        let rule = explained.lines().last().unwrap_or_default().trim_start_matches("last answer: ").to_owned();
        lines.push(format!("{} {} -> {}: {}", asked.0, shown(&asked.1), came.as_u16(), words(&step)));
        if let Some((status, place)) = meant {
            lines.push(format!("     envelopes[{place}] reads it as {}", status.as_u16()));
        }
        if let Some(wait) = asked_wait(profile, &reply, now) {
            lines.push(format!("     it asks to wait {wait:?}"));
        }
        if let Step::Wait(report) | Step::Done(report, _) = &step
            && let Some(warning) = report.warning()
        {
            lines.push(format!("     warning: {warning}"));
        }
        lines.push(format!("     {rule}"));
        let ended = match &step {
            Step::Done(report, _) | Step::Ended(report, _) => Some(report.state()),
            Step::Stop { why, .. } => return Err(format!("{why} (the last rule: {rule})")),
            Step::Wait(_) | Step::Follow { .. } => None,
        };
        if let Some(state) = ended {
            return match answers.len() {
                0 => Ok(state),
                left => Err(format!("the profile sees the end `{state}` before the last {left} answers")),
            };
        }
        let Some(next) = answers.peek() else {
            return Err(format!("the transcript ends while the profile takes the task for `{}`", state_of(&step)));
        };
        let Some(asking) = protocol.next(&cursor, HeaderMap::new()) else {
            return Err("the profile has no next request: it found no status URL".into());
        };
        asked = (asking.request.method().clone(), veiled_url(asking.request.url()));
        let is_same = |url: &url::Url| veiled_url(url) == asked.1;
        if !is_same(&next.url) && asked.0 != Method::POST {
            return Err(format!(
                "the profile would ask {} {}, and the next answer in the transcript is that of {}",
                asked.0,
                shown(&asked.1),
                shown(&next.url)
            ));
        }
    }
    Err("the transcript has no answer".into())
}

fn protocol<'p>(profile: &'p Profile, kind: Option<&str>) -> Result<&'p Protocol, String> {
    let Some(kind) = kind else { return Ok(profile.default_protocol()) };
    profile.kinds().get(kind).ok_or_else(|| {
        let kinds: Vec<&str> = profile.kinds().keys().map(String::as_str).collect();
        format!("the profile `{}` has no kind `{kind}`; its kinds are [{}]", profile.name(), kinds.join(", "))
    })
}

/// Returns the status that an envelope rule reads the answer as, and which rule.
fn read_as(profile: &Profile, reply: &Reply) -> Option<(http::StatusCode, usize)> {
    let body = reply.json();
    let rules = profile.envelopes().iter().zip(0..);
    rules.into_iter().find_map(|(rule, place)| Some((rule.read(reply, body.as_ref())?, place)))
}

/// Returns the wait that a refusal asks for, by the profile's hints and the known headers.
fn asked_wait(profile: &Profile, reply: &Reply, now: SystemTime) -> Option<Duration> {
    let is_refusal = matches!(reply.status().as_u16(), 429 | 503);
    is_refusal.then(|| Hints::from_reply(reply, profile.hints(), now).delay()).flatten()
}

fn words(step: &Step) -> String {
    match step {
        Step::Wait(report) => {
            let percent = report.percent().map(|percent| format!(", {percent:.0} %")).unwrap_or_default();
            let word = report.word().map(|word| format!(" (`{word}`)")).unwrap_or_default();
            let hint = report.hint().map(|hint| format!(", asks to wait {hint:?}")).unwrap_or_default();
            format!("{}{word}{percent}{hint}", report.state())
        }
        Step::Follow { url, .. } => format!("leads to {}", shown(url)),
        Step::Done(report, finding) => match finding.links.len() {
            0 => format!("{}, with a value", report.state()),
            links => format!("{}, with {links} link(s)", report.state()),
        },
        Step::Ended(report, fault) => {
            let code = fault.code().map(|code| format!(" `{code}`")).unwrap_or_default();
            let message = fault.message().map(|message| format!(": {message}")).unwrap_or_default();
            format!("{}{code}{message}", report.state())
        }
        Step::Stop { why, .. } => why.clone(),
    }
}

fn state_of(step: &Step) -> State {
    match step {
        Step::Wait(report) | Step::Done(report, _) | Step::Ended(report, _) => report.state(),
        Step::Follow { report: Some(report), .. } => report.state(),
        _ => State::Running,
    }
}
