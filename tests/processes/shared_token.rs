//! One token for several processes, in a file or in a Redis server: one of them refreshes it, whoever is killed. The
//! tests with a server need `LONGHAUL_REDIS`, its program, which tests/run.sh finds.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use longhaul::credentials::{CredentialStore, FileStore, RedisCredentialStore, RefreshTurn};
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, OAuth};

use crate::child::{again, spawn};
use crate::folder::Folder;

const KEY: [u8; 32] = [9; 32];

/// The store of this name: a path, or the URL of a server.
fn store(name: &str) -> Arc<dyn CredentialStore> {
    match name.strip_prefix("file:") {
        Some(path) => Arc::new(FileStore::encrypted(path, KEY)),
        None => Arc::new(RedisCredentialStore::encrypted(name, "test", "login", KEY).unwrap()),
    }
}

/// A process that sends some requests with the token, or takes the lock and does nothing.
#[tokio::test]
async fn uses_the_token() {
    let Ok(name) = std::env::var("LONGHAUL_TOKEN_STORE") else { return };
    let store = store(&name);
    if let Ok(seconds) = std::env::var("LONGHAUL_TOKEN_HELD") {
        let time = Duration::from_secs(seconds.parse().unwrap());
        let turn = store.exclusive().unwrap().lock("dies".into(), time).await.unwrap();
        assert!(matches!(turn, RefreshTurn::Granted(_)));
        std::fs::write(std::env::var_os("LONGHAUL_TOKEN_HOLDS").unwrap(), "").unwrap();
        std::thread::sleep(Duration::from_secs(600));
    }
    let var = |name| std::env::var(name).unwrap();
    let oauth = OAuth::refresh_only(var("LONGHAUL_TOKEN_URL"), var("LONGHAUL_CLIENT_ID"));
    let oauth = oauth.client_secret(var("LONGHAUL_CLIENT_SECRET")).store(store);
    let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", var("LONGHAUL_API_KEY"));
    let client = Client::builder(var("LONGHAUL_API_URL")).credential(Credential::oauth(oauth).and(key)).no_proxy();
    let client = client.build().unwrap();
    for _ in 0..3 {
        client.request(Method::GET, "farms").send().await.unwrap();
    }
    client.settle().await;
}

/// Processes that are killed with the test.
struct Fleet<'a> {
    service: &'a Simulator,
    store: String,
    children: Vec<Child>,
}

impl Fleet<'_> {
    fn command(&self) -> Command {
        let mut command = again(std::env::current_exe().unwrap(), module_path!(), "uses_the_token");
        command
            .env("LONGHAUL_TOKEN_STORE", &self.store)
            .env("LONGHAUL_TOKEN_URL", self.service.token_url().as_str())
            .env("LONGHAUL_CLIENT_ID", self.service.client_id())
            .env("LONGHAUL_CLIENT_SECRET", self.service.client_secret())
            .env("LONGHAUL_API_KEY", self.service.subscription_key())
            .env("LONGHAUL_API_URL", self.service.url().as_str());
        command
    }

    fn start(&mut self, count: usize) {
        for _ in 0..count {
            self.children.push(spawn(&mut self.command()));
        }
    }

    /// Waits for the ends of all, which have to be good.
    async fn have_ended(&mut self) {
        let begun = Instant::now();
        for child in &mut self.children {
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                assert!(begun.elapsed() < Duration::from_secs(120), "a process does not end");
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            assert!(status.success(), "{status:?}");
        }
        self.children.clear();
    }

    /// Lets the token of the store expire, or sets the first.
    async fn let_expire(&self) {
        let store = store(&self.store);
        let token = match store.load().await.unwrap() {
            Some(token) => token,
            None => {
                let (url, id) = (self.service.token_url(), self.service.client_id());
                let oauth = OAuth::client_credentials(url, id, self.service.client_secret()).store(store.clone());
                let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", self.service.subscription_key());
                let client = testing::client(self.service).credential(Credential::oauth(oauth).and(key));
                client.build().unwrap().request(Method::GET, "farms").send().await.unwrap();
                store.load().await.unwrap().unwrap()
            }
        };
        store.save(Some(token.expires_at(SystemTime::UNIX_EPOCH))).await.unwrap();
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

async fn service() -> Simulator {
    let service = Simulator::builder().tokens(Duration::from_secs(3600)).refreshable();
    service.token_latency(Duration::from_millis(700)).start().await.unwrap()
}

/// Several rounds in which the token of all expires at once.
async fn is_refreshed_once(name: String) {
    let service = service().await;
    let mut fleet = Fleet { service: &service, store: name, children: Vec::new() };
    for round in 1..=3 {
        fleet.let_expire().await;
        fleet.start(5);
        fleet.have_ended().await;
        assert_eq!(service.counts().refreshes(), round);
    }
    assert_eq!((service.counts().logins(), service.counts().unauthorized()), (1, 0));
}

/// A process that is killed while it holds the lock: `seconds` is its lease, where the lock has one.
async fn outlives_a_kill(name: String, seconds: u64, folder: &Folder) {
    let service = service().await;
    let mut fleet = Fleet { service: &service, store: name, children: Vec::new() };
    fleet.let_expire().await;
    let holds = folder.at("holds");
    let mut holder = fleet.command();
    holder.env("LONGHAUL_TOKEN_HELD", seconds.to_string()).env("LONGHAUL_TOKEN_HOLDS", &holds);
    fleet.children.push(spawn(&mut holder));
    while !holds.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fleet.start(4);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(service.counts().refreshes(), 0, "while it is locked");
    let mut holder = fleet.children.remove(0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    fleet.have_ended().await;
    assert_eq!((service.counts().logins(), service.counts().refreshes()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_file_refresh_once() {
    let folder = Folder::new();
    is_refreshed_once(format!("file:{}", folder.at("token").display())).await;
    assert_eq!(folder.names(), ["token", "token.refresh.lock", "token.save.lock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_killed_process_is_unlocked_at_once() {
    let folder = Folder::new();
    outlives_a_kill(format!("file:{}", folder.at("token").display()), 600, &folder).await;
}

/// A server of a test.
struct Redis {
    child: Child,
    url: String,
    _folder: Folder,
}

impl Redis {
    /// `None` where there is no server.
    fn start() -> Option<Self> {
        let program = std::env::var_os("LONGHAUL_REDIS")?;
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .arg("--dir")
            .arg(folder.at("."));
        let child = spawn(command.stdout(Stdio::null()));
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, url: format!("redis://127.0.0.1:{port}"), _folder: folder })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_server_refresh_once() {
    let Some(server) = Redis::start() else { return };
    is_refreshed_once(server.url.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_a_killed_process_ends_in_the_server() {
    let Some(server) = Redis::start() else { return };
    outlives_a_kill(server.url.clone(), 3, &Folder::new()).await;
}
