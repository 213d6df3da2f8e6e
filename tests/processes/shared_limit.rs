//! One limit for several processes, by a file or by a Redis server: nothing is ever sent above it, whoever is killed.
//! The faults of the network and of clocks are in `store_network.rs`, `store_failover.rs` and `store_clocks.rs`.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use longhaul::Limit;

#[cfg(unix)]
use crate::child::signal;
use crate::counting_service::Service;
use crate::folder::plain::Folder;
use crate::redis_server::Redis;
use crate::senders::Senders;

/// A time zone in which it is noon: no day ends during a test.
pub(crate) fn zone_at_noon() -> String {
    let hours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
    match i64::try_from(hours).unwrap() - 12 {
        0 => "UTC".into(),
        // The sign of these names is the opposite of the usual one.
        behind => format!("Etc/GMT{behind:+}"),
    }
}

#[test]
fn a_day_goes_on_after_its_process_was_killed() {
    let folder = Folder::new();
    let store = format!("file:{}", folder.at("limits").display());
    let (limit, mut senders) = (Limit::per_day(400, zone_at_noon()), Senders::default());
    let mut service = Service::new(400, Duration::from_secs(24 * 60 * 60));
    senders.start(&store, &limit, 4, &service);
    service.serve(|service| service.served >= 150);
    senders.kill(0);
    // Twice, so that what one that was killed had borrowed is known to be lost, and no more.
    senders.start(&store, &limit, 4, &service);
    service.serve(|service| service.served >= 300);
    senders.kill(0);
    senders.start(&store, &limit, 4, &service);
    service.serve(|_| senders.have_ended());
    // Each that was killed takes up to 4 that it had borrowed ahead, and 4 in flight with it.
    assert_eq!(service.refused, 0);
    assert!((384..=400).contains(&service.served), "{}", service.served);
    // A third day's process finds nothing left.
    let before = service.served;
    senders.start(&store, &limit, 1, &service);
    service.serve(|_| senders.have_ended());
    assert_eq!((service.served, service.refused), (before, 0));
}

#[test]
fn four_processes_keep_one_limit_and_use_it() {
    thread::scope(|scope| {
        for count in [20, 4] {
            scope.spawn(move || four_processes_keep(count));
        }
    });
}

fn four_processes_keep(count: u32) {
    let length = Duration::from_secs(if std::env::var_os("LONGHAUL_LONG").is_some() { 60 } else { 8 });
    let folder = Folder::new();
    let store = format!("file:{}", folder.at("limits").display());
    let (limit, mut senders) = (Limit::per_second(count), Senders::default());
    let mut service = Service::new(count as usize, Duration::from_secs(1));
    (0..4).for_each(|_| senders.start(&store, &limit, 10, &service));
    service.serve(|service| service.served > 0);
    service.serve_for(length);
    let share = service.served as f64 / f64::from(count) / length.as_secs_f64();
    eprintln!("{count}/1s by 4: {} served, {share:.3} of the limit", service.served);
    assert_eq!(service.refused, 0, "of {}", service.served);
    assert!(share >= 0.8, "{share} of the limit");
    // One is killed: the others go on with what it does not hold, and later with all.
    senders.kill(0);
    let before = service.served;
    service.serve_for(length);
    assert_eq!(service.refused, 0, "of {}", service.served);
    let share = (service.served - before) as f64 / f64::from(count) / length.as_secs_f64();
    eprintln!("{count}/1s by 3 after a kill: {share:.3} of the limit");
    assert!(share >= 0.6, "{share} of the limit");
}

#[test]
fn a_server_that_fails_in_every_way_lets_nobody_pass_the_limit() {
    let Some(mut redis) = Redis::start() else { return };
    let is_long = std::env::var_os("LONGHAUL_LONG").is_some();
    let between = Duration::from_secs(if is_long { 15 } else { 3 });
    let (limit, mut senders, store) = (Limit::per_second(15), Senders::default(), redis.url());
    let mut service = Service::new(15, Duration::from_secs(1));
    (0..4).for_each(|_| senders.start(&store, &limit, 6, &service));
    service.serve(|service| service.served > 0);
    let all = Instant::now();
    let run = |service: &mut Service, fault: &str| {
        let before = service.served;
        service.serve_for(between);
        let share = (service.served - before) as f64 / 15.0 / between.as_secs_f64();
        eprintln!("{fault}: {share:.2} of the limit, {} refused", service.refused);
        assert_eq!(service.refused, 0, "{fault}");
    };
    // The processes use most of the limit again, however busy this machine is.
    let is_used = |service: &Service| service.in_window(|_| true) >= 13;
    run(&mut service, "undisturbed");
    for command in ["SCRIPT FLUSH", "FLUSHALL", "CLIENT PAUSE 1500", "DEBUG SLEEP 1.5"] {
        redis.tell(command);
        run(&mut service, command);
        service.serve(is_used);
    }
    redis.kill();
    service.serve_for(Duration::from_millis(500));
    redis.start_empty();
    run(&mut service, "killed, and started empty");
    service.serve(is_used);
    senders.kill(0);
    run(&mut service, "a process killed");
    #[cfg(unix)]
    if is_long {
        signal(&senders.children[0], "STOP");
        run(&mut service, "a process stopped for longer than its lease");
        signal(&senders.children[0], "CONT");
        run(&mut service, "and woken");
    }
    let share = service.served as f64 / 15.0 / all.elapsed().as_secs_f64();
    eprintln!("in all: {share:.2} of the limit");
}

#[test]
fn a_day_goes_on_at_a_server_after_its_process_was_killed() {
    let Some(redis) = Redis::start() else { return };
    let (limit, mut senders, store) = (Limit::per_day(300, zone_at_noon()), Senders::default(), redis.url());
    let mut service = Service::new(300, Duration::from_secs(24 * 60 * 60));
    senders.start(&store, &limit, 4, &service);
    service.serve(|service| service.served >= 100);
    senders.kill(0);
    senders.start(&store, &limit, 4, &service);
    service.serve(|_| senders.have_ended());
    assert_eq!(service.refused, 0);
    assert!((293..=300).contains(&service.served), "{}", service.served);
}
