//! Targets: names of every legal length, and what is no regular file.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_name_of_255_bytes_is_broken_off_and_resumed() {
    for name in ["n".repeat(255), format!("{}.csv", "\u{e9}".repeat(125)), "n".repeat(240), "n".repeat(224)] {
        let folder = Folder::new();
        let service = script([part("0-9/10", "0123").cut(), reply(404), part("4-9/10", "456789")]);
        let client = service.client().build().unwrap();
        client.download(LINK).to_file(folder.at(&name)).await.unwrap_err();
        assert_eq!(folder.names().len(), 2, "{:?}", folder.names());
        let receipt = client.download(LINK).to_file(folder.at(&name)).await.unwrap();
        assert_eq!((receipt.resumed_at(), folder.read(&name).as_slice()), (4, TEN_BYTES));
        assert_eq!(folder.names(), [name]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_too_long_is_refused_before_any_request() {
    let folder = Folder::new();
    let service = script([part("0-9/10", TEN_BYTES)]);
    let error =
        service.client().build().unwrap().download(LINK).to_file(folder.at(&"n".repeat(256))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert_eq!((folder.names().len(), service.requests().len()), (0, 0));
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_socket_and_a_device_are_refused_and_stay() {
    use std::os::unix::fs::FileTypeExt;

    let folder = Folder::new();
    let _listener = std::os::unix::net::UnixListener::bind(folder.at("socket")).unwrap();
    std::os::unix::fs::symlink("/dev/null", folder.at("link")).unwrap();
    for (target, what) in
        [(folder.at("socket"), "a socket"), ("/dev/null".into(), "a device"), (folder.at("link"), "a device")]
    {
        let service = script([]);
        let error = service.client().build().unwrap().download(LINK).to_file(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(what) && error.to_string().contains("to_writer"), "{error}");
        assert!(service.requests().is_empty());
    }
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert_eq!(folder.names(), ["link", "socket"]);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_vanishes_meanwhile_is_an_error_that_names_the_target() {
    let folder = Folder::new();
    fs::create_dir(folder.at("in")).unwrap();
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let download = service.client().build().unwrap().download(LINK);
    let mut progress = download.progress();
    let meanwhile = async {
        reaches(&mut progress, 4).await;
        fs::remove_dir_all(folder.at("in")).unwrap();
    };
    let (ended, ()) = tokio::join!(download.to_file(folder.at("in/7")), meanwhile);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains(&*folder.at("in/7").to_string_lossy()), "{error}");
    assert!(folder.names().is_empty());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_device_is_written_through_by_a_writer() {
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let mut device = tokio::fs::File::options().write(true).open("/dev/null").await.unwrap();
    let receipt = service.client().build().unwrap().download(LINK).to_writer(&mut device).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.path()), (10, None));
}
