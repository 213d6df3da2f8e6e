//! No success that nothing said: what comes in the place of a status or a result, and is neither. Tables, without a
//! runtime (docs/protocol.md, "No success that nothing said").

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use longhaul::http::Reply;
use longhaul::protocols::{Cursor, Source, StatusKind, Step};
use longhaul::{Protocol, State};
use url::Url;

use super::{BARE, MONITOR, polling};
use crate::support::conversation::{check, reply, said, walk};

const HTML: &str = "<!doctype html><title>Sign in</title>";

#[test]
fn a_page_of_html_is_no_status_and_no_result() {
    let page = |status: &str| format!("{status} | content-type: text/html | {HTML}");
    let (ok, created, xhtml) =
        (page("200"), page("201"), format!("203 | content-type: application/xhtml+xml | {HTML}"));
    let untyped = format!("200 | {HTML}");
    let commented = "200 | <!-- proxy 7 --><HTML lang=en>".to_owned();
    check(
        &Protocol::auto(),
        &Method::POST,
        &[
            ("as the answer of a submit", &[&ok], &["stop Decode"]),
            ("as a 201", &[&created], &["stop Decode"]),
            ("as XHTML", &[&xhtml], &["stop Decode"]),
            ("without a type", &[&untyped], &["stop Decode"]),
            ("behind a comment", &[&commented], &["stop Decode"]),
            ("beside a place to ask", &[&format!("202 | location: /t | {HTML}")], &["wait accepted /t"]),
            (
                "at a bare URL, at first and later",
                &[BARE, &ok, "202", &untyped, "200 | {\"rows\": 7}"],
                &[
                    "wait accepted /t",
                    "wait accepted /t !",
                    "wait running /t",
                    "wait running /t !",
                    "succeeded {\"rows\": 7}",
                ],
            ),
            (
                "at a monitor",
                &[MONITOR, &ok, &created, &xhtml, &untyped, "200 | {\"status\": \"Succeeded\", \"result\": 7}"],
                &[
                    "wait accepted /o",
                    "wait accepted /o !",
                    "wait accepted /o !",
                    "wait accepted /o !",
                    "wait accepted /o !",
                    "succeeded 7",
                ],
            ),
            (
                "at a resource",
                &["201 | location: /r | {\"state\": \"queued\"}", &ok, "200 | {\"n\": 1}"],
                &["wait accepted /r", "wait accepted /r !", "succeeded {\"n\": 1}"],
            ),
            (
                "behind a 302",
                &[BARE, "302 | location: /login", &ok, "202"],
                &["wait accepted /t", "follow /login", "wait accepted /t !", "wait running /t"],
            ),
            (
                "behind a 303",
                &[BARE, "202", "303 | location: /login", &untyped, "303 | location: /r", "200 | [7]"],
                &[
                    "wait accepted /t",
                    "wait running /t",
                    "follow /login",
                    "wait running /t !",
                    "follow /r",
                    "succeeded [7]",
                ],
            ),
            (
                "behind a chain",
                &[BARE, "307 | location: /a", "302 | location: /b", "303 | location: /c", &ok],
                &["wait accepted /t", "follow /a", "follow /b", "follow /c", "wait accepted /t !"],
            ),
            (
                "behind a 303 to another origin that is named for logins",
                &[BARE, "303 | location: https://sso.example/adfs/ls"],
                &["wait accepted /t", "stop StatusUnreadable"],
            ),
            (
                "as a result, for good",
                &[MONITOR, "200 | {\"status\": \"done\", \"resourceLocation\": \"/r\"}", &ok, &ok, &ok],
                &["wait accepted /o", "follow /r", "follow /r in 1s", "follow /r in 2s", "stop ResultUnavailable"],
            ),
            (
                "as a result, once",
                &[MONITOR, "200 | {\"status\": \"done\", \"resourceLocation\": \"/r\"}", &untyped, "200 | [7]"],
                &["wait accepted /o", "follow /r", "follow /r in 1s", "succeeded [7]"],
            ),
            (
                "behind a 303 of the submit",
                &["303 | location: /login", &ok, &ok, &ok],
                &["follow /login", "follow /login in 1s", "follow /login in 2s", "stop ResultUnavailable"],
            ),
            (
                "JSON that calls itself HTML is JSON",
                &[BARE, "200 | content-type: text/html | {\"rows\": 7}"],
                &["wait accepted /t", "succeeded {\"rows\": 7}"],
            ),
            (
                "XML is no HTML",
                &[BARE, "200 | content-type: application/xml | <rows/>"],
                &["wait accepted /t", "succeeded <rows/>"],
            ),
            (
                "a link may lead to HTML",
                &[MONITOR, "200 | {\"status\": \"done\", \"result\": \"https://s.example/r.html?sig=x\"}"],
                &["wait accepted /o", "succeeded [\"https://s.example/r.html?sig=x\"]"],
            ),
        ],
    );
    let told = walk(&Protocol::auto().accept_html(), &Method::POST, &[BARE, &ok]);
    assert_eq!(told[1], format!("succeeded {HTML}"), "where that was asked for");
}

