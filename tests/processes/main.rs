//! Tests that start processes: this program once more, another user, tools that make FIFOs and devices.
//!
//! Alone: between its fork and its exec, a child holds the file locks of its parent, and a download beside it would find
//! its file held by another. A test that downloads or holds files holds a `Folder`, one test at a time; a test that only
//! starts processes and waits for them starts each by `spawn`, and runs beside the others.

#![cfg(test)]

mod bursts;
#[path = "../it/support/callsites.rs"]
mod callsites;
mod child;
#[cfg(target_os = "linux")]
mod clock;
mod counting_service;
#[expect(dead_code, reason = "the tests of `it` ask for more")]
#[path = "../it/download/depot.rs"]
mod depot;
mod folder;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(target_os = "linux")]
mod full_store;
mod kill_rounds;
mod killed_download;
mod killed_login;
mod killed_worker;
#[path = "../it/support/log.rs"]
mod log;
mod proxy;
mod redis_server;
mod senders;
#[cfg(unix)]
mod shared_folder;
mod shared_limit;
mod shared_token;
#[cfg(target_os = "linux")]
mod small_disk;
#[cfg(unix)]
mod stopped_worker;
#[cfg(target_os = "linux")]
mod store_clocks;
mod store_failover;
mod store_network;
mod token_file;
