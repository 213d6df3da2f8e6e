//! How a response is read: tables of cases, without a runtime (docs/protocol.md).

mod any_answer;
mod nothing_false;
mod poll;
mod presets;
mod redirect;
mod result;
mod submit;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use longhaul::{
    Cursor, FinalStateVia, Next, PageRule, Profile, Protocol, Reduce, Reply, ResultKind, Source, State, StatusKind,
    Step,
};
use proptest::prelude::*;
use url::Url;

use crate::support::conversation::{check, reply, said, walk};
