//! Redis: a store of shared windows in a Redis server, for the processes of many machines.
//!
//! Each window is one key, which a script reads and writes; the asks of a round travel together. The connection is made
//! anew after each failure, and each new one learns the run of the server: another run may have forgotten what the one
//! before had promised. A channel of each process carries nudges, which only save time.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind as RedisKind, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisError, Script, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};

use super::{Ledger, LedgerError, Reply};
use crate::error::{Error, ErrorKind};
use crate::redact::scrub;
use crate::throttle::slots::{Answer, Ask, Micros};

/// The store in a Redis server.
pub(in crate::throttle) struct RedisLedger {
    client: Client,
    /// The server, without secrets.
    server: String,
    keys: String,
    channels: String,
    member: Arc<str>,
    script: Script,
    link: Mutex<Option<Link>>,
    pushes: UnboundedSender<PushInfo>,
    pushed: Mutex<UnboundedReceiver<PushInfo>>,
}

/// A connection, and the run of the server at its other end.
struct Link {
    connection: MultiplexedConnection,
    run: String,
    /// How long the server had run when the connection was made.
    uptime: Duration,
    since: Instant,
}

/// One answer of the script, and the members that it nudged.
type Answered = (Vec<String>, Vec<String>);

impl RedisLedger {
    /// Connects to a server, and checks that it can be the store.
    pub(in crate::throttle) async fn open(url: &str, namespace: &str, member: Arc<str>) -> Result<Self, Error> {
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
        let (pushes, pushed) = unbounded_channel();
        let ledger = Self {
            server: format!("the Redis server at {}", client.get_connection_info().addr()),
            client,
            keys: format!("lh:1:{{{namespace}}}:"),
            channels: format!("lh:1:{{{namespace}}}>"),
            member,
            script: Script::new(include_str!("redis/exchange.lua")),
            link: Mutex::default(),
            pushes,
            pushed: Mutex::new(pushed),
        };
        let link = ledger.connect().await.map_err(|error| Error::new(ErrorKind::Store, error.to_string()))?;
        *ledger.link.lock().await = Some(link);
        Ok(ledger)
    }

    async fn connect(&self) -> Result<Link, LedgerError> {
        let connect = async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECTS))
                .set_response_timeout(Some(RESPONDS))
                .set_push_sender(self.pushes.clone());
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
            let role: String = redis::cmd("INFO").arg("replication").query_async(&mut connection).await?;
            connection.subscribe(format!("{}{}", self.channels, self.member)).await?;
            Ok::<_, RedisError>((connection, info, role))
        };
        let connected = timeout(CONNECTS, connect).await;
        let connected = connected.map_err(|_| self.failed("does not answer"))?;
        let (connection, info, role) = connected.map_err(|error| self.failed(&said(&error)))?;
        if field(&info, "redis_mode") == Some("cluster") {
            return Err(self.failed("is part of a cluster, which cannot be a store of shared limits"));
        }
        if field(&role, "role").is_some_and(|role| role != "master") {
            return Err(self.failed("is a replica, which cannot be written: name its master"));
        }
        let version = field(&info, "redis_version").unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < LEAST_VERSION) {
            return Err(self.failed(&format!("is of version {version}: {LEAST_VERSION} is the least")));
        }
        let uptime = field(&info, "uptime_in_seconds").and_then(|uptime| uptime.parse().ok()).unwrap_or(0);
        let run = field(&info, "run_id").unwrap_or_default().to_owned();
        Ok(Link { connection, run, uptime: Duration::from_secs(uptime), since: Instant::now() })
    }

    /// Carries out asks by a connection; on any failure the connection is not used again.
    async fn carry_out(&self, link: &mut Link, asks: &[(Arc<str>, Ask)]) -> Result<Vec<Reply>, LedgerError> {
        let uptime = micros(link.uptime.saturating_add(link.since.elapsed()));
        let mut pipe = redis::pipe();
        for (domain, ask) in asks {
            self.add(&mut pipe, domain, ask, (&link.run, uptime), 0);
        }
        let answered: Result<Vec<Answered>, _> = pipe.query_async(&mut link.connection).await;
        let answered = match answered {
            // A script is forgotten by a restart or by SCRIPT FLUSH. No ask was carried out, or it may be repeated.
            Err(error) if error.kind() == RedisKind::Server(ServerErrorKind::NoScript) => {
                let loaded = self.script.load_async(&mut link.connection).await;
                loaded.map_err(|error| self.failed(&said(&error)))?;
                pipe.query_async(&mut link.connection).await
            }
            answered => answered,
        };
        let answered = answered.map_err(|error| self.failed(&said(&error)))?;
        let replies: Option<Vec<_>> = answered.iter().map(|(answer, _)| reply(answer)).collect();
        replies.ok_or_else(|| self.failed("answers what its script does not say"))
    }

    /// Adds an ask to a pipeline. `time`: the store's time in a test, or 0.
    fn add(&self, pipe: &mut redis::Pipeline, domain: &str, ask: &Ask, (run, uptime): (&str, Micros), time: Micros) {
        pipe.cmd("EVALSHA").arg(self.script.get_hash()).arg(1).arg(format!("{}{domain}", self.keys));
        pipe.arg(&ask.member).arg(ask.seq).arg(&ask.epoch).arg(run).arg(uptime.min(LONGEST));
        for number in [ask.count, ask.window, ask.ttl, ask.guard, ask.grain, ask.held, ask.want, time] {
            pipe.arg(number);
        }
        pipe.arg(&self.channels);
        for (wait, count) in &ask.returns {
            pipe.arg(*wait).arg(*count);
        }
    }

    fn failed(&self, why: &str) -> LedgerError {
        LedgerError(format!("{} {why}", self.server).into())
    }
}

