//! The script decides as the table does. Needs `LONGHAUL_REDIS`, the program of the server.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::server::started::StartedServer;
use crate::store::entry::Now;
use crate::store::table::{Change, Table};

const BOUNDS: Bounds =
    Bounds { lease: Duration::from_secs(30), keep_finished: Duration::from_secs(100), most_bytes: 500 };

/// The table, and its time.
struct Model {
    table: Table<Vec<u8>>,
    wall: u64,
}

impl Model {
    fn make<A>(&mut self, decide: impl FnOnce(&Table<Vec<u8>>, Now) -> Change<A>) -> A {
        let now = self.table.time(self.wall, &BOUNDS);
        let change = decide(&self.table, now);
        change.entries.into_iter().for_each(|entry| self.table.apply(change.now, entry));
        change.answer
    }

    fn counts(&self) -> StoredCounts {
        self.table.counts(self.table.time(self.wall, &BOUNDS))
    }

    fn intend(&mut self, name: &str, owner: &str, data: &[u8]) -> Result<Intent, String> {
        let now = self.table.time(self.wall, &BOUNDS);
        let change = self.table.intend(name.into(), owner.into(), data.to_vec(), now, &BOUNDS);
        let change = change.map_err(|full| full.to_string())?;
        Ok(self.make(|_, _| change))
    }

    fn claim(&mut self, owner: &str, most: usize) -> Vec<Claimed> {
        let leases = self.make(|table, now| table.claim(&owner.into(), most, now, &BOUNDS));
        let data = |lease: &TaskLease| self.table.data(lease.name()).cloned().unwrap_or_default();
        leases.into_iter().map(|(lease, state)| Claimed::new(lease.clone(), state, data(&lease))).collect()
    }
}

type Step = (u8, usize, usize, u64, usize);

async fn compare(store: &RedisTaskStore, steps: Vec<Step>) {
    let mut model = Model { table: Table::new(), wall: 1_000_000 };
    // Leases that were given at some time, to any owner.
    let mut leases: Vec<TaskLease> = Vec::new();
    for (at, (kind, owner, task, pause, length)) in steps.into_iter().enumerate() {
        // Now and then, the clock is set back.
        model.wall = if pause == 0 { model.wall - 5_000 } else { model.wall + pause * 1_000 };
        let time = model.wall;
        let (owner, name) = (["o0", "o1", "o2"][owner], ["a", "b", "ü c", "d", "e"][task]);
        let data = vec![kind; length];
        let lease = leases.iter().rev().filter(|lease| &**lease.name() == name).nth(length % 2).cloned();
        let write = match kind {
            4 | 5 => TaskWrite::Submitted(data.clone()),
            6 => TaskWrite::Finished,
            7 => TaskWrite::Uncertain,
            8 => TaskWrite::Acknowledged,
            9 => TaskWrite::Withdrawn,
            _ => TaskWrite::Released,
        };
        match (kind, lease) {
            (0 | 1, _) => {
                let expected = model.intend(name, owner, &data);
                let intent = store.intend_at(name.into(), owner.into(), data, time).await;
                match (intent, expected) {
                    (Ok(intent), expected) => {
                        assert_eq!(Ok(&intent), expected.as_ref(), "{at}");
                        if let Intent::Stored(lease) = intent {
                            leases.push(lease);
                        }
                    }
                    (Err(error), expected) => assert!(error.to_string().ends_with(&expected.unwrap_err()), "{error}"),
                }
            }
            (2, _) => {
                let most = if length > 30 { usize::MAX } else { length % 3 };
                let claimed = store.claim_at(owner.into(), most, time).await.unwrap();
                assert_eq!(claimed, model.claim(owner, most), "{at}");
                leases.extend(claimed.iter().map(|claimed| claimed.lease().clone()));
            }
            (3, _) => {
                let own: Vec<_> = leases.iter().filter(|lease| &**lease.owner() == owner).cloned().collect();
                let lost = store.beat_at(owner.into(), own.clone(), time).await.unwrap();
                assert_eq!(lost, model.make(|table, now| table.beat(owner.into(), own, now, &BOUNDS)), "{at}");
            }
            (_, Some(lease)) => {
                let written = store.write_at(lease.clone(), write.clone(), time).await.unwrap();
                assert_eq!(written, model.make(|table, now| table.write(&lease, write, now)), "{at} {lease:?}");
            }
            _ => {}
        }
        assert_eq!(store.counts_at(time).await.unwrap(), model.counts(), "{at}");
    }
}

#[test]
fn the_script_decides_as_the_table_does() {
    let Some(server) = StartedServer::start() else { return };
    let url = server.url();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = if std::env::var_os("LONGHAUL_LONG").is_some() { 2000 } else { 100 };
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let number = Cell::new(0);
    let steps = prop::collection::vec((0..11_u8, 0..3_usize, 0..5_usize, 0..40_u64, 0..60_usize), 1..80);
    let compared = runner.run(&steps, |steps| {
        number.set(number.get() + 1);
        let mut store = RedisTaskStore::new(&url, &format!("n{}", number.get())).unwrap();
        store.bounds = BOUNDS;
        runtime.block_on(compare(&store, steps));
        Ok(())
    });
    compared.unwrap();
}
