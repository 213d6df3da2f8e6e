//! What members tell each other: pauses with one probe for all, stated budgets, and limits that were found.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::{MS, SECOND, seconds};
use crate::limit::Limit;
use crate::message::Priority;
use crate::throttle::ledger::memory::{Memory, MemoryLedger};
use crate::throttle::limiter::window::lent::Terms;
use crate::throttle::{Feedback, LearnedLimit, RequestKey, Throttle};

/// A service that refuses by a rule, and remembers which request arrived when, and how it was answered.
struct Refuser {
    seen: Mutex<Vec<Seen>>,
    /// The answer to a request, from the requests before it.
    answer: Rule,
}

/// A status, and headers.
type Answered = (u16, Vec<(&'static str, String)>);
type Rule = Box<dyn Fn(&[Seen], Instant) -> Answered + Send + Sync>;

#[derive(Clone, Copy, Debug)]
struct Seen {
    member: usize,
    arrived: Instant,
    answered: Instant,
    status: u16,
}

impl Refuser {
    fn of(&self, status: u16) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.status == status).copied().collect()
    }

    fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

struct Members {
    memory: Arc<Memory>,
    service: Arc<Refuser>,
    throttles: Vec<Throttle>,
    ledgers: Vec<Arc<MemoryLedger>>,
    limit: Option<Limit>,
    feedback: Feedback,
    workers: Vec<tokio::task::JoinHandle<()>>,
}

const TRIP: Duration = Duration::from_millis(20);

impl Members {
    fn new(limit: Option<Limit>, answer: impl Fn(&[Seen], Instant) -> Answered + Send + Sync + 'static) -> Self {
        let service = Refuser { seen: Mutex::default(), answer: Box::new(answer) };
        Self {
            memory: Memory::new(MS),
            service: Arc::new(service),
            throttles: Vec::new(),
            ledgers: Vec::new(),
            limit,
            feedback: Feedback::Budgets,
            workers: Vec::new(),
        }
    }

    /// Adds a member, with workers that send as soon as they may, and pause between their requests.
    fn join(&mut self, workers: usize, pause: Duration) {
        let member = self.throttles.len();
        let name = format!("m{member}");
        let ledger = self.memory.member(&name);
        let ttl = 3 * SECOND;
        let terms = Terms { member: name.as_str().into(), ttl, guard: SECOND, beat: ttl / 3, poll: SECOND };
        let throttle = Throttle::lent_by(ledger.clone(), terms);
        throttle.set_feedback(self.feedback);
        self.limit.iter().for_each(|limit| throttle.add_limit(limit.clone()).unwrap());
        for worker in 0..workers {
            let (throttle, service) = (throttle.clone(), self.service.clone());
            self.workers.push(tokio::spawn(async move {
                let keys = RequestKey::uri(&Method::GET, &"https://a.example/exports".parse().unwrap());
                sleep(Duration::from_micros((member * 100 + worker * 7) as u64)).await;
                loop {
                    let mut permit = throttle.acquire(Priority::Call, &keys).await.unwrap();
                    permit.sent();
                    sleep(TRIP).await;
                    let arrived = Instant::now();
                    let (status, headers) = {
                        let mut seen = service.seen.lock().unwrap();
                        let (status, headers) = (service.answer)(&seen, arrived);
                        seen.push(Seen { member, arrived, answered: arrived + TRIP, status });
                        (status, headers)
                    };
                    sleep(TRIP).await;
                    let headers = headers
                        .into_iter()
                        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
                    permit.heard(StatusCode::from_u16(status).unwrap(), &headers.collect::<HeaderMap>());
                    drop(permit);
                    sleep(pause).await;
                }
            }));
        }
        self.throttles.push(throttle);
        self.ledgers.push(ledger);
    }
}

/// A declared limit that is shared, and a route that no limit counts.
fn limits() -> [Option<Limit>; 2] {
    [None, Some(Limit::per_second(40))]
}

/// Refuses everything from 2 seconds on, for so long.
fn refuses(during: Duration, wait: Option<u64>) -> impl Fn(&[Seen], Instant) -> Answered {
    let began = Instant::now();
    move |_, now| {
        let since = now - began;
        if since < seconds(2) || since >= seconds(2) + during {
            return (200, Vec::new());
        }
        (429, wait.map(|wait| ("retry-after", wait.to_string())).into_iter().collect())
    }
}

/// Refuses one request, after 2 seconds.
fn refuses_one(wait: u64) -> impl Fn(&[Seen], Instant) -> Answered {
    let began = Instant::now();
    move |seen, now| match seen.iter().any(|seen| seen.status == 429) {
        false if now - began >= seconds(2) => (429, vec![("retry-after", wait.to_string())]),
        _ => (200, Vec::new()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_all_members_and_one_sends_first_afterwards() {
    for limit in limits() {
        let mut members = Members::new(limit.clone(), refuses_one(5));
        (0..4).for_each(|_| members.join(6, MS * 10));
        sleep(seconds(20)).await;
        let first = members.service.of(429)[0].answered;
        // Two trips of the store tell all; what was sent before then arrives a trip later.
        let is_later = |seen: &Seen| seen.arrived > first + MS * 3 + TRIP;
        let after: Vec<_> = members.service.all().into_iter().filter(is_later).collect();
        let probe = after[0];
        let waited = probe.arrived - first;
        assert!((seconds(5)..seconds(6)).contains(&waited), "{limit:?}: {waited:?}");
        assert!(after[1].arrived >= probe.answered, "{limit:?}: one is sent first, {after:?}");
        for member in 0..4 {
            let count = after.iter().filter(|seen| seen.member == member).count();
            assert!(count > 50, "{limit:?}: {count} of {member} after the pause");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn during_a_long_outage_of_the_service_all_members_together_probe_as_one() {
    for limit in limits() {
        let mut members = Members::new(limit.clone(), refuses(seconds(40), None));
        (0..4).for_each(|_| members.join(6, MS * 10));
        sleep(seconds(90)).await;
        let refused = members.service.of(429);
        let burst = refused[0].answered + MS * 3 + TRIP;
        // Pauses of 1, 2, 4, 8, 16 and 32 seconds.
        let probes: Vec<_> = refused.iter().filter(|seen| seen.arrived > burst).collect();
        assert!((4..=6).contains(&probes.len()), "{limit:?}: {probes:?}");
        let last = members.service.all().into_iter().rev().take(200);
        assert!(last.clone().all(|seen| seen.status == 200) && last.count() == 200, "{limit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_lost_with_its_member_is_sent_by_another() {
    let mut members = Members::new(None, refuses(MS * 500, Some(5)));
    (0..3).for_each(|_| members.join(2, MS * 10));
    sleep(seconds(3)).await;
    // The first to ask is told its turn, and never sends.
    members.ledgers[0].cut_off(true);
    sleep(seconds(17)).await;
    let after: Vec<_> = members.service.all().into_iter().filter(|seen| seen.status == 200).collect();
    assert!(after.iter().filter(|seen| seen.member > 0).count() > 300, "{}", after.len());
    assert!(after.iter().any(|seen| seen.member == 0 && seen.arrived > members.service.of(429)[0].arrived));
}

#[tokio::test(start_paused = true)]
async fn without_the_store_each_member_ends_the_pause_that_it_heard_of_by_itself() {
    // The other members only hear of the refusal.
    let mut members = Members::new(None, refuses_one(5));
    (0..3).for_each(|_| members.join(2, MS * 10));
    sleep(seconds(3)).await;
    members.memory.set_down(true);
    sleep(seconds(10)).await;
    let refused_at = members.service.of(429)[0].answered;
    for member in 0..3 {
        let is_later = |seen: &Seen| seen.member == member && seen.arrived > refused_at + TRIP * 3;
        let after: Vec<_> = members.service.all().into_iter().filter(is_later).collect();
        assert!(after.len() > 50 && after[0].arrived >= refused_at + seconds(5), "{member}: {:?}", after.first());
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_comes_during_a_pause_hears_of_it_before_it_has_slots() {
    let mut members = Members::new(Some(Limit::per_second(40)), refuses(MS * 200, Some(30)));
    members.join(3, MS * 10);
    sleep(seconds(5)).await;
    members.join(5, MS * 10);
    sleep(seconds(20)).await;
    assert_eq!(members.service.all().into_iter().filter(|seen| seen.member == 1).count(), 0);
    sleep(seconds(20)).await;
    assert!(members.service.all().into_iter().filter(|seen| seen.member == 1).count() > 50);
}

#[tokio::test(start_paused = true)]
async fn a_member_with_a_long_queue_hears_of_a_pause() {
    let began = Instant::now();
    let answer = move |seen: &[Seen], now: Instant| {
        let is_first = seen.iter().all(|seen| seen.status == 200) && now - began >= seconds(20);
        // Only a request of the member without a queue is refused.
        (if is_first { 429 } else { 200 }, vec![("retry-after", "30".into())])
    };
    let mut members = Members::new(Some(Limit::per_second(4)), answer);
    members.join(0, MS);
    let queued = (0..400).map(|_| {
        let (throttle, service) = (members.throttles[0].clone(), members.service.clone());
        tokio::spawn(async move {
            let keys = RequestKey::uri(&Method::GET, &"https://a.example/exports".parse().unwrap());
            let mut permit = throttle.acquire(Priority::Call, &keys).await.unwrap();
            let seen = Seen { member: 0, arrived: Instant::now(), answered: Instant::now(), status: 200 };
            service.seen.lock().unwrap().push(seen);
            permit.answered();
        })
    });
    let queued: Vec<_> = queued.collect();
    sleep(seconds(19)).await;
    members.join(1, MS * 200);
    sleep(seconds(20)).await;
    let refused = members.service.of(429)[0].answered;
    let is_within = |seen: &Seen| seen.arrived > refused + MS * 10 && seen.arrived < refused + seconds(30);
    sleep(seconds(60)).await;
    assert_eq!(members.service.all().iter().filter(|seen| is_within(seen)).count(), 0);
    assert!(members.service.all().iter().any(|seen| seen.member == 0 && seen.arrived > refused + seconds(30)));
    queued.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_removed_while_all_pause_holds_nobody_back() {
    let limit = Limit::per_second(40);
    let mut members = Members::new(Some(limit.clone()), refuses_one(5));
    (0..2).for_each(|_| members.join(3, MS * 10));
    sleep(seconds(4)).await;
    members.throttles.iter().for_each(|throttle| assert!(throttle.remove_limit(&limit)));
    sleep(seconds(10)).await;
    for member in 0..2 {
        let after = members.service.all().into_iter().filter(|seen| seen.member == member).rev().take(50);
        assert!(after.clone().count() == 50 && after.last().unwrap().arrived > members.service.of(429)[0].arrived);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_cannot_be_used_goes_to_another_member() {
    let mut members = Members::new(None, refuses_one(5));
    (0..2).for_each(|_| members.join(2, MS * 10));
    // The requests of the first member also wait for a limit of its own, which opens in an hour.
    let own = Limit::per(1, seconds(3600)).soft();
    members.throttles[0].add_limit(own).unwrap();
    sleep(seconds(4)).await;
    members.throttles[0].pause(seconds(3600));
    sleep(seconds(10)).await;
    let of = |member| members.service.all().into_iter().filter(move |seen| seen.member == member);
    let refused = members.service.of(429)[0].answered;
    assert_eq!(of(0).filter(|seen| seen.arrived > refused + TRIP * 3).count(), 0);
    let first = of(1).find(|seen| seen.arrived > refused + TRIP * 3).unwrap();
    assert!(first.arrived < refused + seconds(9), "{:?}", first.arrived - refused);
    assert!(of(1).filter(|seen| seen.arrived > refused + seconds(9)).count() > 50);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_spent_does_not_end_the_turn() {
    // 429 with a budget that ends when the wait does, as many services state it.
    let refuses = |began: Instant| {
        move |_: &[Seen], now: Instant| match now - began {
            since if since < seconds(2) || since >= seconds(30) => (200, Vec::new()),
            _ => {
                let names = ["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-limit"];
                (429, names.into_iter().zip(["5", "0", "5", "40"].map(String::from)).collect())
            }
        }
    };
    for limit in limits() {
        let mut members = Members::new(limit.clone(), refuses(Instant::now()));
        (0..4).for_each(|_| members.join(4, MS * 10));
        sleep(seconds(60)).await;
        let refused = members.service.of(429);
        let burst = refused[0].answered + MS * 3 + TRIP;
        let probes = refused.iter().filter(|seen| seen.arrived > burst).count();
        assert!((3..=8).contains(&probes), "{limit:?}: {probes} probes in 28 seconds, 5 apart");
    }
}

/// States a budget of a minute, and refuses what is above it.
fn states(limit: usize) -> impl Fn(&[Seen], Instant) -> Answered {
    let began = Instant::now();
    move |seen, now| {
        let minute = (now - began).as_secs() / 60;
        let used = seen.iter().rev().take_while(|seen| (seen.arrived - began).as_secs() / 60 == minute).count();
        let left = limit.saturating_sub(used + 1);
        let headers = vec![
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", left.to_string()),
            ("x-ratelimit-reset", (60 - (now - began).as_secs() % 60).to_string()),
        ];
        (if used >= limit { 429 } else { 200 }, headers)
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_the_service_states_to_one_is_kept_by_all() {
    for (limit, workers) in [(120, 1), (120, 4), (600, 8)] {
        let mut members = Members::new(None, states(limit));
        (0..4).for_each(|_| members.join(workers, MS * 10));
        sleep(seconds(300)).await;
        let (refused, served) = (members.service.of(429).len(), members.service.of(200).len());
        println!("{limit} a minute, {workers} workers: {refused} refused, {served} served of {}", limit * 5);
        assert!(refused == 0, "{limit} {workers}: {refused}");
        assert!(served >= limit * 5 * 7 / 10, "{limit} {workers}: {served}");
    }
}

/// Refuses what is above a count in any second, and states nothing.
fn counts(limit: usize) -> impl Fn(&[Seen], Instant) -> Answered {
    move |seen, now| {
        let within = seen.iter().rev().take_while(|seen| seen.arrived + seconds(1) > now);
        let used = within.filter(|seen| seen.status == 200).count();
        (if used >= limit { 429 } else { 200 }, Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_found_is_shared_with_members_that_come_later() {
    let mut members = Members::new(None, counts(24));
    members.feedback = Feedback::Learn;
    (0..3).for_each(|_| members.join(20, MS));
    sleep(seconds(180)).await;
    let found: Vec<_> = members.throttles.iter().map(Throttle::learned).collect();
    println!("{found:?}: {} refused, {} served", members.service.of(429).len(), members.service.of(200).len());
    let total: u32 =
        found.iter().flat_map(|learned| learned.limits().map(LearnedLimit::count).collect::<Vec<_>>()).sum();
    assert!((18..=27).contains(&total), "{found:?}");
    // All end, and others begin: they start with what was known.
    members.workers.drain(..).for_each(|worker| worker.abort());
    sleep(seconds(10)).await;
    let (refused, served) = (members.service.of(429).len(), members.service.of(200).len());
    (0..3).for_each(|_| members.join(20, MS));
    sleep(seconds(20)).await;
    let found: Vec<_> = members.throttles[3..].iter().map(Throttle::learned).collect();
    let (refused, served) = (members.service.of(429).len() - refused, members.service.of(200).len() - served);
    println!("{found:?}: {refused} refused, {served} served");
    assert!(found.iter().all(|learned| !learned.is_empty()), "{found:?}");
    assert!(refused * 20 <= served && served >= 20 * 18, "{refused} refused, {served} served");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    /// Whatever happened to the store, to members and to the service: once all are well, all members send again.
    #[test]
    fn no_member_waits_for_ever(
        declared in any::<bool>(),
        loses in 0..5_u64,
        seed in any::<u64>(),
        steps in prop::collection::vec((0..8_u8, 0..5_usize, 0..3000_u64), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let random = Mutex::new(fastrand::Rng::with_seed(seed));
            let is_ill = Arc::new(AtomicBool::new(false));
            let ill = is_ill.clone();
            let answer = move |_: &[Seen], _| {
                let mut random = random.lock().unwrap();
                if !ill.load(Ordering::Relaxed) || random.u8(0..3) == 0 {
                    return (200, Vec::new());
                }
                let wait = random.bool().then(|| ("retry-after", random.u8(0..4).to_string()));
                (if random.bool() { 429 } else { 503 }, wait.into_iter().collect())
            };
            let mut members = Members::new(declared.then(|| Limit::per_second(40)), answer);
            members.memory.lose_each(if loses == 1 { 0 } else { loses });
            (0..3).for_each(|_| members.join(3, MS * 10));
            for (step, member, pause) in steps {
                let member = member % members.ledgers.len();
                match step {
                    0 => members.ledgers[member].cut_off(true),
                    1 => members.ledgers[member].cut_off(false),
                    2 => members.memory.set_down(true),
                    3 => members.memory.set_down(false),
                    4 => members.memory.forget(),
                    5 => is_ill.store(true, Ordering::Relaxed),
                    6 => is_ill.store(false, Ordering::Relaxed),
                    _ => members.join(3, MS * 10),
                }
                sleep(Duration::from_millis(pause)).await;
            }
            members.ledgers.iter().for_each(|ledger| ledger.cut_off(false));
            members.memory.set_down(false);
            is_ill.store(false, Ordering::Relaxed);
            // The longest pause without a hint, and what is frozen when data is lost.
            sleep(seconds(90)).await;
            let now = Instant::now();
            sleep(seconds(20)).await;
            for member in 0..members.ledgers.len() {
                let sent = members.service.all().into_iter().filter(|seen| seen.member == member && seen.arrived > now);
                assert!(sent.count() > 10, "{member} of {}", members.ledgers.len());
            }
        });
    }
}
