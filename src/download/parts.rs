//! Parts: several connections, each with a range of one object that proves itself.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::budget::Promise;
use super::connections::Connections;
use super::disk::Lane;
use super::identity::Identity;
use super::job::{Ended, Job, MANY_BUFFERS, ONE_BUFFER};
use super::plan::{ClaimId, Plan};
use super::reader::{Piece, Reader};
use crate::error::{Error, ErrorKind};

/// What the connections of one download share.
struct Crew<'a> {
    job: &'a Job<'a>,
    identity: Identity,
    plan: Mutex<Plan>,
    /// How many connections are wanted, and how many are at work.
    wanted: AtomicUsize,
    at_work: AtomicUsize,
    /// How many of them have delivered a byte.
    delivering: AtomicUsize,
    /// The bytes of this run.
    bytes: AtomicU64,
    most: usize,
}

/// One connection.
struct Member<'a> {
    /// Whether it is one beside the first.
    is_extra: bool,
    /// Whether it counts as being at work.
    is_counted: bool,
    /// The promise of its connection to another file.
    promise: Option<Promise<'a>>,
}

/// How the work of a connection ended.
enum Left {
    /// There is nothing to do for it.
    Done,
    /// The storage sends everything to each that asks for a part.
    NoRanges,
    /// The bytes so far are void.
    Anew(Box<Reader>),
    /// The connection failed; others are at work.
    Failed(Error),
}

/// Fetches the missing ranges. `first`: a reader whose body is open, at the first of them.
pub(super) async fn fetch(
    job: &Job<'_>,
    first: Option<Reader>,
    identity: Identity,
    missing: Vec<std::ops::Range<u64>>,
) -> Result<Ended, Error> {
    let total = identity.total.unwrap_or_default();
    let most = job.most_connections();
    let crew = Crew {
        job,
        identity,
        plan: Mutex::new(Plan::new(missing, job.settings.part_size)),
        wanted: AtomicUsize::new(1),
        at_work: AtomicUsize::new(0),
        delivering: AtomicUsize::new(0),
        bytes: AtomicU64::new(0),
        most,
    };
    let ended = crew.work(first).await;
    job.connected(0);
    ended.map(|anew| anew.map_or(Ended::Whole { total }, Ended::Anew))
}

