//! A download to a file system that is full, at the start and mid-way.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use longhaul::downloads::Receipt;
use longhaul::testing::script;
use longhaul::{Error, ErrorKind};

use crate::depot::{Answer, Depot};
use crate::small_disk::Small;

const LINK: &str = "https://store.example.net/7.csv?sig=S3CRET";
const MIB: usize = 1 << 20;

fn content() -> Bytes {
    let mut bytes = vec![0; 3 * MIB];
    fastrand::fill(&mut bytes);
    bytes.into()
}

async fn fetch(depot: &Depot, target: &Path, connections: usize) -> Result<Receipt, Error> {
    let client = script([]).client().storage_http(depot.clone()).build().unwrap();
    client.download(LINK).connections(connections).part_size(64 << 10).to_file(target).await
}

/// Checks the error of a full disk, and that it states numbers.
fn assert_full(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    let text = error.to_string();
    assert!(text.contains("more bytes are needed, and the file system has") && text.contains("free"), "{text}");
    assert!(!format!("{error:?}").contains("S3CRET"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_without_enough_room_shows_at_the_first_byte() {
    let Some(small) = Small::new(2) else { return };
    let content = content();
    for connections in [1, 8] {
        let depot = Depot::new(content.clone(), |_, answer| answer.rate(100_000));
        let error = fetch(&depot, &small.target(), connections).await.unwrap_err();
        assert_full(&error);
        assert!(error.to_string().contains(&(3 * MIB).to_string()), "{error}");
        assert_eq!((small.names().len(), depot.asks().len()), (0, 1));
    }
    small.grow(8);
    let depot = Depot::new(content.clone(), |_, answer| answer);
    assert_eq!(fetch(&depot, &small.target(), 8).await.unwrap().resumed_at(), 0);
    assert!(fs::read(small.target()).unwrap() == content);
    assert_eq!(small.names(), ["7"]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_mid_way_keeps_the_part_for_the_next_call() {
    for (connections, has_length) in [(1, true), (8, true), (1, false)] {
        let Some(small) = Small::new(4) else { return };
        let content = content();
        let whole = content.clone();
        let depot = Depot::new(content.clone(), move |_, answer| {
            let answer: Answer = answer.rate(200_000);
            let without = |answer: Answer| answer.status(200).without("content-range").body(whole.clone()).chunked();
            if has_length { answer } else { without(answer) }
        });
        let target = small.target();
        let fetching = fetch(&depot, &target, connections);
        let filling = async {
            while depot.sent() < MIB {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            // Somebody else takes all that is left.
            let filler = vec![7; 4 * MIB];
            let mut file = fs::File::create(small.at.join("filler")).unwrap();
            std::io::Write::write_all(&mut file, &filler).unwrap_err();
        };
        let (ended, ()) = tokio::join!(fetching, filling);
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
        if has_length {
            assert_full(&error);
            assert_eq!(small.names(), ["7.part", "7.part.json", "filler"]);
            // Without room, the next call says so before it fetches anything.
            let sent = depot.sent();
            assert_full(&fetch(&depot, &target, connections).await.unwrap_err());
            assert_eq!(small.names(), ["7.part", "7.part.json", "filler"]);
            assert!(depot.sent() - sent <= 16 << 10, "{}", depot.sent() - sent);
        }
        fs::remove_file(small.at.join("filler")).unwrap();
        let receipt = fetch(&depot, &target, connections).await.unwrap();
        assert!(receipt.resumed_at() > 0, "{receipt:?}");
        assert!(fs::read(&target).unwrap() == content, "other bytes");
        assert_eq!(small.names(), ["7"]);
    }
}
