//! Against a Redis server as the store of a token: the promises of every store that processes share, and each fault of
//! the server.
//!
//! `tests/run.sh` names the program in the environment; without it these tests are skipped. The tests with several
//! processes are in `tests/processes/shared_token.rs`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use longhaul::ErrorKind;
use longhaul::credentials::{
    CredentialStore, MemoryStore, RedisCredentialStore, RefreshLease, RefreshTurn, Replaced, StoreError, StoredToken,
    Token,
};
use tokio::time::timeout;

use crate::redis::Server;

const KEY: [u8; 32] = [7; 32];
const LEASE: Duration = Duration::from_secs(60);

fn store(server: &Server) -> RedisCredentialStore {
    RedisCredentialStore::encrypted(&server.url(), "test", "login", KEY).unwrap()
}

fn token(access: &str) -> Token {
    // As a store gives it back: without parts of a millisecond.
    Token::from_json(&Token::new(access).refreshed_by("R3FRESH").expires_in(LEASE).expose_json()).unwrap()
}

fn granted(turn: RefreshTurn) -> RefreshLease {
    match turn {
        RefreshTurn::Granted(lease) => lease,
        other => panic!("{other:?}"),
    }
}

async fn refused<T: std::fmt::Debug>(answer: impl Future<Output = Result<T, StoreError>>, named: &str) {
    let error = answer.await.unwrap_err();
    assert!(error.to_string().contains(named), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!["S3CRET", "T0KEN", "R3FRESH"].iter().any(|secret| shown.contains(secret)), "{shown}");
}

