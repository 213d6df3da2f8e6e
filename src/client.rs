//! Client: one account at one service.

mod builder;
mod draft;
mod path;
mod request_builder;
mod resume;
mod submit;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use url::Url;

use crate::download::{Carrier, Download};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Events};
use crate::message::Priority;
use crate::page::{PageBytes, PageSource, Pages, Walk};
use crate::protocol::{PageRule, Protocol};
use crate::redact::{SecretUrl, shown};
use crate::stats::{Stats, Summary, Telemetry};
use crate::task::{Core, PollPolicy, Task};
use crate::throttle::{RequestKey, Throttle};
use crate::transport::Transport;

pub use builder::ClientBuilder;
pub use request_builder::RequestBuilder;
pub use submit::{TaskBuilder, TaskRequest};

/// A client of one service, for one account.
///
/// Cheap to clone; clones share connections, limits, the pause after a refusal, and the counters.
///
/// ```no_run
/// use longhaul::{Client, Credential, Limit, Profile};
///
/// # async fn run() -> longhaul::Result<()> {
/// let client = Client::builder("https://api.example.com/farmsandfields/v1")
///     .profile(Profile::smag_task())
///     .limit(Limit::per_second(4))
///     .credential(Credential::bearer("eyJhbGciOi"))
///     .build()?;
///
/// let body = serde_json::json!({"farms": [1, 2], "format": "parquet"});
/// let task = client.task().post("exports").json(&body).submit::<serde_json::Value>().await?;
/// task.await?.download().to_file("farms.parquet").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    base: Url,
    transport: Arc<Transport>,
    carrier: Arc<Carrier>,
    pace: PollPolicy,
    /// How long tasks may take that say nothing of it.
    task_timeout: Option<Duration>,
    /// A resumed task says that there was a run before.
    slow_start: bool,
    telemetry: Arc<Telemetry>,
    /// What the tasks of each kind share, made once.
    default: Arc<Core>,
    kinds: BTreeMap<String, Arc<Core>>,
}

impl Client {
    /// Begins to set up a client. `base` is the URL that the paths of tasks and calls are relative to; whether it ends
    /// with `/` makes no difference.
    pub fn builder(base: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(base.as_ref())
    }

    /// Submits a request that knows its answer's type.
    ///
    /// It returns as soon as the service has accepted; id, status URL and token exist from then on.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] and its kin with the service's fault; [`ErrorKind::NoStatusUrl`].
    ///
    /// # Cancel safety
    /// Dropped in flight, the service may have started the task, and nobody holds it. With an
    /// [idempotency key](TaskBuilder::idempotency_key) the same submit finds it again.
    ///
    /// # Panics
    /// In a tokio runtime without time or IO enabled. Outside of any runtime it is an error ([`ErrorKind::Config`]).
    pub async fn submit<R: TaskRequest + ?Sized + Sync>(&self, request: &R) -> Result<Task<R::Output>, Error> {
        request.request(self.task()).submit().await
    }

    /// Begins a task without a type for its request.
    pub fn task(&self) -> TaskBuilder {
        TaskBuilder::new(self.clone())
    }

