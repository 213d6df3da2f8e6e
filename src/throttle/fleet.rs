//! Fleet: several throttles that share their windows by a store in memory, on a paused clock. A strict service counts
//! arrivals; it must never count more than the limit, whatever happens to the members and to the store.

mod load;
mod outage;
mod pauses;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::ledger::memory::{Memory, MemoryLedger};
use super::limiter::window::lent::Terms;
use super::{RequestKey, Throttle};
use crate::limit::Limit;
use crate::message::Priority;

const SECOND: u64 = 1_000_000_000;

fn terms(member: &str) -> Terms {
    let ttl = 3 * SECOND;
    Terms { member: member.into(), ttl, guard: SECOND, beat: ttl / 3, poll: SECOND }
}

/// A service that counts arrivals, by member.
#[derive(Debug, Default)]
struct Service {
    arrivals: Mutex<Vec<(Instant, usize)>>,
}

impl Service {
    /// Returns the largest number of arrivals in any window.
    fn most(&self, window: Duration) -> usize {
        let mut times: Vec<_> = self.arrivals.lock().unwrap().iter().map(|(at, _)| *at).collect();
        times.sort_unstable();
        let within = |(at, first): (usize, &Instant)| times[at..].partition_point(|time| *time < *first + window);
        times.iter().enumerate().map(within).max().unwrap_or(0)
    }

    fn served(&self, member: usize) -> usize {
        self.arrivals.lock().unwrap().iter().filter(|(_, by)| *by == member).count()
    }

    fn all(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }
}

/// One process of the fleet.
struct Member {
    throttle: Throttle,
    ledger: Arc<MemoryLedger>,
    workers: Vec<JoinHandle<()>>,
}

struct Fleet {
    memory: Arc<Memory>,
    service: Arc<Service>,
    limit: Limit,
    members: Vec<Member>,
}

impl Fleet {
    fn new(limit: Limit, members: usize, trip: Duration) -> Self {
        let mut fleet = Self { memory: Memory::new(trip), service: Arc::default(), limit, members: Vec::new() };
        (0..members).for_each(|_| fleet.join());
        fleet
    }

    fn join(&mut self) {
        self.join_by(terms);
    }

    fn join_by(&mut self, terms: impl Fn(&str) -> Terms) {
        let name = format!("m{}", self.members.len());
        let ledger = self.memory.member(&name);
        let throttle = Throttle::lent_by(ledger.clone(), terms(&name));
        throttle.add_limit(self.limit.clone()).unwrap();
        self.members.push(Member { throttle, ledger, workers: Vec::new() });
    }

