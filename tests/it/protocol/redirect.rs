//! Redirects: to a status, to a result, to somewhere else.

use super::*;

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
fn redirects_with_answers_between_them_are_not_in_a_row() {
    let answers: Vec<_> = ["202 | location: /t"].into_iter().chain(["307 | location: /a", "503"].repeat(20)).collect();
    let told = walk(&Protocol::auto(), &Method::POST, &answers);
    assert!(!told.iter().any(|step| step.starts_with("stop")), "{told:?}");
}
