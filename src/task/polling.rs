//! Asking: sends one request of a task, and interprets its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use tokio::time::Instant;
use url::Url;

use super::durations::Durations;
use super::gathering::{Gathering, Seat, SharedPoll};
use super::many_answer::{ManyAnswer, Part, Said};
use super::masked::masked;
use super::transcripts::{Transcripts, names_of};
use super::{PollPolicy, TaskShared};
use crate::clock::later;
use crate::download::Carrier;
use crate::error::{Error, ErrorKind, Fault};
use crate::hint::from_answer;
use crate::message::{Reply, Request, Response, is_transient};
use crate::protocol::{Asking, Cursor, Finding, PollMany, Protocol, Purpose, Step, clean_urls};
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
    /// How long the tasks of the client took.
    pub(crate) durations: Arc<Durations>,
    /// The age from which on a task is reported as long.
    pub(crate) long_after: Option<Duration>,
    /// The client's base URL, as tokens record it.
    pub(crate) base: Url,
    /// Keeps the answers, if the user asked for it.
    pub(crate) transcripts: Option<Transcripts>,
    /// The tasks that may share a poll.
    pub(crate) gathering: Gathering,
}

/// The outcome of a request; an error if another attempt makes no sense.
pub(super) type PollAnswer = Result<Heard, Error>;

pub(super) enum Heard {
    /// An answer; with its body as a stream if that is too large to hold.
    Reply(Box<Reply>, Option<Response>),
    /// No answer; another attempt may help.
    Silence(String),
    /// An answer for several tasks that says nothing about this one: it is polled alone.
    Absent,
}

impl Heard {
    /// Returns the body that is too large to hold, if there is one.
    pub(super) fn rest(self) -> Option<Response> {
        match self {
            Self::Reply(_, rest) => rest,
            Self::Silence(_) | Self::Absent => None,
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
    /// Returns the name by which durations are learned.
    pub(super) fn learned_kind(&self) -> &str {
        self.kind.as_deref().unwrap_or_else(|| self.protocol.name())
    }

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
                    Err(broken) => return silence(broken).map(Heard::Silence),
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
            Heard::Silence(why) => self.read_silence(cursor, why),
            Heard::Absent => self.read_silence(cursor, "the answer for several tasks has no status of this one"),
        }
    }

    fn read_silence(&self, cursor: &mut Cursor, why: &str) -> Step {
        let step = self.protocol.read_silence(cursor, why, self.transport.wire.clock.now());
        masked(step, || self.transport.wire.hidden.mask(), self.transport.credential.is_none())
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

/// Returns why a poll got no answer; an error if another attempt makes no sense.
fn silence(broken: Broken) -> Result<String, Error> {
    match broken {
        // The task continues at the service, and a token may be available for the next poll.
        Broken::Refused(error) if is_passing(error.kind()) => Ok(format!("the status could not be requested: {error}")),
        Broken::Refused(error) => Err(error),
        Broken::Lost(error) => Ok(format!("the status gave no answer: {}", crate::error::with_cause(&error))),
    }
}

impl TaskCore {
    /// Asks for the status of several tasks. A poll is a single attempt here, too.
    async fn ask_many(&self, request: &Request, permit: Option<Permit>) -> ManyAnswer {
        let said = match Sending::of(&self.transport, request).permit(permit).attempt().await {
            Ok(response) => self.divide(response).await,
            Err(broken) => silence(broken).map_or_else(Said::Refused, Said::Silence),
        };
        let answer = ManyAnswer::new(said, self.transport.wire.clock.now());
        // The request may be too much for a service that answers for a single task.
        let fails = self.gathering.count(answer.is_failure()) >= MOST_FAILURES;
        if (answer.is_unfit() || fails) && self.gathering.rest(later(Instant::now(), REST)) {
            tracing::warn!(
                url = %crate::redact::shown(request.url()),
                "the request for the status of several tasks was not answered with a list: all are polled alone for a \
                 minute"
            );
        }
        answer
    }

    /// Divides the answer among the tasks.
    async fn divide(&self, response: Response) -> Said {
        let bare = response.cut();
        let code = bare.status().as_u16();
        let reply = match response.reply_or_rest().await {
            Ok((reply, None)) => reply,
            Ok((_, Some(_))) => return Said::Unfit,
            // An error status is complete without a body.
            Err(_) if !bare.status().is_success() => bare,
            Err(_) => return Said::Silence("the answer broke off".into()),
        };
        match code {
            200..=299 => match self.protocol.divide(&reply) {
                Some(documents) => Said::Documents(reply, documents),
                None => Said::Unfit,
            },
            // These concern the client, and not the request.
            401 => Said::SameForAll(reply),
            code if is_transient(code) => Said::SameForAll(reply),
            _ => Said::Unfit,
        }
    }
}

/// After a request for several tasks that the service does not take, all are polled alone for this long.
const REST: Duration = Duration::from_secs(60);
/// So many failures in a row are no chance.
const MOST_FAILURES: u32 = 2;

/// Returns whether the error means that no credential is available for now.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TokenUnavailable | ErrorKind::Store)
}

impl TaskShared {
    /// Returns a seat among the tasks that may share their next poll, which is due after `pause`; `None` if this one is
    /// polled alone.
    pub(super) fn seat(self: &Arc<Self>, pause: Duration, earliest: Instant) -> Option<Arc<Seat>> {
        if !self.core.protocol.shares_polls() {
            return None;
        }
        let seat = {
            let live = self.live();
            let part = self.core.protocol.shared_poll(&live.cursor)?.part();
            let id = live.cursor.id().filter(|id| !id.is_empty())?.to_owned();
            let headers = live.headers.as_deref().cloned().unwrap_or_default();
            let from = later(Instant::now(), pause.saturating_sub(pause.mul_f64(part))).max(earliest);
            Seat::new(from, id, headers, live.cursor.repeated_query().to_vec())
        };
        let request = self.many(&[seat.id()])?;
        self.core.transport.trust.standing(request.url()).ok()?;
        Some(self.core.gathering.sit(seat))
    }

