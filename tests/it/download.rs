//! Downloads, seen from outside: every sink, over a script, over the simulator, and over a store that stalls.

use std::collections::{BTreeSet, VecDeque};
use std::env;
use std::error::Error as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, StatusCode};
use longhaul::testing::{self, Canned, Finish, Script, Seen, Side, Simulator, SimulatorBuilder, reply, script};
use longhaul::{
    Body, Client, Credential, Download, Error, ErrorKind, Http, HttpError, Outcome, Profile, ProgressWatch, Receipt,
    Request, Response,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

// The whole, and where it goes.

#[tokio::test]
async fn the_whole_file_lands_under_its_name_byte_for_byte_and_nothing_stays_beside_it() {
    let bench = Bench::start(Simulator::builder().result_size(3_000_001)).await;
    let folder = Folder::new();
    let receipt = bench.outcome.download().to_file(folder.at("7.parquet")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.resumed_at(), receipt.reopened(), receipt.renewed()), (3_000_001, 0, 0, 0));
    assert!(bench.is_whole(&folder.at("7.parquet")));
    assert_eq!(folder.names(), ["7.parquet"]);
    assert_eq!(bench.service.counts().downloads(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_has_the_final_name_before_it_is_whole() {
    let store = Store::new(TEN_BYTES).stalling_after([4]);
    let folder = Folder::new();
    let download = store.client().download(LINK);
    let mut progress = download.progress();
    tokio::select! {
        ended = download.to_file(folder.at("7")) => panic!("it cannot end: {ended:?}"),
        () = reaches(&mut progress, 4) => assert!(!folder.at("7").exists()),
    }
    store.client().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(folder.read("7"), TEN_BYTES);
}

#[tokio::test]
async fn a_file_that_was_there_is_replaced_only_by_the_whole() {
    let folder = Folder::new();
    folder.write("7", "before");
    let service = script([reply(404)]);
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(folder.read("7"), b"before");
    // A part without a byte is nothing to go on with.
    assert_eq!(folder.names(), ["7"]);
    let service = script([whole(TEN_BYTES)]);
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(folder.read("7"), TEN_BYTES);
    assert_eq!(folder.names(), ["7"]);
}

#[tokio::test]
async fn a_result_that_came_with_the_answer_goes_into_every_sink() {
    let service = script([accepted(), reply(200).json(json!({"Status": "finished", "Rows": 7}))]);
    let outcome = finished(&service).await;
    let folder = Folder::new();
    let receipt = outcome.download().to_file(folder.at("7.json")).await.unwrap();
    let body = outcome.bytes().unwrap();
    assert_eq!(receipt.bytes(), body.len() as u64);
    assert_eq!(folder.read("7.json"), **body);
    assert_eq!(folder.names(), ["7.json"]);
    assert_eq!(outcome.download().to_memory(1_000).await.unwrap(), body);
    assert_eq!(outcome.download().to_memory(3).await.unwrap_err().kind(), ErrorKind::TooLarge);
    let mut written = Vec::new();
    outcome.download().to_writer(&mut written).await.unwrap();
    assert_eq!(written, **body);
    let chunks: Vec<Bytes> = outcome.download().stream().try_collect().await.unwrap();
    assert_eq!(chunks.concat(), body.to_vec());
}

// Breaks and resumes.

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
async fn a_body_that_is_longer_than_stated_is_an_error_and_no_file() {
    for longer in [
        part("0-9/10", "0123456789X"),
        whole("0123456789X").header("content-length", "10"),
        // The bytes beyond the stated range could be anything.
        part("0-3/10", "01234"),
    ] {
        let service = script([longer]);
        let folder = Folder::new();
        let error = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultChanged, "{error}");
        assert!(!folder.at("7").exists());
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_that_nobody_states_is_read_to_the_end() {
    let service = script([whole(TEN_BYTES)]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    let service = script([whole("0123").header("etag", "\"v1\"").cut(), part("4-9/10", "456789")]);
    let folder = Folder::new();
    let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened()), (10, 1));
    assert_eq!(folder.read("7"), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_range_of_a_whole_that_nobody_knows_the_length_of_is_not_taken_for_the_whole() {
    for end in [reply(416), reply(416).header("content-range", "bytes */10"), part("10-9/10", "")] {
        let service = script([part("0-5/*", "012345"), part("6-9/*", "6789"), end]);
        assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
        assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=6-", "bytes=10-"]);
    }
    let service = script([part("0-9/*", "0123").cut(), reply(416)]);
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::ResultChanged);
}

#[tokio::test(start_paused = true)]
async fn an_empty_object_is_an_empty_file_in_all_its_forms() {
    for empty in [
        reply(200).header("content-length", "0"),
        reply(204),
        reply(416).header("content-range", "bytes */0"),
        reply(206).header("content-range", "bytes 0--1/0"),
    ] {
        let service = script([empty.clone(), empty.clone()]);
        let folder = Folder::new();
        let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
        assert_eq!(receipt, Receipt::default(), "{empty:?}");
        assert_eq!(folder.read("7"), b"");
        assert_eq!(folder.names(), ["7"]);
        assert_eq!(memory(&service).await.unwrap(), "", "{empty:?}");
        assert_eq!(service.left(), 0);
    }
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
async fn a_body_that_gives_no_byte_for_the_idle_timeout_is_opened_again() {
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
async fn eight_failures_without_progress_are_the_end_and_leave_the_part() {
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

#[tokio::test]
async fn a_busy_storage_costs_no_byte_and_no_name() {
    let builder = Simulator::builder().fail_storage(2, 503).trouble_retry_after(Duration::from_millis(1));
    let bench = Bench::start(builder).await;
    let folder = Folder::new();
    let receipt = bench.outcome.download().to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened()), (1_000_000, 0));
    assert!(bench.is_whole(&folder.at("7")));
    assert_eq!(bench.service.counts().downloads(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_download_ends_it() {
    for status in [202, 300, 304, 400, 409, 422, 501] {
        let service = script([reply(status).body("not the result")]);
        let folder = Folder::new();
        let error = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultUnavailable, "{status}: {error}");
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert_eq!(service.requests().len(), 1);
        assert!(!folder.at("7").exists());
    }
}

// A result that is another one now.

#[tokio::test(start_paused = true)]
async fn a_result_that_was_replaced_mid_way_is_an_error_and_no_file() {
    let dated = |range, body: &'static str, date| bare_part(range, body).header("last-modified", date);
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
async fn a_result_that_was_replaced_before_its_first_byte_is_just_the_result() {
    let service = script([part("0-9/10", "").cut(), bare_part("0-9/10", TEN_BYTES).header("etag", "\"v2\"")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(asked(&service, "if-match"), ["-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn another_range_than_was_asked_for_is_refused() {
    for wrong in [
        bare_part("3-9/10", "3456789"),
        bare_part("5-9/10", "56789"),
        bare_part("4-10/10", "456789X"),
        bare_part("9-4/10", "456789"),
        bare_part("4-9/10", "456789").header("content-length", "5"),
        reply(206).header("content-range", "items 4-9/10").body("456789"),
        reply(206).header("content-type", "multipart/byteranges; boundary=x").body("456789"),
    ] {
        let service = script([part("0-9/10", "0123").cut(), wrong.clone()]);
        let folder = Folder::new();
        let error = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultUnavailable, "{wrong:?}: {error}");
        assert_eq!(folder.names(), ["7.part", "7.part.json"], "{wrong:?}");
        assert_eq!(folder.read("7.part"), b"0123", "{wrong:?}");
    }
}

// Storages that know no ranges.

#[tokio::test]
async fn a_storage_that_ignores_ranges_is_read_over_to_the_offset_where_it_proves_the_same() {
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
    let dated = |body: &'static str, date| whole(body).header("content-length", "10").header("last-modified", date);
    let service = script([dated("0123", DATE).cut(), dated("0123456789", DATE)]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    let service = script([dated("0123", DATE).cut(), dated("ABCDEFGHIJ", LATER)]);
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::ResultChanged);
}

#[tokio::test]
async fn a_file_begins_anew_where_a_storage_can_neither_resume_nor_prove() {
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
async fn a_sink_that_cannot_take_back_says_that_the_storage_can_neither_resume_nor_prove() {
    for sink in [Sink::Writer, Sink::Stream, Sink::Memory] {
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

// Links that expire.

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
async fn a_link_without_a_task_is_denied_with_what_is_known_of_its_expiry() {
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

// Where requests go, and what they carry.

#[tokio::test(start_paused = true)]
async fn five_redirects_are_followed_bare_and_six_are_not() {
    let hop = |n: usize| reply(307).header("location", &format!("https://s{n}.example.net/7?sig=S3CRET"));
    for status in [301, 302, 303, 307, 308] {
        let service = script([reply(status).header("location", "https://s0.example.net/7?sig=S3CRET")]);
        (1..5).for_each(|n| service.then(hop(n)));
        service.then(whole(TEN_BYTES));
        let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
        assert_eq!(client.download(LINK).to_memory(10).await.unwrap(), TEN_BYTES);
        assert_eq!(service.requests().len(), 6);
        assert_all_bare(&service);
    }
    let service = script((0..6).map(hop));
    let error = memory(&service).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultUnavailable);
    assert!(error.to_string().contains("more than 5 redirects"), "{error}");
    assert_eq!(service.requests().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_relative_redirect_is_joined() {
    for (location, expected) in [
        ("/other/8?sig=S3CRET", "https://store.example.net/other/8?sig=S3CRET"),
        ("8?sig=S3CRET", "https://store.example.net/exports/8?sig=S3CRET"),
        ("//b.example.net/8?sig=S3CRET", "https://b.example.net/8?sig=S3CRET"),
        ("/8?next=https://c.example.net/", "https://store.example.net/8?next=https://c.example.net/"),
    ] {
        let service = script([reply(302).header("location", location), whole(TEN_BYTES)]);
        assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
        assert_eq!(service.requests()[1].url().as_str(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_that_leads_nowhere_is_an_error() {
    for location in ["", "ftp://a.example/7", "https://user:S3CRET@a.example/7", "//user:S3CRET@a.example/7"] {
        let service = script([reply(302).header("location", location).header("location", location)]);
        let answer = if location.is_empty() { reply(302) } else { reply(302).header("location", location) };
        let service = if location.is_empty() { script([answer]) } else { service };
        let error = memory(&service).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultUnavailable, "{location}: {error}");
        assert_eq!(service.requests().len(), 1, "{location}");
        assert!(!format!("{error} {error:?}").contains("S3CRET"));
    }
    let service = script([reply(302).header("location", "http://a.example/7?sig=S3CRET")]);
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::Untrusted);
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_resume_begins_at_the_link_again_and_pins_every_hop() {
    let hop = || reply(302).header("location", FRESH);
    let service = script([hop(), part("0-9/10", "0123").cut(), hop(), part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    let urls: Vec<_> = service.requests().iter().map(|request| request.url().to_string()).collect();
    assert_eq!(urls, [LINK, FRESH, LINK, FRESH]);
    assert_eq!(asked(&service, "if-match"), ["-", "-", "\"v1\"", "\"v1\""]);
}

#[tokio::test]
async fn no_credential_cookie_or_referer_ever_comes_to_the_storage() {
    for finish in [Finish::Resource, Finish::Signed, Finish::ResultOnly] {
        let builder = Simulator::builder().finish(finish).cut_bodies_every(400_000).fail_storage(1, 403);
        let bench = Bench::start(builder).await;
        let folder = Folder::new();
        bench.outcome.download().to_file(folder.at("7")).await.unwrap();
        let link = bench.outcome.links()[0].expose();
        bench.client.download(link).to_memory(1_000_000).await.unwrap();
        let counts = bench.service.counts();
        assert_eq!((counts.downloads(), counts.misplaced_credentials()), (7, 0), "{finish:?}");
        let log = bench.service.log();
        let storage = log.iter().filter(|seen| seen.side() == Side::Storage);
        let names: BTreeSet<_> = storage.flat_map(Seen::header_names).map(HeaderName::as_str).collect();
        let expected = ["accept-encoding", "host", "if-match", "range", "user-agent"];
        assert!(names.iter().all(|name| expected.contains(name) || *name == "accept"), "{names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_link_is_sent_byte_for_byte() {
    let link = "https://store.example.net/a%20b/%E2%82%AC.parquet?sv=2022&se=2030-01-02T00%3A00%3A00Z&sig=a%2Fb%3D+c";
    let service = script([whole(TEN_BYTES)]);
    service.client().build().unwrap().download(link).to_memory(10).await.unwrap();
    assert_eq!(service.requests()[0].url().as_str(), link);
}

#[tokio::test(start_paused = true)]
async fn a_link_of_the_apis_own_goes_with_the_credential_also_when_resumed() {
    let service =
        script([part("0-9/10", "0123").cut(), reply(503).header("retry-after", "7"), part("4-9/10", "456789")]);
    let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
    let got = client.download("https://api.example.com/v1/files/7").to_memory(10).await.unwrap();
    assert_eq!(got, TEN_BYTES);
    assert_eq!(asked(&service, "authorization"), ["Bearer T0KEN"; 3]);
    assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-", "bytes=4-"]);
    assert_eq!(asked(&service, "if-match"), ["-", "\"v1\"", "\"v1\""]);
    assert_eq!(asked(&service, "accept-encoding"), ["identity"; 3]);
    assert_eq!(service.gaps(), [1, 7].map(secs));
}

#[tokio::test(start_paused = true)]
async fn a_signed_link_goes_bare_also_on_the_apis_own_origin() {
    let service = script([whole(TEN_BYTES)]);
    let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
    client.download("https://api.example.com/v1/files/7?sig=S3CRET").to_memory(10).await.unwrap();
    assert_all_bare(&service);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_away_from_the_api_leaves_the_credential_behind_for_good() {
    let to = |url: &str| reply(302).header("location", url);
    let service = script([
        to("/v1/files/7/newest"),
        to("https://store.example.net/7?sig=S3CRET"),
        // A storage must not make the client call the API in its own name.
        to("https://api.example.com/v1/farms"),
        whole(TEN_BYTES),
    ]);
    let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
    client.download("https://api.example.com/v1/files/7").to_memory(10).await.unwrap();
    assert_eq!(asked(&service, "authorization"), ["Bearer T0KEN", "Bearer T0KEN", "-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn plain_http_is_refused_but_on_this_machine() {
    for refused in ["http://store.example.net/7?sig=S3CRET", "http://10.0.0.1/7?sig=S3CRET", "http://[2001:db8::1]/7"] {
        let service = script([whole(TEN_BYTES)]);
        let error = service.client().build().unwrap().download(refused).to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{refused}");
        assert!(service.requests().is_empty(), "{refused}");
    }
    for fine in ["http://127.0.0.1:9/7?sig=S3CRET", "http://localhost/7?sig=S3CRET", "http://[::1]:9/7", LINK] {
        let service = script([whole(TEN_BYTES)]);
        service.client().build().unwrap().download(fine).to_memory(10).await.unwrap();
        assert_eq!(service.requests().len(), 1, "{fine}");
    }
}

#[tokio::test]
async fn a_link_that_sending_would_change_is_refused_by_every_sink() {
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let service = script([whole(TEN_BYTES)]);
        let download = service.client().build().unwrap().download("https://store.example.net/7?rscd='7'&sig=S3CRET");
        let folder = Folder::new();
        let error = sink.run(download, &folder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{sink:?}");
        assert!(error.to_string().contains("percent-encode `'`"), "{error}");
        assert!(service.requests().is_empty() && folder.names().is_empty());
    }
}

// The other sinks.

#[tokio::test(start_paused = true)]
async fn memory_has_a_limit_that_the_stated_length_is_held_against_at_once() {
    let client = |answer| script([answer]).client().build().unwrap();
    assert_eq!(client(whole(TEN_BYTES)).download(LINK).to_memory(10).await.unwrap(), TEN_BYTES);
    for answer in [whole(TEN_BYTES), part("0-9/10", TEN_BYTES)] {
        let error = client(answer).download(LINK).to_memory(9).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("more than the 9 bytes"), "{error}");
    }
    let store = Store::new(vec![7; 1_000_000]);
    let error = store.client().download(LINK).to_memory(999_999).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!((store.asked().len(), store.sent()), (1, CHUNK));
}

#[tokio::test(start_paused = true)]
async fn a_writer_gets_all_in_order_and_is_flushed() {
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let mut writer = Picky::default();
    let receipt = service.client().build().unwrap().download(LINK).to_writer(&mut writer).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened()), (10, 1));
    assert_eq!((writer.taken, writer.flushed), (TEN_BYTES.to_vec(), true));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_refuses_ends_it_with_its_own_error() {
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let mut writer = Picky { room: Some(4), ..Picky::default() };
    let error = service.client().build().unwrap().download(LINK).to_writer(&mut writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("no room"), "{error}");
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).expect("the writer's error");
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(writer.taken, b"0123");
}

#[tokio::test(start_paused = true)]
async fn a_stream_asks_for_nothing_before_it_is_polled_and_ends_after_an_error() {
    let service = script([part("0-9/10", "0123").cut(), reply(404), whole(TEN_BYTES)]);
    let mut chunks = service.client().build().unwrap().download(LINK).stream();
    tokio::time::sleep(secs(60)).await;
    assert!(service.requests().is_empty());
    assert_eq!(chunks.next().await.unwrap().unwrap(), "0123");
    assert_eq!(chunks.next().await.unwrap().unwrap_err().kind(), ErrorKind::ResultUnavailable);
    assert!(chunks.next().await.is_none());
    assert_eq!(service.left(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_after_a_wait_for_it_was_dropped() {
    let store = Store::new(TEN_BYTES).stalling_after([4]);
    let mut chunks = store.client().download(LINK).stream();
    assert_eq!(chunks.next().await.unwrap().unwrap(), "0123");
    let begun = Instant::now();
    assert!(tokio::time::timeout(secs(20), chunks.next()).await.is_err());
    assert_eq!(chunks.next().await.unwrap().unwrap(), "456789");
    // The idle timeout and the pause went on meanwhile.
    assert_eq!(begun.elapsed(), secs(30) + secs(1));
    assert_eq!(store.asked(), [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_progress_counts_bytes_of_how_many_and_ends_with_the_download() {
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
        let folder = Folder::new();
        let download = service.client().build().unwrap().download(LINK);
        let mut watch = download.progress();
        assert_eq!((watch.now().bytes(), watch.now().total()), (0, None));
        let counting = async {
            let mut seen = Vec::new();
            while let Some(progress) = watch.changed().await {
                seen.push((progress.bytes(), progress.total()));
            }
            seen
        };
        let (done, seen) = tokio::join!(sink.run(download, &folder), counting);
        done.unwrap();
        assert!(seen.contains(&(4, Some(10))), "{sink:?}: {seen:?}");
        assert_eq!(seen.last(), Some(&(10, Some(10))), "{sink:?}");
        assert!(seen.is_sorted(), "{sink:?}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_an_empty_object_says_so() {
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let service = script([reply(416).header("content-range", "bytes */0")]);
        let download = service.client().build().unwrap().download(LINK);
        let watch = download.progress();
        sink.run(download, &Folder::new()).await.unwrap();
        assert_eq!((watch.now().bytes(), watch.now().total()), (0, Some(0)), "{sink:?}");
    }
}

// Going on with a part.

#[tokio::test(start_paused = true)]
async fn a_dropped_file_goes_on_where_it_was() {
    let content = fastrand_bytes(1_000_000);
    let store = Store::new(content.clone()).stalling_after([900_000]);
    let folder = Folder::new();
    let download = store.client().download(LINK);
    let mut progress = download.progress();
    tokio::select! {
        ended = download.to_file(folder.at("7")) => panic!("it cannot end: {ended:?}"),
        () = reaches(&mut progress, 900_000) => {}
    }
    let download = store.client().download(LINK);
    let mut progress = download.progress();
    let receipt = download.to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.resumed_at()), (1_000_000, 900_000));
    assert_eq!(progress.changed().await.map(|progress| progress.bytes()), Some(1_000_000));
    assert_eq!(store.asked(), [0, 900_000]);
    assert_eq!(store.sent(), 1_000_000);
    assert_eq!(folder.read("7"), content);
    assert_eq!(folder.names(), ["7"]);
}

#[test]
fn a_file_goes_on_after_its_runtime_is_gone() {
    let folder = Folder::new();
    let content = fastrand_bytes(1_000_000);
    for runtime in [
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
    ] {
        let store = Store::new(content.clone()).stalling_after([900_000]);
        let download = store.client().download(LINK);
        let mut progress = download.progress();
        // A task of its own, so that the end of the runtime is what drops it.
        runtime.spawn(download.to_file(folder.at("7")));
        runtime.block_on(reaches(&mut progress, 900_000));
        drop(runtime);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let receipt = runtime.block_on(store.client().download(LINK).to_file(folder.at("7"))).unwrap();
        // What was still to be written may be lost at the end of a runtime with many threads.
        assert!(receipt.resumed_at() >= 900_000 - (16 * CHUNK as u64), "{receipt:?}");
        assert!(folder.read("7") == content, "other bytes");
        fs::remove_file(folder.at("7")).unwrap();
    }
}

#[tokio::test]
async fn a_file_goes_on_where_a_killed_process_ended() {
    const NAME: &str = "download::a_file_goes_on_where_a_killed_process_ended";
    const LINK: &str = "LONGHAUL_TEST_LINK";
    const TARGET: &str = "LONGHAUL_TEST_TARGET";
    if let (Ok(link), Ok(target)) = (env::var(LINK), env::var(TARGET)) {
        // This is the process that will be killed.
        let client = Client::builder("http://127.0.0.1:1").no_proxy().build().unwrap();
        let ended = client.download(link).to_file(target).await;
        panic!("it cannot end: {ended:?}");
    }
    let content = fastrand_bytes(48 << 20);
    let link = stalling_server(content.clone(), 40 << 20).await;
    let folder = Folder::new();
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(LINK, &link)
        .env(TARGET, folder.at("7"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !folder.at("7.part.json").exists() {
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::task::yield_now().await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(folder.names().first().map(String::as_str), Some("7.part"));

    let client = Client::builder("http://127.0.0.1:1").no_proxy().build().unwrap();
    let receipt = client.download(link).to_file(folder.at("7")).await.unwrap();
    assert!(receipt.resumed_at() >= 32 << 20, "{receipt:?}");
    assert!(folder.read("7") == content, "other bytes");
    assert_eq!(folder.names(), ["7"]);
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_what_the_journal_vouches_for_are_not_trusted() {
    let folder = Folder::new();
    let service = interrupted(&folder).await;
    let mut part = folder.read("7.part");
    part.extend_from_slice(b"garbage that a kill left behind");
    folder.write("7.part", part);
    service.then(part_of_ten(4));
    let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.resumed_at()), (10, 4));
    assert_eq!(folder.read("7"), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_shorter_than_its_journal_says_begins_anew() {
    let folder = Folder::new();
    let service = interrupted(&folder).await;
    folder.write("7.part", "012");
    service.then(part_of_ten(0));
    let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.resumed_at()), (10, 0));
    assert_eq!(folder.read("7"), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_whole_already_is_only_asked_about() {
    let folder = Folder::new();
    let service = interrupted(&folder).await;
    let mut journal: Value = serde_json::from_slice(&folder.read("7.part.json")).unwrap();
    journal["synced"] = json!(10);
    let journal = journal.to_string();
    for answer in [
        reply(416).header("content-range", "bytes */10"),
        reply(416),
        reply(206).header("content-range", "bytes 10-9/10"),
    ] {
        folder.write("7.part", TEN_BYTES);
        folder.write("7.part.json", &journal);
        service.then(answer);
        let download = service.client().build().unwrap().download(LINK);
        let progress = download.progress();
        let receipt = download.to_file(folder.at("7")).await.unwrap();
        assert_eq!((receipt.bytes(), receipt.resumed_at()), (10, 10));
        assert_eq!((progress.now().bytes(), progress.now().total()), (10, Some(10)));
        assert_eq!(folder.read("7"), TEN_BYTES);
        assert_eq!(folder.names(), ["7"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_an_older_result_begins_anew_and_ends_right() {
    let v2 = |range, body: &'static str| bare_part(range, body).header("etag", "\"v2\"");
    for (why, answers) in [
        ("412", vec![reply(412), v2("0-9/10", "ABCDEFGHIJ")]),
        ("If-Match is ignored", vec![v2("4-9/10", "EFGHIJ"), v2("0-9/10", "ABCDEFGHIJ")]),
        ("ranges too", vec![whole("ABCDEFGHIJ").header("etag", "\"v2\""), v2("0-9/10", "ABCDEFGHIJ")]),
        ("shorter now", vec![reply(416).header("content-range", "bytes */2"), v2("0-1/2", "AB")]),
    ] {
        let folder = Folder::new();
        let service = interrupted(&folder).await;
        let before = service.requests().len();
        answers.into_iter().for_each(|answer| service.then(answer));
        let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
        assert_eq!(receipt.resumed_at(), 0, "{why}");
        assert!(b"ABCDEFGHIJ".starts_with(&folder.read("7")) && receipt.bytes() >= 2, "{why}");
        assert_eq!(folder.names(), ["7"]);
        let requests = &service.requests()[before..];
        assert_eq!((requests[0].header("range"), requests[0].header("if-match")), (Some("bytes=4-"), Some("\"v1\"")));
        assert_eq!((requests[1].header("range"), requests[1].header("if-match")), (Some("bytes=0-"), None), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_another_link_begins_anew_though_the_etags_are_alike() {
    let folder = Folder::new();
    let service = interrupted(&folder).await;
    let other = LINK.replace("/7.parquet", "/8.parquet");
    service.then(part("0-9/10", "ABCDEFGHIJ"));
    let receipt = service.client().build().unwrap().download(other).to_file(folder.at("7")).await.unwrap();
    assert_eq!(receipt.resumed_at(), 0);
    assert_eq!(folder.read("7"), b"ABCDEFGHIJ");
}

#[tokio::test(start_paused = true)]
async fn a_part_goes_on_with_a_fresh_link_to_the_same_object() {
    let folder = Folder::new();
    let service = interrupted(&folder).await;
    service.then(part_of_ten(4));
    let receipt = service.client().build().unwrap().download(FRESH).to_file(folder.at("7")).await.unwrap();
    assert_eq!(receipt.resumed_at(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_read_begins_anew() {
    let folder = Folder::new();
    interrupted(&folder).await;
    let whole_journal = String::from_utf8(folder.read("7.part.json")).unwrap();
    let edited = |member: &str, value: Value| {
        let mut journal: Value = serde_json::from_str(&whole_journal).unwrap();
        let (at, name) = member.rsplit_once('/').unwrap();
        journal.pointer_mut(at).unwrap()[name] = value;
        journal.to_string()
    };
    for journal in [
        String::new(),
        whole_journal[..whole_journal.len() / 2].to_owned(),
        "\0\0\0\0\0\0\0\0".to_owned(),
        "[]".to_owned(),
        edited("/version", json!(2)),
        edited("/synced", json!(0)),
        edited("/synced", json!(-4)),
        edited("/synced", json!(u64::MAX)),
        edited("/pin/etag", Value::Null),
        edited("/pin/etag", json!("\"v1\"\r\nX-Evil: 1")),
    ] {
        let service = script([part_of_ten(0)]);
        folder.write("7.part", "XXXX");
        folder.write("7.part.json", &journal);
        let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
        assert_eq!((receipt.bytes(), receipt.resumed_at()), (10, 0), "{journal}");
        assert_eq!(folder.read("7"), TEN_BYTES, "{journal}");
        assert_eq!(folder.names(), ["7"]);
        assert_eq!(
            (asked(&service, "range"), asked(&service, "if-match")),
            (vec!["bytes=0-".into()], vec!["-".into()])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_without_a_strong_etag_begins_anew() {
    for validator in [("last-modified", DATE), ("etag", "W/\"v1\"")] {
        let dated = |range, body: &'static str| bare_part(range, body).header(validator.0, validator.1);
        let service = script([dated("0-9/10", "0123"), reply(404)]);
        let folder = Folder::new();
        let client = service.client().build().unwrap();
        client.download(LINK).to_file(folder.at("7")).await.unwrap_err();
        service.then(dated("0-9/10", "ABCDEFGHIJ"));
        let receipt = client.download(LINK).to_file(folder.at("7")).await.unwrap();
        assert_eq!(receipt.resumed_at(), 0);
        assert_eq!(folder.read("7"), b"ABCDEFGHIJ");
        assert_eq!(folder.names(), ["7"]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_downloads_to_one_file_the_second_is_told_who_holds_it() {
    let store = Store::new(TEN_BYTES).stalling_after([4]);
    let folder = Folder::new();
    let first = store.client().download(LINK);
    let mut progress = first.progress();
    let second = async {
        reaches(&mut progress, 4).await;
        store.client().download(LINK).to_file(folder.at("7")).await
    };
    let (first, second) = tokio::join!(first.to_file(folder.at("7")), second);
    let error = second.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains(&folder.at("7.part").display().to_string()), "{error}");
    assert_eq!(first.unwrap().bytes(), 10);
    assert_eq!(folder.read("7"), TEN_BYTES);
    assert_eq!(store.asked(), [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_second_download_waits_for_the_first_to_end_soon() {
    let store = Store::new(fastrand_bytes(3_000_000));
    let folder = Folder::new();
    let (one, two) = tokio::join!(
        store.client().download(LINK).to_file(folder.at("7")),
        store.client().download(LINK).to_file(folder.at("7")),
    );
    assert_eq!((one.unwrap().bytes(), two.unwrap().bytes()), (3_000_000, 3_000_000));
    assert_eq!(folder.names(), ["7"]);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_an_io_error_that_names_it_before_anything_is_sent() {
    let folder = Folder::new();
    fs::create_dir(folder.at("folder")).unwrap();
    fs::create_dir(folder.at("held.part")).unwrap();
    for (target, kind) in [
        (folder.at("missing/7"), Some(io::ErrorKind::NotFound)),
        (folder.at("folder"), Some(io::ErrorKind::IsADirectory)),
        (folder.at("held"), None),
        (read_only_folder(&folder).join("7.parquet"), None),
        (PathBuf::new(), None),
    ] {
        let service = script([whole(TEN_BYTES)]);
        let error = service.client().build().unwrap().download(LINK).to_file(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{target:?}");
        assert!(error.to_string().contains(&target.display().to_string()), "{error}");
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).expect("the system's error");
        assert!(kind.is_none_or(|kind| kind == source.kind()), "{source:?}");
        assert!(service.requests().is_empty(), "{target:?}");
    }
    assert_eq!(folder.names(), ["folder", "held.part", "read-only"]);
}

#[tokio::test(start_paused = true)]
async fn a_whole_that_cannot_take_its_name_is_not_fetched_again() {
    let folder = Folder::new();
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let client = service.client().build().unwrap();
    let download = client.download(LINK);
    let mut progress = download.progress();
    let meanwhile = async {
        reaches(&mut progress, 4).await;
        fs::create_dir(folder.at("7")).unwrap();
    };
    let (ended, ()) = tokio::join!(download.to_file(folder.at("7")), meanwhile);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(folder.names(), ["7", "7.part", "7.part.json"]);
    fs::remove_dir(folder.at("7")).unwrap();
    service.then(reply(416).header("content-range", "bytes */10"));
    assert_eq!(client.download(LINK).to_file(folder.at("7")).await.unwrap().resumed_at(), 10);
    assert_eq!(folder.read("7"), TEN_BYTES);
    assert_eq!(folder.names(), ["7"]);
}

#[tokio::test(start_paused = true)]
async fn the_word_of_the_storage_outranks_that_the_rest_could_not_be_kept() {
    let folder = Folder::new();
    let service = script([part("0-9/10", "0123").cut(), reply(404)]);
    let download = service.client().build().unwrap().download(LINK);
    let mut progress = download.progress();
    let meanwhile = async {
        reaches(&mut progress, 4).await;
        // No journal can be written where a folder has its name.
        fs::create_dir(folder.at("7.part.json")).unwrap();
    };
    let (ended, ()) = tokio::join!(download.to_file(folder.at("7")), meanwhile);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ResultUnavailable);
}

#[tokio::test(start_paused = true)]
async fn what_a_kill_left_of_a_journal_is_tidied_up() {
    let folder = Folder::new();
    folder.write("7.part.new", "{\"version\":");
    let service = script([whole(TEN_BYTES)]);
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(folder.names(), ["7"]);
}

#[test]
fn one_thread_that_may_block_is_enough_for_many_downloads() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let folder = Folder::new();
    let content = fastrand_bytes(300_000);
    let store = Store::new(content.clone()).stalling_after([100_000]);
    runtime.block_on(async {
        let stalled = store.client().download(LINK);
        let mut progress = stalled.progress();
        tokio::select! {
            ended = stalled.to_file(folder.at("stalled")) => panic!("it cannot end: {ended:?}"),
            receipt = async {
                reaches(&mut progress, 100_000).await;
                store.client().download(LINK).to_file(folder.at("7")).await
            } => assert_eq!(receipt.unwrap().bytes(), 300_000),
        }
    });
    assert_eq!(folder.read("7"), content);
}

// What is never shown.

#[tokio::test(start_paused = true)]
async fn what_is_left_on_disk_holds_no_link() {
    let folder = Folder::new();
    interrupted(&folder).await;
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    for name in folder.names() {
        let text = String::from_utf8(folder.read(&name)).unwrap();
        for secret in ["sig", "S3CRET", "http", "store.example.net", "parquet"] {
            assert!(!text.contains(secret), "{name}: {text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_signature_is_in_anything_that_can_be_printed() {
    let mut printed = String::new();
    let mut print = |text: String| printed.push_str(&text);
    let service = script([whole(TEN_BYTES)]);
    let download = service.client().build().unwrap().download(LINK);
    print(format!("{download:?} {:?} {:?}", download.link(), download.progress()));
    let folder = Folder::new();
    print(format!("{:?}", download.to_file(folder.at("7")).await.unwrap()));
    let said = "see https://store.example.net/7?sig=S3CRET";
    for answers in [
        vec![reply(403).body(said)],
        vec![reply(404).json(json!({"error": {"code": "x", "message": said}}))],
        vec![reply(400).body(said)],
        vec![part("0-9/10", "0123").cut(), reply(412)],
        vec![part("0-9/10", "0123").cut(), part("5-9/10", "56789")],
        vec![part("0-9/10", "0123456789X")],
        vec![reply(302).header("location", "ftp://a.example/7?sig=S3CRET")],
        vec![reply(302).header("location", "http://a.example/7?sig=S3CRET")],
        (0..6).map(|_| reply(302).header("location", LINK)).collect(),
        (0..8).map(|_| reply(500).body(said)).collect(),
        (0..8).map(|_| reply(200).lost()).collect(),
    ] {
        let service = script(answers);
        let error = service.client().build().unwrap().download(LINK).to_file(folder.at("8")).await.unwrap_err();
        print(chain(&error));
        for name in ["8.part", "8.part.json"] {
            let _ = fs::remove_file(folder.at(name));
        }
    }
    let client = service.client().build().unwrap();
    for link in ["https://a.example/?rscd='7'&sig=S3CRET", "ftp://a.example/?sig=S3CRET", "sig=S3CRET"] {
        let download = client.download(link);
        print(format!("{download:?}"));
        print(chain(&download.to_memory(1).await.unwrap_err()));
    }
    let error = client.download(LINK).to_file(folder.at("no/such")).await.unwrap_err();
    print(chain(&error));
    assert!(printed.len() > 1_000);
    for secret in ["sig=", "S3CRET"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

// What the tests stand on.

/// Ten bytes, and the link that they are behind.
const TEN_BYTES: &[u8] = b"0123456789";
const LINK: &str = "https://store.example.net/exports/7.parquet?se=2030-01-02T00%3A00%3A00Z&sig=S3CRET";
/// Another link to the same.
const FRESH: &str = "https://store.example.net/exports/7.parquet?se=2030-01-03T00%3A00%3A00Z&sig=S3CRET2";
const DATE: &str = "Mon, 31 Dec 2029 00:00:00 GMT";
const LATER: &str = "Mon, 31 Dec 2029 00:00:01 GMT";
const GONE: ErrorKind = ErrorKind::ResultUnavailable;

/// How many bytes a store hands out at once.
const CHUNK: usize = 16 << 10;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn whole(body: impl Into<Bytes>) -> Canned {
    reply(200).body(body)
}

/// A 206 without validators.
fn bare_part(range: &str, body: impl Into<Bytes>) -> Canned {
    reply(206).header("content-range", &format!("bytes {range}")).body(body)
}

/// A 206 of the first version.
fn part(range: &str, body: impl Into<Bytes>) -> Canned {
    bare_part(range, body).header("etag", "\"v1\"")
}

/// The rest of the ten bytes.
fn part_of_ten(first: usize) -> Canned {
    part(&format!("{first}-9/10"), &TEN_BYTES[first..])
}

/// What a submit is answered with.
fn accepted() -> Canned {
    reply(201).header("location", "https://api.example.com/v1/tasks/7").header("retry-after", "1")
}

/// A status that names a link.
fn told(link: &str) -> Canned {
    reply(200).json(json!({"Status": "finished", "Result": link}))
}

/// The outcome of a task that the first answers of the script are of.
async fn finished(service: &Script) -> Outcome<Value> {
    let client = service.client().profile(Profile::smag_task()).build().unwrap();
    client.task().post("exports").submit().await.unwrap().await.unwrap()
}

/// The ten bytes in memory, from a script.
async fn memory(service: &Script) -> Result<Bytes, Error> {
    service.client().build().unwrap().download(LINK).to_memory(10).await
}

/// Leaves four of ten bytes in `7.part`.
async fn interrupted(folder: &Folder) -> Script {
    let service = script([part("0-9/10", "0123").cut(), reply(404)]);
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    service
}

/// This header of every request, `-` where it is missing.
fn asked(service: &Script, header: &str) -> Vec<String> {
    service.requests().iter().map(|request| request.header(header).unwrap_or("-").to_owned()).collect()
}

fn assert_all_bare(service: &Script) {
    for name in ["authorization", "cookie", "referer", "proxy-authorization"] {
        assert!(asked(service, name).iter().all(|value| value == "-"), "{name} was sent");
    }
}

/// An error and all its sources, in both forms.
fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(" {error} {error:?}"));
        source = error.source();
    }
    text
}

async fn reaches(progress: &mut ProgressWatch, bytes: u64) {
    while progress.now().bytes() < bytes {
        progress.changed().await.expect("it goes on");
    }
}

fn fastrand_bytes(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::fill(&mut bytes);
    bytes.into()
}

/// A simulated service, and the outcome of a task of it.
struct Bench {
    service: Simulator,
    client: Client,
    outcome: Outcome<Value>,
}

impl Bench {
    async fn start(builder: SimulatorBuilder) -> Self {
        let quick = builder.task_duration(Duration::ZERO).hint_on_submit(true).retry_after(Duration::from_millis(1));
        let service = quick.start().await.unwrap();
        let client = testing::client(&service).build().unwrap();
        let outcome = client.task().post("exports").submit().await.unwrap().await.unwrap();
        Self { service, client, outcome }
    }

    fn content(&self) -> testing::Content {
        self.service.expected(&self.service.tasks()[0]).unwrap()
    }

    fn is_whole(&self, path: &Path) -> bool {
        self.content().verify(fs::File::open(path).unwrap()).unwrap()
    }
}

/// Each way out of a download.
#[derive(Clone, Copy, Debug)]
enum Sink {
    File,
    Writer,
    Stream,
    Memory,
}

impl Sink {
    async fn run(self, download: Download, folder: &Folder) -> Result<Bytes, Error> {
        match self {
            Self::File => {
                download.to_file(folder.at("7")).await?;
                Ok(folder.read("7").into())
            }
            Self::Writer => {
                let mut written = Vec::new();
                download.to_writer(&mut written).await?;
                Ok(written.into())
            }
            Self::Stream => Ok(download.stream().try_collect::<Vec<_>>().await?.concat().into()),
            Self::Memory => download.to_memory(2_000_000).await,
        }
    }
}

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("download-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(name), content).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder that nobody may write to, not even a superuser, whom permissions do not bind.
fn read_only_folder(inside: &Folder) -> PathBuf {
    let path = inside.at("read-only");
    fs::create_dir(&path).unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    match fs::File::create(path.join("probe")) {
        Err(_) => path,
        Ok(_) => {
            fs::remove_file(path.join("probe")).unwrap();
            PathBuf::from("/proc")
        }
    }
}

/// A writer that may have too little room.
#[derive(Default)]
struct Picky {
    room: Option<usize>,
    taken: Vec<u8>,
    flushed: bool,
}

impl AsyncWrite for Picky {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.room.is_some_and(|room| self.taken.len() + bytes.len() > room) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::StorageFull, "no room")));
        }
        // As a pipe does, it takes less than it is given.
        let bytes = &bytes[..bytes.len().min(3)];
        self.taken.extend_from_slice(bytes);
        self.flushed = false;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        panic!("it is not ours to shut down");
    }
}

/// One object in memory, behind a storage that stalls.
#[derive(Clone)]
struct Store(Arc<Mutex<Shelf>>);

struct Shelf {
    content: Bytes,
    /// After how many bytes each of the next bodies stalls for ever.
    stalls: VecDeque<usize>,
    /// The first byte of each request.
    asked: Vec<usize>,
    sent: usize,
}

impl Store {
    fn new(content: impl Into<Bytes>) -> Self {
        let shelf = Shelf { content: content.into(), stalls: VecDeque::new(), asked: Vec::new(), sent: 0 };
        Self(Arc::new(Mutex::new(shelf)))
    }

    fn stalling_after(self, stalls: impl IntoIterator<Item = usize>) -> Self {
        self.0.lock().unwrap().stalls.extend(stalls);
        self
    }

    fn client(&self) -> Client {
        script([]).client().storage_http(self.clone()).build().unwrap()
    }

    fn asked(&self) -> Vec<usize> {
        self.0.lock().unwrap().asked.clone()
    }

    fn sent(&self) -> usize {
        self.0.lock().unwrap().sent
    }

    /// Counts what it hands out.
    fn chunks(self, body: Bytes) -> impl Stream<Item = Result<Bytes, HttpError>> {
        stream::unfold((self, body), async |(store, mut body)| {
            let chunk = body.split_to(body.len().min(CHUNK));
            store.0.lock().unwrap().sent += chunk.len();
            (!chunk.is_empty()).then_some((Ok(chunk), (store, body)))
        })
    }
}

impl Http for Store {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let range = request.headers()["range"].to_str().unwrap();
        let first: usize = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
        let mut shelf = self.0.lock().unwrap();
        shelf.asked.push(first);
        let (total, stall) = (shelf.content.len(), shelf.stalls.pop_front());
        let end = stall.map_or(total, |after| first + after);
        let body = self.clone().chunks(shelf.content.slice(first..end));
        let body = if stall.is_some() { body.chain(stream::pending()).left_stream() } else { body.right_stream() };
        let headers: HeaderMap = [
            (http::header::ETAG, "\"v1\"".parse().unwrap()),
            (http::header::CONTENT_RANGE, format!("bytes {first}-{}/{total}", total - 1).parse().unwrap()),
        ]
        .into_iter()
        .collect();
        let response = Response::new(StatusCode::PARTIAL_CONTENT, request.url().clone()).headers_from(headers);
        Box::pin(async move { Ok(response.body_from(Body::stream(body))) })
    }
}

/// A storage over real sockets that stalls every body from the start after so many bytes. Gives the link.
async fn stalling_server(content: Bytes, after: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = format!("http://{}/7?sig=S3CRET", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let content = content.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let first = head.split("range: bytes=").nth(1).unwrap().split('-').next().unwrap();
                let (first, total): (usize, _) = (first.parse().unwrap(), content.len());
                let answer = format!(
                    "HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Length: {}\r\n\
                     Content-Range: bytes {first}-{}/{total}\r\n\r\n",
                    total - first,
                    total - 1
                );
                let end = if first == 0 { after } else { total };
                let body = &content[first..end];
                // A process that was killed hangs up.
                if stream.write_all(answer.as_bytes()).await.is_ok() && stream.write_all(body).await.is_ok() {
                    let _ = stream.read_u8().await;
                }
            });
        }
    });
    link
}
