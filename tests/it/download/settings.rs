//! Settings, each as its effect: deadline, bandwidth, resume, and how far a stream reads ahead.

use super::*;

const SINKS: [Sink; 4] = [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory];

#[tokio::test(start_paused = true)]
async fn at_the_deadline_a_file_is_kept_and_gone_on_with() {
    let content = fastrand_bytes(1_000_000);
    let depot = Depot::new(content.clone(), |_, answer| answer.rate(100_000));
    let folder = Folder::new();
    let begun = Instant::now();
    let download = depot.client().download(LINK).connections(1).timeout(secs(4));
    let error = download.to_file(folder.at("7")).await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, secs(4)), "{error}");
    assert!(error.to_string().contains("of 1000000 bytes had arrived"), "{error}");
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    let receipt = depot.client().download(LINK).connections(1).timeout(secs(7)).to_file(folder.at("7")).await.unwrap();
    assert!((380_000..=400_000).contains(&receipt.resumed_at()), "{receipt:?}");
    assert!(folder.read("7") == content);
    assert!(depot.sent() <= 1_000_000 + 2 * CHUNK);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_every_sink_and_whatever_is_waited_for() {
    type Setting = fn(Download) -> Download;
    let busy = |_: &Ask, _: Answer| Answer::of(503, "busy").set("retry-after", "30");
    let silent = |_: &Ask, answer: Answer| answer.stall(0);
    let slow = |_: &Ask, answer: Answer| answer;
    for sink in SINKS {
        for (why, depot, setting) in [
            ("busy", Depot::new(fastrand_bytes(100_000), busy), (|download| download) as Setting),
            ("silent", Depot::new(fastrand_bytes(100_000), silent), |download| download),
            ("limited", Depot::new(fastrand_bytes(100_000), slow), |download| download.bandwidth(100)),
        ] {
            let begun = Instant::now();
            let folder = Folder::new();
            let download = setting(depot.client().download(LINK).timeout(secs(10)));
            let error = sink.run(download, &folder).await.map(|bytes| bytes.len()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{why}, {sink:?}: {error}");
            assert!(begun.elapsed() <= secs(10), "{why}, {sink:?}: {:?}", begun.elapsed());
            assert!(!folder.at("7").exists());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_deadline_says_what_went_wrong_before() {
    for (answer, words) in [(reply(500), "the storage is busy"), (reply(0).unsent(), "no answer from the storage")] {
        let service = script((0..9).map(|_| answer.clone()));
        let download = service.client().build().unwrap().download(LINK).timeout(Duration::from_millis(1_500));
        let error = download.to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
        assert!(error.to_string().contains(words) && error.source().is_some(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_while_a_download_waits_for_a_connection_of_its_client() {
    let depot = Depot::new(fastrand_bytes(100_000), |_, answer| answer.stall(1_000));
    let client = depot.builder().download_connections(1).build().unwrap();
    let folder = Folder::new();
    let first = client.download(LINK);
    let mut progress = first.progress();
    let second = async {
        reaches(&mut progress, 1_000).await;
        let begun = Instant::now();
        let error = client.download(FRESH).timeout(secs(5)).to_file(folder.at("8")).await.unwrap_err();
        (error.kind(), begun.elapsed())
    };
    tokio::select! {
        ended = first.to_file(folder.at("7")) => panic!("it cannot end so soon: {ended:?}"),
        ended = second => assert_eq!(ended, (ErrorKind::DeadlineExceeded, secs(5))),
    }
    assert_eq!(depot.asks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_stream_counts_from_its_first_poll() {
    let content = fastrand_bytes(1_000_000);
    let depot = Depot::new(content.clone(), |_, answer| answer.rate(200_000));
    let chunks = depot.client().download(LINK).timeout(secs(10)).stream();
    tokio::time::sleep(secs(60)).await;
    assert!(chunks.try_collect::<Vec<_>>().await.unwrap().concat() == content);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_while_a_writer_takes_nothing() {
    let depot = Depot::new(fastrand_bytes(100_000), |_, answer| answer);
    // Nobody reads the other end.
    let (mut writer, _reader) = tokio::io::duplex(1_000);
    let begun = Instant::now();
    let download = depot.client().download(LINK).timeout(secs(10)).to_writer(&mut writer);
    let error = tokio::time::timeout(secs(60), download).await.expect("it ends by itself").unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_all_times_is_none() {
    let service = script([whole(TEN_BYTES)]);
    let download = service.client().build().unwrap().download(LINK).timeout(Duration::MAX);
    assert_eq!(download.to_memory(10).await.unwrap(), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_bandwidth_is_kept_by_every_sink() {
    for sink in SINKS {
        let depot = Depot::new(fastrand_bytes(1_000_000), |_, answer| answer);
        let download = depot.client().download(LINK).bandwidth(100_000).part_size(64 << 10);
        let mut progress = download.progress();
        let counting = async {
            let begun = Instant::now();
            let mut most = 0;
            while let Some(progress) = progress.changed().await {
                // What has come may be ahead of its time by a burst, and by a piece of each connection.
                let due = begun.elapsed().as_millis() * 100;
                most = most.max(u128::from(progress.bytes()).saturating_sub(due));
            }
            (most, begun.elapsed())
        };
        let folder = Folder::new();
        let (done, (most, elapsed)) = tokio::join!(sink.run(download, &folder), counting);
        assert_eq!(done.unwrap().len(), 1_000_000);
        assert!(most <= 5_000 + 9 * CHUNK as u128, "{sink:?}: {most} bytes too early");
        assert_eq!(elapsed.as_secs(), 9, "{sink:?}: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_bandwidth_of_a_client_is_shared_by_its_downloads() {
    let depot = Depot::new(fastrand_bytes(250_000), |_, answer| answer);
    let client = depot.builder().download_bandwidth(100_000).build().unwrap();
    let folder = Folder::new();
    let begun = Instant::now();
    let files = ["1", "2"].map(|name| client.download(format!("{LINK}{name}")).to_file(folder.at(name)));
    let (files, memory) = tokio::join!(futures::future::join_all(files), client.download(LINK).to_memory(250_000));
    assert!(files.iter().all(Result::is_ok) && memory.is_ok());
    assert_eq!(begun.elapsed().as_millis() / 100, 74);
}

#[tokio::test(start_paused = true)]
async fn a_part_is_not_used_where_that_was_asked_for() {
    let folder = Folder::new();
    let service = interrupted(&folder).await;
    service.then(part("0-9/10", "ABCDEFGHIJ"));
    let receipt = service.client().build().unwrap().download(LINK).resume(false).to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.resumed_at(), folder.read("7"), folder.names().len()), (0, b"ABCDEFGHIJ".to_vec(), 1));
    assert_eq!(asked(&service, "range").last().map(String::as_str), Some("bytes=0-"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_uses_no_part_leaves_one_that_can_be_gone_on_with() {
    let folder = Folder::new();
    let service = script([part("0-9/10", "0123").cut(), reply(404)]);
    let client = service.client().build().unwrap();
    client.download(LINK).resume(false).to_file(folder.at("7")).await.unwrap_err();
    service.then(part("0-9/10", TEN_BYTES));
    service.then(part("0-9/10", TEN_BYTES));
    let receipt = client.download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(receipt.resumed_at(), 4);
    assert_eq!((folder.read("7").as_slice(), folder.names().len()), (TEN_BYTES, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_reads_no_further_ahead_than_it_may() {
    for ahead in [0, 1, CHUNK, 100_000, usize::MAX] {
        let content = fastrand_bytes(1_000_000);
        let depot = Depot::new(content.clone(), |_, answer| answer.cut(300_000));
        let mut chunks = depot.client().download(LINK).stream().read_ahead(ahead);
        assert!(depot.asks().is_empty());
        let mut got = Vec::new();
        while let Some(chunk) = chunks.try_next().await.unwrap() {
            got.extend_from_slice(&chunk);
            tokio::time::sleep(secs(3)).await;
            let most = got.len().saturating_add(ahead).saturating_add(CHUNK);
            assert!(depot.sent() <= most, "{ahead}: {} bytes were read when {} were taken", depot.sent(), got.len());
            // The connection is kept busy meanwhile.
            assert!(depot.sent() >= content.len().min(got.len() + ahead.min(600_000)), "{ahead}: {}", depot.sent());
        }
        assert!(got == content);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_reads_ahead_passes_its_error_on_after_the_bytes() {
    let service = script([part("0-9/10", "0123").cut(), reply(404)]);
    let mut chunks = service.client().build().unwrap().download(LINK).stream().read_ahead(1 << 20);
    assert_eq!(chunks.next().await.unwrap().unwrap(), "0123");
    assert_eq!(chunks.next().await.unwrap().unwrap_err().kind(), ErrorKind::ResultUnavailable);
    assert!(chunks.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_ends_its_reading_ahead() {
    let depot = Depot::new(fastrand_bytes(1_000_000), |_, answer| answer.rate(100_000));
    let mut chunks = depot.client().download(LINK).stream().read_ahead(1 << 30);
    chunks.next().await.unwrap().unwrap();
    drop(chunks);
    tokio::time::sleep(secs(1)).await;
    let sent = depot.sent();
    tokio::time::sleep(secs(60)).await;
    assert_eq!(depot.sent(), sent);
    assert!(sent < 200_000, "{sent}");
}
