//! How a response is read: tables of cases, without a runtime (docs/protocol.md).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use longhaul::{
    Cursor, FinalStateVia, Next, PageRule, Profile, Protocol, Reduce, Reply, ResultKind, Source, State, StatusKind,
    Step,
};
use proptest::prelude::*;
use url::Url;

use crate::support::conversation::{check, reply, said, walk};

#[test]
fn reads_the_answer_to_a_submit() {
    check(
        &Protocol::auto(),
        &Method::POST,
        &[
            ("location", &["202 | location: /tasks/7"], &["wait accepted /tasks/7"]),
            ("its hint delays the first poll", &["202 | location: /t | retry-after: 30"], &["wait accepted /t in 30s"]),
            ("relative to the request", &["202 | location: tasks/7"], &["wait accepted /v1/tasks/7"]),
            ("a query alone", &["202 | location: ?op=7"], &["wait accepted /v1/exports?op=7"]),
            ("another host", &["202 | location: //b.example/t"], &["wait accepted https://b.example/t"]),
            ("a colon is no scheme", &["202 | location: op:7"], &["wait accepted /v1/op:7"]),
            ("operation-location", &["202 | operation-location: /ops/7"], &["wait accepted /ops/7"]),
            ("with 200 too", &["200 | operation-location: /ops/7"], &["wait accepted /ops/7"]),
            ("with 201 too", &["201 | operation-location: /ops/7 | location: /x"], &["wait accepted /ops/7"]),
            (
                "azure-asyncoperation",
                &["201 | azure-asyncoperation: https://a.example/ops/7"],
                &["wait accepted /ops/7"],
            ),
            (
                "operation-location before azure-asyncoperation before location",
                &["202 | location: /l | azure-asyncoperation: /a | operation-location: /o"],
                &["wait accepted /o"],
            ),
            (
                "a garbage location beside a good pointer is not looked at",
                &["202 | location: <nowhere at all> | operation-location: /o"],
                &["wait accepted /o"],
            ),
            ("content-location", &["202 | content-location: /status/7"], &["wait accepted /status/7"]),
            ("a body that says running", &["202 | location: /t | {\"status\": \"running\"}"], &["wait running /t"]),
            ("progress", &["202 | location: /t | {\"percentComplete\": 5}"], &["wait accepted /t 5%"]),
            ("durable functions", &["200 | {\"statusQueryGetUri\": \"/s/7\"}"], &["wait accepted /s/7"]),
            ("a created resource", &["201 | location: /r/7 | {\"status\": \"queued\"}"], &["wait accepted /r/7"]),
            ("201 that asks to come back", &["201 | location: /r/7 | retry-after: 5"], &["wait accepted /r/7 in 5s"]),
            ("201 without a state is looked at", &["201 | location: /r/7 | {\"id\": 7}"], &["wait accepted /r/7"]),
            (
                "201 of its own URL is the resource",
                &["201 | location: /v1/exports | {\"id\": 7}"],
                &["succeeded {\"id\": 7}"],
            ),
            ("200 with a value is finished", &["200 | {\"rows\": 7}"], &["succeeded {\"rows\": 7}"]),
            ("204 is finished", &["204"], &["succeeded -"]),
            ("finished with a result inside", &["200 | {\"status\": \"done\", \"result\": 7}"], &["succeeded 7"]),
            (
                "finished beside a monitor",
                &["200 | operation-location: /o | {\"status\": \"Succeeded\", \"result\": [1]}"],
                &["succeeded [1]"],
            ),
            (
                "202 with location and success speaks of the submit",
                &["202 | location: /t | {\"status\": \"success\", \"queue\": \"q\"}"],
                &["wait accepted /t"],
            ),
            ("failed at once", &["200 | {\"status\": \"failed\", \"error\": {\"code\": \"Q\"}}"], &["failed Q"]),
            (
                "a self link of a finished resource",
                &["201 | {\"_links\": {\"self\": {\"href\": \"/r/7\"}}}"],
                &["succeeded {\"_links\": {\"self\": {\"href\": \"/r/7\"}}}"],
            ),
            (
                "a self link of a pending one",
                &["201 | {\"state\": \"initialized\", \"_links\": {\"self\": {\"href\": \"/r/7\"}}}"],
                &["wait accepted /r/7"],
            ),
            ("202 with nothing", &["202"], &["stop NoStatusUrl"]),
            ("202 with a location that is no URL", &["202 | location: not a url"], &["stop NoStatusUrl"]),
            ("see other", &["303 | location: /result"], &["follow /result"]),
            ("a redirect of a submit", &["302 | location: /elsewhere"], &["stop Rejected"]),
            ("refused", &["400 | {\"error\": {\"code\": \"Bad\"}}"], &["stop Rejected"]),
            ("not logged in", &["401"], &["stop Unauthorized"]),
            ("throttled to the end", &["429"], &["stop Throttled"]),
            ("to plain http", &["202 | location: http://a.example/t"], &["stop Untrusted"]),
            ("to a file", &["202 | location: file:///etc/passwd"], &["stop Untrusted"]),
            ("with a user", &["202 | location: https://u:p@a.example/t"], &["stop Untrusted"]),
        ],
    );
}

#[test]
fn reads_a_resource_that_was_put() {
    let put = Method::PUT;
    let auto = Protocol::auto();
    check(
        &auto,
        &put,
        &[
            (
                "any word of provisioningState but the last ones is pending",
                &[
                    "201 | {\"properties\": {\"provisioningState\": \"Simmering\"}}",
                    "200 | {\"properties\": {\"provisioningState\": \"Creating\"}}",
                    "200 | {\"properties\": {\"provisioningState\": \"Failed\", \"error\": {\"code\": \"Q\"}}}",
                ],
                &["wait accepted /v1/exports", "wait running /v1/exports", "failed Q"],
            ),
            (
                "it is asked at its own URL",
                &[
                    "201 | {\"properties\": {\"provisioningState\": \"InProgress\"}}",
                    "200 | {\"properties\": {\"provisioningState\": \"Succeeded\"}, \"n\": 1}",
                ],
                &[
                    "wait running /v1/exports",
                    "succeeded {\"properties\": {\"provisioningState\": \"Succeeded\"}, \"n\": 1}",
                ],
            ),
            (
                "202 is not the end, whatever its body says, and a location is not the resource",
                &[
                    "202 | azure-asyncoperation: /o | location: /l | {\"properties\": {\"provisioningState\": \"Succeeded\"}}",
                    "200 | {\"status\": \"Succeeded\"}",
                    "200 | {\"n\": 1}",
                ],
                &["wait accepted /o", "follow /v1/exports", "succeeded {\"n\": 1}"],
            ),
            (
                "a monitor's end leads to the resource",
                &[
                    "201 | azure-asyncoperation: /o | {\"n\": 0}",
                    "200 | {\"status\": \"Succeeded\"}",
                    "200 | {\"n\": 1}",
                ],
                &["wait accepted /o", "follow /v1/exports", "succeeded {\"n\": 1}"],
            ),
            (
                "a resource without a state is done",
                &["202 | location: /r | retry-after: 1 | {\"state\": \"pending\"}", "200 | {\"n\": 1}"],
                &["wait accepted /r in 1s", "succeeded {\"n\": 1}"],
            ),
        ],
    );
    check(
        &auto,
        &Method::DELETE,
        &[
            (
                "nothing is left to fetch",
                &["202 | operation-location: /o | location: /l", "200 | {\"status\": \"Succeeded\"}"],
                &["wait accepted /o", "succeeded {\"status\": \"Succeeded\"}"],
            ),
            (
                "a failed state at a bare URL",
                &[
                    "202 | location: /l | {\"properties\": {\"provisioningState\": \"Deleting\"}}",
                    "200 | {\"properties\": {\"provisioningState\": \"Failed\"}, \"id\": 7, \"tags\": {}}",
                ],
                &["wait running /l", "failed -"],
            ),
        ],
    );
}

