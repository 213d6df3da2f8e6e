//! What the tests share.

pub(crate) mod callsites;
mod clock;
pub(crate) mod conversation;
mod errors;
mod folder;
pub(crate) mod log;
mod permits;
mod service;

pub(crate) use clock::{DAY, HOUR, MINUTE, SECOND, millis, paused, secs};
pub(crate) use errors::{chain, shown};
pub(crate) use folder::Folder;
pub(crate) use permits::{keys, left, passes, send};
pub(crate) use service::{accepted, asked, client, headers};
