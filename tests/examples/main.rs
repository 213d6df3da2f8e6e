//! The examples, run as a user runs them: what they print, how they end, what they leave behind.
//!
//! A program of its own: it wants the examples built, which `cargo test` does, and `cargo test --test it` need not. Before
//! `cargo test --test examples`, build them with `cargo build --examples`.

#![cfg(test)]

mod export;
mod fleet;
mod folder;
mod forms;
mod short;
mod task;

use std::path::{Path, PathBuf};

/// Cargo builds the examples for `cargo test`, and puts them beside the folder of this test.
fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap().join("examples");
    let path = folder.join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run `cargo build --examples` before this test alone", path.display());
    path
}
