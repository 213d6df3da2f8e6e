//! RequestKey: the properties of a request by which limits count it.

use std::sync::Arc;

use http::{Method, Uri};
use url::Url;

use super::ids::AccountId;
use super::request::RequestFacts;

/// The properties of a request by which limits count it, for requests of your own under a
/// [`Throttle`](super::Throttle).
///
/// ```
/// use http::Method;
/// use longhaul::{Limit, Throttle};
/// use longhaul::limits::{Priority, RequestKey, Scope};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let throttle = Throttle::new();
/// throttle.add_limit(Limit::per_second(2).scope(Scope::route("GET /stats/**")))?;
/// let keys = RequestKey::request(&Method::GET, &"https://api.example.com/stats/7".parse()?);
/// let permit = throttle.acquire(Priority::Call, &keys).await?;
/// # drop(permit);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequestKey {
    known: Option<Arc<KeyFacts>>,
    task: u64,
}

#[derive(Clone, Debug, Default)]
struct KeyFacts {
    credential: String,
    host: String,
    method: Option<Method>,
    path: String,
    kind: Option<String>,
}

impl RequestKey {
    /// Creates a key without any properties: only the limits of [`Scope::Account`](crate::limits::Scope::Account) count
    /// the request.
    #[must_use]
    pub const fn new() -> Self {
        Self { known: None, task: 0 }
    }

    /// Creates the key of a request with this method to this URL. The query of the URL is ignored.
    #[must_use]
    pub fn request(method: &Method, url: &Url) -> Self {
        Self::new().know(|known| {
            (known.method, known.path) = (Some(method.clone()), url.path().to_owned());
            url.host_str().unwrap_or_default().clone_into(&mut known.host);
        })
    }

    /// As [`request`](RequestKey::request), for a URI of the `http` crate.
    #[must_use]
    pub fn uri(method: &Method, uri: &Uri) -> Self {
        Self::new().know(|known| {
            (known.method, known.path) = (Some(method.clone()), uri.path().to_owned());
            known.host = uri.host().unwrap_or_default().to_ascii_lowercase();
        })
    }

    /// Counts the request for a credential. The name must not be a secret.
    #[must_use]
    pub fn credential(self, name: impl Into<String>) -> Self {
        self.know(|known| known.credential = name.into())
    }

    /// Counts the request for a kind of task.
    #[must_use]
    pub fn kind(self, kind: impl Into<String>) -> Self {
        self.know(|known| known.kind = Some(kind.into()))
    }

    /// Assigns the request to one of several tasks, by any number but 0. The tasks of one class take turns, so that a
    /// task with a thousand requests does not keep out a task with one.
    #[must_use]
    pub const fn task(mut self, number: u64) -> Self {
        self.task = number;
        self
    }

    pub(super) fn facts(&self, account: AccountId) -> RequestFacts<'_> {
        let known = self.known.as_deref();
        RequestFacts {
            account,
            is_foreign: false,
            credential: known.map_or("", |known| &known.credential),
            host: known.map_or("", |known| &known.host),
            method: known.and_then(|known| known.method.as_ref()),
            path: known.map_or("", |known| &known.path),
            kind: known.and_then(|known| known.kind.as_deref()),
            task: self.task,
        }
    }

    /// Returns the owned key of a request, for a later lookup.
    pub(super) fn of(request: &RequestFacts<'_>) -> Self {
        let known = KeyFacts {
            credential: request.credential.to_owned(),
            host: request.host.to_owned(),
            method: request.method.cloned(),
            path: request.path.to_owned(),
            kind: request.kind.map(str::to_owned),
        };
        Self { known: Some(Arc::new(known)), task: request.task }
    }

    fn know(mut self, what: impl FnOnce(&mut KeyFacts)) -> Self {
        what(Arc::make_mut(self.known.get_or_insert_default()));
        self
    }
}
