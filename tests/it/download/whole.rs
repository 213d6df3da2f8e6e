//! The whole object, once: its name, its length, its forms.

use super::*;

#[tokio::test]
async fn the_file_lands_byte_for_byte_and_nothing_stays_beside_it() {
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
async fn a_range_of_unknown_length_is_not_taken_for_the_whole() {
    for end in [reply(416), reply(416).header("content-range", "bytes */10"), part("10-9/10", "")] {
        let service = script([part("0-5/*", "012345"), part("6-9/*", "6789"), end]);
        assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
        assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=6-", "bytes=10-"]);
    }
    // A 416 that states nothing does not say that the object was replaced.
    let service = script([part("0-9/*", "0123").cut(), reply(416), part("0-9/10", TEN_BYTES)]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn an_empty_object_is_an_empty_file_in_all_its_forms() {
    for empty in [
        reply(200).header("content-length", "0"),
        reply(416).header("content-range", "bytes */0"),
        reply(206).header("content-range", "bytes 0--1/0"),
    ] {
        let service = script([empty.clone(), empty.clone()]);
        let folder = Folder::new();
        let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
        assert_eq!((receipt.bytes(), receipt.verified()), (0, &["length"][..]), "{empty:?}");
        assert_eq!(folder.read("7"), b"");
        assert_eq!(folder.names(), ["7"]);
        assert_eq!(memory(&service).await.unwrap(), "", "{empty:?}");
        assert_eq!(service.left(), 0);
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
    // Some servers refuse the Range alone: these are asked once more.
    let tries = [(203, 1), (204, 1), (205, 1), (226, 1), (300, 1), (304, 1), (409, 1), (422, 1)];
    for (status, requests) in tries.into_iter().chain([(400, 2), (405, 2), (406, 2), (501, 2)]) {
        let service = script((0..2).map(|_| reply(status).body("not the result")));
        let folder = Folder::new();
        folder.write("7", "of yesterday");
        let error = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultUnavailable, "{status}: {error}");
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert_eq!(service.requests().len(), requests, "{status}");
        assert_eq!((folder.read("7"), folder.names()), (b"of yesterday".to_vec(), vec!["7".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_not_ready_is_asked_for_again() {
    let busy = |seconds: &str| reply(202).header("retry-after", seconds).body("being made");
    let service = script([]);
    (0..20).for_each(|_| service.then(busy("60")));
    service.then(part("0-9/10", TEN_BYTES));
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    assert_eq!(service.gaps(), [secs(60); 20]);
    // Without a wait it counts as a failure, and ends.
    let service = script((0..8).map(|_| reply(202).body("being made")));
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::Interrupted);
}
