//! The script computes what the exchange in `slots.rs` computes. Needs `LONGHAUL_REDIS`, the program of the server.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::server::started::StartedServer;
use crate::throttle::board::{PauseWord, Probe, Stop};
use crate::throttle::slots::Domain;

async fn open(server: &StartedServer, member: &str) -> RedisLedger {
    RedisLedger::open(&server.url(), "test", member.into()).await.unwrap()
}

#[derive(Clone, Debug)]
struct Step {
    who: usize,
    want: u64,
    returns: Vec<(u64, u64)>,
    pause: u64,
    oddity: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let returns = prop::collection::vec((0..2_000_000_u64, 0..4_u64), 0..3);
    let step = (0..5_usize, 0..9_u64, returns, 0..1_500_000_u64, 0..60_u8);
    let step = step.prop_map(|(who, want, returns, pause, oddity)| Step { who, want, returns, pause, oddity });
    prop::collection::vec(step, 1..100)
}

#[test]
fn the_script_answers_as_the_exchange_does() {
    let Some(server) = StartedServer::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ledger = runtime.block_on(open(&server, "t"));
    let connection = runtime.block_on(async { ledger.link.lock().await.take().unwrap().connection });
    runtime.block_on(ledger.script.load_async(&mut connection.clone())).unwrap();
    let domains = std::cell::Cell::new(0);
    let cases = if std::env::var_os("LONGHAUL_LONG").is_some() { 2000 } else { 60 };
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let both = |steps: Vec<Step>, grain: u64, name: &str, connection: &mut MultiplexedConnection| {
        let mut domain = Domain::default();
        let mut processes = ["a", "b", "c", "d", "e"].map(|member| Ask {
            member: member.into(),
            seq: 0,
            epoch: String::new(),
            run: "1".into(),
            uptime: LONGEST,
            count: 6,
            window: 1_000_000,
            ttl: 3_000_000,
            guard: 1_000_000,
            grain,
            held: 0,
            want: 0,
            returns: Vec::new(),
        });
        let mut now = 1_000_000;
        for (at, step) in steps.into_iter().enumerate() {
            now += step.pause;
            let ask = &mut processes[step.who];
            let mut forgets = false;
            match step.oddity {
                0 => ask.held += 3,
                1 => ask.held = 0,
                2 => ask.run = now.to_string(),
                3 => (forgets, domain) = (true, Domain::default()),
                // The time 0 would be the server's own.
                4 => now = now.saturating_sub(2_000_000).max(1),
                5 => ask.count = step.want + 1,
                6 => ask.window = 90_000_000,
                7 => ask.uptime = 0,
                _ => {}
            }
            let mut left = ask.held;
            let mut returns = Vec::new();
            for (wait, count) in step.returns {
                returns.push((wait, count.min(left)));
                left -= count.min(left);
            }
            if step.oddity != 8 {
                ask.returns = returns;
                (ask.held, ask.want, ask.seq) = (left, step.want, ask.seq + 1);
            }
            let expected = domain.exchange(ask, now);
            let mut pipe = redis::pipe();
            if forgets {
                pipe.cmd("DEL").arg(format!("{}{name}", ledger.keys)).ignore();
            }
            ledger.add(&mut pipe, name, ask, (&ask.run, ask.uptime), now);
            let answered: Vec<Answered> = runtime.block_on(pipe.query_async(connection)).unwrap();
            let (answer, nudged) = &answered[0];
            let answer = reply(answer).unwrap().answer;
            prop_assert_eq!((at, &answer, nudged), (at, &expected.answer, &expected.nudged), "{:?}", ask);
            if answer.is_void {
                ask.held = 0;
            }
            if step.oddity != 8 {
                ask.held += answer.grants.iter().map(|(_, count)| count).sum::<u64>();
            }
            ask.epoch = answer.epoch;
        }
        Ok(())
    };
    let result = runner.run(&(steps(), prop_oneof![Just(0_u64), Just(90_000_u64)]), |(steps, grain)| {
        domains.set(domains.get() + 1);
        both(steps, grain, &format!("d{}", domains.get()), &mut connection.clone())
    });
    result.unwrap();
}

#[tokio::test]
async fn words_that_are_posted_at_once_are_all_kept_and_called_out() {
    let Some(server) = StartedServer::start() else { return };
    let mut ledgers = Vec::new();
    for member in 0..8 {
        ledgers.push(open(&server, &format!("m{member}")).await);
    }
    let post = |member: usize, pauses: Vec<PauseWord>| {
        let post = Post { member: format!("m{member}"), ttl: 5_000_000, pauses, ..Post::default() };
        vec![(Arc::from("board||x"), post)]
    };
    for (member, ledger) in ledgers.iter().enumerate() {
        ledger.post(post(member, Vec::new())).await.unwrap();
    }
    // The words of all members meet at the server.
    let stop = |member: usize, round: usize| PauseWord {
        subject: format!("gate {member} {round}"),
        stop: Some(Stop { during: 50_000_000, asked: 0, refusals: 1 }),
        probe: Probe::None,
    };
    for round in 0..5 {
        let posts =
            ledgers.iter().enumerate().map(|(member, ledger)| ledger.post(post(member, vec![stop(member, round)])));
        futures::future::try_join_all(posts).await.unwrap();
    }
    let posted = ledgers[3].post(post(3, Vec::new())).await.unwrap().remove(0);
    assert_eq!((posted.pauses.len(), posted.members, posted.rank), (40, 8, 3));
    assert!(posted.pauses.iter().all(|news| (40_000_000..=50_000_000).contains(&news.stop.during)), "{posted:?}");
    assert_eq!(ledgers[0].nudged().await, [Arc::from("board||x")]);

    // A server that forgot everything says so by another epoch; a board that cannot be read begins anew.
    let mut link = ledgers[0].link.lock().await.take().unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut link.connection).await.unwrap();
    let again = ledgers[3].post(post(3, Vec::new())).await.unwrap().remove(0);
    assert_ne!((again.epoch, again.pauses.len()), (posted.epoch, 0));
    let key = format!("{}board||x", ledgers[0].keys);
    let _: () = redis::cmd("SET").arg(&key).arg("else").query_async(&mut link.connection).await.unwrap();
    let anew = ledgers[3].post(post(3, vec![stop(3, 9)])).await.unwrap().remove(0);
    assert_eq!((anew.pauses.len(), anew.members), (1, 1));
}
