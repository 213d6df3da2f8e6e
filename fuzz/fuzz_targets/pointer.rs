//! Pointers, templates, requests and pages from arbitrary text: no panic, and what is written reads back the same.
//!
//! `cargo fuzz run pointer` (needs a nightly toolchain, or RUSTC_BOOTSTRAP=1).
#![no_main]

use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use longhaul::{Protocol, SecretUrl};
use longhaul::http::Reply;
use longhaul::protocols::{Cursor, Exchange, Next, PageRule, ResultKind, Source, StatusKind};

fuzz_target!(|data: (&str, &str, &str)| {
    let (pointer, template, body) = data;
    let Ok(source) = pointer.parse::<Source>() else {
        let _ = (pointer.parse::<Exchange>(), SecretUrl::parse(pointer), pointer.parse::<Next>());
        return;
    };
    assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
    if let Ok(exchange) = template.parse::<Exchange>() {
        assert_eq!(exchange.to_string().parse::<Exchange>().unwrap(), exchange);
    }
    let protocol = Protocol::auto()
        .id(source.clone())
        .state(source.clone())
        .done(source.clone())
        .status_template(template)
        .status_url(source.clone(), StatusKind::Monitor)
        .result(source.clone(), ResultKind::Link)
        .cancel_url(source.clone())
        .pages(PageRule::new(template, source.clone()).next(Next::cursor(source, "c")));
    let url: url::Url = "https://a.example/v1/exports".parse().unwrap();
    let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
    for code in [202, 200, 200] {
        let reply = Reply::new(StatusCode::from_u16(code).unwrap(), url.clone(), HeaderMap::new(), body.to_owned());
        let _ = format!("{:?}", protocol.read(&mut cursor, &reply, SystemTime::UNIX_EPOCH));
    }
    let text = serde_json::to_string(&protocol).unwrap();
    assert_eq!(serde_json::from_str::<Protocol>(&text).unwrap(), protocol);
});
