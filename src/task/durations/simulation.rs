//! The rule beside the offline optimum and 5 % of the age, over distributions of durations.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::{Course, Durations};

type Draw = fn(u32, &mut Rng) -> f64;

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * rng.f64().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn lognormal(median: f64, spread: f64, rng: &mut Rng) -> f64 {
    median * (spread * normal(rng)).exp()
}

/// The polls and the lag of one task.
fn run(duration: f64, mut pause: impl FnMut(f64) -> f64) -> (f64, f64) {
    let (mut age, mut polls) = (0.0, 0.0);
    while age < duration {
        age += pause(age).max(0.25);
        polls += 1.0;
    }
    (polls, age - duration)
}

fn five_percent(age: f64, rng: &mut Rng) -> f64 {
    (age / 20.0).clamp(1.0, 30.0) * (0.8 + 0.4 * rng.f64())
}

/// One client, which runs one task after the other.
struct Learner {
    durations: Durations,
    cost: f64,
    now: Instant,
}

impl Learner {
    fn new(cost: f64) -> Self {
        Self { durations: Durations::default(), cost, now: Instant::now() }
    }

    fn task(&mut self, duration: f64, rng: &mut Rng) -> f64 {
        let mut course = Course::default();
        let name = "export";
        let (polls, lag) = run(duration, |age| {
            let of = Duration::from_secs_f64(age);
            course.is_pending(of);
            self.now += Duration::from_secs(1);
            let chances = (rng.f64(), rng.f64());
            let cost = Duration::from_secs_f64(self.cost);
            let pause = self.durations.pause(name, &mut course, cost, of, self.now, chances);
            pause.map_or_else(|| five_percent(age, rng), |pause| pause.as_secs_f64())
        });
        self.durations.learn(name, &course, Duration::from_secs_f64(duration + lag));
        lag + self.cost * polls
    }
}

/// The polls that cost least if the distribution is known, by dynamic programming.
fn optimum(draw: Draw, cost: f64) -> Vec<f64> {
    let mut rng = Rng::with_seed(7);
    let mut sample: Vec<f64> = (0..20_000).map(|_| draw(1_000, &mut rng)).collect();
    sample.sort_by(f64::total_cmp);
    let (low, high) = (sample[0], sample[sample.len() - 1]);
    let mut ends: Vec<f64> =
        std::iter::successors(Some(low), |at| Some(at * 1.01)).take_while(|at| *at < high * 1.5).collect();
    ends.extend(sample.windows(200).filter(|same| same[0] == same[199]).map(|same| same[0]));
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let sums: Vec<(f64, f64)> = std::iter::once(f64::MIN)
        .chain(ends.iter().copied())
        .map(|end| {
            let ended = &sample[..sample.partition_point(|of| *of <= end)];
            (ended.len() as f64 / sample.len() as f64, ended.iter().sum::<f64>() / sample.len() as f64)
        })
        .collect();
    let mut rest = vec![0.0; ends.len() + 1];
    let mut next = vec![ends.len(); ends.len() + 1];
    for from in (0..ends.len()).rev() {
        let options = (from + 1..=ends.len()).map(|to| {
            let lag = ends[to - 1] * (sums[to].0 - sums[from].0) - (sums[to].1 - sums[from].1);
            (cost * (1.0 - sums[from].0) + lag + rest[to], to)
        });
        (rest[from], next[from]) = options.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    }
    std::iter::successors(Some(next[0]), |at| Some(next[*at]).filter(|next| *at < ends.len() && *next <= ends.len()))
        .map(|at| ends[at - 1])
        .collect()
}

fn planned(times: &[f64], duration: f64, cost: f64) -> f64 {
    let polls = times.partition_point(|at| *at < duration - 1e-9) + 1;
    let at = times.get(polls - 1).copied().unwrap_or(duration + cost);
    at - duration + cost * polls as f64
}

