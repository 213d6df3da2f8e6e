//! RedisCredentialStore: a token in a Redis server.

mod link;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use zeroize::Zeroizing;

use self::link::Link;
#[cfg(feature = "token-file")]
use super::encryption::{SHARED_TOKEN, Unreadable};
use super::exclusive::{ExclusiveStore, RefreshLease, RefreshTurn, Replaced, StoredToken};
#[cfg(feature = "token-file")]
use super::key::FileKey;
use super::store::CredentialStore;
use super::store_error::StoreError;
use super::token::Token;
use super::token_record::micros;
use crate::error::{Error, ErrorKind};

/// A store that keeps a token in a Redis server, for processes on any machine: one of them refreshes it, and all use
/// it.
///
/// ```no_run
/// # #[cfg(feature = "token-file")]
/// # fn main() -> longhaul::Result<()> {
/// use longhaul::credentials::{FileKey, RedisCredentialStore};
/// use longhaul::{Client, Credential, OAuth};
///
/// let key = FileKey::from_base64("5kDl7dTMLDcZ1mWmCLZeXUlyD7Ov4V4sMpKVz0v1pF0=")?;
/// let url = "redis://user:password@redis.example.com:6379/0";
/// let store = RedisCredentialStore::encrypted(url, "exports-prod", "constant-contact", key)?;
/// let oauth = OAuth::refresh_only("https://login.example.com/token", "my-id").store(store);
/// let client = Client::builder("https://api.example.com").credential(Credential::oauth(oauth)).build()?;
/// # drop(client);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "token-file"))]
/// # fn main() {}
/// ```
///
/// # The server
/// - Redis 6 or later, a single one with any number of replicas; not a cluster. The store needs the key and the channel
///   of the name, below `lh:1:{NAMESPACE}`, and the permissions that the page [scale](crate::scale) names.
/// - **Set `appendonly yes`**, with `appendfsync everysec` or `always`. A server that loses a rotated refresh token
///   loses the login, unless a process that has the token in memory saves the next one.
/// - **Set `maxmemory-policy noeviction`.** A server that removes any key when it is full is refused. A full server
///   saves tokens all the same.
///
/// # Several processes
/// The lock of a refresh ends 60 seconds after its process ended, by the clock of the server. A save publishes a nudge,
/// so that waiting processes continue at once; without the permission for the channel they look once a second.
///
/// A server that restarts without its data, or a replica that takes its place without the last writes, may forget a
/// lock: two processes may then refresh at once. A process that has a later token than the server keeps it, and saves
/// its successor.
///
/// # Errors
/// Each error names the server, its fault and the remedy, and leaves the token unchanged. No error contains a secret. A
/// call that gets no answer in 5 seconds is made once more.
#[derive(Clone)]
pub struct RedisCredentialStore(Arc<Inner>);

struct Inner {
    link: Link,
    kind: Kind,
}

enum Kind {
    #[cfg(feature = "token-file")]
    Encrypted(FileKey),
    PlainText,
}

impl RedisCredentialStore {
    /// Creates a store under a name in a namespace of a server, encrypted with this key (XChaCha20-Poly1305). Nothing
    /// is sent yet.
    ///
    /// A URL is `redis://user:password@host:6379/0`; `rediss://` needs one of the TLS features of the crate `redis`
    /// (such as `tokio-rustls-comp`). The namespace may be that of [`Throttle::redis`](crate::Throttle::redis) and
    /// `RedisTaskStore`; each login has a name of its own. Both have letters, digits and `-_.:`, a namespace up to 64, a
    /// name up to 128. An encrypted token is bound to both.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL, the namespace or the name cannot be used.
    #[cfg(feature = "token-file")]
    pub fn encrypted(url: &str, namespace: &str, name: &str, key: impl Into<FileKey>) -> Result<Self, Error> {
        Self::new(url, namespace, name, Kind::Encrypted(key.into()))
    }

