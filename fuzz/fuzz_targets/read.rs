//! Reading a conversation of arbitrary answers: no panic, no leading on for ever without a wait.
//!
//! `cargo fuzz run read` (needs a nightly toolchain, or RUSTC_BOOTSTRAP=1).
#![no_main]

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use longhaul::Protocol;
use longhaul::http::Reply;
use longhaul::protocols::{Cursor, Step};

const NAMES: [&str; 12] = [
    "location",
    "operation-location",
    "azure-asyncoperation",
    "content-location",
    "retry-after",
    "retry-after-ms",
    "date",
    "link",
    "x-progress",
    "etag",
    "set-cookie",
    "operation-id",
];

// First byte: the protocol. Then answers, apart by a byte 0xFF: two bytes of status, lines of headers that begin with
// a byte for the name, an empty line, the body.
fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let protocols = [
        Protocol::auto(),
        Protocol::smag_task(),
        Protocol::async_request_reply(),
        Protocol::azure_resource_manager(),
        Protocol::azure_data_plane(),
        Protocol::google_operations(),
        Protocol::auto().with_cookies().conditional().repeat_query("v"),
        Protocol::auto().status_template("jobs/{+id}").start("ready", "PUT jobs/{id} {}".parse().unwrap()),
    ];
    let methods = [Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    let protocol = &protocols[usize::from(first & 7)];
    let method = methods[usize::from(first >> 3 & 3)].clone();
    let url: url::Url = "https://a.example/v1/exports?v=1".parse().unwrap();
    let mut cursor = Cursor::new(method, &url, SystemTime::UNIX_EPOCH);
    let mut follows = 0;
    for (at, answer) in rest.split(|byte| *byte == 0xFF).enumerate() {
        let [high, low, rest @ ..] = answer else { continue };
        let code = 100 + (u16::from(*high) * 256 + u16::from(*low)) % 500;
        let mut headers = HeaderMap::new();
        let mut body = rest;
        while let Some(end) = body.iter().position(|byte| *byte == b'\n') {
            let (line, after) = body.split_at(end);
            body = &after[1..];
            let Some((name, value)) = line.split_first() else { break };
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]), value);
            }
        }
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at as u64);
        let reply = Reply::new(StatusCode::from_u16(code).unwrap(), url.clone(), headers, body.to_vec());
        let step = protocol.read(&mut cursor, &reply, at);
        // What is shown never panics either, and a token reads back.
        let _ = format!("{step:?} {cursor:?}");
        let text = serde_json::to_string(&cursor).unwrap();
        cursor = serde_json::from_str(&text).unwrap();
        match step {
            Step::Follow { after, .. } if after.is_zero() => {
                follows += 1;
                assert!(follows <= 14, "led on for ever");
            }
            Step::Wait(_) | Step::Follow { .. } => follows = 0,
            _ => break,
        }
    }
});
