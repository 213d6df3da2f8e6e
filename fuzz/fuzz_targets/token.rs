//! Resume tokens of arbitrary text: no panic, and what is taken asks the client's own origin alone.
//!
//! `cargo fuzz run token` (needs a nightly toolchain, or RUSTC_BOOTSTRAP=1). A dictionary of the members helps.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use longhaul::{Client, ResumeToken};
use longhaul::http::{Http, HttpError, Request, Response};

/// Nothing is sent: the client only reads.
struct Nowhere;

impl Http for Nowhere {
    fn send(&self, _: Request) -> futures::future::BoxFuture<'static, Result<Response, HttpError>> {
        Box::pin(async { Err(HttpError::connect()) })
    }
}

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    Client::builder("https://a.example/v1").http(Nowhere).storage_http(Nowhere).build().unwrap()
});

/// A token whose cursor is replaced, so that few bytes make one that parses.
fn whole(cursor: &str) -> String {
    format!(r#"{{"version":1,"protocol":"auto","base":"https://a.example/v1/","not_before":0,"cursor":{cursor}}}"#)
}

// The text of a token, or of its cursor.
fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for text in [text.to_owned(), whole(text)] {
        let Ok(token) = text.parse::<ResumeToken>() else { continue };
        let shown = token.to_string();
        assert_eq!(shown.parse::<ResumeToken>().unwrap().to_string(), shown, "a token reads back");
        let _ = format!("{token:?}");
        if let Ok(task) = CLIENT.resume::<()>(token) {
            let url = task.handle().status_url();
            assert!(url.is_none_or(|url| url.expose().starts_with("https://a.example")), "{task:?}");
        }
    }
});
