//! The table that a soak ends with, as docs/soak.md has it.

use crate::ledger::Row;

pub(crate) fn of(rows: &[Row]) -> String {
    type Cell = fn(&Row) -> String;
    let lines: [(&str, Cell); 17] = [
        ("chaos on every request", |row| format!("{} %", row.chaos)),
        ("tasks", |row| row.jobs.to_string()),
        ("requests, of them troubled", |row| format!("{}, {}", row.requests, row.troubled)),
        ("expired links met", |row| row.expired.to_string()),
        ("kills -9 of the client", |row| row.kills.to_string()),
        ("restarts of the service", |row| row.restarts.to_string()),
        ("seconds", |row| format!("{:.0}", row.took.as_secs_f64())),
        ("false", |row| row.falsely.len().to_string()),
        ("lost", |row| row.lost.len().to_string()),
        ("doubled", |row| row.doubled.len().to_string()),
        ("corrupt", |row| row.corrupt.len().to_string()),
        ("early", |row| row.early.len().to_string()),
        ("stuck over 60 s", |row| row.stuck.len().to_string()),
        ("submits without a key of unknown fate", |row| row.unknown.to_string()),
        ("errors given back, by cause", |row| {
            let causes: Vec<_> = row.errors.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
            if causes.is_empty() { "none".into() } else { causes.join(", ") }
        }),
        ("memory, first and second half", |row| format!("{}, {} MiB", row.memory.0 / 1024, row.memory.1 / 1024)),
        ("descriptors, first and second half", |row| format!("{}, {}", row.descriptors.0, row.descriptors.1)),
    ];
    let mut text = String::new();
    for (at, (name, cell)) in lines.into_iter().enumerate() {
        let cells: Vec<_> = rows.iter().map(cell).collect();
        text += &format!("| {name} | {} |\n", cells.join(" | "));
        if at == 0 {
            text += &format!("| --- |{}\n", " --- |".repeat(rows.len()));
        }
    }
    text
}
