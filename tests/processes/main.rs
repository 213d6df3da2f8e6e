//! Tests that start processes: this program once more, another user, tools that make FIFOs and devices.
//!
//! Alone, and one at a time (each holds a `Folder`): between its fork and its exec, a child holds the file locks of its
//! parent, and a download beside it would find its file held by another.

#![cfg(test)]

#[path = "../it/support/callsites.rs"]
mod callsites;
mod child;
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
#[cfg(unix)]
mod shared_folder;
mod shared_limit;
mod shared_token;
#[cfg(target_os = "linux")]
mod small_disk;
mod token_file;