    /// Creates a store that keeps the token as readable text; otherwise as `encrypted` (feature `token-file`). A reader
    /// of the server, of its files or of the connection has the login: use it only with a server that is as secret as
    /// the login.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL, the namespace or the name cannot be used.
    pub fn plain_text(url: &str, namespace: &str, name: &str) -> Result<Self, Error> {
        Self::new(url, namespace, name, Kind::PlainText)
    }

    fn new(url: &str, namespace: &str, name: &str, kind: Kind) -> Result<Self, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_plain) {
            let shown = name.escape_debug();
            let why = format!(
                "the name `{shown}` of a token is not one: use up to {LONGEST_NAME} letters, digits and `-_.:`"
            );
            return Err(Error::new(ErrorKind::Config, why));
        }
        Ok(Self(Arc::new(Inner { link: Link::new(url, namespace, name)?, kind })))
    }

    async fn read_at(&self, time: u64) -> Result<StoredToken, StoreError> {
        let answer = self.call("read", &[], time).await?;
        match answer.split_first() {
            Some((kind, stored)) if kind == b"stored" => self.stored(stored),
            _ => Err(self.odd()),
        }
    }

    async fn save_at(&self, token: Option<Token>, time: u64) -> Result<(), StoreError> {
        let sealed = token.map(|token| self.seal(&token)).transpose()?;
        let values: Vec<&[u8]> = sealed.iter().map(|sealed| sealed.as_slice()).collect();
        self.call("save", &values, time).await.map(drop)
    }

    async fn replace_at(&self, generation: u64, token: Option<Token>, time: u64) -> Result<Replaced, StoreError> {
        let generation = generation.to_string();
        let sealed = token.map(|token| self.seal(&token)).transpose()?;
        let mut values: Vec<&[u8]> = vec![generation.as_bytes()];
        values.extend(sealed.iter().map(|sealed| sealed.as_slice()));
        let answer = self.call("replace", &values, time).await?;
        match answer.split_first() {
            Some((kind, stored)) if kind == b"outdated" => self.stored(stored).map(Replaced::Outdated),
            Some((kind, [generation])) if kind == b"done" => Ok(Replaced::Done(self.number(generation)?)),
            _ => Err(self.odd()),
        }
    }

    async fn lock_at(&self, owner: Arc<str>, lease: Duration, time: u64) -> Result<RefreshTurn, StoreError> {
        let answer = self.call("lock", &[owner.as_bytes(), micros(lease).to_string().as_bytes()], time).await?;
        let [kind, number] = &*answer else { return Err(self.odd()) };
        let number = self.number(number)?;
        match &**kind {
            b"taken" => Ok(RefreshTurn::Taken { left: Some(Duration::from_micros(number)) }),
            b"granted" => Ok(RefreshTurn::Granted(RefreshLease::new(owner, number))),
            b"takeover" => Ok(RefreshTurn::Granted(RefreshLease::new(owner, number).taken_over())),
            _ => Err(self.odd()),
        }
    }

    async fn renew_at(&self, lease: RefreshLease, length: Duration, time: u64) -> Result<bool, StoreError> {
        let (fence, length) = (lease.fence().to_string(), micros(length).to_string());
        let answer = self.call("renew", &[lease.owner().as_bytes(), fence.as_bytes(), length.as_bytes()], time).await?;
        match answer.first().map(Vec::as_slice) {
            Some(b"done") => Ok(true),
            Some(b"lost") => Ok(false),
            _ => Err(self.odd()),
        }
    }

    async fn release_at(&self, lease: RefreshLease, time: u64) -> Result<(), StoreError> {
        let fence = lease.fence().to_string();
        self.call("release", &[lease.owner().as_bytes(), fence.as_bytes()], time).await.map(drop)
    }

    async fn call(&self, operation: &str, values: &[&[u8]], time: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(self.0.link.call(operation, values, time).await?)
    }

    /// Reads a generation, and the token if there is one.
    fn stored(&self, values: &[Vec<u8>]) -> Result<StoredToken, StoreError> {
        match values {
            [generation] => Ok(StoredToken::new(self.number(generation)?, None)),
            [generation, sealed] => Ok(StoredToken::new(self.number(generation)?, Some(self.open(sealed)?))),
            _ => Err(self.odd()),
        }
    }

    fn seal(&self, token: &Token) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let text = Zeroizing::new(token.expose_json().into_bytes());
        match &self.0.kind {
            #[cfg(feature = "token-file")]
            Kind::Encrypted(key) => SHARED_TOKEN
                .seal(key, self.0.link.key().as_bytes(), &text)
                .ok_or_else(|| self.unreadable("cannot be encrypted: the system gives no random numbers")),
            Kind::PlainText => Ok(text),
        }
    }

    fn open(&self, sealed: &[u8]) -> Result<Token, StoreError> {
        let text = match &self.0.kind {
            #[cfg(feature = "token-file")]
            Kind::Encrypted(key) => SHARED_TOKEN
                .unseal(key, self.0.link.key().as_bytes(), sealed)
                .map_err(|unreadable| self.unreadable(fault(unreadable)))?,
            Kind::PlainText if sealed.starts_with(b"longhaul ") => {
                return Err(self.unreadable("is encrypted: open it with RedisCredentialStore::encrypted and its key"));
            }
            Kind::PlainText => Zeroizing::new(sealed.to_vec()),
        };
        // A parser's message may quote the text.
        let token = str::from_utf8(&text).ok().and_then(|text| Token::from_json(text).ok());
        token.ok_or_else(|| self.unreadable("is no token: remove it and log in again"))
    }

    fn unreadable(&self, why: &str) -> StoreError {
        format!("the token `{}` in {} {why}", self.0.link.key(), self.0.link.server()).into()
    }

    fn number(&self, value: &[u8]) -> Result<u64, StoreError> {
        str::from_utf8(value).ok().and_then(|value| value.parse().ok()).ok_or_else(|| self.odd())
    }

    fn odd(&self) -> StoreError {
        self.0.link.failed("answers what its script does not say").into()
    }
}

