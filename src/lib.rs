//! A client for services that answer a slow request with "accepted, ask me later".
//!
//! The client submits long-running tasks over HTTP and polls them as the service asks. A task's state is a stream and
//! its end is a future. Results are downloaded from signed URLs, and all requests go through one throttled transport.
//!
//! ```
//! use futures::TryStreamExt;
//! use longhaul::{Client, Credential, Limit, Profile, TaskBuilder, TaskRequest};
//! # use longhaul::testing::Simulator;
//!
//! #[derive(serde::Serialize)]
//! struct FarmExport {
//!     farms: Vec<u32>,
//! }
//!
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Exported {
//!     rows: u64,
//! }
//!
//! impl TaskRequest for FarmExport {
//!     type Output = Exported;
//!
//!     fn request(&self, to: TaskBuilder) -> TaskBuilder {
//!         to.post("exports").json(self)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let service = Simulator::builder().hint_on_submit(true).start().await?;
//! # let (url, token, key) = (service.url(), service.bearer(), service.subscription_key());
//! # let folder = std::env::temp_dir().join(format!("longhaul-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let target = folder.join("farms.parquet");
//! let client = Client::builder(url)
//!     .profile(Profile::smag_task())
//!     .credential(Credential::bearer(token).and(Credential::api_key_header("Ocp-Apim-Subscription-Key", key)))
//!     .limit(Limit::per_second(4))
//!     .build()?;
//!
//! let mut task = client.submit(&FarmExport { farms: vec![1, 2] }).await?;
//! let mut updates = task.updates();
//! while let Some(update) = updates.try_next().await? {
//!     println!("{}: {:?} %", update.state(), update.percent());
//! }
//! let outcome = task.await?;
//! outcome.download().to_file(&target).await?;
//! let exported: Exported = outcome.value()?;
//! # assert!(exported.rows > 0 && target.exists());
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! | to | see |
//! | --- | --- |
//! | set up a client | [`Client::builder`], [`Profile`], [`Credential`], [`Limit`] |
//! | fetch, refresh and store tokens | [`OAuth`], [`TokenSource`](credentials::TokenSource), [`CredentialStore`](credentials::CredentialStore), [`Sign`](credentials::Sign), [`Client::settle`] |
//! | keep within limits and inspect them | [`Limit`], [`Scope`](limits::Scope), [`Throttle`], [`Permit`](limits::Permit), [`Event`], [`Feedback`](limits::Feedback) |
//! | start a task | [`Client::submit`], [`Client::task`], [`TaskRequest`] |
//! | wait for a task | [`Task`], [`Task::updates`], [`Update`], [`TaskHandle`], [`PollPolicy`] |
//! | resume a task in another process | [`TaskHandle::token`], [`Client::resume`] |
//! | keep tasks over the end of a process | [`ClientBuilder::task_store`], [`Client::recover`], [`TaskStore`](tasks::TaskStore), [`Outcome::ack`] |
//! | run many tasks | [`Client::tasks`] |
//! | get the result | [`Outcome`], [`Pages`](tasks::Pages), [`PageBytes`](tasks::PageBytes), [`Download`], [`DownloadAll`](downloads::DownloadAll), [`SecretUrl`] |
//! | read the limits that a service states | [`Hints`](limits::Hints), [`Budget`](limits::Budget), [`HintRule`](limits::HintRule) |
//! | observe and measure | [`Client::events`], [`Client::stats`], [`Client::summary`], [`Alerts`](telemetry::Alerts) |
//! | handle a failure | [`Error`], [`ErrorKind`], [`RetryPolicy`], [`Schedule`](retries::Schedule) |
//! | take a known service, or describe your own | [`Profile`], [`Client::for_profile`], [`profiles`] |
//! | support another kind of task | [`Protocol`] |
//! | find a type that is not at the root | [`limits`], [`protocols`], [`credentials`], [`retries`], [`telemetry`], [`tasks`], [`downloads`], [`http`] |
//! | test your own code | `testing` (feature `testing`) |
//!
//! The [guide] shows each of these on one page.
//!
//! # Features
//! - `rustls` (default) or `native-tls`: the TLS backend.
//! - `gzip`: compressed bodies of the API.
//! - `tower`: the throttle around other services.
//! - `backoff`: the sequences of the `backoff` crate.
//! - `metrics`: the client's counts, through the `metrics` facade.
//! - `pkce`: logins in a browser.
//! - `token-file`: tokens in an encrypted file, sealed resume tokens and task stores.
//! - `redis`: limits and tasks in a Redis server, for processes on many machines.
//! - `toml`: profiles in TOML files.
//! - `redis`: one limit for processes on many machines.
//! - `bundled-time-zones`: a time zone database, for machines that have none.
//! - `testing`: services to test against.
//!
//! All features are additive.

// docs.rs builds with a nightly compiler and sets `docsrs`: each item then shows the feature that it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod clock;
mod credential;
mod download;
mod error;
mod event;
mod hint;
mod limit;
mod message;
mod page;
mod pointer;
mod profile;
mod protocol;
mod redact;
mod retry;
#[cfg(feature = "redis")]
mod server;
mod stats;
mod store;
mod task;
mod throttle;
mod transport;

#[cfg(feature = "testing")]
pub mod testing;

#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[doc = include_str!("../docs/security.md")]
pub mod security {}

#[doc = include_str!("../docs/scale.md")]
pub mod scale {}

#[doc = include_str!("../docs/figures/links.txt")]
#[doc = include_str!("../docs/how-it-works.md")]
pub mod architecture {}

#[doc = include_str!("../docs/throttle.md")]
pub mod limits {
    pub use crate::clock::Clock;
    pub use crate::hint::{Budget, HintFact, HintRule, Hints, Unit};
    pub use crate::limit::{Anchor, Outage, Scope, Window};
    pub use crate::message::Priority;
    pub use crate::throttle::{
        Acquire, Feedback, Learned, LearnedLimit, LimitUsage, Permit, QueueEstimate, RequestKey, SharedUsage,
    };
    #[cfg(feature = "tower")]
    pub use crate::throttle::{Counted, ThrottleLayer, Throttled};
}

#[doc = include_str!("../docs/protocol.md")]
pub mod protocols {
    pub use crate::pointer::{Source, SourceError};
    pub use crate::profile::Replay;
    pub use crate::protocol::{
        Cursor, Exchange, ExchangeError, FinalStateVia, Finding, Next, PageRule, PollMany, ProgressUnit, Reduce,
        Report, ResultKind, StatusKind, Step,
    };
}

/// The services of the field, each as a [`Profile`].
///
/// | to | see |
/// | --- | --- |
/// | get one by its name | [`Profile::by_name`], [`Profile::NAMES`] |
/// | change a part of one | the setters of [`Profile`]; [`Profile::without_limits`] |
///
/// Each is data: `serde_json::to_string(&profiles::power_bi())` shows all of it. What a service does not document is
/// called a guess in the docs of its profile.
///
#[doc = include_str!("../docs/profiles.md")]
pub mod profiles {
    pub use crate::profile::services::{
        databricks, dropbox, durable_functions, fhir, hubspot, ivoa_uws, mailchimp, marketo, microsoft_graph,
        ogc_processes, openai, power_bi, replicate, salesforce_bulk, shopify, snowflake, trino, twilio, zuora,
    };
}

#[doc = include_str!("../docs/credentials.md")]
pub mod credentials {
    #[cfg(feature = "pkce")]
    pub use crate::credential::Login;
    #[cfg(feature = "redis")]
    pub use crate::credential::RedisCredentialStore;
    pub use crate::credential::{
        CredentialStore, ExclusiveStore, MemoryStore, RefreshLease, RefreshTurn, Replaced, Sign, StoreError,
        StoredToken, Token, TokenAnswer, TokenEndpoint, TokenError, TokenSource,
    };
    #[cfg(feature = "token-file")]
    pub use crate::credential::{FileKey, FileStore};
    pub use crate::profile::{BasicStyle, ClientAuth, CredentialStyle, GrantStyle, KeyStyle, OAuthStyle, Secrets};
}

#[doc = include_str!("../docs/retries.md")]
pub mod retries {
    pub use crate::retry::{Delays, EnvelopeRule, FailedAttempt, Schedule};
}

#[doc = include_str!("../docs/telemetry.md")]
pub mod telemetry {
    pub use crate::event::{Alert, AlertKind, Events, RefusalCause, RetryReason, Severity};
    pub use crate::stats::{Alerts, Endpoint, Latency, Refusals, Summary, TaskCounts, TokenUse};
}

/// The streams of a task: its updates, and the pages of its result; many tasks as one stream; and tasks that outlive
/// the process.
///
/// | to | see |
/// | --- | --- |
/// | keep tasks in a store | [`FileTaskStore`](tasks::FileTaskStore), [`MemoryTaskStore`](tasks::MemoryTaskStore), `RedisTaskStore` (feature `redis`), [`ClientBuilder::task_store`] |
/// | write a store of your own | [`TaskStore`](tasks::TaskStore) |
/// | take tasks over from earlier processes | [`Client::recover`], [`Recovered`](tasks::Recovered) |
/// | run many tasks | [`Client::tasks`], [`Tasks`](tasks::Tasks), [`TaskEvent`](tasks::TaskEvent) |
/// | watch one task, or read pages | [`Updates`](tasks::Updates), [`Pages`](tasks::Pages), [`PageBytes`](tasks::PageBytes) |
pub mod tasks {
    pub use crate::client::{
        Downloaded, FailedTask, Recover, Recovered, TaskDownloads, TaskEvent, TaskId, Tasks, TasksProgress, Uncertain,
        Unrecovered,
    };
    pub use crate::page::{PageBytes, Pages};
    #[cfg(feature = "redis")]
    pub use crate::store::RedisTaskStore;
    pub use crate::store::{
        Claimed, FileTaskStore, Intent, MemoryTaskStore, StoredCounts, StoredState, TaskLease, TaskStore, TaskWrite,
        Written,
    };
    pub use crate::task::{LearnedDurations, TaskDurations, TaskUpdates, Transcripts, Updates};
}

/// The parts of a [`Download`], and the page on downloads.
///
/// | to | see |
/// | --- | --- |
/// | begin a download | [`Outcome::download`], [`Outcome::downloads`], [`Outcome::download_all`], [`Client::download`] |
/// | choose a sink | [`Download::to_file`], [`to_dir`](Download::to_dir), [`to_writer`](Download::to_writer), [`stream`](Download::stream), [`to_memory`](Download::to_memory) |
/// | watch it | [`ProgressWatch`](downloads::ProgressWatch), [`Progress`](downloads::Progress) |
/// | read its report | [`Receipt`](downloads::Receipt) |
/// | set what is compared and replaced | [`Verify`](downloads::Verify), [`Checksum`](downloads::Checksum), [`Overwrite`](downloads::Overwrite) |
/// | bound all downloads of a client | [`ClientBuilder::download_connections`], [`ClientBuilder::download_bandwidth`] |
/// | pass a link to another client | [`SecretUrl`], [`UrlError`](downloads::UrlError) |
///
#[doc = include_str!("../docs/downloads.md")]
pub mod downloads {
    pub use crate::download::{
        Checksum, DownloadAll, DownloadStream, Overwrite, Progress, ProgressWatch, Receipt, Verify,
    };
    pub use crate::redact::UrlError;
}

/// Requests and responses: ordinary calls of the API, the interface to other HTTP clients, and the types of other
/// crates that appear in signatures.
pub mod http {
    pub use ::bytes::Bytes;
    pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
    pub use ::url::Url;

    pub use crate::client::{BulkBuilder, BulkResults, ItemError, ItemFate, RequestBuilder};
    pub use crate::message::{Body, Http, HttpError, Multipart, Reply, Request, Response, Transcript};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use client::{Client, ClientBuilder, TaskBuilder, TaskRequest};
pub use credential::{Credential, OAuth};
pub use download::Download;
pub use error::{Error, ErrorKind, Fault, Result};
pub use event::Event;
pub use limit::Limit;
pub use profile::Profile;
pub use protocol::{Protocol, State};
pub use redact::SecretUrl;
pub use retry::RetryPolicy;
pub use stats::Stats;
pub use task::{Outcome, PollPolicy, ResumeToken, Task, TaskHandle, Update};
pub use throttle::Throttle;
