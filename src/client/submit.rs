//! TaskBuilder: a task under construction; TaskRequest: a request whose type names the type of its result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;
use tokio::time::Instant;
use tracing::Instrument;

use super::Client;
use super::draft::Draft;
use super::request_builder::{earlier, path};
use super::submission::Submission;
use crate::error::{Error, ErrorKind};
use crate::message::{Multipart, Priority};
use crate::protocol::{Cursor, Protocol};
use crate::task::{LONGEST_NAME, Task, TaskCore, Trace};

/// A request that starts a task, and the type of its result.
///
/// ```
/// use longhaul::{TaskBuilder, TaskRequest};
///
/// #[derive(serde::Serialize)]
/// struct FarmExport {
///     farms: Vec<u32>,
///     format: &'static str,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Exported {
///     rows: u64,
/// }
///
/// impl TaskRequest for FarmExport {
///     type Output = Exported;
///
///     fn request(&self, to: TaskBuilder) -> TaskBuilder {
///         to.post("exports").json(self)
///     }
/// }
/// ```
pub trait TaskRequest {
    /// The type that the task's result is decoded into.
    type Output;

    /// Builds the request.
    fn request(&self, to: TaskBuilder) -> TaskBuilder;
}

/// A builder for a task: [`Client::task`].
#[must_use = "nothing is sent until `submit` is awaited"]
pub struct TaskBuilder {
    client: Client,
    draft: Box<Draft>,
    kind: Option<String>,
    protocol: Option<Protocol>,
    size_class: Option<String>,
    with_cookies: bool,
    plain: Vec<HeaderName>,
    stored_as: Option<String>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
}

impl TaskBuilder {
    pub(super) fn new(client: Client) -> Self {
        let draft = Box::new(Draft::new(Method::POST, String::new()));
        Self {
            client,
            draft,
            kind: None,
            protocol: None,
            size_class: None,
            with_cookies: false,
            plain: Vec::new(),
            stored_as: None,
            timeout: None,
            deadline: None,
        }
    }

    /// Selects one of the profile's kinds of task.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Names the size class of the task, such as `large`: a client that [learns](crate::PollPolicy::learn) how long tasks
    /// take learns so for each kind and size class apart. There is none by default.
    ///
    /// Name few classes whose tasks take about as long, and not the exact size: a class learns from its own tasks alone. A
    /// name of more than 100 bytes is an error of the submit. The task's token contains the name.
    pub fn size_class(mut self, name: impl Into<String>) -> Self {
        self.size_class = Some(name.into());
        self
    }

    /// Reads this task by its own protocol, in place of the profile's.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Submits with POST to this path. The path is relative to the base; a path that begins with `/` is relative to the
    /// base's host. A URL of the base's own origin or of an [allowed](crate::ClientBuilder::allow_origin) one is used
    /// unchanged. A path that leads to another origin, or that contains a segment `..`, is an error. [`Client::path`]
    /// builds paths from data.
    pub fn post(self, path: impl Into<String>) -> Self {
        self.method(Method::POST, path)
    }

    /// Submits with PUT to this path.
    pub fn put(self, path: impl Into<String>) -> Self {
        self.method(Method::PUT, path)
    }

    /// Submits with any method to this path.
    pub fn method(mut self, method: Method, path: impl Into<String>) -> Self {
        (self.draft.method, self.draft.path) = (method, path.into());
        self
    }

