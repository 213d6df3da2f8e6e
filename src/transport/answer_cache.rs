//! AnswerCache: answers to GETs that are kept for a while, in memory.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, PRAGMA, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lru::LruCache;
use tokio::time::Instant;
use url::{Position, Url};

use crate::message::{Request, Response};

/// The kept answers of one client, and so of one account and credential.
pub(crate) struct AnswerCache {
    state: Mutex<CacheState>,
    most: usize,
    most_bytes: usize,
}

struct CacheState {
    answers: LruCache<CacheKey, KeptAnswer>,
    bytes: usize,
    /// How many writes began or ended. A read keeps nothing if one did meanwhile: it may show the state before.
    writes: u64,
}

/// The URL, and the headers and the body that the caller set. The headers include all that a `Vary` can name: the
/// others are the same for every request of a client.
#[derive(PartialEq, Eq, Hash)]
struct CacheKey {
    url: String,
    headers: Vec<(String, HeaderValue)>,
    body: Bytes,
}

struct KeptAnswer {
    headers: HeaderMap,
    body: Bytes,
    at: Instant,
    until: Instant,
    bytes: usize,
}

/// A read that may be kept.
pub(crate) struct CachedRead {
    key: CacheKey,
    writes: u64,
    begun: Instant,
}

/// A write in flight: what is kept of its path is forgotten before and after it.
pub(super) struct Writing<'a> {
    cache: &'a AnswerCache,
    url: &'a Url,
}

impl AnswerCache {
    pub(crate) fn new(most: usize, most_bytes: usize) -> Self {
        let state = CacheState { answers: LruCache::unbounded(), bytes: 0, writes: 0 };
        Self { state: Mutex::new(state), most, most_bytes }
    }

    /// Returns the answer to the same request that is younger than this; otherwise the read, to keep its answer.
    pub(crate) fn get(&self, request: &Request, younger_than: Duration) -> Result<Response, CachedRead> {
        let (key, now) = (CacheKey::of(request), Instant::now());
        let mut state = self.state();
        if let Some(kept) = state.answers.get(&key) {
            if now < kept.until && now.duration_since(kept.at) < younger_than {
                let response = Response::new(StatusCode::OK, request.url().clone());
                return Ok(response.headers_from(kept.headers.clone()).body_from(kept.body.clone()).after(0));
            }
            if now >= kept.until {
                state.forget(&key);
            }
        }
        Err(CachedRead { key, writes: state.writes, begun: now })
    }

    /// Returns how many bytes of a body may be kept.
    pub(crate) const fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    /// Keeps an answer, unless its headers forbid that, or a write was under way since the read began.
    pub(crate) fn keep(&self, read: CachedRead, headers: &HeaderMap, body: &Bytes, ttl: Duration) {
        let Some(lifetime) = lifetime(headers, ttl) else { return };
        let Some(until) = read.begun.checked_add(lifetime) else { return };
        let of_headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let bytes = read.key.url.len() + read.key.body.len() + of_headers + body.len() + OVERHEAD;
        let mut state = self.state();
        if state.writes != read.writes || bytes > self.most_bytes || self.most == 0 {
            return;
        }
        let kept = KeptAnswer { headers: headers.clone(), body: body.clone(), at: read.begun, until, bytes };
        state.forget(&read.key);
        state.bytes += bytes;
        state.answers.put(read.key, kept);
        while state.answers.len() > self.most || state.bytes > self.most_bytes {
            let Some((_, oldest)) = state.answers.pop_lru() else { break };
            state.bytes = state.bytes.saturating_sub(oldest.bytes);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.writes += 1;
        state.answers.clear();
        state.bytes = 0;
    }

    /// Marks a request as a write, unless its method is safe.
    pub(super) fn writing<'a>(&'a self, request: &'a Request) -> Option<Writing<'a>> {
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
        (!is_safe).then(|| {
            self.written(request.url());
            Writing { cache: self, url: request.url() }
        })
    }

    /// Forgets the answers of this path, whatever their query.
    fn written(&self, url: &Url) {
        let mut state = self.state();
        state.writes += 1;
        if state.answers.is_empty() {
            return;
        }
        let path = &url[..Position::AfterPath];
        let is_of = |key: &CacheKey| key.url.split('?').next() == Some(path);
        while let Some(key) = state.answers.iter().map(|(key, _)| key).find(|key| is_of(key)).map(CacheKey::copy) {
            state.forget(&key);
        }
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheState {
    fn forget(&mut self, key: &CacheKey) {
        if let Some(kept) = self.answers.pop(key) {
            self.bytes = self.bytes.saturating_sub(kept.bytes);
        }
    }
}

impl CacheKey {
    fn of(request: &Request) -> Self {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.clone()));
        let mut headers: Vec<_> = headers.collect();
        headers.sort_unstable();
        Self { url: request.url().as_str().to_owned(), headers, body: request.body().clone() }
    }

    fn copy(&self) -> Self {
        Self { url: self.url.clone(), headers: self.headers.clone(), body: self.body.clone() }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.cache.written(self.url);
    }
}

/// Returns how long an answer may be kept; `None` if it may not (RFC 9111). The cache serves one client, so `private`
/// forbids nothing; an answer that must be validated each time is not kept.
fn lifetime(headers: &HeaderMap, ttl: Duration) -> Option<Duration> {
    let words = |name| headers.get_all(name).into_iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    if words(VARY).any(|names| names.split(',').any(|name| name.trim() == "*")) || headers.contains_key(SET_COOKIE) {
        return None;
    }
    let mut lifetime = ttl;
    // A moment that cannot be read means stale (RFC 9111, 5.3), and `max-age` takes precedence.
    let moment = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let mut expires = words(EXPIRES).next().map(|until| {
        let from = words(DATE).next().and_then(moment).unwrap_or_else(SystemTime::now);
        moment(until).and_then(|until| until.duration_since(from).ok()).unwrap_or_default()
    });
    for directive in words(CACHE_CONTROL).chain(words(PRAGMA)).flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match &*name.trim().to_ascii_lowercase() {
            "no-store" | "no-cache" => return None,
            "max-age" => {
                expires = None;
                // A number that cannot be read means stale (RFC 9111, 4.2.1).
                let age: u64 = words(AGE).next().and_then(|age| age.trim().parse().ok()).unwrap_or(0);
                let most: u64 = value.trim().trim_matches('"').parse().unwrap_or(0);
                lifetime = lifetime.min(Duration::from_secs(most.saturating_sub(age)));
            }
            _ => {}
        }
    }
    Some(expires.map_or(lifetime, |expires| lifetime.min(expires))).filter(|lifetime| !lifetime.is_zero())
}

