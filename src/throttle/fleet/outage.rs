//! The policies of an outage, against the bounds that `Outage` states.

use std::time::Duration;

use tokio::time::sleep;

use super::{Fleet, MS, SECOND, seconds};
use crate::limit::{Limit, Outage};
use crate::throttle::limiter::window::lent::Terms;

const COUNT: u32 = 14;

fn fleet(outage: Outage) -> Fleet {
    let mut fleet = Fleet::new(Limit::per_second(COUNT).outage(outage), 4, MS);
    (0..4).for_each(|member| fleet.work(member, 20, Duration::ZERO));
    fleet
}

/// Counts the requests of a stretch of time.
async fn served(fleet: &Fleet, during: Duration) -> usize {
    let before = fleet.service.all();
    sleep(during).await;
    fleet.service.all() - before
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_closed_stops_share_goes_on_within_the_limit_and_open_beyond_it() {
    for (outage, least, most) in [(Outage::Closed, 0, 0), (Outage::Share, 11, 14), (Outage::Open, 45, 56)] {
        let fleet = fleet(outage);
        sleep(seconds(10)).await;
        fleet.memory.set_down(true);
        // The leases of 3 seconds are over, and for `Share` what was sent under them is too.
        sleep(seconds(10)).await;
        let each_second = served(&fleet, seconds(20)).await / 20;
        assert!((least..=most).contains(&each_second), "{outage:?}: {each_second}");
        fleet.memory.set_down(false);
        sleep(seconds(20)).await;
        let after = served(&fleet, seconds(20)).await / 20;
        assert!((11..=14).contains(&after), "{outage:?}: {after} when the store is back");
        fleet.memory.check();
        let bound = if outage == Outage::Open { 4 * COUNT } else { COUNT };
        let most = fleet.service.most(seconds(1));
        assert!(most <= bound as usize, "{outage:?}: {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn leases_that_end_at_different_times_add_nothing() {
    for seed in 0..12 {
        let mut fleet = Fleet::new(Limit::per_second(15).outage(Outage::Share), 0, MS);
        // A lease of 10 seconds is renewed each 3.3, and a guard is one.
        let terms = |member: &str| {
            let ttl = 10 * SECOND;
            Terms { member: member.into(), ttl, guard: SECOND, beat: ttl / 3, poll: SECOND }
        };
        (0..2).for_each(|_| fleet.join_by(terms));
        // One holds most of the window, the other little, and neither asks for more: their leases are renewed at times of
        // their own. Then both want all.
        fleet.work(0, 11, Duration::from_millis(850));
        sleep(MS * 331 * seed).await;
        fleet.work(1, 1, Duration::from_millis(250));
        sleep(seconds(20)).await;
        fleet.memory.set_down(true);
        (0..2).for_each(|member| fleet.work(member, 20, Duration::ZERO));
        sleep(seconds(30)).await;
        let most = fleet.service.most(seconds(1));
        assert!(most <= 15, "{seed}: {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_adds_no_more_than_its_share() {
    for (outage, own, bound) in [(Outage::Closed, 0, 14), (Outage::Share, 4, 18), (Outage::Open, 14, 28)] {
        let fleet = fleet(outage);
        sleep(seconds(10)).await;
        fleet.members[0].ledger.cut_off(true);
        sleep(seconds(10)).await;
        let before = fleet.service.served(0);
        let each_second = served(&fleet, seconds(20)).await / 20;
        let of_its_own = (fleet.service.served(0) - before) / 20;
        assert!(of_its_own <= own && of_its_own + 1 >= own.min(13), "{outage:?}: {of_its_own}");
        assert!(each_second >= 12, "{outage:?}: the others use the slots, {each_second}");
        fleet.members[0].ledger.cut_off(false);
        sleep(seconds(20)).await;
        fleet.memory.check();
        let most = fleet.service.most(seconds(1));
        assert!(most <= bound, "{outage:?}: {most}");
        let served: Vec<_> = (0..4).map(|member| fleet.service.served(member)).collect();
        assert!(served.iter().all(|served| *served > 0), "{served:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_empty_takes_no_share_away() {
    let fleet = fleet(Outage::Share);
    sleep(seconds(10)).await;
    fleet.memory.set_down(true);
    sleep(seconds(10)).await;
    fleet.memory.forget();
    fleet.memory.set_down(false);
    let after = served(&fleet, seconds(10)).await / 10;
    assert!(after >= 10, "they declare the slots that they kept: {after}");
    fleet.memory.check();
    assert!(fleet.service.most(seconds(1)) <= COUNT as usize, "{}", fleet.service.most(seconds(1)));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_idle_when_the_store_was_lost_knows_no_share() {
    for (outage, served) in [(Outage::Closed, 0), (Outage::Share, 0), (Outage::Open, 14)] {
        let mut fleet = Fleet::new(Limit::per_second(COUNT).outage(outage), 1, MS);
        fleet.work(0, 5, Duration::ZERO);
        sleep(seconds(5)).await;
        fleet.stop(0);
        sleep(seconds(20)).await;
        fleet.memory.set_down(true);
        let before = fleet.service.all();
        fleet.work(0, 30, Duration::ZERO);
        sleep(Duration::from_millis(1500)).await;
        let sent = fleet.service.all() - before;
        assert!(if served == 0 { sent == 0 } else { sent >= served }, "{outage:?}: {sent}");
    }
}
