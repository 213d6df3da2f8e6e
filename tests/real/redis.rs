//! Against a Redis server as the store of shared limits: what it is told, and what cannot be a store.
//!
//! `tests/run.sh` names the program in the environment; without it these tests are skipped. The tests with several
//! processes are in `tests/processes/shared_limit.rs`.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use longhaul::limits::{Priority, RequestKey};
use longhaul::{ErrorKind, Event, Limit, Throttle};
use tempfile::TempDir;

/// A server of a test.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    folder: TempDir,
}

impl Server {
    /// `None` where there is no server.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        std::env::var_os("LONGHAUL_REDIS")?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Self { child: run(port, folder.path(), arguments), port, folder })
    }

    /// Kills the server, and starts it again in its folder.
    pub(crate) fn restart(&mut self, arguments: &[&str]) {
        drop(self.child.kill());
        drop(self.child.wait());
        self.child = run(self.port, self.folder.path(), arguments);
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// Runs a server, and returns when it can be reached.
fn run(port: u16, folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(std::env::var_os("LONGHAUL_REDIS").unwrap());
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let mut child = command.args(arguments).current_dir(folder).stdout(Stdio::null()).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the server has ended: {arguments:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn refused(url: &str, namespace: &str, kind: ErrorKind, named: &str) {
    let error = Throttle::redis(url, namespace).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(named), "{error}");
    assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_cannot_be_a_store_is_named() {
    let Some(server) = Server::start(&["--requirepass", "0ther"]) else { return };
    let port = server.port;
    refused(&format!("redis://:S3CRET@127.0.0.1:{port}"), "a", ErrorKind::Store, "refuses the password").await;
    refused(&server.url(), "a", ErrorKind::Store, "password").await;
    Throttle::redis(&format!("redis://:0ther@127.0.0.1:{port}"), "a").await.unwrap();
    for namespace in ["", "my application", "a{b}", "ü"] {
        refused(&server.url(), namespace, ErrorKind::Config, "namespace").await;
    }
    refused("http://127.0.0.1:1/S3CRET", "a", ErrorKind::Config, "URL").await;
    let cluster = Server::start(&["--cluster-enabled", "yes"]).unwrap();
    refused(&cluster.url(), "a", ErrorKind::Store, "cluster").await;
    let replica = Server::start(&["--replicaof", "127.0.0.1", "1"]).unwrap();
    refused(&replica.url(), "a", ErrorKind::Store, "replica").await;
    drop(server);
    refused(&format!("redis://:S3CRET@127.0.0.1:{port}"), "a", ErrorKind::Store, "Redis server at").await;
}

#[tokio::test]
async fn a_server_that_is_full_is_reported_and_nothing_goes_without_it() {
    let Some(server) = Server::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]) else { return };
    let throttle = Throttle::redis(&server.url(), "full").await.unwrap();
    throttle.add_limit(Limit::per(9, Duration::from_secs(3600))).unwrap();
    let mut events = throttle.events();
    let asked = throttle.acquire(Priority::Call, &RequestKey::new()).timeout(Duration::from_secs(1)).await;
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    let why = loop {
        if let Event::StoreDown { why } = events.next().await.unwrap() {
            break why;
        }
    };
    assert!(why.contains("is full"), "{why}");
}

#[tokio::test]
async fn two_throttles_share_an_hour_and_two_namespaces_do_not() {
    let Some(server) = Server::start(&[]) else { return };
    let limit = Limit::per(4, Duration::from_secs(3600));
    let mut granted = Vec::new();
    for namespace in ["one", "one", "two"] {
        let throttle = Throttle::redis(&server.url(), namespace).await.unwrap();
        throttle.add_limit(limit.clone()).unwrap();
        let mut count = 0;
        for _ in 0..3 {
            let asked = throttle.acquire(Priority::Call, &RequestKey::new()).timeout(Duration::from_secs(2)).await;
            if let Ok(mut permit) = asked {
                permit.answered();
                count += 1;
            }
        }
        granted.push(count);
    }
    // What the first gave back unused at its end is there for the second.
    assert_eq!(granted, [3, 1, 3]);
}

#[tokio::test]
async fn the_permissions_that_the_docs_name_suffice() {
    let docs = include_str!("../../docs/scale.md");
    let (_, permissions) = docs.split_once("- Permissions: `").unwrap();
    let (permissions, _) = permissions.split_once('`').unwrap();
    let mut user = vec!["--user", "app", "on", ">s3cret"];
    user.extend(permissions.split_whitespace());
    let Some(server) = Server::start(&user) else { return };
    let url = format!("redis://app:s3cret@127.0.0.1:{}", server.port);
    let throttles = [Throttle::redis(&url, "a").await.unwrap(), Throttle::redis(&url, "a").await.unwrap()];
    for throttle in &throttles {
        throttle.add_limit(Limit::per(4, Duration::from_secs(3600))).unwrap();
        let asked = throttle.acquire(Priority::Call, &RequestKey::new()).timeout(Duration::from_secs(2)).await;
        asked.unwrap().answered();
    }
    // What one hears of the service, the server calls out to the other.
    let mut events = throttles[1].events();
    let asks = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("60"))]);
    let asked = throttles[0].acquire(Priority::Call, &RequestKey::new()).timeout(Duration::from_secs(2)).await;
    asked.unwrap().heard(StatusCode::TOO_MANY_REQUESTS, &asks);
    let told = async {
        loop {
            if let Some(Event::Paused { during, .. }) = events.next().await {
                return during;
            }
        }
    };
    let during = tokio::time::timeout(Duration::from_secs(9), told).await.unwrap();
    assert!(during > Duration::from_secs(40) && during <= Duration::from_secs(61), "{during:?}");
}
