//! The file: what is in it after cuts, damage, full disks, and beside other processes.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use longhaul::credentials::StoreError;
use longhaul::limits::Clock;
use longhaul::tasks::{FileTaskStore, StoredState, TaskLease, TaskStore, TaskWrite, Written};

use super::{intend, owner};
use crate::support::{Folder, callsites::listen, log::Log};

type All = BTreeMap<String, (StoredState, Vec<u8>)>;

fn store(folder: &Folder) -> FileTaskStore {
    FileTaskStore::new(folder.at("tasks"))
}

async fn said<T: std::fmt::Debug>(answer: impl Future<Output = Result<T, StoreError>>) -> String {
    answer.await.unwrap_err().to_string()
}

/// All that nobody holds.
async fn free(store: &FileTaskStore) -> All {
    let claimed = store.claim(owner("reader"), usize::MAX).await.unwrap();
    let record = |claimed: &longhaul::tasks::Claimed| (claimed.state(), claimed.data().to_vec());
    claimed.iter().map(|claimed| (claimed.lease().name().to_string(), record(claimed))).collect()
}

async fn write(store: &FileTaskStore, lease: &TaskLease, change: TaskWrite) {
    assert_eq!(store.write(lease.clone(), change).await.unwrap(), Written::Done);
}

/// Changes of every kind, with the length of the file and what is free in it after each.
async fn history(folder: &Folder) -> Vec<(u64, All)> {
    let store = store(folder);
    let mut history = Vec::new();
    let mut expected = All::new();
    let length = || fs::metadata(folder.at("tasks")).unwrap().len();
    let mut leases = Vec::new();
    for (name, data) in [("a", "{1}"), ("b", "{2}"), ("c", "{3}")] {
        let lease = intend(&store, name, "writer", data.as_bytes()).await;
        history.push((length(), expected.clone()));
        write(&store, &lease, TaskWrite::Released).await;
        expected.insert(name.to_owned(), (StoredState::Intended, data.into()));
        history.push((length(), expected.clone()));
        leases.push(lease);
    }
    let claimed = store.claim(owner("writer"), 9).await.unwrap();
    // In the copies, the writer is alive for 30 seconds more.
    history.push((length(), All::new()));
    for (claimed, change) in claimed.iter().zip([
        TaskWrite::Submitted(b"{\"token\"}".to_vec()),
        TaskWrite::Acknowledged,
        TaskWrite::Finished,
    ]) {
        write(&store, claimed.lease(), change).await;
        history.push((length(), All::new()));
    }
    for name in ["a", "c"] {
        let lease = claimed.iter().find(|claimed| &**claimed.lease().name() == name).unwrap().lease();
        write(&store, lease, TaskWrite::Released).await;
        let free = if name == "a" {
            All::from([("a".to_owned(), (StoredState::Submitted, b"{\"token\"}".to_vec()))])
        } else {
            let mut all = history.last().unwrap().1.clone();
            all.insert("c".to_owned(), (StoredState::Finished, b"{3}".to_vec()));
            all
        };
        history.push((length(), free));
    }
    history
}

#[tokio::test]
async fn a_log_cut_at_every_byte_holds_every_change_before_the_cut() {
    let folder = Folder::new();
    let history = history(&folder).await;
    let whole = folder.read("tasks");
    assert_eq!(whole.len() as u64, history.last().unwrap().0);
    const HEADER: usize = 24;
    for length in 0..=whole.len() {
        let copy = Folder::new();
        copy.write("tasks", &whole[..length]);
        let store = store(&copy);
        if length < HEADER {
            let error = said(store.counts()).await;
            assert!(error.contains("is cut off inside its header"), "{length}: {error}");
            assert_eq!(copy.read("tasks"), &whole[..length]);
            continue;
        }
        let expected = history.iter().rev().find(|(end, _)| *end <= length as u64).map(|(_, all)| all.clone());
        assert_eq!(free(&store).await, expected.unwrap_or_default(), "{length}");
        // Other processes read the same, and can go on.
        let other = super::file::store(&copy);
        intend(&other, "next", "other", b"{}").await;
        assert_eq!(store.counts().await.unwrap().intended, other.counts().await.unwrap().intended, "{length}");
    }
}

#[tokio::test]
async fn a_changed_byte_is_an_error_or_the_end_and_never_another_task() {
    let folder = Folder::new();
    let history = history(&folder).await;
    let whole = folder.read("tasks");
    let last = history[history.len() - 2].0;
    for at in 0..whole.len() {
        let copy = Folder::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        copy.write("tasks", &bytes);
        let store = store(&copy);
        match store.counts().await {
            // The generation only tells files apart.
            Ok(_) if (16..24).contains(&at) => {}
            Ok(_) if at as u64 >= last => assert_eq!(free(&store).await, history[history.len() - 2].1, "{at}"),
            Ok(counts) => panic!("{at}: {counts:?}"),
            Err(error) => {
                let error = error.to_string();
                let why = ["is damaged at byte", "is no task store", "is of another version"];
                assert!(why.iter().any(|why| error.contains(why)), "{at}: {error}");
                assert_eq!(copy.read("tasks"), bytes, "{at}: it was changed");
            }
        }
    }
}

