//! Bytes of two versions are never joined: replaced results, other ranges, storages without ranges.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_result_that_was_replaced_mid_way_is_an_error_and_no_file() {
    let dated = |range, body: &'static str, date| {
        bare_part(range, body).header("last-modified", date).header("date", MUCH_LATER)
    };
    let etag = |range, body: &'static str, etag| bare_part(range, body).header("etag", etag);
    for (why, before, now) in [
        ("412", part("0-9/10", "0123"), reply(412)),
        ("another ETag", part("0-9/10", "0123"), etag("4-9/10", "456789", "\"v2\"")),
        ("another date", dated("0-9/10", "0123", DATE), dated("4-9/10", "456789", LATER)),
        ("another length", part("0-9/10", "0123"), part("4-10/11", "456789X")),
        ("a shorter length", part("0-9/10", "0123"), part("4-8/9", "45678")),
        ("shorter than what came", part("0-9/10", "0123"), reply(416).header("content-range", "bytes */3")),
        ("a 200 of another ETag", part("0-9/10", "0123"), whole("ABCDEFGHIJ").header("etag", "\"v2\"")),
        ("a 416 of another ETag", part("0-9/10", TEN_BYTES), {
            reply(416).header("content-range", "bytes */10").header("etag", "\"v2\"")
        }),
    ] {
        for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
            // The last byte of a stated length is not read past: a cut before it makes the second request.
            let before =
                if why.starts_with("a 416") { before.clone().body("0123").cut() } else { before.clone().cut() };
            let service = script([before, now.clone()]);
            let folder = Folder::new();
            let error = sink.run(service.client().build().unwrap().download(LINK), &folder).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResultChanged, "{why}, {sink:?}: {error}");
            assert!(!folder.at("7").exists());
        }
    }
}

