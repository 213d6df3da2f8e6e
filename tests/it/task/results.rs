//! Results: by template, of any size, by a link.

use longhaul::protocols::{PageRule, ResultKind, Source, StatusKind};
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{ErrorKind, Outcome, Protocol, State};
use serde_json::{Value, json};

use crate::support::client;

/// A protocol as TOML, which reads the same as JSON.
pub(super) fn protocol(toml: &str) -> Protocol {
    let protocol: Protocol = toml::from_str(toml).unwrap();
    let json = serde_json::to_string(&protocol).unwrap();
    assert_eq!(serde_json::from_str::<Protocol>(&json).unwrap(), protocol, "{json}");
    assert_eq!(toml::from_str::<Protocol>(&toml::to_string(&protocol).unwrap()).unwrap(), protocol);
    assert_eq!(protocol.check(), Ok(()));
    protocol
}

pub(super) async fn run(service: &Script, protocol: &Protocol) -> longhaul::Result<Outcome<Value>> {
    client(service).task().protocol(protocol.clone()).post("submit").submit().await?.await
}

pub(super) fn csv(body: &'static str) -> Canned {
    reply(200).header("content-type", "text/csv; charset=utf-8").body(body)
}

/// What was asked, without the submit; paths without the base's.
pub(super) fn asked(service: &Script) -> Vec<String> {
    let line = |seen: &longhaul::testing::Recorded| {
        let url = seen.url().as_str().trim_start_matches("https://api.example.com").trim_start_matches("/v1/");
        format!("{} {url}", seen.method())
    };
    service.requests().iter().skip(1).map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_result_at_a_template_is_fetched() {
    let member = protocol(
        r#"
        id = ["/result/progressId"]
        status_template = "responses/{id}"
        state = ["/result/status"]
        result = [{ template = "files/{/result/fileId}/content", kind = "url" }]
        "#,
    );
    let service = script([
        reply(200).json(json!({"result": {"progressId": "ES_9", "status": "inProgress"}})),
        reply(200).json(json!({"result": {"status": "inProgress"}})),
        reply(200).json(json!({"result": {"status": "complete", "fileId": "abc"}})),
        csv("a,b\n1,2\n"),
    ]);
    let outcome = run(&service, &member).await.unwrap();
    assert_eq!(outcome.text().unwrap(), "a,b\n1,2\n");
    assert_eq!(asked(&service), ["GET responses/ES_9", "GET responses/ES_9", "GET files/abc/content"]);

    let of_id = protocol(
        r#"
        status_template = "jobs/{id}"
        result = [{ template = "jobs/{id}/results", kind = "url" }]
        "#,
    );
    let service = script([
        reply(201).json(json!({"id": "9", "status": "accepted"})),
        reply(200).json(json!({"status": "Running"})),
        reply(200).json(json!({"status": "successful"})),
        reply(200).json(json!({"rows": 7})),
    ]);
    let outcome = run(&service, &of_id).await.unwrap();
    assert_eq!(outcome.value().unwrap(), json!({"rows": 7}));
    assert_eq!(asked(&service), ["GET jobs/9", "GET jobs/9", "GET jobs/9/results"]);

    let first = protocol(
        r#"
        status_template = "batches/{id}"
        words = { validating = "accepted" }
        result = [{ template = "files/{/output}/content", kind = "url" }]
        "#,
    );
    let service = script([
        reply(200).json(json!({"id": "b1", "status": "validating"})),
        reply(200).json(json!({"status": "in_progress"})),
        reply(200).json(json!({"status": "completed", "output": ["f1", "f2"]})),
        csv("a,b\n1,2\n"),
    ]);
    let outcome = run(&service, &first).await.unwrap();
    assert_eq!(outcome.text().unwrap(), "a,b\n1,2\n");
    assert_eq!(asked(&service), ["GET batches/b1", "GET batches/b1", "GET files/f1/content"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_template_makes_decides_what_becomes_of_it() {
    let base = "https://api.example.com/v1";
    let done = |members: Value| {
        let mut answer = json!({"status": "done"});
        answer.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        answer
    };
    for (template, kind, last, links, requests) in [
        ("f/{/files/*}", ResultKind::Url, json!({"files": ["a", "b"]}), &["f/a", "f/b"][..], 2),
        ("f/{/files/*/id}", ResultKind::Link, json!({"files": [{"id": 1}, {"id": 2}]}), &["f/1", "f/2"], 2),
        ("f/{/file}", ResultKind::Link, json!({"file": "a"}), &["f/a"], 2),
        ("f/{id}/{/file}", ResultKind::Link, json!({"file": "../x"}), &["f/9/..%2Fx"], 2),
        ("f/{+/file}", ResultKind::Link, json!({"file": "/../../x"}), &["f/%252E%252E/%252E%252E/x"], 2),
        ("{+/file}", ResultKind::Link, json!({"file": "//evil.example/x"}), &["evil.example/x"], 2),
        // Nothing is there: the next place counts, and a fetch of one URL is the value.
        ("f/{/file}", ResultKind::Url, json!({"other": 1, "result": 7}), &[], 2),
        ("f/{/files/*}", ResultKind::Url, json!({"files": ["a"]}), &[], 3),
    ] {
        let protocol = Protocol::auto().status_template("jobs/{id}").result_template(template, kind);
        let service = script([
            reply(202).json(json!({"id": "9"})),
            reply(200).json(done(last.clone())),
            reply(200).json(json!(7)),
        ]);
        let outcome = run(&service, &protocol).await.unwrap();
        let found: Vec<_> = outcome.links().iter().map(|link| link.expose().to_owned()).collect();
        let expected: Vec<_> = links.iter().map(|link| format!("{base}/{link}")).collect();
        assert_eq!((found, service.requests().len()), (expected, requests), "{template} {last}");
        if links.is_empty() {
            assert_eq!(outcome.value().unwrap(), json!(7), "{template} {last}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_absolute_url_in_a_template_is_requested_or_names_the_setter() {
    let urls = |status: &str, file: &str| {
        script([
            reply(202).json(json!({"url": status})),
            reply(200).json(json!({"status": "done", "file": file})),
            reply(200).json(json!(7)),
        ])
    };
    let template = || Protocol::auto().status_template("{/url}").result_template("{/file}", ResultKind::Url);
    let below = "https://api.example.com/v1";
    let service = urls(&format!("{below}/jobs/7"), &format!("{below}/files/7"));
    assert_eq!(run(&service, &template()).await.unwrap().value().unwrap(), json!(7));
    assert_eq!(asked(&service), ["GET jobs/7", "GET files/7"]);

    let status = urls("https://status.example.com/jobs/7", "");
    let error = run(&status, &template()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoStatusUrl);
    for part in ["{/url} holds the absolute URL https://status.example.com/jobs/7", "Protocol::status_url"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let files = || urls(&format!("{below}/jobs/7"), "https://files.example.com/7");
    let pages = template().pages(PageRule::new("{/file}", Source::pointer("/rows/*")));
    for protocol in [template(), pages] {
        let error = run(&files(), &protocol).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultUnavailable);
        for part in ["{/file} holds the absolute URL https://files.example.com/7", "Protocol::result"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

#[test]
fn a_protocol_is_checked_to_its_last_template() {
    let exchange = |text: &str| text.parse().unwrap();
    let auto = Protocol::auto;
    let rows = || Source::pointer("/rows/*");
    for (protocol, place) in [
        (auto().status_template("jobs/{job}"), "status_template"),
        (auto().status_template("jobs/{/jobs/*}"), "status_template"),
        (auto().poll(exchange("POST jobs/{job}")), "poll"),
        (auto().poll(exchange("POST jobs/{/job}")), "poll"),
        (auto().start("READY", exchange("PUT {status}/{go}")), "start"),
        (auto().cancel(exchange("DELETE jobs/{status}")), "cancel"),
        (auto().cleanup(exchange("DELETE jobs/{id")), "cleanup"),
        (auto().result_template("files/{fileId}", ResultKind::Url), "result"),
        (auto().result_template("files/{id}", ResultKind::Value), "result"),
        (auto().pages(PageRule::new("rows/{Id}", rows())), "pages"),
        (auto().pages(PageRule::new("rows/{/a/*}", rows())), "pages"),
        (auto().pages(PageRule::bytes().url("rows }{")), "pages"),
    ] {
        let why = protocol.check().unwrap_err();
        assert!(why.starts_with(place) && why.contains("the "), "{place}: {why}");
    }
    for protocol in [auto(), Protocol::smag_task(), Protocol::google_operations(), Protocol::azure_resource_manager()] {
        assert_eq!(protocol.check(), Ok(()), "{}", protocol.name());
    }
    let body = auto().poll(exchange(r#"POST check {"query": "{ jobs { id } }", "id": "{id}"}"#));
    assert_eq!(body.check(), Ok(()), "the braces of a body are its own");
}

#[tokio::test(start_paused = true)]
async fn a_state_may_be_the_whole_body() {
    let uws = protocol(
        r#"
        state = ["body"]
        words = { HELD = "accepted" }
        "#,
    );
    assert_eq!(toml::from_str::<Protocol>("state = ['']\nwords = { held = 'accepted' }").unwrap(), uws);
    let text = |word: &'static str| reply(200).header("content-type", "text/plain").body(word);
    let json = |word: &str| reply(200).json(json!(word));
    let begin = || reply(202).header("location", "/v1/phase");
    for answers in [
        vec![text("EXECUTING"), text("COMPLETED")],
        vec![text("HELD\r\n"), text("EXECUTING\n"), text("COMPLETED\n")],
        vec![json("EXECUTING"), json("COMPLETED")],
        vec![reply(200).body("EXECUTING"), reply(200).body("completed")],
        // A word that nobody knows is no result.
        vec![text("SUSPENDED"), text("COMPLETED")],
    ] {
        let polls = answers.len();
        let service = script(std::iter::once(begin()).chain(answers));
        let outcome = run(&service, &uws).await.unwrap();
        assert_eq!((outcome.state(), outcome.last_update().polls() as usize), (State::Succeeded, polls));
        assert!(outcome.last_update().word().unwrap().eq_ignore_ascii_case("completed"));
        assert_eq!(service.left(), 0);
    }
    for (word, kind) in [("ERROR", ErrorKind::TaskFailed), ("ABORTED", ErrorKind::TaskCanceled)] {
        for last in [text(word), json(word)] {
            let service = script([begin(), text("EXECUTING"), last]);
            assert_eq!(run(&service, &uws).await.unwrap_err().kind(), kind, "{word}");
        }
    }
    // As a monitor too, and only where the protocol names it.
    let monitor = uws.clone().status_url(Source::header("location"), StatusKind::Monitor);
    let outcome = run(&script([begin(), text("PENDING"), text("COMPLETED")]), &monitor).await.unwrap();
    assert_eq!(outcome.last_update().polls(), 2);
    let outcome = run(&script([begin(), text("EXECUTING")]), &Protocol::auto()).await.unwrap();
    assert_eq!(outcome.text().unwrap(), "EXECUTING");
}

#[tokio::test(start_paused = true)]
async fn a_link_by_its_relation_is_a_status_url_and_a_result() {
    let protocol = protocol(
        r#"
        status_url = [{ at = "rel:monitor", kind = "monitor" }]
        result = [{ at = "rel:results", kind = "url" }]
        "#,
    );
    let in_header =
        |rel: &str, to: &str| format!("</v1/doc>; title=\"a, <b>; rel={rel}\"; rel=help, <{to}>; rel=\"x {rel}\"");
    let href = |rel: &str, to: &str| json!({"status": "done", "links": [{"rel": "self", "href": "/v1/s"}, {"rel": rel, "href": to}]});
    let hal = |rel: &str, to: &str| json!({"status": "done", "_links": {rel: {"href": to}}});
    for (name, done) in [
        ("header", reply(200).header("link", &in_header("Results", "/v1/r")).json(json!({"status": "done"}))),
        ("entries", reply(200).json(href("results", "/v1/r"))),
        ("members", reply(200).json(hal("results", "r"))),
        ("absolute", reply(200).json(hal("RESULTS", "https://api.example.com/v1/r"))),
    ] {
        let service = script([
            reply(202).header("link", &in_header("monitor", "/v1/m")),
            reply(200).json(json!({"status": "running"})),
            done,
            reply(200).json(json!({"rows": 7})),
        ]);
        let outcome = run(&service, &protocol).await.unwrap();
        assert_eq!(outcome.value().unwrap(), json!({"rows": 7}), "{name}");
        assert_eq!(asked(&service), ["GET m", "GET m", "GET r"], "{name}");
    }
    // Of auto too, whose own rels are found whatever stands beside them.
    let service = script([
        reply(202).header("link", "</x>; title=\"a, b\"; rel=help, </v1/m>; REL=status"),
        reply(200).json(json!({"status": "done", "result": 7})),
    ]);
    assert_eq!(run(&service, &Protocol::auto()).await.unwrap().value().unwrap(), json!(7));
    assert_eq!(asked(&service), ["GET m"]);
}
