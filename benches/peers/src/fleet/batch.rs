//! Batch: cells that are measured in some order, at limits that are measured side by side.

use std::time::Duration;

use futures::future::try_join_all;

use super::cell::{Cell, Load};
use super::seen::Seen;
use super::stores::Stores;
use crate::Failure;
use crate::budget::Window;

pub(super) struct Batch {
    pub(super) limits: Vec<Window>,
    pub(super) cells: Vec<Cell>,
    pub(super) time: Duration,
    pub(super) order: Order,
}

/// Which cells run at once.
pub(super) enum Order {
    AtOnce,
    /// Those of one number of processes, which follow each other.
    Members,
    /// None: so many rounds, each the other way round.
    Turns(u32),
}

impl Batch {
    /// The cells that can be measured at a limit.
    pub(super) fn cells_at(&self, limit: Window) -> impl Iterator<Item = (Window, Cell)> {
        self.cells.iter().filter(move |cell| cell.can_keep_up(limit)).map(move |cell| (limit, *cell))
    }

    /// Returns what each cell gave at each limit, in the order of [`cells_at`](Self::cells_at).
    pub(super) async fn run(&self, stores: &Stores) -> Result<Vec<Vec<Seen>>, Failure> {
        let measured = self.limits.iter().map(async |&limit| match self.order {
            Order::AtOnce => self.together(limit, &self.cells, stores).await,
            Order::Members => Ok(Vec::new()),
            Order::Turns(rounds) => self.turns(limit, rounds, stores).await,
        });
        let mut measured = try_join_all(measured).await?;
        if matches!(self.order, Order::Members) {
            for cells in self.cells.chunk_by(|a, b| a.members == b.members) {
                let limits = self.limits.iter().map(|&limit| self.together(limit, cells, stores));
                for (all, these) in measured.iter_mut().zip(try_join_all(limits).await?) {
                    all.extend(these);
                }
            }
        }
        Ok(measured)
    }

    async fn together(&self, limit: Window, cells: &[Cell], stores: &Stores) -> Result<Vec<Seen>, Failure> {
        let cells = cells.iter().filter(|cell| cell.can_keep_up(limit));
        try_join_all(cells.map(|cell| cell.run(limit, self.time, keys(limit, *cell), 0, stores))).await
    }

    async fn turns(&self, limit: Window, rounds: u32, stores: &Stores) -> Result<Vec<Seen>, Failure> {
        let mut seen: Vec<(Cell, Option<Seen>)> = self.cells_at(limit).map(|(_, cell)| (cell, None)).collect();
        for round in 0..rounds {
            let mut turns: Vec<_> = seen.iter_mut().collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for (cell, seen) in turns {
                let this = cell.run(limit, self.time, 1, round, stores).await?;
                *seen = Some(match seen.take() {
                    Some(before) => before.and(this),
                    None => this,
                });
            }
        }
        Ok(seen.into_iter().filter_map(|(_, seen)| seen).collect())
    }
}

/// How many windows of the limit each process has, so that there are enough arrivals at a small limit to tell the 99th
/// percentile.
fn keys(limit: Window, cell: Cell) -> usize {
    match (cell.load, limit.count, limit.length.as_secs()) {
        (Load::Open, ..=4, _) => 6,
        (Load::Open, _, 2..) => 8,
        (Load::Open, ..=15, _) => 3,
        _ => 1,
    }
}
