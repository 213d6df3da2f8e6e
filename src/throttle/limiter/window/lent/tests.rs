use std::time::Duration;

use super::*;

const SECOND: Tick = 1_000_000_000;

fn lent(window: &Window) -> Lent {
    let terms = Terms { member: "m".into(), ttl: 3 * SECOND, guard: SECOND, beat: SECOND, poll: SECOND };
    Lent::new(window, Clock::system(), "d".into(), Arc::new(terms)).unwrap()
}

fn second(count: u32) -> Lent {
    lent(&Window::Sliding { count, length: Duration::from_secs(1) })
}

fn parked(parked: u32) -> Demand {
    Demand { parked, waiting: parked }
}

/// An answer that lends slots, by the microseconds until they are free.
fn grants(grants: &[(u64, u64)]) -> Answer {
    Answer { epoch: "e".into(), members: 1, count: 4, grants: grants.to_vec(), ..Answer::default() }
}

#[test]
fn grants_what_is_lent_and_reuses_it_a_length_after_the_answer() {
    let mut lent = second(4);
    assert_eq!((lent.opening(0), lent.due(parked(2), 0)), (Opening::Closed, Some(0)));
    let ask = lent.ask(parked(2), 0);
    assert_eq!((ask.want, ask.held, ask.seq), (2, 0, 1));
    assert_eq!(lent.due(parked(2), 1), None, "an ask is out");
    assert_eq!(lent.ask(parked(9), 5), ask, "and is repeated unchanged");
    lent.told(&grants(&[(0, 1), (30, 1)]), 0, 0, 10);
    assert_eq!(lent.opening(10), Opening::Open);
    lent.take(10);
    assert_eq!(lent.opening(10), Opening::At(30_010));
    lent.anchor(10, 25);
    assert_eq!((lent.opening(40_000), lent.amounts(40_000)), (Opening::Open, (1, 4)));
    lent.take(40_000);
    lent.refund(40_000);
    assert_eq!((lent.opening(40_000), lent.held()), (Opening::Open, 2), "as free as it was");
}

#[test]
fn grants_nothing_after_the_end_of_the_lease_which_counts_from_the_send() {
    let mut lent = second(4);
    lent.ask(parked(2), 100);
    lent.told(&grants(&[(0, 2)]), 0, 100, SECOND);
    let ends = 100 + 3 * SECOND;
    assert_eq!((lent.opening(ends - 1), lent.opening(ends)), (Opening::Open, Opening::Closed));
    // The same store renews it; one of another epoch has lent the slots to others, for all that it knows.
    lent.ask(parked(0), ends);
    assert!(!lent.told(&grants(&[]), 0, ends, ends + 1));
    assert_eq!((lent.held(), lent.opening(ends + 1)), (2, Opening::Open));
    let later = ends + 5 * SECOND;
    lent.ask(parked(0), later);
    assert!(lent.told(&Answer { epoch: "f".into(), ..grants(&[]) }, 0, later, later + 1));
    assert_eq!(lent.held(), 0);
}

#[test]
fn what_was_granted_before_the_lease_was_void_brings_no_slot_back() {
    let mut lent = second(4);
    lent.ask(parked(2), 0);
    lent.told(&grants(&[(0, 2)]), 0, 0, 0);
    lent.take(5);
    lent.take(5);
    lent.ask(parked(2), 10);
    lent.told(&Answer { is_void: true, ..grants(&[(0, 1)]) }, 0, 10, 10);
    lent.anchor(5, 20);
    lent.refund(5);
    assert_eq!((lent.held(), lent.opening(10)), (1, Opening::At(11)));
    lent.take(20);
    lent.anchor(20, 30);
    assert_eq!(lent.held(), 1);
}

