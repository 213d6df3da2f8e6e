//! Client for services that answer a slow request with "accepted, ask me later".
//!
//! It submits long-running tasks over HTTP, polls them as the service asks, gives their state as a stream and their
//! end as a future, and downloads the results from signed URLs, all through one throttled transport.
//!
//! ```
//! use futures::TryStreamExt;
//! use longhaul::{Client, Credential, Limit, NewTask, Profile, TaskRequest};
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
//!     fn request(&self, to: NewTask) -> NewTask {
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
//! | set a client up | [`Client::builder`], [`Profile`], [`Credential`], [`Limit`] |
//! | fetch, refresh and keep tokens | [`OAuth`], [`TokenSource`], [`CredentialStore`], [`Sign`], [`Client::settle`] |
//! | keep and see limits | [`Limit`], [`Scope`], [`Throttle`], [`Permit`], [`Event`], [`Feedback`] |
//! | start a task | [`Client::submit`], [`Client::task`], [`TaskRequest`] |
//! | wait for it | [`Task`], [`Task::updates`], [`Update`], [`TaskHandle`], [`Pace`] |
//! | go on in another process | [`TaskHandle::token`], [`Client::resume`] |
//! | get the result | [`Outcome`], [`Pages`], [`PageBytes`], [`Download`], [`SecretUrl`] |
//! | know what a service says of its limits | [`Hints`], [`Budget`], [`HintRule`] |
//! | know what happens and how well | [`Client::events`], [`Client::stats`], [`Client::summary`], [`Alerts`] |
//! | act on a failure | [`Error`], [`ErrorKind`], [`RetryPolicy`], [`Schedule`] |
//! | speak to another kind of service | [`Protocol`] |
//! | test your own code | `testing` (feature `testing`) |
//!
//! The [guide] shows each on one page.
//!
//! # Features
//! `rustls` (default) or `native-tls` for TLS; `gzip` for bodies of the API; `tower` for the throttle around other
//! services; `backoff` for the sequences of that crate; `metrics` for what is counted, through the facade of that name;
//! `pkce` for logins in a browser; `token-file` for tokens in an encrypted file; `bundled-time-zones` where the machine
//! has none; `testing` for the services to test against. All are additive.

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
mod stats;
mod task;
mod throttle;
mod transport;

#[cfg(feature = "testing")]
pub mod testing;

#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../docs/protocol.md")]
mod protocol_md {}

#[cfg(doctest)]
#[doc = include_str!("../docs/throttle.md")]
mod throttle_md {}

#[cfg(doctest)]
#[doc = include_str!("../docs/retries.md")]
mod retries_md {}

#[cfg(all(doctest, feature = "pkce", feature = "token-file"))]
#[doc = include_str!("../docs/credentials.md")]
mod credentials_md {}

#[cfg(all(doctest, feature = "token-file"))]
#[doc = include_str!("../docs/security.md")]
mod security_md {}

#[cfg(doctest)]
#[doc = include_str!("../docs/telemetry.md")]
mod telemetry_md {}

pub use client::{Call, Client, ClientBuilder, NewTask, TaskRequest};
pub use clock::Clock;
#[cfg(feature = "pkce")]
pub use credential::Login;
pub use credential::{
    Credential, CredentialStore, MemoryStore, OAuth, Sign, StoreError, Token, TokenAnswer, TokenEndpoint, TokenError,
    TokenSource,
};
#[cfg(feature = "token-file")]
pub use credential::{FileKey, FileStore};
pub use download::{Download, Progress, ProgressWatch, Receipt};
pub use error::{Error, ErrorKind, Fault, Result};
pub use event::{Alert, AlertKind, Blame, Event, RetryReason, Severity};
pub use hint::{Budget, HintFact, HintRule, Hints, Unit};
pub use limit::{Anchor, Limit, Scope, Window};
pub use message::{Body, Class, Http, HttpError, Reply, Request, Response};
pub use page::{PageBytes, Pages};
pub use pointer::{Source, SourceError};
pub use profile::Profile;
pub use protocol::{
    Cursor, Exchange, ExchangeError, FinalStateVia, Finding, Next, PageRule, ProgressUnit, Protocol, Reduce, Report,
    ResultKind, State, StatusKind, Step,
};
pub use redact::{SecretUrl, UrlError};
pub use retry::{EnvelopeRule, Pauses, RetryPolicy, Schedule};
pub use stats::{Alerts, Endpoint, Latency, Refusals, Stats, Summary, TaskCounts, TokenUse};
pub use task::{Outcome, Pace, ResumeToken, Task, TaskHandle, TaskUpdates, Update, Updates};
pub use throttle::{Acquire, Explained, Feedback, Keys, Learned, LimitUse, Permit, Throttle};
#[cfg(feature = "tower")]
pub use throttle::{Counted, ThrottleLayer, Throttled};
