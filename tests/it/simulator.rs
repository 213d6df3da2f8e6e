//! The simulated service, seen from outside: plain HTTP, nothing of our own client.

mod service;
mod tokens;
