//! The ledger: what the service knows to be true, and what a verifier makes of what the client says.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::{at, is_keyed};

/// One task as the service knows it.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) job: Option<usize>,
    pub(crate) fails: bool,
    pub(crate) ready: Instant,
    pub(crate) length: usize,
    /// How many links to its result were given.
    pub(crate) links: usize,
    /// Its submit was answered with all bytes, to this generation of the client.
    pub(crate) told: Option<String>,
}

/// What was asked not to be asked before.
#[derive(Debug)]
struct Promise {
    generation: String,
    made: Instant,
    until: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) tasks: Vec<Truth>,
    pub(crate) keys: HashMap<String, usize>,
    promises: HashMap<String, Promise>,
    early: Vec<String>,
    pub(crate) requests: usize,
    pub(crate) troubled: usize,
    pub(crate) expired: usize,
}

/// One row of the table.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) chaos: u32,
    pub(crate) jobs: usize,
    pub(crate) requests: usize,
    pub(crate) troubled: usize,
    pub(crate) expired: usize,
    pub(crate) kills: usize,
    pub(crate) restarts: usize,
    pub(crate) took: Duration,
    pub(crate) falsely: Vec<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
    pub(crate) corrupt: Vec<String>,
    pub(crate) early: Vec<String>,
    pub(crate) stuck: Vec<String>,
    /// Submits without a key whose answer was lost, or whose client was killed meanwhile: nobody can know.
    pub(crate) unknown: usize,
    pub(crate) errors: BTreeMap<String, usize>,
    /// Of the first half and the second half of the samples, the most.
    pub(crate) memory: (u64, u64),
    pub(crate) descriptors: (u64, u64),
}

impl Ledger {
    /// A task is accepted, or known again by its key.
    pub(crate) fn accept(&mut self, key: Option<&str>, job: Option<usize>) -> usize {
        if let Some(id) = key.and_then(|key| self.keys.get(key)) {
            return *id;
        }
        let id = self.tasks.len();
        self.keys.extend(key.map(|key| (key.to_owned(), id)));
        let lasts = Duration::from_millis(fastrand::u64(100..1500));
        let (fails, length) = (fastrand::u32(..20) == 0, fastrand::usize(..200_000));
        self.tasks.push(Truth { job, fails, ready: Instant::now() + lasts, length, links: 0, told: None });
        id
    }

    pub(crate) fn accepted(&self) -> usize {
        self.tasks.len()
    }

    /// A request came: was it asked not to come yet?
    pub(crate) fn heard(&mut self, line: &str, generation: &str) {
        self.requests += 1;
        let now = Instant::now();
        if let Some(promise) = self.promises.get(line)
            && promise.generation == generation
            && now > promise.made + ON_ITS_WAY
            && now + CLOCKS < promise.until
        {
            self.early.push(format!("{line}: {:?} too early", promise.until - now));
        }
    }

    /// An answer that asks to wait was written whole.
    pub(crate) fn promised(&mut self, line: &str, generation: &str, wait: Duration) {
        let made = Instant::now();
        let promise = Promise { generation: generation.to_owned(), made, until: made + wait };
        self.promises.insert(line.to_owned(), promise);
    }

    /// Holds what the client says against the truth.
    pub(crate) fn verify(&self, folder: &Path, jobs: usize) -> Row {
        let mut row = Row {
            jobs,
            requests: self.requests,
            troubled: self.troubled,
            expired: self.expired,
            early: self.early.clone(),
            ..Row::default()
        };
        let mut of_job: HashMap<usize, Vec<(usize, &Truth)>> = HashMap::new();
        for (id, truth) in self.tasks.iter().enumerate() {
            of_job.entry(truth.job.unwrap_or(usize::MAX)).or_default().push((id, truth));
        }
        let log = fs::read_to_string(folder.join("errors.log")).unwrap_or_default();
        for line in log.lines() {
            let why = CAUSES.iter().find(|(words, _)| line.contains(words)).map_or("other", |(_, why)| why);
            let what = line.split('\t').take(2).collect::<Vec<_>>().join(" ");
            *row.errors.entry(format!("{what} ({why})")).or_default() += 1;
        }
        for number in 0..jobs {
            let done = fs::read_to_string(at(folder, number, "done")).unwrap_or_default();
            let (end, took) = done.split_once('\n').unwrap_or_default();
            let known = of_job.get(&number).map(Vec::as_slice).unwrap_or_default();
            if known.len() > 1 {
                row.doubled.push(format!("job {number}: {} tasks", known.len()));
            }
            if took.parse().is_ok_and(|millis| Duration::from_millis(millis) > STUCK) {
                row.stuck.push(format!("job {number}: {took} ms"));
            }
            match (end, known.first()) {
                ("ok", Some((id, truth))) if !truth.fails => {
                    let bytes = fs::read(at(folder, number, "bin")).unwrap_or_default();
                    if bytes != content(*id, truth.length) {
                        row.corrupt.push(format!("job {number}: {} bytes of {}", bytes.len(), truth.length));
                    }
                }
                ("failed", Some((_, truth))) if truth.fails => {}
                ("ok" | "failed", known) => row.falsely.push(format!("job {number}: {end}, and in truth {known:?}")),
                ("unknown", known) if !is_keyed(number) => {
                    row.unknown += 1;
                    // The answer was whole, and the client that got it gave an error back.
                    let told = known.and_then(|(_, truth)| truth.told.as_deref());
                    if told.is_some() && log.lines().any(|line| line.starts_with("submit") && is_of(line, number)) {
                        row.lost.push(format!("job {number}: accepted, and an error"));
                    }
                }
                (end, known) => row.lost.push(format!("job {number}: `{end}`, and in truth {known:?}")),
            }
        }
        row
    }
}

