//! Load: the wait that sharing adds. The same arrivals of requests wait under one throttle that has the window for
//! itself, and under the throttles of a fleet.
//!
//! `LONGHAUL_LONG=1 cargo test --lib -- fleet::load --nocapture` prints the tables.

use super::*;

/// A request of a member: when it comes, and how long it takes to the service and back.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Duration,
    member: usize,
    there: Duration,
    back: Duration,
}

/// A fleet under load.
#[derive(Clone, Copy, Debug)]
struct Case {
    count: u32,
    window: u64,
    members: usize,
    /// The trip to the store and back.
    trip: Duration,
    /// The share of the reachable rate that is asked for.
    load: f64,
    /// The share of the first member in it; the others have equal parts of the rest.
    first: f64,
    seconds: u64,
}

/// The waits of a run, in milliseconds.
#[derive(Debug)]
struct Outcome {
    /// Beyond those in one process, by arrival.
    added: Vec<f64>,
    /// The same for the member that waits longest.
    worst: f64,
    /// The 99th percentile of the waits in one process.
    alone: f64,
    /// The same in the fleet.
    shared: f64,
    calls: u64,
    /// Calls by members and seconds.
    rate: f64,
    served: usize,
}

impl Case {
    fn new(count: u32, window: u64, members: usize, trip: Duration) -> Self {
        let seconds = match count {
            ..100 => 200 * window,
            100..1000 => 200,
            _ => 20,
        };
        Self { count, window, members, trip, load: 0.75, first: 0.0, seconds }
    }

    fn limit(&self) -> Limit {
        Limit::per(self.count, seconds(self.window))
    }

    /// Arrivals at random times: 20 ms and an exponential wait of 30 ms on average, each way.
    fn arrivals(&self, seed: u64) -> Vec<Arrival> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut wait = move |mean: f64| -mean * (1.0 - random.f64()).ln();
        // A slot is in use for a trip to the service and back, and a window.
        let reachable = f64::from(self.count) / (self.window as f64 + 0.1);
        let mut arrivals = Vec::new();
        for member in 0..self.members {
            let share = match (member, self.first > 0.0) {
                (0, true) => self.first,
                (_, true) => (1.0 - self.first) / (self.members - 1) as f64,
                (_, false) => 1.0 / self.members as f64,
            };
            let rate = reachable * self.load * share;
            let mut at = wait(1.0 / rate);
            while at < self.seconds as f64 {
                let mut trip = || Duration::from_secs_f64(0.02 + wait(0.03));
                arrivals.push(Arrival { at: Duration::from_secs_f64(at), member, there: trip(), back: trip() });
                at += wait(1.0 / rate);
            }
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }

    fn run(&self, seed: u64) -> Outcome {
        let arrivals = self.arrivals(seed);
        let alone = paused(async {
            let throttle = Throttle::new();
            throttle.add_limit(self.limit()).unwrap();
            let service = Arc::default();
            let waits = serve(&arrivals, &[throttle], &service).await;
            let most = service.most(seconds(self.window));
            assert!(most <= self.count as usize, "{most} of {}", self.count);
            waits
        });
        let (shared, calls, served) = paused(async {
            let fleet = Fleet::lending(self.limit(), self.members, self.trip);
            let throttles: Vec<_> = fleet.members.iter().map(|member| member.throttle.clone()).collect();
            let waits = serve(&arrivals, &throttles, &fleet.service).await;
            fleet.check(self.count as usize, seconds(self.window));
            (waits, fleet.memory.calls(), fleet.service.all())
        });
        let added: Vec<_> = shared.iter().zip(&alone).map(|(shared, alone)| shared - alone).collect();
        let of = |member| {
            let own = arrivals.iter().zip(&added).filter(|(arrival, _)| arrival.member == member);
            percentile(own.map(|(_, added)| *added).collect(), 99)
        };
        Outcome {
            worst: (0..self.members).map(of).fold(0.0, f64::max),
            alone: percentile(alone, 99),
            shared: percentile(shared, 99),
            rate: calls as f64 / self.seconds as f64 / self.members as f64,
            added,
            calls,
            served,
        }
    }

    fn row(&self) {
        let outcome = self.run(7);
        println!(
            "| {}/{} s | {} | {:?} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.3} | {:.2} |",
            self.count,
            self.window,
            self.members,
            self.trip,
            self.first,
            outcome.alone,
            outcome.shared - outcome.alone,
            percentile(outcome.added.clone(), 50),
            percentile(outcome.added, 99),
            outcome.worst,
            outcome.calls as f64 / outcome.served as f64,
            outcome.rate,
        );
    }
}

