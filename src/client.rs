//! Client: one account at one service.

mod builder;
mod bulk;
mod draft;
mod path;
mod recover;
mod request_builder;
mod resume;
mod submission;
mod submit;
mod tasks;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderMap, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::download::{Carrier, Download};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Events};
use crate::message::Priority;
use crate::page::{PageBytes, PageSource, Pages, Walk};
use crate::profile::Profile;
use crate::protocol::{PageRule, Protocol};
use crate::redact::{SecretUrl, shown};
use crate::stats::{Stats, Summary, Telemetry};
use crate::store::{Keeper, StoredCounts};
use crate::task::{Durations, Gathering, LearnedDurations, PollPolicy, Task, TaskCore};
use crate::throttle::{RequestKey, Throttle};
use crate::transport::Transport;

pub use builder::ClientBuilder;
pub use bulk::{BulkBuilder, BulkResults, ItemError, ItemFate};
pub use recover::{Recover, Recovered, Uncertain, Unrecovered};
pub use request_builder::RequestBuilder;
pub use submit::{TaskBuilder, TaskRequest};
pub use tasks::{Downloaded, FailedTask, TaskDownloads, TaskEvent, TaskId, Tasks, TasksProgress};

/// A client for one account at one service.
///
/// Cloning is cheap. Clones share connections, limits, the pause after a refusal, and the counters.
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
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    base: Url,
    transport: Arc<Transport>,
    carrier: Arc<Carrier>,
    pace: PollPolicy,
    /// The timeout of tasks that set none of their own.
    task_timeout: Option<Duration>,
    /// Whether resuming a task, which implies an earlier run, starts the requests slowly.
    slow_start: bool,
    /// How long the answers of GETs are kept that set no time of their own.
    cache_gets: Option<Duration>,
    telemetry: Arc<Telemetry>,
    durations: Arc<Durations>,
    keeper: Option<Arc<Keeper>>,
    /// The state that the tasks of each kind share, created once.
    default: Arc<TaskCore>,
    kinds: BTreeMap<String, Arc<TaskCore>>,
    /// The same of living tasks whose protocol was given with them, if they share polls.
    given: Mutex<Vec<Weak<TaskCore>>>,
}

impl Client {
    /// Returns a builder for a client. `base` is the URL that the paths of tasks and calls are relative to; a trailing
    /// `/` makes no difference.
    pub fn builder(base: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(Some(base.as_ref()), Profile::auto())
    }

    /// Begins a client of the API that this profile describes, at the profile's base URL.
    ///
    /// ```
    /// use longhaul::credentials::Secrets;
    /// use longhaul::{Client, Profile};
    ///
    /// let client = Client::for_profile(Profile::aprimo().variable("env", "acme"))
    ///     .secrets(Secrets::new().set("client_id", "my-id").set("client_secret", "my-secret"))
    ///     .build()?;
    /// assert_eq!(client.base().as_str(), "https://acme.dam.aprimo.com/");
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    ///
    /// A variable that the profile leaves open, a missing secret, and a profile without a base URL are errors of
    /// [`build`](ClientBuilder::build).
    pub fn for_profile(profile: Profile) -> ClientBuilder {
        ClientBuilder::new(None, profile)
    }

    /// Submits a request whose type names the type of its result.
    ///
    /// The method returns as soon as the service has accepted the request; the id, the status URL and the token exist
    /// from then on.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] and related kinds with the service's fault; [`ErrorKind::NoStatusUrl`].
    ///
    /// # Cancel safety
    /// If the future is dropped in flight, the service may have started the task, and the caller holds no handle to it.
    /// With an [idempotency key](TaskBuilder::idempotency_key), the same submit finds the task again, and with a
    /// [task store](ClientBuilder::task_store), [`recover`](Client::recover) does.
    ///
    /// # Panics
    /// Panics in a tokio runtime without time or IO enabled. Outside any runtime, the submit fails with
    /// [`ErrorKind::Config`].
    pub async fn submit<R: TaskRequest + ?Sized + Sync>(&self, request: &R) -> Result<Task<R::Output>, Error> {
        request.request(self.task()).submit().await
    }

