//! The wall clock of a process of a test.
//!
//! A small library in C, which the loader puts before libc, adds the number in a file to it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::child::spawn;
use crate::folder::plain::Folder;

/// The wall clock of a process, which can be set. The clock that only runs is as it was.
pub(crate) struct Clock {
    folder: Folder,
    offset: File,
}

impl Clock {
    pub(crate) fn new(seconds: i64) -> Self {
        let folder = Folder::new();
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o"]).arg(folder.at("clock.so"));
        let mut compiler = spawn(command.stdin(Stdio::piped()));
        compiler.stdin.take().unwrap().write_all(include_bytes!("clock.c")).unwrap();
        assert!(compiler.wait().unwrap().success(), "cc, which links Rust programs too");
        let offset = File::create(folder.at("offset")).unwrap();
        let clock = Self { folder, offset };
        clock.set(seconds);
        clock
    }

    /// Sets the clock so many seconds from the machine's.
    pub(crate) fn set(&self, seconds: i64) {
        self.offset.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let path = |name: &str| -> PathBuf { self.folder.at(name) };
        vec![("LD_PRELOAD", path("clock.so").into()), ("LONGHAUL_TEST_CLOCK", path("offset").into())]
    }
}
