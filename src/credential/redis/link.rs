//! Link: the calls of a token store to its server.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind as RedisKind, PushInfo, PushKind, RedisError, Script, ServerErrorKind};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::error::Error;
use crate::server::connections::{Connection, Connections};
use crate::server::{Server, said};

/// The record of one token in a server.
pub(super) struct Link {
    server: Server,
    key: String,
    channel: String,
    script: Script,
    connections: Connections,
    nudged: Arc<Notify>,
}

impl Link {
    pub(super) fn new(url: &str, namespace: &str, name: &str) -> Result<Self, Error> {
        let server = Server::new(url, namespace)?;
        Ok(Self {
            key: format!("{}/tok:{name}", server.prefix()),
            channel: format!("{}>tok:{name}", server.prefix()),
            server,
            script: Script::new(include_str!("token.lua")),
            connections: Connections::default(),
            nudged: Arc::default(),
        })
    }

    pub(super) fn server(&self) -> &str {
        self.server.name()
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn failed(&self, why: &str) -> String {
        self.server.failed(why)
    }

    /// Returns a future that ends when the record may have changed since now.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.nudged.notified()
    }

    /// Makes a call, and once more by a new connection if the first one fails: no call does harm the second time.
    /// `time`: the store's time in a test, or 0. The answer is its kind, and values.
    pub(super) async fn call(&self, operation: &str, values: &[&[u8]], time: u64) -> Result<Vec<Vec<u8>>, String> {
        if Handle::try_current().is_err() {
            return Err(self.failed("cannot be called outside a Tokio runtime"));
        }
        let mut is_second = false;
        loop {
            let mut connection = self.connection().await?;
            match self.send(&mut connection.connection, operation, values, time).await {
                Ok(answer) => return Ok(answer),
                Err(error) if is_second || matches!(error.kind(), RedisKind::Server(_) | RedisKind::Extension) => {
                    return Err(self.refused(&error));
                }
                Err(_) => {
                    self.connections.leave(&connection).await;
                    is_second = true;
                }
            }
        }
    }

    async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        operation: &str,
        values: &[&[u8]],
        time: u64,
    ) -> Result<Vec<Vec<u8>>, RedisError> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(self.script.get_hash()).arg(1).arg(&self.key).arg(&self.channel).arg(operation).arg(time);
        for value in values {
            call.arg(*value);
        }
        match call.query_async(connection).await {
            // A script is forgotten by a restart or by SCRIPT FLUSH.
            Err(error) if error.kind() == RedisKind::Server(ServerErrorKind::NoScript) => {
                self.script.load_async(connection).await?;
                call.query_async(connection).await
            }
            answer => answer,
        }
    }

    /// Returns why the server refused a call, and the remedy.
    fn refused(&self, error: &RedisError) -> String {
        let text = error.to_string();
        if text.contains("WRONGTYPE") {
            let why = format!("has a value of another program at `{}`: use another namespace or name", self.key);
            return self.failed(&why);
        }
        self.failed(&with_permissions(said(error)))
    }

    async fn connection(&self) -> Result<Connection, String> {
        let connect = async {
            let nudged = self.nudged.clone();
            let push = move |push: PushInfo| {
                if push.kind == PushKind::Message {
                    nudged.notify_waiters();
                }
                Ok::<_, Infallible>(())
            };
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONDS)).set_push_sender(push);
            let (mut connection, about) = self.server.connect(config).await.map_err(with_permissions)?;
            self.connections.check(&self.server, &about, "tokens")?;
            // Without it, changes are seen by polls alone.
            if let Err(error) = connection.subscribe(&self.channel).await {
                tracing::debug!(server = self.server(), why = %said(&error), "the server sends no nudges");
            }
            Ok(connection)
        };
        self.connections.get(connect).await
    }
}

/// Adds the remedy to the text of an error about a permission that is missing.
fn with_permissions(why: String) -> String {
    let text = why.to_ascii_lowercase();
    // The second one is that of a script in Redis 6.
    if text.contains("noperm") || text.contains("can't run this command") {
        format!("{why}; a token store needs the permissions {PERMISSIONS}")
    } else {
        why
    }
}

/// All that the store and its script do; also in docs/scale.md.
const PERMISSIONS: &str = "~lh:* &lh:* +evalsha +script|load +info +subscribe +publish +time +hello +del +hset +hmget";
/// A server that gives no answer for 5 seconds is called once more.
const RESPONDS: Duration = Duration::from_secs(5);
