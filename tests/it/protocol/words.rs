//! Words of a state that nobody knows, and words that lie.

use std::time::{Duration, SystemTime};

use http::Method;
use longhaul::Protocol;
use longhaul::protocols::{Cursor, Step};
use url::Url;

use super::{BARE, MONITOR, polling};
use crate::support::conversation::{check, reply, said, walk};

#[test]
fn an_unknown_word_beside_a_place_to_ask_is_no_end() {
    let auto = Protocol::auto();
    let template = Protocol::auto().status_template("jobs/{id}");
    for (protocol, submit, at) in [
        (&auto, "201 | {\"status\": \"starting\", \"urls\": {\"get\": \"/p/1\"}}", "/p/1"),
        (&auto, "200 | {\"state\": \"dispatched\", \"status_url\": \"/p/1\"}", "/p/1"),
        (&auto, "200 | {\"state\": \"ready\", \"status_url\": \"/p/1\"}", "/p/1"),
        (&auto, "201 | {\"state\": \"on hold\", \"_links\": {\"self\": {\"href\": \"/p/1\"}}}", "/p/1"),
        (&auto, "200 | {\"status\": \"warming\", \"links\": [{\"rel\": \"status\", \"href\": \"/p/1\"}]}", "/p/1"),
        (&auto, "201 | location: /p/1 | {\"status\": \"in review\"}", "/p/1"),
        (&auto, "203 | location: /p/1 | {\"runtimeStatus\": \"Foretold\"}", "/p/1"),
        (&template, "200 | {\"id\": 1, \"status\": \"validating\"}", "/v1/jobs/1"),
        (&template, "201 | {\"id\": 1, \"status\": \"ready\"}", "/v1/jobs/1"),
    ] {
        assert_eq!(walk(protocol, &Method::POST, &[submit]), [format!("wait accepted {at}")], "{submit}");
    }
    for submit in [
        "201 | location: /r/1 | {\"id\": 1, \"status\": \"Active\"}",
        "201 | {\"status\": \"enabled\", \"_links\": {\"self\": {\"href\": \"/r/1\"}}}",
        "200 | {\"status\": \"ok\", \"_links\": {\"self\": {\"href\": \"/r/1\"}}}",
        "200 | {\"status\": \"shiny\", \"total\": 7}",
    ] {
        let told = walk(&auto, &Method::POST, &[submit]);
        assert!(told[0].starts_with("succeeded"), "{submit}: {told:?}");
    }
}

#[test]
fn a_pending_word_with_nowhere_to_ask_is_no_success() {
    let auto = Protocol::auto();
    for submit in
        ["200 | {\"status\": \"queued\"}", "201 | {\"state\": \"InProgress\", \"id\": 7}", "202 | {\"ok\": true}"]
    {
        let url: Url = "https://a.example/v1/exports".parse().unwrap();
        let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
        let step = auto.read(&mut cursor, &reply(submit, url), SystemTime::UNIX_EPOCH);
        assert_eq!(said(&step, &cursor), "stop NoStatusUrl", "{submit}");
        let Step::Stop { why, .. } = step else { panic!() };
        let member = submit.split('"').nth(1).unwrap();
        for part in [&format!("`{member}`"), "Protocol::status_url", "Protocol::status_template"] {
            assert!(why.contains(part), "{why}");
        }
    }
    // Whoever only reads can ask the same URL again.
    for (method, submit) in
        [(Method::GET, "200 | {\"status\": \"queued\"}"), (Method::HEAD, "202"), (Method::GET, "202")]
    {
        let told = walk(&auto, &method, &[submit]);
        assert_eq!(told, ["wait accepted /v1/exports"], "{method} {submit}");
    }
}

#[test]
fn a_word_that_nobody_knows_is_reported_once_when_it_stays() {
    let auto = Protocol::auto().patience(Duration::from_secs(60));
    let mut cursor = polling(&auto, MONITOR);
    let url: Url = "https://a.example/o".parse().unwrap();
    let mut warning = |word: &str, secs: u64| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let answer = reply(&format!("200 | {{\"status\": \"{word}\"}}"), url.clone());
        let Step::Wait(report) = auto.read(&mut cursor, &answer, now) else { panic!() };
        report.warning().unwrap_or_default().contains("Protocol::word")
    };
    assert!(!warning("polishing", 0));
    assert!(!warning("polishing", 60));
    assert!(!warning("shining", 61), "another word");
    assert!(!warning("shining", 121));
    assert!(warning("shining", 122));
    assert!(!warning("shining", 300), "it was reported");
    assert!(!warning("running", 301));
    assert!(!warning("shining", 302), "it is new again");
}

#[test]
fn an_unknown_word_beside_a_status_field_is_pending() {
    let auto = Protocol::auto();
    for answer in [
        "200 | {\"id\": 9, \"status\": \"warming up\", \"progress\": 3}",
        "200 | retry-after: 1 | {\"id\": 9, \"state\": \"allocating\"}",
        "200 | {\"runtimeStatus\": \"Foretold\", \"createdAt\": \"2030-01-01\"}",
    ] {
        assert!(walk(&auto, &Method::POST, &[BARE, answer])[1].starts_with("wait running /t"), "{answer}");
    }
    for answer in ["200 | {\"status\": \"ready\", \"progress\": 3}", "200 | {\"status\": \"approved\", \"total\": 7}"] {
        assert!(walk(&auto, &Method::POST, &[BARE, answer])[1].starts_with("succeeded"), "{answer}");
    }
}

#[test]
fn the_http_status_once_more_is_no_state_and_done_is_one() {
    check(
        &Protocol::auto(),
        &Method::POST,
        &[
            (
                "an envelope with the code",
                &["200 | {\"status\": 200, \"data\": [7], \"_links\": {\"self\": {\"href\": \"/x\"}}}"],
                &["succeeded {\"status\": 200, \"data\": [7], \"_links\": {\"self\": {\"href\": \"/x\"}}}"],
            ),
            (
                "an operation that failed at once",
                &["200 | {\"name\": \"o/1\", \"done\": true, \"error\": {\"code\": 8}}"],
                &["failed 8"],
            ),
            (
                "an operation that is done at once",
                &["200 | {\"done\": true, \"response\": {\"n\": 1}}"],
                &["succeeded {\"n\": 1}"],
            ),
            (
                "an operation at a monitor",
                &[
                    MONITOR,
                    "200 | {\"name\": \"o/1\", \"done\": false}",
                    "200 | {\"name\": \"o/1\", \"done\": true, \"response\": 7}",
                ],
                &["wait accepted /o", "wait running /o", "succeeded 7"],
            ),
            (
                "a `done` of the value's own",
                &["200 | {\"done\": false, \"title\": \"x\"}"],
                &["succeeded {\"done\": false, \"title\": \"x\"}"],
            ),
        ],
    );
}
