//! The place on the disk: who holds it, and what becomes of a place that cannot be written.

use super::*;

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
async fn a_place_that_cannot_be_written_is_named_before_anything_is_sent() {
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
async fn the_word_of_the_storage_outranks_a_failed_write() {
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