#[test]
fn reads_a_bare_status() {
    const SUBMIT: &str = "202 | location: /t";
    let auto = Protocol::auto();
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("pending", &["202 | retry-after: 9"], &["wait running /t in 9s"]),
        ("pending with progress", &["202 | {\"percentComplete\": 40}"], &["wait running /t 40%"]),
        ("progress in a header", &["202 | x-progress: 12.5% of files"], &["wait running /t 12.5%"]),
        ("a pending word with 200", &["200 | {\"status\": \"In progress\"}"], &["wait running /t"]),
        (
            "a new location each time",
            &["202 | location: /t2", "202 | location: /t3"],
            &["wait running /t2", "wait running /t3"],
        ),
        ("a garbage one is passed over", &["202 | location: <x>"], &["wait running /t !"]),
        ("the result itself", &["200 | {\"rows\": 7}"], &["succeeded {\"rows\": 7}"]),
        ("a text as the result", &["200 | a,b"], &["succeeded a,b"]),
        ("no content", &["204"], &["succeeded -"]),
        (
            "a success word of the result's own",
            &["200 | {\"status\": \"completed\", \"rows\": 7}"],
            &["succeeded {\"status\": \"completed\", \"rows\": 7}"],
        ),
        (
            "a failed word of the result's own",
            &["200 | {\"status\": \"failed\", \"rows\": 7}"],
            &["succeeded {\"status\": \"failed\", \"rows\": 7}"],
        ),
        ("a failed monitor", &["200 | {\"status\": \"Failed\", \"error\": {\"code\": \"Q\"}}"], &["failed Q"]),
        ("a canceled monitor", &["200 | {\"id\": 1, \"status\": \"CANCELED\"}"], &["canceled -"]),
        (
            "a succeeded monitor",
            &["200 | {\"status\": \"succeeded\", \"percentComplete\": 100, \"result\": 7}"],
            &["succeeded 7"],
        ),
        (
            "success beside an error",
            &["200 | {\"status\": \"succeeded\", \"error\": {\"code\": \"Q\"}}"],
            &["failed Q"],
        ),
        (
            "resourceLocation",
            &["200 | {\"status\": \"succeeded\", \"resourceLocation\": \"/r\"}", "200 | [7]"],
            &["follow /r", "succeeded [7]"],
        ),
        (
            "an unknown word is the result's own",
            &["200 | {\"status\": \"shiny\"}"],
            &["succeeded {\"status\": \"shiny\"}"],
        ),
        ("a 4xx is the task's end", &["422 | {\"code\": \"Q\"}"], &["failed Q"]),
    ];
    for (name, answers, expected) in rows {
        let answers: Vec<_> = [SUBMIT].into_iter().chain(answers.iter().copied()).collect();
        let expected: Vec<_> = ["wait accepted /t"].into_iter().chain(expected.iter().copied()).collect();
        assert_eq!(walk(&auto, &Method::POST, &answers), expected, "{name}");
    }
}

#[test]
fn reads_a_monitor() {
    const SUBMIT: &str = "202 | operation-location: /o";
    let auto = Protocol::auto();
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("running", &["200 | {\"status\": \"Running\", \"percentComplete\": 40}"], &["wait running /o 40%"]),
        ("not started", &["200 | {\"status\": \"NotStarted\"}"], &["wait accepted /o"]),
        ("an unknown word is pending", &["200 | {\"status\": \"shiny\"}"], &["wait running /o !"]),
        ("a number as a word", &["200 | {\"status\": 42}"], &["wait running /o !"]),
        ("the word wins over 202", &["202 | {\"status\": \"Succeeded\"}"], &["succeeded {\"status\": \"Succeeded\"}"]),
        ("202 without a word", &["202"], &["wait running /o"]),
        (
            "JSON without a content type, behind a BOM",
            &["200 | \u{feff}{\"status\": \"Succeeded\", \"result\": 7}"],
            &["succeeded 7"],
        ),
        (
            "HTML, then well again",
            &["200 | <html>", "200 | {\"status\": \"running\"}"],
            &["wait accepted /o !", "wait running /o"],
        ),
        (
            "many in a row that are none",
            &["200", "200 | {\"status\": null}", "200 | {", "200", "200 | {\"status\": \"running\"}"],
            &[
                "wait accepted /o !",
                "wait accepted /o !",
                "wait accepted /o !",
                "wait accepted /o !",
                "wait running /o",
            ],
        ),
        ("a result inside", &["200 | {\"status\": \"Succeeded\", \"output\": {\"n\": 1}}"], &["succeeded {\"n\": 1}"]),
        (
            "a link inside",
            &["200 | {\"status\": \"Succeeded\", \"result\": \"https://s.example/b?sig=a%2F\"}"],
            &["succeeded [\"https://s.example/b?sig=a%2F\"]"],
        ),
        ("a new monitor", &["200 | operation-location: /o2 | {\"status\": \"Running\"}"], &["wait running /o2"]),
        (
            "partly",
            &["200 | {\"status\": \"CompletedWithErrors\"}"],
            &["partially_succeeded {\"status\": \"CompletedWithErrors\"}"],
        ),
        ("expired", &["200 | {\"status\": \"expired\"}"], &["expired -"]),
        ("a 4xx says nothing of the task", &["422 | {\"code\": \"Q\"}"], &["stop StatusUnreadable"]),
        ("a terminal body in a 500", &["500 | {\"runtimeStatus\": \"Failed\", \"code\": \"Q\"}"], &["failed Q"]),
        ("a pending body in a 500", &["500 | {\"runtimeStatus\": \"Running\"}"], &["wait accepted /o !"]),
    ];
    for (name, answers, expected) in rows {
        let answers: Vec<_> = [SUBMIT].into_iter().chain(answers.iter().copied()).collect();
        let expected: Vec<_> = ["wait accepted /o"].into_iter().chain(expected.iter().copied()).collect();
        assert_eq!(walk(&auto, &Method::POST, &answers), expected, "{name}");
    }
    check(
        &auto,
        &Method::POST,
        &[
            (
                "the last location is the result",
                &["202 | operation-location: /o | location: /r", "200 | {\"status\": \"Succeeded\"}", "200 | [7]"],
                &["wait accepted /o", "follow /r", "succeeded [7]"],
            ),
            (
                "a newer one replaces it",
                &[
                    "202 | operation-location: /o | location: /r",
                    "200 | location: /r2 | {\"status\": \"running\"}",
                    "200 | {\"status\": \"Succeeded\"}",
                    "200 | [7]",
                ],
                &["wait accepted /o", "wait running /o", "follow /r2", "succeeded [7]"],
            ),
        ],
    );
}

#[test]
fn reads_redirects() {
    const SUBMIT: &str = "202 | location: /t";
    let auto = Protocol::auto();
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("see other", &["303 | location: /r", "200 | [7]"], &["follow /r", "succeeded [7]"]),
        ("see other in a while", &["303 | location: /r | retry-after: 2"], &["follow /r in 2s"]),
        ("found the result", &["302 | location: /r", "200 | [7]"], &["follow /r", "succeeded [7]"]),
        ("found a moved monitor", &["302 | location: /m", "202"], &["follow /m", "wait running /m"]),
        (
            "to a signed link",
            &["302 | location: https://s.example/b?sv=1&sig=x"],
            &["succeeded [\"https://s.example/b?sv=1&sig=x\"]"],
        ),
        (
            "see other at another origin is a link",
            &["303 | location: https://s.example/b"],
            &["succeeded [\"https://s.example/b\"]"],
        ),
        ("moved for good", &["301 | location: /t2", "202"], &["follow /t2", "wait running /t2"]),
        ("moved for once", &["307 | location: /t2", "202"], &["follow /t2", "wait running /t"]),
        ("to itself", &["302 | location: /t"], &["stop StatusUnreadable"]),
        ("to plain http", &["302 | location: http://a.example/t"], &["stop Untrusted"]),
        (
            "to nowhere",
            &["302", "302 | location: <x>", "202"],
            &["wait accepted /t !", "wait accepted /t !", "wait running /t"],
        ),
        (
            "a chain",
            &["302 | location: /a", "302 | location: /b", "303 | location: /c", "200 | [7]"],
            &["follow /a", "follow /b", "follow /c", "succeeded [7]"],
        ),
    ];
    for (name, answers, expected) in rows {
        let answers: Vec<_> = [SUBMIT].into_iter().chain(answers.iter().copied()).collect();
        let expected: Vec<_> = ["wait accepted /t"].into_iter().chain(expected.iter().copied()).collect();
        assert_eq!(walk(&auto, &Method::POST, &answers), expected, "{name}");
    }
    let circle: Vec<_> = [SUBMIT].into_iter().chain(["307 | location: /a", "307 | location: /b"].repeat(9)).collect();
    let told = walk(&auto, &Method::POST, &circle);
    assert_eq!(told.iter().position(|step| step == "stop StatusUnreadable"), Some(11), "{told:?}");
}

