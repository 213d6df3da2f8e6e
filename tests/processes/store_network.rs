//! Processes that share a limit by a Redis server, and one of them that cannot reach it: nothing is sent above the limit,
//! the others get its slots, and it comes back.

use std::thread;
use std::time::{Duration, Instant};

use longhaul::Limit;
use longhaul::limits::Outage;

use crate::counting_service::Service;
use crate::proxy::Proxy;
use crate::redis_server::Redis;
use crate::senders::{BACK, DOWN, Senders};

#[test]
fn a_process_that_goes_on_with_its_share_passes_the_limit_by_that_share_at_most() {
    let Some(redis) = Redis::start() else { return };
    let (mut senders, proxy) = (Senders::default(), Proxy::new(redis.port()));
    let limit = Limit::per_second(15).outage(Outage::Share);
    let mut service = Service::new(15, Duration::from_secs(1));
    senders.start(&proxy.url(), &limit, 8, &service);
    (0..3).for_each(|_| senders.start(&redis.url(), &limit, 8, &service));
    let (is_apart, is_other) = (|number| number == 0, |number| number != 0);
    service.serve(|service| service.in_window(is_apart) >= 3 && service.in_window(is_other) >= 10);
    proxy.cut();
    service.serve(|service| service.in_window(is_other) >= 14);
    assert!(service.has_report(is_apart, DOWN), "{:?}", service.reports);
    service.serve(|service| service.in_window(is_apart) >= 3);
    service.serve_for(Duration::from_secs(3));
    // Four processes share 15 slots.
    let refused = service.refused;
    assert!(refused > 0 && service.most <= 15 + 4, "most {} in a window, {refused} refused", service.most);
    proxy.switch(redis.port());
    service.serve(|service| service.has_report(is_apart, BACK));
    let (mut refused, mut since) = (service.refused, Instant::now());
    service.serve(|service| {
        if service.refused > refused {
            (refused, since) = (service.refused, Instant::now());
        }
        since.elapsed() > Duration::from_secs(5)
    });
    eprintln!("a share beside the limit: most {} in a window, {refused} refused", service.most);
    assert!(service.most <= 15 + 4, "{}", service.most);
}

#[test]
fn a_process_that_is_cut_off_stops_and_comes_back() {
    type Change = fn(&Proxy, &Redis);
    // Connections that end, and packets that are held up and arrive late.
    let ways: [(Change, Change); 2] = [
        (|proxy, _| proxy.cut(), |proxy, redis| proxy.switch(redis.port())),
        (|proxy, _| proxy.hold(), |proxy, _| proxy.mend()),
    ];
    thread::scope(|scope| {
        for (cut, mend) in ways {
            scope.spawn(move || cut_off(cut, mend));
        }
    });
}

fn cut_off(cut: fn(&Proxy, &Redis), mend: fn(&Proxy, &Redis)) {
    let Some(redis) = Redis::start() else { return };
    let rounds = if std::env::var_os("LONGHAUL_LONG").is_some() { 5 } else { 1 };
    let (limit, mut senders, proxy) = (Limit::per_second(15), Senders::default(), Proxy::new(redis.port()));
    let mut service = Service::new(15, Duration::from_secs(1));
    senders.start(&proxy.url(), &limit, 8, &service);
    (0..3).for_each(|_| senders.start(&redis.url(), &limit, 8, &service));
    let (is_apart, is_other) = (|number| number == 0, |number| number != 0);
    for round in 0..rounds {
        service.reports.clear();
        // Each holds its share.
        service.serve(|service| service.in_window(is_apart) >= 3 && service.in_window(is_other) >= 10);
        service.serve_for(Duration::from_secs(2));
        let before = service.by[0];
        cut(&proxy, &redis);
        // Together, the others have 12 slots at most until those of the first are free.
        service.serve(|service| service.in_window(is_other) >= 14);
        assert!(service.has_report(is_apart, DOWN), "{:?}", service.reports);
        let within = service.by[0];
        assert!(within > before, "it stopped before its lease had ended");
        // A lease and more.
        service.serve_for(Duration::from_secs(if rounds > 1 { 12 } else { 2 }));
        assert_eq!(service.by[0], within, "it sends after its lease");
        service.reports.clear();
        mend(&proxy, &redis);
        service.serve(|service| service.in_window(is_apart) >= 3);
        assert!(service.has_report(is_apart, BACK), "{:?}", service.reports);
        eprintln!("round {round}: {} served, {} of the one cut off while it was", service.served, within - before);
    }
    service.serve_for(Duration::from_secs(2));
    assert_eq!(service.refused, 0, "of {}", service.served);
}
