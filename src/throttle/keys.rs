//! Keys: what a request is, for the limits that count it.

use http::{Method, Uri};
use url::Url;

use super::Asker;

/// What a request is, for the limits that count it, where your own code asks a [`Throttle`](super::Throttle).
///
/// ```
/// use http::Method;
/// use longhaul::{Class, Keys, Limit, Scope, Throttle};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let throttle = Throttle::new();
/// throttle.limit(Limit::per_second(2).scope(Scope::route("GET /stats/**")))?;
/// let keys = Keys::request(&Method::GET, &"https://api.example.com/stats/7".parse()?);
/// let permit = throttle.acquire(Class::Call, &keys).await?;
/// # drop(permit);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Keys {
    credential: String,
    host: String,
    method: Option<Method>,
    path: String,
    kind: Option<String>,
    task: u64,
}

impl Keys {
    /// A request of which nothing is known: it meets the limits of [`Scope::Account`](crate::Scope::Account) alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A request with this method to this URL. Its query plays no part.
    #[must_use]
    pub fn request(method: &Method, url: &Url) -> Self {
        Self {
            host: url.host_str().unwrap_or_default().to_owned(),
            method: Some(method.clone()),
            path: url.path().to_owned(),
            ..Self::default()
        }
    }

    /// As [`request`](Keys::request), for a URI as the `http` crate has it.
    #[must_use]
    pub fn uri(method: &Method, uri: &Uri) -> Self {
        Self {
            host: uri.host().unwrap_or_default().to_owned(),
            method: Some(method.clone()),
            path: uri.path().to_owned(),
            ..Self::default()
        }
    }

    /// Counts it for a credential, by a name that is no secret.
    #[must_use]
    pub fn credential(mut self, name: impl Into<String>) -> Self {
        self.credential = name.into();
        self
    }

    /// Counts it for a kind of task.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Says for which of several tasks it is, by any number but 0: those of one class take turns by task, so that one
    /// with a thousand requests does not keep out another with one.
    #[must_use]
    pub const fn task(mut self, number: u64) -> Self {
        self.task = number;
        self
    }

    pub(super) fn asker(&self, owner: u32) -> Asker<'_> {
        Asker {
            owner,
            credential: &self.credential,
            host: &self.host,
            method: self.method.as_ref(),
            path: &self.path,
            kind: self.kind.as_deref(),
            task: self.task,
        }
    }
}
