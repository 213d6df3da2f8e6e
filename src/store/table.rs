//! Table: all records of a store, and the decision of each change. Pure: time comes in, entries come out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::counts::StoredCounts;
use super::entry::{Entry, Head, Now, Place};
use super::lease::TaskLease;
use super::state::StoredState;
use super::task_store::LEASE;
use super::write::{Intent, TaskWrite, Written};

/// All records of a store.
#[derive(Debug)]
pub(super) struct Table<D> {
    now: Now,
    records: HashMap<Arc<str>, Record<D>>,
    /// The end of each owner's lease, by the lease clock.
    leases: HashMap<Arc<str>, u64>,
    /// The records that may be forgotten, the oldest first.
    over: BTreeSet<(u64, Arc<str>)>,
    /// The order in which records came.
    next: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Record<D> {
    head: Head,
    data: Option<D>,
    number: u64,
}

/// The settings of a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) lease: Duration,
    pub(super) keep_finished: Duration,
    pub(super) most_bytes: u64,
}

impl Bounds {
    /// The settings of a store by default.
    pub(super) const STANDARD: Self =
        Self { lease: LEASE, keep_finished: Duration::from_secs(7 * 24 * 60 * 60), most_bytes: 64 << 20 };
}

/// A change that was decided, and its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change<A> {
    pub(super) now: Now,
    pub(super) entries: Vec<Entry<Vec<u8>>>,
    pub(super) is_durable: bool,
    pub(super) answer: A,
}

/// The store has no room for another task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is full: its {open} tasks take {bytes} of {most} bytes, and another needs {needed}; acknowledge finished tasks, or \
     raise most_bytes"
)]
pub(super) struct Full {
    open: u64,
    bytes: u64,
    most: u64,
    needed: u64,
}

impl Full {
    #[cfg(feature = "redis")]
    pub(super) const fn new(open: u64, bytes: u64, most: u64, needed: u64) -> Self {
        Self { open, bytes, most, needed }
    }
}

impl<D: Size> Table<D> {
    pub(super) fn new() -> Self {
        Self {
            now: Now::default(),
            records: HashMap::new(),
            leases: HashMap::new(),
            over: BTreeSet::new(),
            next: 0,
            bytes: 0,
        }
    }

    /// Returns the time of a change at this wall time. The lease clock moves by a third of a lease at most, and never
    /// back.
    pub(super) fn time(&self, wall: u64, bounds: &Bounds) -> Now {
        let most = millis(bounds.lease) / 3;
        let passed = if self.now == Now::default() { 0 } else { wall.saturating_sub(self.now.wall) };
        Now { lease: self.now.lease.saturating_add(passed.min(most)), wall }
    }

    pub(super) fn intend(
        &self,
        name: Arc<str>,
        owner: Arc<str>,
        data: Vec<u8>,
        now: Now,
        bounds: &Bounds,
    ) -> Result<Change<Intent>, Full> {
        let mut entries = self.forgotten(now, bounds);
        let is_forgotten = entries.iter().any(|entry| matches!(entry, Entry::Forget { name: gone } if *gone == name));
        if let Some(record) = self.records.get(&name).filter(|_| !is_forgotten) {
            let answer = Intent::Known(record.head.state);
            return Ok(Change { now, entries: Vec::new(), is_durable: false, answer });
        }
        let needed = cost(&name, data.len() as u64);
        let freed: u64 = entries.iter().map(|entry| self.size_of(entry)).sum();
        let bytes = self.bytes.saturating_sub(freed);
        if bytes.saturating_add(needed) > bounds.most_bytes {
            let open = self.records.values().filter(|record| record.head.state != StoredState::Acknowledged).count();
            return Err(Full { open: open as u64, bytes, most: bounds.most_bytes, needed });
        }
        let lease = TaskLease::new(name.clone(), owner.clone(), 1);
        entries.push(beat(owner.clone(), now, bounds));
        let head = Head { name, owner: Some(owner), fence: 1, state: StoredState::Intended, since: now.wall };
        entries.push(Entry::Put { head, data });
        Ok(Change { now, entries, is_durable: true, answer: Intent::Stored(lease) })
    }

