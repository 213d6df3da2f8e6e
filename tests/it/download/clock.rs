//! Links that end: renewed ahead of time, once for all connections, by the storage's clock, and never to another object.

use super::*;

/// Ends 20 seconds after the script's clock begins.
const SHORT: &str = "https://store.example.net/exports/7.parquet?se=2030-01-01T00%3A00%3A20Z&sig=S3CRET";

/// The targets of the requests so far, after those of the task.
fn links(service: &Script) -> Vec<String> {
    service.requests().iter().skip(2).map(|request| request.url().to_string()).collect()
}

const STATUS: &str = "https://api.example.com/v1/tasks/7";

#[tokio::test(start_paused = true)]
async fn a_link_is_renewed_before_it_ends() {
    let service = script([accepted(), told(SHORT)]);
    let outcome = finished(&service).await;
    // The first body comes late, and breaks off two seconds before the end.
    service.then(part("0-9/10", "0123").after(secs(19)).cut());
    service.then(told(FRESH));
    service.then(part("4-9/10", "456789"));
    let folder = Folder::new();
    let receipt = outcome.download().to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.renewed(), folder.read("7").as_slice()), (1, TEN_BYTES));
    assert_eq!(links(&service), [SHORT, STATUS, FRESH]);
    assert_eq!(service.requests()[4].header("if-match"), Some("\"v1\""));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_ahead_of_time_that_fails_is_no_failure_yet() {
    for refusal in [reply(404), reply(200).json(json!({"Status": "failed"})), told("ftp://nowhere.example/7")] {
        let service = script([accepted(), told(SHORT)]);
        let outcome = finished(&service).await;
        service.then(part("0-9/10", "0123").after(secs(19)).cut());
        service.then(refusal.clone());
        service.then(part("4-9/10", "456789"));
        assert_eq!(outcome.download().to_memory(10).await.unwrap(), TEN_BYTES, "{refusal:?}");
        assert_eq!(links(&service), [SHORT, STATUS, SHORT], "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_gives_the_same_link_again_is_not_asked_for_ever() {
    let service = script([accepted(), told(SHORT)]);
    let outcome = finished(&service).await;
    service.then(part("0-9/10", "01").after(secs(19)).cut());
    service.then(told(SHORT));
    service.then(part("2-9/10", "23").cut());
    service.then(part("4-9/10", "45").cut());
    service.then(part("6-9/10", "6789"));
    assert_eq!(outcome.download().to_memory(10).await.unwrap(), TEN_BYTES);
    assert_eq!(links(&service), [SHORT, STATUS, SHORT, SHORT, SHORT]);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_leads_to_another_object_is_never_spliced() {
    let other = bare_part("4-9/10", "EFGHIJ").header("etag", "\"v2\"");
    for answer in [other, reply(412), bare_part("4-10/11", "EFGHIJK").header("etag", "\"v1\"")] {
        for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
            let service = script([accepted(), told(LINK)]);
            let outcome = finished(&service).await;
            service.then(part("0-9/10", "0123").cut());
            service.then(reply(403));
            service.then(told(FRESH));
            service.then(answer.clone());
            let folder = Folder::new();
            let error = sink.run(outcome.download(), &folder).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResultChanged, "{sink:?}: {error}");
            assert!(!folder.at("7").exists());
            assert_eq!(links(&service), [LINK, LINK, STATUS, FRESH]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_without_validators_begins_anew_behind_its_renewal() {
    let service = script([accepted(), told(LINK)]);
    let outcome = finished(&service).await;
    service.then(bare_part("0-9/10", "0123").cut());
    service.then(reply(403));
    service.then(told(FRESH));
    service.then(bare_part("0-9/10", "ABCDEFGHIJ"));
    let folder = Folder::new();
    outcome.download().to_file(folder.at("7")).await.unwrap();
    assert_eq!((folder.read("7"), asked(&service, "range")[5].as_str()), (b"ABCDEFGHIJ".to_vec(), "bytes=0-"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_by_an_hour_costs_nothing() {
    // The script's clock reads 2030-01-01T00:00:00Z; the link ends 20 seconds later by the storage's.
    for (why, date, ends, renewed_ahead) in [
        ("ours is late", "Tue, 01 Jan 2030 01:00:00 GMT", "2030-01-01T01%3A00%3A20Z", true),
        ("ours is early", "Mon, 31 Dec 2029 23:00:00 GMT", "2029-12-31T23%3A00%3A20Z", false),
    ] {
        let link = format!("https://store.example.net/exports/7.parquet?se={ends}&sig=S3CRET");
        let service = script([accepted(), told(&link)]);
        let outcome = finished(&service).await;
        service.then(part("0-9/10", "0123").header("date", date).cut());
        if !renewed_ahead {
            service.then(reply(403).header("date", date));
        }
        service.then(told(FRESH));
        service.then(part("4-9/10", "456789").header("date", date));
        assert_eq!(outcome.download().to_memory(10).await.unwrap(), TEN_BYTES, "{why}");
        let mut expected = vec![link.clone(), STATUS.to_owned(), FRESH.to_owned()];
        if !renewed_ahead {
            expected.insert(1, link);
        }
        assert_eq!(links(&service), expected, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_has_ended_by_our_clock_alone_is_renewed_ahead_by_the_storages() {
    let link = "https://store.example.net/exports/7.parquet?se=2029-12-31T23%3A00%3A20Z&sig=S3CRET";
    let service = script([accepted(), told(link)]);
    let outcome = finished(&service).await;
    service.then(part("0-9/10", "0123").header("date", "Mon, 31 Dec 2029 23:00:19 GMT").after(secs(19)).cut());
    service.then(told(FRESH));
    service.then(part("4-9/10", "456789"));
    assert_eq!(outcome.download().to_memory(10).await.unwrap(), TEN_BYTES);
    assert_eq!(links(&service), [link, STATUS, FRESH]);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_has_ended_by_our_clock_alone_is_used() {
    let service = script([accepted(), told("https://store.example.net/7?se=2029-12-31T23%3A59%3A59Z&sig=S3CRET")]);
    let outcome = finished(&service).await;
    service.then(part("0-9/10", TEN_BYTES));
    assert_eq!(outcome.download().to_memory(10).await.unwrap(), TEN_BYTES);
    assert_eq!(links(&service).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_connections_that_are_refused_at_once_are_renewed_once() {
    let content = fastrand_bytes(4_000_000);
    let begun = Instant::now();
    // The first link ends after six seconds, and every body every second.
    let depot = Depot::new(content.clone(), move |ask, answer| {
        let is_old = ask.target.ends_with("sig=S3CRET");
        if is_old && begun.elapsed() >= secs(6) {
            Answer::of(403, "expired")
        } else {
            answer.rate(100_000).cut(100_000)
        }
    });
    // The task takes three seconds to answer, while one connection after another is refused.
    let service = script([accepted(), told(LINK), told(FRESH).after(secs(3))]);
    let client = service.client().profile(Profile::smag_task()).storage_http(depot.clone()).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    let folder = Folder::new();
    let receipt = outcome.download().part_size(64 << 10).to_file(folder.at("7")).await.unwrap();
    assert!(folder.read("7") == content);
    assert_eq!((receipt.renewed(), service.left(), service.requests().len()), (1, 0, 3));
    let asks = depot.asks();
    let refused = asks.iter().filter(|ask| ask.target.ends_with("sig=S3CRET")).count();
    assert!(receipt.connections() > 1 && refused > 2, "{receipt:?}");
    assert!(asks.iter().skip(1).all(|ask| ask.header("if-match") == Some("\"v1\"")));
    assert!(depot.sent() <= content.len() + asks.len() * CHUNK, "{}", depot.sent());
}