#[tokio::test]
async fn a_replaced_result_is_never_spliced() {
    let bench = Bench::start(Simulator::builder().cut_bodies(1, 400_000)).await;
    let mut chunks = bench.outcome.download().stream();
    let first = chunks.next().await.unwrap().unwrap();
    assert!(first.len() < 400_000);
    bench.service.replace_results();
    let error = chunks.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultChanged, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_result_replaced_before_its_first_byte_is_the_result() {
    let service = script([part("0-9/10", "").cut(), bare_part("0-9/10", TEN_BYTES).header("etag", "\"v2\"")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "if-match"), ["-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_of_a_version_without_a_byte_is_not_held_against_the_next() {
    // Without ranges, and without a total: one connection fetches it.
    let first =
        whole("").header("content-length", "10").header("etag", "\"v0\"").header("x-goog-hash", "crc32c=AAAAAA==");
    let second = whole(TEN_BYTES).header("content-length", "10").header("etag", "\"v1\"");
    let second = second.header("x-goog-hash", "crc32c=KAwGng==");
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let service = script([first.clone().cut(), reply(503), second.clone()]);
        let folder = Folder::new();
        let got = sink.run(service.client().build().unwrap().download(LINK), &folder).await;
        assert_eq!(got.unwrap_or_else(|error| panic!("{sink:?}: {error}")), TEN_BYTES);
    }
    // Nor does the journal name it.
    let service = script([first.cut(), second.body("0123").cut(), reply(404)]);
    let folder = Folder::new();
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert!(folder.text("7.part.json").contains(r#""etag":"\"v1\"""#), "{}", folder.text("7.part.json"));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_empty_by_now_is_an_empty_file() {
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let first = whole("").header("content-length", "10").header("x-goog-hash", "crc32c=KAwGng==");
        let empty = reply(416).header("content-range", "bytes */0").header("x-goog-hash", "crc32c=AAAAAA==");
        let service = script([first.cut(), empty]);
        let folder = Folder::new();
        let got = sink.run(service.client().build().unwrap().download(LINK), &folder).await;
        assert_eq!(got.unwrap_or_else(|error| panic!("{sink:?}: {error}")), "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_that_cannot_be_used_begins_anew() {
    for wrong in [
        bare_part("4-9/10", "456789"),
        bare_part("5-9/10", "56789"),
        bare_part("1024-2047/4096", "456789"),
        bare_part("4-10/10", "456789X"),
        bare_part("9-4/10", "456789"),
        bare_part("4-9/10", "456789").header("content-length", "5"),
        reply(206).header("content-range", "items 4-9/10").body("456789"),
        reply(206).header("content-type", "multipart/byteranges; boundary=x").body("456789"),
    ] {
        let service = script([part("0-9/10", "0123").cut(), wrong.clone(), part("0-9/10", "ABCDEFGHIJ")]);
        let folder = Folder::new();
        let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await;
        let is_other = format!("{wrong:?}").contains("1024");
        match receipt {
            Ok(receipt) => {
                assert_eq!((receipt.bytes(), receipt.resumed_at()), (10, 0), "{wrong:?}");
                assert_eq!(folder.read("7"), b"ABCDEFGHIJ", "{wrong:?}");
                assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-", "bytes=0-"], "{wrong:?}");
            }
            Err(error) => assert!(is_other && error.kind() == ErrorKind::ResultChanged, "{wrong:?}: {error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_range_that_begins_earlier_the_overlap_is_left_out() {
    for overlapping in [part("3-9/10", "3456789"), part("0-9/10", TEN_BYTES)] {
        let service = script([part("0-9/10", "0123").cut(), overlapping]);
        assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    }
}

#[tokio::test]
async fn a_storage_without_ranges_is_read_over_where_it_proves_the_same() {
    let bench = Bench::start(Simulator::builder().ignore_ranges(true).cut_bodies(2, 300_000)).await;
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let folder = Folder::new();
        let got = sink.run(bench.outcome.download(), &folder).await.unwrap();
        assert!(bench.content().verify(&*got).unwrap(), "{sink:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_read_over_in_one_body_is_not_cut_off_the_next() {
    let pinned = |body: &'static str| whole(body).header("content-length", "10").header("etag", "\"v1\"");
    let service = script([pinned("0123").cut(), pinned("01").cut(), part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn the_date_and_the_length_together_prove_the_same() {
    let dated = |body: &'static str, date| {
        whole(body).header("content-length", "10").header("last-modified", date).header("date", MUCH_LATER)
    };
    let service = script([dated("0123", DATE).cut(), dated("0123456789", DATE)]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    let service = script([dated("0123", DATE).cut(), dated("ABCDEFGHIJ", LATER)]);
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::ResultChanged);
}

#[tokio::test]
async fn a_file_begins_anew_where_nothing_proves_the_same() {
    let builder = Simulator::builder().ignore_ranges(true).no_validators(true).cut_bodies(2, 300_000);
    let bench = Bench::start(builder).await;
    let folder = Folder::new();
    let download = bench.outcome.download();
    let progress = download.progress();
    let receipt = download.to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened(), receipt.resumed_at()), (1_000_000, 2, 0));
    assert!(bench.is_whole(&folder.at("7")));
    assert_eq!(folder.names(), ["7"]);
    assert_eq!((progress.now().bytes(), progress.now().total()), (1_000_000, Some(1_000_000)));
    // No answer is thrown away: what was asked for to go on is what it begins anew with.
    assert_eq!(bench.service.counts().downloads(), 3);
    assert_eq!(bench.service.counts().storage_bytes(), 1_600_000);
}

#[tokio::test]
async fn a_sink_that_cannot_take_back_says_why_it_ends() {
    for sink in [Sink::Writer, Sink::Stream] {
        let builder = Simulator::builder().ignore_ranges(true).no_validators(true).cut_bodies(1, 300_000);
        let bench = Bench::start(builder).await;
        let error = sink.run(bench.outcome.download(), &Folder::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{sink:?}");
        assert!(error.to_string().contains("a download to a file begins anew"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn beginning_anew_is_no_progress() {
    let service = script([]);
    (0..20).for_each(|_| service.then(whole(vec![7; 100_000]).header("content-length", "200000").cut()));
    let folder = Folder::new();
    let error = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 8));
    // The first body gave enough to go on at once; the others gave nothing that was not there.
    assert_eq!(service.gaps(), [0, 2, 4, 8, 16, 30, 30].map(secs));
}

#[tokio::test(start_paused = true)]
async fn a_range_that_nothing_proves_to_fit_is_not_appended() {
    let service =
        script([bare_part("0-3/*", "0123").cut(), bare_part("4-9/*", "456789"), bare_part("0-9/10", "ABCDEFGHIJ")]);
    let folder = Folder::new();
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(folder.read("7"), b"ABCDEFGHIJ");
}

#[tokio::test(start_paused = true)]
async fn a_whole_that_ends_before_the_offset_is_not_the_same() {
    let service = script([whole("0123").header("etag", "\"v1\"").cut()]);
    (0..8).for_each(|_| service.then(whole("01").header("etag", "\"v1\"")));
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::Interrupted);
}
