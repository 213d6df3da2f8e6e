//! The lines on stdout. Scripts parse them: their members and the order of the members stay unchanged.

use std::io::{self, Write};
use std::time::Duration;

use longhaul::{Error, ErrorKind, Outcome, ResumeToken, State, Update};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Prints one line, and flushes it.
pub(crate) fn print(line: &impl Serialize) -> Result<(), Trouble> {
    let write = || {
        let mut stdout = io::stdout().lock();
        serde_json::to_writer(&mut stdout, line)?;
        writeln!(stdout)?;
        stdout.flush()
    };
    write().map_err(|error: io::Error| Trouble::io(&format!("stdout cannot be written: {error}")))
}

#[derive(Serialize)]
pub(crate) struct UpdateLine {
    event: &'static str,
    state: State,
    word: Option<String>,
    percent: Option<f64>,
    status: Option<u16>,
    next_poll_ms: Option<u64>,
    warning: Option<String>,
}

impl UpdateLine {
    pub(crate) fn of(update: &Update) -> Self {
        Self {
            event: "update",
            state: update.state(),
            word: update.word().map(scrub),
            percent: update.percent(),
            status: update.status().map(|status| status.as_u16()),
            next_poll_ms: update.next_poll().map(millis),
            warning: update.warning().map(scrub),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct DownloadLine {
    pub(crate) event: &'static str,
    pub(crate) bytes: u64,
    pub(crate) file: String,
}

/// The token to resume from, before the last line of a run that was interrupted.
#[derive(Serialize)]
pub(crate) struct TokenLine {
    event: &'static str,
    token: ResumeToken,
}

impl TokenLine {
    pub(crate) fn of(token: ResumeToken) -> Self {
        Self { event: "token", token }
    }
}

/// The last line.
#[derive(Serialize)]
pub(crate) struct End {
    event: &'static str,
    outcome: &'static str,
    value: Option<Box<RawValue>>,
    link: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<String>,
    error: Option<Trouble>,
    status: Option<u16>,
    polls: u32,
}

impl End {
    pub(crate) fn of_outcome(outcome: &Outcome<Box<RawValue>>, has_pages: bool) -> Self {
        let links: Vec<_> = outcome.links().iter().map(ToString::to_string).collect();
        let value = outcome.value().ok().map(|value| compact(value.get()));
        let value = value.or_else(|| outcome.text().and_then(|text| to_raw_value(&text).ok()));
        Self {
            outcome: outcome.state().as_str(),
            value: value.filter(|value| !has_pages && value.get() != "null"),
            link: links.first().cloned(),
            links: if links.len() > 1 { links } else { Vec::new() },
            error: None,
            ..Self::new()
        }
        .at(outcome.last_update())
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        let outcome = match error.kind() {
            ErrorKind::TaskFailed => "failed",
            ErrorKind::TaskCanceled => "canceled",
            ErrorKind::TaskExpired => "expired",
            _ => "error",
        };
        Self {
            outcome,
            error: Some(Trouble::of(error)),
            status: error.status().map(|status| status.as_u16()),
            polls: error.polls().unwrap_or_default(),
            ..Self::new()
        }
    }

    pub(crate) fn error(trouble: Trouble) -> Self {
        Self::new().but(trouble)
    }

    /// Returns the same end with an error that happened after all.
    pub(crate) fn but(self, trouble: Trouble) -> Self {
        Self { outcome: "error", error: Some(trouble), ..self }
    }

    pub(crate) fn at(self, update: &Update) -> Self {
        Self { status: update.status().map(|status| status.as_u16()), polls: update.polls(), ..self }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self.outcome {
            "succeeded" => 0,
            "partially_succeeded" => 3,
            "failed" | "canceled" | "expired" => 1,
            _ => 2,
        }
    }

    const fn new() -> Self {
        let (event, outcome) = ("outcome", "error");
        Self { event, outcome, value: None, link: None, links: Vec::new(), error: None, status: None, polls: 0 }
    }
}

/// The error, in the service's words if there are any.
#[derive(Serialize)]
pub(crate) struct Trouble {
    kind: String,
    code: Option<String>,
    message: String,
    body: Option<String>,
}

impl Trouble {
    pub(crate) fn of(error: &Error) -> Self {
        let fault = error.fault();
        let body = fault.map(longhaul::Fault::body).filter(|body| !body.is_empty());
        Self {
            kind: error.kind().as_str().to_owned(),
            code: fault.and_then(|fault| fault.code()).map(scrub),
            message: fault.and_then(|fault| fault.message()).map_or_else(|| error.to_string(), scrub),
            body: body.map(|body| String::from_utf8_lossy(body).into_owned()),
        }
    }

    pub(crate) fn interrupted(how: &str) -> Self {
        Self::plain("interrupted", &format!("interrupted; {how}"))
    }

    pub(crate) fn io(message: &str) -> Self {
        Self::plain("io", message)
    }

    fn plain(kind: &str, message: &str) -> Self {
        Self { kind: kind.into(), code: None, message: message.into(), body: None }
    }
}

/// Returns JSON on one line, with the digits of its numbers unchanged.
fn compact(json: &str) -> Box<RawValue> {
    let (mut text, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        if in_string {
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_string = letter == '"';
        }
        text.push(letter);
    }
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Returns a service's words without signatures: every URL in them loses its query.
fn scrub(text: &str) -> String {
    let clean = |word: &str| {
        let small = word.to_ascii_lowercase();
        let signed = small.contains("sig=") || small.contains("signature=");
        match word.find('?') {
            Some(query) if signed || small.contains("://") => format!("{}?…", word.split_at(query).0),
            _ if signed => "…".to_owned(),
            _ => word.to_owned(),
        }
    };
    text.split(' ').map(clean).collect::<Vec<_>>().join(" ")
}

fn millis(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}
