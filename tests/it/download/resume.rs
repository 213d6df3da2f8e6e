//! A body that breaks off or stalls goes on at its offset, for as long as there is progress.

use super::*;

#[tokio::test]
async fn a_body_that_is_cut_again_and_again_is_sent_only_once() {
    let bench = Bench::start(Simulator::builder().result_size(1_000_000).cut_bodies_every(150_000)).await;
    let folder = Folder::new();
    let receipt = bench.outcome.download().to_file(folder.at("7")).await.unwrap();
    assert!(bench.is_whole(&folder.at("7")));
    assert_eq!((receipt.bytes(), receipt.reopened()), (1_000_000, 6));
    let counts = bench.service.counts();
    assert_eq!((counts.downloads(), counts.storage_bytes()), (7, 1_000_000));
}

#[tokio::test]
async fn every_sink_resumes_a_body_that_is_cut() {
    let bench = Bench::start(Simulator::builder().result_size(700_000).cut_bodies_every(300_000)).await;
    assert!(bench.content().verify(&*bench.outcome.download().to_memory(700_000).await.unwrap()).unwrap());
    let mut written = Vec::new();
    let receipt = bench.outcome.download().to_writer(&mut written).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened()), (700_000, 2));
    assert!(bench.content().verify(&*written).unwrap());
    let chunks: Vec<Bytes> = bench.outcome.download().stream().try_collect().await.unwrap();
    assert!(bench.content().verify(&*chunks.concat()).unwrap());
    assert_eq!(bench.service.counts().storage_bytes(), 2_100_000);
}

#[tokio::test(start_paused = true)]
async fn resumes_at_the_offset_with_if_match() {
    let service = script([
        part("0-9/10", "0123").header("last-modified", DATE).cut(),
        part("4-9/10", "45").cut(),
        part("6-9/10", "6789"),
    ]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-", "bytes=6-"]);
    assert_eq!(asked(&service, "if-match"), ["-", "\"v1\"", "\"v1\""]);
    assert_eq!(asked(&service, "if-unmodified-since"), ["-", "-", "-"]);
    assert_eq!(service.gaps(), [secs(1), secs(1)]);
}

#[tokio::test(start_paused = true)]
async fn resumes_with_if_unmodified_since_where_there_is_no_etag() {
    let dated = |range, body: &'static str| bare_part(range, body).header("last-modified", DATE);
    let service = script([dated("0-9/10", "0123").cut(), dated("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "if-unmodified-since"), ["-", DATE]);
    assert_eq!(asked(&service, "if-match"), ["-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn a_weak_etag_is_not_used_for_if_match() {
    let weak = |range, body: &'static str| bare_part(range, body).header("etag", "W/\"v1\"");
    let service = script([weak("0-9/10", "0123").cut(), weak("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "if-match"), ["-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn without_validators_the_length_alone_is_pinned() {
    let service = script([bare_part("0-9/10", "0123").cut(), bare_part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    let service = script([bare_part("0-9/10", "0123").cut(), bare_part("4-10/11", "456789X")]);
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::ResultChanged);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_shorter_than_stated_is_resumed() {
    let service = script([part("0-9/10", "0123"), part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-"]);
    let service = script([whole("0123").header("content-length", "10"), part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_range_that_is_shorter_than_asked_for_is_gone_on_with() {
    let service = script([part("0-3/10", "0123"), part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_416_that_makes_no_sense_is_asked_once_more_without_a_range() {
    for refusal in [reply(416), reply(416).header("content-range", "bytes */10")] {
        let service = script([refusal.clone(), whole(TEN_BYTES)]);
        assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
        assert_eq!(asked(&service, "range"), ["bytes=0-", "-"]);
        let service = script([refusal.clone(), refusal]);
        assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::ResultUnavailable);
        assert_eq!(service.requests().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_body_is_opened_again() {
    let store = Store::new(TEN_BYTES).stalling_after([0, 4]);
    let begun = Instant::now();
    assert_eq!(store.client().download(LINK).to_memory(10).await.unwrap(), TEN_BYTES);
    assert_eq!(store.asked(), [0, 0, 4]);
    // Nothing came, so the first pause; then four bytes, so the first pause again.
    assert_eq!(begun.elapsed(), 2 * (secs(30) + secs(1)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_asked_for_again() {
    let service = script([reply(200).silent(), reply(200).lost(), whole(TEN_BYTES)]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(service.gaps(), [secs(60) + secs(1), secs(2)]);
}

#[tokio::test(start_paused = true)]
async fn eight_failures_without_progress_end_it_and_leave_the_part() {
    let service = script([part("0-9/10", "0123").cut()]);
    (0..8).for_each(|_| service.then(reply(500)));
    let folder = Folder::new();
    let error = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 8), "{error}");
    // The cut itself is the first of the eight.
    assert_eq!(service.gaps(), [1, 2, 4, 8, 16, 30, 30].map(secs));
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    assert_eq!(folder.read("7.part"), b"0123");
}

#[tokio::test(start_paused = true)]
async fn a_byte_of_progress_gives_all_attempts_back() {
    let service = script([]);
    for first in 0..9 {
        service.then(part(&format!("{first}-9/10"), &TEN_BYTES[first..=first]).cut());
        (0..6).for_each(|_| service.then(reply(503)));
    }
    service.then(part("9-9/10", "9"));
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(service.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    for status in [429, 503, 500] {
        let service = script([
            reply(status).header("retry-after", "7"),
            reply(status).header("retry-after", "0"),
            reply(status).header("retry-after", "Tue, 01 Jan 2030 00:01:09 GMT"),
            whole(TEN_BYTES),
        ]);
        assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
        // 7 asked for; then the schedule's own second pause; then until 69 seconds after midnight, 9 of them gone.
        assert_eq!(service.gaps(), [7, 2, 60].map(secs), "{status}");
    }
}