#[test]
fn reads_trouble() {
    let auto = Protocol::auto();
    check(
        &auto,
        &Method::POST,
        &[
            (
                "busy",
                &["202 | location: /t", "503 | retry-after: 7", "202"],
                &["wait accepted /t", "wait accepted /t in 7s !", "wait running /t"],
            ),
            ("limited", &["202 | location: /t", "429"], &["wait accepted /t", "wait accepted /t !"]),
            (
                "a gateway",
                &["202 | location: /t", "502", "504", "408", "425"],
                &[
                    "wait accepted /t",
                    "wait accepted /t !",
                    "wait accepted /t !",
                    "wait accepted /t !",
                    "wait accepted /t !",
                ],
            ),
            (
                "not implemented",
                &["202 | operation-location: /t", "501"],
                &["wait accepted /t", "stop StatusUnreadable"],
            ),
            (
                "not visible yet",
                &["202 | location: /t", "404", "404", "202"],
                &["wait accepted /t", "wait accepted /t !", "wait accepted /t !", "wait running /t"],
            ),
            (
                "gone after it was alive",
                &["202 | location: /t", "202", "404"],
                &["wait accepted /t", "wait running /t", "stop Gone"],
            ),
            ("gone for good", &["202 | location: /t", "410"], &["wait accepted /t", "stop Gone"]),
            ("not logged in any more", &["202 | location: /t", "401"], &["wait accepted /t", "stop Unauthorized"]),
            ("forbidden", &["202 | location: /t", "403"], &["wait accepted /t", "stop StatusUnreadable"]),
            ("a hint that is none", &["202 | location: /t | retry-after: /bar"], &["wait accepted /t !"]),
            ("a hint of years", &["202 | location: /t | retry-after: 1000000000000"], &["wait accepted /t !"]),
            (
                "the result is not there yet",
                &["202 | location: /t", "303 | location: /r", "202", "200 | [7]"],
                &["wait accepted /t", "follow /r", "wait running /t", "succeeded [7]"],
            ),
            (
                "the result is not visible yet",
                &["202 | location: /t", "303 | location: /r", "404", "200 | [7]"],
                &["wait accepted /t", "follow /r", "follow /r in 1s", "succeeded [7]"],
            ),
            (
                "the result is refused",
                &["202 | location: /t", "303 | location: /r", "403"],
                &["wait accepted /t", "follow /r", "stop ResultUnavailable"],
            ),
            (
                "the result is gone",
                &["202 | location: /t", "303 | location: /r", "410"],
                &["wait accepted /t", "follow /r", "stop ResultUnavailable"],
            ),
        ],
    );
}

#[test]
fn patience_ends_after_ten_minutes_in_a_row() {
    let auto = Protocol::auto();
    let url: Url = "https://a.example/t".parse().unwrap();
    let start = SystemTime::UNIX_EPOCH;
    let mut cursor = Cursor::new(Method::POST, &url, start);
    let at = |secs| start + Duration::from_secs(secs);
    let mut read = |text, secs| said(&auto.read(&mut cursor, &reply(text, url.clone()), at(secs)), &cursor);
    assert_eq!(read("202 | location: /t", 0), "wait accepted /t");
    assert_eq!(read("503", 10), "wait accepted /t !");
    assert_eq!(read("503", 600), "wait accepted /t !");
    assert_eq!(read("202", 605), "wait running /t");
    assert_eq!(read("503", 610), "wait running /t !");
    assert_eq!(read("503", 1210), "wait running /t !");
    assert_eq!(read("503", 1211), "stop StatusUnreadable");
}

#[test]
fn waits_that_the_service_asks_for_do_not_use_patience_up() {
    let auto = Protocol::auto();
    let url: Url = "https://a.example/t".parse().unwrap();
    for (refusal, wait, borne) in [
        ("429 | retry-after: 900", 991, 10),
        ("503 | retry-after: 900", 991, 10),
        // A pace may lengthen each by a tenth.
        ("503 | retry-after: 86400", 95_041, 10),
        ("500 | retry-after: 50", 61, 10),
        // None is asked for, or hardly one.
        ("503", 61, 10),
        ("503 | retry-after: 1", 61, 10),
    ] {
        let start = SystemTime::UNIX_EPOCH;
        let mut cursor = Cursor::new(Method::POST, &url, start);
        let mut read = |text, secs| {
            said(&auto.read(&mut cursor, &reply(text, url.clone()), start + Duration::from_secs(secs)), &cursor)
        };
        assert_eq!(read("202 | location: /t", 0), "wait accepted /t");
        let end = (1..99).find(|poll| !read(refusal, poll * wait).starts_with("wait"));
        assert_eq!(end.map(|poll| poll - 1), Some(borne), "{refusal}");
    }
}

#[test]
fn reads_a_smag_task() {
    const SUBMIT: &str = "201 | location: /tasks/7 | {\"TaskUid\": \"7\", \"Location\": \"/tasks/7\"}";
    let smag = Protocol::smag_task();
    let rows: &[(&str, &[&str], &[&str])] = &[
        (
            "started, in milliseconds",
            &["200 | {\"Status\": \"started\", \"RetryAfter\": 1500, \"PercentComplete\": 3}"],
            &["wait running /tasks/7 in 1.5s 3%"],
        ),
        (
            "the header first, in seconds",
            &["200 | retry-after: 2 | {\"Status\": \"started\", \"RetryAfter\": 9}"],
            &["wait running /tasks/7 in 2s"],
        ),
        (
            "the location while it runs is no result",
            &["200 | location: /tasks/7 | {\"Status\": \"started\", \"Location\": \"/tasks/7\"}"],
            &["wait running /tasks/7"],
        ),
        (
            "a resource that holds the result",
            &[
                "200 | location: /results/7 | {\"Status\": \"finished\"}",
                "200 | {\"TaskUid\": \"7\", \"Result\": \"https://s.example/b?sig=x\", \"Rows\": 3}",
            ],
            &["follow /results/7", "succeeded [\"https://s.example/b?sig=x\"]"],
        ),
        (
            "the same, in the body alone",
            &[
                "200 | {\"status\": \"finished\", \"location\": \"/results/7\"}",
                "200 | {\"result\": \"https://s.example/b?sig=x\"}",
            ],
            &["follow /results/7", "succeeded [\"https://s.example/b?sig=x\"]"],
        ),
        (
            "the signed link itself",
            &[
                "200 | location: https://s.example/b?sig=x | {\"Status\": \"finished\", \"Location\": \"https://s.example/b?sig=x\"}",
            ],
            &["succeeded [\"https://s.example/b?sig=x\"]"],
        ),
        (
            "a signed link on the own origin is not fetched",
            &["200 | {\"Status\": \"finished\", \"Location\": \"https://a.example/b?sig=x\"}"],
            &["succeeded [\"/b?sig=x\"]"],
        ),
        (
            "only a result",
            &["200 | {\"Status\": \"finished\", \"Result\": \"https://s.example/b?sig=x\"}"],
            &["succeeded [\"https://s.example/b?sig=x\"]"],
        ),
        (
            "a word that nobody knows, and a result",
            &["200 | {\"Status\": \"klaar\", \"Result\": \"https://s.example/b?sig=x\"}"],
            &["succeeded [\"https://s.example/b?sig=x\"]"],
        ),
        ("a word that nobody knows", &["200 | {\"Status\": \"bezig\"}"], &["wait running /tasks/7 !"]),
        ("failed", &["200 | {\"Status\": \"failed\", \"Error\": {\"code\": \"Q\"}}"], &["failed Q"]),
        (
            "a result at plain http",
            &["200 | {\"Status\": \"finished\", \"Result\": \"http://s.example/b?sig=x\"}"],
            &["stop Untrusted"],
        ),
        (
            "a result that would be rewritten",
            &["200 | {\"Status\": \"finished\", \"Result\": \"https://s.example/b?x='&sig=x\"}"],
            &["stop ResultUnavailable"],
        ),
    ];
    for (name, answers, expected) in rows {
        let answers: Vec<_> = [SUBMIT].into_iter().chain(answers.iter().copied()).collect();
        let expected: Vec<_> = ["wait accepted /tasks/7"].into_iter().chain(expected.iter().copied()).collect();
        assert_eq!(walk(&smag, &Method::POST, &answers), expected, "{name}");
    }
}

