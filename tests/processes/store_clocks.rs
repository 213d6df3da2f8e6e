//! Clocks that are wrong: that of the Redis server is set while processes share a limit by it, and the processes' own
//! differ by a minute.

use std::thread;
use std::time::Duration;

use longhaul::Limit;

use crate::bursts::Bursts;
use crate::clock::Clock;
use crate::counting_service::Service;
use crate::redis_server::Redis;
use crate::senders::{LOST, Senders, WALL, now};
use crate::shared_limit::zone_at_noon;

/// Four processes, and a server whose clock is set.
fn step(seconds: i64) {
    let Some(redis) = Redis::start() else { return };
    let rounds = if std::env::var_os("LONGHAUL_LONG").is_some() { 8 } else { 1 };
    // Of four slots for six processes, each wanders by the server after each use.
    let (limit, mut senders) = (Limit::per_second(4), Senders::default());
    let mut service = Service::new(4, Duration::from_secs(1));
    (0..6).for_each(|_| senders.start(&redis.url(), &limit, 4, &service));
    let mut set = 0;
    for round in 0..rounds {
        service.serve(|service| service.in_window(|_| true) >= 3);
        service.serve_for(Duration::from_secs(2));
        set += seconds;
        redis.set_clock(set);
        assert!(server_time(&redis).abs_diff(now().saturating_add_signed(set)) <= 1, "the clock of the server");
        service.serve_for(Duration::from_secs(13));
        service.serve(|service| service.in_window(|_| true) >= 3);
        eprintln!("{seconds} s, round {round}: {} refused of {}", service.refused, service.served);
        assert!(!service.has_report(|_| true, LOST), "{:?}", service.reports);
    }
    assert_eq!(service.refused, 0, "of {}", service.served);
}

fn server_time(redis: &Redis) -> u64 {
    redis.ask("TIME").lines().nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_server_clock_that_is_set_lets_nobody_pass_the_limit_while_all_slots_are_lent() {
    thread::scope(|scope| {
        for seconds in [60, -60] {
            scope.spawn(move || step(seconds));
        }
    });
}

#[tokio::test]
async fn a_server_clock_that_jumps_ahead_frees_the_slots_that_lie_in_the_store_once() {
    let Some(redis) = Redis::start() else { return };
    let mut bursts = Bursts::default();
    for seconds in [0, 60] {
        // A process that ends gives its slots back, each with the time until it is free.
        let first = Bursts::throttle(&redis.url()).await;
        bursts.send(&first, 15).await;
        drop(first);
        Bursts::until_all_lie_in(&redis).await;
        redis.set_clock(seconds);
        bursts.keep(15);
        bursts.send(&Bursts::throttle(&redis.url()).await, 60).await;
        let (most, since) = (bursts.most_after(0), bursts.most_after(15));
        eprintln!("{seconds} s ahead: most {most} in a window, {since} in those of the second process");
        assert!(most <= if seconds == 0 { 15 } else { 30 } && since <= 15, "{most} {since}");
    }
}

#[test]
fn processes_whose_clocks_differ_by_a_minute_keep_one_limit() {
    let Some(redis) = Redis::start() else { return };
    let limit = Limit::per_second(15).and_per_day(100_000, zone_at_noon());
    let (mut senders, mut service) = (Senders::default(), Service::new(15, Duration::from_secs(1)));
    let clocks = [-60, -30, 30, 60].map(Clock::new);
    let environment = |clock: &Clock| {
        let patience = ("LONGHAUL_SHARED_PATIENCE", "30".into());
        clock.environment().into_iter().chain([patience]).collect()
    };
    let began = now();
    for clock in &clocks {
        senders.start_in(&redis.url(), &limit, 8, &service, environment(clock));
    }
    service.serve(|service| (0..4).all(|number| service.in_window(|member| member == number) >= 3));
    for (number, away) in [-60, -30, 30, 60].into_iter().enumerate() {
        let wall = service.reports.iter().find(|(member, _)| usize::from(*member) == number);
        let wall: u64 = wall.unwrap().1.strip_prefix(WALL).unwrap().parse().unwrap();
        assert!(wall.abs_diff(began.saturating_add_signed(away)) < 20, "the clock of process {number}");
    }
    service.serve_for(Duration::from_secs(if std::env::var_os("LONGHAUL_LONG").is_some() { 60 } else { 6 }));
    // Slots go from one clock to another.
    senders.kill(0);
    service.serve(|service| service.in_window(|_| true) >= 14);
    senders.start_in(&redis.url(), &limit, 8, &service, environment(&clocks[0]));
    service.serve(|service| service.in_window(|member| member == 4) >= 3);
    service.serve_for(Duration::from_secs(2));
    assert_eq!(service.refused, 0, "of {}", service.served);
}