    /// Returns a builder for a task whose request has no type of its own.
    pub fn task(&self) -> TaskBuilder {
        TaskBuilder::new(self.clone())
    }

    /// Returns an empty set of tasks, which are submitted and polled together and watched as one stream.
    pub fn tasks<T>(&self) -> Tasks<T> {
        Tasks::new()
    }

    /// Returns a builder for an ordinary request, which shares limits, credential and retries with the tasks.
    ///
    /// The path is relative to the base; a path that begins with `/` is relative to the base's host; `.` is the base
    /// itself. A URL of the base's own origin or of an [allowed](ClientBuilder::allow_origin) one is used unchanged. A
    /// path that leads to another origin, or that contains a segment `..`, is an error. [`Client::path`] builds paths
    /// from data.
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

    /// Returns a builder for a GET request, as [`request`](Client::request) does.
    pub fn get(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Returns a builder for a POST request, as [`request`](Client::request) does.
    pub fn post(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Returns a builder for a PUT request, as [`request`](Client::request) does.
    pub fn put(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// Returns a builder for a PATCH request, as [`request`](Client::request) does.
    pub fn patch(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::PATCH, path)
    }

    /// Returns a builder for a DELETE request, as [`request`](Client::request) does.
    pub fn delete(&self, path: impl Into<String>) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// Returns a builder that sends many items in requests of at most `most` items each, and gives back one result for
    /// each item.
    ///
    /// ```
    /// use longhaul::http::ItemFate;
    /// use longhaul::protocols::Source;
    /// # use longhaul::testing::{reply, script};
    /// use serde_json::json;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Row {
    ///     id: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// # let service = script([
    /// #     reply(200).json(json!({"entities": [{"id": 1}, {"id": 0, "error": {"code": "bad.email"}}]})),
    /// #     reply(504),
    /// # ]);
    /// # let client = service.client().build()?;
    /// let contacts = [json!({"email": "ann@example.com"}), json!({"email": "bob"}), json!({"email": "cy@example.com"})];
    /// let results = client
    ///     .in_chunks(&contacts, 2)
    ///     .post("outbound/contactlists/7/contacts")
    ///     .body(|contacts| json!(contacts))
    ///     .results(Source::pointer("/entities/*"))
    ///     .item_error(Source::pointer("/error"))
    ///     .send::<Row>()
    ///     .await?;
    /// assert_eq!(results[0].as_ref().unwrap().id, 1);
    /// // The service refused this item ...
    /// let error = results[1].as_ref().err().unwrap();
    /// assert_eq!((error.index(), error.fate()), (1, ItemFate::Rejected));
    /// // ... and a gateway answered 504 to the request of that one: the service may have it.
    /// assert_eq!(results[2].as_ref().err().unwrap().fate(), ItemFate::Uncertain);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The items are consumed; those of a slice (`&contacts`) stay with the caller, who finds the item of an error by its
    /// [index](crate::http::ItemError::index).
    pub fn in_chunks<'a, T: Serialize + 'a>(
        &self,
        items: impl IntoIterator<Item = T>,
        most: usize,
    ) -> BulkBuilder<'a, T> {
        BulkBuilder::new(self.clone(), items.into_iter().collect(), most)
    }

    /// Returns the URL of these segments below the base, for [`request`](Client::request) and [`TaskBuilder::post`].
    ///
    /// Each segment stays one segment, whatever characters it contains. Use this method to put an id or a name from an
    /// untrusted source into a path.
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
    /// [`ErrorKind::Request`] if a segment is empty, `.` or `..`, which no URL can hold unchanged.
    pub fn path<S: AsRef<str>>(&self, segments: impl IntoIterator<Item = S>) -> Result<Url, Error> {
        path::of_segments(&self.0.base, segments)
    }

    /// Returns the rows of a paged listing, without a task. The path is that of the first page and replaces the rule's
    /// URL; each page is requested as by [`request`](Client::request), and the path is relative to the base in the same
    /// way: `farms` is below the base, and `/farms` below the base's host.
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
    /// The stream reports a path that [`request`](Client::request) would refuse as an error.
    pub fn pages<R: DeserializeOwned>(&self, method: Method, path: impl AsRef<str>, rule: PageRule) -> Pages<R> {
        Pages::new(self.walk(method, path.as_ref(), rule))
    }

    /// Returns whole pages as bytes, for CSV, NDJSON and similar formats; otherwise as [`pages`](Client::pages).
    pub fn page_bytes(&self, method: Method, path: impl AsRef<str>, rule: PageRule) -> PageBytes {
        PageBytes::new(self.walk(method, path.as_ref(), rule))
    }

    fn walk(&self, method: Method, path: &str, rule: PageRule) -> Walk {
        let transport = self.0.transport.clone();
        let source = PageSource { transport, method, headers: HeaderMap::new(), class: Priority::Call };
        match path::join(&self.0.transport.trust, path) {
            Ok(first) => Walk::new(source, rule, first, None).advised(path::astray(&self.0.base, path)),
            Err(why) => Walk::impossible(why),
        }
    }

    /// Downloads from a link obtained elsewhere. An invalid link is reported when the download starts.
    ///
    /// The request is bare (see [`Download`]), unless the link is unsigned and lies on the client's own origin. Nothing
    /// renews the link.
    pub fn download(&self, link: impl AsRef<str>) -> Download {
        match SecretUrl::parse(link.as_ref()) {
            Ok(link) => Download::linked(self.0.carrier.clone(), link, None, HeaderMap::new(), None),
            Err(error) => {
                let why = format!("the link is not usable: {error}");
                Download::impossible(Error::new(ErrorKind::Request, why).with_source(error))
            }
        }
    }

    /// Takes the tasks over that earlier processes left in the [task store](ClientBuilder::task_store): those that are
    /// not acknowledged, and that no living process holds. Each goes to one process.
    ///
    /// The call gives what is free now. The tasks of a process that was killed are free when its
    /// [lease](crate::tasks::FileTaskStore::lease_time) is over: call it again from time to time.
    ///
    /// - A task whose token is stored is resumed, as by [`resume`](Client::resume).
    /// - A task whose submit was begun is submitted again under its idempotency key. The service then answers with the
    ///   same task, or with a new one if the first submit did not arrive.
    /// - A task whose submit was begun without an idempotency key may be running or not: it is
    ///   [`Recovered::Uncertain`], and never submitted again. (A PUT needs no key.)
    /// - A task that cannot be read, or whose new submit fails, stays in the store: [`Recovered::Failed`].
    ///
    /// ```
    /// # use longhaul::testing::{reply, script};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// # let service = script([]);
    /// # let client = service.client().task_store(longhaul::tasks::MemoryTaskStore::new()).build()?;
    /// use longhaul::tasks::Recovered;
    ///
    /// for recovered in client.recover::<serde_json::Value>().await? {
    ///     match recovered {
    ///         Recovered::Task(task) => {
    ///             let outcome = task.await?;
    ///             // Your own work, and then:
    ///             outcome.ack().await?;
    ///         }
    ///         Recovered::Uncertain(task) => eprintln!("look for {} at the service: {}", task.stored_as(), task.why()),
    ///         Recovered::Failed(task) => eprintln!("{}: {}", task.stored_as(), task.error()),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::TaskStore`] if the store failed, [`ErrorKind::Config`] if the client has none.
    ///
    /// # Cancel safety
    /// If the future is dropped, the tasks that it took over are free again.
    pub fn recover<T>(&self) -> Recover<T> {
        Recover::new(self.clone())
    }

    /// Returns how many tasks the client's [task store](ClientBuilder::task_store) has, of all processes.
    ///
    /// # Errors
    /// As [`recover`](Client::recover).
    pub async fn stored_tasks(&self) -> Result<StoredCounts, Error> {
        self.keeper()?.counts().await
    }

    /// Completes a login: exchanges the code that the browser returned with, saves the token, and uses it from now on.
    ///
    /// `redirected` is the whole URL that the service redirected the browser to, or its path and query.
    ///
    /// # Errors
    /// [`ErrorKind::TokenRefused`] if the code does not belong to this login, or was refused;
    /// [`ErrorKind::TokenUnavailable`] and [`ErrorKind::Store`] if the token could not be fetched or saved;
    /// [`ErrorKind::Config`] if the credential has no login.
    ///
    /// # Cancel safety
    /// If the future is dropped in flight, the login continues in a spawned task.
    #[cfg(feature = "pkce")]
    pub async fn log_in(&self, login: crate::credential::Login, redirected: impl AsRef<str>) -> Result<(), Error> {
        let code = login.code(redirected.as_ref(), self.0.transport.credential.secrets())?;
        let cache = self.0.transport.credential.token_caches().find(|cache| cache.is_of(&login)).cloned();
        let none = || Error::new(ErrorKind::Config, "this login was begun with another credential than the client's");
        let cache = cache.ok_or_else(none)?;
        self.clear_cache();
        let logged_in = detached(cache.log_in(code, login.verifier, self.0.transport.token_transport.clone())).await;
        // A call that was under way had the earlier login.
        self.clear_cache();
        logged_in
    }

    /// Logs out: revokes the tokens at the service ([`OAuth::revoke_at`](crate::OAuth::revoke_at)), and removes them
    /// from the client and from the store, whatever the service answers. Without a revocation endpoint, the tokens are
    /// only removed.
    ///
    /// # Errors
    /// [`ErrorKind::TokenUnavailable`] if the service did not confirm the revocation, [`ErrorKind::Store`] if the store
    /// still holds the tokens.
    ///
    /// # Cancel safety
    /// If the future is dropped in flight, the logout continues in a spawned task.
    pub async fn revoke(&self) -> Result<(), Error> {
        self.clear_cache();
        let transport = self.0.transport.clone();
        detached(async move {
            let mut ended = Ok(());
            for cache in transport.credential.token_caches() {
                // A failure must not keep the remaining caches logged in.
                ended = ended.and(cache.clone().revoke(transport.token_transport.clone()).await);
            }
            ended
        })
        .await
    }

    /// Forgets all answers that are kept by [`ClientBuilder::cache_gets`] and [`RequestBuilder::cached`]. A login and a
    /// logout do that, too.
    pub fn clear_cache(&self) {
        self.0.transport.cache.clear();
    }

    /// Waits for token refreshes in progress, and for writes to the [task store](ClientBuilder::task_store).
    ///
    /// A token that is about to expire is refreshed in the background while requests still use it. A program that exits
    /// meanwhile would lose the new token and, if the service rotates refresh tokens, the login. Call this method last
    /// in `main`.
    ///
    /// # Cancel safety
    /// Cancel-safe.
    pub async fn settle(&self) {
        for cache in self.0.transport.credential.token_caches() {
            cache.settle().await;
        }
        if let Some(keeper) = &self.0.keeper
            && let Err(error) = keeper.flush().await
        {
            tracing::warn!(%error, "the task store does not have all changes");
        }
    }

    /// Returns how long the tasks of this client and its clones took, by kind and size class: the durations that a client
    /// with [`PollPolicy::learn`] has learned. The value is Serde data; save it, and give it to the client of the next
    /// process with [`recall_durations`](Client::recall_durations).
    #[must_use]
    pub fn durations(&self) -> LearnedDurations {
        self.0.durations.learned()
    }

    /// Replaces the durations of each kind and size class that `learned` names by those of `learned`. Data that no client
    /// can have learned is ignored, with a warning in the log.
    ///
    /// ```
    /// use longhaul::tasks::LearnedDurations;
    ///
    /// # let client = longhaul::Client::builder("https://api.example.com").build()?;
    /// let text = r#"[{"kind": "export", "spans": [[95200, 100100], [0, 100300]]}]"#;
    /// let learned: LearnedDurations = serde_json::from_str(text).expect("the text of learned durations");
    /// client.recall_durations(&learned);
    /// assert_eq!(client.durations(), learned);
    /// # Ok::<(), longhaul::Error>(())
    /// ```
    pub fn recall_durations(&self, learned: &LearnedDurations) {
        self.0.durations.recall(learned);
    }

    /// Returns the statistics of this client and its clones so far. The call also checks whether an
    /// [alert](crate::telemetry::Alerts) is due.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.telemetry.stats()
    }

