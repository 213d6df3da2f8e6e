//! Asking: sends one request of a task, and interprets its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use tokio::time::Instant;
use url::Url;

use super::masked::masked;
use super::transcripts::{Transcripts, names_of};
use super::{PollPolicy, TaskShared};
use crate::download::Carrier;
use crate::error::{Error, ErrorKind, Fault};
use crate::hint::from_answer;
use crate::message::{Reply, Response};
use crate::protocol::{Asking, Cursor, Finding, Protocol, Purpose, Step, clean_urls};
use crate::redact::SecretUrl;
use crate::throttle::{Acquire, Permit};
use crate::transport::{Broken, Sending, Transport, by};

/// The state that the tasks of one kind share.
pub(crate) struct TaskCore {
    pub(crate) transport: Arc<Transport>,
    pub(crate) carrier: Arc<Carrier>,
    pub(crate) protocol: Protocol,
    /// The kind's name in the client's profile; `None` for the profile's default.
    pub(crate) kind: Option<Arc<str>>,
    /// Whether the protocol was given with the task, and is in no profile.
    pub(crate) given: bool,
    pub(crate) pace: PollPolicy,
    /// The age from which on a task is reported as long.
    pub(crate) long_after: Option<Duration>,
    /// The client's base URL, as tokens record it.
    pub(crate) base: Url,
    /// Keeps the answers, if the user asked for it.
    pub(crate) transcripts: Option<Transcripts>,
}

/// The outcome of a request; an error if another attempt makes no sense.
pub(super) type PollAnswer = Result<Heard, Error>;

pub(super) enum Heard {
    /// An answer; with its body as a stream if that is too large to hold.
    Reply(Box<Reply>, Option<Response>),
    /// No answer; another attempt may help.
    Silence(String),
}

impl Heard {
    /// Returns the body that is too large to hold, if there is one.
    pub(super) fn rest(self) -> Option<Response> {
        match self {
            Self::Reply(_, rest) => rest,
            Self::Silence(_) => None,
        }
    }

    /// Returns how long a refusal asks the client to stay away.
    pub(super) fn asks_to_wait(&self, now: SystemTime) -> Option<Duration> {
        let Self::Reply(reply, _) = self else { return None };
        let is_refused = reply.status().as_u16() >= 400;
        is_refused.then(|| from_answer(reply.status(), reply.headers(), now, |_| false).delay)?
    }
}

impl TaskCore {
    /// Sends the next request, with the permit if the task waited for one. A poll is a single attempt: the task itself
    /// schedules the next one.
    pub(super) async fn ask(&self, asking: Asking, permit: Option<Permit>, deadline: Option<Instant>) -> PollAnswer {
        let Asking { request, purpose, mut jar } = asking;
        let sending = Sending::of(&self.transport, &request).until(deadline);
        let response = match purpose {
            Purpose::Result => sending.jar(jar.as_mut()).send().await.map_err(|error| match error.kind() {
                ErrorKind::DeadlineExceeded => error,
                _ => {
                    let lost = "the task succeeded, and its result gave no answer";
                    Error::new(ErrorKind::ResultUnavailable, lost).with_source(error)
                }
            })?,
            Purpose::Start => sending.jar(jar.as_mut()).send().await?,
            Purpose::Status => {
                match by(deadline, pin!(sending.permit(permit).attempt()))
                    .await
                    .map_err(|late| self.transport.late(late))?
                {
                    Ok(response) => response,
                    // The task continues at the service, and a token may be available for the next poll.
                    Err(Broken::Refused(error)) if is_passing(error.kind()) => {
                        return Ok(Heard::Silence(format!("the status could not be requested: {error}")));
                    }
                    Err(Broken::Refused(error)) => return Err(error),
                    Err(Broken::Lost(error)) => {
                        return Ok(Heard::Silence(format!(
                            "the status gave no answer: {}",
                            crate::error::with_cause(&error)
                        )));
                    }
                }
            }
        };
        if purpose == Purpose::Start {
            // The headers of the answer count; a body that breaks off revokes nothing.
            return Ok(Heard::Reply(Box::new(response.reply_as_far_as_it_comes().await), None));
        }
        let bare = response.cut();
        Ok(match by(deadline, pin!(response.reply_or_rest())).await? {
            Ok((reply, rest)) => Heard::Reply(Box::new(reply), rest),
            // An error status is complete without a body.
            Err(_) if !bare.status().is_success() => Heard::Reply(Box::new(bare), None),
            Err(_) => Heard::Silence("the answer broke off".into()),
        })
    }

