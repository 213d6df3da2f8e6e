//! How a response is read: tables of cases, without a runtime (docs/protocol.md).

mod any_answer;
mod nothing_false;
mod poll;
mod presets;
mod redirect;
mod result;
mod submit;
mod words;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use longhaul::http::Reply;
use longhaul::protocols::{Cursor, FinalStateVia, Next, PageRule, Reduce, ResultKind, Source, StatusKind, Step};
use longhaul::{Profile, Protocol, State};
use proptest::prelude::*;
use url::Url;

use crate::support::conversation::{check, reply, said, walk};

const BARE: &str = "202 | location: /t";
const MONITOR: &str = "202 | operation-location: /o";

/// A cursor that has read this answer to a submit.
fn polling(protocol: &Protocol, submit: &str) -> Cursor {
    let url: Url = "https://a.example/v1/exports".parse().unwrap();
    let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
    let _ = protocol.read(&mut cursor, &reply(submit, url), SystemTime::UNIX_EPOCH);
    cursor
}
