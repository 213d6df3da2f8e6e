//! Connections: the connection of a store to its server, which is made anew after a failure.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use super::{About, Server};

/// The connection in use.
#[derive(Default)]
pub(crate) struct Connections {
    current: Mutex<Option<Connection>>,
    warned: AtomicBool,
}

/// A connection that several calls share.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) connection: MultiplexedConnection,
    /// A number that no later connection has.
    mark: u64,
}

impl Connections {
    /// Returns the connection in use, or makes one.
    pub(crate) async fn get(
        &self,
        connect: impl Future<Output = Result<MultiplexedConnection, String>>,
    ) -> Result<Connection, String> {
        let mut place = self.current.lock().await;
        if let Some(connection) = &*place {
            return Ok(connection.clone());
        }
        let connection = Connection { connection: connect.await?, mark: fastrand::u64(..) };
        *place = Some(connection.clone());
        Ok(connection)
    }

    /// Uses a connection no more.
    pub(crate) async fn leave(&self, connection: &Connection) {
        let mut place = self.current.lock().await;
        if place.as_ref().is_some_and(|current| current.mark == connection.mark) {
            *place = None;
        }
    }

    /// Checks that the server keeps what is stored; warns once if an end of the server loses some of it. `things`: what
    /// is stored.
    pub(crate) fn check(&self, server: &Server, about: &About, things: &str) -> Result<(), String> {
        if let Some(policy) = &about.evicts {
            let why = format!(
                "removes {things} when its memory is full (maxmemory-policy is {policy}): set noeviction, or give {things} \
                 a server of their own"
            );
            return Err(server.failed(&why));
        }
        if about.keeps_log == Some(false) && !self.warned.swap(true, Relaxed) {
            let server = server.name();
            tracing::warn!(
                server,
                "{things} since its last snapshot are lost when the server ends: set appendonly to yes"
            );
        }
        Ok(())
    }
}
