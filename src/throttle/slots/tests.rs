use proptest::prelude::*;

use super::*;

const SECOND: Micros = 1_000_000;

fn ask(member: &str, seq: u64, count: u64) -> Ask {
    Ask {
        member: member.into(),
        seq,
        epoch: String::new(),
        run: "1".into(),
        uptime: Micros::MAX,
        count,
        window: SECOND,
        ttl: 3 * SECOND,
        guard: SECOND,
        grain: 0,
        held: 0,
        want: 0,
        returns: Vec::new(),
    }
}

/// A process of a test, which keeps no dates: all that it holds is in use.
struct Process {
    name: &'static str,
    ask: Ask,
}

impl Process {
    fn new(name: &'static str, count: u64) -> Self {
        Self { name, ask: ask(name, 0, count) }
    }

    fn asks(&mut self, domain: &mut Domain, want: u64, returns: &[(Micros, u64)], now: Micros) -> Exchanged {
        let returned: u64 = returns.iter().map(|(_, count)| count).sum();
        self.ask.seq += 1;
        self.ask.want = want;
        self.ask.held -= returned;
        self.ask.returns = returns.to_vec();
        self.repeats(domain, now)
    }

    fn repeats(&mut self, domain: &mut Domain, now: Micros) -> Exchanged {
        let done = domain.exchange(&self.ask, now);
        balanced(domain);
        if done.answer.is_void {
            self.ask.held = 0;
        }
        self.ask.held += lent(&done);
        self.ask.epoch.clone_from(&done.answer.epoch);
        done
    }
}

fn lent(done: &Exchanged) -> u64 {
    done.answer.grants.iter().map(|(_, count)| count).sum()
}

fn balanced(domain: &Domain) {
    let (held, free, debt, count) = domain.balance();
    assert_eq!(held + free, count + debt, "{domain:?}");
}

#[test]
fn one_gets_all_that_it_wants_and_the_next_waits_for_what_comes_back() {
    let (mut domain, mut a, mut b) = (Domain::default(), Process::new("a", 4), Process::new("b", 4));
    assert_eq!(a.asks(&mut domain, 9, &[], 100).answer.grants, [(0, 4)]);
    let waits = b.asks(&mut domain, 2, &[], 200);
    assert_eq!((lent(&waits), waits.answer.poll > 0), (0, true));
    assert_eq!(waits.nudged, ["a"], "which holds more than its share");
    let recalled = a.asks(&mut domain, 9, &[], 300);
    assert_eq!((recalled.answer.recall, recalled.answer.contended), (2, true));
    let back = a.asks(&mut domain, 9, &[(700, 1), (900, 1)], 400);
    assert_eq!((back.answer.recall, back.nudged), (0, vec!["b".to_owned()]));
    let served = b.asks(&mut domain, 2, &[], 500);
    assert_eq!(served.answer.grants, [(600, 1), (800, 1)], "free when the others have left the window");
    assert_eq!((served.answer.members, served.answer.rank), (2, 1));
}

#[test]
fn one_that_was_lent_a_late_slot_gets_an_early_one_as_soon_as_it_comes() {
    let (mut domain, mut a, mut b) = (Domain::default(), Process::new("a", 4), Process::new("b", 4));
    a.asks(&mut domain, 4, &[], 0);
    a.asks(&mut domain, 3, &[(900_000, 1)], 10);
    let late = b.asks(&mut domain, 1, &[], 20);
    assert_eq!(late.answer.grants, [(899_990, 1)]);
    assert_eq!(late.nudged, ["a"], "which may hold an idle slot");
    assert_eq!(a.asks(&mut domain, 2, &[(0, 1)], 30).nudged, ["b"]);
    assert_eq!(b.asks(&mut domain, 1, &[], 40).answer.grants, [(0, 1)]);
    a.asks(&mut domain, 1, &[(0, 1)], 50);
    assert_eq!(lent(&b.asks(&mut domain, 1, &[], 60)), 0, "it has enough");
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let (mut domain, mut a) = (Domain::default(), Process::new("a", 4));
    a.ask.seq = 7;
    a.ask.want = 3;
    let lost = domain.exchange(&a.ask, 100);
    assert_eq!(lent(&lost), 3);
    let again = a.repeats(&mut domain, 2000);
    assert_eq!((lent(&again), domain.balance()), (3, (3, 1, 0, 4)));
    // The returns of an ask that is repeated count once.
    a.asks(&mut domain, 3, &[(50, 2)], 3000);
    let before = domain.balance();
    let again = domain.exchange(&a.ask, 4000);
    assert_eq!((domain.balance(), lent(&again)), (before, 2));
}

