//! Templates filled with arbitrary names of a service: the URL stays below what stands before the first placeholder.
//!
//! `cargo fuzz run template` (needs a nightly toolchain, or RUSTC_BOOTSTRAP=1).
#![no_main]

use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use longhaul::Protocol;
use longhaul::http::Reply;
use longhaul::protocols::{Cursor, Source, Step};

const TEMPLATES: [(&str, &str); 6] = [
    ("{+id}", "https://a.example/v1/"),
    ("jobs/{id}", "https://a.example/v1/jobs/"),
    ("jobs/{+id}/status", "https://a.example/v1/jobs/"),
    ("/v2/{+id}", "https://a.example/v2/"),
    ("jobs?id={id}", "https://a.example/v1/jobs?id="),
    ("https://b.example/{+id}", "https://b.example/"),
];

// First byte: the template. Then the name.
fuzz_target!(|data: &[u8]| {
    let Some((first, name)) = data.split_first() else { return };
    let Ok(name) = std::str::from_utf8(name) else { return };
    let (template, root) = TEMPLATES[usize::from(*first) % TEMPLATES.len()];
    let url: url::Url = "https://a.example/v1/exports".parse().unwrap();
    let body = serde_json::json!({"name": name}).to_string();
    let accepted = Reply::new(StatusCode::ACCEPTED, url.clone(), HeaderMap::new(), body);
    let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
    let protocol = Protocol::auto().id(Source::pointer("/name")).status_template(template);
    let step = protocol.read(&mut cursor, &accepted, SystemTime::UNIX_EPOCH);
    if let Some(url) = cursor.status_url() {
        assert!(url.expose().starts_with(root), "{name:?}: {}", url.expose());
    } else {
        assert!(matches!(step, Step::Stop { .. }), "{step:?}");
    }
});
