//! The simulated service: an API of long-running exports and the storage of their results, on
//! two ports of this machine.

mod access;
mod answer;
mod api;
mod builder;
mod content;
mod counts;
mod feed;
mod knobs;
mod range;
mod sas;
mod seen;
mod server;
mod service;
mod storage;
mod tasks;
mod window;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use url::Url;

use self::access::Access;
pub use self::builder::SimulatorBuilder;
pub use self::content::Content;
pub use self::counts::Counts;
pub use self::knobs::Finish;
use self::knobs::Knobs;
pub use self::seen::{Seen, Side};
use self::server::Server;
use self::service::Service;

/// A service of long-running exports, in this process: real HTTP/1.1 over loopback, with real
/// limits, a real clock and, if asked for, real trouble.
///
/// ```
/// use std::time::Duration;
///
/// use longhaul::testing::Simulator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Simulator::builder()
///     .limit(1, Duration::from_secs(60))
///     .start()
///     .await?;
///
/// let http = reqwest::Client::builder().no_proxy().build()?;
/// let farms = http
///     .get(service.url().join("farms")?)
///     .bearer_auth(service.bearer())
///     .header("Ocp-Apim-Subscription-Key", service.subscription_key());
/// let again = farms.try_clone().ok_or("a body that streams")?;
///
/// assert_eq!(farms.send().await?.status(), 200);
/// assert_eq!(again.send().await?.status(), 429);
/// assert_eq!(service.counts().throttled(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # The API
/// Everything lies below [`url`](Self::url), answers JSON and wants both
/// `Authorization: Bearer <token>` and `Ocp-Apim-Subscription-Key: <key>`.
///
/// | request | answer |
/// | --- | --- |
/// | `POST exports` | 201 with `TaskUid` and `Location`, the status URL. Of any JSON object it reads `size` (bytes of the result), `duration_ms`, `format` (of the file's name) and `fail` (the message to fail with); no body at all will do, too |
/// | `GET tasks/{uid}` | 200 with `Status`. First `accepted`, then `started`, with `PercentComplete`, `RetryAfter` in milliseconds and a `Retry-After` in seconds; at last `finished` as [`Finish`] says, or `failed` with `Error` and `CorrelationId`, or `canceled` |
/// | `DELETE tasks/{uid}` | 202. The task is canceled at once, unless it has ended before |
/// | `GET results/{uid}` | 200 with `Result`, a signed link, and `Rows`, once the task is finished |
/// | `GET farms` | 200 with an array: an ordinary call, under the same limits |
///
/// Limits come before credentials: a request that lacks them is counted by the limits as any
/// other.
///
/// # The storage
/// A signed link opens one result for `GET` and `HEAD`, until it expires; every poll and every
/// `GET results/{uid}` of a finished task makes a new one. The storage knows single ranges,
/// `If-Match` and `If-Unmodified-Since`, and ignores `If-Range`. What it must have sent is
/// known to [`expected`](Self::expected), even of a result of many gigabytes: none is ever held
/// in memory.
///
/// # The end
/// Dropping it stops both servers and closes their connections, as soon as the runtime that it
/// was started in comes to it.
///
/// # Limits
/// It keeps a record of every request, so its memory grows with their number. It runs on the
/// real clock: a paused one would skip its waits, and let a client time out on a real socket.
pub struct Simulator {
    service: Arc<Service>,
    url: Url,
    storage_url: Url,
    _servers: [Server; 2],
}

impl Simulator {
    /// Starts a service with [the defaults](SimulatorBuilder): no limits and no trouble.
    ///
    /// # Errors
    /// What the system answers when asked for a port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets up a service before it starts.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// The base of the API: `http://127.0.0.1:PORT/farmsandfields/v1/`.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The base of the storage: `http://127.0.0.1:PORT/`, on another port than the API and so
    /// of another origin.
    pub fn storage_url(&self) -> Url {
        self.storage_url.clone()
    }

    /// The bearer token that the API wants.
    pub fn bearer(&self) -> &str {
        &self.service.access.bearer
    }

    /// The subscription key that the API wants.
    pub fn subscription_key(&self) -> &str {
        &self.service.access.key
    }

    /// The uids of all tasks, in the order of their submits.
    pub fn tasks(&self) -> Vec<String> {
        self.service.state().tasks.uids().to_vec()
    }

    /// What a download of this task's result must give, now; none if there is no such task.
    pub fn expected(&self, uid: &str) -> Option<Content> {
        self.service.state().content(uid)
    }

    /// What was asked for so far.
    pub fn counts(&self) -> Counts {
        self.service.state().counts
    }

    /// Every request so far, in the order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        self.service.state().log.clone()
    }

    /// Gives every result, of tasks to come too, other bytes of the same length, with another
    /// `ETag` and a later `Last-Modified`. A body that is on its way stays what it was.
    pub fn replace_results(&self) {
        self.service.state().version += 1;
    }

    /// Makes every signed link issued so far expired. Those issued from now on are good.
    pub fn expire_links(&self) {
        self.service.state().generation += 1;
    }

    async fn launch(access: Access, knobs: Knobs) -> io::Result<Self> {
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let storage = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (api_origin, storage_origin) = (origin(&api)?, origin(&storage)?);
        let url = parse(&format!("{api_origin}{}", api::BASE))?;
        let storage_url = parse(&storage_origin)?;

        let service = Arc::new(Service::new(access, knobs, api_origin, storage_origin));
        let for_api = service.clone();
        let for_storage = service.clone();
        let servers = [
            Server::start(api, move |request, _| api::answer(for_api.clone(), request)),
            Server::start(storage, move |request, connection| {
                std::future::ready(storage::answer(&for_storage, request, connection))
            }),
        ];
        Ok(Self { service, url, storage_url, _servers: servers })
    }
}

impl Debug for Simulator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("url", &self.url.as_str())
            .field("storage_url", &self.storage_url.as_str())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

fn origin(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

fn parse(url: &str) -> io::Result<Url> {
    Url::parse(url).map_err(io::Error::other)
}