#[test]
fn a_protocol_can_be_bent() {
    let jobs = Protocol::auto()
        .id(Source::pointer("/job/id"))
        .status_template("jobs/{id}")
        .word("READY", State::Succeeded)
        .result(Source::pointer("/files/*/url"), ResultKind::Link);
    check(
        &jobs,
        &Method::POST,
        &[
            (
                "an id, a template, a word and links",
                &[
                    "200 | {\"job\": {\"id\": \"a/b\"}}",
                    "200 | {\"status\": \"ready\", \"files\": [{\"url\": \"/f/1\"}, {\"url\": \"https://s.example/2?sig=x\"}]}",
                ],
                &["wait accepted /v1/jobs/a%2Fb", "succeeded [\"/f/1\", \"https://s.example/2?sig=x\"]"],
            ),
            ("an id that is no text", &["202 | {\"job\": {\"id\": 7}}"], &["wait accepted /v1/jobs/7"]),
            ("no id", &["202 | {\"job\": {}}"], &["stop NoStatusUrl"]),
        ],
    );
    let answers = ["202 | operation-location: /o | location: /l", "200 | {\"status\": \"Succeeded\", \"n\": 1}"];
    for (via, expected) in [
        (FinalStateVia::Operation, "succeeded {\"status\": \"Succeeded\", \"n\": 1}"),
        (FinalStateVia::Location, "follow /l"),
        (FinalStateVia::OriginalUri, "follow /v1/exports"),
    ] {
        let told = walk(&Protocol::auto().final_state_via(via), &Method::POST, &answers);
        assert_eq!(told.last().unwrap(), expected, "{via:?}");
    }
    let header = Protocol::auto().status_url(Source::header("X-Job"), StatusKind::Monitor);
    assert_eq!(walk(&header, &Method::POST, &["200 | x-job: /j | location: /l"]), ["wait accepted /j"]);
}

