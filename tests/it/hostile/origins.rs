//! What a foreign origin says, and what it asks for.

use futures::TryStreamExt;
use http::Method;
use longhaul::limits::Scope;
use longhaul::protocols::{Next, PageRule, Source};
use longhaul::testing::{Canned, reply, script};
use longhaul::{Limit, Protocol};
use serde_json::{Value, json};

use super::{asked, builder, client, secs};

const FOREIGN: &str = "https://status.example.net/7";

fn elsewhere() -> Canned {
    reply(202).header("operation-location", FOREIGN)
}

// What it says counts for it alone.

#[tokio::test(start_paused = true)]
async fn a_foreign_refusal_stops_none_of_the_apis_own_requests() {
    for answer in [
        reply(429).header("retry-after", "86400"),
        reply(503).header("retry-after", "86400"),
        reply(429),
        reply(200)
            .header("x-ratelimit-limit", "10")
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", "86400")
            .json(json!({"status": "running"})),
        reply(200).header("ratelimit", "\"default\";r=0;t=86400").json(json!({"status": "running"})),
    ] {
        for limit in [None, Some(Limit::per_second(4))] {
            let service = script([elsewhere(), answer.clone(), reply(200), reply(200)]);
            let client = limit.into_iter().fold(builder(&service), longhaul::ClientBuilder::limit).build().unwrap();
            let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
            task.advance().await.unwrap().unwrap();
            task.advance().await.unwrap().unwrap();
            let begun = tokio::time::Instant::now();
            for path in ["farms", "exports"] {
                client.request(Method::POST, path).send().await.unwrap();
            }
            assert!(begun.elapsed() < secs(2), "{:?}: {:?}", answer, begun.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_success_ends_no_pause_of_the_api() {
    let service =
        script([elsewhere(), reply(429).header("retry-after", "600"), reply(200).json(json!({"status": "x"}))]);
    let client = builder(&service).retry(longhaul::RetryPolicy::none()).build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    task.advance().await.unwrap().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap_err();
    task.advance().await.unwrap().unwrap();
    assert_eq!(asked(&service).last().unwrap().0, format!("GET {FOREIGN}"));
    let late = client.request(Method::GET, "farms").timeout(secs(60)).send().await.unwrap_err();
    assert_eq!(late.kind(), longhaul::ErrorKind::DeadlineExceeded, "{late}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_apis_own_or_an_allowed_origin_still_counts() {
    for (location, allowed) in [("/v1/tasks/7", None), (FOREIGN, Some("https://status.example.net"))] {
        let refused = || reply(429).header("retry-after", "600").header("x-ratelimit-remaining", "0");
        let service = script([reply(202).header("operation-location", location), refused(), refused(), reply(200)]);
        let builder = allowed.into_iter().fold(builder(&service), longhaul::ClientBuilder::allow_origin);
        let client = builder.limit(Limit::per_second(4)).build().unwrap();
        let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
        task.advance().await.unwrap().unwrap();
        task.advance().await.unwrap().unwrap();
        let late = client.request(Method::GET, "farms").timeout(secs(60)).send().await.unwrap_err();
        assert_eq!(late.kind(), longhaul::ErrorKind::DeadlineExceeded, "{location}: {late}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_host_keeps_its_own_pause_and_the_limit_per_host() {
    let service = script([
        elsewhere(),
        elsewhere(),
        reply(429).header("retry-after", "600"),
        reply(200).json(json!({"status": "succeeded"})),
        reply(200).json(json!({"status": "succeeded"})),
    ]);
    let limit = Limit::per_second(1).scope(Scope::Host);
    let client = builder(&service).limit(limit).build().unwrap();
    let one = client.task().post("exports").submit::<Value>().await.unwrap();
    let two = client.task().post("exports").submit::<Value>().await.unwrap();
    let (one, two) = tokio::join!(one, two);
    one.unwrap();
    two.unwrap();
    let at: Vec<_> = service.requests().iter().skip(2).map(longhaul::testing::Recorded::at).collect();
    assert!(at[1] >= at[0] + secs(600), "both wait for the host that refused one: {at:?}");
    assert!(at[2] >= at[1] + secs(1), "one a second of each host: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_account_by_its_user_stops_foreign_polls_too() {
    let service = script([elsewhere(), reply(200).json(json!({"status": "succeeded"}))]);
    let client = client(&service);
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    task.advance().await.unwrap().unwrap();
    client.throttle().pause(secs(900));
    task.await.unwrap();
    assert!(service.gaps()[0] >= secs(900), "{:?}", service.gaps());
}

// What it asks for is done bare.

#[tokio::test(start_paused = true)]
async fn a_foreign_status_drives_no_request_with_the_credential() {
    let own = "https://api.example.com/v1/users/me";
    for (status, requests) in [
        // The result.
        (vec![reply(200).json(json!({"status": "succeeded", "resourceLocation": own})), reply(200).json(json!(1))], 3),
        (vec![reply(303).header("location", own), reply(200).json(json!(1))], 3),
        (vec![reply(302).header("location", own), reply(200).json(json!(1))], 3),
        // Another status URL.
        (
            vec![
                reply(200).header("operation-location", own).json(json!({"status": "running"})),
                reply(200).json(json!({"status": "succeeded", "result": 1})),
            ],
            3,
        ),
        (vec![reply(307).header("location", own), reply(200).json(json!({"status": "succeeded", "result": 1}))], 3),
        // By way of the API, which answers what the foreign origin made of it.
        (
            vec![
                reply(308).header("location", own),
                reply(200).json(json!({"status": "succeeded", "resourceLocation": "/v1/secrets"})),
                reply(200).json(json!(1)),
            ],
            4,
        ),
    ] {
        let service = script([elsewhere()].into_iter().chain(status));
        let new = client(&service).task().post("exports").header("X-Mine", "1").header("Cookie", "c=1");
        new.submit::<Value>().await.unwrap().await.unwrap();
        let asked = asked(&service);
        assert_eq!(asked.len(), requests, "{asked:?}");
        assert!(asked[0].1 && asked[1..].iter().all(|(_, carries)| !carries), "{asked:?}");
        assert!(asked.last().unwrap().0.contains("https://api.example.com/v1/"), "{asked:?}");
        for seen in &service.requests()[1..] {
            assert!(seen.header("x-mine").is_none() && seen.header("cookie").is_none(), "{asked:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_goes_bare_where_a_foreign_status_says() {
    let stop = "https://api.example.com/v1/users/me/delete";
    let foreign = reply(200).json(json!({"status": "running", "urls": {"cancel": stop}}));
    let named = json!({"urls": {"cancel": "/v1/stop/7"}});
    for (accepted, status, cancel) in [
        (elsewhere(), foreign, (format!("POST {stop}"), false)),
        (
            elsewhere().json(named),
            reply(200).json(json!({"status": "running"})),
            ("POST https://api.example.com/v1/stop/7".to_owned(), true),
        ),
        (
            elsewhere(),
            reply(200).header("operation-location", stop).json(json!({"status": "running"})),
            (format!("DELETE {stop}"), false),
        ),
    ] {
        let service = script([accepted, status, reply(204)]);
        let mut task = client(&service).task().post("exports").submit::<Value>().await.unwrap();
        task.advance().await.unwrap().unwrap();
        task.advance().await.unwrap().unwrap();
        task.handle().cancel().await.unwrap();
        assert_eq!(asked(&service).last().unwrap(), &cancel);
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_a_foreign_status_names_is_downloaded_bare() {
    let link = "https://api.example.com/v1/files/7";
    let protocol = Protocol::auto().result(Source::pointer("/file"), longhaul::protocols::ResultKind::Link);
    for (location, carries) in [("/v1/tasks/7", true), (FOREIGN, false)] {
        let service = script([
            reply(202).header("operation-location", location),
            reply(200).json(json!({"status": "succeeded", "file": link})),
            reply(200).header("content-length", "2").body("ab"),
        ]);
        let task = client(&service).task().protocol(protocol.clone()).post("exports").submit::<Value>().await.unwrap();
        let bytes = task.await.unwrap().download().to_memory(10).await.unwrap();
        assert_eq!(&*bytes, b"ab");
        assert_eq!(asked(&service)[2], (format!("GET {link}"), carries), "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_keeps_who_named_its_urls() {
    let own = "https://api.example.com/v1/other";
    let service = script([
        elsewhere(),
        reply(200).header("operation-location", own).json(json!({"status": "running"})),
        reply(200).json(json!({"status": "succeeded", "result": 1})),
    ]);
    let client = client(&service);
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    task.advance().await.unwrap().unwrap();
    task.advance().await.unwrap().unwrap();
    let token = task.token().to_string().parse().unwrap();
    client.resume::<Value>(token).unwrap().await.unwrap();
    assert_eq!(asked(&service)[2], (format!("GET {own}"), false));
}

#[tokio::test(start_paused = true)]
async fn pages_that_a_foreign_page_leads_to_are_bare() {
    let rule = PageRule::new("rows", Source::pointer("/rows/*")).next(Next::url(Source::pointer("/next")));
    let page = |next: Option<&str>| reply(200).json(json!({"rows": [1], "next": next}));
    let service = script([
        reply(202).header("operation-location", "/v1/tasks/7"),
        reply(200).json(json!({"status": "succeeded"})),
        page(Some("/v1/rows/2")),
        page(Some("https://rows.example.net/3")),
        page(Some("https://api.example.com/v1/users")),
        page(None),
    ]);
    let protocol = Protocol::auto().pages(rule);
    let task = client(&service).task().protocol(protocol).post("exports").submit::<Value>().await.unwrap();
    let rows: Vec<u32> = task.await.unwrap().pages::<u32>().try_collect().await.unwrap();
    assert_eq!(rows, [1; 4]);
    let carries: Vec<_> = asked(&service).into_iter().skip(2).map(|(_, carries)| carries).collect();
    assert_eq!(carries, [true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn pages_that_a_foreign_status_leads_to_are_bare() {
    let own = "https://api.example.com/v1/users/me";
    let page = |next: Option<&str>| reply(200).json(json!({"rows": [1], "next": next}));
    let rows = || Source::pointer("/rows/*");
    let next = || Next::url(Source::pointer("/next"));
    let done = || reply(200).json(json!({"status": "succeeded", "path": "users/me", "id": "9"}));
    for (rule, status, carried) in [
        // The result behind a redirect is the first page.
        (
            PageRule::rows(rows()),
            vec![reply(303).header("location", own), page(Some("/v1/users/2")), page(None)],
            [false; 2],
        ),
        // The first page is where a member of the foreign answer says.
        (PageRule::new("{+/path}", rows()), vec![done(), page(Some("/v1/users/2")), page(None)], [false; 2]),
        (PageRule::new("x/{/id}/rows", rows()), vec![done(), page(None)], [false; 2]),
        // It is where the caller says.
        (PageRule::new("rows", rows()), vec![done(), page(Some("/v1/users/2")), page(None)], [true; 2]),
    ] {
        let pages = status.len() - 1;
        let service = script([elsewhere()].into_iter().chain(status));
        let protocol = Protocol::auto().pages(rule.next(next()));
        let task = client(&service).task().protocol(protocol).post("exports").submit::<Value>().await.unwrap();
        let rows: Vec<u32> = task.await.unwrap().pages::<u32>().try_collect().await.unwrap();
        assert_eq!(rows, vec![1; pages]);
        let asked = asked(&service);
        let carries: Vec<_> = asked.iter().skip(2).map(|(_, carries)| *carries).collect();
        assert_eq!(carries, carried[..pages], "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_at_the_api_keeps_its_limits_behind_a_foreign_status() {
    let files: Vec<_> = (0..3).map(|file| format!("https://api.example.com/v1/files/{file}")).collect();
    let done = reply(200).json(json!({"status": "succeeded", "files": files}));
    let file = || reply(200).header("content-length", "2").body("ab");
    let service = script([elsewhere(), done, file(), file(), file()]);
    let client = builder(&service).limit(Limit::per_minute(1).scope(Scope::route("GET files/*"))).build().unwrap();
    let protocol = Protocol::auto().result(Source::pointer("/files/*"), longhaul::protocols::ResultKind::Link);
    let task = client.task().protocol(protocol).post("exports").submit::<Value>().await.unwrap();
    let outcome = task.await.unwrap();
    for download in outcome.downloads() {
        assert_eq!(&*download.to_memory(10).await.unwrap(), b"ab");
    }
    assert!(asked(&service)[2..].iter().all(|(_, carries)| !carries));
    assert!(service.gaps()[2..].iter().all(|gap| *gap >= secs(60)), "{:?}", service.gaps());
}

// Their legitimate neighbours.

#[tokio::test(start_paused = true)]
async fn a_poll_with_a_body_tells_a_foreign_status_what_the_body_is() {
    let accepted = elsewhere().json(json!({"id": "j7"}));
    let service = script([accepted, reply(200).json(json!({"status": "succeeded", "result": 1}))]);
    let protocol = Protocol::auto().poll("POST {status} {\"id\": \"{id}\"}".parse().unwrap());
    let new = client(&service).task().protocol(protocol).post("exports").header("X-Mine", "1");
    new.submit::<Value>().await.unwrap().await.unwrap();
    let seen = &service.requests()[1];
    assert_eq!((seen.header("content-type"), seen.header("x-mine")), (Some("application/json"), None));
    assert_eq!(asked(&service)[1], (format!("POST {FOREIGN}"), false));
}

#[tokio::test(start_paused = true)]
async fn a_page_behind_a_storage_link_leads_on_with_the_credential() {
    let cursor = PageRule::rows(Source::pointer("/rows/*")).next(Next::cursor(Source::pointer("/cursor"), "cursor"));
    let page = |cursor: Option<&str>| reply(200).json(json!({"rows": [1], "cursor": cursor}));
    let link = |number| reply(302).header("location", &format!("https://store.example.net/{number}?sig=S"));
    let service = script([
        link(1),
        page(Some("c2")),
        // The second breaks off once: it is asked for as it was.
        link(2),
        page(Some("c3")).cut(),
        link(2),
        page(Some("c3")),
        page(None),
    ]);
    let rows: Vec<u32> = client(&service).pages::<u32>(Method::GET, "rows", cursor).try_collect().await.unwrap();
    assert_eq!(rows, [1; 3]);
    let asked = asked(&service);
    let carries: Vec<_> = asked.iter().map(|(_, carries)| *carries).collect();
    assert_eq!(carries, [true, false, true, false, true, false, true], "{asked:?}");
    assert_eq!(asked[6].0, "GET https://api.example.com/v1/rows?cursor=c3");
}

#[tokio::test(start_paused = true)]
async fn own_names_keep_the_credential_behind_a_foreign_status() {
    let done = || reply(200).json(json!({"status": "succeeded"}));
    for (method, accepted, last) in [
        // Azure: the Location of the submit is the result once the operation is done, wherever its status was.
        (Method::POST, elsewhere().header("location", "/v1/results/7"), "GET https://api.example.com/v1/results/7"),
        // Azure: the resource itself after a PUT.
        (Method::PUT, elsewhere(), "GET https://api.example.com/v1/exports"),
    ] {
        let service = script([accepted, done(), reply(200).json(json!(1))]);
        let new = client(&service).task().method(method, "exports");
        new.submit::<Value>().await.unwrap().await.unwrap();
        assert_eq!(asked(&service)[1], (format!("GET {FOREIGN}"), false));
        assert_eq!(asked(&service)[2], (last.to_owned(), true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_at_an_allowed_origin_leads_on_with_the_credential() {
    let service = script([
        elsewhere(),
        reply(200).json(json!({"status": "succeeded", "resourceLocation": "https://api.example.com/v1/r"})),
        reply(200).json(json!(1)),
    ]);
    let client = builder(&service).allow_origin("https://status.example.net").build().unwrap();
    client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert!(asked(&service).iter().all(|(_, carries)| *carries), "{:?}", asked(&service));
}
