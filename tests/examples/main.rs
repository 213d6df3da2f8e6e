//! The examples, run as a user runs them.
//!
//! A program of its own: `cargo test` builds the examples, and `cargo test --test it` does not have to.

#![cfg(test)]

mod export;
mod forms;
mod task;
