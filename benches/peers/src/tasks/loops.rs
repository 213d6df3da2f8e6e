//! Loops: for each task a spawned loop of polls and sleeps, as most programs have it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, sleep};

use super::service::{Reply, Service};
use super::{PAUSE, SUBMITS, Scene};
use crate::Failure;

pub(super) async fn spawned(scene: Scene, service: Service) -> Result<(), Failure> {
    let (submits, pace) = (Arc::new(Semaphore::new(SUBMITS)), Arc::new(Pace::new(scene.limit)));
    let mut tasks = JoinSet::new();
    for _ in 0..scene.tasks {
        let (service, submits, pace) = (service.clone(), submits.clone(), pace.clone());
        tasks.spawn(async move { run(&service, &submits, &pace).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn run(service: &Service, submits: &Semaphore, pace: &Pace) -> Result<(), Failure> {
    let permit = submits.acquire().await?;
    let url = loop {
        pace.wait().await;
        match service.submit().await {
            Reply::Submitted(number) => break format!("https://api.example.com/tasks/{number}"),
            _ => sleep(REFUSED).await,
        }
    };
    drop(permit);
    sleep(PAUSE).await;
    loop {
        pace.wait().await;
        match service.poll(&url).await {
            Reply::Done(number) => {
                service.ended(number);
                return Ok(());
            }
            Reply::Refused => sleep(REFUSED).await,
            _ => sleep(PAUSE).await,
        }
    }
}

/// As the service says in `Retry-After`.
const REFUSED: Duration = Duration::from_secs(1);

/// An interval for all loops, which is the plainest limiter.
struct Pace(Option<Mutex<Interval>>);

impl Pace {
    fn new(limit: Option<u32>) -> Self {
        Self(limit.map(|limit| Mutex::new(interval(Duration::from_secs(1) / limit))))
    }

    async fn wait(&self) {
        if let Some(interval) = &self.0 {
            interval.lock().await.tick().await;
        }
    }
}
