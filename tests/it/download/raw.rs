//! Real connections that are reset, cut, stalled and dribbled, with bodies of every framing.

use longhaul::RetryPolicy;
use longhaul::retries::Schedule;

use super::*;

const TOTAL: usize = 1_500_000;

type Rule = fn(&Ask, Answer) -> Answer;

/// A client whose downloads go over loopback.
fn client() -> Client {
    Client::builder("http://127.0.0.1:1").no_proxy().build().unwrap()
}

#[tokio::test]
async fn every_sink_gets_the_right_bytes_over_every_kind_of_break() {
    let rules: [(&str, Rule); 7] = [
        ("closed every 200 kB", |_, answer| answer.cut(200_000)),
        ("reset every 200 kB", |_, answer| answer.reset(200_000)),
        ("closed before the first byte, then every 400 kB", |ask, answer| match ask.number {
            0 => answer.cut(0),
            _ => answer.cut(400_000),
        }),
        ("chunked, without its last chunk", |_, answer| answer.chunked().cut(300_000)),
        ("chunked, whole but for its last chunk", |ask, answer| match ask.number {
            0 => answer.chunked().cut(TOTAL),
            _ => answer.chunked(),
        }),
        ("in pieces of all sizes", |_, answer| answer.pieces(977)),
        ("cut within a chunk of one byte", |_, answer| answer.chunked().pieces(5_003).cut(700_001)),
    ];
    for (why, rule) in rules {
        for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
            let content = fastrand_bytes(TOTAL);
            let depot = Depot::new(content.clone(), rule);
            let link = depot.serve().await;
            let folder = Folder::new();
            let got = sink.run(client().download(link), &folder).await;
            assert!(got.unwrap_or_else(|error| panic!("{why}, {sink:?}: {error}")) == content, "{why}, {sink:?}");
            assert!(folder.names().iter().all(|name| name == "7"), "{why}, {sink:?}: {:?}", folder.names());
        }
    }
}

#[tokio::test]
async fn connections_that_are_cut_every_so_often_fetch_each_byte_about_once() {
    for (why, rule) in [
        ("cut", (|_, answer| answer.rate(400_000).cut(100_000)) as Rule),
        ("reset", (|_, answer| answer.rate(400_000).reset(100_000)) as Rule),
    ] {
        let content = fastrand_bytes(TOTAL);
        let depot = Depot::new(content.clone(), rule);
        let link = depot.serve().await;
        let folder = Folder::new();
        let download = client().download(link).part_size(64 << 10);
        let receipt = download.to_file(folder.at("7")).await.unwrap();
        assert!(folder.read("7") == content, "{why}: other bytes");
        assert_eq!(folder.names(), ["7"], "{why}");
        assert!(receipt.connections() > 1 && receipt.reopened() > 0, "{why}: {receipt:?}");
        // A connection whose end is taken over leaves at most some pieces on their way, and a reset takes what was not
        // read yet with it.
        let spare = depot.asks().len() * 4 * CHUNK;
        assert!(depot.sent() <= TOTAL + spare, "{why}: {} bytes in {} requests", depot.sent(), depot.asks().len());
    }
}

#[tokio::test]
async fn a_chunked_body_without_its_last_chunk_and_without_validators_begins_anew() {
    let content = fastrand_bytes(TOTAL);
    let depot = Depot::new(content.clone(), |ask, answer| {
        let answer = answer.status(200).without("etag").without("content-range").chunked();
        if ask.number < 2 { answer.cut(TOTAL) } else { answer }
    });
    let link = depot.serve().await;
    let folder = Folder::new();
    let receipt = client().download(&*link).to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened()), (TOTAL as u64, 2));
    assert!(folder.read("7") == content);
    assert_eq!(folder.names(), ["7"]);
    // A sink that cannot take back says so, and says what can.
    let depot = Depot::new(content, |_, answer| {
        answer.status(200).without("etag").without("content-range").chunked().cut(TOTAL)
    });
    let link = depot.serve().await;
    let error = client().download(link).to_writer(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(error.to_string().contains("a download to a file begins anew"), "{error}");
}

#[tokio::test]
async fn a_storage_that_ignores_ranges_on_a_later_connection_is_left_with_one() {
    let content = fastrand_bytes(TOTAL);
    let whole = content.clone();
    let depot = Depot::new(content.clone(), move |ask, answer| {
        let answer =
            if ask.number == 0 { answer } else { answer.status(200).without("content-range").body(whole.clone()) };
        answer.rate(1_000_000)
    });
    let link = depot.serve().await;
    let folder = Folder::new();
    let receipt = client().download(link).part_size(64 << 10).to_file(folder.at("7")).await.unwrap();
    assert!(folder.read("7") == content);
    assert!(depot.asks().len() >= 2, "{receipt:?}");
}

#[tokio::test]
async fn a_host_that_resets_every_connection_is_an_error_that_keeps_the_part() {
    let content = fastrand_bytes(TOTAL);
    let depot =
        Depot::new(content.clone(), |ask, answer| if ask.number == 0 { answer.cut(500_000) } else { answer.reset(0) });
    let link = depot.serve().await;
    let folder = Folder::new();
    // The pauses between eight failures take minutes: the deadline ends them.
    let download = client().download(&*link).timeout(secs(2));
    let error = download.to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    assert!(error.to_string().contains("500000 of 1500000 bytes"), "{error}");
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    let honest = Depot::new(content.clone(), |_, answer| answer);
    // The same object has the same link: another port is another object.
    let other = honest.serve().await;
    let receipt = client().download(other).to_file(folder.at("7")).await.unwrap();
    assert_eq!(receipt.resumed_at(), 0);
    assert!(folder.read("7") == content);
    for text in [shown(&error), format!("{receipt:?}")] {
        assert!(!text.contains("S3CRET") && !text.contains("sig="), "{text}");
    }
}

