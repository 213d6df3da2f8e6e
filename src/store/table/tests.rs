use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds =
    Bounds { lease: Duration::from_secs(30), keep_finished: Duration::from_secs(1000), most_bytes: 10_000 };

struct Store {
    table: Table<Vec<u8>>,
    wall: u64,
}

impl Store {
    fn new() -> Self {
        Self { table: Table::new(), wall: 1_000_000 }
    }

    fn make<A>(&mut self, decide: impl FnOnce(&Table<Vec<u8>>, Now) -> Change<A>) -> A {
        let now = self.table.time(self.wall, &BOUNDS);
        let change = decide(&self.table, now);
        change.entries.into_iter().for_each(|entry| self.table.apply(change.now, entry));
        change.answer
    }

    fn intend(&mut self, name: &str, owner: &str) -> Intent {
        self.make(|table, now| table.intend(name.into(), owner.into(), b"{}".to_vec(), now, &BOUNDS).unwrap())
    }

    fn lease(&mut self, name: &str, owner: &str) -> TaskLease {
        match self.intend(name, owner) {
            Intent::Stored(lease) => lease,
            Intent::Known(state) => panic!("{state}"),
        }
    }

    fn write(&mut self, lease: &TaskLease, write: TaskWrite) -> Written {
        self.make(|table, now| table.write(lease, write, now))
    }

    fn claim(&mut self, owner: &str) -> Vec<(TaskLease, StoredState)> {
        self.make(|table, now| table.claim(&owner.into(), usize::MAX, now, &BOUNDS))
    }

    fn beat(&mut self, owner: &str, leases: &[TaskLease]) -> Vec<TaskLease> {
        self.make(|table, now| table.beat(owner.into(), leases.to_vec(), now, &BOUNDS))
    }

    fn after(&mut self, seconds: u64) {
        self.wall += seconds * 1000;
    }
}

#[test]
fn a_dead_owners_tasks_are_free_after_its_lease_and_a_living_owners_are_not() {
    let mut store = Store::new();
    let dead = store.lease("a", "dead");
    let living = store.lease("b", "living");
    for _ in 0..3 {
        assert_eq!(store.claim("other"), [], "{}", store.wall);
        assert_eq!(store.beat("living", std::slice::from_ref(&living)), []);
        store.after(10);
    }
    let claimed = store.claim("other");
    assert_eq!(claimed.len(), 1);
    let (lease, state) = &claimed[0];
    assert_eq!((&**lease.name(), lease.fence(), *state), ("a", 2, StoredState::Intended));
    // The first owner comes back to life.
    assert_eq!(store.write(&dead, TaskWrite::Submitted(b"{}".to_vec())), Written::Lost);
    assert_eq!(store.beat("dead", std::slice::from_ref(&dead)), [dead]);
    assert_eq!(store.write(lease, TaskWrite::Finished), Written::Done);
}

#[test]
fn neither_an_outage_nor_a_stepped_clock_ends_the_lease_of_a_living_owner() {
    let mut store = Store::new();
    let lease = store.lease("a", "living");
    // The machine slept for a day: the first to wake is another owner.
    store.after(24 * 60 * 60);
    assert_eq!(store.claim("other"), []);
    assert_eq!(store.beat("living", std::slice::from_ref(&lease)), []);
    store.wall -= 60 * 60 * 1000;
    assert_eq!(store.claim("other"), []);
    assert_eq!(store.write(&lease, TaskWrite::Finished), Written::Done);
    // A clock that was set back goes on from there.
    for _ in 0..4 {
        store.after(10);
        store.beat("other", &[]);
    }
    assert_eq!(store.claim("other").len(), 1);
}

#[test]
fn what_was_let_go_is_free_at_once_and_what_was_acknowledged_never_again() {
    let mut store = Store::new();
    let lease = store.lease("a", "one");
    assert_eq!(store.write(&lease, TaskWrite::Released), Written::Done);
    let (lease, _) = store.claim("two").remove(0);
    assert_eq!(store.table.data("a"), Some(&b"{}".to_vec()));
    assert_eq!(store.write(&lease, TaskWrite::Acknowledged), Written::Done);
    assert_eq!(store.write(&lease, TaskWrite::Acknowledged), Written::Lost);
    assert_eq!((store.claim("three"), store.table.data("a")), (Vec::new(), None));
    assert_eq!(store.intend("a", "three"), Intent::Known(StoredState::Acknowledged));
    let lease = store.lease("b", "one");
    assert_eq!(store.write(&lease, TaskWrite::Withdrawn), Written::Done);
    store.lease("b", "one");
}