/// Gives the server a command, and returns the beginning of its answer.
fn tell(server: &Server, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// All that a store promises, as what it answered. Generations are shown by their order alone.
async fn answers(store: impl CredentialStore) -> Vec<String> {
    let exclusive = store.exclusive().unwrap();
    let mut answers = Vec::new();
    let (one, two) = (token("T0KEN1"), token("T0KEN2"));
    let tell = |stored: &StoredToken| stored.token().map(|token| token.expose().to_owned());
    let nothing = exclusive.read().await.unwrap();
    answers.push(format!("{:?} {}", tell(&nothing), nothing.generation()));
    let Replaced::Done(first) = exclusive.replace(0, Some(one.clone())).await.unwrap() else { panic!() };
    let Replaced::Outdated(found) = exclusive.replace(0, Some(two.clone())).await.unwrap() else { panic!() };
    answers.push(format!("{:?} {}", tell(&found), found == StoredToken::new(first, Some(one))));
    let a = granted(exclusive.lock("a".into(), LEASE).await.unwrap());
    let RefreshTurn::Taken { left } = exclusive.lock("b".into(), LEASE).await.unwrap() else { panic!() };
    answers.push(format!("{a:?} {}", left.is_some_and(|left| left <= LEASE && left > LEASE / 2)));
    // The answer was lost.
    answers.push(format!("{:?}", exclusive.lock("a".into(), LEASE).await.unwrap()));
    answers.push(format!("{}", exclusive.renew(a.clone(), LEASE).await.unwrap()));
    // Who has the lock does not matter.
    let Replaced::Done(second) = exclusive.replace(first, Some(two)).await.unwrap() else { panic!() };
    answers.push(format!(
        "{} {:?}",
        second > first,
        store.load().await.unwrap().map(|token| token.expose().to_owned())
    ));
    exclusive.release(a.clone()).await.unwrap();
    let b = granted(exclusive.lock("b".into(), LEASE).await.unwrap());
    exclusive.release(a.clone()).await.unwrap();
    answers.push(format!("{b:?} {}", exclusive.renew(a, LEASE).await.unwrap()));
    exclusive.renew(b.clone(), Duration::from_millis(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    answers.push(format!("{:?}", exclusive.lock("c".into(), LEASE).await.unwrap()));
    answers.push(format!("{}", exclusive.renew(b, LEASE).await.unwrap()));
    store.save(None).await.unwrap();
    let removed = exclusive.read().await.unwrap();
    answers.push(format!("{:?} {}", tell(&removed), removed.generation() > second));
    answers
}

#[tokio::test]
async fn the_server_keeps_a_token_as_the_other_stores_do() {
    let Some(server) = Server::start(&[]) else { return };
    let expected = answers(MemoryStore::new()).await;
    assert_eq!(expected.len(), 10);
    assert_eq!(answers(store(&server)).await, expected);
    let plain = RedisCredentialStore::plain_text(&server.url(), "test", "plain").unwrap();
    assert_eq!(answers(plain).await, expected);
}

#[tokio::test]
async fn the_permissions_that_the_docs_name_suffice_for_tokens_and_an_error_names_them() {
    let Some(server) = Server::start(&[]) else { return };
    let docs = include_str!("../../docs/scale.md");
    let listed = |of: &str| {
        let (_, permissions) = docs.split_once(of).unwrap();
        permissions.split('`').nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (base, more) = (listed("- Permissions: "), listed("more permissions for tokens: "));
    assert!(tell(&server, &format!("ACL SETUSER app on >S3CRET {base} {more}")).starts_with("+OK"));
    let url = format!("redis://app:S3CRET@127.0.0.1:{}", server.port);
    let of = || RedisCredentialStore::encrypted(&url, "test", "login", KEY).unwrap();
    assert_eq!(answers(of()).await, answers(MemoryStore::new()).await);

    assert!(tell(&server, "ACL SETUSER app -hset").starts_with("+OK"));
    refused(of().save(None), "+hset").await;
    assert!(tell(&server, "ACL SETUSER app +hset -evalsha").starts_with("+OK"));
    refused(of().load(), "+evalsha").await;
    assert!(tell(&server, "ACL SETUSER app +evalsha resetkeys ~other:*").starts_with("+OK"));
    refused(of().load(), "~lh:*").await;
    // Nudges only save time.
    assert!(tell(&server, "ACL SETUSER app ~lh:* -subscribe -publish resetchannels").starts_with("+OK"));
    of().save(Some(token("T0KEN"))).await.unwrap();
    assert_eq!(of().load().await.unwrap().unwrap().expose(), "T0KEN");
}

#[tokio::test]
async fn nothing_in_the_server_shows_a_sealed_token() {
    let Some(server) = Server::start(&[]) else { return };
    let (sealed, plain) = (store(&server), RedisCredentialStore::plain_text(&server.url(), "test", "plain").unwrap());
    sealed.save(Some(token("T0KEN"))).await.unwrap();
    plain.save(Some(token("T0KEN"))).await.unwrap();
    let shown = tell(&server, "HGETALL lh:1:{test}/tok:login");
    assert!(shown.contains("longhaul login 1"), "{shown}");
    assert!(!["T0KEN", "R3FRESH", "access"].iter().any(|secret| shown.contains(secret)), "{shown}");
    assert!(tell(&server, "HGETALL lh:1:{test}/tok:plain").contains("T0KEN"));
    let shown = format!("{sealed:?} {plain:?}");
    assert!(shown.contains("encrypted") && shown.contains("plain text") && !shown.contains("7, 7"), "{shown}");
}

#[tokio::test]
async fn each_fault_of_a_stored_token_is_named_with_its_remedy() {
    let Some(server) = Server::start(&[]) else { return };
    let url = server.url();
    let sealed = store(&server);
    sealed.save(Some(token("T0KEN"))).await.unwrap();
    let other = RedisCredentialStore::encrypted(&url, "test", "login", [8; 32]).unwrap();
    refused(other.load(), "give the right one").await;
    refused(other.exclusive().unwrap().read(), "`lh:1:{test}/tok:login` in the Redis server at").await;
    refused(RedisCredentialStore::plain_text(&url, "test", "login").unwrap().load(), "RedisCredentialStore::encrypted")
        .await;
    // Put in the place of another login's.
    assert!(tell(&server, "COPY lh:1:{test}/tok:login lh:1:{test}/tok:copy").starts_with(":1"));
    refused(RedisCredentialStore::encrypted(&url, "test", "copy", KEY).unwrap().load(), "the name is not the one")
        .await;
    for (value, named) in [
        ("longhaul login 9 x", "another version"),
        (r#"{\"access\":\"T0KEN\"}"#, "plain_text"),
        ("longhaul", "cut off"),
        ("root", "use another namespace or name"),
    ] {
        let set = format!("HSET lh:1:{{test}}/tok:login token \"{value}\"");
        assert!(tell(&server, &set).starts_with(":0"), "{set}");
        refused(sealed.load(), named).await;
    }
    assert!(tell(&server, "SET lh:1:{test}/tok:text T0KEN").starts_with("+OK"));
    refused(RedisCredentialStore::encrypted(&url, "test", "text", KEY).unwrap().load(), "a value of another program")
        .await;
    for name in ["", "my login", "a{b}", "ü"] {
        let error = RedisCredentialStore::encrypted(&url, "test", name, KEY).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("name"), "{error}");
    }
    let error = RedisCredentialStore::plain_text(&url, "a b", "login").unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("namespace"), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_keep_tokens_is_named() {
    let Some(mut server) = Server::start(&["--requirepass", "0ther"]) else { return };
    let at = |port: u16| {
        RedisCredentialStore::encrypted(&format!("redis://:S3CRET@127.0.0.1:{port}"), "a", "b", KEY).unwrap()
    };
    refused(at(server.port).load(), "refuses the password").await;
    let evicts = Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).unwrap();
    refused(store(&evicts).load(), "removes tokens when its memory is full").await;

    server.restart(&[]);
    let store = store(&server);
    store.save(Some(token("T0KEN"))).await.unwrap();
    // It becomes a replica.
    assert!(tell(&server, "REPLICAOF 127.0.0.1 1").starts_with("+OK"));
    refused(store.save(None), "is read-only").await;
    assert!(tell(&server, "REPLICAOF NO ONE").starts_with("+OK"));
    // A full server keeps what it is given, and so does one that forgets its scripts.
    assert!(tell(&server, "CONFIG SET maxmemory 1").starts_with("+OK"));
    store.save(Some(token("T0KEN2"))).await.unwrap();
    granted(store.exclusive().unwrap().lock("a".into(), LEASE).await.unwrap());
    assert!(tell(&server, "SCRIPT FLUSH").starts_with("+OK"));
    assert_eq!(store.load().await.unwrap().unwrap().expose(), "T0KEN2");
    // It restarts without its data: that is no logout.
    server.restart(&[]);
    assert_eq!(store.exclusive().unwrap().read().await.unwrap(), StoredToken::nothing());
    let port = server.port;
    drop(server);
    refused(store.load(), &format!("the Redis server at 127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn a_generation_comes_never_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let store = store(&server);
    let exclusive = store.exclusive().unwrap();
    let Replaced::Done(before) = exclusive.replace(0, Some(token("T0KEN"))).await.unwrap() else { panic!() };
    server.restart(&[]);
    let Replaced::Done(after) = exclusive.replace(0, Some(token("T0KEN"))).await.unwrap() else { panic!() };
    assert!(after > before, "{after} {before}");
}

#[tokio::test]
async fn a_save_and_a_release_nudge_those_who_wait() {
    let Some(server) = Server::start(&[]) else { return };
    let (one, other) = (store(&server), store(&server));
    let (one, other) = (one.exclusive().unwrap(), other.exclusive().unwrap());
    // Both are connected.
    one.read().await.unwrap();
    other.read().await.unwrap();
    let changed = other.changed();
    let Replaced::Done(_) = one.replace(0, Some(token("T0KEN"))).await.unwrap() else { panic!() };
    timeout(LEASE, changed).await.unwrap();
    let lease = granted(one.lock("a".into(), LEASE).await.unwrap());
    let changed = other.changed();
    one.release(lease).await.unwrap();
    timeout(LEASE, changed).await.unwrap();
}
