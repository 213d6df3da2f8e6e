//! Pages: of rows, of bytes, and how they follow each other.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::Method;
use longhaul::protocols::{Next, PageRule, ResultKind, Source};
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{ErrorKind, Outcome, Protocol, RetryPolicy};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::results::{asked, csv, protocol, run};
use crate::support::Folder;
use crate::support::client;

async fn rows(outcome: &Outcome<Value>) -> Vec<u32> {
    outcome.pages::<u32>().try_collect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_page_that_a_redirect_leads_to_is_read_once() {
    let paged = protocol(
        r#"
        status_template = "status/{id}"
        state = ["/jobStatus"]
        pages = { rows = "/results/*", next = "rel:next" }
        "#,
    );
    for code in [302, 303] {
        let next = "<https://api.example.com/v1/results/c0?cursor=m&size=2>; rel=\"next\"";
        let service = script([
            reply(200).json(json!({"jobId": "c0"})),
            reply(200).json(json!({"jobStatus": "RUNNING"})),
            reply(code).header("location", "/v1/results/c0?size=2").json(json!({"jobStatus": "FINISHED"})),
            reply(200).header("link", next).json(json!({"results": [1, 2]})),
            reply(200).json(json!({"results": [3]})),
        ]);
        let outcome = run(&service, &paged).await.unwrap();
        assert!(outcome.has_pages(), "{code}");
        assert_eq!(rows(&outcome).await, [1, 2, 3], "{code}");
        assert_eq!(
            asked(&service),
            ["GET status/c0", "GET status/c0", "GET results/c0?size=2", "GET results/c0?cursor=m&size=2"],
            "{code}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_page_is_wherever_the_result_is() {
    let paged = || {
        let rule = PageRule::rows(Source::pointer("/rows/*")).next(Next::url(Source::pointer("/next")));
        Protocol::auto().status_template("jobs/{id}").pages(rule)
    };
    let page = |next: Value| reply(200).json(json!({"rows": [1, 2], "next": next}));
    let last = || reply(200).json(json!({"rows": [3]}));
    let status = |members: Value| reply(200).json(members);
    let template = paged().result_template("files/{/file}", ResultKind::Url);
    let link = paged().result(Source::pointer("/link"), ResultKind::Link);
    let rel = paged().result(Source::rel("results"), ResultKind::Url);
    for (name, protocol, answers, requests) in [
        (
            "resourceLocation",
            paged(),
            vec![status(json!({"status": "done", "resourceLocation": "/v1/a"})), page(json!("/v1/b")), last()],
            4,
        ),
        ("a template", template, vec![status(json!({"status": "done", "file": "a"})), page(json!("b")), last()], 4),
        ("a link", link, vec![status(json!({"status": "done", "link": "/v1/a"})), page(json!("/v1/b")), last()], 4),
        (
            "a link by its relation",
            rel,
            vec![
                status(json!({"status": "done", "links": [{"rel": "results", "href": "/v1/a"}]})),
                page(json!("/v1/b")),
                last(),
            ],
            4,
        ),
        (
            "the last Location",
            paged(),
            vec![status(json!({"status": "done"})).header("location", "/v1/a"), page(json!("/v1/b")), last()],
            4,
        ),
        (
            "the final answer",
            paged(),
            vec![status(json!({"status": "done", "rows": [1, 2], "next": "/v1/b"})), last()],
            3,
        ),
        (
            "not ready at first",
            paged(),
            vec![
                status(json!({"status": "done", "resourceLocation": "/v1/a"})),
                reply(404),
                page(json!("/v1/b")),
                last(),
            ],
            5,
        ),
    ] {
        let service = script(std::iter::once(reply(202).json(json!({"id": "9"}))).chain(answers));
        let outcome = run(&service, &protocol).await.unwrap();
        assert_eq!(rows(&outcome).await, [1, 2, 3], "{name}");
        assert_eq!((service.requests().len(), service.left()), (requests, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_links_the_next_page_is_the_one_of_rel_next() {
    let paged = protocol(
        r#"
        status_template = "x/{id}"
        pages = { url = "x/{id}/rows", rows = "/rows/*", next = "rel:next" }
        "#,
    );
    let begin = || [reply(202).json(json!({"id": "9"})), reply(200).json(json!({"status": "succeeded"}))];
    let links =
        "<https://api.example.com/v1/x/9/rows?p=0>; rel=\"prev\", </v1/x/9/rows?p=2>; title=\"a, b\"; Rel=\"Next\"";
    let service =
        script(begin().into_iter().chain([
            reply(200).header("link", links).json(json!({"rows": [1]})),
            reply(200).json(json!({"rows": [2]})),
        ]));
    let outcome = run(&service, &paged).await.unwrap();
    assert_eq!(rows(&outcome).await, [1, 2]);
    assert_eq!(asked(&service), ["GET x/9", "GET x/9/rows", "GET x/9/rows?p=2"]);

    // A page of 204 has no rows, and is no error; neither is an empty body.
    for page in [reply(204), reply(200), reply(205), reply(200).body(" \n")] {
        let service = script(begin().into_iter().chain([page]));
        let outcome = run(&service, &paged).await.unwrap();
        assert_eq!(rows(&outcome).await, [0_u32; 0]);
        assert_eq!(service.left(), 0);
    }
    // It may lead on.
    let service = script(
        begin()
            .into_iter()
            .chain([reply(204).header("link", "<rows?p=2>; rel=next"), reply(200).json(json!({"rows": [2]}))]),
    );
    let outcome = run(&service, &paged).await.unwrap();
    assert_eq!(rows(&outcome).await, [2]);
}

fn locator() -> Protocol {
    protocol(
        r#"
        status_template = "jobs/{id}"
        pages = { url = "jobs/{id}/results", next = "header:Sforce-Locator?locator", skip_repeated_header = true }
        "#,
    )
}

fn bulk(pages: impl IntoIterator<Item = Canned>) -> Script {
    let begin = [
        reply(200).json(json!({"id": "750x", "state": "UploadComplete"})),
        reply(200).json(json!({"id": "750x", "state": "JobComplete"})),
    ];
    script(begin.into_iter().chain(pages))
}

#[tokio::test(start_paused = true)]
async fn pages_of_csv_become_one_table() {
    let pages = || {
        [csv("Id,Name\n1,A\n").header("sforce-locator", "MTAw"), csv("Id,Name\n2,B\n").header("sforce-locator", "null")]
    };
    let service = bulk(pages());
    let outcome = run(&service, &locator()).await.unwrap();
    let mut table = Vec::new();
    let written = outcome.page_bytes().to_writer(&mut table).await.unwrap();
    assert_eq!((String::from_utf8(table).unwrap(), written), ("Id,Name\n1,A\n2,B\n".into(), 16));
    assert_eq!(asked(&service), ["GET jobs/750x", "GET jobs/750x/results", "GET jobs/750x/results?locator=MTAw"]);

    let error = outcome.pages::<Value>().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultShape);
    assert!(error.to_string().contains("page_bytes()"), "{error}");

    // As they came, where that is asked for.
    let raw = Protocol::auto().status_template("jobs/{id}").pages(
        PageRule::bytes().url("jobs/{id}/results").next(Next::cursor(Source::header("sforce-locator"), "locator")),
    );
    let outcome = run(&bulk(pages()), &raw).await.unwrap();
    let found: Vec<_> = outcome.page_bytes().try_collect().await.unwrap();
    assert_eq!(found, ["Id,Name\n1,A\n", "Id,Name\n2,B\n"]);
}

#[tokio::test(start_paused = true)]
async fn pages_of_text_meet_at_a_line_break_and_others_do_not() {
    let page = |kind: &str, body: &'static str| reply(200).header("content-type", kind).body(body);
    let more = |page: Canned| page.header("sforce-locator", "n");
    for (kind, pages, expected) in [
        ("text/csv", ["a\r\n1", "a\r\n2\r\n"], "a\r\n1\r\n2\r\n"),
        ("application/x-ndjson", ["{\"a\":1}", "{\"a\":2}"], "{\"a\":1}\n{\"a\":2}"),
    ] {
        let service = bulk([more(page(kind, pages[0])), page(kind, pages[1])]);
        let mut table = Vec::new();
        run(&service, &locator()).await.unwrap().page_bytes().to_writer(&mut table).await.unwrap();
        assert_eq!(String::from_utf8(table).unwrap(), expected, "{kind}");
    }
    let binary = Protocol::auto()
        .status_template("jobs/{id}")
        .pages(PageRule::bytes().url("rows").next(Next::cursor(Source::header("sforce-locator"), "locator")));
    let service = bulk([more(page("application/octet-stream", "\u{1}")), page("application/octet-stream", "\u{2}")]);
    let mut bytes = Vec::new();
    run(&service, &binary).await.unwrap().page_bytes().to_writer(&mut bytes).await.unwrap();
    assert_eq!(bytes, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_pages_is_whole_or_as_it_was() {
    let folder = Folder::new();
    let target = folder.write("table.csv", "old");

    let service = bulk([csv("a\n1\n").header("sforce-locator", "n"), reply(403)]);
    let outcome = run(&service, &locator()).await.unwrap();
    let error = outcome.page_bytes().to_file(&target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(folder.text("table.csv"), "old");

    let service = bulk([csv("a\n1\n").header("sforce-locator", "n"), csv("a\n2\n")]);
    let outcome = run(&service, &locator()).await.unwrap();
    assert_eq!(outcome.page_bytes().to_file(&target).await.unwrap(), 6);
    assert_eq!(folder.text("table.csv"), "a\n1\n2\n");

    let service = bulk([reply(204)]);
    let outcome = run(&service, &locator()).await.unwrap();
    assert_eq!(outcome.page_bytes().to_file(&target).await.unwrap(), 0);
    assert_eq!(folder.text("table.csv"), "");
    assert_eq!(folder.names(), ["table.csv"], "nothing is left beside it");
    let error = outcome.page_bytes().to_file(folder.at("none/table.csv")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

fn listing() -> PageRule {
    PageRule::rows(Source::pointer("/rows/*")).next(Next::url(Source::pointer("/next")))
}

async fn list(service: &Script) -> Vec<longhaul::Result<u32>> {
    client(service).pages::<u32>(Method::GET, "rows", listing()).collect().await
}

/// The rows, and the kind of the error behind them.
fn told(rows: Vec<longhaul::Result<u32>>) -> (Vec<u32>, Option<ErrorKind>) {
    let error = rows.iter().find_map(|row| row.as_ref().err().map(longhaul::Error::kind));
    (rows.into_iter().filter_map(Result::ok).collect(), error)
}

#[tokio::test(start_paused = true)]
async fn a_broken_page_is_fetched_again_and_no_row_comes_twice() {
    let first = || reply(200).json(json!({"rows": [1, 2], "next": "/v1/rows?p=2"}));
    let last = || reply(200).json(json!({"rows": [3]}));
    let half = |page: Canned| page.header("content-type", "application/json").body(r#"{"rows": [3, 4"#);
    for (name, trouble) in [
        ("the body breaks off", vec![half(reply(200)).cut()]),
        ("the body ends early", vec![half(reply(200))]),
        ("a whole row before it breaks off", vec![reply(200).body(r#"{"rows": [3]}"#).cut()]),
        ("no answer", vec![reply(200).lost()]),
        ("no connection", vec![reply(200).unsent()]),
        ("a 500", vec![reply(500)]),
        ("a 429", vec![reply(429)]),
        ("not ready", vec![reply(202).header("retry-after", "5")]),
        ("one after the other", vec![reply(502), half(reply(200)).cut(), reply(202), reply(200).lost()]),
    ] {
        let service = script(std::iter::once(first()).chain(trouble).chain([last()]));
        assert_eq!(told(list(&service).await), (vec![1, 2, 3], None), "{name}");
        assert_eq!(service.left(), 0, "{name}");
    }
    // The first page too, and the one that came with the task.
    let service = script([half(reply(200)).cut(), first(), last()]);
    assert_eq!(told(list(&service).await), (vec![1, 2, 3], None));

    let service = script([first(), reply(202).header("retry-after", "70"), last()]);
    list(&service).await;
    assert_eq!(service.gaps()[1], Duration::from_secs(70), "as long as the service asks");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_never_comes_whole_ends_within_the_retry_policy() {
    let first = || reply(200).json(json!({"rows": [1, 2], "next": "/v1/rows?p=2"}));
    let half = || reply(200).json(json!({"rows": [3]})).cut();
    for (name, page, kind) in [
        ("broken", half(), ErrorKind::Network),
        ("not ready", reply(202), ErrorKind::ResultUnavailable),
        (
            "no whole JSON",
            reply(200).header("content-type", "application/json").body("{"),
            ErrorKind::ResultUnavailable,
        ),
        ("a 500", reply(500), ErrorKind::Rejected),
    ] {
        let service = script(std::iter::once(first()).chain((0..20).map(|_| page.clone())));
        assert_eq!(told(list(&service).await), (vec![1, 2], Some(kind)), "{name}");
        assert_eq!(service.requests().len(), 6, "{name}: one, and four repeats");
    }
    let service = script([first(), half(), reply(200).json(json!({"rows": [3]}))]);
    let client = service.client().retry(RetryPolicy::none()).build().unwrap();
    let rows = client.pages::<u32>(Method::GET, "rows", listing()).collect().await;
    assert_eq!(told(rows), (vec![1, 2], Some(ErrorKind::Network)));
    // A listing by POST may have acted.
    let service = script([first(), half(), reply(200).json(json!({"rows": [3]}))]);
    let rows = self::client(&service).pages::<u32>(Method::POST, "rows", listing()).collect().await;
    assert_eq!(told(rows), (vec![1, 2], Some(ErrorKind::Network)));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_page_is_no_end_of_the_rows() {
    let page = |next: Value| reply(200).json(json!({"rows": [1], "next": next}));
    let unavailable = Some(ErrorKind::ResultUnavailable);
    let html = |kind: &str| reply(200).header("content-type", kind).body("<!DOCTYPE html><p>log in");
    for (name, page, expected) in [
        ("a page that names itself", page(json!("/v1/rows")), (vec![], unavailable)),
        ("a next that is no text", page(json!({"href": "/v1/rows?p=2"})), (vec![], unavailable)),
        ("a next that is no URL", page(json!("<p>")), (vec![], unavailable)),
        ("a part of a page", reply(206).json(json!({"rows": [1]})), (vec![], unavailable)),
        ("unchanged", reply(304), (vec![], unavailable)),
        ("HTML", html("text/html"), (vec![], unavailable)),
        ("HTML that says it is JSON", html("application/json"), (vec![], unavailable)),
        ("text", reply(200).body("a,b"), (vec![], unavailable)),
        ("401", reply(401), (vec![], Some(ErrorKind::Unauthorized))),
        ("404", reply(404), (vec![], Some(ErrorKind::Rejected))),
        ("a next on http", page(json!("http://api.example.com/rows")), (vec![1], Some(ErrorKind::Untrusted))),
    ] {
        assert_eq!(told(list(&script([page])).await), expected, "{name}");
    }
    for next in [json!(null), json!(""), json!("null"), json!("NULL"), json!(" "), json!([]), json!({}), json!(false)] {
        assert_eq!(told(list(&script([page(next.clone())])).await), (vec![1], None), "{next}");
    }
    // HTML is none of the bytes either.
    let service = bulk([html("text/csv")]);
    let error = run(&service, &locator()).await.unwrap().page_bytes().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultUnavailable);
    assert!(error.to_string().contains("HTML"), "{error}");

    let service = script([reply(200).body("[1,2,3]")]);
    let small = service.client().body_limit(4).build().unwrap();
    let rule = PageRule::rows(Source::pointer("/*"));
    let error = small.pages::<u32>(Method::GET, "rows", rule).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let rows: Vec<_> = client(&script([])).pages::<u32>(Method::GET, "a b", listing()).collect().await;
    assert_eq!(rows[0].as_ref().unwrap_err().kind(), ErrorKind::Request);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_followed_without_the_credential() {
    let credential = longhaul::Credential::bearer("s3cret");
    let last = || reply(200).json(json!({"rows": [1]}));
    for code in [301, 302, 303, 307, 308] {
        for (to, own) in [
            ("/v1/pages/1", true),
            ("pages/1", true),
            ("https://other.example/1", false),
            ("https://store.example.net/1?sig=abc%2F", false),
        ] {
            let service = script([reply(code).header("location", to), last()]);
            let client = service.client().credential(credential.clone()).build().unwrap();
            let rows: Vec<u32> = client.pages::<u32>(Method::GET, "rows", listing()).try_collect().await.unwrap();
            assert_eq!(rows, [1], "{code} {to}");
            let seen = service.requests();
            assert_eq!(seen[0].header("authorization"), Some("Bearer s3cret"), "{code} {to}");
            assert_eq!(seen[1].header("authorization").is_some(), own, "{code} {to}");
            assert!(seen[1].url().as_str().ends_with(to.trim_start_matches('/')), "{code} {to}");
        }
    }
    let to = |location: &str| reply(302).header("location", location);
    let circle = |hops: usize| (0..hops).map(move |at| to(&format!("/v1/rows/{at}")));
    for (name, answers, expected) in [
        ("itself", vec![to("/v1/rows")], Err(ErrorKind::ResultUnavailable)),
        ("nowhere", vec![reply(302)], Err(ErrorKind::ResultUnavailable)),
        ("http", vec![to("http://api.example.com/x")], Err(ErrorKind::Untrusted)),
        ("ten", circle(10).chain([last()]).collect(), Ok(vec![1])),
        ("eleven", circle(11).chain([last()]).collect(), Err(ErrorKind::ResultUnavailable)),
    ] {
        let rows: Result<Vec<u32>, _> =
            client(&script(answers)).pages::<u32>(Method::GET, "rows", listing()).try_collect().await;
        assert_eq!(rows.map_err(|error| error.kind()), expected, "{name}");
    }
    // A POST is replayed at home, by 307 and 308 alone.
    for (code, location, method) in [
        (307, "/v1/b", Ok(Method::POST)),
        (303, "/v1/b", Ok(Method::GET)),
        (302, "https://other.example/b", Ok(Method::GET)),
        (308, "https://other.example/b", Err(ErrorKind::ResultUnavailable)),
    ] {
        let service = script([reply(code).header("location", location), last()]);
        let rows: Result<Vec<u32>, _> =
            client(&service).pages::<u32>(Method::POST, "rows", listing()).try_collect().await;
        let last = rows.map(|_| service.requests()[1].method().clone()).map_err(|error| error.kind());
        assert_eq!(last, method, "{code} {location}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_belongs_to_the_api_and_not_to_the_storage() {
    let rule = PageRule::bytes().next(Next::cursor(Source::header("x-next"), "from"));
    let service = script([
        reply(302).header("location", "https://store.example.net/1?sig=abc"),
        reply(200).header("x-next", "7").body("a"),
        reply(302).header("location", "/v1/elsewhere?size=2"),
        reply(200).header("x-next", "8").body("b"),
        reply(200).body("c"),
    ]);
    let pages: Vec<_> = client(&service).page_bytes(Method::GET, "rows", rule).try_collect().await.unwrap();
    assert_eq!(pages, ["a", "b", "c"]);
    let urls: Vec<_> = service.requests().iter().map(|seen| seen.url().to_string()).collect();
    assert_eq!(urls[2], "https://api.example.com/v1/rows?from=7");
    assert_eq!(urls[4], "https://api.example.com/v1/elsewhere?size=2&from=8");
}

#[tokio::test(start_paused = true)]
async fn numbers_keep_their_digits() {
    let id = "123456789012345678901234567890";
    let status = format!(r#"{{"state": "done", "result": {{"n": {id}, "price": 1.10, "wide": 1e400}}}}"#);
    let service = script([reply(202).body(format!(r#"{{"id": {id}, "state": "running"}}"#)), reply(200).body(status)]);
    let task = client(&service)
        .task()
        .protocol(Protocol::auto().status_template("jobs/{id}"))
        .post("submit")
        .submit::<Box<RawValue>>()
        .await
        .unwrap();
    assert_eq!(task.handle().id().as_deref(), Some(id));
    let outcome = task.await.unwrap();
    assert_eq!(asked(&service), [format!("GET jobs/{id}")]);
    let value = format!(r#"{{"n": {id}, "price": 1.10, "wide": 1e400}}"#);
    assert_eq!(outcome.text().unwrap(), value);
    assert_eq!(outcome.value().unwrap().get(), value);

    let rule = PageRule::rows(Source::pointer("/rows/*/n")).next(Next::cursor(Source::pointer("/next"), "from"));
    let service = script([
        reply(200).body(format!(r#"{{"rows": [{{"n": {id}}}, {{"n": 1.10}}, {{"n": null}}], "next": {id}}}"#)),
        reply(200).body(r#"{"rows": [{"n": 1e400}]}"#),
    ]);
    let rows: Vec<Box<RawValue>> =
        client(&service).pages::<Box<RawValue>>(Method::GET, "rows", rule).try_collect().await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get()).collect::<Vec<_>>(), [id, "1.10", "1e400"]);
    assert_eq!(service.requests()[1].url().query(), Some(&*format!("from={id}")));
}

#[tokio::test(start_paused = true)]
async fn the_first_page_is_no_file() {
    let rows = || PageRule::rows(Source::pointer("/rows/*")).next(Next::url(Source::pointer("/next")));
    let bytes = || PageRule::bytes().next(Next::url(Source::rel("next")));
    let more = r#"<https://api.example.com/v1/b>; rel="next""#;
    for (name, rule, first) in [
        ("rows, more follow", rows(), reply(200).json(json!({"rows": [1, 2], "next": "/v1/b"}))),
        ("rows, one page", rows(), reply(200).json(json!({"rows": [1, 2]}))),
        ("bytes, more follow", bytes(), csv("a,1\n").header("link", more)),
    ] {
        let service = script([reply(202).json(json!({"id": 7})), reply(303).header("location", "/v1/a"), first]);
        let protocol = Protocol::auto().status_template("jobs/{id}").pages(rule);
        let client = service.client().build().unwrap();
        let outcome = client.task().protocol(protocol).post("jobs").submit::<Value>().await.unwrap().await.unwrap();
        assert!(outcome.has_pages(), "{name}");
        let error = outcome.download().to_memory(1 << 20).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultShape, "{name}");
        assert!(error.to_string().contains("`page_bytes()`"), "{name}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_task_with_pages_is_no_file() {
    let service = script([
        reply(202).json(json!({"id": 7})),
        reply(200).json(json!({"id": 7, "state": "succeeded", "files": ["https://store.example.net/a?sig=s"]})),
    ]);
    let protocol = Protocol::auto()
        .status_template("jobs/{id}")
        .result(Source::pointer("/files/*"), ResultKind::Link)
        .pages(PageRule::new("jobs/{id}/rows", Source::pointer("/rows/*")));
    let client = service.client().build().unwrap();
    let outcome = client.task().protocol(protocol).post("jobs").submit::<Value>().await.unwrap().await.unwrap();
    assert!(outcome.has_pages() && outcome.links().is_empty());
    for download in outcome.downloads().into_iter().chain([outcome.download()]) {
        let error = download.to_memory(1 << 20).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultShape);
        assert!(error.to_string().contains("`pages()` gives their rows"), "{error}");
    }
}
