//! What the tests share.

pub(crate) mod callsites;
pub(crate) mod conversation;
pub(crate) mod log;
