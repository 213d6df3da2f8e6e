//! GCRA: a limiter in a Redis server that is asked for each request, as the module redis-cell has it: a burst of the count,
//! then one request in each step. The server says how long a refused one has to wait.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, Script};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::Failure;
use crate::budget::Window;

pub(super) struct Gcra {
    /// The first in line asks, and the others of its process wait for their turn: else each of them would ask.
    turn: Mutex<MultiplexedConnection>,
    script: Script,
    key: String,
    step: Duration,
    burst: Duration,
}

impl Gcra {
    pub(super) async fn open(url: &str, key: String, limit: Window) -> Result<Self, Failure> {
        let connection = Client::open(url)?.get_multiplexed_async_connection().await?;
        let script = Script::new(include_str!("gcra.lua"));
        let step = limit.step();
        Ok(Self { turn: Mutex::new(connection), script, key, step, burst: limit.length - step })
    }

    pub(super) async fn acquire(&self) -> Result<(), Failure> {
        let mut connection = self.turn.lock().await;
        loop {
            let mut call = self.script.key(&self.key);
            let (step, burst) = (self.step.as_micros() as u64, self.burst.as_micros() as u64);
            let wait: u64 = call.arg(step).arg(burst).invoke_async(&mut *connection).await?;
            if wait == 0 {
                return Ok(());
            }
            sleep(Duration::from_micros(wait)).await;
        }
    }
}