impl CredentialStore for RedisCredentialStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        Box::pin(async { Ok(self.read_at(0).await?.token().cloned()) })
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.save_at(token, 0))
    }

    fn exclusive(&self) -> Option<&dyn ExclusiveStore> {
        Some(self)
    }
}

impl ExclusiveStore for RedisCredentialStore {
    fn read(&self) -> BoxFuture<'_, Result<StoredToken, StoreError>> {
        Box::pin(self.read_at(0))
    }

    fn replace(&self, generation: u64, token: Option<Token>) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        Box::pin(self.replace_at(generation, token, 0))
    }

    fn lock(&self, owner: Arc<str>, time: Duration) -> BoxFuture<'_, Result<RefreshTurn, StoreError>> {
        Box::pin(self.lock_at(owner, time, 0))
    }

    fn renew(&self, lease: RefreshLease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.renew_at(lease, time, 0))
    }

    fn release(&self, lease: RefreshLease) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.release_at(lease, 0))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.link.changed())
    }
}

impl fmt::Debug for RedisCredentialStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            #[cfg(feature = "token-file")]
            Kind::Encrypted(_) => "encrypted",
            Kind::PlainText => "plain text",
        };
        f.debug_struct("RedisCredentialStore")
            .field("server", &self.0.link.server())
            .field("key", &self.0.link.key())
            .field("kind", &kind)
            .finish_non_exhaustive()
    }
}

/// Returns the fault of a stored text, and its remedy.
#[cfg(feature = "token-file")]
const fn fault(unreadable: Unreadable) -> &'static str {
    match unreadable {
        Unreadable::Cut => "is cut off: remove it and log in again",
        Unreadable::OtherVersion => {
            "is of another version of longhaul: update this program, or remove it and log in again"
        }
        Unreadable::PlainText => {
            "is not encrypted: open it with RedisCredentialStore::plain_text, or remove it and log in again"
        }
        Unreadable::Foreign => "is no token: use another namespace or name",
        Unreadable::Changed => {
            "cannot be decrypted: the key, the namespace or the name is not the one it was saved with, or it was changed; \
             give the right one, or remove it and log in again"
        }
    }
}

const LONGEST_NAME: usize = 128;
