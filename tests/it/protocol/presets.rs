//! The presets, each a conversation; and a protocol as data.

use super::*;

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

#[test]
fn what_is_written_reads_back_the_same() {
    let url: Next = serde_json::from_str(&serde_json::to_string(&Next::url(Source::pointer("/a?b"))).unwrap()).unwrap();
    assert_eq!(url, Next::url(Source::pointer("/a?b")));
    let patient = Protocol::auto().patience(Duration::MAX).default_interval(Duration::MAX);
    let json = serde_json::to_string(&patient).unwrap();
    assert!(serde_json::from_str::<Protocol>(&json).is_ok());
    assert!(toml::from_str::<Protocol>(&toml::to_string(&patient).unwrap()).is_ok());
}
