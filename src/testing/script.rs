//! A scripted service: answers from a queue, in memory, and a record of the requests.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::client::{Client, ClientBuilder};
use crate::clock::Clock;
use crate::message::{Body, Http, HttpError, Priority, Request, Response};
use crate::retry::{RetryPolicy, Schedule};
use crate::task::PollPolicy;

/// Returns a service in memory that sends these answers, in this order.
///
/// The script works with a paused clock, so that waits of hours take no time and are exact:
///
/// ```
/// use std::time::Duration;
/// use longhaul::testing::{reply, script};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> longhaul::Result<()> {
/// let service = script([
///     reply(202).header("location", "tasks/1").header("retry-after", "60"),
///     reply(202).header("retry-after", "120"),
///     reply(200).json(serde_json::json!(7)),
/// ]);
/// let client = service.client().build()?;
/// let outcome = client.task().post("exports").submit::<u32>().await?.await?;
/// assert_eq!(outcome.value()?, 7);
/// assert_eq!(service.gaps(), [Duration::from_secs(60), Duration::from_secs(120)]);
/// # Ok(())
/// # }
/// ```
///
/// After its last answer, the script answers every request with 501. Answers that are bound to a path ([`Canned::at`])
/// are queued separately, so that a request in the background does not disturb the order.
pub fn script(answers: impl IntoIterator<Item = Canned>) -> Script {
    let mut state = State::default();
    answers.into_iter().for_each(|answer| state.add(answer));
    Script(Arc::new(Mutex::new(state)))
}

/// Returns an answer with this status. A number that is not a valid status becomes 500.
pub fn reply(status: u16) -> Canned {
    Canned {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        at: None,
        after: Duration::ZERO,
        end: End::Whole,
    }
}

/// A scripted service: [`script`]. Clones share the queue and the record.
#[derive(Clone)]
pub struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: VecDeque<Canned>,
    /// The answers bound to one path each. A path stays here after its last answer was sent.
    bound: BTreeMap<String, VecDeque<Canned>>,
    seen: Vec<Recorded>,
    begun: Option<Instant>,
}

impl State {
    fn add(&mut self, answer: Canned) {
        match &answer.at {
            Some(path) => self.bound.entry(path.clone()).or_default().push_back(answer),
            None => self.answers.push_back(answer),
        }
    }

    /// Returns the answer to a request for this path.
    fn next(&mut self, path: &str) -> Canned {
        let queue = self.bound.get_mut(path).unwrap_or(&mut self.answers);
        queue.pop_front().unwrap_or_else(|| reply(501).body(format!("the script has no further answer for {path}")))
    }

    fn left(&self) -> usize {
        self.answers.len() + self.bound.values().map(VecDeque::len).sum::<usize>()
    }
}

/// One answer of a scripted service: [`reply`].
#[derive(Clone, Debug)]
#[must_use = "an answer is given only by a script"]
pub struct Canned {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    at: Option<String>,
    after: Duration,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    /// The body breaks off after its bytes.
    Cut,
    /// No answer: the connection breaks.
    Lost,
    /// No answer: no connection is made.
    Unsent,
    /// No answer, ever.
    Silent,
}