fn is_of(line: &str, number: usize) -> bool {
    line.split('\t').nth(2).is_some_and(|of| of == number.to_string())
}

impl Row {
    pub(crate) fn wrong(&self) -> usize {
        [&self.falsely, &self.lost, &self.doubled, &self.corrupt, &self.early, &self.stuck]
            .into_iter()
            .map(Vec::len)
            .sum()
    }

    /// 64 connections in use and 64 idle, 32 downloads with two files each, and what a process has anyway.
    pub(crate) const fn is_flat(&self) -> bool {
        let (first, second) = self.memory;
        self.descriptors.0 < 260 && self.descriptors.1 < 260 && second < first + first / 2 + 32 * 1024
    }
}

/// What the process of the client takes.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    samples: Vec<(u64, u64)>,
    /// The longest run of one process: a young one says nothing of growth.
    longest: Vec<(u64, u64)>,
}

impl Watch {
    pub(crate) fn look(&mut self, process: u32) {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let memory =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse().ok());
        let files = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, |files| files.count() as u64);
        self.samples.extend(memory.map(|memory| (memory, files)));
    }

    pub(crate) fn begin_anew(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        if samples.len() > self.longest.len() {
            self.longest = samples;
        }
    }

    /// In KiB.
    pub(crate) fn memory(&mut self) -> (u64, u64) {
        self.begin_anew();
        self.halves(|sample| sample.0)
    }

    pub(crate) fn descriptors(&mut self) -> (u64, u64) {
        self.begin_anew();
        self.halves(|sample| sample.1)
    }

    fn halves(&self, of: impl Fn(&(u64, u64)) -> u64) -> (u64, u64) {
        let (first, second) = self.longest.split_at(self.longest.len() / 2);
        let most = |half: &[(u64, u64)]| half.iter().map(&of).max().unwrap_or_default();
        (most(first), most(second))
    }
}

/// The bytes of a task's result, which nobody holds.
pub(crate) fn content(id: usize, length: usize) -> Vec<u8> {
    let mut state = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// What the library says of why it gave up.
const CAUSES: [(&str, &str); 5] = [
    ("the retry budget is spent", "budget"),
    ("no retries are left", "retries"),
    ("took no connection", "host away"),
    ("may have acted", "may have acted"),
    ("the body of the answer broke off", "accepted, body cut"),
];
/// A request that was under way when the answer to another was written.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// The client counts from when it read the answer, so it is never earlier; timers have this much of a grain.
const CLOCKS: Duration = Duration::from_millis(20);
const STUCK: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_sees_each_fault() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut ledger = Ledger::default();
        let says = |number: usize, end: &str| fs::write(at(folder, number, "done"), end).unwrap();
        let mut begin = |number: usize, fails: bool| {
            let id = ledger.accept(None, Some(number));
            (ledger.tasks[id].fails, ledger.tasks[id].length, ledger.tasks[id].told) =
                (fails, 9, Some("soak/0".into()));
            id
        };
        let well = begin(0, false);
        fs::write(at(folder, 0, "bin"), content(well, 9)).unwrap();
        says(0, "ok\n1");
        begin(1, true);
        says(1, "failed\n60001"); // stuck
        begin(2, false);
        says(2, "failed\n1"); // false
        begin(3, true);
        says(3, "ok\n1"); // false
        begin(4, false);
        says(4, "unknown\n1"); // lost: its answer was whole
        fs::write(folder.join("errors.log"), "submit\tNetwork\t4\tx\ndownload\tIo\t5\tx\n").unwrap();
        begin(5, false);
        fs::write(at(folder, 5, "bin"), b"other").unwrap();
        says(5, "ok\n1"); // corrupt
        begin(6, false); // lost: nothing is said of it
        begin(7, false);
        begin(7, false);
        says(7, "unknown\n1"); // doubled, and lost: it has a key
        says(8, "ok\n1"); // false: there is no such task
        ledger.promised("GET /v1/tasks/7", "soak/0", Duration::from_secs(9));
        ledger.promises.get_mut("GET /v1/tasks/7").unwrap().made -= 2 * ON_ITS_WAY;
        ledger.heard("GET /v1/tasks/7", "soak/1"); // another process, which was told nothing
        ledger.heard("GET /v1/tasks/8", "soak/0");
        ledger.heard("GET /v1/tasks/7", "soak/0"); // early
        let row = ledger.verify(folder, 9);
        let counts = [&row.falsely, &row.lost, &row.doubled, &row.corrupt, &row.early, &row.stuck].map(Vec::len);
        assert_eq!(counts, [3, 3, 1, 1, 1, 1], "{row:#?}");
        assert_eq!(row.errors.values().sum::<usize>(), 2);
    }
}