#[test]
fn a_protocol_is_data() {
    for protocol in [Protocol::auto(), Protocol::smag_task().word("klaar", State::Succeeded)] {
        let text = serde_json::to_string(&protocol).unwrap();
        assert_eq!(serde_json::from_str::<Protocol>(&text).unwrap(), protocol);
    }
    let short: Protocol = serde_json::from_str(r#"{"name": "mine", "state": ["/job/state"]}"#).unwrap();
    assert_eq!(short.name(), "mine");
    assert!(serde_json::from_str::<Protocol>(r#"{"nmae": "mine"}"#).unwrap_err().to_string().contains("nmae"));
}

#[test]
fn a_canceled_task_that_is_gone_was_canceled() {
    // The mark is set by a handle; a token carries it.
    let url: Url = "https://a.example/t".parse().unwrap();
    let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
    let auto = Protocol::auto();
    let _ = auto.read(&mut cursor, &reply("202 | location: /t", url.clone()), SystemTime::UNIX_EPOCH);
    let mut value = serde_json::to_value(&cursor).unwrap();
    value["cancel_asked"] = true.into();
    let mut cursor: Cursor = serde_json::from_value(value).unwrap();
    let step = auto.read(&mut cursor, &reply("404", url), SystemTime::UNIX_EPOCH);
    assert_eq!(said(&step, &cursor), "canceled -");
}

#[test]
fn a_date_counts_from_the_answers_own_date() {
    let told = walk(
        &Protocol::auto(),
        &Method::POST,
        &["202 | location: /t | date: Sun, 06 Nov 1994 08:49:37 GMT | retry-after: Sun, 06 Nov 1994 08:50:37 GMT"],
    );
    assert_eq!(told, ["wait accepted /t in 60s"]);
}

#[test]
fn reads_links_by_their_rel() {
    check(
        &Protocol::auto(),
        &Method::POST,
        &[
            ("in the header", &["202 | link: </m/7>; rel=\"monitor\", </x>; rel=next"], &["wait accepted /m/7"]),
            ("self in the header is of the answer", &["202 | link: </x>; rel=self"], &["stop NoStatusUrl"]),
            (
                "in the body",
                &["201 | {\"status\": \"accepted\", \"links\": [{\"rel\": \"status\", \"href\": \"/s/7\"}]}"],
                &["wait accepted /s/7"],
            ),
            (
                "OGC: a header before the links",
                &[
                    "201 | location: /jobs/7 | {\"status\": \"accepted\", \"links\": [{\"rel\": \"self\", \"href\": \"/x\"}]}",
                ],
                &["wait accepted /jobs/7"],
            ),
            (
                "of a finished answer they are links",
                &["200 | {\"links\": [{\"rel\": \"self\", \"href\": \"/x\"}], \"n\": 1}"],
                &["succeeded {\"links\": [{\"rel\": \"self\", \"href\": \"/x\"}], \"n\": 1}"],
            ),
        ],
    );
}

#[test]
fn a_fetched_document_that_names_a_signed_link_is_not_the_result() {
    check(
        &Protocol::auto(),
        &Method::POST,
        &[
            (
                "its link is",
                &["202 | location: /t", "303 | location: /r", "200 | {\"Result\": \"https://s.example/b?sig=x\"}"],
                &["wait accepted /t", "follow /r", "succeeded [\"https://s.example/b?sig=x\"]"],
            ),
            (
                "a plain URL is a value",
                &["202 | location: /t", "303 | location: /r", "200 | {\"result\": \"https://s.example/b\"}"],
                &["wait accepted /t", "follow /r", "succeeded {\"result\": \"https://s.example/b\"}"],
            ),
        ],
    );
}

#[test]
fn a_created_resource_that_might_be_a_task_is_warned_of() {
    let url: Url = "https://a.example/v1/exports".parse().unwrap();
    let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
    let created = reply("200 | location: /tasks/7 | {\"TaskUid\": \"7\"}", url);
    let Step::Done(report, _) = Protocol::auto().read(&mut cursor, &created, SystemTime::UNIX_EPOCH) else { panic!() };
    assert!(report.warning().unwrap().contains("Protocol::status_url"));
}

#[test]
fn a_guessed_location_that_is_of_something_else_is_given_up() {
    check(
        &Protocol::auto(),
        &Method::POST,
        &[
            (
                "refused",
                &[
                    "202 | operation-location: /o | location: nonsense",
                    "200 | {\"status\": \"Succeeded\", \"n\": 1}",
                    "405",
                    "200 | {\"status\": \"Succeeded\", \"n\": 1}",
                ],
                &[
                    "wait accepted /o",
                    "follow /v1/nonsense",
                    "follow /o",
                    "succeeded {\"status\": \"Succeeded\", \"n\": 1}",
                ],
            ),
            (
                "no URL at all",
                &["202 | operation-location: /o | location: http://[garbage", "200 | {\"status\": \"Succeeded\"}"],
                &["wait accepted /o", "succeeded {\"status\": \"Succeeded\"}"],
            ),
            (
                "one that was named is not",
                &[
                    "202 | operation-location: /o",
                    "200 | {\"status\": \"Succeeded\", \"resourceLocation\": \"/r\"}",
                    "405",
                ],
                &["wait accepted /o", "follow /r", "stop ResultUnavailable"],
            ),
        ],
    );
}

#[test]
fn reads_the_request_reply_pattern() {
    check(
        &Protocol::async_request_reply(),
        &Method::POST,
        &[
            (
                "pending is 200, done is 303",
                &[
                    "202 | location: /s/7",
                    "200",
                    "200 | waiting",
                    "200 | {\"status\": \"In progress\"}",
                    "303 | location: /r/7",
                    "200 | [7]",
                ],
                &[
                    "wait accepted /s/7",
                    "wait running /s/7",
                    "wait running /s/7",
                    "wait running /s/7",
                    "follow /r/7",
                    "succeeded [7]",
                ],
            ),
            (
                "done is 302",
                &["202 | location: /s/7", "302 | location: /r/7", "200 | [7]"],
                &["wait accepted /s/7", "follow /r/7", "succeeded [7]"],
            ),
            (
                "done is a signed link",
                &["202 | location: /s/7", "302 | location: https://s.example/b?sig=x"],
                &["wait accepted /s/7", "succeeded [\"https://s.example/b?sig=x\"]"],
            ),
            (
                "failed in 200",
                &["202 | location: /s/7", "200 | {\"status\": \"Failed\", \"error\": {\"code\": \"Q\"}}"],
                &["wait accepted /s/7", "failed Q"],
            ),
        ],
    );
}

#[test]
fn reads_azure() {
    check(
        &Protocol::azure_resource_manager(),
        &Method::POST,
        &[(
            "azure-asyncoperation first, then location",
            &[
                "202 | operation-location: /x | azure-asyncoperation: /o | location: /l",
                "200 | {\"status\": \"Succeeded\"}",
                "200 | {\"n\": 1}",
            ],
            &["wait accepted /o", "follow /l", "succeeded {\"n\": 1}"],
        )],
    );
    check(
        &Protocol::azure_resource_manager(),
        &Method::PUT,
        &[(
            "provisioningState",
            &[
                "201 | {\"properties\": {\"provisioningState\": \"Accepted\"}}",
                "200 | {\"properties\": {\"provisioningState\": \"Failed\", \"error\": {\"code\": \"Q\"}}}",
            ],
            &["wait accepted /v1/exports", "failed Q"],
        )],
    );
    check(
        &Protocol::azure_data_plane(),
        &Method::POST,
        &[(
            "the inner code of an error",
            &[
                "202 | operation-location: /o",
                "200 | {\"status\": \"failed\", \"error\": {\"code\": \"C\", \"innererror\": {\"code\": \"Q\"}}}",
            ],
            &["wait accepted /o", "failed Q"],
        )],
    );
}

#[test]
fn reads_google_operations() {
    let google = Protocol::google_operations();
    check(
        &google,
        &Method::POST,
        &[
            (
                "false is left out",
                &[
                    "200 | {\"name\": \"operations/a b\"}",
                    "200 | {\"name\": \"operations/a b\", \"metadata\": {\"progressPercent\": 40}}",
                    "200 | {\"name\": \"operations/a b\", \"done\": true, \"response\": {\"n\": 1}}",
                ],
                &[
                    "wait accepted /v1/operations/a%20b",
                    "wait running /v1/operations/a%20b 40%",
                    "succeeded {\"n\": 1}",
                ],
            ),
            ("done at once", &["200 | {\"name\": \"o\", \"done\": true, \"response\": 7}"], &["succeeded 7"]),
            (
                "failed",
                &["200 | {\"name\": \"o\"}", "200 | {\"done\": true, \"error\": {\"code\": 8, \"message\": \"m\"}}"],
                &["wait accepted /v1/o", "failed 8"],
            ),
            (
                "canceled",
                &["200 | {\"name\": \"o\"}", "200 | {\"done\": true, \"error\": {\"code\": 1}}"],
                &["wait accepted /v1/o", "canceled 1"],
            ),
            (
                "no document",
                &["200 | {\"name\": \"o\"}", "200 | <html>"],
                &["wait accepted /v1/o", "wait accepted /v1/o !"],
            ),
        ],
    );
}

#[test]
fn reads_by_status_tag_bool_and_parts() {
    let snowflake = Protocol::auto()
        .status_template("statements/{id}")
        .status(202, State::Running)
        .status(200, State::Succeeded)
        .status(422, State::Failed)
        .status(408, State::Expired);
    check(
        &snowflake,
        &Method::POST,
        &[
            (
                "by HTTP status",
                &["202 | {\"id\": \"s\"}", "202", "200 | [7]"],
                &["wait accepted /v1/statements/s", "wait running /v1/statements/s", "succeeded [7]"],
            ),
            (
                "failed",
                &["202 | {\"id\": \"s\"}", "422 | {\"code\": \"Q\"}"],
                &["wait accepted /v1/statements/s", "failed Q"],
            ),
            (
                "expired",
                &["202 | {\"id\": \"s\"}", "408 | {\"code\": \"Q\"}"],
                &["wait accepted /v1/statements/s", "expired Q"],
            ),
        ],
    );
    let dropbox = Protocol::auto()
        .state(Source::pointer("/.tag"))
        .id(Source::pointer("/async_job_id"))
        .status_template("check")
        .poll("POST check {\"async_job_id\": \"{id}\"}".parse().unwrap());
    check(
        &dropbox,
        &Method::POST,
        &[
            (
                "by tag",
                &[
                    "200 | {\".tag\": \"async_job_id\", \"async_job_id\": \"j\"}",
                    "200 | {\".tag\": \"in_progress\"}",
                    "200 | {\".tag\": \"complete\"}",
                ],
                &["wait accepted /v1/check", "wait running /v1/check", "succeeded {\".tag\": \"complete\"}"],
            ),
            (
                "complete at once",
                &["200 | {\".tag\": \"complete\", \"n\": 1}"],
                &["succeeded {\".tag\": \"complete\", \"n\": 1}"],
            ),
        ],
    );
    let parts = |reduce| {
        Protocol::auto().state(Source::pointer("/details/*/status")).reduce(reduce).done(Source::pointer("/never"))
    };
    let body = |words: [&str; 2]| {
        format!("200 | {{\"details\": [{{\"status\": \"{}\"}}, {{\"status\": \"{}\"}}]}}", words[0], words[1])
    };
    for (reduce, words, state) in [
        (Reduce::All, ["Completed", "Running"], "wait running"),
        (Reduce::All, ["Submitted", "Submitted"], "wait accepted"),
        (Reduce::All, ["Completed", "Completed"], "succeeded"),
        (Reduce::All, ["Completed", "Failed"], "partially_succeeded"),
        (Reduce::All, ["Failed", "Failed"], "failed"),
        (Reduce::All, ["Failed", "Canceled"], "failed"),
        (Reduce::All, ["Completed", "shiny"], "wait running"),
        (Reduce::Any, ["Running", "Completed"], "succeeded"),
        (Reduce::Any, ["Running", "Running"], "wait running"),
        (Reduce::First, ["Completed", "Running"], "succeeded"),
    ] {
        let told = walk(&parts(reduce), &Method::POST, &["202 | operation-location: /o", &body(words)]);
        assert!(told[1].starts_with(state), "{reduce:?} {words:?}: {told:?}");
    }
}

#[test]
fn reads_progress_in_every_form() {
    use longhaul::ProgressUnit;
    let ratio = Protocol::auto().progress_of(Source::pointer("/status/done"), Source::pointer("/status/total"));
    let fraction = Protocol::auto().progress(Source::pointer("/share"), ProgressUnit::Fraction);
    for (protocol, body, percent) in [
        (&ratio, "{\"state\": \"running\", \"status\": {\"done\": 1, \"total\": 4}}", " 25%"),
        (&ratio, "{\"state\": \"running\", \"status\": {\"done\": 1, \"total\": 0}}", ""),
        (&ratio, "{\"state\": \"running\", \"status\": {\"done\": \"5\", \"total\": \"4\"}}", " 100%"),
        (&fraction, "{\"state\": \"running\", \"share\": 0.25}", " 25%"),
        (&fraction, "{\"state\": \"running\", \"share\": -1}", ""),
        (&Protocol::auto(), "{\"state\": \"running\", \"percent_done\": 250}", " 100%"),
        (&Protocol::auto(), "{\"state\": \"running\", \"progress\": \"half\"}", ""),
        (&Protocol::auto(), "{\"state\": \"running\", \"progress\": {\"percent\": 3}}", ""),
    ] {
        let told = walk(protocol, &Method::POST, &["202 | operation-location: /o", &format!("200 | {body}")]);
        assert_eq!(told[1], format!("wait running /o{percent}"), "{body}");
    }
}

#[test]
fn a_state_can_fire_a_second_request_once() {
    let recording = Protocol::auto()
        .status_template("jobs/{id}")
        .start("READY", "PUT jobs/{id} {\"state\": \"PROCESSING\"}".parse().unwrap());
    let submit = "200 | {\"id\": \"j\", \"state\": \"PENDING\"}";
    let ready = "200 | {\"id\": \"j\", \"state\": \"READY\"}";
    check(
        &recording,
        &Method::POST,
        &[
            (
                "at its word",
                &[submit, ready, "200 | {\"state\": \"PROCESSING\"}", ready, "200 | {\"state\": \"FULFILLED\"}"],
                &[
                    "wait accepted /v1/jobs/j",
                    "follow /v1/jobs/j",
                    "wait running /v1/jobs/j",
                    "wait running /v1/jobs/j",
                    "succeeded {\"state\": \"FULFILLED\"}",
                ],
            ),
            (
                "again where it was refused for load",
                &[submit, ready, "503", ready],
                &["wait accepted /v1/jobs/j", "follow /v1/jobs/j", "wait running /v1/jobs/j !", "follow /v1/jobs/j"],
            ),
            (
                "not where it was refused",
                &[submit, ready, "400 | {\"code\": \"Q\"}"],
                &["wait accepted /v1/jobs/j", "follow /v1/jobs/j", "stop Rejected"],
            ),
        ],
    );
}

#[test]
fn reads_a_status_out_of_band() {
    let exports = Protocol::auto().status_header(Source::header("X-Export-Status"));
    check(
        &exports,
        &Method::POST,
        &[
            (
                "pending",
                &["202 | location: /t", "200 | x-export-status: 202"],
                &["wait accepted /t", "wait running /t"],
            ),
            (
                "done",
                &["202 | location: /t", "200 | x-export-status: 200 | a,b"],
                &["wait accepted /t", "succeeded a,b"],
            ),
            (
                "failed",
                &["202 | location: /t", "200 | x-export-status: 422 | {\"code\": \"Q\"}"],
                &["wait accepted /t", "failed Q"],
            ),
            (
                "garbage is passed over",
                &["202 | location: /t", "202 | x-export-status: soon"],
                &["wait accepted /t", "wait running /t"],
            ),
        ],
    );
}

#[test]
fn pages_begin_where_the_protocol_says() {
    let jobs = Protocol::auto().status_template("jobs/{id}").pages(
        PageRule::new("jobs/{id}/results?pageSize=2", Source::pointer("/rows/*"))
            .next(Next::cursor(Source::pointer("/cursor"), "cursor")),
    );
    check(
        &jobs,
        &Method::POST,
        &[(
            "after the end",
            &["202 | {\"jobId\": \"j\"}", "200 | {\"state\": \"FULFILLED\"}"],
            &["wait accepted /v1/jobs/j", "succeeded pages /v1/jobs/j/results?pageSize=2"],
        )],
    );
}

#[test]
fn unchanged_keeps_the_state_and_resets_the_trouble() {
    let told = walk(&Protocol::auto(), &Method::POST, &["202 | location: /t", "202", "503", "304", "202"]);
    assert_eq!(
        told,
        ["wait accepted /t", "wait running /t", "wait running /t !", "wait running /t", "wait running /t"]
    );
}

#[test]
fn a_url_of_six_kibibytes_is_as_good_as_any() {
    let long = format!("/t?state={}", "x".repeat(6 * 1024));
    let told = walk(&Protocol::auto(), &Method::POST, &[&format!("202 | location: {long}"), "202"]);
    assert_eq!(told, [format!("wait accepted {long}"), format!("wait running {long}")]);
}

#[test]
fn every_preset_is_data_in_json_and_toml() {
    for name in ["auto", "smag_task", "async_request_reply", "azure", "google_operations"] {
        let profile = Profile::by_name(name).unwrap();
        assert_eq!(profile.name(), name);
        let json = serde_json::to_string(&profile).unwrap();
        assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), profile, "{json}");
        let toml = toml::to_string(&profile).unwrap();
        assert_eq!(toml::from_str::<Profile>(&toml).unwrap(), profile, "{toml}");
    }
    let written: Profile = toml::from_str(
        r#"
        name = "genesys"
        [[limits]]
        windows = [{ count = 300, seconds = 60 }]
        [retry]
        retries = 2
        [kinds.recording]
        name = "recording"
        words = { "Very READY" = "succeeded" }
        status_template = "recording/jobs/{id}"
        default_interval = 5
        start = [{ when = "READY", request = 'PUT recording/jobs/{id} {"state": "PROCESSING"}' }]
        cancel = "DELETE recording/jobs/{id}"
        [kinds.details]
        name = "details"
        status_template = "jobs/{id}"
        pages = { url = "jobs/{id}/results", rows = "/conversations/*", next = "/cursor?cursor" }
        "#,
    )
    .unwrap();
    assert_eq!(written.name(), "genesys");
    // A word is known however it was written.
    let protocol: Protocol = serde_json::from_str(r#"{"words": {"Very READY": "succeeded"}}"#).unwrap();
    let told = walk(&protocol, &Method::POST, &["202 | operation-location: /o", "200 | {\"status\": \"very_ready\"}"]);
    assert!(told[1].starts_with("succeeded"), "{told:?}");
}

/// Any JSON, with the members that a protocol looks for among its names.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let names = prop::sample::select(vec![
        "status",
        "state",
        "error",
        "result",
        "Result",
        "Location",
        "TaskUid",
        "id",
        "done",
        "percentComplete",
        "links",
        "rel",
        "href",
        "code",
        "message",
        "properties",
        "provisioningState",
        "_links",
        "self",
        "resourceLocation",
        "x",
    ]);
    let words = prop::sample::select(vec![
        "Succeeded",
        "failed",
        "running",
        "monitor",
        "/t",
        "https://s.example/b?sig=x",
        "http://[",
        "",
        "42",
        "\u{0}",
        "op:x",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        any::<u64>().prop_map(Into::into),
        words.prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|members| {
                serde_json::Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("LONGHAUL_LONG").is_some() { 100_000 } else { 1000 },
        ..ProptestConfig::default()
    })]

    /// No JSON, header or status makes reading panic, or lead on for ever without a wait.
    #[test]
    fn no_answer_makes_reading_panic_or_loop(
        preset in 0..5_usize,
        answers in prop::collection::vec(
            (100..600_u16, any_json(), "[ -~]{0,24}", "[ -~]{0,12}", prop::option::of("[/a-z.?:]{0,8}")),
            1..12,
        ),
    ) {
        let protocol = [
            Protocol::auto(), Protocol::smag_task(), Protocol::async_request_reply(), Protocol::azure_resource_manager(),
            Protocol::google_operations(),
        ][preset].clone();
        let url: Url = "https://a.example/v1/exports".parse().unwrap();
        let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
        let mut follows = 0;
        for (code, body, location, retry_after, moved) in answers.iter().cycle().take(60) {
            let mut headers = HeaderMap::new();
            headers.insert("location", moved.as_ref().unwrap_or(location).parse().unwrap());
            headers.insert("retry-after", retry_after.parse().unwrap());
            let reply = Reply::new(StatusCode::from_u16(*code).unwrap(), url.clone(), headers, body.to_string());
            match protocol.read(&mut cursor, &reply, SystemTime::UNIX_EPOCH) {
                Step::Follow { after, .. } if after.is_zero() => follows += 1,
                Step::Wait(report) => {
                    prop_assert!(!report.state().is_terminal());
                    prop_assert!(report.percent().is_none_or(|percent| (0.0..=100.0).contains(&percent)));
                    follows = 0;
                }
                Step::Follow { .. } => follows = 0,
                _ => break,
            }
            prop_assert!(follows <= 14, "led on {follows} times in a row");
        }
    }
}