#[test]
fn gives_back_what_is_asked_for_but_nothing_fresh_while_somebody_waits() {
    let mut lent = second(4);
    lent.ask(parked(4), 0);
    lent.told(&Answer { recall: 1, ..grants(&[(500_000, 2)]) }, 0, 0, 0);
    assert!(lent.due(parked(4), 0).is_none_or(|due| due > 0), "unused slots are kept");
    let mut lent = second(4);
    lent.ask(parked(4), 0);
    lent.told(&Answer { recall: 1, ..grants(&[(0, 2)]) }, 0, 0, 0);
    lent.take(0);
    lent.anchor(0, 10);
    assert_eq!(lent.due(parked(4), 10), Some(5_000_000));
    let ask = lent.ask(parked(4), 10);
    assert_eq!((ask.held, ask.returns), (1, vec![(1_000_000, 1)]));
    // When nobody waits for long, all goes back.
    lent.told(&grants(&[]), 0, 10, 10);
    assert_eq!(lent.due(parked(0), 10), Some(10 + SECOND), "the lease is renewed");
    let idle = 10 + 3 * SECOND;
    let ask = lent.ask(parked(0), idle);
    assert_eq!((ask.held, ask.want, ask.returns), (0, 0, vec![(0, 1)]));
}

#[test]
fn a_slot_of_a_day_is_free_after_midnight_of_the_store() {
    let mut lent = lent(&Window::Daily { count: 1000, zone: "America/New_York".into() });
    let ask = lent.ask(parked(1), 0);
    assert_eq!(ask.want, 11, "one, and a block ahead");
    // An hour before midnight in New York, by the store's clock.
    let wall = "2026-11-28T04:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    lent.told(&grants(&[(0, 11)]), wall, 0, 0);
    lent.take(1);
    lent.anchor(1, SECOND);
    for _ in 0..9 {
        lent.take(SECOND);
        lent.anchor(SECOND, 2 * SECOND);
    }
    assert_eq!(lent.amounts(2 * SECOND), (10, 1000));
    assert_eq!(lent.due(parked(0), SECOND / 2), Some(SECOND / 2), "a block of used ones goes back");
    let ask = lent.ask(parked(0), 2 * SECOND);
    let midnight = 3_600_000_000 + 2_000_000 - 2_000_000;
    assert_eq!((ask.held, ask.returns), (1, vec![(midnight, 10)]), "two seconds after midnight");
    lent.told(&grants(&[]), wall + 2000, 2 * SECOND, 2 * SECOND);
    assert_eq!(lent.amounts(2 * SECOND), (10, 1000), "they count as used until then");
    // What touches midnight counts for the day after, too.
    lent.take(3599 * SECOND);
    lent.anchor(3599 * SECOND, 3599 * SECOND);
    assert_eq!(lent.opening(3600 * SECOND), Opening::Closed);
}

#[test]
fn one_of_many_that_uses_few_slots_gives_each_back_after_its_use() {
    let mut lent = second(4);
    lent.ask(parked(1), 0);
    lent.told(&Answer { members: 2, ..grants(&[(0, 1)]) }, 0, 0, 0);
    lent.take(0);
    lent.anchor(0, SECOND / 10);
    assert_eq!(lent.due(parked(0), SECOND / 10), Some(SECOND / 10));
    let ask = lent.ask(parked(0), SECOND / 10);
    assert_eq!((ask.held, ask.want, ask.returns), (0, 0, vec![(1_000_000, 1)]));
}

#[test]
fn a_share_is_made_up_only_when_every_lease_is_over_and_what_was_sent_under_it_has_left() {
    let mut lent = second(4).on_outage(Outage::Share);
    lent.ask(parked(1), 0);
    lent.told(&Answer { members: 2, ..grants(&[]) }, 0, 0, 0);
    lent.ask(parked(1), 2 * SECOND);
    let lost = 2 * SECOND + SECOND / 2;
    assert!(lent.store_failed(lost) && !lent.store_failed(lost + 1), "news once");
    assert_eq!(lent.opening(lost), Opening::At(3 * SECOND), "the own lease ends");
    // The lease of another may have begun when the store was lost: it ends after 3 seconds, a guard and the window.
    let whole = lost + 5 * SECOND;
    assert_eq!(lent.opening(3 * SECOND), Opening::At(whole));
    assert_eq!((lent.opening(whole - 1), lent.held()), (Opening::At(whole), 0));
    assert_eq!((lent.opening(whole), lent.held()), (Opening::Open, 2));
    // One that the store no longer knew when it was lost has no share.
    let mut lent = second(4).on_outage(Outage::Share);
    lent.ask(parked(0), 0);
    lent.told(&Answer { members: 2, ..grants(&[]) }, 0, 0, 0);
    lent.ask(parked(1), 2 * SECOND);
    assert!(!lent.store_failed(lost));
    assert_eq!(lent.opening(whole), Opening::Closed);
}