    /// Interprets an answer, and advances the cursor.
    pub(super) fn read(&self, cursor: &mut Cursor, heard: &Heard) -> Step {
        match heard {
            Heard::Reply(reply, _) => self.read_reply(cursor, reply),
            Heard::Silence(why) => {
                let step = self.protocol.read_silence(cursor, why, self.transport.wire.clock.now());
                masked(step, || self.transport.wire.hidden.mask(), self.transport.credential.is_none())
            }
        }
    }

    /// Interprets a reply, and advances the cursor.
    pub(crate) fn read_reply(&self, cursor: &mut Cursor, reply: &Reply) -> Step {
        let before = cursor.status_url();
        let names = self.transcripts.as_ref().map(|kept| (kept, names_of(cursor)));
        let mut step = self.protocol.read(cursor, reply, self.transport.wire.clock.now());
        if let Err(error) = self.leads_well(reply.url(), before.as_ref(), cursor, &step) {
            let (kind, why) = (error.kind(), error.message().to_owned());
            step = Step::Stop { kind, why, fault: Fault::default() };
        }
        let credential = &self.transport.credential;
        clean_urls(cursor, |url| credential.strip(url));
        if let Some((kept, names)) = names {
            let now = self.transport.wire.clock.now();
            kept.record(names, cursor, (&self.base, self.kind.as_deref()), reply, now);
        }
        let step = match step {
            Step::Done(report, finding) => Step::Done(report, Finding { hidden: reply.hidden(), ..finding }),
            step => step,
        };
        masked(step, || reply.mask(), credential.is_none())
    }
}

impl TaskCore {
    /// Checks that no URL named by an answer leads from https to http. The client's own origin is exempt: the
    /// application chose it.
    fn leads_well(&self, from: &Url, before: Option<&SecretUrl>, cursor: &Cursor, step: &Step) -> Result<(), Error> {
        if from.scheme() != "https" {
            return Ok(());
        }
        let trust = &self.transport.trust;
        let check = |to: &Url| if trust.is_own(to) { Ok(()) } else { trust.leads(from, to) };
        match step {
            Step::Follow { url, .. } => check(url)?,
            Step::Done(_, finding) => finding.links.iter().try_for_each(|link| check(link.url()))?,
            Step::Wait(_) | Step::Ended(..) | Step::Stop { .. } => {}
        }
        match cursor.status_url() {
            Some(now) if Some(&now) != before => check(now.url()),
            _ => Ok(()),
        }
    }
}

/// Returns whether the error means that no credential is available for now.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TokenUnavailable | ErrorKind::Store)
}

impl TaskShared {
    /// Returns a place in the throttle's queue for the next poll. While the poll is queued, its request is not built.
    pub(super) fn admit(self: &Arc<Self>, deadline: Option<Instant>) -> Option<Box<Acquire>> {
        let Asking { request, purpose, .. } = self.next()?;
        let transport = &self.core.transport;
        let goes = purpose == Purpose::Status && transport.trust.standing(request.url()).is_ok();
        goes.then(|| Box::new(transport.admit(&request, deadline)))
    }

    /// Returns the next request, as a future of its own.
    pub(super) fn ask(
        self: &Arc<Self>,
        permit: Option<Permit>,
        deadline: Option<Instant>,
    ) -> BoxFuture<'static, PollAnswer> {
        let asking = self.next();
        let core = self.core.clone();
        Box::pin(async move {
            match asking {
                Some(asking) => core.ask(asking, permit, deadline).await,
                None => Err(Error::new(
                    ErrorKind::NoStatusUrl,
                    "the task has no URL to poll, or lacks the id that the \
                                                                poll needs",
                )),
            }
        })
    }

    fn next(self: &Arc<Self>) -> Option<Asking> {
        let live = self.live();
        let asking = self.core.protocol.next(&live.cursor, live.headers.as_deref().cloned().unwrap_or_default())?;
        // The address distinguishes the task from all other living tasks.
        let task = Arc::as_ptr(self).addr() as u64;
        Some(Asking { request: asking.request.for_task(self.core.kind.clone(), task), ..asking })
    }

    pub(super) fn read(&self, heard: &Heard) -> Step {
        let mut live = self.live();
        if live.cursor.is_polling() {
            live.last.polls += 1;
        }
        live.last.status = match heard {
            Heard::Reply(reply, _) => Some(reply.status()),
            Heard::Silence(_) => None,
        };
        self.core.read(&mut live.cursor, heard)
    }
}
