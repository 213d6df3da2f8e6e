//! Against real servers, which `tests/run.sh` installs, starts, and names in the environment.
//!
//! A program of its own: its tests run on the real clock beside programs of others, and are skipped where those are not.

#![cfg(test)]

mod aws;
mod azurite;
mod nginx;
mod oidc;
mod processes;
mod python;
mod redis;
mod redis_tasks;
mod redis_tokens;
mod storage;
