//! Outages: the hosts that accept no connection, and the request that may probe each of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use crate::message::Origin;

/// The origins that accept no connection, for all requests of a client.
///
/// An origin is closed by a request that was provably not sent. From then on one request after another probes the
/// origin, with growing pauses between the probes. The others wait, and proceed together once a probe has a connection.
#[derive(Debug)]
pub(crate) struct Outages {
    down: Mutex<HashMap<Origin, Outage>>,
    /// The number of outages: a request to a healthy host takes no lock.
    count: AtomicUsize,
    /// A probe that has been under way for longer than this has its connection, and waits for a response.
    connect_timeout: Duration,
}

#[derive(Debug)]
struct Outage {
    /// The pause before the next probe, without jitter.
    pause: Duration,
    /// No request is sent before this time.
    until: Instant,
    /// When the current probe was sent.
    probe: Option<Instant>,
    /// Wakes the waiting requests; its end is the end of the outage.
    changed: watch::Sender<()>,
}

/// The right to send to an origin. A probe that is dropped without a result lets another probe start.
#[derive(Debug)]
#[must_use = "a probe that is dropped lets another one go"]
pub(crate) struct Pass<'a> {
    outages: &'a Outages,
    /// Boxed, because few requests are probes.
    probes: Option<Box<Origin>>,
}