impl Canned {
    /// Adds a header; letters beyond ASCII are sent as UTF-8. An invalid header is left out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
            self.headers.append(name, value);
        }
        self
    }

    /// Sets the body as JSON, with its Content-Type.
    pub fn json(self, body: impl Into<serde_json::Value>) -> Self {
        let json = body.into().to_string();
        self.header("content-type", "application/json").body(json)
    }

    /// Sets the body, without a Content-Type.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Binds the answer to a path: only a request for exactly this path gets it. A path that begins with `/` matches
    /// any host; any other path is below the base of [`Script::client`], `/v1/`. The query does not matter.
    ///
    /// Several answers for one path are sent in their order, and that path gets no other answer: after its last one, it
    /// is answered with 501. Requests for all other paths get the answers without a path, in their order. So a token
    /// that is fetched or refreshed in the background uses up no other answer:
    ///
    /// ```
    /// use http::Method;
    /// use longhaul::testing::{reply, script};
    /// use longhaul::{Credential, OAuth};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// let service = script([
    ///     reply(200).json(json!(1)),
    ///     reply(200).json(json!(2)),
    ///     reply(200).json(json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600})).at("/token"),
    /// ]);
    /// let oauth = OAuth::client_credentials("https://login.example.com/token", "id", "secret");
    /// let client = service.client().credential(Credential::oauth(oauth)).build()?;
    /// for expected in [1, 2] {
    ///     let farms: u32 = client.request(Method::GET, "farms").send().await?.json().await?;
    ///     assert_eq!(farms, expected);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn at(mut self, path: impl AsRef<str>) -> Self {
        let path = path.as_ref();
        self.at = Some(if path.starts_with('/') { path.to_owned() } else { format!("{BASE_PATH}{path}") });
        self
    }

    /// Delays the answer by this long after the request.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// Breaks the body off after its bytes.
    pub fn cut(mut self) -> Self {
        self.end = End::Cut;
        self
    }

    /// Sends no answer: the connection breaks, and the request may have been received.
    pub fn lost(mut self) -> Self {
        self.end = End::Lost;
        self
    }

    /// Sends no answer: no connection is made, and the request was provably not received.
    pub fn unsent(mut self) -> Self {
        self.end = End::Unsent;
        self
    }

    /// Never answers.
    pub fn silent(mut self) -> Self {
        self.end = End::Silent;
        self
    }
}

/// One request that a scripted service received.
#[derive(Clone)]
pub struct Recorded {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    class: Priority,
    at: Duration,
}

impl Recorded {
    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the URL, query included.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Returns a header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the priority of the request.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.class
    }

    /// Returns when the request arrived, counted from the first request.
    #[must_use]
    pub const fn at(&self) -> Duration {
        self.at
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.path();
        f.debug_struct("Recorded")
            .field("method", &self.method)
            .field("path", &path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Script {
    /// Returns a client whose API and storage are this script: base `https://api.example.com/v1/`, no jitter, and a
    /// wall clock that is set to 2030-01-01 and advances with tokio's.
    pub fn client(&self) -> ClientBuilder {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        Client::builder(format!("https://api.example.com{BASE_PATH}"))
            .http(self.clone())
            .storage_http(self.clone())
            .poll_policy(PollPolicy::standard().without_jitter())
            .retry(RetryPolicy::standard().schedule(Schedule::standard().without_jitter()))
            .clock(Clock::starting_at(start))
    }

    /// Returns every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().seen.clone()
    }

    /// Returns the times between consecutive requests.
    #[must_use]
    pub fn gaps(&self) -> Vec<Duration> {
        let state = self.state();
        state.seen.iter().zip(state.seen.iter().skip(1)).map(|(one, next)| next.at.saturating_sub(one.at)).collect()
    }

    /// Returns how many answers were not sent yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.state().left()
    }

    /// Adds an answer at the end of the queue, or of its path's queue if it is bound to one.
    pub fn then(&self, answer: Canned) {
        self.state().add(answer);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Http for Script {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let now = Instant::now();
        let mut state = self.state();
        let begun = *state.begun.get_or_insert(now);
        state.seen.push(Recorded {
            method: request.method().clone(),
            url: request.url().clone(),
            headers: request.headers().clone(),
            body: request.body().clone(),
            class: request.priority(),
            at: now - begun,
        });
        let Canned { status, headers, body, after, end, .. } = state.next(request.url().path());
        drop(state);
        let url = request.url().clone();
        Box::pin(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            let response = Response::new(status, url).headers_from(headers);
            match end {
                End::Whole => Ok(response.body_from(body)),
                End::Cut => {
                    let chunks = [Ok(body), Err(HttpError::broken())];
                    Ok(response.body_from(Body::stream(futures::stream::iter(chunks))))
                }
                End::Lost => Err(HttpError::broken()),
                End::Unsent => Err(HttpError::connect()),
                End::Silent => std::future::pending().await,
            }
        })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "Script({} seen, {} left)", state.seen.len(), state.left())
    }
}

/// The path of the base of [`Script::client`].
const BASE_PATH: &str = "/v1/";