    /// Returns a human-readable summary of the traffic of this client and its clones today.
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

    /// Returns a stream of events as they happen: every event of the [throttle](crate::Throttle::events), and retries,
    /// refreshes, slow answers, limits that are nearly used up, and alerts.
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
    /// The throttle's events arrive in order, and so do the client's; the order between the two may differ slightly.
    /// For a slow watcher, the last 1,024 events of each are kept, and [`Event::Missed`](crate::Event::Missed) reports
    /// how many were lost. Events are created only while a watcher exists.
    ///
    /// The stream ends with the last clone of the client, its tasks and its throttle.
    pub fn events(&self) -> Events {
        let hidden = self.0.transport.wire.hidden.clone();
        self.0.telemetry.events().change(move |event| match event {
            // `Ignored` is the only event that quotes response text. The throttle may have it from another client.
            Event::Ignored { what } => Event::Ignored { what: hidden.mask().hide(&what).into() },
            event => event,
        })
    }

    /// Returns the client's throttle, to run other requests under the same limits, to change a limit, and to query its
    /// state. The handle counts for the client's account.
    #[must_use]
    pub fn throttle(&self) -> &Throttle {
        &self.0.transport.wire.throttle
    }

    /// Returns the key of a request of this client, as the limits count it: for [`Throttle::acquire`] and
    /// [`Throttle::explain`].
    ///
    /// # Errors
    /// [`ErrorKind::Request`] and [`ErrorKind::Untrusted`] if a request to the path would be refused.
    pub fn request_key(&self, method: &Method, path: &str) -> Result<RequestKey, Error> {
        let url = path::join(&self.0.transport.trust, path)?;
        Ok(RequestKey::request(method, &url).credential(&*self.0.transport.wire.credential_id))
    }