#[test]
fn a_silent_member_is_forgotten_and_what_it_claims_later_is_void() {
    let (mut domain, mut a, mut b) = (Domain::default(), Process::new("a", 4), Process::new("b", 4));
    a.asks(&mut domain, 4, &[], 0);
    // Nobody calls: leases do not age.
    assert_eq!(lent(&b.asks(&mut domain, 2, &[], 100 * SECOND)), 0);
    assert_eq!(lent(&b.asks(&mut domain, 2, &[], 101 * SECOND)), 0, "a call ages a lease by a second");
    let served = b.asks(&mut domain, 2, &[], 102 * SECOND);
    assert_eq!(lent(&served), 0, "free in a guard and a window after the lease was found to be over");
    assert_eq!(b.asks(&mut domain, 2, &[], 103 * SECOND).answer.grants, [(SECOND, 2)]);
    assert!(a.asks(&mut domain, 4, &[], 105 * SECOND).answer.is_void);
}

#[test]
fn members_declare_anew_what_a_store_forgot_and_debt_is_paid_by_returns() {
    let (mut domain, mut a, mut b) = (Domain::default(), Process::new("a", 4), Process::new("b", 4));
    a.asks(&mut domain, 3, &[], 0);
    let mut domain = Domain::default();
    assert_eq!(lent(&b.asks(&mut domain, 4, &[], SECOND)), 4, "a store that claims to have run for long");
    let declared = a.asks(&mut domain, 3, &[], SECOND);
    assert!(!declared.answer.is_void);
    assert_eq!((declared.answer.debt, domain.balance()), (3, (7, 0, 3, 4)));
    b.asks(&mut domain, 0, &[(0, 4)], 2 * SECOND);
    assert_eq!(domain.balance(), (3, 1, 0, 4));
    // The first to come after the loss: nothing is lent until all from before is over.
    let (mut domain, mut c) = (Domain::default(), Process::new("c", 4));
    a.asks(&mut domain, 3, &[], SECOND);
    assert_eq!(domain.balance(), (3, 1, 0, 4));
    assert_eq!(lent(&c.asks(&mut domain, 1, &[], SECOND)), 0);
    c.ask.uptime = 0;
    let mut cold = Domain::default();
    assert_eq!(lent(&c.asks(&mut cold, 1, &[], SECOND)), 0, "a store that has just begun");
    assert_eq!(lent(&c.asks(&mut cold, 1, &[], 6 * SECOND)), 1);
}

/// Processes that hold these slots of 15, of which a store knows nothing, and that want more than there are.
fn pays_its_debt(holds: &[u64], count: u64) {
    let (mut domain, mut now) = (Domain::default(), SECOND);
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut all: Vec<_> = names.iter().zip(holds).map(|(name, _)| Process::new(name, count)).collect();
    for (process, held) in all.iter_mut().zip(holds) {
        (process.ask.held, process.ask.epoch) = (*held, "before".into());
        process.asks(&mut domain, 20, &[], now);
    }
    assert!(domain.debt > 0);
    for _ in 0..40 {
        for process in &mut all {
            let recall = process.ask.held.min(domain.members.get(process.name).map_or(0, |own| own.recalled));
            process.asks(&mut domain, 20, &[(10_000, recall)][..usize::from(recall > 0)], now);
            now += SECOND / 10;
        }
    }
    assert_eq!(domain.debt, 0, "{holds:?} of {count}");
    let held: u64 = all.iter().map(|process| process.ask.held).sum();
    // A slot of more members than slots goes round: it may be on its way.
    let least = if holds.len() as u64 > count { 0 } else { count - 1 };
    assert!((least..=count).contains(&held), "{holds:?} of {count}: {held}");
}

#[test]
fn slots_beyond_the_window_are_asked_for_though_all_want_more() {
    for (holds, count) in
        [(&[8, 7, 7, 8][..], 15), (&[4, 4, 4, 4], 15), (&[15, 4], 15), (&[4, 4, 4, 4], 4), (&[1, 1, 1, 1, 1, 1], 4)]
    {
        pays_its_debt(holds, count);
    }
}