    /// Starts workers of a member that send as soon as they may, with these pauses between their requests.
    fn work(&mut self, member: usize, workers: usize, pause: Duration) {
        for worker in 0..workers {
            let (throttle, service) = (self.members[member].throttle.clone(), self.service.clone());
            self.members[member].workers.push(tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed((member * 1000 + worker) as u64);
                let mut trip = move || Duration::from_millis(20 + random.u64(0..40));
                loop {
                    let mut permit = throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap();
                    permit.sent();
                    sleep(trip()).await;
                    service.arrivals.lock().unwrap().push((Instant::now(), member));
                    sleep(trip()).await;
                    permit.answered();
                    sleep(pause).await;
                }
            }));
        }
    }

    fn stop(&mut self, member: usize) {
        self.members[member].workers.drain(..).for_each(|worker| worker.abort());
    }

    fn check(&self, count: usize, window: Duration) {
        self.memory.check();
        let most = self.service.most(window);
        assert!(most <= count, "{most} of {count}");
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn members_share_a_window_evenly_and_waste_none_of_it() {
    for (count, members, share) in [(15, 1, 0.9), (15, 4, 0.9), (4, 8, 0.9), (100, 8, 0.9)] {
        let mut fleet = Fleet::new(Limit::per_second(count), members, MS);
        (0..members).for_each(|member| fleet.work(member, 40, Duration::ZERO));
        let before = Instant::now();
        sleep_until(before + seconds(60)).await;
        fleet.check(count as usize, seconds(1));
        let used = fleet.service.all() as f64 / f64::from(count) / 60.0;
        let served: Vec<_> = (0..members).map(|member| fleet.service.served(member)).collect();
        println!("{count}/1s {members}: {used:.3}, {} calls, {served:?}", fleet.memory.calls());
        assert!(used >= share, "{used} of {count} by {members}: {served:?}");
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        assert!(least * 10 >= most * 8, "{served:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_does_not_use_the_other_gets() {
    let mut fleet = Fleet::new(Limit::per_second(20), 2, MS);
    fleet.work(0, 1, seconds(1));
    fleet.work(1, 60, Duration::ZERO);
    sleep(seconds(60)).await;
    fleet.check(20, seconds(1));
    println!("{} {}", fleet.service.served(0), fleet.service.served(1));
    assert!(fleet.service.served(0) >= 40 && fleet.service.all() >= 1000, "{}", fleet.service.all());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_stops_nobody_before_the_lease_ends() {
    let mut fleet = Fleet::new(Limit::per_second(8), 2, MS);
    (0..2).for_each(|member| fleet.work(member, 10, Duration::ZERO));
    sleep(seconds(5)).await;
    fleet.memory.set_down(true);
    let before = fleet.service.all();
    sleep(seconds(2)).await;
    assert!(fleet.service.all() - before >= 12, "within the lease");
    sleep(seconds(3)).await;
    let stopped = fleet.service.all();
    sleep(seconds(20)).await;
    assert_eq!(fleet.service.all(), stopped, "after it nothing goes");
    fleet.memory.set_down(false);
    sleep(seconds(10)).await;
    assert!(fleet.service.all() - stopped >= 60, "{}", fleet.service.all() - stopped);
    fleet.check(8, seconds(1));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_loses_its_slots_to_the_others() {
    let mut fleet = Fleet::new(Limit::per_second(8), 2, MS);
    (0..2).for_each(|member| fleet.work(member, 10, Duration::ZERO));
    sleep(seconds(5)).await;
    fleet.members[0].ledger.cut_off(true);
    sleep(seconds(6)).await;
    let (before, own) = (fleet.service.served(1), fleet.service.served(0));
    sleep(seconds(10)).await;
    assert!(fleet.service.served(1) - before >= 70, "{}", fleet.service.served(1) - before);
    assert_eq!(fleet.service.served(0), own);
    fleet.members[0].ledger.cut_off(false);
    sleep(seconds(20)).await;
    assert!(fleet.service.served(0) - own >= 60, "it is void, and begins anew");
    fleet.check(8, seconds(1));
}

#[tokio::test(start_paused = true)]
async fn a_throttle_that_ends_gives_back_all() {
    let mut fleet = Fleet::new(Limit::per_second(8), 2, MS);
    fleet.work(0, 10, Duration::ZERO);
    sleep(seconds(2)).await;
    fleet.stop(0);
    sleep(seconds(1)).await;
    assert!(fleet.memory.held() > 0);
    fleet.members.remove(0);
    sleep(MS * 10).await;
    assert_eq!(fleet.memory.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_day_is_shared_and_what_was_used_survives_its_user() {
    let mut fleet = Fleet::new(Limit::per_day(1000, "UTC"), 2, MS);
    fleet.work(0, 5, Duration::ZERO);
    sleep(seconds(8)).await;
    fleet.members[0].ledger.cut_off(true);
    fleet.stop(0);
    let used = fleet.service.all();
    assert!((200..800).contains(&used), "{used}");
    (1..2).for_each(|member| fleet.work(member, 20, Duration::ZERO));
    sleep(seconds(3600)).await;
    let all = fleet.service.all();
    // What the first held unused when it died is lost for the day: about 1 %.
    assert!((960..=1000).contains(&all), "{used} and then {all}");
    sleep(seconds(12 * 3600)).await;
    let next = fleet.service.all() - all;
    assert!((990..=1000).contains(&next), "{next} on the next day");
    fleet.memory.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var_os("LONGHAUL_LONG").map_or(24, |_| 1500)))]
    /// Whatever happens: members that are cut off and come back, lost answers, a store that is down or forgets.
    #[test]
    fn no_window_is_ever_passed(
        count in 1..12_u32,
        members in 1..5_usize,
        trip in 0..60_u64,
        loses in 0..6_u64,
        steps in prop::collection::vec((0..7_u8, 0..5_usize, 0..4000_u64), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let mut fleet = Fleet::new(Limit::per_second(count), members, MS * u32::try_from(trip).unwrap());
            fleet.memory.lose_each(if loses == 1 { 0 } else { loses });
            (0..members).for_each(|member| fleet.work(member, 5, MS * 10));
            for (step, member, pause) in steps {
                let member = member % fleet.members.len();
                match step {
                    0 => fleet.members[member].ledger.cut_off(true),
                    1 => fleet.members[member].ledger.cut_off(false),
                    2 => fleet.memory.set_down(true),
                    3 => fleet.memory.set_down(false),
                    4 => fleet.memory.forget(),
                    5 => fleet.stop(member),
                    _ => {
                        fleet.join();
                        fleet.work(fleet.members.len() - 1, 3, MS * 10);
                    }
                }
                sleep(Duration::from_millis(pause)).await;
            }
            fleet.check(count as usize, seconds(1));
        });
    }
}
