//! Server: a Redis server that is a store, its connections, and why it failed.

pub(crate) mod connections;
#[cfg(test)]
pub(crate) mod started;

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind as RedisKind, IntoConnectionInfo, ProtocolVersion,
    RedisError, ServerErrorKind,
};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::redact::scrub;

/// A Redis server, and a namespace in it.
pub(crate) struct Server {
    client: Client,
    /// The server, without secrets.
    name: String,
    prefix: String,
}

/// How a server described itself when a connection was made.
#[derive(Debug)]
pub(crate) struct About {
    /// The run of the server: another run may have forgotten what the one before had promised.
    pub(crate) run: String,
    pub(crate) uptime: Duration,
    /// Whether the server writes each change to its disk; `None` if it does not say so.
    pub(crate) keeps_log: Option<bool>,
    /// The policy by which the server removes keys that have no end, if it does.
    pub(crate) evicts: Option<String>,
}

impl Server {
    /// Checks the URL and the namespace. Nothing is sent yet.
    pub(crate) fn new(url: &str, namespace: &str) -> Result<Self, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if namespace.is_empty() || namespace.len() > LONGEST_NAME || !namespace.bytes().all(is_plain) {
            let why = format!(
                "the namespace `{}` is not one: use up to {LONGEST_NAME} letters, digits and `-_.:`",
                namespace.escape_debug()
            );
            return Err(Error::new(ErrorKind::Config, why));
        }
        let client = client(url).map_err(|error| {
            Error::new(ErrorKind::Config, format!("the URL of the Redis server cannot be used: {}", said(&error)))
        })?;
        let name = format!("the Redis server at {}", client.get_connection_info().addr());
        Ok(Self { client, name, prefix: format!("lh:1:{{{namespace}}}") })
    }

    /// Returns the server, for people and without secrets.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the names of all keys of the namespace begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Connects within 2 seconds, and checks that the server can be a store.
    pub(crate) async fn connect(
        &self,
        config: AsyncConnectionConfig,
    ) -> Result<(MultiplexedConnection, About), String> {
        let connect = async {
            let config = config.set_connection_timeout(Some(CONNECTS));
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            let mut info = redis::pipe();
            for section in ["server", "replication", "persistence", "memory"] {
                info.cmd("INFO").arg(section);
            }
            let info: Vec<String> = info.query_async(&mut connection).await?;
            Ok::<_, RedisError>((connection, info.concat()))
        };
        let connected = timeout(CONNECTS, connect).await;
        let connected = connected.map_err(|_| self.failed("does not answer"))?;
        let (connection, info) = connected.map_err(|error| self.failed(&said(&error)))?;
        if field(&info, "redis_mode") == Some("cluster") {
            return Err(self.failed("is part of a cluster, which cannot be a store"));
        }
        if field(&info, "role").is_some_and(|role| role != "master") {
            return Err(self.failed("is a replica, which cannot be written: name its master"));
        }
        let version = field(&info, "redis_version").unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < LEAST_VERSION) {
            return Err(self.failed(&format!("is of version {version}: {LEAST_VERSION} is the least")));
        }
        let uptime = field(&info, "uptime_in_seconds").and_then(|uptime| uptime.parse().ok()).unwrap_or(0);
        let is_bounded = field(&info, "maxmemory").is_some_and(|most| most != "0");
        let evicts = field(&info, "maxmemory_policy").filter(|policy| is_bounded && policy.starts_with("allkeys"));
        let about = About {
            run: field(&info, "run_id").unwrap_or_default().to_owned(),
            uptime: Duration::from_secs(uptime),
            keeps_log: field(&info, "aof_enabled").map(|is_on| is_on == "1"),
            evicts: evicts.map(str::to_owned),
        };
        Ok((connection, about))
    }

    /// Returns what happened to the server.
    pub(crate) fn failed(&self, why: &str) -> String {
        format!("{} {why}", self.name)
    }
}

/// Returns a client that can be called by the server.
fn client(url: &str) -> Result<Client, RedisError> {
    let info: ConnectionInfo = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// Returns why the server failed, for people and without secrets.
pub(crate) fn said(error: &RedisError) -> String {
    let text = error.to_string();
    let why = match error.kind() {
        RedisKind::AuthenticationFailed => "refuses the password",
        RedisKind::Server(ServerErrorKind::NoPerm) => "does not permit a command that a store needs",
        RedisKind::Server(ServerErrorKind::ReadOnly) => "is read-only",
        RedisKind::Server(ServerErrorKind::BusyLoading) => "is loading its data",
        _ if error.is_timeout() => "does not answer in time",
        // The errors of a round come together, as text.
        _ if text.contains("WRONGPASS") => "refuses the password",
        _ if text.contains("NOAUTH") => "asks for a password",
        _ if text.contains("NOPERM") => "does not permit a command that a store needs",
        _ if text.contains("READONLY") => "is read-only",
        _ if text.contains("OOM") => "is full",
        _ if text.contains("NOREPLICAS") => "has too few replicas that follow it",
        _ if text.contains("MISCONF") => "cannot write its data to its disk",
        _ => "failed",
    };
    format!("{why}: {}", scrub(&text))
}

/// Returns a field of the server's description of itself.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A connection is made in this time, or not: 2 seconds.
const CONNECTS: Duration = Duration::from_secs(2);
/// The first version with RESP3 and ACLs.
const LEAST_VERSION: u32 = 6;
const LONGEST_NAME: usize = 64;
