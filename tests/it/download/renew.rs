//! A link that expires is renewed through its task.

use super::*;

#[tokio::test]
async fn an_expired_link_is_renewed_once_through_its_task() {
    for finish in [Finish::Resource, Finish::Signed, Finish::ResultOnly] {
        let bench = Bench::start(Simulator::builder().finish(finish)).await;
        bench.service.expire_links();
        let folder = Folder::new();
        let receipt = bench.outcome.download().to_file(folder.at("7")).await.unwrap();
        assert_eq!((receipt.bytes(), receipt.renewed(), receipt.reopened()), (1_000_000, 1, 0), "{finish:?}");
        assert!(bench.is_whole(&folder.at("7")));
        let counts = bench.service.counts();
        assert_eq!((counts.polls(), counts.downloads(), counts.misplaced_credentials()), (2, 2, 0), "{finish:?}");
    }
}

#[tokio::test]
async fn a_link_is_renewed_again_after_progress() {
    let bench = Bench::start(Simulator::builder().cut_bodies_every(250_000)).await;
    let polls = bench.service.counts().polls();
    let mut chunks = bench.outcome.download().stream();
    let mut got = Vec::new();
    while let Some(chunk) = chunks.try_next().await.unwrap() {
        got.extend_from_slice(&chunk);
        // A body that is on its way survives; the next one needs another link.
        bench.service.expire_links();
    }
    assert!(bench.content().verify(&*got).unwrap());
    let counts = bench.service.counts();
    assert_eq!((counts.polls() - polls, counts.storage_bytes()), (3, 1_000_000));
}

#[tokio::test]
async fn links_shorter_than_the_download_are_enough() {
    let builder = Simulator::builder()
        .result_size(1_200_000)
        .link_life(Duration::from_millis(500))
        .storage_rate(700_000)
        .cut_bodies_every(400_000);
    let bench = Bench::start(builder).await;
    let folder = Folder::new();
    let receipt = bench.outcome.download().to_file(folder.at("7")).await.unwrap();
    assert!(bench.is_whole(&folder.at("7")));
    // At this rate a body outlives its link.
    assert_eq!(receipt.reopened(), 2);
    assert!(receipt.renewed() >= 2, "{receipt:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_link_that_is_refused_is_the_end() {
    for (refusal, kind) in [(403, ErrorKind::AccessDenied), (401, ErrorKind::AccessDenied), (404, GONE), (410, GONE)] {
        let service = script([accepted(), told(LINK)]);
        let outcome = finished(&service).await;
        [reply(refusal), told(FRESH), reply(refusal)].into_iter().for_each(|answer| service.then(answer));
        let error = outcome.download().to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("also with a fresh link"), "{error}");
        assert_eq!((service.requests().len(), service.left()), (5, 0));
        assert_eq!(service.requests()[4].url().as_str(), FRESH);
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewed_link_goes_on_with_the_pinned_etag() {
    let service = script([accepted(), told(LINK)]);
    let outcome = finished(&service).await;
    service.then(part("0-9/10", "0123").cut());
    service.then(reply(400).body("<Error><Code>ExpiredToken</Code></Error>"));
    service.then(told(FRESH));
    service.then(part("4-9/10", "456789"));
    assert_eq!(outcome.download().to_memory(10).await.unwrap(), TEN_BYTES);
    let last = service.requests().pop().unwrap();
    assert_eq!(last.url().as_str(), FRESH);
    assert_eq!((last.header("range"), last.header("if-match")), (Some("bytes=4-"), Some("\"v1\"")));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_gives_no_fresh_link_is_the_end() {
    let service = script([accepted(), told(LINK)]);
    let outcome = finished(&service).await;
    service.then(reply(403));
    service.then(reply(200).json(json!({"Status": "failed", "Error": {"message": "it is gone"}})));
    let error = outcome.download().to_memory(10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.to_string().contains("it is gone"), "{error}");
    let refused = error.source().expect("what the storage had said").to_string();
    assert!(refused.contains("403"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_link_without_a_task_is_denied_with_its_known_expiry() {
    // The script's clock reads 2030-01-01; the storage's own Date outranks it.
    for (query, date, words) in [
        ("se=2029-12-31T23%3A59%3A59Z&sig=S3CRET", None, "the link has expired"),
        ("se=2030-01-02T00%3A00%3A00Z&sig=S3CRET", None, "the link has not expired yet"),
        ("se=2030-01-02T00%3A00%3A00Z&sig=S3CRET", Some("Thu, 03 Jan 2030 00:00:00 GMT"), "the link has expired"),
        ("X-Amz-Date=20291231T235900Z&X-Amz-Expires=59&X-Amz-Signature=S3CRET", None, "the link has expired"),
        ("X-Goog-Date=20291231T235900Z&X-Goog-Expires=61&X-Goog-Signature=S3CRET", None, "has not expired yet"),
        ("Expires=1893455999&Signature=S3CRET", None, "the link has expired"),
        ("sig=S3CRET", None, "answered with 403"),
        ("se=never&sig=S3CRET", None, "answered with 403"),
        ("X-Amz-Date=20291231T235900Z&X-Amz-Expires=99999999999999999999&X-Amz-Signature=S3CRET", None, "with 403"),
        ("Expires=18446744073709551615&Signature=S3CRET", None, "answered with 403"),
    ] {
        let refusal = reply(403);
        let service = script([date.map_or(refusal.clone(), |date| refusal.header("date", date))]);
        let link = format!("https://store.example.net/7?{query}");
        let error = service.client().build().unwrap().download(link).to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{query}");
        assert!(error.to_string().contains(words), "{query}: {error}");
        assert_eq!(error.to_string().contains("expired"), words.contains("expired"), "{query}: {error}");
        assert!(!format!("{error} {error:?}").contains("S3CRET"));
    }
}