/// An answer whose body is bytes.
fn bytes(media: &str, body: &'static [u8]) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", media.parse().unwrap());
    Reply::new(StatusCode::OK, "https://a.example/t".parse().unwrap(), headers, body)
}

#[test]
fn what_is_declared_as_json_and_is_none_is_asked_for_again() {
    let auto = Protocol::auto();
    for body in [
        &b"{\"status\":\"\\ud800\"}"[..],
        b"{\"status\":\"Exportaci\xf3n\"}",
        b"{'status':'Running'}",
        b"{\"status\":\"Running\"",
        b"{\"status\":\"Running\"}}",
        b"[1,2,]",
        b"{\"eta\":Infinity}",
        b"\xff\xfe",
        b"while(1);{\"status\":\"Running\"}",
        b"OK",
    ] {
        for (submit, at) in [(BARE, "/t"), (MONITOR, "/o"), ("201 | location: /r | {\"state\": \"queued\"}", "/r")] {
            for media in ["application/json", "application/vnd.x+json; charset=utf-8", "text/json"] {
                let mut cursor = polling(&auto, submit);
                let step = auto.read(&mut cursor, &bytes(media, body), SystemTime::UNIX_EPOCH);
                assert_eq!(said(&step, &cursor), format!("wait accepted {at} !"), "{media} {body:?}");
            }
        }
        let mut cursor = polling(&auto, "404");
        let mut step = auto.read(&mut cursor, &bytes("application/json", body), SystemTime::UNIX_EPOCH);
        assert_eq!(said(&step, &cursor), "stop Decode", "{body:?}");
        let Step::Stop { why, .. } = &mut step else { panic!() };
        assert!(why.contains("should be JSON"), "{why}");
    }
}

#[test]
fn a_declared_charset_is_read_and_handed_out_as_utf_8() {
    let auto = Protocol::auto();
    for (media, body, expected) in [
        ("application/json; charset=iso-8859-1", &b"{\"name\":\"Caf\xe9\"}"[..], "succeeded {\"name\":\"Caf\u{e9}\"}"),
        ("application/json; charset=windows-1252", b"{\"eur\":\"\x80\"}", "succeeded {\"eur\":\"\u{20ac}\"}"),
        ("application/json", b"\xff\xfe[\x007\0]\0", "succeeded [7]"),
        ("application/json; charset=Shift_JIS", b"{\"status\":\"running\",\"t\":\"\x83\x65\"}", "wait running /t"),
    ] {
        let mut cursor = polling(&auto, BARE);
        let step = auto.read(&mut cursor, &bytes(media, body), SystemTime::UNIX_EPOCH);
        assert_eq!(said(&step, &cursor), expected, "{media}");
    }
}

#[test]
fn a_coding_that_nobody_asked_for_is_no_value() {
    for coding in ["gzip", "br", "deflate", "zstd", "aws-chunked"] {
        let packed = format!("200 | content-encoding: {coding} | \u{1}\u{2}\u{3}");
        let told = walk(&Protocol::auto(), &Method::POST, &[BARE, &packed, "200 | [7]"]);
        assert_eq!(told[1..], ["wait accepted /t !", "succeeded [7]"], "{coding}");
        let told = walk(&Protocol::auto(), &Method::POST, &[&packed]);
        assert_eq!(told, ["stop Decode"], "{coding}");
        let done = "200 | {\"status\": \"done\", \"resourceLocation\": \"/r\"}";
        let told = walk(&Protocol::auto(), &Method::POST, &[MONITOR, done, &packed, &packed, &packed]);
        assert_eq!(told.last().unwrap(), "stop ResultUnavailable", "{coding}");
    }
    let told = walk(&Protocol::auto(), &Method::POST, &[BARE, "200 | content-encoding: identity | a;b"]);
    assert_eq!(told[1], "succeeded a;b");
}