    pub(super) fn write(&self, lease: &TaskLease, write: TaskWrite, now: Now) -> Change<Written> {
        let Some(record) = self.held(lease) else {
            return Change { now, entries: Vec::new(), is_durable: false, answer: Written::Lost };
        };
        let is_durable = write.is_durable();
        let head = |state: StoredState, owner: Option<Arc<str>>| {
            let since = if state == record.head.state { record.head.since } else { now.wall };
            Head { owner, state, since, ..record.head.clone() }
        };
        let owner = record.head.owner.clone();
        let entry = match write {
            TaskWrite::Submitted(data) => Entry::Put { head: head(StoredState::Submitted, owner), data },
            TaskWrite::Finished => Entry::Turn(head(StoredState::Finished, owner)),
            TaskWrite::Uncertain => Entry::Turn(head(StoredState::Uncertain, owner)),
            TaskWrite::Acknowledged => Entry::Turn(head(StoredState::Acknowledged, None)),
            TaskWrite::Withdrawn => Entry::Forget { name: record.head.name.clone() },
            TaskWrite::Released => Entry::Turn(head(record.head.state, None)),
        };
        Change { now, entries: vec![entry], is_durable, answer: Written::Done }
    }

    pub(super) fn beat(
        &self,
        owner: Arc<str>,
        leases: Vec<TaskLease>,
        now: Now,
        bounds: &Bounds,
    ) -> Change<Vec<TaskLease>> {
        let mut entries = self.forgotten(now, bounds);
        entries.push(beat(owner, now, bounds));
        let lost = leases.into_iter().filter(|lease| self.held(lease).is_none()).collect();
        Change { now, entries, is_durable: false, answer: lost }
    }

    pub(super) fn claim(
        &self,
        owner: &Arc<str>,
        most: usize,
        now: Now,
        bounds: &Bounds,
    ) -> Change<Vec<(TaskLease, StoredState)>> {
        let mut free: Vec<_> = self.records.values().filter(|record| self.is_free(record, now)).collect();
        free.sort_unstable_by_key(|record| record.number);
        let mut entries = self.forgotten(now, bounds);
        let forgotten: Vec<_> = entries.iter().filter_map(Entry::forgets).cloned().collect();
        entries.push(beat(owner.clone(), now, bounds));
        let mut claimed = Vec::new();
        for record in free.into_iter().filter(|record| !forgotten.contains(&record.head.name)).take(most) {
            let fence = record.head.fence.saturating_add(1);
            claimed.push((TaskLease::new(record.head.name.clone(), owner.clone(), fence), record.head.state));
            entries.push(Entry::Turn(Head { owner: Some(owner.clone()), fence, ..record.head.clone() }));
        }
        Change { now, entries, is_durable: false, answer: claimed }
    }

    pub(super) fn counts(&self, now: Now) -> StoredCounts {
        let mut counts = StoredCounts { bytes: self.bytes, ..StoredCounts::default() };
        for record in self.records.values() {
            *match record.head.state {
                StoredState::Intended => &mut counts.intended,
                StoredState::Submitted => &mut counts.submitted,
                StoredState::Finished => &mut counts.finished,
                StoredState::Uncertain => &mut counts.uncertain,
                StoredState::Acknowledged => &mut counts.acknowledged,
            } += 1;
            counts.free += u64::from(self.is_free(record, now));
        }
        counts
    }

    /// Applies an entry that was decided, or read from a log.
    pub(super) fn apply(&mut self, now: Now, entry: Entry<D>) {
        self.now = now;
        match entry {
            Entry::Put { head, data } => {
                let number = self.remove(&head.name).map(|(number, _)| number);
                self.put(head, Some(data), number);
            }
            Entry::Turn(head) => {
                let (number, data) = self.remove(&head.name).unzip();
                // An acknowledged task has nothing left to be done.
                let data = data.flatten().filter(|_| head.state != StoredState::Acknowledged);
                self.put(head, data, number);
            }
            Entry::Beat { owner, until } => {
                self.leases.insert(owner, until);
            }
            Entry::Forget { name } => {
                self.remove(&name);
            }
        }
    }

    pub(super) fn data(&self, name: &str) -> Option<&D> {
        self.records.get(name)?.data.as_ref()
    }