impl Fleet {
    /// A fleet by the terms of Redis.
    fn lending(limit: Limit, members: usize, trip: Duration) -> Self {
        let mut fleet = Self::new(limit, 0, trip);
        let terms = |name: &str| Terms { ttl: 10 * SECOND, beat: 10 * SECOND / 3, ..terms(name) };
        (0..members).for_each(|_| fleet.join_by(terms));
        fleet
    }
}

/// Sends requests as they come, each by the throttle of its member; returns how many milliseconds each waited.
async fn serve(arrivals: &[Arrival], throttles: &[Throttle], service: &Arc<Service>) -> Vec<f64> {
    let before = Instant::now();
    let mut requests = Vec::new();
    for arrival in arrivals.iter().copied() {
        let (throttle, service) = (throttles[arrival.member % throttles.len()].clone(), service.clone());
        requests.push(tokio::spawn(async move {
            sleep_until(before + arrival.at).await;
            let came = Instant::now();
            let mut permit = throttle.acquire(Priority::Call, &RequestKey::new()).await.unwrap();
            let waited = came.elapsed();
            permit.sent();
            sleep(arrival.there).await;
            service.arrivals.lock().unwrap().push((Instant::now(), arrival.member));
            sleep(arrival.back).await;
            permit.answered();
            waited.as_secs_f64() * 1000.0
        }));
    }
    let mut waits = Vec::new();
    for request in requests {
        waits.push(request.await.unwrap());
    }
    waits
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

const NEAR: Duration = Duration::from_micros(500);
const LIMITS: [(u32, u64); 5] = [(4, 1), (10, 10), (15, 1), (100, 1), (1000, 1)];
const FAR: Duration = Duration::from_millis(20);

#[test]
fn random_arrivals_pass_no_limit_and_ask_the_store_seldom() {
    // The checks of each run count arrivals and slots.
    for (count, members, most) in [(4, 8, 3.0), (15, 4, 1.9), (100, 8, 0.55)] {
        let outcome = Case { seconds: 30, ..Case::new(count, 1, members, NEAR) }.run(u64::from(count));
        let calls = outcome.calls as f64 / outcome.served as f64;
        assert!(calls <= most, "{count}/1 s, {members}: {calls} calls per permit");
        assert_eq!(outcome.served, outcome.added.len());
    }
}

#[test]
fn the_table() {
    if std::env::var_os("LONGHAUL_LONG").is_none() {
        return;
    }
    println!(
        "| limit | members | trip | first | alone p99 | p99 less that | added p50 | p99 | worst member | calls/permit | calls/s/member |"
    );
    for trip in [NEAR, FAR] {
        for (count, window) in LIMITS {
            for members in [1, 2, 4, 8] {
                Case::new(count, window, members, trip).row();
            }
            Case { first: 0.5, ..Case::new(count, window, 8, trip) }.row();
        }
    }
    println!("| limit | members | trip | used | least and most by member | calls/permit | calls/s/member |");
    for trip in [NEAR, FAR] {
        for (count, window) in LIMITS {
            for members in [1, 8] {
                paused(greedy(count, window, members, trip));
            }
        }
    }
}

/// Members that send as soon as they may.
async fn greedy(count: u32, window: u64, members: usize, trip: Duration) {
    let mut fleet = Fleet::lending(Limit::per(count, seconds(window)), members, trip);
    (0..members).for_each(|member| fleet.work(member, 2 * count as usize / members + 4, Duration::ZERO));
    let length = seconds(60 * window);
    sleep(length).await;
    fleet.check(count as usize, seconds(window));
    let served: Vec<_> = (0..members).map(|member| fleet.service.served(member)).collect();
    let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
    let (all, calls) = (fleet.service.all() as f64, fleet.memory.calls() as f64);
    // A request takes 79 ms on average, to the service and back.
    let used = all * (window as f64 + 0.079) / f64::from(count) / length.as_secs_f64();
    let rate = calls / length.as_secs_f64() / members as f64;
    println!(
        "| {count}/{window} s | {members} | {trip:?} | {used:.3} | {least} {most} | {:.3} | {rate:.2} |",
        calls / all
    );
}
