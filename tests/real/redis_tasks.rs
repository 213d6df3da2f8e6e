//! Against a Redis server as the store of tasks: the promises of every store, and each fault of the server.
//!
//! `tests/run.sh` names the program in the environment; without it these tests are skipped. Workers that are killed are
//! in `tests/processes/killed_worker.rs`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use longhaul::ErrorKind;
use longhaul::credentials::StoreError;
use longhaul::tasks::{
    FileTaskStore, Intent, MemoryTaskStore, Recovered, RedisTaskStore, StoredState, TaskLease, TaskStore, TaskWrite,
    Written,
};
use longhaul::testing::{reply, script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::redis::Server;

const LEASE: Duration = Duration::from_millis(300);

fn store(server: &Server) -> RedisTaskStore {
    RedisTaskStore::new(&server.url(), "test").unwrap()
}

async fn intend(store: &impl TaskStore, name: &str, owner: &str, data: &[u8]) -> TaskLease {
    match store.intend(name.into(), owner.into(), data.to_vec()).await.unwrap() {
        Intent::Stored(lease) => lease,
        other => panic!("{other:?}"),
    }
}

async fn write(store: &impl TaskStore, lease: &TaskLease, change: TaskWrite) -> Written {
    store.write(lease.clone(), change).await.unwrap()
}

async fn refused<T: std::fmt::Debug>(answer: impl Future<Output = Result<T, StoreError>>, named: &str) {
    let error = answer.await.unwrap_err();
    assert!(error.to_string().contains(named), "{error}");
    assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error:?}");
}

/// Gives the server a command, and returns the first line of its answer.
fn tell(server: &Server, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 512];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
}

/// All that a store promises, as what it answered and what it counts.
async fn answers(store: impl TaskStore) -> Vec<String> {
    let mut answers = Vec::new();
    macro_rules! note {
        ($answer:expr) => {{
            let answer = $answer.await.unwrap();
            answers.push(format!("{answer:?} {:?}", store.counts().await.unwrap()));
        }};
    }
    let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
    for name in ["b", "a", "a name with ünicode"] {
        note!(store.intend(name.into(), one.clone(), b"{\"\0\xff\r\n\"}".to_vec()));
    }
    note!(store.intend("a".into(), two.clone(), Vec::new()));
    let lease = |name: &str, owner: &Arc<str>, fence| TaskLease::new(name.into(), owner.clone(), fence);
    // Neither another owner, nor another fence, nor an unknown task is written.
    for lease in [lease("a", &two, 1), lease("a", &one, 2), lease("c", &one, 1)] {
        note!(store.write(lease, TaskWrite::Finished));
    }
    note!(store.claim(two.clone(), usize::MAX));
    for name in ["a name with ünicode", "a", "b"] {
        note!(store.write(lease(name, &one, 1), TaskWrite::Released));
    }
    // The oldest first.
    note!(store.claim(two.clone(), 2));
    note!(store.claim(two.clone(), 0));
    note!(store.write(lease("a", &one, 1), TaskWrite::Submitted(Vec::new())));
    note!(store.beat(one.clone(), vec![lease("a", &one, 1), lease("a name with ünicode", &one, 1)]));
    note!(store.beat(two.clone(), vec![lease("a", &two, 2), lease("b", &two, 2), lease("b", &two, 1)]));
    note!(store.write(lease("a", &two, 2), TaskWrite::Submitted(b"a longer token".to_vec())));
    note!(store.write(lease("b", &two, 2), TaskWrite::Uncertain));
    note!(store.write(lease("a", &two, 2), TaskWrite::Finished));
    note!(store.write(lease("a", &two, 2), TaskWrite::Released));
    note!(store.claim(one.clone(), 1));
    note!(store.write(lease("a", &one, 3), TaskWrite::Acknowledged));
    note!(store.write(lease("a", &one, 3), TaskWrite::Acknowledged));
    note!(store.intend("a".into(), one.clone(), Vec::new()));
    note!(store.write(lease("b", &two, 2), TaskWrite::Withdrawn));
    note!(store.intend("b".into(), one.clone(), Vec::new()));
    note!(store.claim(one.clone(), usize::MAX));
    let full = store.intend("large".into(), one.clone(), vec![0; 2_000]).await.unwrap_err().to_string();
    answers.push(full.split_once("its ").unwrap().1.to_owned());
    answers
}