#[tokio::test]
async fn zeros_at_the_end_are_a_change_that_a_machine_did_not_end() {
    for zeros in [1, 5, 12, 4096] {
        let folder = Folder::new();
        let lease = intend(&store(&folder), "a", "o", b"{}").await;
        let mut bytes = folder.read("tasks");
        let whole = bytes.len();
        bytes.extend(vec![0; zeros]);
        folder.write("tasks", &bytes);
        let log = Log::default();
        let listening = listen(&log);
        assert_eq!(store(&folder).counts().await.unwrap().intended, 1);
        drop(listening);
        assert!(log.text().contains("did not end, is removed"), "{}", log.text());
        assert_eq!(folder.read("tasks").len(), whole);
        write(&store(&folder), &lease, TaskWrite::Finished).await;
    }
    let folder = Folder::new();
    intend(&store(&folder), "a", "o", b"{}").await;
    let mut bytes = folder.read("tasks");
    bytes.extend(b"text that somebody appended");
    folder.write("tasks", &bytes);
    assert!(said(store(&folder).counts()).await.contains("is damaged at byte"));
    assert_eq!(folder.read("tasks"), bytes);
}

#[tokio::test]
async fn wrong_files_are_named_and_left_alone() {
    let folder = Folder::new();
    for (bytes, why) in [
        (&b"longhaul tasks 2\0\0\0\0\0\0\0\0"[..], "is of another version of longhaul"),
        (b"root:x:0:0:root:/root:/bin/bash", "is no task store"),
        (b"", "is cut off inside its header"),
        (b"longhaul", "is cut off inside its header"),
    ] {
        folder.write("tasks", bytes);
        for error in [
            said(store(&folder).intend("a".into(), owner("o"), Vec::new())).await,
            said(store(&folder).claim(owner("o"), 1)).await,
            said(store(&folder).counts()).await,
        ] {
            assert!(error.starts_with("the task store `") && error.contains(why), "{error}");
        }
        assert_eq!(folder.read("tasks"), bytes);
    }
    fs::create_dir(folder.at("folder")).unwrap();
    for (path, why) in [
        (folder.at("folder"), "is no ordinary file"),
        (folder.at("missing/tasks"), "is in a folder that does not exist"),
        (std::path::PathBuf::new(), "is no ordinary file"),
    ] {
        let error = said(FileTaskStore::new(&path).counts()).await;
        assert!(error.contains(why), "{path:?}: {error}");
    }
    assert_eq!(fs::read_dir(folder.at("folder")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_file_is_written_anew_when_most_of_it_is_out_of_date() {
    let folder = Folder::new();
    let (one, two) = (store(&folder), store(&folder));
    let kept = intend(&one, "kept", "one", b"{\"kept\": 1}").await;
    let mut most = 0;
    for round in 0..60 {
        let lease = intend(&two, &format!("t{round}"), "two", &vec![b'x'; 50_000]).await;
        write(&two, &lease, TaskWrite::Acknowledged).await;
        most = most.max(folder.read("tasks").len());
        // The other one reads the new file.
        assert_eq!(one.counts().await.unwrap().acknowledged, round + 1);
    }
    assert!(most < 1_300_000, "{most}");
    assert_eq!(folder.names(), ["tasks", "tasks.lock"]);
    write(&one, &kept, TaskWrite::Submitted(b"{}".to_vec())).await;
    assert_eq!(two.counts().await.unwrap().submitted, 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(folder.at("tasks")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn another_program_that_holds_the_lock_is_waited_for() {
    let folder = Folder::new();
    intend(&store(&folder), "a", "o", b"{}").await;
    let lock = fs::File::open(folder.at("tasks.lock")).unwrap();
    lock.lock().unwrap();
    let counting = tokio::spawn({
        let store = store(&folder);
        async move { store.counts().await.map(|counts| counts.intended) }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!counting.is_finished());
    lock.unlock().unwrap();
    assert_eq!(counting.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_owners_tasks_are_taken_over_and_its_writes_are_refused() {
    let folder = Folder::new();
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let store = || store(&folder).clock(clock);
    let (dead, living) = (store(), store());
    let lease = intend(&dead, "a", "dead", b"{}").await;
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(living.beat(owner("living"), Vec::new()).await.unwrap().is_empty());
    }
    let claimed = living.claim(owner("living"), 9).await.unwrap();
    assert_eq!((claimed[0].lease().fence(), claimed.len()), (2, 1));
    assert_eq!(dead.write(lease.clone(), TaskWrite::Finished).await.unwrap(), Written::Lost);
    assert_eq!(dead.beat(owner("dead"), vec![lease.clone()]).await.unwrap(), [lease]);
    assert_eq!(living.counts().await.unwrap().free, 0);
}
