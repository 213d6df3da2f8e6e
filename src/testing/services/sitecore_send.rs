//! A simulated Sitecore Send, formerly Moosend.

mod builder;
mod desk;
mod route;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::time::Duration;

use url::Url;

pub use self::builder::SitecoreSendBuilder;
use self::desk::Desk;
use super::host::{Host, Ports};
use crate::testing::counts::Counts;
use crate::testing::seen::{Seen, Side};

/// Sitecore Send in this process: its API, version 3, over real HTTP on loopback.
///
/// ```
/// use longhaul::testing::SitecoreSend;
/// use serde_json::Value;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = SitecoreSend::start().await?;
/// service.add_key("key-1");
///
/// let http = reqwest::Client::builder().no_proxy().build()?;
/// let url = format!("{}/subscribers/7/subscribe_many.json?apikey=key-1", service.url());
/// for code in [0, 0, 429] {
///     let answer = http.post(&url).body("{}").send().await?;
///     assert_eq!(answer.status(), 200);
///     let body: Value = serde_json::from_slice(&answer.bytes().await?)?;
///     assert_eq!(body["Code"], code);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # The API
/// The status of every answer is 200; its body says by `Code` and `Error` how the request fared, with `Context` if it
/// succeeded. A request needs an [API key](Self::add_key) in its query, as `apikey`; without it the `Code` is 401. Sitecore
/// does not document the code of a wrong key.
///
/// | request, its path below `/v3/` and with `.json` at its end | limit of a key |
/// | --- | --- |
/// | `GET campaigns/{id}/stats/{type}` | 2 in 60 s |
/// | `POST subscribers/{list}/subscribe` | 10 in 10 s |
/// | `POST subscribers/{list}/subscribe_many` | 2 in 10 s |
/// | `POST subscribers/unsubscribe` | 20 in 10 s |
/// | `POST subscribers/{list}/unsubscribe` | 20 in 10 s |
/// | `POST subscribers/{list}/{campaign}/unsubscribe` | 20 in 10 s |
/// | `DELETE subscribers/{list}/delete` | 40 in 10 s |
/// | `DELETE subscribers/{list}/delete_many` | 8 in 10 s |
/// | `POST campaigns/transactional/send` | 6 in 1 s |
/// | `GET lists` | none |
///
/// Each route has a window of its own, whatever list or campaign is named. It opens with the first call and ends after
/// its span; refused calls do not count. A refusal has the `Code` 429, the `Error` `RATE_LIMITING`, and as
/// `x-ratelimit-firstcall` and `x-ratelimit-expires` the ends of the window, such as `07/10/2024 14:12:52`: UTC, the month
/// first, in whole seconds. How Sitecore rounds them is not documented; this service rounds them up, unless
/// [told otherwise](SitecoreSendBuilder::round_down).
///
/// # Counts
/// Of [`Counts`], an admitted request is one of the `other_calls`.
pub struct SitecoreSend {
    host: Host<Desk>,
    url: Url,
}

impl SitecoreSend {
    /// Starts a service with the documented limits.
    ///
    /// # Errors
    /// The error of the system when it was asked for a port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder, which configures a service before it starts.
    pub fn builder() -> SitecoreSendBuilder {
        SitecoreSendBuilder::default()
    }

    /// Returns the base of the API: `http://127.0.0.1:PORT/v3`.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Adds an API key.
    pub fn add_key(&self, key: &str) {
        self.host.vendor(|desk| desk.keys.insert(key.to_owned()));
    }

    /// Refuses the next `n` requests to limited routes, after those of earlier calls, as if their windows were full and
    /// had just been opened.
    pub fn throttle_next(&self, n: usize) {
        self.host.vendor(|desk| desk.throttle_next += n);
    }

    /// Returns the request counts so far.
    pub fn counts(&self) -> Counts {
        self.host.counts()
    }

    /// Returns every request so far, in the order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        self.host.log()
    }

    async fn launch(desk: Desk, latency: Duration) -> io::Result<Self> {
        let ports = Ports::open(&[Side::Api]).await?;
        let url = ports.url(Side::Api, "/v3")?;
        Ok(Self { host: Host::start(ports, latency, desk), url })
    }
}

impl Debug for SitecoreSend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SitecoreSend")
            .field("url", &self.url.as_str())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