#[test]
fn a_status_behind_a_302_is_a_status_and_a_page_is_none() {
    let auto = Protocol::auto();
    check(
        &auto,
        &Method::POST,
        &[
            (
                "a failed one",
                &[
                    "202 | location: /t",
                    "302 | location: /m",
                    "200 | {\"status\": \"failed\", \"error\": {\"code\": \"Q\"}}",
                ],
                &["wait accepted /t", "follow /m", "failed Q"],
            ),
            (
                "a running one behind two",
                &["202 | location: /t", "302 | location: /a", "302 | location: /b", "200 | {\"status\": \"running\"}"],
                &["wait accepted /t", "follow /a", "follow /b", "wait running /b"],
            ),
            (
                "a refusal",
                &["202 | location: /t", "302 | location: /a", "401"],
                &["wait accepted /t", "follow /a", "stop Unauthorized"],
            ),
            (
                "a page to log in",
                &["202 | operation-location: /t", "302 | location: https://login.example/", "200 | <html>"],
                &["wait accepted /t", "follow https://login.example/", "wait accepted /t !"],
            ),
            (
                "a result that is a pending status",
                &[
                    "202 | location: /t",
                    "303 | location: /r",
                    "200 | {\"status\": \"running\", \"percentComplete\": 5}",
                ],
                &["wait accepted /t", "follow /r", "wait running /t"],
            ),
            (
                "a result with a status of its own",
                &["202 | location: /t", "303 | location: /r", "200 | {\"status\": \"open\", \"id\": 7}"],
                &["wait accepted /t", "follow /r", "succeeded {\"status\": \"open\", \"id\": 7}"],
            ),
            (
                "a failed bare status with its reason",
                &[
                    "202 | location: /t",
                    "200 | {\"jobId\": 7, \"x\": 1, \"status\": \"FAILED\", \"errorMessage\": \"full\"}",
                ],
                &["wait accepted /t", "failed -"],
            ),
        ],
    );
}

#[test]
fn a_refusal_says_nothing_of_the_task_whatever_its_body_says() {
    for (code, word) in [(408, "error"), (429, "failed"), (500, "error"), (502, "canceled"), (503, "succeeded")] {
        let refusal = format!("{code} | {{\"status\": \"{word}\", \"message\": \"rate limited\"}}");
        let answers = ["202 | operation-location: /o", &refusal, "200 | {\"status\": \"running\"}"];
        let told = walk(&Protocol::auto(), &Method::POST, &answers);
        assert_eq!(told[1..], ["wait accepted /o !", "wait running /o"], "{code} {word}");
    }
}

