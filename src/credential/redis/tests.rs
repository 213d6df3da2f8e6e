//! The script decides as the record does. Needs `LONGHAUL_REDIS`, the program of the server.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::credential::token_record::TokenRecord;
use crate::server::started::StartedServer;

/// An operation, its owner, the pause before it, and a number for the rest.
type Step = (u8, usize, u64, usize);

async fn compare(store: &RedisCredentialStore, steps: Vec<Step>) {
    let (mut record, mut now) = (TokenRecord::default(), 1_000_000_000_u64);
    // Leases and generations that were given at some time.
    let (mut leases, mut generations) = (Vec::new(), vec![0]);
    for (at, (kind, owner, pause, number)) in steps.into_iter().enumerate() {
        // Now and then, the clock is set back.
        now = if pause == 0 { now - 500_000 } else { now + pause };
        let owner: Arc<str> = ["a", "b", "ü"][owner].into();
        let lease = leases.iter().rev().nth(number % 3).cloned();
        let token = (number % 5 > 0).then(|| Token::from_json(&Token::new(format!("T{at}")).expose_json()).unwrap());
        let time = Duration::from_micros(10 + number as u64);
        match (kind, lease) {
            (0..4, _) => {
                let turn = store.lock_at(owner.clone(), time, now).await.unwrap();
                assert_eq!(format!("{turn:?}"), format!("{:?}", record.lock(owner, time, now)), "{at}");
                if let RefreshTurn::Granted(lease) = turn {
                    leases.push(lease);
                }
            }
            (4, Some(lease)) => {
                let renewed = store.renew_at(lease.clone(), time, now).await.unwrap();
                assert_eq!(renewed, record.renew(&lease, time, now), "{at}");
            }
            (5, Some(lease)) => {
                store.release_at(lease.clone(), now).await.unwrap();
                record.release(&lease);
            }
            (6, _) => {
                store.save_at(token.clone(), now).await.unwrap();
                generations.push(record.save(token, now));
            }
            _ => {
                let generation = generations[generations.len() - 1 - number % generations.len().min(2)];
                let replaced = store.replace_at(generation, token.clone(), now).await.unwrap();
                assert_eq!(replaced, record.replace(generation, token, now), "{at}");
                if let Replaced::Done(generation) = replaced {
                    generations.push(generation);
                }
            }
        }
        assert_eq!(store.read_at(now).await.unwrap(), record.stored(), "{at}");
    }
}

#[test]
fn the_script_decides_as_the_record_does() {
    let Some(server) = StartedServer::start() else { return };
    let url = server.url();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = if std::env::var_os("LONGHAUL_LONG").is_some() { 2000 } else { 100 };
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let number = Cell::new(0);
    let steps = prop::collection::vec((0..9_u8, 0..3_usize, 0..40_u64, 0..60_usize), 1..60);
    let compared = runner.run(&steps, |steps| {
        number.set(number.get() + 1);
        let store = RedisCredentialStore::plain_text(&url, "test", &format!("n{}", number.get())).unwrap();
        runtime.block_on(compare(&store, steps));
        Ok(())
    });
    compared.unwrap();
}