    /// Returns the URL that paths are relative to.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    fn keeper(&self) -> Result<&Arc<Keeper>, Error> {
        let none = || Error::new(ErrorKind::Config, "the client has no task store: see ClientBuilder::task_store");
        self.0.keeper.as_ref().ok_or_else(none)
    }

    fn core(&self, kind: &str) -> Result<Arc<TaskCore>, Error> {
        self.0.kinds.get(kind).cloned().ok_or_else(|| {
            let known: Vec<_> = self.0.kinds.keys().map(String::as_str).collect();
            let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let why = format!("the profile has no kind `{kind}`; it has {has}");
            Error::new(ErrorKind::Config, why)
        })
    }

    fn core_of(&self, protocol: Protocol) -> Arc<TaskCore> {
        if !protocol.shares_polls() {
            return self.new_core(protocol);
        }
        // Tasks that share polls share their state.
        let mut given = self.0.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|core| core.strong_count() > 0);
        let known = given.iter().filter_map(Weak::upgrade).find(|core| core.protocol == protocol);
        known.unwrap_or_else(|| {
            let core = self.new_core(protocol);
            given.push(Arc::downgrade(&core));
            core
        })
    }

    fn new_core(&self, protocol: Protocol) -> Arc<TaskCore> {
        Arc::new(TaskCore {
            transport: self.0.transport.clone(),
            carrier: self.0.carrier.clone(),
            protocol,
            kind: None,
            given: true,
            pace: self.0.pace.clone(),
            durations: self.0.durations.clone(),
            long_after: self.0.default.long_after,
            base: self.0.base.clone(),
            transcripts: self.0.default.transcripts.clone(),
            gathering: Gathering::default(),
        })
    }
}

/// Runs the work to its end, even if the caller stops waiting.
async fn detached(work: impl Future<Output = Result<(), Error>> + Send + 'static) -> Result<(), Error> {
    let why = "no tokio runtime runs here, or the runtime ended before the work: call this inside a runtime that lives \
               until it returns";
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
