//! A download over the end of a process.

use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use longhaul::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::child::{again, kill, spawn};
use crate::folder::plain::Folder;
use crate::folder::turn;

#[tokio::test]
async fn a_file_goes_on_after_a_kill() {
    const LINK: &str = "LONGHAUL_TEST_LINK";
    const TARGET: &str = "LONGHAUL_TEST_TARGET";
    if let (Ok(link), Ok(target)) = (env::var(LINK), env::var(TARGET)) {
        // This is the process that will be killed.
        let client = Client::builder("http://127.0.0.1:1").no_proxy().build().unwrap();
        let ended = client.download(link).to_file(target).await;
        panic!("it cannot end: {ended:?}");
    }
    let mut content = vec![0; 48 << 20];
    fastrand::fill(&mut content);
    let content = Bytes::from(content);
    let sends = Arc::new(AtomicUsize::new(40 << 20));
    let link = stalling_server(content.clone(), sends.clone()).await;
    let folder = Folder::new();
    let itself = env::current_exe().unwrap();
    let mut process = spawn(
        again(itself, module_path!(), "a_file_goes_on_after_a_kill").env(LINK, &link).env(TARGET, folder.at("7")),
    );
    // A process that is slow to begin writes its journal more than once before 32 MiB are in it.
    while journaled(&folder) < 32 << 20 {
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::task::yield_now().await;
    }
    kill(&mut process);
    sends.store(content.len(), SeqCst);
    assert_eq!(folder.names().first().map(String::as_str), Some("7.part"));

    let _alone = turn();
    let client = Client::builder("http://127.0.0.1:1").no_proxy().build().unwrap();
    let receipt = client.download(link).to_file(folder.at("7")).await.unwrap();
    assert!(receipt.resumed_at() >= 32 << 20, "{receipt:?}");
    assert!(fs::read(folder.at("7")).unwrap() == content, "other bytes");
    assert_eq!(folder.names(), ["7"]);
}

/// The number of bytes that the journal of the download has.
fn journaled(folder: &Folder) -> u64 {
    let Ok(text) = fs::read(folder.at("7.part.json")) else { return 0 };
    let journal: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let runs = journal["runs"].as_array().unwrap();
    runs.iter().map(|run| run["end"].as_u64().unwrap() - run["start"].as_u64().unwrap()).sum()
}

/// A storage over real sockets that sends so many bytes of the content, and stalls each body there. Gives the link.
async fn stalling_server(content: Bytes, sends: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = format!("http://{}/7?sig=S3CRET", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (content, sends) = (content.clone(), sends.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let first = head.split("range: bytes=").nth(1).unwrap().split('-').next().unwrap();
                let (first, total): (usize, _) = (first.parse().unwrap(), content.len());
                let answer = format!(
                    "HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Length: {}\r\n\
                     Content-Range: bytes {first}-{}/{total}\r\n\r\n",
                    total - first,
                    total - 1
                );
                let body = &content[first..sends.load(SeqCst).max(first)];
                // A process that was killed hangs up.
                if stream.write_all(answer.as_bytes()).await.is_ok() && stream.write_all(body).await.is_ok() {
                    let _ = stream.read_u8().await;
                }
            });
        }
    });
    link
}