/// Sums over seeds of the costs of each task: learned, optimal, 5 % of age.
fn play(draw: Draw, cost: f64, seeds: u64, tasks: u32) -> Vec<[f64; 3]> {
    let times = optimum(draw, cost);
    let mut sums = vec![[0.0; 3]; tasks as usize];
    for seed in 0..seeds {
        let (mut rng, mut other) = (Rng::with_seed(seed), Rng::with_seed(seed + 1_000));
        let mut learner = Learner::new(cost);
        for (at, sum) in (0..tasks).zip(&mut sums) {
            let duration = draw(at, &mut rng);
            let (polls, lag) = run(duration, |age| five_percent(age, &mut other));
            let costs = [learner.task(duration, &mut other), planned(&times, duration, cost), lag + cost * polls];
            sum.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost);
        }
    }
    sums
}

fn ratio(sums: &[[f64; 3]], to: usize) -> f64 {
    sums.iter().map(|sum| sum[0]).sum::<f64>() / sums.iter().map(|sum| sum[to]).sum::<f64>()
}

#[test]
fn costs_little_more_than_the_optimum_after_fifty_tasks() {
    let distributions: [(&str, Draw); 4] = [
        ("constant", |_, _| 120.0),
        ("log-normal", |_, rng| lognormal(100.0, 0.5, rng)),
        ("bimodal", |_, rng| if rng.f64() < 0.7 { lognormal(20.0, 0.1, rng) } else { lognormal(300.0, 0.1, rng) }),
        ("heavy-tailed", |_, rng| 30.0 * (1.0 - rng.f64()).powf(-1.0 / 1.5)),
    ];
    for (name, draw) in distributions {
        let sums = play(draw, 5.0, 2, 100);
        let (of_optimum, of_five_percent) = (ratio(&sums[50..], 1), ratio(&sums[..10], 2));
        assert!(of_optimum < 1.3, "{name}: {of_optimum} of the optimum");
        assert!(of_five_percent < 0.7, "{name}: {of_five_percent} of 5 % in the first ten tasks");
    }
}

#[test]
fn a_change_costs_no_more_than_five_percent_of_the_age() {
    let changes: [(&str, Draw); 2] = [
        ("longer", |at, rng| lognormal(if at < 60 { 60.0 } else { 240.0 }, 0.3, rng)),
        ("shorter", |at, rng| lognormal(if at < 60 { 240.0 } else { 60.0 }, 0.3, rng)),
    ];
    for (name, draw) in changes {
        let sums = play(draw, 5.0, 2, 160);
        let (first, later) = (ratio(&sums[60..85], 2), ratio(&sums[110..], 1));
        assert!(first < 1.1, "{name}: {first} of 5 % in the first 25 tasks");
        assert!(later < 1.3, "{name}: {later} of the optimum");
    }
}

#[test]
fn a_table_is_finite_whatever_it_was_made_of() {
    let spans = [
        vec![(0.0, 0.001), (0.0, 0.002)],
        vec![(0.0, 3e7), (2e7, 3e7), (0.0, 0.01)],
        vec![(5.0, 6.0); 96],
        (1..=96).map(|at| (f64::from(at), f64::from(at) * 1.5)).collect(),
    ];
    for spans in spans {
        for cost in [0.1, 5.0, 86_400.0] {
            let table = super::timetable::Timetable::of(&spans, cost).unwrap();
            let mut age = 0.0;
            for _ in 0..200 {
                let next = table.next(age);
                assert!(next.is_finite() && next > age, "{age} {next} {cost} {:?}", spans[0]);
                age = next;
            }
        }
    }
}

#[test]
fn an_entry_that_nobody_uses_makes_room() {
    let durations = Durations::default();
    let second = Duration::from_secs(1);
    for at in 0..300 {
        let mut course = Course::default();
        course.is_pending(second);
        durations.learn(&format!("kind {at:03}"), &course, second * 2);
    }
    let learned = durations.learned();
    let kinds: Vec<_> = learned.tasks().map(super::TaskDurations::kind).collect();
    assert_eq!((kinds.len(), kinds[0]), (256, "kind 044"));
}
