//! Recover: the tasks that earlier processes left in the store.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use tracing::Instrument;

use super::Client;
use super::request_builder::earlier;
use super::submission::Submission;
use crate::error::{Error, ErrorKind};
use crate::protocol::Protocol;
use crate::redact::SecretUrl;
use crate::store::{Claimed, Held, StoredState};
use crate::task::{StoredRequest, Task, TaskRecord, Trace};

/// Takes tasks over from the task store: [`Client::recover`]. The value is a future.
#[must_use = "nothing is recovered until you await it"]
pub struct Recover<T> {
    client: Client,
    most: usize,
    protocols: Vec<Protocol>,
    output: PhantomData<fn() -> T>,
}

/// A task that was in the task store.
#[derive(Debug)]
#[non_exhaustive]
pub enum Recovered<T> {
    /// The task goes on: await or watch it, do your own work, and [acknowledge](crate::Outcome::ack) it.
    Task(Task<T>),
    /// The service may have the task or not, and the submit is not repeated.
    Uncertain(Uncertain),
    /// The task could not be recovered this time.
    Failed(Unrecovered),
}

/// A task whose submit may have reached the service, and must not be repeated.
///
/// Look for the task at the service, submit it again under another name if it is not there, and
/// [acknowledge](Uncertain::ack) this one. Until then the store keeps it, and gives it again after this value is
/// dropped.
pub struct Uncertain {
    held: Arc<Held>,
    record: TaskRecord,
    why: String,
}

/// A task that could not be recovered, and stays in the task store.
///
/// A later [`recover`](Client::recover) gives it again after this value is dropped.
pub struct Unrecovered {
    held: Arc<Held>,
    error: Error,
}

impl<T> Recover<T> {
    pub(super) const fn new(client: Client) -> Self {
        Self { client, most: usize::MAX, protocols: Vec::new(), output: PhantomData }
    }

    /// Takes over at most so many tasks, the oldest first, so that the processes of a fleet share the rest. There is no
    /// bound by default.
    pub const fn at_most(mut self, tasks: usize) -> Self {
        self.most = tasks;
        self
    }

