//! A file that was left goes on where it was, as far as its journal vouches for it.

use super::*;

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
    journal["runs"] = json!([{"start": 0, "end": 10}]);
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
async fn a_part_of_another_link_begins_anew_despite_equal_etags() {
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
        edited("/version", json!(3)),
        edited("/object", json!(7)),
        edited("/runs/0/end", json!(0)),
        edited("/runs/0/end", json!(-4)),
        edited("/runs/0/end", json!(5)),
        edited("/runs/0/end", json!(u64::MAX)),
        edited("/runs/0/crc", json!("0000000000000000")),
        edited("/runs", json!([])),
        edited("/identity/etag", Value::Null),
        edited("/identity/etag", json!("\"v1\"\r\nX-Evil: 1")),
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
async fn what_a_kill_left_of_a_journal_is_tidied_up() {
    let folder = Folder::new();
    folder.write("7.part.new", "{\"version\":");
    let service = script([whole(TEN_BYTES)]);
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(folder.names(), ["7"]);
}
