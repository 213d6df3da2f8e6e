//! Reason: why an answer was read as it was, for `explain()`.

use super::rules::Rules;

/// The reason why an answer was read as it was. Numbers are indices into the lists of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reason {
    #[default]
    NotReadYet,
    // The answer to a submit.
    Refused,
    PointerAt(u8),
    LinkRel,
    Template,
    OwnUrl,
    FinishedAtOnce,
    WholeAtOnce,
    NowhereToAsk,
    PendingNowhere,
    Flawed,
    OwnUrlAgain,
    Created(u8),
    // The answer to a poll.
    Word(u8),
    UnknownWord(u8),
    Reduced,
    Operation,
    Status(u16),
    Pending202,
    PendingByDefault,
    DoneAt(u8),
    FullProgress,
    PartialProgress,
    BareResult,
    WithoutState,
    SuccessBesideError,
    Unreadable,
    NoContent,
    FoundByHead,
    CreatedResource,
    CreatedRefused(u16),
    Unchanged,
    Transient(u16),
    NoAnswer,
    TerminalInError(u16),
    NotVisible,
    Redirected(u16),
    SignedRedirect,
    GoneAfterCancel,
    GoneAfterDelete,
    Gone(u16),
    Forbidden(u16),
    BareRefusal(u16),
    StatusRefused(u16),
    StartFired(u8),
    StartRefused,
    // The way to the result.
    FinalStateVia,
    ResultAt(u8),
    Pages,
    LastLocation,
    OriginalUri,
    StatusDocument,
    ResultBody,
    ResultTooLarge,
    LinkInResult(u8),
    ResultNotReady,
    ResultNotVisible,
    ResultRefused(u16),
    ResultUnusable,
    Untrusted,
}

impl Reason {
    /// Returns the reason in words that a person can act on.
    pub(super) fn words(self, rules: &Rules) -> String {
        let nth = |list: Vec<String>, at: u8| list.get(usize::from(at)).cloned().unwrap_or_default();
        let pointer = |at| nth(rules.status_url.iter().map(|pointer| pointer.at.to_string()).collect(), at);
        let state = |at| nth(rules.state.iter().map(ToString::to_string).collect(), at);
        let done = |at| nth(rules.done.iter().map(ToString::to_string).collect(), at);
        let result = |at| nth(rules.result.iter().map(|rule| rule.at.to_string()).collect(), at);
        match self {
            Self::NotReadYet => "nothing was read yet".into(),
            Self::Refused => "the submit was refused: it is no 2xx".into(),
            Self::PointerAt(at) => format!("the status URL stands at {}", pointer(at)),
            Self::LinkRel => "the status URL is a link with a rel of monitor, status or self".into(),
            Self::Template => {
                let template = rules.status_template.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("the status URL is the template `{template}` with the task's id")
            }
            Self::OwnUrl => "a resource that was put, with a pending state, is polled at its own URL".into(),
            Self::FinishedAtOnce => "the submit's answer already holds a final state".into(),
            Self::WholeAtOnce => {
                "a 200, 201 or 204 without a status URL and without a pending state is the result".into()
            }
            Self::NowhereToAsk => {
                "202 without a status URL at the protocol's places, in links, or at a template".into()
            }
            Self::PendingNowhere => "the answer is pending, and names no status URL".into(),
            Self::Flawed => "the body is no document of the API, and no header names a status URL".into(),
            Self::OwnUrlAgain => "202 to a GET without a status URL: the same URL is polled".into(),
            Self::Created(at) => {
                format!("201 with a URL at {}, and no state: the first poll reads that URL", pointer(at))
            }
            Self::Word(at) => format!("the word at {} is known", state(at)),
            Self::UnknownWord(at) => {
                format!(
                    "the word at {} is not known, which counts as running: set its meaning with Protocol::word",
                    state(at)
                )
            }
            Self::Reduced => "the words of all parts were combined".into(),
            Self::Operation => "`done` of a long-running operation says whether it is finished".into(),
            Self::Status(code) => format!("the protocol gives the HTTP status {code} this state"),
            Self::Pending202 => "202 without a word means that it is not finished".into(),
            Self::PendingByDefault => "the protocol gives a missing state this meaning".into(),
            Self::FullProgress => "its progress is full, which means that it is done".into(),
            Self::PartialProgress => "its progress is not full yet".into(),
            Self::DoneAt(at) => format!("there is a value at {}, which means that it is done", done(at)),
            Self::BareResult => {
                "a 2xx other than 202 at a bare status URL, without a pending word, is the result itself".into()
            }
            Self::WithoutState => "a resource without a state is finished".into(),
            Self::SuccessBesideError => "a success word beside an error means failed".into(),
            Self::Unreadable => "a status document must have a state: set its place with Protocol::state".into(),
            Self::NoContent => "204 at a status that was readable before means that it is done".into(),
            Self::FoundByHead => "HEAD found the end, and GET fetches the body".into(),
            Self::CreatedResource => "the created resource has no state of a task, so it is the result".into(),
            Self::CreatedRefused(code) => {
                format!("{code} at the Location of the created resource: the answer of the submit is the result")
            }
            Self::Unchanged => "304: nothing changed".into(),
            Self::Transient(code) => format!("{code} does not describe the task, and may pass"),
            Self::NoAnswer => "no answer came, so the state of the task is unknown".into(),
            Self::TerminalInError(code) => format!("the body of the {code} holds a final state, which counts"),
            Self::NotVisible => "404 of a task that was never seen, soon after its submit, may pass".into(),
            Self::Redirected(code) => format!("{code} leads on"),
            Self::SignedRedirect => "a redirect to a signed link is the result itself".into(),
            Self::GoneAfterCancel => "404 after a cancel means canceled".into(),
            Self::GoneAfterDelete => "404 after a DELETE means that it is done".into(),
            Self::Gone(code) => format!("{code}: the status is gone, and how the task ended is unknown"),
            Self::Forbidden(code) => format!("{code}: the credential may not read the status"),
            Self::BareRefusal(code) => format!("{code} at a bare status URL means that the task failed"),
            Self::StatusRefused(code) => format!("{code} at a monitor does not describe the task, and does not pass"),
            Self::StartFired(at) => match rules.start.get(usize::from(at)) {
                Some(start) => format!("the word `{}` fires `{}`", start.when, start.request),
                None => String::new(),
            },
            Self::StartRefused => "the request that the word fired was refused".into(),
            Self::FinalStateVia => "the protocol's final-state-via names the place of the result".into(),
            Self::ResultAt(at) => format!("the result stands at {}", result(at)),
            Self::Pages => "the protocol gives the URL of the first page".into(),
            Self::LastLocation => "the last Location, which is not the status URL, is the result's".into(),
            Self::OriginalUri => "the result of a PUT or PATCH is the resource itself".into(),
            Self::StatusDocument => "no place names a result, so the final body is the result".into(),
            Self::ResultBody => "the body at the result's URL is the value".into(),
            Self::ResultTooLarge => "the result is larger than the body limit, so its URL is the link".into(),
            Self::LinkInResult(at) => format!("the body at the result's URL holds a link at {}", result(at)),
            Self::ResultNotReady => "202 at the result's URL: back to the status".into(),
            Self::ResultNotVisible => "404 at the result's URL, soon after the end, may pass".into(),
            Self::ResultRefused(code) => format!("{code} at the result's URL"),
            Self::ResultUnusable => "the result's link cannot be used".into(),
            Self::Untrusted => "the URL leads where no request may go".into(),
        }
    }
}
