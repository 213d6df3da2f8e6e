//! A WebSocket channel on which a slow service tells of its tasks: each message ends the pause before the next poll of one
//! task.
//!
//! A message is a hint and no proof: the tasks are polled as before, only less often, and a poll says what is so. While
//! the channel is down, the tasks are polled by their own pauses. After each connect, all of them are polled once, because
//! messages may have been missed.

mod channel;
mod waiting;

pub use channel::follow;
pub use waiting::{Waiting, Watched};