    /// Returns the bytes of all names and data.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns entries that make the same table, in the order in which its records came.
    pub(super) fn entries(&self) -> Vec<Entry<D>>
    where
        D: Clone,
    {
        let mut records: Vec<_> = self.records.values().collect();
        records.sort_unstable_by_key(|record| record.number);
        let owners: BTreeSet<_> = records.iter().filter_map(|record| record.head.owner.clone()).collect();
        let leases = self.leases.iter().filter(|(owner, until)| **until > self.now.lease || owners.contains(*owner));
        let beats = leases.map(|(owner, until)| Entry::Beat { owner: owner.clone(), until: *until });
        let puts = records.iter().map(|record| match &record.data {
            Some(data) => Entry::Put { head: record.head.clone(), data: data.clone() },
            None => Entry::Turn(record.head.clone()),
        });
        beats.chain(puts).collect()
    }

    pub(super) const fn now(&self) -> Now {
        self.now
    }

    fn put(&mut self, head: Head, data: Option<D>, number: Option<u64>) {
        let number = number.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        self.bytes += cost(&head.name, data.as_ref().map_or(0, Size::size));
        if head.state.is_over() {
            self.over.insert((head.since, head.name.clone()));
        }
        self.records.insert(head.name.clone(), Record { head, data, number });
    }

    /// Removes a record, and returns its number and its data.
    fn remove(&mut self, name: &str) -> Option<(u64, Option<D>)> {
        let record = self.records.remove(name)?;
        self.bytes = self.bytes.saturating_sub(record.cost());
        self.over.remove(&(record.head.since, record.head.name));
        Some((record.number, record.data))
    }

    fn held(&self, lease: &TaskLease) -> Option<&Record<D>> {
        let record = self.records.get(lease.name())?;
        (record.head.owner.as_ref() == Some(lease.owner()) && record.head.fence == lease.fence()).then_some(record)
    }

    fn is_free(&self, record: &Record<D>, now: Now) -> bool {
        let has_lease = |owner: &Arc<str>| self.leases.get(owner).is_some_and(|until| *until > now.lease);
        record.head.state != StoredState::Acknowledged && !record.head.owner.as_ref().is_some_and(has_lease)
    }

    /// Returns the entries for what is kept no longer: a bounded number of them at a time.
    fn forgotten(&self, now: Now, bounds: &Bounds) -> Vec<Entry<Vec<u8>>> {
        let keep = millis(bounds.keep_finished);
        let old = self.over.iter().take_while(|(since, _)| since.saturating_add(keep) <= now.wall);
        let records = old.filter_map(|(_, name)| self.records.get(name)).take(MOST_FORGOTTEN);
        // A finished task that somebody holds may be in the middle of its download.
        let records =
            records.filter(|record| record.head.state == StoredState::Acknowledged || self.is_free(record, now));
        records
            .map(|record| {
                let name = record.head.name.clone();
                if record.head.state != StoredState::Acknowledged {
                    tracing::warn!(%name, "a finished task is forgotten, which nobody acknowledged");
                }
                Entry::Forget { name }
            })
            .collect()
    }

    fn size_of(&self, forgets: &Entry<Vec<u8>>) -> u64 {
        forgets.forgets().and_then(|name| self.records.get(name)).map_or(0, Record::cost)
    }
}

impl<D: Size> Record<D> {
    fn cost(&self) -> u64 {
        cost(&self.head.name, self.data.as_ref().map_or(0, Size::size))
    }
}

fn beat(owner: Arc<str>, now: Now, bounds: &Bounds) -> Entry<Vec<u8>> {
    Entry::Beat { owner, until: now.lease.saturating_add(millis(bounds.lease)) }
}

fn cost(name: &str, data: u64) -> u64 {
    name.len() as u64 + data + RECORD
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Data whose size is known.
pub(super) trait Size {
    fn size(&self) -> u64;
}

impl Size for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }
}

impl Size for Place {
    fn size(&self) -> u64 {
        u64::from(self.length)
    }
}

/// What a record takes beside its name and data.
const RECORD: u64 = 64;
/// A change stays small, however much there is to forget.
const MOST_FORGOTTEN: usize = 1_000;

#[cfg(test)]
mod tests;