    /// Begins an ordinary call, which shares limits, credential and retries with the tasks.
    ///
    /// The path is relative to the base; one that begins with `/`, to the base's host; `.` is the base itself. A URL of the base's own origin or an
    /// [allowed](ClientBuilder::allow_origin) one is taken as it is; a path that leads to another origin, and one with a
    /// segment `..`, are errors. [`Client::path`] makes paths of data.
    ///
    /// ```
    /// # use longhaul::testing::Simulator;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = Simulator::start().await?;
    /// # let client = longhaul::testing::client(&service).build()?;
    /// use http::{HeaderMap, Method};
    ///
    /// let farms: Vec<serde_json::Value> =
    ///     client.request(Method::GET, "farms").query([("page", "1")]).send().await?.json().await?;
    /// assert!(!farms.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl Into<String>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, path.into())
    }

    /// Begins a GET: as [`request`](Client::request).
    pub fn get(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Begins a POST: as [`request`](Client::request).
    pub fn post(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Begins a PUT: as [`request`](Client::request).
    pub fn put(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// Begins a PATCH: as [`request`](Client::request).
    pub fn patch(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::PATCH, path)
    }

    /// Begins a DELETE: as [`request`](Client::request).
    pub fn delete(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// The URL of these segments below the base, for [`request`](Client::request) and [`TaskBuilder::post`]. Each stays one
    /// segment, whatever it holds: the way to put an id or a name of somebody else into a path.
    ///
    /// ```
    /// # let client = longhaul::Client::builder("https://api.example.com/v1").build()?;
    /// let id = "../users/me";
    /// let path = client.path(["farms", id])?;
    /// assert_eq!(path.as_str(), "https://api.example.com/v1/farms/..%2Fusers%2Fme");
    /// let call = client.request(http::Method::GET, path);
    /// # drop(call);
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Request`] where a segment is empty, `.` or `..`, which no URL can hold as they are.
    pub fn path<S: AsRef<str>>(&self, segments: impl IntoIterator<Item = S>) -> Result<Url, Error> {
        path::of_segments(&self.0.base, segments)
    }

    /// The rows of a listing that comes in pages, without a task. The path is that of the first page, in place of the
    /// rule's URL; each page is a call, as of [`request`](Client::request).
    ///
    /// ```
    /// use futures::TryStreamExt;
    /// use http::Method;
    /// use longhaul::testing::{reply, script};
    /// use longhaul::protocols::{Next, PageRule, Source};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// let service = script([
    ///     reply(200).header("link", "</v1/farms?page=2>; rel=\"next\"").json(json!([1, 2])),
    ///     reply(200).json(json!([3])),
    /// ]);
    /// let client = service.client().build()?;
    /// let rule = PageRule::rows(Source::pointer("/*")).next(Next::link());
    /// let farms: Vec<u32> = client.pages::<u32>(Method::GET, "farms", rule).try_collect().await?;
    /// assert_eq!(farms, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A path that no [`request`](Client::request) may have is an error of the stream.
    pub fn pages<R: DeserializeOwned>(&self, method: Method, path: impl AsRef<str>, rule: PageRule) -> Pages<R> {
        Pages::new(self.walk(method, path.as_ref(), rule))
    }

    /// As [`pages`](Client::pages), as whole pages of bytes: CSV, NDJSON and the like.
    pub fn page_bytes(&self, method: Method, path: impl AsRef<str>, rule: PageRule) -> PageBytes {
        PageBytes::new(self.walk(method, path.as_ref(), rule))
    }

    fn walk(&self, method: Method, path: &str, rule: PageRule) -> Walk {
        let transport = self.0.transport.clone();
        let source = PageSource { transport, method, headers: HeaderMap::new(), class: Priority::Call };
        match path::join(&self.0.transport.trust, path) {
            Ok(first) => Walk::new(source, rule, first, None),
            Err(why) => Walk::impossible(why),
        }
    }

    /// Downloads from a link that was come by otherwise. A link that is no URL is an error of the sink.
    ///
    /// It goes bare, unless it lies unsigned on the client's own origin. Nothing renews it.
    pub fn download(&self, link: impl AsRef<str>) -> Download {
        match SecretUrl::parse(link.as_ref()) {
            Ok(link) => Download::linked(self.0.carrier.clone(), link, None, HeaderMap::new(), None),
            Err(error) => {
                let why = format!("the link is not usable: {error}");
                Download::impossible(Error::new(ErrorKind::Request, why).with_source(error))
            }
        }
    }

    /// Ends a login: exchanges the code that the browser came back with, saves the token, and goes with it from now on.
    ///
    /// `redirected` is the whole URL that the service sent the browser to, or its path and query.
    ///
    /// # Errors
    /// [`ErrorKind::TokenRefused`] where it is not of this login, or was refused; [`ErrorKind::TokenUnavailable`] and
    /// [`ErrorKind::Store`] where it could not be fetched or saved; [`ErrorKind::Config`] where the credential has no
    /// login.
    ///
    /// # Cancel safety
    /// Dropped in flight, the login goes on in a task of its own.
    #[cfg(feature = "pkce")]
    pub async fn log_in(&self, login: crate::credential::Login, redirected: impl AsRef<str>) -> Result<(), Error> {
        let code = login.code(redirected.as_ref(), self.0.transport.credential.secrets())?;
        let cache = self.0.transport.credential.token_caches().find(|cache| cache.is_of(&login)).cloned();
        let none = || Error::new(ErrorKind::Config, "the client's credential is not what this login was begun for");
        let cache = cache.ok_or_else(none)?;
        detached(cache.log_in(code, login.verifier, self.0.transport.token_transport.clone())).await
    }

    /// Logs out: ends the tokens at the service ([`OAuth::revoke_at`](crate::OAuth::revoke_at)), and forgets them here
    /// and in the store, whatever the service says. Without an endpoint to revoke at, they are only forgotten.
    ///
    /// # Errors
    /// [`ErrorKind::TokenUnavailable`] where the service did not confirm it, [`ErrorKind::Store`] where the store still
    /// has them.
    ///
    /// # Cancel safety
    /// Dropped in flight, it goes on in a task of its own.
    pub async fn revoke(&self) -> Result<(), Error> {
        let transport = self.0.transport.clone();
        detached(async move {
            let mut ended = Ok(());
            for cache in transport.credential.token_caches() {
                // One that fails leaves none of the others logged in.
                ended = ended.and(cache.clone().revoke(transport.token_transport.clone()).await);
            }
            ended
        })
        .await
    }

    /// Waits for refreshes that are under way. A token that is about to expire is refreshed in the background of the
    /// requests that still use it; a program that ends meanwhile would lose what comes, and with it the login where the
    /// service rotates refresh tokens. RequestBuilder it last in `main`.
    ///
    /// # Cancel safety
    /// Cancel-safe.
    pub async fn settle(&self) {
        for cache in self.0.transport.credential.token_caches() {
            cache.settle().await;
        }
    }

    /// What went through this client and its clones so far. It also looks whether an [alert](crate::telemetry::Alerts) is due.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.telemetry.stats()
    }

    /// What went through this client and its clones in this day so far, for people.
    ///
    /// ```
    /// # let client = longhaul::Client::builder("https://api.example.com").build()?;
    /// assert!(client.summary().to_string().starts_with("use: 0 requests"));
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.0.telemetry.summary()
    }

    /// What happens, as it happens: all that the [throttle](crate::Throttle::events) tells, and retries, refreshes, slow
    /// answers, limits that are nearly used up, and alerts.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use longhaul::Event;
    /// # use longhaul::testing::{reply, script};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// # let service = script([reply(429).header("retry-after", "3"), reply(200)]);
    /// # let client = service.client().build()?;
    /// let events = client.events();
    /// client.request(http::Method::GET, "farms").send().await?;
    /// # drop(client);
    /// let events: Vec<Event> = events.collect().await; // it ends with the client
    /// assert!(events.iter().any(|event| matches!(event, Event::Refused { .. })));
    /// assert!(events.iter().any(|event| matches!(event, Event::Retrying { attempts: 1, .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The throttle's events come in their order, and so do the client's; between the two the order may differ by some.
    /// Of either the last 1,024 are kept for a watcher that is slow, and [`Event::Missed`](crate::Event::Missed) says how
    /// many it lost. Events are made only while somebody watches.
    ///
    /// It ends with the last clone of the client, its tasks and its throttle.
    pub fn events(&self) -> Events {
        let hidden = self.0.transport.wire.hidden.clone();
        self.0.telemetry.events().change(move |event| match event {
            // The one that holds words of an answer. The throttle may have heard it of somebody else.
            Event::Ignored { what } => Event::Ignored { what: hidden.mask().hide(&what).into() },
            event => event,
        })
    }

    /// Its throttle, for your own requests under the same limits, to change a limit, and to ask what it does. It counts
    /// for the client's account.
    #[must_use]
    pub fn throttle(&self) -> &Throttle {
        &self.0.transport.wire.throttle
    }

    /// What one of its requests is for the limits: for [`Throttle::acquire`] and [`Throttle::explain`].
    ///
    /// # Errors
    /// [`ErrorKind::Request`] and [`ErrorKind::Untrusted`] where a request to the path would be refused.
    pub fn request_key(&self, method: &Method, path: &str) -> Result<RequestKey, Error> {
        let url = path::join(&self.0.transport.trust, path)?;
        Ok(RequestKey::request(method, &url).credential(&*self.0.transport.wire.credential_id))
    }

    /// The URL that paths are relative to.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    fn core(&self, kind: &str) -> Result<Arc<Core>, Error> {
        self.0.kinds.get(kind).cloned().ok_or_else(|| {
            let known: Vec<_> = self.0.kinds.keys().map(String::as_str).collect();
            let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let why = format!("the profile has no kind `{kind}`; it has {has}");
            Error::new(ErrorKind::Config, why)
        })
    }

    fn core_of(&self, protocol: Protocol) -> Arc<Core> {
        Arc::new(Core {
            transport: self.0.transport.clone(),
            carrier: self.0.carrier.clone(),
            protocol,
            kind: None,
            given: true,
            pace: self.0.pace.clone(),
            long_after: self.0.default.long_after,
            base: self.0.base.clone(),
        })
    }
}

/// Runs to its end, whether or not somebody waits for it.
async fn detached(work: impl Future<Output = Result<(), Error>> + Send + 'static) -> Result<(), Error> {
    let why = "it is done by a task of its own, which needs a tokio runtime that lives until then";
    let lost = || Error::new(ErrorKind::TokenUnavailable, why);
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| lost())?;
    runtime.spawn(work).await.map_err(|_| lost())?
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &shown(&self.0.base))
            .field("credential", &self.0.transport.credential)
            .finish_non_exhaustive()
    }
}