    /// Reads the tasks that were submitted with [a protocol of their own](crate::TaskBuilder::protocol) of this
    /// protocol's name by it. A store that is not [sealed](crate::ClientBuilder::task_store_key) needs this, because no
    /// protocol is read from it ([`Client::resume_with`]).
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocols.push(protocol);
        self
    }

    async fn run(self) -> Result<Vec<Recovered<T>>, Error> {
        let claimed = self.client.keeper()?.claim(self.most).await?;
        let recovering = claimed.into_iter().map(|(held, claimed)| self.one(held, claimed));
        Ok(stream::iter(recovering).buffered(AT_ONCE).collect().await)
    }

    async fn one(&self, held: Arc<Held>, claimed: Claimed) -> Recovered<T> {
        match Box::pin(self.found(&held, &claimed)).await {
            Ok(recovered) => recovered,
            Err(error) => Recovered::Failed(Unrecovered { held, error }),
        }
    }

    async fn found(&self, held: &Arc<Held>, claimed: &Claimed) -> Result<Recovered<T>, Error> {
        let name = held.name();
        let record = TaskRecord::parse(name, &self.client.keeper()?.open(name, claimed.data())?)?;
        if let Some(token) = record.token().filter(|_| claimed.state() != StoredState::Uncertain) {
            let given = self.given(token.protocol());
            let given = given.filter(|_| token.has_own_protocol());
            return Ok(Recovered::Task(self.client.take_up(token, given)?.held_by(held.clone())));
        }
        if let Some(why) = record.must_not_repeat() {
            if claimed.state() != StoredState::Uncertain {
                held.uncertain().await?;
            }
            return Ok(Recovered::Uncertain(Uncertain { held: held.clone(), record, why }));
        }
        self.submit(held.clone(), record).await.map(Recovered::Task)
    }

    /// Submits a task once more, under its key.
    async fn submit(&self, held: Arc<Held>, record: TaskRecord) -> Result<Task<T>, Error> {
        let wrong = |why: &str| {
            let name = held.name().escape_debug();
            Error::new(ErrorKind::TaskStore, format!("the task `{name}` cannot be submitted again: {why}"))
        };
        let intent = record.intent().ok_or_else(|| wrong("its request is not stored"))?;
        let client = &self.client.0;
        let core = match (self.given(&intent.protocol), &intent.given, &intent.kind) {
            (Some(protocol), Some(_), _) => self.client.core_of(protocol),
            (None, Some(protocol), _) if record.is_sealed() => self.client.core_of((**protocol).clone()),
            (None, Some(_), _) => {
                return Err(wrong(
                    "it has a protocol of its own, and a client takes none from a store that is not sealed: pass it to \
                     Recover::protocol",
                ));
            }
            (_, None, Some(kind)) => self.client.core(kind)?,
            (_, None, None) => client.default.clone(),
        };
        if core.protocol.name() != intent.protocol {
            return Err(wrong("this client reads it by another protocol"));
        }
        let (request, key) = intent.request(record.is_sealed()).map_err(wrong)?;
        // A plain store may have been edited.
        super::path::join(&client.transport.trust, request.url().as_str())?;
        let mut cursor = intent.cursor.clone().on_behalf(client.transport.trust.clone());
        intent.plain().for_each(|name| cursor.keep_plain(name));
        if client.slow_start {
            core.transport.wire.throttle.start_slowly_once();
        }
        let deadline = earlier(client.task_timeout, None);
        let trace = Trace::of(core.kind.as_deref());
        let request = request.for_task(core.kind.clone(), 0);
        let size_class = intent.size_class.clone();
        let submission = Submission { core, request, key, cursor, deadline, size_class };
        let task = submission.again(held, record).instrument(trace.span()).await?;
        Ok(task.traced(trace).default_deadline(deadline))
    }

    fn given(&self, name: &str) -> Option<Protocol> {
        self.protocols.iter().find(|protocol| protocol.name() == name).cloned()
    }
}

impl<T: 'static> IntoFuture for Recover<T> {
    type Output = Result<Vec<Recovered<T>>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl Uncertain {
    /// Returns the name under which the store keeps the task.
    #[must_use]
    pub fn stored_as(&self) -> &str {
        self.held.name()
    }

    /// Returns the reason why the submit is not repeated.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Returns the method of the submit, if its request is stored.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.record.intent().map(StoredRequest::method)
    }

    /// Returns the URL of the submit, if its request is stored.
    #[must_use]
    pub fn url(&self) -> Option<SecretUrl> {
        self.record.intent().and_then(StoredRequest::url)
    }

    /// Returns the idempotency key of the submit, if it has one: a submit under it by your own code is safe.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.record.idempotency_key()
    }

    /// Acknowledges the task: it is settled by other means.
    ///
    /// # Errors
    /// As [`TaskHandle::ack`](crate::TaskHandle::ack).
    ///
    /// # Cancel safety
    /// As [`TaskHandle::ack`](crate::TaskHandle::ack).
    pub async fn ack(&self) -> Result<(), Error> {
        self.held.ack().await
    }
}

impl Unrecovered {
    /// Returns the name under which the store keeps the task.
    #[must_use]
    pub fn stored_as(&self) -> &str {
        self.held.name()
    }

    /// Returns the reason.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }

    /// Acknowledges the task: it is given up.
    ///
    /// # Errors
    /// As [`TaskHandle::ack`](crate::TaskHandle::ack).
    ///
    /// # Cancel safety
    /// As [`TaskHandle::ack`](crate::TaskHandle::ack).
    pub async fn ack(&self) -> Result<(), Error> {
        self.held.ack().await
    }
}

impl<T> fmt::Debug for Recover<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recover").field("most", &self.most).finish_non_exhaustive()
    }
}

impl fmt::Debug for Uncertain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uncertain")
            .field("stored_as", &self.stored_as())
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Unrecovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unrecovered")
            .field("stored_as", &self.stored_as())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// Submits in flight at a time; the throttle bounds them further.
const AT_ONCE: usize = 16;