#[test]
fn redirects_with_answers_between_them_are_not_in_a_row() {
    let answers: Vec<_> = ["202 | location: /t"].into_iter().chain(["307 | location: /a", "503"].repeat(20)).collect();
    let told = walk(&Protocol::auto(), &Method::POST, &answers);
    assert!(!told.iter().any(|step| step.starts_with("stop")), "{told:?}");
}

#[test]
fn what_is_written_reads_back_the_same() {
    let url: Next = serde_json::from_str(&serde_json::to_string(&Next::url(Source::pointer("/a?b"))).unwrap()).unwrap();
    assert_eq!(url, Next::url(Source::pointer("/a?b")));
    let patient = Protocol::auto().patience(Duration::MAX).default_interval(Duration::MAX);
    let json = serde_json::to_string(&patient).unwrap();
    assert!(serde_json::from_str::<Protocol>(&json).is_ok());
    assert!(toml::from_str::<Protocol>(&toml::to_string(&patient).unwrap()).is_ok());
}

/// The warning of the last answer, and how it was read, in words.
fn told_at_the_end(protocol: &Protocol, method: &Method, answers: &[&str]) -> (String, Option<String>) {
    let mut url: Url = "https://a.example/v1/exports".parse().unwrap();
    let mut cursor = Cursor::new(method.clone(), &url, SystemTime::UNIX_EPOCH);
    let mut last = (String::new(), None);
    for answer in answers {
        let step = protocol.read(&mut cursor, &reply(answer, url.clone()), SystemTime::UNIX_EPOCH);
        let warning = match &step {
            Step::Wait(report) | Step::Done(report, _) | Step::Ended(report, _) => report.warning().map(str::to_owned),
            _ => None,
        };
        last = (said(&step, &cursor), warning);
        url = match &step {
            Step::Follow { url, .. } => url.clone(),
            _ => cursor.status_url().map_or(url, |url| url.expose().parse().unwrap()),
        };
    }
    last
}

#[test]
fn a_place_that_was_named_goes_before_the_answer_itself() {
    const SUBMIT: &str = "202 | location: /t";
    let named = |at: &str, kind| Protocol::auto().result(Source::pointer(at), kind);
    let link = named("/file", ResultKind::Link);
    let at_link: &[&str] = &["succeeded [\"https://s.example/b\"]"];
    let pages = Protocol::auto().pages(PageRule::new("rows", Source::pointer("/rows/*")));
    let put_by = |via| Protocol::auto().final_state_via(via);
    let data: Protocol = serde_json::from_str("{\"result\": [{\"at\": \"/result\", \"kind\": \"link\"}]}").unwrap();
    let rows: &[(&str, &Protocol, &[&str], &[&str])] = &[
        (
            "a link beside a success word",
            &named("/resultUrl", ResultKind::Link),
            &[
                SUBMIT,
                "200 | {\"status\": \"running\"}",
                "200 | {\"status\": \"succeeded\", \"resultUrl\": \"https://s.example/b\"}",
            ],
            &["wait accepted /t", "wait running /t", "succeeded [\"https://s.example/b\"]"],
        ),
        ("without a word", &link, &[SUBMIT, "200 | {\"file\": \"https://s.example/b\"}"], at_link),
        (
            "beside an unknown word",
            &link,
            &[SUBMIT, "200 | {\"status\": \"shiny\", \"file\": \"https://s.example/b\"}"],
            at_link,
        ),
        (
            "beside a pending word it is not the end",
            &link,
            &[SUBMIT, "200 | {\"status\": \"running\", \"file\": \"/f\"}"],
            &["wait running /t"],
        ),
        (
            "beside 202 neither, whatever the word",
            &link,
            &[SUBMIT, "202 | {\"status\": \"done\", \"rows\": 7, \"file\": \"/f\"}"],
            &["wait running /t"],
        ),
        (
            "a URL that is none",
            &named("/at", ResultKind::Url),
            &[SUBMIT, "200 | location: /x | {\"at\": \"not a url\"}"],
            &["succeeded {\"at\": \"not a url\"}"],
        ),
        ("beside 202 neither", &link, &[SUBMIT, "202 | {\"file\": \"/f\"}"], &["wait running /t"]),
        (
            "beside a failed word",
            &link,
            &[SUBMIT, "200 | {\"status\": \"failed\", \"code\": \"Q\", \"file\": \"/f\"}"],
            &["failed Q"],
        ),
        ("that is no link", &link, &[SUBMIT, "200 | {\"file\": 7}"], &["stop ResultUnavailable"]),
        (
            "that is not there",
            &link,
            &[SUBMIT, "200 | {\"status\": \"completed\", \"rows\": 7}"],
            &["succeeded {\"status\": \"completed\", \"rows\": 7}"],
        ),
        (
            "that holds no link",
            &link,
            &[SUBMIT, "200 | {\"file\": [], \"rows\": 7}"],
            &["succeeded {\"file\": [], \"rows\": 7}"],
        ),
        (
            "a value",
            &named("/data", ResultKind::Value),
            &[SUBMIT, "200 | {\"data\": [7], \"n\": 1}"],
            &["succeeded [7]"],
        ),
        (
            "a URL",
            &named("/at", ResultKind::Url),
            &[SUBMIT, "200 | {\"at\": \"/r\", \"n\": 1}", "200 | [7]"],
            &["follow /r", "succeeded [7]"],
        ),
        (
            "a URL of the status",
            &named("/self", ResultKind::Url),
            &[SUBMIT, "200 | {\"self\": \"/t\"}"],
            &["succeeded {\"self\": \"/t\"}"],
        ),
        ("a link of a finished submit", &link, &["200 | {\"file\": \"https://s.example/b\"}"], at_link),
        ("in data", &data, &[SUBMIT, "200 | {\"result\": \"https://s.example/b\", \"rows\": 7}"], at_link),
        (
            "behind a redirect",
            &link,
            &[
                SUBMIT,
                "302 | location: /m",
                "200 | {\"status\": \"done\", \"rows\": 7, \"file\": \"https://s.example/b\"}",
            ],
            at_link,
        ),
        (
            "whose first link is the status",
            &Protocol::auto().result(Source::pointer("/links/*/href"), ResultKind::Url),
            &[SUBMIT, "200 | {\"links\": [{\"href\": \"/t\"}, {\"href\": \"/r\"}], \"output\": 1}"],
            &["succeeded {\"links\": [{\"href\": \"/t\"}, {\"href\": \"/r\"}], \"output\": 1}"],
        ),
        (
            "that is empty beside a Location",
            &link,
            &["202 | operation-location: /o | location: /l", "200 | {\"status\": \"succeeded\", \"file\": []}"],
            &["succeeded {\"status\": \"succeeded\", \"file\": []}"],
        ),
        (
            "pages of an id that nobody told",
            &Protocol::auto().pages(PageRule::new("rows/{id}", Source::pointer("/rows/*"))),
            &[SUBMIT, "200 | {\"status\": \"done\", \"output\": [1], \"rows\": 7}"],
            &["succeeded {\"status\": \"done\", \"output\": [1], \"rows\": 7}"],
        ),
        (
            "the operation is the result",
            &link.clone().final_state_via(FinalStateVia::Operation),
            &[SUBMIT, "200 | {\"file\": \"https://s.example/b\", \"output\": 3}"],
            &["succeeded {\"file\": \"https://s.example/b\", \"output\": 3}"],
        ),
        ("pages", &pages, &[SUBMIT, "200 | {\"status\": \"done\", \"rows\": 7}"], &["succeeded pages /v1/rows"]),
        (
            "final-state-via",
            &put_by(FinalStateVia::OriginalUri),
            &[SUBMIT, "200 | {\"n\": 0}", "200 | {\"n\": 1}"],
            &["follow /v1/exports", "succeeded {\"n\": 1}"],
        ),
    ];
    for (name, protocol, answers, expected) in rows {
        let told = walk(protocol, &Method::POST, answers);
        assert_eq!(&told[told.len() - expected.len()..], *expected, "{name}");
    }
}