#[test]
fn where_a_state_was_shown_a_gap_is_not_the_end() {
    let auto = Protocol::auto();
    let shown = [BARE, "200 | {\"status\": \"Running\"}"];
    for gap in [
        "200",
        "201",
        "203 |  ",
        "200 | content-type: application/json",
        "200 | {}",
        "200 | null",
        "200 | \"\"",
        "200 | content-type: text/plain | upstream request timeout",
        "200 | no healthy upstream",
        "200 | {\"message\": \"Service Unavailable\"}",
        "200 | {\"error\": {\"code\": \"Busy\"}, \"requestId\": \"7\"}",
        "200 | {\"errors\": [\"later\"], \"statusCode\": 500}",
        "200 | {\"status\":",
        "200 | {\"status\": \"Finalizing\", \"files\": 2}",
    ] {
        let told = walk(&auto, &Method::POST, &[&shown[..], &[gap, "200 | [7]"]].concat());
        assert_eq!(told[2..], ["wait running /t !", "succeeded [7]"], "{gap}");
    }
    for (end, expected) in [
        ("204", "succeeded -"),
        ("200 | content-type: text/csv | a,b", "succeeded a,b"),
        ("200 | content-type: application/octet-stream | x", "succeeded x"),
        ("200 | a;b\n1;2", "succeeded a;b\n1;2"),
        ("200 | []", "succeeded []"),
        ("200 | {\"rows\": 7}", "succeeded {\"rows\": 7}"),
        ("200 | {\"status\": \"active\", \"farms\": [1]}", "succeeded {\"status\": \"active\", \"farms\": [1]}"),
        ("200 | {\"status\": \"failed\", \"farm\": 7}", "failed -"),
        ("200 | {\"status\": \"Cancelled\", \"farm\": 7}", "canceled -"),
        ("200 | {\"status\": \"Succeeded\", \"farm\": 7}", "succeeded {\"status\": \"Succeeded\", \"farm\": 7}"),
    ] {
        let told = walk(&auto, &Method::POST, &[&shown[..], &[end]].concat());
        assert_eq!(told[2], expected, "{end}");
    }
    // A URL that never showed a state says by its HTTP status that it is done.
    for end in ["200", "200 | content-type: text/plain | all done"] {
        let told = walk(&auto, &Method::POST, &[BARE, "202", end]);
        assert!(told[2].starts_with("succeeded"), "{end}: {told:?}");
    }
}

#[test]
fn what_was_created_is_looked_at_before_anything_is_said() {
    const CREATED: &str = "201 | location: /j/1 | {\"id\": 1}";
    check(
        &Protocol::auto(),
        &Method::POST,
        &[
            (
                "a job that fails",
                &[
                    CREATED,
                    "200 | {\"status\": \"accepted\", \"progress\": 0}",
                    "200 | {\"status\": \"failed\", \"code\": \"Q\"}",
                ],
                &["wait accepted /j/1", "wait accepted /j/1 0%", "failed Q"],
            ),
            (
                "a job with a word that nobody knows",
                &[CREATED, "200 | {\"state\": \"Warming\"}", "200 | {\"state\": \"completed\", \"result\": 7}"],
                &["wait accepted /j/1", "wait running /j/1 !", "succeeded 7"],
            ),
            (
                "202 there",
                &["201 | location: /j/1", "202", "200 | a,b"],
                &["wait accepted /j/1", "wait running /j/1", "succeeded a,b"],
            ),
            (
                "a plain resource",
                &[CREATED, "200 | {\"id\": 1, \"name\": \"Hill\"}"],
                &["wait accepted /j/1", "succeeded {\"id\": 1, \"name\": \"Hill\"}"],
            ),
            (
                "a resource at rest",
                &[CREATED, "200 | {\"id\": 1, \"status\": \"ready\"}"],
                &["wait accepted /j/1", "succeeded {\"id\": 1, \"status\": \"ready\"}"],
            ),
            ("nothing there, after a token", &[CREATED, "200"], &["wait accepted /j/1", "stop ResultUnavailable"]),
            (
                "nothing there, and nothing before",
                &["201 | location: /j/1", "200"],
                &["wait accepted /j/1", "succeeded -"],
            ),
            (
                "not visible yet",
                &[CREATED, "404", "200 | [7]"],
                &["wait accepted /j/1", "wait accepted /j/1 !", "succeeded [7]"],
            ),
            (
                "a page there",
                &[CREATED, "200 | <html>", "200 | [7]"],
                &["wait accepted /j/1", "wait accepted /j/1 !", "succeeded [7]"],
            ),
            (
                "trouble there",
                &[CREATED, "503", "200 | [7]"],
                &["wait accepted /j/1", "wait accepted /j/1 !", "succeeded [7]"],
            ),
            (
                "the result behind it",
                &[CREATED, "303 | location: /r", "200 | [7]"],
                &["wait accepted /j/1", "follow /r", "succeeded [7]"],
            ),
            (
                "an empty 200 with a Location",
                &["200 | location: /j/1", "200 | {\"status\": \"running\"}"],
                &["wait accepted /j/1", "wait running /j/1"],
            ),
            (
                "a value in a 200 beside a Location is the value",
                &["200 | location: /j/1 | {\"rows\": 7}"],
                &["succeeded {\"rows\": 7}"],
            ),
        ],
    );
    // A refusal leaves the submit's own answer, which is not kept in a token.
    let auto = Protocol::auto();
    for code in [401, 403, 405, 406, 410, 501] {
        let mut cursor = polling(&auto, CREATED);
        let refusal = reply(&code.to_string(), "https://a.example/j/1".parse().unwrap());
        let mut kept = serde_json::from_str::<Cursor>(&serde_json::to_string(&cursor).unwrap()).unwrap();
        let step = auto.read(&mut cursor, &refusal, SystemTime::UNIX_EPOCH);
        assert_eq!(said(&step, &cursor), "succeeded {\"id\": 1}", "{code}");
        let Step::Done(report, _) = step else { panic!() };
        assert!(report.warning().unwrap().contains(&code.to_string()));
        let step = auto.read(&mut kept, &refusal, SystemTime::UNIX_EPOCH);
        assert_eq!(said(&step, &kept), "stop ResultUnavailable", "{code}");
    }
    let mut cursor = polling(&auto, CREATED);
    let late = SystemTime::UNIX_EPOCH + Duration::from_secs(31);
    let gone = reply("404", "https://a.example/j/1".parse().unwrap());
    let step = auto.read(&mut cursor, &gone, late);
    assert_eq!(said(&step, &cursor), "succeeded {\"id\": 1}", "a 404 after the grace");
}