/// Shows numbers alone: URLs and bodies may be secret.
impl fmt::Debug for AnswerCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "AnswerCache({} answers, {} bytes)", state.answers.len(), state.bytes)
    }
}

/// About the memory of an entry beside its texts.
const OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Priority;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_answer_is_kept_no_longer_than_it_says() {
        let headers = |text: &str| {
            let fields = text.split(" | ").filter_map(|field| field.split_once(": "));
            fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        for (text, seconds) in [
            ("", Some(60)),
            ("cache-control: private", Some(60)),
            ("cache-control: max-age=3600", Some(60)),
            ("cache-control: Public, Max-Age=20", Some(20)),
            ("cache-control: max-age=20 | age: 5", Some(15)),
            ("cache-control: max-age=20 | age: 20", None),
            ("cache-control: max-age=soon", None),
            ("cache-control: max-age=0", None),
            ("cache-control: private, no-store", None),
            ("cache-control: private | cache-control: no-store", None),
            ("cache-control: no-cache=\"x\"", None),
            ("pragma: no-cache", None),
            ("expires: 0", None),
            ("expires: Thu, 01 Jan 1970 00:00:00 GMT", None),
            ("expires: Thu, 01 Jan 2099 00:00:00 GMT", Some(60)),
            ("date: Sun, 06 Nov 1994 08:49:37 GMT | expires: Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("expires: 0 | cache-control: max-age=20", Some(20)),
            ("vary: accept, *", None),
            ("vary: accept", Some(60)),
            ("set-cookie: a=b", None),
        ] {
            assert_eq!(lifetime(&headers(text), MINUTE), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn memory_is_bounded_by_entries_and_bytes_and_the_least_used_goes_first() {
        let cache = AnswerCache::new(3, 10_000);
        let get = |n: usize| {
            let url = format!("https://a.example/{n}").parse().unwrap();
            cache.get(&Request::new(Method::GET, url, Priority::Call), MINUTE)
        };
        let keep = |n: usize, length: usize| {
            let Err(read) = get(n) else { panic!("{n} is there") };
            cache.keep(read, &HeaderMap::new(), &vec![0; length].into(), MINUTE);
        };
        let held = || {
            (1..9)
                .filter(|n| cache.state().answers.iter().any(|(key, _)| key.url.ends_with(&n.to_string())))
                .collect::<Vec<_>>()
        };
        (1..=3).for_each(|n| keep(n, 100));
        assert!(get(1).is_ok());
        keep(4, 100);
        assert_eq!(held(), [1, 3, 4]);
        keep(5, 9_000);
        assert_eq!(held(), [4, 5]);
        // Too large to be kept at all: it drives nothing out.
        keep(6, 10_000);
        assert_eq!(held(), [4, 5]);
        assert!(cache.state().bytes <= 10_000);
        cache.clear();
        assert_eq!((held().len(), cache.state().bytes), (0, 0));
        let text = format!("{cache:?}");
        assert_eq!(text, "AnswerCache(0 answers, 0 bytes)");
    }
}
