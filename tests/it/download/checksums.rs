//! Checksums, stated by a storage or by the application, in every sink and over every way to the end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longhaul::downloads::{Checksum, Verify};

use super::*;

/// The values of the ten bytes.
const MD5: &str = "eB5eJF1ptWaXm4bijSPyxw==";
const SHA256: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
const CRC32C: &str = "KAwGng==";
const CRC64: &str = "Ffmx7kz9nB0=";
const WRONG_MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";
const SINKS: [Sink; 4] = [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory];

fn sha256(hex: &str) -> Checksum {
    Checksum::sha256(hex).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stated_checksum_is_compared_by_every_sink() {
    let repr = format!("sha-256=:{}:", STANDARD.encode(digest(SHA256)));
    for (header, right, wrong, name) in [
        ("content-md5", MD5.to_owned(), WRONG_MD5.to_owned(), "md5"),
        ("x-ms-blob-content-md5", MD5.to_owned(), WRONG_MD5.to_owned(), "md5"),
        ("x-goog-hash", format!("crc32c={CRC32C}"), "crc32c=AAAAAA==".to_owned(), "crc32c"),
        ("x-goog-hash", format!("md5={MD5}"), format!("md5={WRONG_MD5}"), "md5"),
        ("x-amz-checksum-crc64nvme", CRC64.to_owned(), "AAAAAAAAAAA=".to_owned(), "crc64nvme"),
        ("repr-digest", repr, format!("sha-256=:{}:", STANDARD.encode([7; 32])), "sha-256"),
    ] {
        for sink in SINKS {
            let folder = Folder::new();
            let service = script([part("0-9/10", TEN_BYTES).header("content-length", "10").header(header, &right)]);
            let client = service.client().build().unwrap();
            let got = sink.run(client.download(LINK).verify(Verify::Required), &folder).await.unwrap();
            assert_eq!(got, TEN_BYTES, "{header}, {sink:?}");

            let folder = Folder::new();
            service.then(part("0-9/10", TEN_BYTES).header("content-length", "10").header(header, &wrong));
            let error = sink.run(client.download(LINK), &folder).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{header}, {sink:?}: {error}");
            assert!(error.to_string().contains(name), "{error}");
            assert!(folder.names().is_empty(), "{header}: {:?}", folder.names());
            assert!(!shown(&error).contains("S3CRET"));
            // The next call begins anew.
            service.then(part("0-9/10", TEN_BYTES).header("content-length", "10").header(header, &right));
            assert_eq!(sink.run(client.download(LINK), &folder).await.unwrap(), TEN_BYTES);
            assert_eq!(asked(&service, "range"), ["bytes=0-"; 3]);

            service.then(part("0-9/10", TEN_BYTES).header("content-length", "10").header(header, &wrong));
            let unchecked = client.download(LINK).verify(Verify::Length);
            assert_eq!(sink.run(unchecked, &folder).await.unwrap(), TEN_BYTES, "{header}, {sink:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_receipt_says_what_was_compared_and_what_could_not_be_read() {
    for (header, value, verified, warnings) in [
        ("content-md5", MD5, &["length", "md5"][..], 0),
        ("content-md5", "not base64!", &["length"], 1),
        ("content-md5", "AAAA", &["length"], 1),
        ("x-goog-hash", "crc32c=?", &["length"], 1),
        ("x-amz-checksum-crc64nvme", "Ffmx7kz9nB0=-3", &["length"], 0),
        ("repr-digest", "sha-256=oops", &["length"], 1),
        ("x-other", MD5, &["length"], 0),
    ] {
        let folder = Folder::new();
        let service = script([part("0-9/10", TEN_BYTES).header("content-length", "10").header(header, value)]);
        let receipt = service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap();
        assert_eq!((receipt.verified(), receipt.warnings().len()), (verified, warnings), "{header}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_states_none_is_refused_where_one_is_required() {
    for sink in SINKS {
        let service = script([part("0-9/10", TEN_BYTES)]);
        let folder = Folder::new();
        let download = service.client().build().unwrap().download(LINK).verify(Verify::Required);
        let error = sink.run(download, &folder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{sink:?}");
        assert!(error.to_string().contains("Verify::Required"), "{error}");
        assert!(folder.names().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_applications_checksum_holds_in_every_sink_and_setting() {
    for verify in [Verify::Length, Verify::Stated, Verify::Required] {
        for sink in SINKS {
            let service = script([part("0-9/10", TEN_BYTES), part("0-9/10", TEN_BYTES)]);
            let folder = Folder::new();
            let client = service.client().build().unwrap();
            let download = || client.download(LINK).verify(verify);
            let error = sink.run(download().checksum(sha256(&"7".repeat(64))), &folder).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{verify:?}, {sink:?}");
            assert!(error.to_string().contains(SHA256), "{error}");
            assert!(folder.names().is_empty());
            assert_eq!(sink.run(download().checksum(sha256(SHA256)), &folder).await.unwrap(), TEN_BYTES);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_download_is_verified_as_a_whole() {
    // In the same call, and in a later one.
    for header in
        [("x-ms-blob-content-md5", MD5), ("x-goog-hash", "crc32c=KAwGng=="), ("x-goog-hash", "crc32c=AAAAAA==")]
    {
        let (name, value) = header;
        let is_right = value != "crc32c=AAAAAA==";
        for later in [false, true] {
            let folder = Folder::new();
            let stated = |answer: Canned| answer.header(name, value);
            let service = script([stated(part("0-9/10", "0123")).cut()]);
            let client = service.client().build().unwrap();
            if later {
                service.then(reply(404));
                client.download(LINK).to_file(folder.at("7")).await.unwrap_err();
            }
            service.then(stated(part("4-9/10", "456789")));
            let ended = client.download(LINK).verify(Verify::Required).to_file(folder.at("7")).await;
            match ended {
                Ok(receipt) => {
                    assert!(is_right && receipt.verified().len() == 2, "{header:?}, later {later}: {receipt:?}");
                    assert_eq!(receipt.resumed_at(), if later { 4 } else { 0 });
                }
                Err(error) => {
                    assert!(!is_right, "{header:?}, later {later}: {error}");
                    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch);
                    assert!(error.to_string().contains("crc32c is"), "{error}");
                    assert!(folder.names().is_empty(), "{:?}", folder.names());
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_applications_checksum_holds_for_a_part_of_an_earlier_call() {
    for (bytes, is_right) in [("456789", true), ("45678X", false)] {
        let folder = Folder::new();
        let service = interrupted(&folder).await;
        service.then(part("4-9/10", bytes));
        let client = service.client().build().unwrap();
        let ended = client.download(LINK).checksum(sha256(SHA256)).to_file(folder.at("7")).await;
        assert_eq!(ended.as_ref().map_err(Error::kind).is_ok(), is_right, "{ended:?}");
        assert_eq!(folder.names(), if is_right { vec!["7".to_owned()] } else { vec![] });
        if !is_right {
            service.then(part("0-9/10", TEN_BYTES));
            let receipt = client.download(LINK).checksum(sha256(SHA256)).to_file(folder.at("7")).await.unwrap();
            assert_eq!((receipt.resumed_at(), receipt.verified()), (0, &["length", "sha-256"][..]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_an_earlier_call_does_not_do_without_a_checksum_that_is_required() {
    for is_stated in [true, false] {
        // The storage states a checksum with the whole alone.
        let folder = Folder::new();
        let service = interrupted(&folder).await;
        service.then(part("4-9/10", "456789"));
        let whole = part("0-9/10", TEN_BYTES).header("content-length", "10");
        service.then(if is_stated { whole.header("content-md5", MD5) } else { whole });
        let download = service.client().build().unwrap().download(LINK).verify(Verify::Required);
        match download.to_file(folder.at("7")).await {
            Ok(receipt) => {
                assert!(is_stated, "{receipt:?}");
                assert_eq!((receipt.resumed_at(), receipt.verified()), (0, &["length", "md5"][..]));
            }
            Err(error) => assert!(!is_stated && error.kind() == ErrorKind::ChecksumMismatch, "{error}"),
        }
        assert_eq!(folder.at("7").exists(), is_stated);
    }
}

#[tokio::test(start_paused = true)]
async fn several_connections_are_verified_as_a_whole() {
    let content = fastrand_bytes(2_000_000);
    let (right, wrong) = (goog_hash(&content), goog_hash(b"other"));
    for (stated, is_right) in [(right, true), (wrong, false)] {
        // The storage states it with every answer, as Google's does.
        let depot = Depot::new(content.clone(), move |_, answer| {
            answer.set("x-goog-hash", &*stated).rate(100_000).cut(700_000)
        });
        let folder = Folder::new();
        let download = depot.client().download(LINK).part_size(64 << 10);
        let ended = download.to_file(folder.at("7")).await;
        assert!(depot.most_open() > 1);
        match ended {
            Ok(receipt) => assert!(is_right && receipt.verified() == ["length", "crc32c"], "{receipt:?}"),
            Err(error) => {
                assert!(!is_right && error.kind() == ErrorKind::ChecksumMismatch, "{error}");
                assert!(folder.names().is_empty());
            }
        }
    }
}

fn digest(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The hash that Google's storage states.
pub(super) fn goog_hash(bytes: &[u8]) -> String {
    format!("crc32c={}", STANDARD.encode(crc32c(bytes).to_be_bytes()))
}

fn crc32c(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|byte| {
        let byte = u32::try_from(byte).unwrap();
        (0..8).fold(byte, |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    });
    !bytes.iter().fold(!0, |crc: u32, byte| (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 0xff) as usize])
}
