//! Processes that send under a shared limit until they are killed.

use std::ffi::OsString;
use std::process::Child;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use longhaul::limits::{Priority, RequestKey};
use longhaul::{Event, Limit, Throttle};
use tokio::net::UdpSocket;

use crate::child::{again, kill, spawn};
use crate::counting_service::Service;

/// A process that sends under a shared limit until it is killed, or until nothing was granted for a while.
#[tokio::test]
async fn sends() {
    let Ok(store) = std::env::var("LONGHAUL_SHARED_STORE") else { return };
    let var = |name| std::env::var(name).unwrap();
    let (number, service): (u8, _) = (var("LONGHAUL_SHARED_NUMBER").parse().unwrap(), var("LONGHAUL_SHARED_SERVICE"));
    let reporter = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    reporter.connect(&service).await.unwrap();
    let report = async |text: &str| drop(reporter.send(&[&[number], text.as_bytes()].concat()).await);
    report(&format!("{WALL}{}", now())).await;
    let throttle = match store.strip_prefix("file:") {
        Some(path) => Throttle::file(path).unwrap(),
        None => Throttle::redis(&store, "test").await.unwrap(),
    };
    throttle.add_limit(serde_json::from_str(&var("LONGHAUL_SHARED_LIMIT")).unwrap()).unwrap();
    let mut events = throttle.events();
    // A server that has just begun lends nothing for a lease, a guard and a window.
    let patience = Duration::from_secs(var("LONGHAUL_SHARED_PATIENCE").parse().unwrap());
    let mut workers: Vec<_> = (0..var("LONGHAUL_SHARED_WORKERS").parse().unwrap())
        .map(|_| {
            let (throttle, service) = (throttle.clone(), service.clone());
            tokio::spawn(async move {
                let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                socket.connect(service).await.unwrap();
                loop {
                    let asked = throttle.acquire(Priority::Call, &RequestKey::new()).timeout(patience);
                    let Ok(mut permit) = asked.await else { return };
                    permit.sent();
                    socket.send(&[number]).await.unwrap();
                    socket.recv(&mut [0]).await.unwrap();
                    permit.answered();
                }
            })
        })
        .collect();
    let reports = async {
        while let Some(event) = events.next().await {
            match event {
                Event::StoreDown { why } => report(&format!("{DOWN}{why}")).await,
                Event::StoreBack { .. } => report(BACK).await,
                Event::LeaseLost { .. } => report(LOST).await,
                _ => {}
            }
        }
        std::future::pending::<()>().await;
    };
    let works = async {
        for worker in &mut workers {
            worker.await.unwrap();
        }
    };
    tokio::select! {
        () = works => {}
        () = reports => {}
    }
}

/// What a process reports: its wall clock in seconds at the start, and events of its throttle.
pub(crate) const WALL: &str = "wall ";
pub(crate) const DOWN: &str = "down: ";
pub(crate) const BACK: &str = "back";
pub(crate) const LOST: &str = "lost";

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Processes that are killed with the test.
#[derive(Default)]
pub(crate) struct Senders {
    pub(crate) children: Vec<Child>,
    /// Each has a number of its own, which its requests carry.
    started: u8,
}

impl Senders {
    pub(crate) fn start(&mut self, store: &str, limit: &Limit, workers: u32, service: &Service) {
        self.start_in(store, limit, workers, service, Vec::new());
    }

    /// Starts a process with more in its environment.
    pub(crate) fn start_in(
        &mut self,
        store: &str,
        limit: &Limit,
        workers: u32,
        service: &Service,
        environment: Vec<(&'static str, OsString)>,
    ) {
        let mut command = again(std::env::current_exe().unwrap(), module_path!(), "sends");
        command
            .env("LONGHAUL_SHARED_STORE", store)
            .env("LONGHAUL_SHARED_NUMBER", self.started.to_string())
            .env("LONGHAUL_SHARED_LIMIT", serde_json::to_string(limit).unwrap())
            .env("LONGHAUL_SHARED_PATIENCE", if limit.to_string().contains("day") { "5" } else { "30" })
            .env("LONGHAUL_SHARED_WORKERS", workers.to_string())
            .env("LONGHAUL_SHARED_SERVICE", service.address().to_string())
            .envs(environment);
        self.started += 1;
        self.children.push(spawn(&mut command));
    }

    /// Kills a process: it has no chance to give anything back.
    pub(crate) fn kill(&mut self, at: usize) {
        kill(&mut self.children.remove(at));
    }

    pub(crate) fn have_ended(&mut self) -> bool {
        self.children.iter_mut().all(|child| child.try_wait().unwrap().is_some())
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.children.iter_mut().for_each(kill);
    }
}