impl Ledger for RedisLedger {
    fn exchange(&self, asks: Vec<(Arc<str>, Ask)>) -> BoxFuture<'_, Result<Vec<Reply>, LedgerError>> {
        async move {
            let mut place = self.link.lock().await;
            // The connection is put back when it has proved to work.
            let mut link = match place.take() {
                Some(link) => link,
                None => self.connect().await?,
            };
            let replies = self.carry_out(&mut link, &asks).await?;
            *place = Some(link);
            Ok(replies)
        }
        .boxed()
    }

    fn nudged(&self) -> BoxFuture<'_, Vec<Arc<str>>> {
        async move {
            let mut pushed = self.pushed.lock().await;
            loop {
                match pushed.recv().await {
                    Some(PushInfo { kind: PushKind::Message, data }) => {
                        let domain = data.get(1).and_then(|key| match key {
                            Value::BulkString(key) => std::str::from_utf8(key).ok()?.strip_prefix(&self.keys),
                            _ => None,
                        });
                        if let Some(domain) = domain {
                            return vec![domain.into()];
                        }
                    }
                    Some(_) => {}
                    None => return std::future::pending().await,
                }
            }
        }
        .boxed()
    }
}

impl fmt::Debug for RedisLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLedger").field("server", &self.server).field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// Returns a client that can be called by the server.
fn client(url: &str) -> Result<Client, RedisError> {
    let info: ConnectionInfo = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// Returns why the server failed, for people and without secrets.
fn said(error: &RedisError) -> String {
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
        _ if text.contains("OOM") => "is full",
        _ if text.contains("MISCONF") => "cannot write its data to its disk",
        _ => "failed",
    };
    format!("{why}: {}", scrub(&text))
}

/// Returns a field of the server's description of itself.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn reply(answer: &[String]) -> Option<Reply> {
    let ([epoch], rest) = answer.split_first_chunk()?;
    let numbers: Vec<u64> = rest.iter().map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let ([wall, is_void, recall, poll, members, rank, contended, count, free, debt], grants) =
        numbers.split_first_chunk()?;
    let (pairs, []) = grants.as_chunks::<2>() else { return None };
    let answer = Answer {
        epoch: epoch.clone(),
        is_void: *is_void == 1,
        recall: *recall,
        poll: *poll,
        members: *members,
        rank: *rank,
        contended: *contended == 1,
        count: *count,
        free: *free,
        debt: *debt,
        grants: pairs.iter().map(|[wait, count]| (*wait, *count)).collect(),
    };
    Some(Reply { answer, wall: i64::try_from(*wall).ok()? })
}

fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(LONGEST)
}

/// A connection is made in this time, or not: 2 seconds.
const CONNECTS: Duration = Duration::from_secs(2);
/// An answer that takes longer is asked for again: half a second.
const RESPONDS: Duration = Duration::from_millis(500);
/// The scripts count in floating-point numbers, which are exact up to here.
const LONGEST: Micros = 1 << 52;
/// The first version with RESP3 and ACLs.
const LEAST_VERSION: u32 = 6;
const LONGEST_NAME: usize = 64;