#[test]
fn another_run_of_the_store_freezes_what_is_free() {
    let (mut domain, mut a) = (Domain::default(), Process::new("a", 4));
    a.asks(&mut domain, 2, &[], 0);
    a.ask.run = "2".into();
    assert_eq!(lent(&a.asks(&mut domain, 4, &[], SECOND)), 0);
    assert_eq!(a.ask.held, 2, "what is held goes on");
    assert_eq!(lent(&a.asks(&mut domain, 4, &[], 7 * SECOND)), 2);
}

#[test]
fn the_smallest_window_that_a_member_declares_counts() {
    let (mut domain, mut a, mut b) = (Domain::default(), Process::new("a", 6), Process::new("b", 4));
    a.asks(&mut domain, 6, &[], 0);
    a.asks(&mut domain, 1, &[(900_000, 5)], 10);
    assert_eq!(b.asks(&mut domain, 1, &[], 20).answer.count, 4);
    let held = b.ask.held;
    b.asks(&mut domain, 0, &[(0, held)], 30);
    assert_eq!(a.asks(&mut domain, 6, &[], 40).answer.count, 6);
    assert_eq!(domain.balance(), (6, 0, 0, 6), "and what was used is remembered");
    let first = Domain::default();
    assert_eq!(first, serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap());
}

#[test]
fn members_share_evenly_and_the_odd_slot_goes_round() {
    let (mut domain, names) = (Domain::default(), ["a", "b", "c", "d"]);
    let mut all = names.map(|name| Process::new(name, 15));
    let (mut now, mut most) = (0, [0; 4]);
    for _ in 0..4000 {
        for (at, process) in all.iter_mut().enumerate() {
            let recall = process.ask.held.min(domain.members.get(process.name).map_or(0, |own| own.recalled));
            process.asks(&mut domain, 15, &[(10_000, recall)].map(|it| it)[..usize::from(recall > 0)], now);
            now += 5000;
            if now > 10 * SECOND {
                most[at] = most[at].max(process.ask.held);
            }
        }
    }
    assert_eq!(most, [4; 4], "each had the larger share for a while");
    let held: u64 = all.iter().map(|process| process.ask.held).sum();
    assert!(held >= 14, "{held}");
}

#[test]
fn a_backward_step_of_the_clock_frees_nothing() {
    let (mut domain, mut a) = (Domain::default(), Process::new("a", 1));
    a.asks(&mut domain, 1, &[], 100 * SECOND);
    a.asks(&mut domain, 1, &[(SECOND, 1)], 100 * SECOND);
    a.ask.held = 1;
    let later = a.asks(&mut domain, 0, &[(SECOND, 1)], 10 * SECOND);
    assert_eq!(lent(&later), 0);
    assert_eq!(a.asks(&mut domain, 1, &[], 10 * SECOND + SECOND / 2).answer.grants, [(SECOND / 2, 1)]);
}

/// Who calls, its want, its returns, the time since the call before, and what is odd.
type Call = (usize, u64, Vec<(u64, u64)>, u64, u8);

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let returns = prop::collection::vec((0..2 * SECOND, 0..4_u64), 0..3);
    prop::collection::vec((0..4_usize, 0..9_u64, returns, 0..3 * SECOND / 2, 0..40_u8), 1..80)
}

proptest! {
    /// Whatever processes claim, whoever dies, lies, repeats or comes back, and whatever the store forgets.
    #[test]
    fn no_slot_is_lost_or_doubled(calls in calls()) {
        let mut domain = Domain::default();
        let mut all = ["a", "b", "c", "d"].map(|name| Process::new(name, 6));
        let mut now = 0;
        for (who, want, returns, pause, oddity) in calls {
            now += pause;
            let process = &mut all[who];
            match oddity {
                0 => process.ask.held += 3,
                1 => process.ask.held = 0,
                2 => process.ask.run = now.to_string(),
                3 => domain = Domain::default(),
                4 => now = now.saturating_sub(2 * SECOND),
                5 => process.ask.count = want + 1,
                6 => { process.repeats(&mut domain, now); }
                _ => {}
            }
            let mut left = process.ask.held;
            let returns: Vec<_> = returns.into_iter().map(|(wait, count)| {
                let some = count.min(left);
                left -= some;
                (wait, some)
            }).collect();
            let before = process.ask.held;
            process.asks(&mut domain, want, &returns, now);
            // A third of what is free may come on top, for requests to come.
            prop_assert!(oddity < 7 || process.ask.held <= before.max(want + 2));
        }
    }
}
