//! Answers to a poll: states, progress, trouble, patience.

use super::*;

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
    use longhaul::protocols::ProgressUnit;
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
fn unchanged_keeps_the_state_and_resets_the_trouble() {
    let told = walk(&Protocol::auto(), &Method::POST, &["202 | location: /t", "202", "503", "304", "202"]);
    assert_eq!(
        told,
        ["wait accepted /t", "wait running /t", "wait running /t !", "wait running /t", "wait running /t"]
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