    /// Adds pairs to the query of the submit.
    pub fn query<K: Into<String>, V: Into<String>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.draft.query(pairs);
        self
    }

    /// Sets a header for the submit and every later request of the task to the same origin. A header that belongs to
    /// the connection (`Host`, `Content-Length` and similar ones) is an error.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.draft.header(name, value);
        self
    }

    /// Sets a header whose value is public: plain [tokens](crate::ResumeToken) contain it, so a resumed task sends it
    /// too. Otherwise as [`header`](TaskBuilder::header).
    ///
    /// Of the headers that are not set by this method, plain tokens contain those known to be no secret, such as
    /// `Accept`, `Prefer` and `X-Request-Id`.
    pub fn plain_header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.plain.extend(self.draft.header(name, value));
        self
    }

    /// Sets a header whose value is a secret: no token contains it, sealed or not, so a resumed task does not send it.
    /// Otherwise as [`header`](TaskBuilder::header).
    pub fn secret_header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: AsRef<str> + TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.draft.secret_header(name, value);
        self
    }

    /// Sets the body as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.draft.json(body);
        self
    }

    /// Sets the body and its content type.
    pub fn body(mut self, body: impl Into<Bytes>, content_type: impl AsRef<str>) -> Self {
        self.draft.bytes(body.into(), content_type.as_ref());
        self
    }

    /// Sets the body as a form of fields and files: `multipart/form-data`.
    pub fn multipart(mut self, form: Multipart) -> Self {
        self.draft.multipart(form);
        self
    }

    /// Sends this `Idempotency-Key` with the submit: the service starts one task for the key, however often the submit
    /// arrives. A POST whose answer was lost is repeated only if it carries a key. Use a key if the service documents
    /// support for it.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.idempotency_key_in("idempotency-key", key)
    }

    /// Sends an idempotency key in another header, such as `Operation-Id`; otherwise as
    /// [`idempotency_key`](TaskBuilder::idempotency_key).
    pub fn idempotency_key_in(mut self, header: &'static str, key: impl AsRef<str>) -> Self {
        self.draft.idempotency_key(header, key.as_ref());
        self
    }

    /// Names the task in the client's [task store](crate::ClientBuilder::task_store), in 1 to 200 bytes: the name of an
    /// order, a farm and a day, a row of your own table. A submit under a name that the store has already is
    /// [`ErrorKind::AlreadyStored`], and is not sent, also after the end of the process. Without a name, the store gets
    /// a random one.
    pub fn stored_as(mut self, name: impl Into<String>) -> Self {
        self.stored_as = Some(name.into());
        self
    }

    /// Sends back the cookies that the service sets, for this task alone, as
    /// [`Protocol::with_cookies`](crate::Protocol::with_cookies) does for all tasks. The task's token contains them.
    pub const fn with_cookies(mut self) -> Self {
        self.with_cookies = true;
        self
    }

    /// Asks the service to answer at once, or to hold the answer for at most this long in case the task finishes by
    /// then: `Prefer: respond-async, wait=10` (RFC 7240).
    pub fn prefer_async(self, hold: Option<Duration>) -> Self {
        match hold {
            Some(hold) => self.header("prefer", format!("respond-async, wait={}", hold.as_secs())),
            None => self.header("prefer", "respond-async"),
        }
    }

    /// Sets the timeout of the submit and the wait for the end together, in place of the client's
    /// [`task_timeout`](crate::ClientBuilder::task_timeout). There is none by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the time by which the task must end. If a [`timeout`](TaskBuilder::timeout) is set too, the earlier of the
    /// two counts.
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Submits the task. The method returns as soon as the service has accepted the request.
    ///
    /// # Errors
    /// As [`Client::submit`].
    ///
    /// # Cancel safety
    /// As [`Client::submit`].
    ///
    /// # Panics
    /// As [`Client::submit`].
    pub async fn submit<T>(self) -> Result<Task<T>, Error> {
        let is_own = self.timeout.is_some() || self.deadline.is_some();
        let deadline =
            if is_own { earlier(self.timeout, self.deadline) } else { earlier(self.client.0.task_timeout, None) };
        let trace = Trace::of(self.kind.as_deref());
        let task = Box::pin(self.start(deadline)).instrument(trace.span()).await?.traced(trace);
        Ok(match deadline {
            Some(deadline) if is_own => task.deadline(deadline),
            deadline => task.default_deadline(deadline.filter(|_| !is_own)),
        })
    }

    async fn start<T>(self, deadline: Option<Instant>) -> Result<Task<T>, Error> {
        let core = self.core()?;
        if self.draft.path.trim().is_empty() {
            let why = "it has no path: set one, such as post(\"exports\"), or post(\".\") for the base";
            return Err(Error::new(ErrorKind::Request, why));
        }
        if self.size_class.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
            let why = format!("the name of its size class is longer than {LONGEST_NAME} bytes");
            return Err(Error::new(ErrorKind::Request, why));
        }
        let Self { client, mut draft, with_cookies, plain, stored_as, size_class, .. } = self;
        let size_class = size_class.map(String::into_boxed_str);
        let key = draft.key.take();
        let mut request = draft.finish(&core.transport.trust, Priority::Submit)?.for_task(core.kind.clone(), 0);
        if let Some(prefer) = core.protocol.prefer_header().and_then(|prefer| HeaderValue::try_from(prefer).ok()) {
            request.headers_mut().entry("prefer").or_insert(prefer);
        }
        let transport = &core.transport;
        let mut cursor = Cursor::new(request.method().clone(), request.url(), transport.wire.clock.now())
            .on_behalf(transport.trust.clone());
        if with_cookies {
            cursor.keep_cookies();
        }
        plain.into_iter().for_each(|name| cursor.keep_plain(name));
        if let Some(text) = key.as_ref().and_then(|key| request.headers().get(key)?.to_str().ok()) {
            cursor.keep_idempotency_key(text.to_owned());
        }
        let submission = Submission { core, request, key, cursor, deadline, size_class };
        let submitted = match (&client.0.keeper, stored_as) {
            (Some(keeper), name) => submission.stored(keeper, name).await,
            (None, None) => submission.send().await,
            (None, Some(_)) => Err(Error::new(ErrorKind::Config, NO_STORE)),
        };
        submitted.map_err(|error| draft.explain(error, &client.0.base))
    }

    fn core(&self) -> Result<Arc<TaskCore>, Error> {
        match (&self.protocol, &self.kind) {
            (Some(protocol), _) => {
                let wrong = |why| Error::new(ErrorKind::Config, format!("the protocol `{}`: {why}", protocol.name()));
                protocol.check().map_err(wrong)?;
                Ok(self.client.core_of(protocol.clone()))
            }
            (None, Some(kind)) => self.client.core(kind),
            (None, None) => Ok(self.client.0.default.clone()),
        }
    }
}

const NO_STORE: &str = "stored_as needs a task store: give the client one by ClientBuilder::task_store";

impl fmt::Debug for TaskBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("method", &self.draft.method)
            .field("path", &path(&self.draft))
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