#[test]
fn a_readable_monitor_that_ends_without_content_is_done() {
    let auto = Protocol::auto();
    let running = "200 | {\"status\": \"running\"}";
    for (method, answers, expected) in [
        (Method::POST, &[MONITOR, running, "204"][..], "succeeded -"),
        (Method::DELETE, &[MONITOR, "204"], "succeeded -"),
        (Method::PUT, &[MONITOR, running, "204", "200 | {\"n\": 1}"], "succeeded {\"n\": 1}"),
        (Method::POST, &["202 | operation-location: /o | location: /l", running, "204", "200 | [7]"], "succeeded [7]"),
        (Method::POST, &[MONITOR, "204"], "wait accepted /o !"),
        (Method::POST, &[MONITOR, "200 | <html>", "204"], "wait accepted /o !"),
        (Method::POST, &[MONITOR, running, "200"], "wait running /o !"),
    ] {
        assert_eq!(walk(&auto, &method, answers).last().unwrap(), expected, "{method} {answers:?}");
    }
}

#[test]
fn the_services_own_words_stand_in_the_error_when_patience_ends() {
    let auto = Protocol::auto();
    let url: Url = "https://a.example/t".parse().unwrap();
    for (submit, answer) in [
        (BARE, "500 | {\"error\": {\"code\": \"X17\", \"message\": \"disk full\"}}"),
        (MONITOR, "503 | {\"title\": \"disk full\", \"code\": \"X17\"}"),
        (BARE, "429 | disk full (X17)"),
        (MONITOR, "200 | {\"message\": \"disk full\", \"code\": \"X17\"}"),
    ] {
        let mut cursor = polling(&auto, submit);
        let mut at = |secs| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
            auto.read(&mut cursor, &reply(answer, url.clone()), now)
        };
        let Step::Wait(report) = at(0) else { panic!("{answer}") };
        assert!(report.warning().unwrap().contains("disk full"), "{:?}", report.warning());
        let Step::Stop { fault, .. } = at(601) else { panic!("{answer}") };
        assert!(fault.to_string().contains("disk full") && fault.to_string().contains("X17"), "{fault}");
    }
}

