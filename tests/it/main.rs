//! All tests that need no process of their own, as one program: it is linked once.
//!
//! Each of the others says why it is alone: `default_tree`, `examples`, `floors`, `memory`, `processes`, `real`, `soak`,
//! and `trace`. Nothing here starts a process.

#![cfg(test)]

mod client;
mod credential;
mod download;
mod hostile;
mod profiles;
mod protocol;
mod scenarios;
mod secrets;
mod services;
mod simulator;
mod store;
mod support;
mod task;
mod tasks;
mod telemetry;
mod throttle;
