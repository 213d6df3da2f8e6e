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
    let dated =
        |range, body: &'static str| bare_part(range, body).header("last-modified", DATE).header("date", MUCH_LATER);
    let service = script([dated("0-9/10", "0123").cut(), dated("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "if-unmodified-since"), ["-", DATE]);
    assert_eq!(asked(&service, "if-match"), ["-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn what_proves_nothing_is_not_gone_on_with() {
    let young = |answer: Canned| answer.header("last-modified", DATE).header("date", DATE);
    let marks: [fn(Canned) -> Canned; 4] = [
        |answer| answer,
        |answer| answer.header("etag", "W/\"v1\""),
        |answer| answer.header("etag", "v1, v2"),
        |answer| answer.header("x-ms-version-id", "7"),
    ];
    let marks = marks.into_iter().map(|mark| Box::new(mark) as Box<dyn Fn(Canned) -> Canned>);
    for mark in marks.chain([Box::new(young) as Box<dyn Fn(Canned) -> Canned>]) {
        let service = script([mark(bare_part("0-9/10", "0123")).cut(), mark(bare_part("0-9/10", "ABCDEFGHIJ"))]);
        assert_eq!(memory(&service).await.unwrap(), "ABCDEFGHIJ");
        assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=0-"]);
        assert_eq!(asked(&service, "if-match"), ["-", "-"]);
    }
}

#[tokio::test(start_paused = true)]
async fn weak_etags_are_trusted_on_demand() {
    let weak = |answer: Canned, etag: &str, date: &str| {
        answer.header("etag", etag).header("last-modified", date).header("date", date)
    };
    let first = || weak(bare_part("0-9/10", "0123"), "W/\"v1\"", DATE).cut();
    for (rest, expected) in [
        (weak(bare_part("4-9/10", "456789"), "W/\"v1\"", DATE), Ok(TEN_BYTES)),
        (weak(bare_part("4-9/10", "EFGHIJ"), "W/\"v2\"", DATE), Err(ErrorKind::ResultChanged)),
        (weak(bare_part("4-9/10", "EFGHIJ"), "W/\"v1\"", LATER), Err(ErrorKind::ResultChanged)),
        (weak(bare_part("4-10/11", "EFGHIJK"), "W/\"v1\"", DATE), Err(ErrorKind::ResultChanged)),
    ] {
        let service = script([first(), rest]);
        let download = service.client().build().unwrap().download(LINK).trust_weak_etags(true);
        let got = download.to_memory(20).await.map_err(|error| error.kind());
        assert_eq!(got.as_deref(), expected.as_deref());
        assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_shorter_than_stated_is_resumed() {
    let service = script([part("0-9/10", "0123"), part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-"]);
    let v1 = |answer: Canned| answer.header("etag", "\"v1\"");
    let service = script([v1(whole("0123").header("content-length", "10")), part("4-9/10", "456789")]);
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