#[test]
fn a_state_in_a_header_counts_whatever_the_body_is() {
    let header = Protocol::auto().state(Source::header("x-job-state"));
    check(
        &header,
        &Method::POST,
        &[
            (
                "pending and failed",
                &[MONITOR, "200 | x-job-state: running | <html>", "200 | x-job-state: failed | <html>"],
                &["wait accepted /o", "wait running /o", "failed -"],
            ),
            (
                "succeeded beside what is no result",
                &[MONITOR, "200 | x-job-state: done | <html>", "200 | x-job-state: done | [7]"],
                &["wait accepted /o", "follow /o in 1s", "succeeded [7]"],
            ),
        ],
    );
    let teapot =
        Protocol::auto().status(200, State::Running).status_url(Source::header("location"), StatusKind::Monitor);
    assert_eq!(walk(&teapot, &Method::POST, &[BARE, "200 | <html>"])[1], "wait running /t", "the protocol says so");
}

#[test]
fn bytes_of_a_location_that_are_no_utf_8_go_back_as_they_came() {
    let url: Url = "https://a.example/v1/exports".parse().unwrap();
    for name in ["location", "operation-location", "content-location"] {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_bytes(b"/jobs/caf\xe9").unwrap());
        let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
        let accepted = Reply::new(StatusCode::ACCEPTED, url.clone(), headers, "");
        let step = Protocol::auto().read(&mut cursor, &accepted, SystemTime::UNIX_EPOCH);
        assert_eq!(said(&step, &cursor), "wait accepted /jobs/caf%E9", "{name}");
    }
}

#[test]
fn what_stands_behind_a_redirect_is_judged_as_a_status_is() {
    let shown = [BARE, "200 | {\"status\": \"Running\"}", "302 | location: /m"];
    let auto = Protocol::auto();
    for answer in [
        "200 | null",
        "200 | {}",
        "200",
        "200 | {\"error\": \"backend away\"}",
        "200 | content-type: text/plain | please wait",
        "200 | {\"id\": 9, \"status\": null}",
        "200 | <html>",
    ] {
        let told = walk(&auto, &Method::POST, &[&shown[..], &[answer, "202"]].concat());
        assert_eq!(told[3..], ["wait running /t !", "wait running /t"], "{answer}");
    }
    let unknown = "200 | {\"id\": 9, \"status\": \"finalizing\"}";
    assert_eq!(walk(&auto, &Method::POST, &[&shown[..], &[unknown]].concat())[3], "wait running /m !");
    let told = walk(&auto, &Method::POST, &[MONITOR, "302 | location: /m", unknown]);
    assert_eq!(told[2], "wait running /m !", "a monitor has words");
    let failed = "200 | {\"status\": \"failed\", \"farm\": 7}";
    assert_eq!(walk(&auto, &Method::POST, &[&shown[..], &[failed]].concat())[3], "failed -");
    for answer in ["200 | [7]", "200 | content-type: text/csv | a,b", "200 | {\"rows\": 7}"] {
        let told = walk(&auto, &Method::POST, &[&shown[..], &[answer]].concat());
        assert!(told[3].starts_with("succeeded"), "{answer}: {told:?}");
    }
}

#[test]
fn a_move_for_good_is_kept_once_a_status_stands_there() {
    let auto = Protocol::auto();
    for code in [301, 308] {
        let moved = format!("{code} | location: /maintenance");
        let told = walk(&auto, &Method::POST, &[MONITOR, &moved, "200 | <html>", "200 | {\"status\": \"running\"}"]);
        assert_eq!(told[1..], ["follow /maintenance", "wait accepted /o !", "wait running /o"], "{code}");
        let moved = format!("{code} | location: /o2");
        let told =
            walk(&auto, &Method::POST, &[MONITOR, &moved, "503", &moved, "200 | {\"status\": \"running\"}", "202"]);
        assert_eq!(told[3..], ["follow /o2", "wait running /o2", "wait running /o2"], "{code}");
    }
}

#[test]
fn a_relation_and_any_usable_pointer_rotate() {
    let auto = Protocol::auto();
    let told = walk(
        &auto,
        &Method::POST,
        &[
            "202 | link: </docs>; title=\"a, b\"; rel=help, </t/1>; Rel = \"status Monitor\"",
            "200 | link: </t/2>; rel=monitor | {\"status\": \"running\"}",
            "200 | {\"status\": \"running\", \"links\": [{\"rel\": \"status\", \"href\": \"/t/3\"}]}",
            "200 | operation-location: urn:x:2 | {\"status\": \"running\", \"status_url\": \"/t/4\"}",
        ],
    );
    assert_eq!(told, ["wait accepted /t/1", "wait running /t/2", "wait running /t/3", "wait running /t/4 !"]);
}
