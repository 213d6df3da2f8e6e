//! Learner: longhaul's client, which waits for the tasks of a service in memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::limits::Clock;
use longhaul::{Client, PollPolicy};
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::tally::Tally;
use crate::Failure;

#[derive(Clone, Copy)]
pub(super) enum Policy {
    /// Learns, with this cost of a poll in seconds.
    Learn(f64),
    Standard,
}

/// Runs the tasks of each sequence with a new client, one after the other; returns those of all sequences.
pub(super) fn play(sequences: &[Vec<f64>], policy: Policy) -> Result<Vec<Tally>, Failure> {
    let mut tallies = Vec::new();
    for (seed, sequence) in (0..).zip(sequences) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        // The jitter and the probes of the client.
        fastrand::seed(seed);
        tallies.extend(runtime.block_on(run(sequence, policy))?);
    }
    Ok(tallies)
}

async fn run(sequence: &[f64], policy: Policy) -> Result<Vec<Tally>, Failure> {
    let policy = match policy {
        Policy::Learn(cost) => PollPolicy::standard().learn(Duration::try_from_secs_f64(cost)?),
        Policy::Standard => PollPolicy::standard(),
    };
    let service = Service::default();
    let client = Client::builder("https://api.example.com")
        .http(service.clone())
        .clock(Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
        .poll_policy(policy.ceiling(Duration::from_secs(24 * 60 * 60)))
        .build()?;
    let mut tallies = Vec::new();
    for duration in sequence {
        let duration = Duration::try_from_secs_f64(*duration)?;
        service.begin(duration);
        let end = Instant::now() + duration;
        client.task().post("tasks").submit::<()>().await?.await?;
        let lag = Instant::now().saturating_duration_since(end).as_secs_f64();
        tallies.push(Tally { polls: service.polls(), lag });
    }
    Ok(tallies)
}

/// A service of one task at a time, which gives no hint.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Job>>);

#[derive(Default)]
struct Job {
    end: Option<Instant>,
    polls: u32,
}

impl Service {
    fn begin(&self, duration: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Job { end: Some(Instant::now() + duration), polls: 0 };
    }

    fn polls(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).polls
    }
}

impl Http for Service {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let mut job = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut headers = HeaderMap::new();
        let status = if request.method() == Method::POST {
            headers.insert("location", HeaderValue::from_static("https://api.example.com/tasks/1"));
            StatusCode::ACCEPTED
        } else {
            job.polls += 1;
            if job.end.is_some_and(|end| Instant::now() >= end) { StatusCode::OK } else { StatusCode::ACCEPTED }
        };
        let response = Response::new(status, request.url().clone()).headers_from(headers);
        Box::pin(async move { Ok(response) })
    }
}
