//! Course: counts the polls of all waiters, notes in which order they come through, and what they hold meanwhile.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::heap;
use crate::subject::{Answer, Ask, Limiter, Permit};

pub(super) struct Course {
    polls: AtomicU64,
    through: AtomicUsize,
    /// Of each waiter, at its place in the line.
    ranks: Vec<AtomicU32>,
    /// Bytes, and for how many waiters, when the last one had joined.
    heap: (AtomicI64, AtomicUsize),
    over: Notify,
}

impl Course {
    pub(super) fn new(waiters: usize) -> Self {
        Self {
            polls: AtomicU64::new(0),
            through: AtomicUsize::new(0),
            ranks: (0..waiters).map(|_| AtomicU32::new(0)).collect(),
            heap: (AtomicI64::new(0), AtomicUsize::new(0)),
            over: Notify::new(),
        }
    }

    /// One waiter, from its first poll to its permit and back.
    pub(super) async fn go<L: Limiter>(&self, waiter: usize, limiter: &L) {
        let mut acquire = pin!(limiter.acquire(Ask::Call));
        let mut joined = false;
        let mut permit = poll_fn(|context| {
            self.polls.fetch_add(1, Ordering::Relaxed);
            let polled = acquire.as_mut().poll(context);
            if !joined && waiter + 1 == self.ranks.len() {
                self.weigh();
            }
            joined = true;
            polled
        })
        .await;
        permit.sent();
        permit.answered(Answer::Accepted);
        let rank = self.through.fetch_add(1, Ordering::Relaxed);
        if let Some(at) = self.ranks.get(waiter) {
            at.store(rank as u32, Ordering::Relaxed);
        }
        if rank + 1 == self.ranks.len() {
            self.over.notify_one();
        }
    }

    pub(super) async fn over(&self) {
        self.over.notified().await;
    }

    fn weigh(&self) {
        self.heap.0.store(heap::live() as i64, Ordering::Relaxed);
        self.heap.1.store(self.ranks.len() - self.through.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(super) fn polls(&self) -> f64 {
        self.polls.load(Ordering::Relaxed) as f64 / self.ranks.len() as f64
    }

    /// How far the median waiter came through from its place in the line.
    pub(super) fn displacement(&self) -> f64 {
        let ranks = self.ranks.iter().map(|rank| rank.load(Ordering::Relaxed) as usize).enumerate();
        let mut displaced: Vec<_> = ranks.map(|(place, rank)| place.abs_diff(rank)).collect();
        displaced.sort_unstable();
        displaced.get(displaced.len() / 2).copied().unwrap_or(0) as f64
    }

    pub(super) fn heap(&self) -> f64 {
        self.heap.0.load(Ordering::Relaxed) as f64 / self.heap.1.load(Ordering::Relaxed) as f64
    }
}