#[tokio::test]
async fn the_server_answers_as_the_other_stores_do() {
    let Some(server) = Server::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let expected = answers(MemoryTaskStore::new().most_bytes(1_500)).await;
    assert_eq!(expected.len(), 28);
    assert_eq!(answers(FileTaskStore::new(folder.path().join("tasks")).most_bytes(1_500)).await, expected);
    assert_eq!(answers(store(&server).most_bytes(1_500)).await, expected);
}

#[tokio::test]
async fn the_permissions_that_the_docs_name_suffice_for_tasks() {
    let Some(server) = Server::start(&[]) else { return };
    let limits = "~lh:* &lh:* +eval +evalsha +script|load +info +subscribe +publish +time +get +set +hello";
    let tasks = "+del +hset +hget +hmget +hdel +hincrby +zadd +zrem +zscore +zcard +zrange +zrangebyscore";
    assert_eq!(tell(&server, &format!("ACL SETUSER app on >S3CRET {limits} {tasks}")), "+OK");
    let url = format!("redis://app:S3CRET@127.0.0.1:{}", server.port);
    let store = RedisTaskStore::new(&url, "test").unwrap().most_bytes(1_500);
    assert_eq!(answers(store).await, answers(MemoryTaskStore::new().most_bytes(1_500)).await);
}

#[tokio::test]
async fn a_dead_owners_tasks_are_taken_over_and_its_writes_are_refused() {
    let Some(server) = Server::start(&[]) else { return };
    let (dead, living) = (store(&server).lease_time(LEASE), store(&server).lease_time(LEASE));
    let lost = intend(&dead, "a", "dead", b"{}").await;
    let kept = intend(&living, "b", "living", b"{}").await;
    let claimed = loop {
        assert_eq!(living.beat("living".into(), vec![kept.clone()]).await.unwrap(), []);
        let claimed = living.claim("other".into(), usize::MAX).await.unwrap();
        if !claimed.is_empty() {
            break claimed;
        }
        tokio::time::sleep(LEASE / 10).await;
    };
    assert_eq!(claimed.len(), 1);
    assert_eq!((&**claimed[0].lease().name(), claimed[0].lease().fence()), ("a", 2));
    assert_eq!(write(&dead, &lost, TaskWrite::Finished).await, Written::Lost);
    assert_eq!(dead.beat("dead".into(), vec![lost.clone()]).await.unwrap(), [lost]);
    assert_eq!(write(&living, &kept, TaskWrite::Finished).await, Written::Done);
}

#[tokio::test]
async fn claims_and_beats_of_many_tasks_are_complete_and_each_task_has_one_owner() {
    let Some(server) = Server::start(&[]) else { return };
    let stores = [store(&server), store(&server)];
    for number in 0..2_300 {
        let lease = intend(&stores[0], &format!("t{number}"), "first", b"{}").await;
        let _ = write(&stores[0], &lease, TaskWrite::Released).await;
    }
    let (one, two) = tokio::join!(stores[0].claim("one".into(), usize::MAX), stores[1].claim("two".into(), 700));
    let (one, two) = (one.unwrap(), two.unwrap());
    let mut names: Vec<_> = one.iter().chain(&two).map(|claimed| claimed.lease().name().clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!((one.len() + two.len(), names.len()), (2_300, 2_300));
    assert!(two.len() <= 700);
    let mut leases: Vec<_> = one.iter().map(|claimed| claimed.lease().clone()).collect();
    let wrong = TaskLease::new("t0".into(), "one".into(), 1);
    leases.push(wrong.clone());
    assert_eq!(stores[0].beat("one".into(), leases).await.unwrap(), [wrong]);
}

#[tokio::test]
async fn a_server_that_cannot_be_a_store_is_named() {
    let Some(server) = Server::start(&["--requirepass", "0ther"]) else { return };
    let port = server.port;
    let at = |url: String| RedisTaskStore::new(&url, "a").unwrap();
    refused(at(format!("redis://:S3CRET@127.0.0.1:{port}")).counts(), "refuses the password").await;
    refused(at(server.url()).counts(), "password").await;
    at(format!("redis://:0ther@127.0.0.1:{port}")).counts().await.unwrap();
    for (url, namespace, named) in [
        ("redis://127.0.0.1", "", "namespace"),
        ("redis://127.0.0.1", "my application", "namespace"),
        ("http://127.0.0.1:1/S3CRET", "a", "URL"),
    ] {
        let error = RedisTaskStore::new(url, namespace).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(named) && !error.to_string().contains("S3CRET"), "{error}");
    }
    let cluster = Server::start(&["--cluster-enabled", "yes"]).unwrap();
    refused(store(&cluster).counts(), "cluster").await;
    let replica = Server::start(&["--replicaof", "127.0.0.1", "1"]).unwrap();
    refused(store(&replica).counts(), "replica").await;
    let evicting = Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).unwrap();
    refused(store(&evicting).counts(), "set noeviction").await;
    let restricted = Server::start(&[]).unwrap();
    assert_eq!(tell(&restricted, "ACL SETUSER weak on >S3CRET ~* +@all -evalsha"), "+OK");
    let weak = at(format!("redis://weak:S3CRET@127.0.0.1:{}", restricted.port));
    refused(weak.counts(), "does not permit a command that a store needs").await;
    drop(server);
    refused(at(format!("redis://:S3CRET@127.0.0.1:{port}")).counts(), "Redis server at").await;
}

