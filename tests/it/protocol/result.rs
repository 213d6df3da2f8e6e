//! Where the result is: links, named places, the answer itself.

use super::*;

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
fn a_document_that_names_a_signed_link_is_not_the_result() {
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
fn a_link_that_nobody_named_is_warned_of() {
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
    use longhaul::limits::Unit;
    use longhaul::protocols::ProgressUnit;
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
