//! Outages: the hosts that take no connection, and which request may ask whether they are back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use crate::message::Origin;

/// The origins that take no connection, for all requests of a client.
///
/// An origin is closed by a request that was provably not sent. From then on one request after another asks whether it
/// is back, with growing pauses between them; the others wait, and go together when one had a connection.
#[derive(Debug)]
pub(crate) struct Outages {
    down: Mutex<HashMap<Origin, Outage>>,
    /// How many they are: a request to a host that is well takes no lock.
    count: AtomicUsize,
    /// A probe that is under way for longer has its connection, and waits for an answer.
    connect_timeout: Duration,
}

#[derive(Debug)]
struct Outage {
    /// The pause before the next probe, without jitter.
    pause: Duration,
    /// No request goes before.
    until: Instant,
    /// When the probe went that is under way.
    probe: Option<Instant>,
    /// Wakes those who wait; its end is the end of the outage.
    changed: watch::Sender<()>,
}

/// The right to send to an origin. Dropped without a verdict, a probe lets another one go.
#[derive(Debug)]
#[must_use = "a probe that is dropped lets another one go"]
pub(crate) struct Pass<'a> {
    outages: &'a Outages,
    /// Boxed: few requests are one.
    probes: Option<Box<Origin>>,
}

impl Outages {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        let connect_timeout = connect_timeout.min(LONGEST_PROBE);
        Self { down: Mutex::default(), count: AtomicUsize::new(0), connect_timeout }
    }

    /// The right to send now: the origin is well, or this is its next probe, or the patience is over and the request is to
    /// see for itself.
    pub(crate) fn try_pass(&self, url: &Url, patience: impl FnOnce() -> Instant) -> Option<Pass<'_>> {
        let free = || Some(Pass { outages: self, probes: None });
        if self.count.load(Relaxed) == 0 {
            return free();
        }
        let origin = Origin::of(url);
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

    /// Waits until [`try_pass`](Self::try_pass) may say yes.
    ///
    /// Cancel-safe.
    pub(crate) async fn wait(&self, url: &Url, patience: Instant) {
        let origin = Origin::of(url);
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
            // A change and the end of the outage are alike: it is looked at again.
            let _ = tokio::time::timeout_at(due, changed.changed()).await;
        }
    }

    /// How long nobody asks the origin.
    pub(crate) fn pause(&self, url: &Url) -> Duration {
        if self.count.load(Relaxed) == 0 {
            return Duration::ZERO;
        }
        let until = self.lock().get(&Origin::of(url)).map(|outage| outage.until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn is_down(&self, url: &Url) -> bool {
        self.count.load(Relaxed) > 0 && self.lock().contains_key(&Origin::of(url))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Outage>> {
        // No code panics while it holds the lock.
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, down: &mut HashMap<Origin, Outage>, origin: &Origin) {
        if down.remove(origin).is_some() {
            tracing::info!("the host takes connections again");
        }
        self.count.store(down.len(), Relaxed);
    }

    /// A probe ended without a connection, or was dropped.
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

    /// A request without the right of a probe found no connection.
    fn close(&self, origin: Origin) {
        let now = Instant::now();
        let mut down = self.lock();
        if down.contains_key(&origin) {
            return;
        }
        // Nobody asked for these for a long time: what is known of them is out of date.
        down.retain(|_, outage| outage.probe.is_some() || outage.until + FORGOTTEN_AFTER > now);
        tracing::info!("the host takes no connection: one request at a time asks for it");
        let (pause, changed) = (FIRST_PAUSE, watch::Sender::new(()));
        down.insert(origin, Outage { pause, until: now + jittered(pause), probe: None, changed });
        self.count.store(down.len(), Relaxed);
    }
}

impl Pass<'_> {
    /// The origin took the connection.
    pub(crate) fn connected(mut self, url: &Url) {
        if self.outages.count.load(Relaxed) > 0 {
            let origin = self.probes.take().unwrap_or_else(|| Box::new(Origin::of(url)));
            self.outages.end(&mut self.outages.lock(), &origin);
        }
    }

    /// The origin took no connection.
    pub(crate) fn refused(mut self, url: &Url) {
        match self.probes.take() {
            Some(origin) => self.outages.back(&origin, true),
            None => self.outages.close(Origin::of(url)),
        }
    }

    /// The connection broke. That of a probe was there, at least.
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

/// Clients that lost a host together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// A restart may take no longer than this.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A host that is back after a long time is not waited for much longer than it was away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Others wait for the probe's connection.
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
