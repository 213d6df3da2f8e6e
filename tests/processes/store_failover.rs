//! A replica that takes the place of the Redis server of a shared limit, and two servers that both believe to be it.

use std::thread;
use std::time::{Duration, Instant};

use longhaul::Limit;

use crate::bursts::Bursts;
use crate::counting_service::Service;
use crate::proxy::Proxy;
use crate::redis_server::Redis;
use crate::senders::Senders;

/// A server, its replica, and the network between them.
struct Pair {
    master: Redis,
    replica: Redis,
    link: Proxy,
}

impl Pair {
    fn start(arguments: &[&'static str], delay: Duration) -> Option<Self> {
        let master = Redis::start_with(arguments)?;
        let replica = Redis::start_with(arguments)?;
        let pair = Self { link: Proxy::with_delay(master.port(), delay), master, replica };
        pair.follow();
        Some(pair)
    }

    /// Makes the replica follow its master, and waits until it does.
    fn follow(&self) {
        self.replica.tell(&format!("REPLICAOF 127.0.0.1 {}", self.link.port()));
        self.until(|pair| pair.replica.info("replication", "master_link_status") == "up");
        self.until(|pair| pair.master.info("replication", "slave0").contains("state=online"));
    }

    fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        while !holds(self) {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns how many bytes of the log of changes the replica has not received.
    fn behind(&self) -> u64 {
        let at = |server: &Redis, field| server.info("replication", field).parse::<u64>().unwrap();
        at(&self.master, "master_repl_offset").saturating_sub(at(&self.replica, "slave_repl_offset"))
    }

    /// Makes the replica a master.
    fn promote(&self) {
        self.replica.tell("REPLICAOF NO ONE");
    }
}

#[test]
fn a_failover_to_a_replica_in_sync_or_behind_lets_nobody_pass_the_limit() {
    thread::scope(|scope| {
        for delay in [Duration::ZERO, Duration::from_millis(300)] {
            // Of four slots for six processes, each wanders after each use.
            for (count, processes) in [(15, 4), (4, 6)] {
                scope.spawn(move || fail_over(delay, count, processes));
            }
        }
    });
}

fn fail_over(delay: Duration, count: u32, processes: usize) {
    let Some(mut pair) = Pair::start(&[], delay) else { return };
    let rounds = if std::env::var_os("LONGHAUL_LONG").is_some() { 8 } else { 1 };
    let (limit, mut senders, proxy) = (Limit::per_second(count), Senders::default(), Proxy::new(pair.master.port()));
    let mut service = Service::new(count as usize, Duration::from_secs(1));
    (0..processes).for_each(|_| senders.start(&proxy.url(), &limit, 4, &service));
    let all = count as usize;
    for round in 0..rounds {
        service.serve(|service| service.in_window(|_| true) >= all - 1);
        service.serve_for(Duration::from_secs(2));
        let mut behind = pair.behind();
        if !delay.is_zero() {
            while behind == 0 {
                service.serve_for(Duration::from_millis(20));
                behind = pair.behind();
            }
            // The changes that are on their way never arrive.
            pair.link.cut();
        }
        pair.master.kill();
        service.serve_for(Duration::from_millis(500));
        pair.promote();
        proxy.switch(pair.replica.port());
        // Free slots wait for a lease, a guard and a window.
        let before = service.served;
        service.serve_for(Duration::from_secs(13));
        service.serve(|service| service.in_window(|_| true) >= all - 1);
        let served = service.served - before;
        eprintln!("{count}/1s, replica {delay:?} late, round {round}: {behind} bytes behind, {served} served since");
        assert_eq!(service.refused, 0, "of {}, most {} in a window", service.served, service.most);
        // The server of before is the next replica.
        pair.master.start_empty();
        let Pair { master, replica, link } = pair;
        drop(link);
        pair = Pair { link: Proxy::with_delay(replica.port(), delay), master: replica, replica: master };
        pair.follow();
    }
}

#[tokio::test]
async fn slots_that_were_lent_in_the_lost_moments_are_declared_by_their_holder() {
    lend_in_lost_moments(true).await;
}

#[tokio::test]
async fn slots_that_were_lent_in_the_lost_moments_leave_the_window_before_others_have_them() {
    lend_in_lost_moments(false).await;
}

/// The replica takes over without the last changes, by which a process was lent the whole window.
async fn lend_in_lost_moments(comes_back: bool) {
    let Some(mut pair) = Pair::start(&[], Duration::ZERO) else { return };
    let (way, mut bursts) = (Proxy::new(pair.master.port()), Bursts::default());
    let other = Bursts::throttle(&pair.master.url()).await;
    bursts.send(&other, 1).await;
    drop(other);
    Bursts::until_all_lie_in(&pair.master).await;
    let holder = Bursts::throttle(&way.url()).await;
    pair.until(|pair| pair.behind() == 0);
    pair.link.hold();
    bursts.send(&holder, 15).await;
    assert!(pair.behind() > 0);
    pair.link.cut();
    pair.master.kill();
    pair.promote();
    if comes_back {
        way.switch(pair.replica.port());
    } else {
        way.cut();
    }
    // Another process asks for all of them at once.
    let other = Bursts::throttle(&pair.replica.url()).await;
    bursts.send(&other, 15).await;
    let most = bursts.most_after(0);
    eprintln!("lent in the lost moments, the holder comes back {comes_back}: most {most} in a window");
    assert!(most <= 15, "{most}");
}

#[test]
fn two_masters_let_through_two_limits_at_most_and_one_again_when_they_are_one() {
    let Some(pair) = Pair::start(&[], Duration::ZERO) else { return };
    let (limit, mut senders) = (Limit::per_second(15), Senders::default());
    let mut service = Service::new(15, Duration::from_secs(1));
    let sides = [Proxy::new(pair.master.port()), Proxy::new(pair.master.port())];
    sides.iter().for_each(|side| (0..2).for_each(|_| senders.start(&side.url(), &limit, 16, &service)));
    service.serve(is_shared);
    service.serve_for(Duration::from_secs(1));
    assert_eq!(service.refused, 0);
    pair.link.hold();
    pair.promote();
    sides[1].switch(pair.replica.port());
    // Each side has the whole limit, once the leases of the other side have ended there.
    service
        .serve(|service| service.in_window(|number| number < 2) >= 14 && service.in_window(|number| number >= 2) >= 14);
    service.serve_for(Duration::from_secs(3));
    eprintln!("two masters: most {} in a window, {} refused of {}", service.most, service.refused, service.served);
    assert!((28..=30).contains(&service.most), "{}", service.most);
    // The old master follows the new one, and its processes come over with what they hold.
    pair.link.cut();
    pair.master.tell(&format!("REPLICAOF 127.0.0.1 {}", pair.replica.port()));
    sides[0].switch(pair.replica.port());
    let (mut refused, mut since) = (service.refused, Instant::now());
    service.serve(|service| {
        if service.refused > refused {
            (refused, since) = (service.refused, Instant::now());
        }
        since.elapsed() > Duration::from_secs(5)
    });
    service.serve(is_shared);
    assert_eq!(service.refused, refused, "once the slots that are owed are back");
    eprintln!("one master again: {} refused in all", service.refused);
}

#[test]
fn an_old_master_without_a_replica_stops_its_processes() {
    thread::scope(|scope| {
        for waits in [true, false] {
            scope.spawn(move || without_a_replica(waits));
        }
    });
}

/// `waits`: the replica is promoted when its master refuses writes, and not at once.
fn without_a_replica(waits: bool) {
    let arguments = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"];
    // The replica has none of its own when it is promoted.
    let Some(pair) = Pair::start(&arguments, Duration::ZERO) else { return };
    pair.replica.tell("CONFIG SET min-replicas-to-write 0");
    let (limit, mut senders) = (Limit::per_second(15), Senders::default());
    let mut service = Service::new(15, Duration::from_secs(1));
    let sides = [Proxy::new(pair.master.port()), Proxy::new(pair.master.port())];
    sides.iter().for_each(|side| (0..2).for_each(|_| senders.start(&side.url(), &limit, 16, &service)));
    service.serve(is_shared);
    service.serve_for(Duration::from_secs(1));
    service.reports.clear();
    let (is_old, is_new) = (|number| number < 2, |number| number >= 2);
    pair.link.hold();
    if waits {
        service.serve(|service| service.has_report(is_old, FEW));
    }
    pair.promote();
    sides[1].switch(pair.replica.port());
    service.serve(|service| service.in_window(is_new) >= 14);
    assert!(service.has_report(is_old, FEW), "{:?}", service.reports);
    let stopped = service.by[0] + service.by[1];
    service.serve_for(Duration::from_secs(3));
    assert_eq!(service.by[0] + service.by[1], stopped, "the old side sends");
    let (most, refused) = (service.most, service.refused);
    eprintln!("old master, promoted after its refusal {waits}: most {most} in a window, {refused} refused");
    assert!(if waits { refused == 0 } else { most <= 30 }, "{most} in a window, {refused} refused");
}

/// Whether each of four processes has its share of 15 slots.
fn is_shared(service: &Service) -> bool {
    (0..4).all(|number| service.in_window(|member| member == number) >= 3)
}

/// What an old master says to its processes.
const FEW: &str = "has too few replicas";
