//! Submission: a submit that is ready to be sent, and its place in the store.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, header};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::message::{Reply, Request, Response};
use crate::protocol::{Cursor, Protocol, Step, moved_submit};
use crate::store::{Held, Keeper};
use crate::task::{Task, TaskCore, TaskRecord};
use crate::transport::{Breaks, Sending};

/// A submit that is ready to be sent.
pub(super) struct Submission {
    pub(super) core: Arc<TaskCore>,
    pub(super) request: Request,
    /// The header that carries the idempotency key.
    pub(super) key: Option<HeaderName>,
    pub(super) cursor: Cursor,
    pub(super) deadline: Option<Instant>,
    pub(super) size_class: Option<Box<str>>,
}

impl Submission {
    /// Stores the submit, sends it, and stores its token.
    pub(super) async fn stored<T>(self, keeper: &Arc<Keeper>, name: Option<String>) -> Result<Task<T>, Error> {
        let name = name.unwrap_or_else(|| format!("{:032x}", fastrand::u128(..)));
        if name.is_empty() || name.len() > LONGEST_NAME {
            let why = format!("stored_as: the name has {} bytes, and may have 1 to {LONGEST_NAME}", name.len());
            return Err(Error::new(ErrorKind::Request, why));
        }
        let key = self.key.as_ref();
        let record = TaskRecord::intend(&self.core, &self.request, key, &self.cursor, keeper.seals())
            .of_size_class(self.size_class.as_deref());
        let held = keeper.intend(name.into(), record.to_bytes()?).await?;
        self.held(held, record).await
    }

    /// Sends a submit that the store holds, and stores its token.
    pub(super) async fn held<T>(self, held: Arc<Held>, record: TaskRecord) -> Result<Task<T>, Error> {
        let may_repeat = self.key.is_some() || self.request.method().is_idempotent();
        match self.send().await {
            Ok(task) => task.accepted_by(held, record).await,
            Err(error) => {
                // After an attempt whose answer was lost, a refusal of the next one proves nothing.
                if is_refused(&error)
                    && (!may_repeat || error.attempts() <= 1)
                    && let Err(error) = held.withdraw().await
                {
                    tracing::warn!(%error, "a task that the service refused stays in the task store");
                }
                Err(error)
            }
        }
    }

    /// Sends a submit once more, whose first answer is not known. Whatever the service answers, the store keeps it.
    pub(super) async fn again<T>(self, held: Arc<Held>, record: TaskRecord) -> Result<Task<T>, Error> {
        self.send().await?.accepted_by(held, record).await
    }

    /// Sends the submit.
    pub(super) async fn send<T>(self) -> Result<Task<T>, Error> {
        let Self { core, request, key, mut cursor, deadline, size_class } = self;
        let mut headers = request.headers().clone();
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH].into_iter().chain(key.clone()) {
            headers.remove(name);
        }
        if core.protocol.prefer_header().is_some() {
            headers.remove("prefer");
        }
        let keyed = key.as_ref().is_some_and(|key| request.headers().contains_key(key));
        let mut breaks = Breaks::of(&core.transport, &request, keyed, deadline);
        let mut attempts = 0;
        loop {
            let (response, sent) = send(&core, &request, key.as_ref(), deadline, &mut cursor).await?;
            attempts += sent;
            let (hint, end) = (response.hint(), response.end());
            let (reply, rest, broke) = hold(&core.protocol, response, deadline).await;
            let mut read = cursor.clone();
            let step = core.read_reply(&mut read, &reply);
            let in_full =
                |error: Error| error.with_url(reply.url()).with_attempts(attempts).with_retry_after(hint).with_end(end);
            // Statements in the headers are valid without a body. If the headers state nothing, the answer was lost.
            if let (Some(broke), Step::Stop { .. }, true) = (&broke, &step, reply.status().is_success()) {
                if let Some(pause) = breaks.next(hint) {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                let why = "the answer of the submit broke off inside its body, and its headers name no status URL: the \
                           service may have the task";
                let lost = Error::new(ErrorKind::Network, why).with_status(reply.status());
                return Err(in_full(lost.with_source(broke.clone())));
            }
            breaks.end();
            return Task::begin(core.clone(), read, headers, step, reply.status(), rest, size_class).map_err(in_full);
        }
    }
}

/// Returns whether the error means that the service has no task.
fn is_refused(error: &Error) -> bool {
    if error.attempts() == 0 || error.is_unsent() {
        return true;
    }
    match error.status().map(|status| status.as_u16()) {
        // The service failed, or gave up waiting, and may have acted.
        Some(408 | 409 | 425) => false,
        Some(503) => error.kind() == ErrorKind::Throttled,
        Some(status) => (400..500).contains(&status),
        None => false,
    }
}

/// Sends a submit, follows it to a new location, and returns how often it was sent.
async fn send(
    core: &TaskCore,
    request: &Request,
    key: Option<&HeaderName>,
    deadline: Option<Instant>,
    cursor: &mut Cursor,
) -> Result<(Response, u32), Error> {
    let (transport, protocol) = (&core.transport, &core.protocol);
    let mut response =
        Sending::of(transport, request).key(key).until(deadline).jar(protocol.jar(cursor)).send().await?;
    let mut attempts = response.attempts();
    let mut moves = 0;
    while response.status().is_redirection()
        && let Some(url) = moved_submit(cursor, &response.cut(), moves)
    {
        moves += 1;
        tracing::debug!(url = %crate::redact::shown(&url), "the submit has moved");
        let moved = request.clone().with_url(url);
        response = Sending::of(transport, &moved).key(key).until(deadline).jar(protocol.jar(cursor)).send().await?;
        attempts += response.attempts();
    }
    Ok((response, attempts))
}

/// Collects an answer: the reply, its body if that is too large to hold, and the reason if the body broke off.
async fn hold(
    protocol: &Protocol,
    response: Response,
    deadline: Option<Instant>,
) -> (Reply, Option<Response>, Option<Error>) {
    let bare = response.cut();
    // If the headers already name the task, the body gets less time.
    let soon = protocol.is_named_in(bare.headers()).then(|| Instant::now() + LATE_BODY);
    let until = deadline.into_iter().chain(soon).min();
    let held = crate::transport::by(until, pin!(response.reply_or_rest())).await;
    match held.and_then(|held| held) {
        Ok((reply, rest)) => (reply, rest, None),
        Err(error) => (bare, None, Some(error)),
    }
}

/// If the headers name the status URL, the body is mostly for people: it may arrive this late.
const LATE_BODY: Duration = Duration::from_secs(5);
/// A name is a key, and no document.
const LONGEST_NAME: usize = 200;