#[tokio::test]
async fn a_full_server_refuses_new_tasks_and_lets_the_others_end() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let store = store(&server);
    let lease = intend(&store, "a", "one", b"{}").await;
    assert_eq!(tell(&server, "CONFIG SET maxmemory 1"), "+OK");
    refused(store.intend("b".into(), "one".into(), b"{}".to_vec()), "is full").await;
    assert_eq!(store.beat("one".into(), vec![lease.clone()]).await.unwrap(), []);
    assert_eq!(write(&store, &lease, TaskWrite::Submitted(vec![1; 10_000])).await, Written::Done);
    assert_eq!(write(&store, &lease, TaskWrite::Released).await, Written::Done);
    let claimed = store.claim("two".into(), 9).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].data().len()), (1, 10_000));
    assert_eq!(write(&store, claimed[0].lease(), TaskWrite::Acknowledged).await, Written::Done);
    assert_eq!(tell(&server, "CONFIG SET maxmemory 0"), "+OK");
    intend(&store, "b", "one", b"{}").await;
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_takes_no_change() {
    let Some(server) = Server::start(&[]) else { return };
    let store = store(&server);
    let lease = intend(&store, "a", "one", b"{}").await;
    assert_eq!(tell(&server, "REPLICAOF 127.0.0.1 1"), "+OK");
    refused(store.write(lease.clone(), TaskWrite::Finished), "is read-only").await;
    refused(store.write(lease.clone(), TaskWrite::Finished), "is a replica").await;
    assert_eq!(tell(&server, "REPLICAOF NO ONE"), "+OK");
    assert_eq!(write(&store, &lease, TaskWrite::Finished).await, Written::Done);
}

#[tokio::test]
async fn a_restart_keeps_the_tasks_by_the_log_of_the_server_and_forgets_them_without() {
    let Some(mut server) = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]) else { return };
    let store = store(&server);
    let lease = intend(&store, "a", "one", b"{}").await;
    assert_eq!(tell(&server, "SCRIPT FLUSH"), "+OK");
    assert_eq!(store.counts().await.unwrap().intended, 1);
    server.restart(&["--appendonly", "yes"]);
    assert_eq!(write(&store, &lease, TaskWrite::Submitted(b"{7}".to_vec())).await, Written::Done);
    server.restart(&["--appendonly", "yes"]);
    assert_eq!(store.beat("one".into(), vec![lease.clone()]).await.unwrap(), []);
    assert_eq!(store.counts().await.unwrap().submitted, 1);

    server.restart(&["--appendonly", "no"]);
    assert_eq!(store.counts().await.unwrap().open(), 0);
    assert_eq!(store.claim("two".into(), 9).await.unwrap(), []);
    assert_eq!(store.beat("one".into(), vec![lease.clone()]).await.unwrap(), std::slice::from_ref(&lease));
    assert_eq!(write(&store, &lease, TaskWrite::Acknowledged).await, Written::Lost);
    // The name is free.
    intend(&store, "a", "two", b"{}").await;
}

