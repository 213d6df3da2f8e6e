//! The subjects: a raw reader first, to which all others are compared.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{fetch, tools};
use crate::Failure;

/// What downloads, as a program of its own.
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// Connections at most.
    pub(super) connections: u32,
    /// Whether the bytes can go elsewhere than to a file.
    pub(super) discards: bool,
    how: How,
}

enum How {
    /// This program, started anew.
    Own,
    Curl(PathBuf),
    Aria2(PathBuf),
}

/// A subject that is not here, and why.
pub(super) struct Missing {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
}

impl Subject {
    fn own(name: &'static str, connections: u32, discards: bool) -> Self {
        Self { name, connections, discards, how: How::Own }
    }

    /// The program that downloads into a file. `again` is how often a subject that has to be told may try again.
    pub(super) fn command(&self, url: &str, target: &Path, again: u64) -> Result<Command, Failure> {
        Ok(match &self.how {
            How::Curl(program) => tools::curl(program, url, target, again),
            How::Aria2(program) => tools::aria2(program, url, target, self.connections)?,
            How::Own => {
                let mut command = Command::new(env::current_exe()?);
                command.args([super::FETCH, self.name, url]).arg(target);
                command
            }
        })
    }

    /// The program that downloads into nothing.
    pub(super) fn discard(&self, url: &str) -> Result<Command, Failure> {
        let target = if matches!(self.how, How::Own) { fetch::NOWHERE } else { "/dev/null" };
        self.command(url, Path::new(OsStr::new(target)), 0)
    }
}

/// Those that are here, and those that are not.
pub(super) fn subjects() -> (Vec<Subject>, Vec<Missing>) {
    let (mut here, mut missing) = (vec![Subject::own(fetch::RAW, 1, true)], Vec::new());
    match tools::find("curl") {
        Some(program) => here.push(Subject { name: "curl", connections: 1, discards: true, how: How::Curl(program) }),
        None => missing.push(Missing { name: "curl", why: "apt-get install curl" }),
    }
    for (name, connections) in [("aria2c -x1", 1), ("aria2c -x4", 4), ("aria2c -x8", 8)] {
        match tools::find("aria2c") {
            Some(program) => here.push(Subject { name, connections, discards: false, how: How::Aria2(program) }),
            None => missing.push(Missing { name, why: "apt-get install aria2" }),
        }
    }
    here.push(Subject::own(fetch::REQWEST, 1, true));
    for (name, connections, discards) in fetch::PEERS {
        if cfg!(feature = "download") {
            here.push(Subject::own(name, connections, discards));
        } else {
            missing.push(Missing { name, why: "built without the feature `download`" });
        }
    }
    if cfg!(feature = "longhaul") {
        here.push(Subject::own(fetch::LONGHAUL, 8, true));
    } else {
        missing.push(Missing { name: fetch::LONGHAUL, why: "built without the feature `longhaul`" });
    }
    (here, missing)
}
