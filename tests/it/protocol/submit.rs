//! Answers to a submit.

use super::*;

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
fn a_url_of_six_kibibytes_is_as_good_as_any() {
    let long = format!("/t?state={}", "x".repeat(6 * 1024));
    let told = walk(&Protocol::auto(), &Method::POST, &[&format!("202 | location: {long}"), "202"]);
    assert_eq!(told, [format!("wait accepted {long}"), format!("wait running {long}")]);
}
