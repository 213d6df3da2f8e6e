//! Link: the calls of a store to its server, and what is taken back when an answer was lost.
//!
//! A call that fails with its connection is made once more, by a new one. A mark in each call lets the script tell the
//! second from another call. A caller that got no answer at all holds nothing: the next call takes it back first.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind as RedisKind, Pipeline, RedisError, Script, ServerErrorKind};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::server::connections::{Connection, Connections};
use crate::server::{Server, said};
use crate::store::table::{Bounds, millis};

/// A namespace for tasks in a server.
pub(super) struct Link {
    server: Server,
    /// What the names of all keys of the tasks begin with.
    base: String,
    script: Script,
    connections: Connections,
    unanswered: Mutex<Vec<Unanswered>>,
}

/// A call to the script.
pub(super) struct Call<'a> {
    operation: &'static str,
    arguments: Vec<&'a [u8]>,
    undo: Undo<'a>,
}

/// How a call is taken back.
#[derive(Clone, Copy)]
enum Undo<'a> {
    /// A second call with the same mark finds what the first did, and nothing is taken back.
    Never,
    Intend {
        owner: &'a str,
        name: &'a str,
    },
    Claim {
        owner: &'a str,
    },
}

/// A call without an answer, which the next call takes back.
#[derive(Clone)]
struct Unanswered {
    mark: String,
    owner: Arc<str>,
    /// The task of an intend; empty for a claim.
    name: Arc<str>,
}

/// The answer of the script: its kind, the names that were forgotten unacknowledged, and values.
pub(super) type Answer = (String, Vec<String>, Vec<Vec<u8>>);

impl<'a> Call<'a> {
    pub(super) const fn new(operation: &'static str, arguments: Vec<&'a [u8]>) -> Self {
        Self { operation, arguments, undo: Undo::Never }
    }

    pub(super) fn intend(name: &'a str, owner: &'a str, data: &'a [u8]) -> Self {
        let arguments = vec![name.as_bytes(), owner.as_bytes(), data];
        Self { operation: "intend", arguments, undo: Undo::Intend { owner, name } }
    }

    pub(super) fn claim(owner: &'a str, most: &'a str) -> Self {
        let arguments = vec![owner.as_bytes(), most.as_bytes()];
        Self { operation: "claim", arguments, undo: Undo::Claim { owner } }
    }

    fn unanswered(&self, mark: &str) -> Option<Unanswered> {
        let (owner, name) = match self.undo {
            Undo::Never => return None,
            Undo::Intend { owner, name } => (owner, name),
            Undo::Claim { owner } => (owner, ""),
        };
        Some(Unanswered { mark: mark.to_owned(), owner: owner.into(), name: name.into() })
    }

    fn is_claim(&self) -> bool {
        matches!(self.undo, Undo::Claim { .. })
    }
}

impl Link {
    pub(super) fn new(url: &str, namespace: &str) -> Result<Self, Error> {
        let server = Server::new(url, namespace)?;
        Ok(Self {
            base: format!("{}/", server.prefix()),
            server,
            script: Script::new(include_str!("change.lua")),
            connections: Connections::default(),
            unanswered: Mutex::default(),
        })
    }

    pub(super) fn server(&self) -> &str {
        self.server.name()
    }

    pub(super) fn failed(&self, why: &str) -> String {
        self.server.failed(why)
    }

    /// Makes a call, and once more by a new connection if the first one fails. `time`: the store's time in a test, or 0.
    pub(super) async fn call(&self, call: &Call<'_>, bounds: &Bounds, time: u64) -> Result<Answer, String> {
        if Handle::try_current().is_err() {
            return Err(self.failed("cannot be called outside a Tokio runtime"));
        }
        let mut pending = Pending { link: self, undos: Vec::new(), own: None };
        let mut mark = new_mark();
        let mut is_second = false;
        loop {
            let mut connection = self.connection().await?;
            pending.undos.append(&mut self.unanswered());
            pending.own = call.unanswered(&mark);
            match self.send(&mut connection.connection, call, (&mark, bounds, time), &pending.undos).await {
                Ok(answer) => {
                    (pending.undos, pending.own) = (Vec::new(), None);
                    return Ok(answer);
                }
                Err(error) => {
                    let is_answered = matches!(error.kind(), RedisKind::Server(_));
                    self.connections.leave(&connection).await;
                    if is_second || is_answered {
                        return Err(self.failed(&said(&error)));
                    }
                    // The tasks of a claim are known by its answer only: it is made anew.
                    if call.is_claim() {
                        pending.undos.extend(pending.own.take());
                        mark = new_mark();
                    }
                    is_second = true;
                }
            }
        }
    }

    async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        call: &Call<'_>,
        (mark, bounds, time): (&str, &Bounds, u64),
        undos: &[Unanswered],
    ) -> Result<Answer, RedisError> {
        let mut pipe = redis::pipe();
        for undo in undos {
            let arguments = [undo.owner.as_bytes(), undo.name.as_bytes()];
            self.add(&mut pipe, "undo", (&undo.mark, bounds, time), &arguments);
        }
        self.add(&mut pipe, call.operation, (mark, bounds, time), &call.arguments);
        let mut answered: Result<Vec<Answer>, _> = pipe.query_async(connection).await;
        // A script is forgotten by a restart or by SCRIPT FLUSH.
        if answered.as_ref().is_err_and(is_without_script) {
            self.script.load_async(connection).await?;
            answered = pipe.query_async(connection).await;
        }
        answered?.pop().ok_or_else(|| (RedisKind::UnexpectedReturnType, "no answer").into())
    }

    fn add(&self, pipe: &mut Pipeline, operation: &str, (mark, bounds, time): (&str, &Bounds, u64), values: &[&[u8]]) {
        pipe.cmd("EVALSHA").arg(self.script.get_hash()).arg(1).arg(&self.base).arg(operation).arg(time);
        for number in [millis(bounds.lease), millis(bounds.keep_finished), bounds.most_bytes] {
            pipe.arg(number.min(LARGEST));
        }
        pipe.arg(mark);
        for value in values {
            pipe.arg(*value);
        }
    }

    async fn connection(&self) -> Result<Connection, String> {
        let connect = async {
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONDS));
            let (connection, about) = self.server.connect(config).await?;
            self.connections.check(&self.server, &about, "tasks")?;
            Ok(connection)
        };
        self.connections.get(connect).await
    }

    fn unanswered(&self) -> MutexGuard<'_, Vec<Unanswered>> {
        // No code panics while it holds the lock.
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call that is under way takes back, and what is to be taken back if it gets no answer.
struct Pending<'a> {
    link: &'a Link,
    undos: Vec<Unanswered>,
    own: Option<Unanswered>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let undos = mem::take(&mut self.undos).into_iter().chain(self.own.take());
        self.link.unanswered().extend(undos);
    }
}

fn is_without_script(error: &RedisError) -> bool {
    error.kind() == RedisKind::Server(ServerErrorKind::NoScript) || error.to_string().contains("NOSCRIPT")
}

fn new_mark() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// A server that gives no answer for 5 seconds is called once more: a large claim takes less.
const RESPONDS: Duration = Duration::from_secs(5);
/// The script counts in floating-point numbers, which are exact up to here.
const LARGEST: u64 = 1 << 52;