/// A way to a server that loses answers.
async fn lossy(server: &Server) -> (RedisTaskStore, Arc<AtomicU32>) {
    let (losses, port) = (Arc::new(AtomicU32::new(0)), server.port);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let loses = losses.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let loses = loses.clone();
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
                let mut is_lost = false;
                loop {
                    tokio::select! {
                        length = client.read(&mut asked) => {
                            let Ok(length @ 1..) = length else { return };
                            let is_call = asked[..length].windows(7).any(|word| word == b"EVALSHA");
                            is_lost = is_call && loses.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
                            server.write_all(&asked[..length]).await.unwrap();
                        }
                        length = server.read(&mut answered) => {
                            let Ok(length @ 1..) = length else { return };
                            // The server has done it, and the connection ends.
                            if is_lost {
                                return;
                            }
                            client.write_all(&answered[..length]).await.unwrap();
                        }
                    }
                }
            });
        }
    });
    let store = RedisTaskStore::new(&url, "test").unwrap();
    store.counts().await.unwrap();
    (store, losses)
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_carried_out_once() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, losses) = lossy(&server).await;
    let lose = |count| losses.store(count, SeqCst);
    lose(1);
    let lease = intend(&store, "a", "one", b"{}").await;
    lose(1);
    assert_eq!(write(&store, &lease, TaskWrite::Released).await, Written::Done);
    lose(1);
    let claimed = store.claim("one".into(), 9).await.unwrap();
    // The first claim was taken back, and the second has a higher fence.
    assert_eq!((claimed.len(), claimed[0].lease().fence()), (1, 3));
    lose(1);
    assert_eq!(write(&store, claimed[0].lease(), TaskWrite::Acknowledged).await, Written::Done);
    assert_eq!(
        store.intend("a".into(), "one".into(), Vec::new()).await.unwrap(),
        Intent::Known(StoredState::Acknowledged)
    );
    assert_eq!(losses.load(SeqCst), 0);
}

#[tokio::test]
async fn a_call_that_gets_no_answer_at_all_leaves_nothing_behind() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, losses) = lossy(&server).await;
    losses.store(2, SeqCst);
    refused(store.intend("a".into(), "one".into(), b"{}".to_vec()), "Redis server at").await;
    // The server has it, until the next call.
    assert_eq!(self::store(&server).counts().await.unwrap().intended, 1);
    let lease = intend(&store, "a", "one", b"{}").await;
    let _ = write(&store, &lease, TaskWrite::Released).await;
    losses.store(2, SeqCst);
    refused(store.claim("one".into(), 9), "Redis server at").await;
    assert_eq!(self::store(&server).counts().await.unwrap().free, 0);
    // The next call takes the claim back first.
    assert_eq!(store.counts().await.unwrap().free, 1);
}

#[tokio::test]
async fn a_client_goes_on_with_the_tasks_of_another_and_is_told_of_lost_ones() {
    let Some(mut server) = Server::start(&[]) else { return };
    let service = script([
        reply(202).header("location", "tasks/7"),
        reply(200).json(serde_json::json!(7)),
        reply(202).header("location", "tasks/8"),
    ]);
    let client = || service.client().task_store(store(&server)).task_store_key([7; 32]).build().unwrap();
    let first = client();
    drop(first.task().post("exports").stored_as("order-17").submit::<u32>().await.unwrap());
    first.settle().await;
    drop(first);
    let second = client();
    let Some(Recovered::Task(task)) = second.recover::<u32>().await.unwrap().pop() else { panic!("it is free") };
    assert_eq!(task.stored_as().as_deref(), Some("order-17"));
    let outcome = task.await.unwrap();
    assert_eq!(outcome.value().unwrap(), 7);
    outcome.ack().await.unwrap();
    assert_eq!(second.stored_tasks().await.unwrap().open(), 0);

    let task = second.task().post("exports").submit::<u32>().await.unwrap();
    server.restart(&[]);
    assert_eq!(task.handle().ack().await.unwrap_err().kind(), ErrorKind::TakenOver);
}
