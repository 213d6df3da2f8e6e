//! Slips in an address: patterns, schemes, ports, paths, folders; each is named.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use futures::StreamExt;
use http::Method;
use longhaul::limits::Scope;
use longhaul::protocols::{Next, PageRule, Source};
use longhaul::testing::{reply, script};
use longhaul::{Client, Error, ErrorKind, Limit, RetryPolicy};
use serde_json::{Value, json};

use crate::support::Folder;

#[test]
fn a_route_that_could_match_nothing_is_refused_at_the_build() {
    for (pattern, named) in [
        ("GTE farms", "`GTE` is no method"),
        ("get farms", "`get` is no method"),
        ("POTS exports", "`POTS` is no method"),
        ("GET", "a method without a path: write the path behind it, such as `GET farms/*`"),
        ("DELETE ", "a method without a path"),
        ("https://api.example.com/farms", "without scheme and host"),
    ] {
        let limit = Limit::per_second(4).scope(Scope::route(pattern));
        let error = Client::builder("https://api.example.com/v1").limit(limit).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(named), "{pattern}: {error}");
    }
}

/// A port that answers everything with these bytes, and hangs up.
fn port(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

async fn asked(base: &str) -> Error {
    let client = Client::builder(base).retry(RetryPolicy::none()).no_proxy().build().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap_err()
}

#[tokio::test]
async fn the_wrong_scheme_for_a_port_is_named() {
    const BAD: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const NGINX: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n\
        <html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>";
    for (scheme, answer, named) in [
        ("https", BAD, "write http:// in place of https://"),
        ("https", "SSH-2.0-OpenSSH_9.6\r\n", "write http:// in place of https://"),
        // The alert of a TLS server.
        ("http", "\x15\x03\x01\x00\x02\x02\x46", "write https:// in place of http://"),
        ("http", "SSH-2.0-OpenSSH_9.6\r\n", "write https:// in place of http://"),
        ("http", "", "write https:// in place of http://"),
        ("http", NGINX, "write https:// in place of http://"),
    ] {
        let error = asked(&format!("{scheme}://127.0.0.1:{}", port(answer))).await;
        let text = error.to_string();
        assert!(text.contains(named) && !text.contains('\n'), "{scheme} {answer:?}: {text}");
    }
    let error = asked(&format!("http://127.0.0.1:{}", port(BAD))).await;
    assert!(!error.to_string().contains("https://"), "a plain 400 says nothing of it: {error}");

    // A host that takes connections is not waited for as one that is away.
    let policy = RetryPolicy::standard().schedule(longhaul::retries::Schedule::constant(Duration::from_millis(1)));
    let base = format!("https://127.0.0.1:{}", port(BAD));
    let client = Client::builder(base).retry(policy).no_proxy().build().unwrap();
    let error = client.request(Method::GET, "farms").send().await.unwrap_err().to_string();
    assert!(error.contains("write http://") && !error.contains("took no connection"), "{error}");
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = asked(&base).await;
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("nothing listens there: look at host and port"), "{error}");
    let client = Client::builder(&base).retry(RetryPolicy::none()).no_proxy().build().unwrap();
    let error = client.task().post("exports").submit::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("nothing listens there"), "{error}");
    // A poll that gave no answer is a warning, and the wait goes on.
    let accepted = "HTTP/1.1 202 Accepted\r\nlocation: /tasks/1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(accepted.as_bytes());
    });
    let client = Client::builder(base).no_proxy().build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    serve.join().unwrap();
    task.advance().await.unwrap().unwrap();
    task.handle().nudge();
    let update = task.advance().await.unwrap().unwrap();
    assert!(update.warning().unwrap().contains("nothing listens there"), "{update:?}");
}

