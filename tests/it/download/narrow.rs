//! Narrow cases: sequences of answers and moments that once ended wrong.

use longhaul::downloads::Overwrite;
use longhaul::protocols::{ResultKind, Source};
use longhaul::{Limit, Protocol};

use super::*;

fn version(version: &str, body: &'static str) -> Canned {
    reply(200).header("etag", &format!("\"{version}\"")).header("content-length", "10").body(body)
}

#[tokio::test(start_paused = true)]
async fn versions_are_not_spliced_over_two_calls() {
    let folder = Folder::new();
    let answers = [version("v1", "").cut(), version("v2", "ABCD").cut(), reply(404), version("v1", "0123456789")];
    let service = script(answers);
    let client = service.client().build().unwrap();
    client.download(LINK).to_file(folder.at("7")).await.unwrap_err();
    service.then(version("v1", "0123456789"));
    client.download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(folder.read("7"), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn two_objects_behind_one_path_are_not_spliced() {
    let folder = Folder::new();
    let service = script([part("0-9/10", "0123").cut(), reply(404), part("0-9/10", "ABCDEFGHIJ")]);
    let client = service.client().build().unwrap();
    let at = |id: u8| format!("https://store.example.net/export?id={id}&sig=S3CRET{id}");
    client.download(at(7)).to_file(folder.at("latest.csv")).await.unwrap_err();
    client.download(at(8)).to_file(folder.at("latest.csv")).await.unwrap();
    assert_eq!(folder.read("latest.csv"), b"ABCDEFGHIJ");
    assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-", "bytes=0-"]);
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_file_is_of_the_version_that_came() {
    let folder = Folder::new();
    let service = script([version("v1", "").cut(), version("v2", "ABCDEFGHIJ"), part("0-9/10", TEN_BYTES)]);
    let client = service.client().build().unwrap();
    client.download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(folder.read("7"), b"ABCDEFGHIJ");
    let receipt = client.download(LINK).overwrite(Overwrite::IfDifferent).to_file(folder.at("7")).await.unwrap();
    println!("if-none-match: {:?}; {receipt:?}", asked(&service, "if-none-match"));
    assert_eq!(folder.read("7"), TEN_BYTES, "IfDifferent kept v2 as v1");
}

#[tokio::test(start_paused = true)]
async fn the_checksum_of_a_version_without_a_byte_counts_no_more() {
    let folder = Folder::new();
    let service = script([
        version("v1", "").header("content-md5", "eB5eJF1ptWaXm4bijSPyxw==").cut(),
        version("v2", "ABCDEFGHIJ"),
    ]);
    let ended = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await;
    assert!(ended.is_ok());
}

#[test]
fn a_stream_whose_runtime_ends_is_not_whole() {
    let depot = Depot::new(fastrand_bytes(1_000_000), |_, answer| answer.rate(1_000_000));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut chunks = depot.client().download(LINK).stream().read_ahead(100_000);
    let first = runtime();
    let mut got = first.block_on(chunks.next()).unwrap().unwrap().len();
    drop(first);
    let end = runtime().block_on(async {
        loop {
            match chunks.next().await {
                Some(Ok(chunk)) => got += chunk.len(),
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
    });
    assert!(end.is_err(), "a stream of {got} of 1000000 bytes ended as if it were whole");
}

/// A storage whose bodies panic after some chunks.
#[tokio::test]
async fn a_stream_whose_task_panics_is_not_whole() {
    struct Panics;
    impl Http for Panics {
        fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
            let chunks =
                stream::iter(0..4).map(|n| if n == 3 { panic!("a bug") } else { Ok(Bytes::from_static(b"0123")) });
            let headers = [(http::header::CONTENT_LENGTH, "100".parse().unwrap())].into_iter().collect();
            let response = Response::new(StatusCode::OK, request.url().clone()).headers_from(headers);
            Box::pin(async move { Ok(response.body_from(Body::stream(chunks))) })
        }
    }
    let client = script([]).client().storage_http(Panics).build().unwrap();
    let all: Result<Vec<Bytes>, Error> = client.download(LINK).stream().read_ahead(100).try_collect().await;
    assert!(all.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_file_holds_no_other_up() {
    let log: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    let seen = log.clone();
    let begun = Instant::now();
    let depot = Depot::new(vec![0; 100_000].into(), move |ask, answer| {
        seen.lock().unwrap().push((begun.elapsed().as_secs(), ask.target.clone()));
        let rate = if ask.target.starts_with("/0") { 100 } else { 100_000 };
        answer.rate(rate).pieces(100)
    });
    let files: Vec<_> = (0..9).map(|n| format!("https://store.example.net/{n}.csv?sig=S3CRET")).collect();
    let service = script([accepted(), reply(200).json(json!({"status": "succeeded", "files": files}))]);
    let client = service.client().storage_http(depot.clone()).download_connections(64).build().unwrap();
    let protocol = Protocol::auto().result(Source::pointer("/files/*"), ResultKind::Link);
    let outcome = client.task().protocol(protocol).post("exports").submit::<Value>().await.unwrap().await.unwrap();
    let folder = Folder::new();
    outcome.download_all(folder.path()).each_with(|download| download.connections(1)).await.unwrap();
    assert!(log.lock().unwrap().iter().all(|(at, _)| *at < 100), "files wait for the first one");
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_of_a_task_gives_its_slot_back() {
    let folder = Folder::new();
    let large = || reply(200).header("etag", "\"e\"").header("content-length", "16");
    let first = [
        reply(202).header("location", "/v1/t"),
        reply(303).header("location", "/v1/r"),
        large().body("0123456789").cut(),
        reply(404),
    ];
    let service = script(first);
    let client = service.client().body_limit(4).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    outcome.download().to_file(folder.at("7")).await.unwrap_err();
    let rest = reply(206).header("etag", "\"e\"").header("content-range", "bytes 10-15/16").body("abcdef");
    let second = [
        reply(202).header("location", "/v1/t"),
        reply(303).header("location", "/v1/r"),
        large().body("0123456789abcdef"),
        rest,
    ];
    let service = script(second);
    let client = service.client().body_limit(4).limit(Limit::concurrent(1)).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    let fetched = outcome.download().to_file(folder.at("7"));
    let ended = tokio::time::timeout(secs(36_000), fetched).await;
    assert!(ended.is_ok(), "hangs");
}

#[tokio::test(start_paused = true)]
async fn absurd_totals_are_no_panic() {
    let huge = "0-9/18446744073709551615";
    let files: Vec<_> = (0..2).map(|n| format!("https://store.example.net/{n}.csv?sig=S3CRET")).collect();
    let service = script([
        accepted(),
        reply(200).json(json!({"status": "succeeded", "files": files})),
        part(huge, TEN_BYTES),
        part(huge, TEN_BYTES),
    ]);
    let client = service.client().build().unwrap();
    let protocol = Protocol::auto().result(Source::pointer("/files/*"), ResultKind::Link);
    let outcome = client.task().protocol(protocol).post("exports").submit::<Value>().await.unwrap().await.unwrap();
    let folder = Folder::new();
    let each = outcome.download_all(folder.path()).each().await;
    assert!(each.len() == 2 && each.iter().all(Result::is_err), "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_of_a_call_without_resume_is_known_again() {
    let folder = Folder::new();
    let service = script([part("0-9/10", TEN_BYTES), reply(304).header("etag", "\"v1\"")]);
    let client = service.client().build().unwrap();
    client.download(LINK).resume(false).to_file(folder.at("7")).await.unwrap();
    let ended = client.download(LINK).overwrite(Overwrite::IfDifferent).to_file(folder.at("7")).await;
    assert!(ended.unwrap().is_unchanged());
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_not_ready_pauses_no_other() {
    let depot = Depot::new(fastrand_bytes(100_000), |ask, answer| match &*ask.target {
        "/a?sig=1" if ask.number == 0 => Answer::of(202, "").set("retry-after", "600"),
        _ => answer,
    });
    let client = depot.client();
    let folder = Folder::new();
    let begun = Instant::now();
    let other = async {
        tokio::time::sleep(secs(5)).await;
        client.download("https://store.example.net/b?sig=1").to_file(folder.at("b")).await.unwrap();
        begun.elapsed()
    };
    let (a, b) = tokio::join!(client.download("https://store.example.net/a?sig=1").to_file(folder.at("a")), other);
    a.unwrap();
    assert!(b < secs(60), "the other object waits, too");
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_file_is_known_again_beside_a_part_of_the_same() {
    let folder = Folder::new();
    let service =
        script([part("0-9/10", TEN_BYTES), part("0-9/10", "0123").cut(), reply(404), part("4-9/10", "456789")]);
    let client = service.client().build().unwrap();
    client.download(LINK).to_file(folder.at("7")).await.unwrap();
    client.download(LINK).to_file(folder.at("7")).await.unwrap_err();
    let receipt = client.download(LINK).overwrite(Overwrite::IfDifferent).to_file(folder.at("7")).await.unwrap();
    assert!(receipt.is_unchanged());
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_proxy_does_not_void_a_proven_transfer() {
    let content = fastrand_bytes(1_000_000);
    let depot = Depot::new(content.clone(), |ask, answer| match ask.number {
        0 => answer.cut(990_000),
        1 => Answer::of(200, "<html>please log in").set("content-type", "text/html").chunked(),
        _ => answer,
    });
    let folder = Folder::new();
    depot.client().download(LINK).connections(1).to_file(folder.at("7.parquet")).await.unwrap();
    assert!(folder.read("7.parquet") == content);
}