#[test]
fn what_nobody_named_leaves_the_answer_itself_the_result_and_a_link_is_warned_of() {
    let auto = Protocol::auto();
    let link = "{\"status\": \"succeeded\", \"resultUrl\": \"https://s.example/b\", \"rows\": 7}";
    for (document, warned) in [
        (link, true),
        ("{\"state\": \"DONE\", \"download_url\": \"https://s.example/b\", \"output\": \"O\", \"rows\": 7}", true),
        ("{\"status\": \"succeeded\", \"resultUrl\": \"n/a\", \"rows\": 7}", false),
        ("{\"status\": \"done\", \"output\": \"http://shop.example/x\", \"rows\": 7}", false),
        ("{\"resultUrl\": \"https://s.example/b\", \"rows\": 7}", false),
        ("{\"status\": \"failed\", \"resultUrl\": \"https://s.example/b\", \"rows\": 7}", false),
    ] {
        let answers = ["202 | location: /t".to_owned(), format!("200 | {document}")];
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        let (told, warning) = told_at_the_end(&auto, &Method::POST, &answers);
        assert_eq!(told, format!("succeeded {document}"));
        assert_eq!(warning.is_some_and(|why| why.contains("Protocol::result")), warned, "{document}");
    }
    let monitor = ["202 | operation-location: /o", "200 | {\"status\": \"succeeded\", \"resultUrl\": \"n/a\"}"];
    let told = walk(&auto, &Method::POST, &monitor);
    assert_eq!(told[1], "succeeded {\"status\": \"succeeded\", \"resultUrl\": \"n/a\"}");
}

#[test]
fn a_named_place_that_is_not_there_is_warned_of() {
    let named = Protocol::auto().result(Source::pointer("/file"), ResultKind::Link);
    let auto = Protocol::auto();
    for (protocol, method, answers, warned) in [
        (&named, Method::POST, &["202 | location: /t", "200 | {\"rows\": 7}"], true),
        (&named, Method::POST, &["202 | location: /t", "200 | a,b"], true),
        (&named, Method::POST, &["202 | location: /t", "200 | {\"file\": []}"], true),
        (&named, Method::POST, &["202 | operation-location: /o", "200 | {\"status\": \"done\"}"], true),
        (&named, Method::POST, &["200 | {\"rows\": 7}", "200"], true),
        (&named, Method::DELETE, &["202 | location: /t", "200 | {\"rows\": 7}"], false),
        (&named, Method::POST, &["202 | location: /t", "200 | {\"file\": \"/f\"}"], false),
        (&auto, Method::POST, &["202 | location: /t", "200 | {\"rows\": 7}"], false),
    ] {
        let answers: Vec<_> = answers.iter().copied().filter(|answer| *answer != "200").collect();
        let (told, warning) = told_at_the_end(protocol, &method, &answers);
        assert!(told.starts_with("succeeded"), "{told}");
        assert_eq!(warning.is_some_and(|why| why.contains("/file")), warned, "{method} {answers:?}");
    }
}

#[test]
fn what_is_said_last_goes_first_and_takes_the_same_place() {
    use longhaul::{ProgressUnit, Unit};
    let at = Source::pointer;
    let header = || Source::header("location");
    let monitor = "{\"at\":\"header:location\",\"kind\":\"monitor\"}";
    let auto = Protocol::auto;
    let smag = Protocol::smag_task;
    for (list, said, first, more) in [
        ("status_url", auto().status_url(header(), StatusKind::Monitor), monitor, 0),
        ("status_url", auto().status_url(at("/u"), StatusKind::Bare), "{\"at\":\"/u\",\"kind\":\"bare\"}", 1),
        ("result", auto().result(at("/result"), ResultKind::Link), "{\"at\":\"/result\",\"kind\":\"link\"}", 0),
        ("result", smag().result(at("/file"), ResultKind::Link), "{\"at\":\"/file\",\"kind\":\"link\"}", 1),
        ("id", auto().id(at("/name")), "\"/name\"", 0),
        ("id", auto().id(at("/uid")), "\"/uid\"", 1),
        ("state", auto().state(at("/runtimeStatus")), "\"/runtimeStatus\"", 0),
        ("state", auto().state(at("/a")).state(at("/b")), "\"/b\"", 2),
        ("done", smag().done(at("/end")).done(at("/end")), "\"/end\"", 1),
        ("progress", auto().progress(at("/progress"), ProgressUnit::Percent), "\"/progress\"", 0),
        ("intervals", smag().interval(at("/n"), Unit::Seconds), "{\"at\":\"/n\",\"unit\":\"seconds\"}", 1),
        (
            "intervals",
            smag().interval(at("/RetryAfter"), Unit::Seconds),
            "{\"at\":\"/RetryAfter\",\"unit\":\"seconds\"}",
            0,
        ),
        ("error_code", Protocol::azure_data_plane().error_code(at("/c")), "\"/c\"", 1),
        ("error_message", auto().error_message(at("/m")).error_message(at("/m")), "\"/m\"", 1),
        ("cancel_url", auto().cancel_url(at("/cancel_url")), "\"/cancel_url\"", 0),
    ] {
        let base = match said.name() {
            "smag_task" => smag(),
            "azure_data_plane" => Protocol::azure_data_plane(),
            _ => auto(),
        };
        let places = |protocol: &Protocol| serde_json::to_value(protocol).unwrap()[list].as_array().unwrap().clone();
        let (now, before) = (places(&said), places(&base));
        assert_eq!((now[0].to_string().as_str(), now.len()), (first, before.len() + more), "{list}");
        let rest: Vec<_> = before.into_iter().filter(|place| now[1..].contains(place)).collect();
        assert!(now.ends_with(&rest), "{list}: what stood before keeps its order");
    }
    let monitor = auto().status_url(header(), StatusKind::Monitor);
    let answers = ["202 | location: /t", "200 | {\"status\": \"shiny\"}"];
    assert_eq!(walk(&monitor, &Method::POST, &answers), ["wait accepted /t", "wait running /t !"]);
}

#[test]
fn an_error_in_an_answer_that_counts_as_success_is_warned_of() {
    const BARE: &str = "202 | location: /t";
    const MONITOR: &str = "202 | operation-location: /o";
    const LIMITED: &str = "200 | {\"error\": \"rate limited\"}";
    let auto = Protocol::auto();
    let created = "201 | location: /r | {\"state\": \"queued\"}";
    let rows: &[(&[&str], Option<&str>)] = &[
        (&[LIMITED], Some("`error`: rate limited")),
        (&["201 | {\"id\": 7, \"errors\": [{\"message\": \"M\"}]}"], Some("`errors`: M")),
        (&["200 | {\"Error\": {\"code\": \"Q\"}}"], Some("`error`: Q")),
        (&["200 | {\"error\": true}"], Some("`error`")),
        (&[BARE, LIMITED], Some("`error`: rate limited")),
        (&[created, "200 | {\"error\": \"rate limited\", \"rows\": []}"], Some("`error`: rate limited")),
        (&[BARE, "303 | location: /r", LIMITED], Some("`error`: rate limited")),
        (&[MONITOR, "200 | {\"status\": \"done\", \"errors\": [\"M\"]}"], Some("`errors`: M")),
        (&["200 | {\"error\": null, \"errors\": []}"], None),
        (&["200 | {\"error\": \"\", \"errors\": {}}"], None),
        (&["200 | {\"error\": false, \"errors\": 0, \"rows\": 7}"], None),
        (&["200 | [{\"error\": \"of a row\"}]"], None),
        (&[MONITOR, "200 | {\"status\": \"done\", \"errors\": [\"M\"], \"result\": 7}"], None),
        (&[MONITOR, "200 | {\"status\": \"CompletedWithErrors\", \"errors\": [\"M\"]}"], None),
    ];
    let data = Protocol::auto().result(Source::pointer("/data"), ResultKind::Value);
    for first in [&[BARE][..], &[]] {
        let answers = [first, &["200 | {\"error\": {\"code\": \"X\"}, \"data\": []}"]].concat();
        let (told, warning) = told_at_the_end(&data, &Method::POST, &answers);
        assert_eq!(told, "succeeded []");
        assert!(warning.is_some_and(|why| why.contains("`error`: X")), "beside a named place");
    }
    for (answers, warned) in rows {
        let (told, warning) = told_at_the_end(&auto, &Method::POST, answers);
        assert!(told.contains("succeeded"), "{answers:?}: {told}");
        let warning = warning.filter(|why| why.contains("error"));
        match warned {
            Some(what) => assert!(warning.as_deref().is_some_and(|why| why.contains(what)), "{answers:?}: {warning:?}"),
            None => assert_eq!(warning, None, "{answers:?}"),
        }
    }
}