#[test]
fn finished_tasks_are_forgotten_in_time_but_for_those_in_hand() {
    let mut store = Store::new();
    let acknowledged = store.lease("a", "one");
    let finished = store.lease("b", "one");
    let left = store.lease("c", "two");
    let _ = store.write(&acknowledged, TaskWrite::Acknowledged);
    let _ = store.write(&finished, TaskWrite::Finished);
    let _ = store.write(&left, TaskWrite::Finished);
    let _ = store.write(&left, TaskWrite::Released);
    for _ in 0..99 {
        store.after(10);
        store.beat("one", std::slice::from_ref(&finished));
    }
    assert_eq!(store.table.counts(store.table.now()).acknowledged, 1);
    for _ in 0..2 {
        store.after(10);
        store.beat("one", std::slice::from_ref(&finished));
    }
    let counts = store.table.counts(store.table.now());
    assert_eq!((counts.acknowledged, counts.finished, counts.free), (0, 1, 0));
    assert_eq!(counts.bytes, cost("b", 2));
    store.lease("a", "one");
}

#[test]
fn a_full_store_refuses_the_next_task_and_lets_the_others_end() {
    let mut store = Store::new();
    let lease = store.lease("a", "one");
    let now = store.table.now();
    let full = store.table.intend("b".into(), "one".into(), vec![0; 9_900], now, &BOUNDS).unwrap_err();
    assert!(full.to_string().contains("1 tasks take 67 of 10000 bytes, and another needs 9965"), "{full}");
    assert_eq!(store.write(&lease, TaskWrite::Submitted(vec![0; 20_000])), Written::Done);
    let _ = store.write(&lease, TaskWrite::Acknowledged);
    store.lease("b", "one");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]
    /// Whatever happens: one owner a task, fences that grow, and a copy from entries that is the same.
    #[test]
    fn one_owner_holds_a_task(steps in proptest::collection::vec((0..8_u8, 0..3_usize, 0..4_usize, 0..40_u64), 0..80)) {
        let mut store = Store::new();
        let owners = ["o0", "o1", "o2"];
        let mut leases: Vec<Vec<TaskLease>> = vec![Vec::new(); 3];
        let mut fences: HashMap<Arc<str>, u64> = HashMap::new();
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (step, owner, task, pause) in steps {
            store.after(pause);
            let name = format!("t{task}");
            let lease = leases[owner].iter().rev().find(|lease| **lease.name() == *name).cloned();
            match (step, lease) {
                (0 | 1, _) => {
                    let state = store.table.records.get(&*name).map(|record| record.head.state);
                    if let Intent::Stored(lease) = store.intend(&name, owners[owner]) {
                        // A finished one is forgotten after a while.
                        prop_assert!(known.insert(name.clone()) || state == Some(StoredState::Finished));
                        fences.insert(lease.name().clone(), 1);
                        leases[owner].push(lease);
                    } else {
                        prop_assert!(known.contains(&name));
                    }
                }
                (2, _) => {
                    for (lease, _) in store.claim(owners[owner]) {
                        let before = fences.insert(lease.name().clone(), lease.fence());
                        prop_assert!(before.unwrap() < lease.fence());
                        leases[owner].push(lease);
                    }
                }
                (3, _) => {
                    store.beat(owners[owner], &leases[owner]);
                }
                (4, Some(lease)) => {
                    let written = store.write(&lease, TaskWrite::Submitted(vec![1; 5]));
                    prop_assert!(written == Written::Lost || fences[lease.name()] == lease.fence());
                }
                (5, Some(lease)) => {
                    let written = store.write(&lease, TaskWrite::Released);
                    prop_assert!(written == Written::Lost || fences[lease.name()] == lease.fence());
                }
                (6, Some(lease)) => {
                    let _ = store.write(&lease, TaskWrite::Finished);
                }
                (7, Some(lease)) => {
                    let written = store.write(&lease, TaskWrite::Uncertain);
                    prop_assert!(written == Written::Lost || fences[lease.name()] == lease.fence());
                }
                _ => {}
            }
            let counts = store.table.counts(store.table.now());
            // Finished ones may be forgotten.
            let left: BTreeSet<_> = store.table.records.keys().map(ToString::to_string).collect();
            known.retain(|name| left.contains(name));
            prop_assert_eq!(counts.open(), known.len() as u64);
            let bytes: u64 = store.table.records.values().map(Record::cost).sum();
            prop_assert_eq!(store.table.bytes(), bytes);
        }
        let mut copy = Table::new();
        store.table.entries().into_iter().for_each(|entry| copy.apply(store.table.now(), entry));
        prop_assert_eq!(copy.entries().len(), store.table.entries().len());
        let now = store.table.now();
        prop_assert_eq!(copy.counts(now), store.table.counts(now));
        let claimed = |table: &Table<Vec<u8>>| table.claim(&"x".into(), usize::MAX, now, &BOUNDS).answer;
        prop_assert_eq!(claimed(&copy), claimed(&store.table));
    }
}