#[tokio::test(start_paused = true)]
async fn a_path_outside_the_base_is_named_where_nothing_is() {
    const LEFT: &str = "which leaves the base's `/v1`: write it without the `/`";
    for (path, status, named) in [
        ("/exports", 404, Some(LEFT)),
        ("/exports?size=1", 403, Some(LEFT)),
        ("/v2/exports", 405, Some(LEFT)),
        ("/exports", 409, None),
        ("/exports", 401, None),
        ("/v1/exports", 404, None),
        ("exports", 404, None),
        ("https://api.example.com/exports", 404, None),
        ("https://other.example.com/exports", 404, None),
    ] {
        let service = script((0..4).map(|_| reply(status)));
        let client = service.client().retry(RetryPolicy::none()).build().unwrap();
        let call = client.request(Method::GET, path).send().await.unwrap_err();
        let submit = client.task().post(path).submit::<Value>().await.unwrap_err();
        let rule = || PageRule::rows(Source::pointer("/*"));
        let row = client.pages::<Value>(Method::GET, path, rule()).next().await.unwrap().unwrap_err();
        let page = client.page_bytes(Method::GET, path, rule()).next().await.unwrap().unwrap_err();
        for error in [call, submit, row, page] {
            let text = error.to_string();
            assert_eq!(text.contains("the base's"), named.is_some(), "{path} {status}: {text}");
            assert!(text.contains(named.unwrap_or_default()), "{path} {status}: {text}");
        }
    }
    // A page of the wrong place accepts everything, and a base without a path cannot be left.
    let service = script([reply(202).header("content-type", "text/html").body("<p>Welcome</p>"), reply(404)]);
    let client = service.client().build().unwrap();
    let error = client.task().post("/exports").submit::<Value>().await.unwrap_err();
    assert!(error.to_string().contains(LEFT), "{error}");
    let client = Client::builder("https://api.example.com").http(service).build().unwrap();
    let error = client.request(Method::GET, "/exports").send().await.unwrap_err();
    assert!(!error.to_string().contains("the base's"), "{error}");
    // A later page is at the URL that the service named.
    let next = reply(200).header("link", "</v1/farms?page=2>; rel=next").json(json!([1]));
    let client = script([next, reply(404)]).client().retry(RetryPolicy::none()).build().unwrap();
    let rule = PageRule::rows(Source::pointer("/*")).next(Next::link());
    let rows: Vec<_> = client.pages::<Value>(Method::GET, "/farms", rule).collect().await;
    assert!(rows.len() == 2 && !rows[1].as_ref().unwrap_err().to_string().contains("the base's"), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_path_is_refused_before_anything_is_sent() {
    let service = script([reply(200)]);
    let client = service.client().build().unwrap();
    for path in ["", " ", "\t"] {
        let call = client.request(Method::GET, path).send().await.unwrap_err();
        let submit = client.task().post(path).submit::<Value>().await.unwrap_err();
        let keys = client.request_key(&Method::GET, path).unwrap_err();
        for error in [call, submit, keys] {
            assert_eq!(error.kind(), ErrorKind::Request);
            assert!(error.to_string().contains("for the base"), "{error}");
        }
    }
    assert!(client.task().submit::<Value>().await.unwrap_err().to_string().contains("post(\"exports\")"));
    assert!(service.requests().is_empty());
    client.request(Method::GET, ".").send().await.unwrap();
    assert_eq!(service.requests()[0].url().path(), "/v1/");
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named() {
    let folder = Folder::new();
    folder.write("file", "");
    let service = script([reply(200).body("bytes")]);
    let client = service.client().build().unwrap();
    let missing = folder.at("missing");
    for (target, named) in [
        (missing.join("farms.parquet"), format!("the folder {} does not exist", missing.display())),
        (missing.join("deep/farms.parquet"), format!("the folder {}/deep does not exist", missing.display())),
        (folder.at("file/farms.parquet"), format!("{}/file is a file, and no folder", folder.path().display())),
        (folder.path().to_owned(), "there is a folder of that name".to_owned()),
        (std::path::PathBuf::new(), "the path of the target is empty".to_owned()),
    ] {
        let error = client.download("https://store.example.net/7?sig=S").to_file(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(&named), "{}: {error}", target.display());
    }
    assert!(service.requests().is_empty(), "nothing is fetched that cannot be kept");
}

#[tokio::test]
async fn an_error_says_what_to_set_in_debug_too() {
    let service = script([reply(404)]);
    let client = service.client().build().unwrap();
    let error = client.task().post("/exports").submit::<Value>().await.unwrap_err();
    assert!(format!("{error:?}").contains("write it without the `/`"), "{error:?}");
    let wrong = |base: &str| Client::builder(base).build().unwrap_err().to_string();
    assert!(wrong("localhost:8080/v1").contains("write http://localhost:8080/v1"), "{}", wrong("localhost:8080/v1"));
    let refused = client.task().post("exports").header("x-a", "a\nb").submit::<Value>().await.unwrap_err();
    assert!(refused.to_string().contains("the value of the header `x-a`"), "{refused}");
    let refused = client.task().post("exports").header("x a", "b").submit::<Value>().await.unwrap_err();
    assert!(refused.to_string().contains("`x a` is no name of a header"), "{refused}");
}
