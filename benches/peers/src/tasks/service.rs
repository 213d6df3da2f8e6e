//! Service: tasks of 10 to 30 minutes in memory, behind a network that takes its time. It gives no hint.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::Scene;
use super::seen::Seen;
use crate::budget::Budget;
use crate::heap;
use crate::server::{Admit, Strict, Verdict};

#[derive(Clone)]
pub(super) struct Service(Arc<Mutex<State>>);

struct State {
    scene: Scene,
    limit: Option<Strict>,
    /// When each task ends.
    ends: Vec<Instant>,
    begun: Instant,
    first_end: Option<Instant>,
    lags: Vec<Duration>,
    polls: u64,
    refused: u64,
}

/// What the service says.
pub(super) enum Reply {
    Submitted(u32),
    Pending,
    Done(u32),
    Refused,
}

/// What was seen while the tasks waited.
pub(super) struct Waited {
    submitted: Duration,
    heap: Option<isize>,
}

impl Service {
    pub(super) fn new(scene: Scene) -> Self {
        let limit = scene.limit.map(|limit| Strict::new(&Budget::per(limit, Duration::from_secs(1))));
        // All memory is taken before it is counted.
        let (ends, lags) = (Vec::with_capacity(scene.tasks as usize), Vec::with_capacity(scene.tasks as usize));
        Self(Arc::new(Mutex::new(State {
            scene,
            limit,
            ends,
            begun: Instant::now(),
            first_end: None,
            lags,
            polls: 0,
            refused: 0,
        })))
    }

    pub(super) async fn submit(&self) -> Reply {
        sleep(WAY).await;
        let reply = self.lock().begin();
        sleep(WAY).await;
        reply
    }

    /// Asks for a task by the path of its URL.
    pub(super) async fn poll(&self, path: &str) -> Reply {
        let number = path.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX);
        sleep(WAY).await;
        let reply = self.lock().look(number);
        sleep(WAY).await;
        reply
    }

    /// Records that the subject knows the end of a task.
    pub(super) fn ended(&self, number: u32) {
        let mut state = self.lock();
        if let Some(end) = state.ends.get(number as usize).copied() {
            state.lags.push(Instant::now().saturating_duration_since(end));
        }
    }

    /// Returns how long the submits of all tasks took, and the fewest bytes that are live at one of the times when all tasks wait.
    pub(super) async fn weigh(self) -> Waited {
        let (mut least, mut submitted) = (None::<isize>, None);
        loop {
            sleep(Duration::from_millis(97)).await;
            let state = self.lock();
            let all_wait = state.first_end.is_none_or(|end| Instant::now() < end);
            if state.ends.len() == state.scene.tasks as usize {
                let submitted = *submitted.get_or_insert(state.begun.elapsed());
                if !all_wait {
                    return Waited { submitted, heap: least };
                }
                least = Some(least.map_or(heap::live(), |least| least.min(heap::live())));
            }
        }
    }

    pub(super) fn seen(&self, cpu: Duration, waited: &Waited) -> Seen {
        let state = self.lock();
        let mut lags = state.lags.clone();
        lags.sort_unstable();
        let tasks = state.scene.tasks;
        let heap = waited.heap.map(|heap| heap as f64 / f64::from(tasks));
        let (submitted, done) = (waited.submitted, state.begun.elapsed());
        Seen { tasks, heap, cpu, submitted, done, polls: state.polls, refused: state.refused, lags }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self) -> Reply {
        if !self.admits() {
            return Reply::Refused;
        }
        let number = self.ends.len() as u32;
        let lasts = SHORTEST.mul_f64(1.0 + 2.0 * Rng::with_seed(number.into()).f64());
        let end = Instant::now() + lasts;
        self.ends.push(end);
        self.first_end = Some(self.first_end.map_or(end, |first| first.min(end)));
        Reply::Submitted(number)
    }

    fn look(&mut self, number: u32) -> Reply {
        self.polls += 1;
        if !self.admits() {
            return Reply::Refused;
        }
        match self.ends.get(number as usize) {
            Some(end) if *end <= Instant::now() => Reply::Done(number),
            _ => Reply::Pending,
        }
    }

    fn admits(&mut self) -> bool {
        let admits = self.limit.as_mut().is_none_or(|limit| limit.arrive(Instant::now()) == Verdict::Served);
        self.refused += u64::from(!admits);
        admits
    }
}

/// Of a request, and of its answer.
const WAY: Duration = Duration::from_millis(25);

/// A task takes up to three times as long.
const SHORTEST: Duration = Duration::from_secs(600);
