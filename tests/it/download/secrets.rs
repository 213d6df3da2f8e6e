//! No link on the disk, and no signature in anything that can be printed.

use super::*;

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
        vec![reply(400).body(said), reply(400).body(said)],
        vec![part("0-9/10", "0123").cut(), reply(412)],
        vec![part("0-9/10", "0123").cut(), part("5-9/10", "56789"), reply(404).body(said)],
        vec![part("0-9/10", "0123456789X")],
        vec![reply(302).header("location", "ftp://a.example/7?sig=S3CRET")],
        vec![reply(302).header("location", "http://a.example/7?sig=S3CRET")],
        (0..6).map(|_| reply(302).header("location", LINK)).collect(),
        (0..8).map(|_| reply(500).body(said)).collect(),
        (0..8).map(|_| reply(200).lost()).collect(),
    ] {
        let service = script(answers);
        let error = service.client().build().unwrap().download(LINK).to_file(folder.at("8")).await.unwrap_err();
        print(shown(&error));
        for name in ["8.part", "8.part.json"] {
            let _ = fs::remove_file(folder.at(name));
        }
    }
    let client = service.client().build().unwrap();
    for link in ["https://a.example/?rscd='7'&sig=S3CRET", "ftp://a.example/?sig=S3CRET", "sig=S3CRET"] {
        let download = client.download(link);
        print(format!("{download:?}"));
        print(shown(&download.to_memory(1).await.unwrap_err()));
    }
    let error = client.download(LINK).to_file(folder.at("no/such")).await.unwrap_err();
    print(shown(&error));
    assert!(printed.len() > 1_000);
    for secret in ["sig=", "S3CRET"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
