//! Downloads that are killed at any time, and end right all the same.

use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use longhaul::Client;

use crate::callsites::listen;
use crate::child::{again, kill, spawn};
use crate::depot::Depot;
use crate::folder::plain::Folder;
use crate::folder::turn;
use crate::log::Log;

const LINK: &str = "LONGHAUL_TEST_LINK";
const TARGET: &str = "LONGHAUL_TEST_TARGET";
const TOTAL: usize = 3_000_000;

#[tokio::test]
async fn a_file_is_right_after_kills_at_any_time() {
    if let (Ok(link), Ok(target)) = (env::var(LINK), env::var(TARGET)) {
        // This is a process that will be killed, unless it is faster.
        tracing::subscriber::set_global_default(
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).finish(),
        )
        .unwrap();
        println!("{:?}", download(&link, &target).await);
        return;
    }
    let rounds = if env::var("LONGHAUL_LONG").is_ok() { 50 } else { 3 };
    let log = Log::default();
    let _logging = listen(&log);
    let mut resumed = 0;
    for round in 0..rounds {
        let mut content = vec![0; TOTAL];
        fastrand::fill(&mut content);
        let content = Bytes::from(content);
        // Some of the bodies are cut, and each connection is slow as long as processes are killed.
        let rate = Arc::new(AtomicUsize::new(400_000));
        let limit = rate.clone();
        let depot = Depot::new(content.clone(), move |ask, answer| {
            let answer = answer.rate(limit.load(Relaxed));
            if ask.number % 3 == 2 { answer.cut(300_000) } else { answer }
        });
        let link = depot.serve().await;
        let folder = Folder::new();
        let printed = folder.at("printed");
        for _ in 0..fastrand::u32(1..4) {
            let out = fs::File::options().create(true).append(true).open(&printed).unwrap();
            let mut process = spawn(
                again(env::current_exe().unwrap(), module_path!(), "a_file_is_right_after_kills_at_any_time")
                    .arg("--nocapture")
                    .env(LINK, &link)
                    .env(TARGET, folder.at("7"))
                    .stdout(out.try_clone().unwrap())
                    .stderr(out),
            );
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..2_500))).await;
            kill(&mut process);
        }
        assert_no_secret(&folder, &log);
        let sent = depot.sent();
        rate.store(8_000_000, Relaxed);
        let alone = turn();
        let receipt = download(&link, folder.at("7").to_str().unwrap()).await.unwrap();
        drop(alone);
        resumed += u32::from(receipt.resumed_at() > 0);
        assert!(folder.read("7") == content, "round {round}: other bytes");
        // A kill may leave a journal that was being written: it is swept after an hour.
        let names: Vec<_> = folder.names().into_iter().filter(|name| !name.ends_with(".new")).collect();
        assert_eq!(names, ["7", "printed"], "round {round}");
        assert_no_secret(&folder, &log);
        if !receipt.is_unchanged() {
            // What was resumed is not sent again, but for some pieces of each connection.
            let missing = TOTAL - usize::try_from(receipt.resumed_at()).unwrap();
            let spare = 4 * (16 << 10) * depot.asks().len();
            assert!(depot.sent() - sent <= missing + spare, "round {round}: {} of {missing}", depot.sent() - sent);
        }
    }
    assert!(log.text().contains("7.csv"), "nothing was logged");
    println!("{resumed} of {rounds} rounds went on with a part");
}

async fn download(link: &str, target: &str) -> longhaul::Result<longhaul::downloads::Receipt> {
    let client = Client::builder("http://127.0.0.1:1").no_proxy().build().unwrap();
    client.download(link).part_size(64 << 10).to_file(target).await
}

/// Checks all that was printed, logged and left on the disk.
fn assert_no_secret(folder: &Folder, log: &Log) {
    let contains = |bytes: &[u8], secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    let logged = log.text();
    for secret in ["sig=", "S3CRET"] {
        assert!(!logged.contains(secret), "logged: {logged}");
        for name in folder.names() {
            assert!(!contains(&folder.read(&name), secret), "{name} holds {secret}");
        }
    }
}