#[tokio::test]
async fn redirects_over_sockets_end_at_the_bytes_and_carry_no_referer() {
    let content = fastrand_bytes(100_000);
    let honest = Depot::new(content.clone(), |_, answer| answer.cut(60_000));
    let to = honest.serve().await;
    let leading = Depot::new(Bytes::new(), move |_, _| Answer::of(307, "").set("location", &*to));
    let link = leading.serve().await;
    assert!(client().download(link).to_memory(100_000).await.unwrap() == content);
    assert_eq!((leading.asks().len(), honest.asks().len()), (2, 2));
    for ask in leading.asks().iter().chain(&honest.asks()) {
        assert!(["referer", "cookie", "authorization"].iter().all(|name| ask.header(name).is_none()), "{ask:?}");
        assert_eq!((ask.header("accept-encoding"), &*ask.target), (Some("identity"), "/7.csv?sig=S3CRET"));
    }
}

#[tokio::test]
async fn eight_breaks_without_a_byte_are_an_error_without_the_signature() {
    let rules: [(&str, Rule); 5] = [
        ("reset", |_, answer| answer.reset(0)),
        ("closed", |_, answer| answer.cut(0)),
        ("chunked", |_, answer| answer.chunked().cut(0)),
        ("500", |_, _| Answer::of(500, "see http://a.example/7?sig=S3CRET")),
        ("no HTTP", |_, answer| answer.set("content-length", "1\r\n\x01: \x02")),
    ];
    for (why, rule) in rules {
        for sink in [Sink::File, Sink::Memory] {
            let depot = Depot::new(fastrand_bytes(TOTAL), rule);
            let link = depot.serve().await;
            let quick = RetryPolicy::standard().schedule(Schedule::constant(Duration::from_millis(1)));
            let client = Client::builder("http://127.0.0.1:1").no_proxy().retry(quick).build().unwrap();
            let folder = Folder::new();
            let error = sink.run(client.download(link), &folder).await.map(|bytes| bytes.len()).unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 8), "{why}: {error}");
            assert_eq!(depot.asks().len(), 8, "{why}");
            assert!(folder.names().is_empty(), "{why}: {:?}", folder.names());
            let text = shown(&error);
            assert!(!text.contains("S3CRET") && !text.contains("sig="), "{why}: {text}");
        }
    }
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for_is_saved_as_it_came_and_said() {
    let content = fastrand_bytes(100_000);
    let depot = Depot::new(content.clone(), |_, answer| answer.set("content-encoding", "gzip"));
    let link = depot.serve().await;
    let folder = Folder::new();
    let receipt = client().download(link).to_file(folder.at("7")).await.unwrap();
    assert!(folder.read("7") == content);
    assert!(receipt.warnings().iter().any(|warning| warning.contains("gzip")), "{receipt:?}");
}

#[tokio::test]
async fn two_downloads_of_one_target_at_once_end_in_one_right_file() {
    let content = fastrand_bytes(TOTAL);
    let depot = Depot::new(content.clone(), |_, answer| answer.rate(2_000_000));
    let link = depot.serve().await;
    let folder = Folder::new();
    let (one, two) = tokio::join!(
        client().download(&*link).to_file(folder.at("7")),
        client().download(&*link).to_file(folder.at("7")),
    );
    assert_eq!((one.unwrap().bytes(), two.unwrap().bytes()), (TOTAL as u64, TOTAL as u64));
    assert!(folder.read("7") == content);
    assert_eq!(folder.names(), ["7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_files_at_once_on_many_threads_are_all_right() {
    let quick = RetryPolicy::standard().schedule(Schedule::constant(Duration::from_millis(1)));
    let client = Client::builder("http://127.0.0.1:1").no_proxy().retry(quick).build().unwrap();
    let folder = Folder::new();
    let files = (0..8).map(|file| {
        let (client, folder) = (client.clone(), &folder);
        async move {
            let content = fastrand_bytes(3 * TOTAL);
            let hash = checksums::goog_hash(&content);
            let depot = Depot::new(content.clone(), move |ask, answer| {
                let answer = answer.set("x-goog-hash", &*hash).rate(3_000_000).pieces(10_000 + ask.number * 37 % 9_000);
                let after = 80_000 + (ask.number * 7_919 + file * 101) % 200_000;
                if ask.number % 4 == 3 { answer.reset(after) } else { answer.cut(after) }
            });
            let link = depot.serve().await;
            let target = folder.at(&file.to_string());
            let download = client.download(link).part_size(64 << 10);
            let receipt = tokio::spawn(download.to_file(target.clone())).await.unwrap().unwrap();
            assert_eq!(receipt.verified(), ["length", "crc32c"], "{receipt:?}");
            assert!(fs::read(target).unwrap() == content, "{file}: other bytes");
            receipt.connections()
        }
    });
    let connections = futures::future::join_all(files).await;
    assert!(connections.iter().any(|connections| *connections > 1), "{connections:?}");
    assert_eq!(folder.names().len(), 8);
}
