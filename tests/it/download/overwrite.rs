//! A file that has the name of the target already: refused, kept where it is the same, replaced.

use longhaul::downloads::{Checksum, Overwrite};

use super::*;

const SHA256: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
const GOOG: (&str, &str) = ("x-goog-hash", "crc32c=KAwGng==");

/// A folder with the result of an earlier call, which was of the first version.
async fn downloaded(service: &Script) -> Folder {
    let folder = Folder::new();
    service.then(part("0-9/10", TEN_BYTES));
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    folder
}

async fn again(service: &Script, folder: &Folder) -> Receipt {
    let download = service.client().build().unwrap().download(LINK);
    download.overwrite(Overwrite::IfDifferent).to_file(folder.at("7")).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_refused_before_any_request() {
    let folder = Folder::new();
    folder.write("7", "of yesterday");
    let service = script([]);
    let download = service.client().build().unwrap().download(LINK).overwrite(Overwrite::Never);
    let error = download.to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("`Overwrite::Never` keeps it"), "{error}");
    assert!(service.requests().is_empty());
    assert_eq!((folder.read("7"), folder.names()), (b"of yesterday".to_vec(), vec!["7".to_owned()]));
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_that_leads_nowhere_takes_a_name_too() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("nowhere", folder.at("7")).unwrap();
    let service = script([]);
    let download = service.client().build().unwrap().download(LINK).overwrite(Overwrite::Never);
    assert_eq!(download.to_file(folder.at("7")).await.unwrap_err().kind(), ErrorKind::Io);
    assert!(service.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_appears_meanwhile_is_kept_and_the_whole_part_too() {
    let folder = Folder::new();
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let client = service.client().build().unwrap();
    let download = client.download(LINK).overwrite(Overwrite::Never);
    let mut progress = download.progress();
    let meanwhile = async {
        reaches(&mut progress, 4).await;
        folder.write("7", "of somebody else");
    };
    let (ended, ()) = tokio::join!(download.to_file(folder.at("7")), meanwhile);
    let error = ended.unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("Overwrite::Never"), "{error}");
    assert_eq!(folder.read("7"), b"of somebody else");
    assert_eq!(folder.names(), ["7", "7.part", "7.part.json"]);
    // Once the name is free, nothing is fetched again.
    fs::remove_file(folder.at("7")).unwrap();
    service.then(reply(416).header("content-range", "bytes */10"));
    let receipt = client.download(LINK).overwrite(Overwrite::Never).to_file(folder.at("7")).await.unwrap();
    assert_eq!((receipt.resumed_at(), folder.read("7").as_slice(), folder.names().len()), (10, TEN_BYTES, 1));
}

#[tokio::test(start_paused = true)]
async fn always_replaces_and_never_asks_whether_it_is_the_same() {
    let service = script([]);
    let folder = downloaded(&service).await;
    service.then(part("0-9/10", "ABCDEFGHIJ"));
    let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert!(!receipt.is_unchanged());
    assert_eq!((folder.read("7"), asked(&service, "if-none-match")), (b"ABCDEFGHIJ".to_vec(), vec!["-".to_owned(); 2]));
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_file_with_the_same_etag_is_kept() {
    // The storage knows If-None-Match, or ignores it.
    for answer in [
        reply(304).header("etag", "\"v1\""),
        part("0-9/10", "XXXXXXXXXX"),
        whole("XXXXXXXXXX").header("content-length", "10").header("etag", "\"v1\""),
    ] {
        let service = script([]);
        let folder = downloaded(&service).await;
        service.then(answer.clone());
        let receipt = again(&service, &folder).await;
        assert!(receipt.is_unchanged() && receipt.verified().contains(&"etag"), "{answer:?}: {receipt:?}");
        assert_eq!((receipt.bytes(), receipt.path()), (10, Some(&*folder.at("7"))));
        assert_eq!(asked(&service, "if-none-match"), ["-", "\"v1\""]);
        assert_eq!((folder.read("7").as_slice(), folder.names().len()), (TEN_BYTES, 1));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_file_of_another_version_or_another_link_is_replaced() {
    let service = script([]);
    let folder = downloaded(&service).await;
    service.then(bare_part("0-9/10", "ABCDEFGHIJ").header("etag", "\"v2\""));
    assert!(!again(&service, &folder).await.is_unchanged());
    assert_eq!(folder.read("7"), b"ABCDEFGHIJ");
    // ETags of different objects may be equal.
    let other = LINK.replace("/7.parquet", "/8.parquet");
    service.then(bare_part("0-9/10", "abcdefghij").header("etag", "\"v2\""));
    let download = service.client().build().unwrap().download(other).overwrite(Overwrite::IfDifferent);
    assert!(!download.to_file(folder.at("7")).await.unwrap().is_unchanged());
    assert_eq!(folder.read("7"), b"abcdefghij");
    assert_eq!(asked(&service, "if-none-match"), ["-", "\"v1\"", "-"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_touched_is_fetched_again() {
    type Touch = fn(&Folder);
    let touches: [(&str, Touch); 3] = [
        ("written over", |folder| drop(folder.write("7", "012345678X"))),
        ("appended to", |folder| drop(folder.write("7", "0123456789X"))),
        ("dated", |folder| {
            let file = fs::File::options().write(true).open(folder.at("7")).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }),
    ];
    for (why, touch) in touches {
        let service = script([]);
        let folder = downloaded(&service).await;
        touch(&folder);
        service.then(part("0-9/10", TEN_BYTES));
        assert!(!again(&service, &folder).await.is_unchanged(), "{why}");
        assert_eq!((folder.read("7").as_slice(), folder.names().len()), (TEN_BYTES, 1), "{why}");
        assert_eq!(asked(&service, "if-none-match"), ["-", "-"], "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_with_the_same_checksum_is_kept_wherever_it_is_from() {
    for (content, is_same) in [("0123456789", true), ("012345678X", false), ("01234567890", false), ("", false)] {
        let folder = Folder::new();
        folder.write("7", content);
        let service = script([part("0-9/10", TEN_BYTES).header(GOOG.0, GOOG.1)]);
        let receipt = again(&service, &folder).await;
        assert_eq!(receipt.is_unchanged(), is_same, "{content}");
        assert_eq!(receipt.verified(), ["length", "crc32c"], "{content}");
        assert_eq!((folder.read("7").as_slice(), folder.names().len()), (TEN_BYTES, 1));
    }
    // Without a checksum and without a record, it is another file.
    let folder = Folder::new();
    folder.write("7", "0123456789");
    let service = script([part("0-9/10", TEN_BYTES)]);
    assert!(!again(&service, &folder).await.is_unchanged());
}

#[tokio::test(start_paused = true)]
async fn a_file_with_the_applications_checksum_needs_no_request() {
    let folder = Folder::new();
    folder.write("7", TEN_BYTES);
    let service = script([]);
    let download = service.client().build().unwrap().download(LINK).overwrite(Overwrite::IfDifferent);
    let receipt = download.checksum(Checksum::sha256(SHA256).unwrap()).to_file(folder.at("7")).await.unwrap();
    assert!(receipt.is_unchanged() && service.requests().is_empty());
    assert_eq!((receipt.bytes(), receipt.verified(), receipt.connections()), (10, &["sha-256"][..], 0));
    folder.write("7", "012345678X");
    service.then(part("0-9/10", TEN_BYTES));
    let download = service.client().build().unwrap().download(LINK).overwrite(Overwrite::IfDifferent);
    let receipt = download.checksum(Checksum::sha256(SHA256).unwrap()).to_file(folder.at("7")).await.unwrap();
    assert!(!receipt.is_unchanged());
    assert_eq!(folder.read("7"), TEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_file_without_the_applications_checksum_is_not_kept_for_its_etag() {
    let folder = Folder::new();
    let service = script([part("0-9/10", TEN_BYTES), part("0-9/10", "ABCDEFGHIJ")]);
    let client = service.client().build().unwrap();
    client.download(LINK).to_file(folder.at("7")).await.unwrap();
    let wanted = Checksum::sha256("261305762671a58cae5b74990bcfc236c2336fb04a0fbac626166d9491d2884c").unwrap();
    let download = client.download(LINK).overwrite(Overwrite::IfDifferent).checksum(wanted);
    assert!(!download.to_file(folder.at("7")).await.unwrap().is_unchanged());
    assert_eq!(folder.read("7"), b"ABCDEFGHIJ");
    assert_eq!(asked(&service, "if-none-match"), ["-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn a_part_beside_a_kept_file_is_not_left_for_ever() {
    let service = script([]);
    let folder = downloaded(&service).await;
    // A call that replaces it breaks off.
    service.then(bare_part("0-9/10", "ABCD").header("etag", "\"v2\"").cut());
    service.then(reply(404));
    let client = service.client().build().unwrap();
    client.download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(folder.names(), ["7", "7.part", "7.part.json"]);
    assert_eq!(folder.read("7"), TEN_BYTES);
    service.then(bare_part("4-9/10", "EFGHIJ").header("etag", "\"v2\""));
    let receipt = again(&service, &folder).await;
    assert_eq!((receipt.resumed_at(), receipt.is_unchanged()), (4, false));
    assert_eq!((folder.read("7"), folder.names().len()), (b"ABCDEFGHIJ".to_vec(), 1));
}