impl Crew<'_> {
    /// Runs the connections until all is there; a reader if the bytes so far are void.
    async fn work(&self, first: Option<Reader>) -> Result<Option<Box<Reader>>, Error> {
        let mut connections = Connections::new(self.most, self.job.source.answered_within());
        let mut at_work: FuturesUnordered<BoxFuture<'_, Result<Left, Error>>> = FuturesUnordered::new();
        at_work.push(self.connection(first, None));
        // While nothing comes, there is ever less to look at.
        let (mut look, mut look_again, mut looked_at) = (Instant::now(), LOOK, 0);
        let mut save = self.job.first_save();
        let mut begun: Option<Instant> = None;
        let mut failures = 0;
        loop {
            tokio::select! {
                biased;
                Some(left) = at_work.next() => {
                    match left? {
                        Left::Done => {}
                        Left::NoRanges => {
                            connections.stay_single();
                            self.wanted.store(1, Relaxed);
                        }
                        Left::Anew(reader) => {
                            self.job.disk.discard_buffers();
                            return Ok(Some(reader));
                        }
                        Left::Failed(error) => {
                            failures += 1;
                            if failures > MOST_FAILED {
                                return Err(error);
                            }
                            connections.stay_single();
                            self.wanted.store(1, Relaxed);
                        }
                    }
                    if self.plan().is_done() && at_work.is_empty() {
                        return Ok(None);
                    }
                    if at_work.is_empty() {
                        at_work.push(self.connection(None, None));
                    }
                }
                () = tokio::time::sleep_until(look) => {
                    let bytes = self.bytes.load(Relaxed);
                    let has_come = std::mem::replace(&mut looked_at, bytes) != bytes;
                    look_again = if has_come { LOOK } else { (look_again * 2).min(LONGEST_LOOK) };
                    look = Instant::now() + look_again;
                    if bytes > 0 {
                        let begun = *begun.get_or_insert_with(Instant::now);
                        let delivering = self.delivering.load(Relaxed);
                        let wanted = connections.look(begun.elapsed(), bytes, self.job.source.busy(), delivering);
                        self.wanted.store(wanted, Relaxed);
                    }
                    self.job.connected(self.delivering.load(Relaxed));
                    let wanted = self.wanted.load(Relaxed);
                    while self.at_work.load(Relaxed) < wanted && self.plan().has_work() {
                        let Some(permit) = self.job.try_connection() else { break };
                        at_work.push(self.connection(None, Some(permit)));
                    }
                }
                () = tokio::time::sleep_until(save) => {
                    self.job.disk.keep_in_background();
                    save = self.job.next_save();
                }
            }
        }
    }

    /// No code panics while it holds the lock.
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a connection, which is at work from now on.
    fn connection(
        &self,
        first: Option<Reader>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> BoxFuture<'_, Result<Left, Error>> {
        self.at_work.fetch_add(1, Relaxed);
        Box::pin(async move {
            let mut member = Member { is_extra: permit.is_some(), is_counted: true, promise: None };
            let left = self.claims(first, &mut member).await;
            if member.is_counted {
                self.at_work.fetch_sub(1, Relaxed);
            }
            // The promise is kept once the connection is given back.
            drop(permit);
            left
        })
    }

    /// Works on one claim after another.
    async fn claims<'a>(&'a self, mut first: Option<Reader>, member: &mut Member<'a>) -> Result<Left, Error> {
        let size = if self.most == 1 { ONE_BUFFER } else { MANY_BUFFERS };
        let mut lane = Lane::new(Arc::clone(self.job.disk), size);
        loop {
            let claimed = self.plan().claim();
            let Some((id, range)) = claimed else { break };
            let mut reader = first.take().filter(|reader| reader.offset() == range.start).unwrap_or_else(|| {
                Reader::of_range(self.job.source.clone(), self.identity.clone(), range.start, range.end)
            });
            let mut delivers = false;
            let ended = self.claim(id, &mut reader, &mut lane, &mut delivers, member).await;
            if delivers {
                self.delivering.fetch_sub(1, Relaxed);
            }
            self.plan().release(id);
            self.job.count(&reader);
            match ended {
                Ok(Some(Piece::Restart)) => return Ok(Left::Anew(Box::new(reader))),
                Ok(Some(Piece::NoRanges)) => {
                    lane.end().await.map_err(|error| self.job.refused(error))?;
                    return Ok(Left::NoRanges);
                }
                Ok(_) => {}
                // The others are more than this one: its range is theirs then, and so is the word on a link that fails.
                Err(error) if member.is_extra && !is_final(error.kind()) => {
                    lane.end().await.map_err(|error| self.job.refused(error))?;
                    return Ok(Left::Failed(error));
                }
                Err(error) => {
                    lane.end().await.ok();
                    return Err(error);
                }
            }
            if self.leaves(member) {
                break;
            }
        }
        lane.end().await.map_err(|error| self.job.refused(error))?;
        Ok(Left::Done)
    }

    /// Returns whether a connection ends: because fewer are wanted, or because another file waits for its first. Each
    /// that leaves is counted at once, so that no more of them leave than have to.
    fn leaves<'a>(&'a self, member: &mut Member<'a>) -> bool {
        if !member.is_counted || member.promise.is_some() {
            return true;
        }
        let wanted = self.wanted.load(Relaxed);
        let fewer = |at_work: usize| at_work.checked_sub(1).filter(|fewer| *fewer >= wanted);
        if self.at_work.fetch_update(Relaxed, Relaxed, fewer).is_ok() {
            member.is_counted = false;
            return true;
        }
        if member.is_extra {
            member.promise = self.job.promise_connection();
        }
        member.promise.is_some()
    }

    /// Works on a claim to its end, or until it is taken away; a piece if that says how it ended.
    async fn claim<'a>(
        &'a self,
        id: ClaimId,
        reader: &mut Reader,
        lane: &mut Lane,
        delivers: &mut bool,
        member: &mut Member<'a>,
    ) -> Result<Option<Piece>, Error> {
        let mut pace = Pace::new();
        loop {
            let end = self.plan().advance(id, 0);
            reader.end_at(end);
            reader.among_others(self.at_work.load(Relaxed) > 1);
            let Some(piece) = self.next(id, reader, lane, &mut pace).await? else {
                // Too slow: another body is opened for the rest.
                match reader.reopen_slow().await? {
                    Some(piece) => return Ok(Some(piece)),
                    None => continue,
                }
            };
            let Piece::Chunk(mut chunk) = piece else { return Ok(Some(piece)) };
            if !std::mem::replace(delivers, true) {
                self.job.connected(self.delivering.fetch_add(1, Relaxed) + 1);
            }
            let at = reader.offset() - chunk.len() as u64;
            // Another connection may have taken the end of the claim while this chunk was on its way.
            let (end, is_last) = {
                let mut plan = self.plan();
                let end = plan.advance(id, 0);
                let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                chunk.truncate(wanted);
                (plan.advance(id, chunk.len() as u64), chunk.len() == wanted)
            };
            self.bytes.fetch_add(chunk.len() as u64, Relaxed);
            pace.bytes += chunk.len() as u64;
            self.job.received(&chunk).await;
            lane.write(at, &chunk).await.map_err(|error| self.job.refused(error))?;
            if is_last || at + chunk.len() as u64 >= end || self.leaves(member) {
                return Ok(None);
            }
            if pace.is_due() {
                self.measure(id, lane, &mut pace).await?;
            }
        }
    }

    /// Returns the next piece; `None` if the connection is too slow beside the others.
    async fn next(
        &self,
        id: ClaimId,
        reader: &mut Reader,
        lane: &mut Lane,
        pace: &mut Pace,
    ) -> Result<Option<Piece>, Error> {
        let is_reading = reader.is_reading();
        let mut next: Pin<&mut _> = pin!(reader.next());
        loop {
            tokio::select! {
                biased;
                piece = &mut next => return piece.map(Some),
                () = tokio::time::sleep_until(pace.due()) => {
                    self.measure(id, lane, pace).await?;
                    // A request that is on its way is not dropped: it may have reached the storage.
                    if !is_reading.load(Relaxed) {
                        pace.slow_since = None;
                    } else if pace.is_too_slow() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Measures the rate of a connection, and writes what it holds.
    async fn measure(&self, id: ClaimId, lane: &mut Lane, pace: &mut Pace) -> Result<(), Error> {
        let rate = pace.measure();
        let median = {
            let mut plan = self.plan();
            plan.measured(id, rate);
            let rates = plan.rates();
            rates.get(rates.len() / 2).copied().filter(|_| rates.len() >= ENOUGH_TO_COMPARE)
        };
        pace.compare(rate, median);
        lane.flush().await.map_err(|error| self.job.refused(error))
    }
}

/// Returns whether an error of one connection is one of the download: the object is another one, or the disk refuses.
const fn is_final(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ResultChanged | ErrorKind::Io | ErrorKind::DiskFull)
}

/// The rate of one connection.
struct Pace {
    since: Instant,
    bytes: u64,
    window: Duration,
    /// Since when it has been far slower than the others.
    slow_since: Option<Instant>,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), bytes: 0, window: FIRST_MEASURE, slow_since: None }
    }

    fn due(&self) -> Instant {
        self.since + self.window
    }

    fn is_due(&self) -> bool {
        self.due() <= Instant::now()
    }

    /// Returns the rate since the last measurement, in bytes a second.
    fn measure(&mut self) -> u64 {
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = self.bytes.saturating_mul(1_000) / millis;
        (self.since, self.bytes, self.window) = (Instant::now(), 0, MEASURE);
        rate
    }

    fn compare(&mut self, rate: u64, median: Option<u64>) {
        let is_slow = median.is_some_and(|median| rate < median / SLOW);
        self.slow_since = if is_slow { self.slow_since.or_else(|| Some(Instant::now())) } else { None };
    }

    fn is_too_slow(&mut self) -> bool {
        let is_over = self.slow_since.is_some_and(|since| since.elapsed() >= SLOW_FOR);
        if is_over {
            self.slow_since = None;
        }
        is_over
    }
}

/// How often the number of connections is looked at.
const LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// How often a connection is measured, and the longest that received bytes are held back from the disk.
const MEASURE: Duration = Duration::from_millis(500);
/// The first bytes are on the disk before the journal is written for the first time.
const FIRST_MEASURE: Duration = Duration::from_millis(150);
/// A connection with less than one eighth of the median for ten seconds is opened anew.
const SLOW: u64 = 8;
const SLOW_FOR: Duration = Duration::from_secs(10);
/// The median of two rates says nothing.
const ENOUGH_TO_COMPARE: usize = 3;
/// So many connections may fail beside others before the download does.
const MOST_FAILED: u32 = 8;
