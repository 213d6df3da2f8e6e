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
use redis::{AsyncConnectionConfig, ErrorKind as RedisKind, PushInfo, PushKind, Script, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use super::{Ledger, LedgerError, Reply};
use crate::error::{Error, ErrorKind};
use crate::server::{Server, said};
use crate::throttle::board::{Board, Post, Posted};
use crate::throttle::slots::{Answer, Ask, Micros, micros};

/// The store in a Redis server.
pub(in crate::throttle) struct RedisLedger {
    server: Server,
    keys: String,
    channels: String,
    member: Arc<str>,
    script: Script,
    board: Script,
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
        let server = Server::new(url, namespace)?;
        let (pushes, pushed) = unbounded_channel();
        let ledger = Self {
            keys: format!("{}:", server.prefix()),
            channels: format!("{}>", server.prefix()),
            server,
            member,
            script: Script::new(include_str!("redis/exchange.lua")),
            board: Script::new(include_str!("redis/board.lua")),
            link: Mutex::default(),
            pushes,
            pushed: Mutex::new(pushed),
        };
        let link = ledger.connect().await.map_err(|error| Error::new(ErrorKind::Store, error.to_string()))?;
        *ledger.link.lock().await = Some(link);
        Ok(ledger)
    }

    async fn connect(&self) -> Result<Link, LedgerError> {
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(RESPONDS)).set_push_sender(self.pushes.clone());
        let (mut connection, about) = self.server.connect(config).await.map_err(|why| LedgerError(why.into()))?;
        let subscribed = connection.subscribe(format!("{}{}", self.channels, self.member)).await;
        subscribed.map_err(|error| self.failed(&said(&error)))?;
        Ok(Link { connection, run: about.run, uptime: about.uptime, since: Instant::now() })
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

    /// Posts words to a board. The board is read, computed here, and written unless another process was quicker.
    async fn post_one(&self, link: &mut Link, domain: &str, post: &Post) -> Result<Posted, LedgerError> {
        let key = format!("{}{domain}", self.keys);
        for tried in 0..MOST_TRIES {
            let mut pipe = redis::pipe();
            pipe.cmd("TIME").cmd("GET").arg(&key);
            let read: Result<((u64, u64), Option<String>), _> = pipe.query_async(&mut link.connection).await;
            let ((seconds, rest), before) = read.map_err(|error| self.failed(&said(&error)))?;
            // Words are worth less than what they would stop: a board that cannot be read begins anew.
            let board = before.as_deref().map(serde_json::from_str::<Board>);
            let mut board = board.and_then(Result::ok).unwrap_or_default();
            let noted = board.post(post, seconds.saturating_mul(1_000_000).saturating_add(rest));
            let after = serde_json::to_string(&board).map_err(|error| self.failed(&error.to_string()))?;
            let mut call = self.board.key(&key);
            call.arg(before.unwrap_or_default()).arg(after).arg(board.lasts() / 1000).arg(&self.channels);
            noted.nudged.iter().for_each(|member| {
                call.arg(member);
            });
            let kept: Result<u8, _> = call.invoke_async(&mut link.connection).await;
            if kept.map_err(|error| self.failed(&said(&error)))? == 1 {
                return Ok(noted.posted);
            }
            // Those that were as quick must not meet again.
            sleep(Duration::from_micros(fastrand::u64(0..1 << (8 + tried.min(7))))).await;
        }
        Err(self.failed("was written by others each time"))
    }

    fn failed(&self, why: &str) -> LedgerError {
        LedgerError(self.server.failed(why).into())
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

    fn post(&self, posts: Vec<(Arc<str>, Post)>) -> BoxFuture<'_, Result<Vec<Posted>, LedgerError>> {
        async move {
            let mut place = self.link.lock().await;
            let mut link = match place.take() {
                Some(link) => link,
                None => self.connect().await?,
            };
            let mut answers = Vec::with_capacity(posts.len());
            for (domain, post) in &posts {
                answers.push(self.post_one(&mut link, domain, post).await?);
            }
            *place = Some(link);
            Ok(answers)
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
        f.debug_struct("RedisLedger")
            .field("server", &self.server.name())
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
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

/// An answer that takes longer is asked for again: half a second.
const RESPONDS: Duration = Duration::from_millis(500);
/// A board is written anew this often if others were quicker.
const MOST_TRIES: u32 = 32;
/// The scripts count in floating-point numbers, which are exact up to here.
const LONGEST: Micros = 1 << 52;
