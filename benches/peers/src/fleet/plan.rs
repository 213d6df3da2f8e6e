//! Plan: the cells of a run, and for how long each of them runs.

use std::time::Duration;

use super::batch::{Batch, Order};
use super::cell::{Cell, Load, Sharing};
use crate::Length;
use crate::budget::Window;

/// Greedy workers and open-loop arrivals, at limits that leave the machine idle, at one with a long window, and at one
/// that keeps it busy.
pub(super) struct Plan {
    pub(super) slow: Batch,
    pub(super) slow_open: Batch,
    pub(super) long: Batch,
    pub(super) long_open: Batch,
    pub(super) fast: Batch,
    pub(super) fast_open: Batch,
}

impl Plan {
    pub(super) fn new(length: Length, has_redis: bool) -> Self {
        let window = |count, seconds| Window { count, length: Duration::from_secs(seconds) };
        let batch = |limits: &[Window], mut cells: Vec<Cell>, order, seconds: (u64, u64)| {
            cells.retain(|cell| has_redis || !cell.sharing.needs_redis());
            let time = Duration::from_secs(length.pick(seconds.0, seconds.1));
            Batch { limits: limits.to_vec(), cells, time, order }
        };
        let rounds = length.pick(1, 2);
        let slow = [window(4, 1), window(15, 1), window(100, 1)];
        let (long, fast) = ([window(10, 10)], [window(1000, 1)]);
        let all = greedy(&[1, 2, 4, 8]);
        let few = open(length.pick(&[8], &[1, 2, 4, 8]));
        Self {
            slow: batch(&slow, all.clone(), Order::Members, (5, 61)),
            slow_open: batch(&slow, few.clone(), Order::Members, (10, 40)),
            long: batch(&long, all.clone(), Order::AtOnce, (31, 120)),
            long_open: batch(&long, few, Order::AtOnce, (36, 220)),
            fast: batch(&fast, length.pick(greedy(&[8]), all), Order::Turns(rounds), (3, 3)),
            fast_open: batch(&fast, open(length.pick(&[8], &[2, 8])), Order::Turns(rounds), (3, 4)),
        }
    }

    pub(super) fn batches(&self) -> [&Batch; 6] {
        [&self.slow, &self.slow_open, &self.long, &self.long_open, &self.fast, &self.fast_open]
    }
}

/// The first is the one that the others are compared with.
fn greedy(members: &[u32]) -> Vec<Cell> {
    let shared = [Sharing::File, Sharing::Redis, Sharing::FarRedis];
    let mut cells = vec![Cell { sharing: Sharing::Memory, members: 1, load: Load::Greedy }];
    for &members in members {
        let cell = |load| move |sharing| Cell { sharing, members, load };
        cells.extend(shared.map(cell(Load::Greedy)));
        cells.push(cell(Load::Greedy)(Sharing::Gcra));
        if members > 1 {
            cells.extend([Sharing::Full, Sharing::Share].map(cell(Load::Greedy)));
        }
        if members == 4 {
            cells.extend([Sharing::File, Sharing::Redis, Sharing::Share].map(cell(Load::First)));
        }
    }
    cells
}

/// Of each number of processes, the first is the one that the others are compared with.
fn open(members: &[u32]) -> Vec<Cell> {
    let shared = [Sharing::Memory, Sharing::File, Sharing::Redis, Sharing::FarRedis, Sharing::Gcra];
    let cells = |&members: &u32| {
        let own = [Sharing::Full, Sharing::Share].into_iter().filter(move |_| members > 1);
        shared.into_iter().chain(own).map(move |sharing| Cell { sharing, members, load: Load::Open })
    };
    members.iter().flat_map(cells).collect()
}
