//! All tests that need no process of their own, as one program: it is linked once.
//!
//! Beside it stand `examples` (cargo builds the examples only for whole runs), `real` (servers of others), `soak` and
//! `memory` and `trace` (each says why it is alone), `default_tree`, and `floors`.

#![cfg(test)]

mod client;
mod credential;
mod download;
mod hostile;
mod protocol;
mod secrets;
mod simulator;
mod support;
mod task;
mod telemetry;
mod throttle;