    /// Leads a request for all tasks that may be polled now, and returns the part of this one.
    pub(super) fn lead(
        self: &Arc<Self>,
        seat: &Seat,
        permit: Permit,
        deadline: Option<Instant>,
    ) -> BoxFuture<'static, PollAnswer> {
        let most = self.core.protocol.shared_poll(&self.live().cursor).map_or(1, PollMany::most);
        // A permit that is not used is returned outside of the gathering's lock: that wakes others.
        let mut permit = Some(permit);
        let poll = self.core.gathering.lead(seat, most, |ids| {
            let (request, core) = (self.many(ids)?, self.core.clone());
            let permit = permit.take();
            Some(SharedPoll::of(Box::pin(async move { Arc::new(core.ask_many(&request, permit).await) })))
        });
        match poll {
            Some(poll) => self.part(seat, poll, deadline),
            // Another id made no URL, or the service has just refused such a request.
            None => Box::pin(std::future::ready(Ok(Heard::Absent))),
        }
    }

    /// Returns the part of this task in a request for several.
    pub(super) fn part(
        self: &Arc<Self>,
        seat: &Seat,
        poll: SharedPoll,
        deadline: Option<Instant>,
    ) -> BoxFuture<'static, PollAnswer> {
        let (core, id) = (self.core.clone(), seat.id().to_owned());
        let status_url = self.live().cursor.next_url().unwrap_or_else(|| core.base.clone());
        Box::pin(async move {
            let answer = by(deadline, pin!(poll.answer())).await.map_err(|late| core.transport.late(late))?;
            match answer.part(&id, status_url) {
                Part::Reply(reply) => Ok(Heard::Reply(reply, None)),
                Part::Absent => Ok(Heard::Absent),
                Part::Silence(why) => Ok(Heard::Silence(why)),
                Part::Refused(error) => Err(error),
            }
        })
    }

    /// Returns the request for the status of several tasks, on behalf of this one.
    fn many(&self, ids: &[&str]) -> Option<Request> {
        let live = self.live();
        let headers = live.headers.as_deref().cloned().unwrap_or_default();
        let request = self.core.protocol.many_request(&live.cursor, headers, ids)?;
        Some(request.for_task(self.core.kind.clone(), self.number()))
    }

    /// Returns a number that distinguishes the task from all other living tasks: its address.
    fn number(&self) -> u64 {
        std::ptr::from_ref(self).addr() as u64
    }

    /// Returns a place in the throttle's queue for the next poll, which a task with a seat may share. While the poll is
    /// queued, its request is not built.
    pub(super) fn admit(self: &Arc<Self>, seat: Option<&Seat>, deadline: Option<Instant>) -> Option<Box<Acquire>> {
        if let Some(request) = seat.and_then(|seat| self.many(&[seat.id()])) {
            return Some(Box::new(self.core.transport.admit(&request, deadline)));
        }
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
        Some(Asking { request: asking.request.for_task(self.core.kind.clone(), self.number()), ..asking })
    }

    pub(super) fn read(&self, heard: &Heard) -> Step {
        let mut live = self.live();
        if live.cursor.is_polling() {
            live.last.polls += 1;
        }
        live.last.status = match heard {
            Heard::Reply(reply, _) => Some(reply.status()),
            Heard::Silence(_) | Heard::Absent => None,
        };
        self.core.read(&mut live.cursor, heard)
    }
}
