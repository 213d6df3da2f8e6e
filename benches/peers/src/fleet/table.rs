//! Table: what the cells of a batch gave, for each limit.

use std::io;

use super::batch::Batch;
use super::cell::{Cell, Sharing};
use super::seen::Seen;
use crate::budget::Window;
use crate::report::{Report, Row, Unit};

/// Of processes that always have requests ready.
pub(super) fn greedy(report: &mut Report, batch: &Batch, seen: &[Vec<Seen>]) -> io::Result<()> {
    for (limit, seen) in batch.limits.iter().zip(seen) {
        let one = seen.first().map_or(f64::NAN, Seen::served);
        let row = |((_, cell), seen): ((Window, Cell), &Seen)| {
            let row = Row::new(cell.name())
                .one("served", Unit::Count, seen.served())
                .one("of one in memory", Unit::Precise, seen.served() / one)
                .one("refused", Unit::Count, seen.refused.into());
            let row = some(row, "least / most", Unit::Ratio, seen.fairness(cell.load));
            calls(row, seen)
        };
        let rows: Vec<_> = batch.cells_at(*limit).zip(seen).map(row).collect();
        report.table(&title(*limit), &note(batch, seen), &rows)?;
    }
    Ok(())
}

/// Of requests that arrive at random.
pub(super) fn open(report: &mut Report, batch: &Batch, seen: &[Vec<Seen>]) -> io::Result<()> {
    for (limit, seen) in batch.limits.iter().zip(seen) {
        let one = |cell: Cell| {
            let is_it = |((_, of), _): &((_, Cell), _)| of.sharing == Sharing::Memory && of.members == cell.members;
            batch.cells_at(*limit).zip(seen).find(is_it).map(|(_, seen)| seen)
        };
        let row = |((_, cell), seen): ((Window, Cell), &Seen)| {
            let added = |percent| one(cell).map(|one| (seen.wait(percent) - one.wait(percent)) * 1e3);
            let row = Row::new(cell.name())
                .one("arrivals", Unit::Count, seen.waits.len() as f64)
                .one("refused", Unit::Count, seen.refused.into())
                .one("wait p50 ms", Unit::Nanoseconds, seen.wait(50) * 1e3)
                .one("wait p99 ms", Unit::Nanoseconds, seen.wait(99) * 1e3);
            let row = some(row, "added p50 ms", Unit::Nanoseconds, added(50));
            calls(some(row, "added p99 ms", Unit::Nanoseconds, added(99)), seen)
        };
        let rows: Vec<_> = batch.cells_at(*limit).zip(seen).map(row).collect();
        let title = format!("{}, arrivals at 75 % of what one reaches", title(*limit));
        report.table(&title, &note(batch, seen), &rows)?;
    }
    Ok(())
}

fn title(limit: Window) -> String {
    format!("{} per {:?}", limit.count, limit.length)
}

fn note(batch: &Batch, seen: &[Seen]) -> String {
    let keys = seen.first().map_or(1, |seen| seen.keys);
    let windows = if keys > 1 { format!(", {keys} windows each") } else { String::new() };
    format!("{} s each{windows}", seen.first().map_or(batch.time, |seen| seen.time).as_secs())
}

fn calls(row: Row, seen: &Seen) -> Row {
    let row = some(row, "store calls a permit", Unit::Precise, seen.calls_a_permit());
    some(row, "a second and process", Unit::Ratio, seen.calls_a_second_and_member())
}

fn some(row: Row, metric: &'static str, unit: Unit, value: Option<f64>) -> Row {
    match value {
        Some(value) => row.one(metric, unit, value),
        None => row.none(metric),
    }
}