impl Outages {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        let connect_timeout = connect_timeout.min(LONGEST_PROBE);
        Self { down: Mutex::default(), count: AtomicUsize::new(0), connect_timeout }
    }

    /// Returns the right to send now: the origin is healthy, this request is its next probe, or the patience is
    /// exhausted and the request tries for itself.
    pub(crate) fn try_pass(&self, url: &Url, patience: impl FnOnce() -> Instant) -> Option<Pass<'_>> {
        let free = || Some(Pass { outages: self, probes: None });
        if self.count.load(Relaxed) == 0 {
            return free();
        }
        let origin = Origin::from_url(url);
        let mut down = self.lock();
        let Some(outage) = down.get_mut(&origin) else { return free() };
        let now = Instant::now();
        if patience() <= now {
            return free();
        }
        match outage.probe {
            Some(sent) if now < sent + self.connect_timeout => None,
            Some(_) => {
                self.end(&mut down, &origin);
                free()
            }
            None if now < outage.until => None,
            None => {
                outage.probe = Some(now);
                Some(Pass { outages: self, probes: Some(Box::new(origin)) })
            }
        }
    }

    /// Waits until [`try_pass`](Self::try_pass) may return a pass.
    ///
    /// Cancel-safe.
    pub(crate) async fn wait(&self, url: &Url, patience: Instant) {
        let origin = Origin::from_url(url);
        loop {
            let (due, mut changed) = {
                let down = self.lock();
                let Some(outage) = down.get(&origin) else { return };
                let due = outage.probe.map_or(outage.until, |sent| sent + self.connect_timeout);
                (due.min(patience), outage.changed.subscribe())
            };
            if due <= Instant::now() {
                return;
            }
            // A change and the end of the outage are treated alike: the state is checked again.
            let _ = tokio::time::timeout_at(due, changed.changed()).await;
        }
    }

    /// Returns how long no request probes the origin.
    pub(crate) fn pause(&self, url: &Url) -> Duration {
        if self.count.load(Relaxed) == 0 {
            return Duration::ZERO;
        }
        let until = self.lock().get(&Origin::from_url(url)).map(|outage| outage.until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn is_down(&self, url: &Url) -> bool {
        self.count.load(Relaxed) > 0 && self.lock().contains_key(&Origin::from_url(url))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Outage>> {
        // No code panics while it holds the lock.
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, down: &mut HashMap<Origin, Outage>, origin: &Origin) {
        if down.remove(origin).is_some() {
            tracing::info!("the host accepts connections again");
        }
        self.count.store(down.len(), Relaxed);
    }

    /// Records that a probe ended without a connection, or was dropped.
    fn back(&self, origin: &Origin, failed: bool) {
        let mut down = self.lock();
        let Some(outage) = down.get_mut(origin) else { return };
        outage.probe = None;
        if failed {
            outage.pause = (outage.pause * 2).min(LONGEST_PAUSE);
            outage.until = Instant::now() + jittered(outage.pause);
        }
        outage.changed.send_replace(());
    }

    /// Records that a request that is no probe found no connection.
    fn close(&self, origin: Origin) {
        let now = Instant::now();
        let mut down = self.lock();
        if down.contains_key(&origin) {
            return;
        }
        // No request went to these origins for a long time, so their state is out of date.
        down.retain(|_, outage| outage.probe.is_some() || outage.until + FORGOTTEN_AFTER > now);
        tracing::info!("the host accepts no connection: one request at a time probes it");
        let (pause, changed) = (FIRST_PAUSE, watch::Sender::new(()));
        down.insert(origin, Outage { pause, until: now + jittered(pause), probe: None, changed });
        self.count.store(down.len(), Relaxed);
    }
}

impl Pass<'_> {
    /// Records that the origin accepted the connection.
    pub(crate) fn connected(mut self, url: &Url) {
        if self.outages.count.load(Relaxed) > 0 {
            let origin = self.probes.take().unwrap_or_else(|| Box::new(Origin::from_url(url)));
            self.outages.end(&mut self.outages.lock(), &origin);
        }
    }

    /// Records that the origin accepted no connection.
    pub(crate) fn refused(mut self, url: &Url) {
        match self.probes.take() {
            Some(origin) => self.outages.back(&origin, true),
            None => self.outages.close(Origin::from_url(url)),
        }
    }

    /// Records that the connection broke. If the request was a probe, the origin is back.
    pub(crate) fn broke(self, url: &Url) {
        if self.probes.is_some() {
            self.connected(url);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(origin) = self.probes.take() {
            self.outages.back(&origin, false);
        }
    }
}

/// Jitter keeps clients that lost a host together from returning together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// A restart may take no longer than this.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The wait for a host that is back is not much longer than its outage.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Other requests wait for the probe's connection.
const LONGEST_PROBE: Duration = Duration::from_secs(10);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_goes_at_a_time_and_its_connection_lets_all_go() {
        let outages = Outages::new(Duration::from_secs(10));
        let (one, other) = (url("https://a.example/x"), url("https://b.example/x"));
        outages.try_pass(&one, far).unwrap().refused(&one);
        assert!(outages.try_pass(&one, far).is_none(), "the pause");
        assert!(outages.try_pass(&other, far).is_some(), "another origin");
        outages.wait(&one, far()).await;
        let probe = outages.try_pass(&one, far).unwrap();
        assert!(outages.try_pass(&one, far).is_none(), "a probe is under way");
        probe.connected(&one);
        for _ in 0..3 {
            assert!(outages.try_pass(&one, far).is_some());
        }
        assert_eq!(outages.count.load(Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_doubles_with_each_probe_and_not_with_each_failure() {
        let outages = Outages::new(Duration::from_secs(10));
        let one = url("https://a.example/x");
        let passes: Vec<_> = (0..500).map(|_| outages.try_pass(&one, far).unwrap()).collect();
        passes.into_iter().for_each(|pass| pass.refused(&one));
        for most in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let pause = outages.pause(&one);
            let range = Duration::from_millis(most / 2)..=Duration::from_millis(most);
            assert!(range.contains(&pause), "{pause:?} of {most} ms");
            outages.wait(&one, far()).await;
            outages.try_pass(&one, far).unwrap().refused(&one);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_dropped_or_answers_slowly_holds_nobody() {
        let outages = Outages::new(Duration::from_secs(10));
        let one = url("https://a.example/x");
        outages.try_pass(&one, far).unwrap().refused(&one);
        outages.wait(&one, far()).await;
        drop(outages.try_pass(&one, far).unwrap());
        let slow = outages.try_pass(&one, far).unwrap();
        let begun = Instant::now();
        outages.wait(&one, far()).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10), "as long as a connection may take");
        assert!(outages.try_pass(&one, far).is_some());
        drop(slow);
        assert!(outages.try_pass(&one, far).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_of_patience_lets_a_request_see_for_itself() {
        let outages = Outages::new(Duration::from_secs(10));
        let one = url("https://a.example/x");
        outages.try_pass(&one, far).unwrap().refused(&one);
        let patience = Instant::now() + Duration::from_millis(10);
        outages.wait(&one, patience).await;
        assert_eq!(Instant::now(), patience);
        outages.try_pass(&one, || patience).unwrap().refused(&one);
        assert!(outages.try_pass(&one, far).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_nobody_asks_for_are_forgotten() {
        let outages = Outages::new(Duration::from_secs(10));
        for number in 0..100 {
            let one = url(&format!("https://h{number}.example/"));
            outages.try_pass(&one, far).unwrap().refused(&one);
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert!(outages.lock().len() <= 8, "{}", outages.lock().len());
    }
}
