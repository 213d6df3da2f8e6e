//! Limiter: one window of one limit for one key, with its pause and the budget that the service states for it.
//!
//! A limiter without a window is a gate: it counts nothing, and only pauses. Each account, each refused route and each
//! foreign host has a gate.

pub(super) mod advertised;
pub(super) mod min_rtt;
pub(super) mod pause;
pub(super) mod window;

use std::sync::Arc;

use super::time::{Opening, Tick, nanos};
use crate::clock::Clock;
use crate::hint::Budget;
use crate::limit::{Anchor, Limit, Window};
use crate::message::Priority;

use advertised::{AdvertisedRest, Among};
use min_rtt::MinRtt;
use pause::{During, Pause};
use window::Counter;
use window::lent::Lent;

/// One window of one limit for one key.
#[derive(Debug)]
pub(super) struct Limiter {
    counter: Counter,
    /// Requests whose response headers have not arrived.
    pub(super) in_flight: u32,
    /// Whether only a sliding window counts, or nothing does: see [`refresh`](Self::refresh).
    is_plain: bool,
    reports: Reports,
    soft: bool,
    anchor: Anchor,
    pause: Pause,
    /// Whether this is a declared limit, and not the gate of an account or of a route.
    pub(super) declared: bool,
    /// Whether the limiter has counted a request.
    pub(super) used: bool,
    /// How wide its scope is: 0 is the widest.
    pub(super) width: u8,
    /// The rest of a budget that the service states.
    advertised: Option<Box<AdvertisedRest>>,
    min_rtt: Option<Box<MinRtt>>,
    /// The processes that use what the service states.
    among: Among,
    /// Sets in use that contain the limiter.
    pub(super) holders: u32,
    /// How long the limiter pauses after a refusal without a hint, if set.
    pub(super) pause_without_hint: Option<Tick>,
    /// The name for people.
    pub(super) label: Arc<str>,
    /// The name that a service may use for it.
    pub(super) name: Option<Arc<str>>,
    /// Distinguishes the limiters of one limit.
    pub(super) key: Box<str>,
}

/// The events that a limiter wants a permit to report, beside the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reports {
    pub(super) send: bool,
    pub(super) body: bool,
}

impl Reports {
    #[inline]
    pub(super) const fn and(self, other: Self) -> Self {
        Self { send: self.send || other.send, body: self.body || other.body }
    }
}

impl Limiter {
    /// Creates a limiter that counts nothing, and only pauses.
    pub(super) fn gate(label: Arc<str>) -> Self {
        Self::new(label, Counter::Unlimited, Anchor::Response)
    }

    pub(super) fn new(label: Arc<str>, counter: Counter, anchor: Anchor) -> Self {
        // Round trips are only tracked if they are used.
        let min_rtt = anchor == Anchor::ResponseLessRoundTrip || matches!(counter, Counter::LeakyBucket(_));
        let mut limiter = Self {
            counter,
            in_flight: 0,
            is_plain: false,
            reports: Reports::default(),
            soft: false,
            anchor,
            pause: Pause::default(),
            declared: false,
            used: false,
            width: 0,
            advertised: None,
            min_rtt: min_rtt.then(Box::default),
            among: Among::default(),
            holders: 0,
            pause_without_hint: None,
            label,
            name: None,
            key: "".into(),
        };
        limiter.refresh();
        limiter
    }

    /// Records whether the fast path is open: a sliding window that anchors at the response, or no window at all; no
    /// pause, no ramp and no advertised rest; and the limit is not soft. Each change of one of these conditions ends
    /// here.
    fn refresh(&mut self) {
        let is_simple = matches!(self.counter, Counter::Unlimited | Counter::Sliding(_)) && !self.soft;
        let anchors_simply = self.anchor == Anchor::Response && self.min_rtt.is_none();
        self.is_plain = is_simple && anchors_simply && !self.pause.has_ramp() && self.advertised.is_none();
        let anchors_at_send = matches!(self.anchor, Anchor::Send | Anchor::SendPlus(_));
        self.reports = Reports { send: anchors_at_send || self.min_rtt.is_some(), body: self.counter.sees_bodies() };
    }

    /// Returns how many requests of any class may be sent in a row now, if the number is known without a check of each;
    /// otherwise 0.
    #[inline]
    pub(super) fn room(&mut self, now: Tick) -> u32 {
        debug_assert!(!self.is_plain || !self.is_paused(now), "a pause has a ramp behind it");
        if self.is_plain { self.counter.room(now) } else { 0 }
    }

    /// Returns whether one more request of a class may be sent now.
    #[inline]
    pub(super) fn admits(&mut self, class: Priority, now: Tick) -> bool {
        match &mut self.counter {
            Counter::Sliding(sliding) if self.is_plain => sliding.has_room(now),
            Counter::Unlimited if self.is_plain => true,
            _ => self.opening(class, now) == Opening::Open,
        }
    }

    /// Takes a slot on the fast path, if it is open; returns whether it is.
    #[inline]
    pub(super) fn take_plainly(&mut self) -> bool {
        if self.is_plain {
            self.in_flight += 1;
            self.used = true;
            if let Counter::Sliding(sliding) = &mut self.counter {
                sliding.take();
            }
        }
        self.is_plain
    }

    pub(super) const fn counter(&self) -> &Counter {
        &self.counter
    }

    /// Returns the window, to be read or charged. [`set_counter`](Self::set_counter) replaces the kind of window.
    pub(super) const fn counter_mut(&mut self) -> &mut Counter {
        &mut self.counter
    }

    pub(super) fn set_counter(&mut self, counter: Counter) {
        self.counter = counter;
        self.refresh();
    }

    /// Changes the amount, with the count kept.
    pub(super) fn change(&mut self, window: &Window, limit: &Limit, clock: Clock) {
        self.counter.change(window, limit, clock);
        self.refresh();
    }

    /// Returns whether several processes share the window.
    #[inline]
    pub(super) const fn is_lent(&self) -> bool {
        matches!(self.counter, Counter::Lent(_))
    }

    /// Returns the borrowed slots, if several processes share the window.
    pub(super) fn lent(&self) -> Option<&Lent> {
        match &self.counter {
            Counter::Lent(lent) => Some(lent),
            _ => None,
        }
    }

    pub(super) fn lent_mut(&mut self) -> Option<&mut Lent> {
        match &mut self.counter {
            Counter::Lent(lent) => Some(lent),
            _ => None,
        }
    }

    pub(super) const fn soft(&self) -> bool {
        self.soft
    }

    /// A soft limit counts, and admits every request.
    pub(super) fn set_soft(&mut self, soft: bool) {
        self.soft = soft;
        self.refresh();
    }

    /// Returns whether this is a declared limit that is not soft.
    pub(super) const fn holds_back(&self) -> bool {
        self.declared && !self.soft
    }

    #[inline]
    pub(super) const fn is_paused(&self, now: Tick) -> bool {
        self.pause.is_on(now)
    }

    pub(super) const fn paused_until(&self) -> Tick {
        self.pause.until()
    }

    /// Returns the rest of a budget that the service states.
    pub(super) fn advertised(&self) -> Option<&AdvertisedRest> {
        self.advertised.as_deref()
    }

    /// Forgets everything that responses stated about it.
    pub(super) fn forget_advertised(&mut self) {
        self.advertised = None;
        if !self.declared && !matches!(self.counter, Counter::Learner(_)) {
            self.counter = Counter::Unlimited;
        }
        self.refresh();
    }

    /// Returns when one more request of a class may be sent.
    pub(super) fn opening(&mut self, class: Priority, now: Tick) -> Opening {
        if self.pause.is_on(now) {
            return Opening::At(self.pause.until());
        }
        if let Some(rest) = self.advertised.as_mut().filter(|rest| rest.is_over(now)) {
            // The next response states the budget that holds from now on.
            match rest.renewed().filter(|renewed| !renewed.is_over(now)) {
                Some(renewed) => **rest = renewed,
                None => self.advertised = None,
            }
            self.pause.restart_ramp(now);
            self.refresh();
        }
        if self.pause.ramp_is_full() {
            return Opening::Closed;
        }
        let window = if self.soft { Opening::Open } else { self.counter.opening(self.in_flight, now) };
        self.advertised.as_ref().map_or(window, |rest| window.max(rest.opening(class, now)))
    }

    /// Returns a time before which a request of this class certainly is not admitted, behind `ahead` others with the
    /// same limiters.
    pub(super) fn not_before(&mut self, class: Priority, ahead: u32, now: Tick) -> Tick {
        let credit = self.credit();
        let window = if self.soft { now } else { self.counter.not_before(ahead, now).saturating_sub(credit).max(now) };
        let rest = match self.advertised.as_mut().map(|rest| rest.opening(class, now)) {
            Some(Opening::At(at)) => at,
            _ => now,
        };
        window.max(rest).max(self.pause.until())
    }

    #[inline]
    pub(super) fn take(&mut self, now: Tick) {
        self.in_flight += 1;
        self.used = true;
        self.pause.take();
        self.counter.take(now);
        if let Some(rest) = &mut self.advertised {
            rest.take(now);
        }
    }

    /// Returns the slot that was taken at `taken`, and that no request used.
    pub(super) fn give_back(&mut self, taken: Tick, now: Tick) {
        // After a pause, a probe too many is better than a slot that never becomes free again.
        self.leave(now);
        self.counter.refund(taken);
        if let Some(rest) = &mut self.advertised {
            rest.refund();
        }
    }

    /// The request that was granted at `granted` was never sent. `is_sent`: [`sent`](Self::sent) was called.
    pub(super) fn refund(&mut self, granted: Tick, is_sent: bool) {
        self.leave(granted);
        if is_sent && self.anchors_at_send() {
            // The slot is already held. Keeping it costs one slot for one window, and never admits a request too many.
            self.counter.finish();
            return;
        }
        self.counter.refund(granted);
        if let Some(rest) = &mut self.advertised {
            rest.refund();
        }
    }

    /// The request that was granted at `granted` is being sent.
    pub(super) fn sent(&mut self, granted: Tick, now: Tick) {
        match self.anchor {
            Anchor::Send => self.counter.anchor(granted, now),
            Anchor::SendPlus(guard) => self.counter.anchor(granted, now.saturating_add(nanos(guard))),
            Anchor::Response | Anchor::ResponseLessRoundTrip => {}
        }
    }

    /// The response to a request has arrived.
    #[inline]
    pub(super) fn answered(&mut self, granted: Tick, sent: Option<Tick>, now: Tick) {
        if self.is_plain {
            self.in_flight = self.in_flight.saturating_sub(1);
            if let Counter::Sliding(sliding) = &mut self.counter {
                sliding.anchor(now);
            }
        } else {
            self.answered_by_its_way(granted, sent, now);
        }
    }

    /// As [`answered`](Self::answered), if the round trip, the send or a ramp matters.
    fn answered_by_its_way(&mut self, granted: Tick, sent: Option<Tick>, now: Tick) {
        if let (Some(min_rtt), Some(sent)) = (&mut self.min_rtt, sent) {
            let round_trip = now.saturating_sub(sent);
            min_rtt.record(round_trip, now);
            if let (Counter::LeakyBucket(bucket), Some(smallest)) = (&mut self.counter, min_rtt.smallest()) {
                bucket.follow_latency(smallest, round_trip, self.in_flight);
            }
        }
        self.leave(granted);
        match self.anchor {
            Anchor::Send | Anchor::SendPlus(_) if sent.is_some() => {}
            // The next to use a slot may be another process: no round trip is credited.
            Anchor::ResponseLessRoundTrip if !self.is_lent() => {
                let at = now.saturating_sub(self.credit()).max(sent.unwrap_or(granted));
                self.counter.anchor(granted, at);
            }
            _ => self.counter.anchor(granted, now),
        }
        self.pause.widen(granted);
        self.refresh();
    }

    /// No response will arrive: the service has counted the request at `at`, at the latest. The round trip is unknown,
    /// so none is credited.
    pub(super) fn lost(&mut self, granted: Tick, is_sent: bool, at: Tick) {
        self.leave(granted);
        if !(is_sent && self.anchors_at_send()) {
            self.counter.anchor(granted, at);
        }
        self.counter.finish();
    }

    fn leave(&mut self, granted: Tick) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.pause.leave(granted);
    }

    fn credit(&self) -> Tick {
        match (self.anchor, &self.min_rtt) {
            (Anchor::ResponseLessRoundTrip, Some(min_rtt)) => min_rtt.credit(),
            _ => 0,
        }
    }

    const fn anchors_at_send(&self) -> bool {
        matches!(self.anchor, Anchor::Send | Anchor::SendPlus(_))
    }

    /// Returns the events that the limiter wants reported.
    #[inline]
    pub(super) const fn reports(&self) -> Reports {
        self.reports
    }

    /// Returns the length of its window if a response cannot open the limiter earlier than time alone does: the slot
    /// only changes from in flight to held for that length.
    pub(super) const fn opens_by_time_alone(&self) -> Option<Tick> {
        match &self.counter {
            Counter::Sliding(sliding) if self.is_plain => Some(sliding.length()),
            _ => None,
        }
    }

    /// Returns when to check the limiter again if it should open at `due`: a wall clock can be set while a request
    /// waits for midnight.
    pub(super) fn look_again_at(&self, due: Tick, now: Tick) -> Tick {
        match self.counter {
            Counter::CalendarDay(_) => due.min(now.saturating_add(LOOK_AT_THE_WALL)),
            _ => due,
        }
    }

    /// Returns until when the service asks to stay away, after a refusal or because a budget is spent.
    pub(super) fn asked_until(&self, now: Tick) -> Option<Tick> {
        let spent = self.advertised.as_deref().filter(|rest| rest.is_spent() && !rest.is_guess());
        let ends = [Some(self.pause.asked_until()), spent.map(AdvertisedRest::resets_at)];
        ends.into_iter().flatten().filter(|until| *until > now).max()
    }

    /// Stops all requests until then.
    pub(super) fn stop(&mut self, until: Tick, now: Tick) {
        self.pause.start(until, now);
        self.refresh();
    }

    /// Counts a refusal, and returns until when to stop; `None` if the refusal does not stop the limiter.
    pub(super) fn refuse(&mut self, during: During, now: Tick) -> Option<Tick> {
        self.pause.refuse(during, now)
    }

    /// Records a response that was no refusal.
    #[inline]
    pub(super) const fn calm(&mut self) {
        self.pause.calm();
    }

    /// Ends a pause, with its ramp.
    pub(super) fn resume(&mut self, now: Tick) {
        self.pause.end(now);
        self.refresh();
    }

    /// The pause is that of several processes: after it this one waits for its turn.
    pub(super) fn wait_for_turn(&mut self, now: Tick) {
        self.pause.wait_for_turn(now);
        self.refresh();
    }

    /// It is the turn of this process after a pause.
    pub(super) fn take_turn(&mut self) {
        self.pause.take_turn();
        self.refresh();
    }

    /// Returns the pause, to be told to other processes.
    pub(super) const fn pause(&self) -> &Pause {
        &self.pause
    }

    /// Another process was refused as often in a row, and asked to stay away until then.
    pub(super) fn hear_refusals(&mut self, refusals: u8, asked_until: Tick) {
        self.pause.hear(refusals, asked_until);
    }

    /// Keeps the rest of a budget that a response to another process stated, if it is less or newer than what is known
    /// here. Returns whether it is.
    pub(super) fn hear_rest(&mut self, limit: Option<u64>, remaining: u64, resets_at: Tick, now: Tick) -> bool {
        let before = self.advertised.as_deref().filter(|rest| rest.is_told(now));
        let is_news = before.is_none_or(|before| {
            let is_next = resets_at > before.resets_at().saturating_add(SAME_RESET);
            is_next || (remaining < before.remaining() && resets_at.saturating_add(SAME_RESET) > before.resets_at())
        });
        if is_news {
            let rest = AdvertisedRest::new(limit, remaining, self.in_flight, resets_at, now).after(before);
            self.advertised = Some(Box::new(rest.among(self.among)));
            self.refresh();
        }
        is_news
    }

    /// Several processes use what the service states. Returns whether this changes what is open.
    pub(super) fn divide_rest(&mut self, among: Among) -> bool {
        self.among = among;
        let Some(rest) = self.advertised.as_deref_mut().filter(|rest| rest.divided() != among) else { return false };
        *rest = rest.clone().among(among);
        true
    }

    /// Keeps the rest of a budget that a response states, unless the response to a later request already stated it. The
    /// budget does not count `others` requests in flight. `sent`: when the request of the response was sent. Returns
    /// whether anything changed.
    pub(super) fn advertise(&mut self, budget: &Budget, others: u32, sent: Tick, now: Tick) -> bool {
        let (Some(remaining), Some(reset)) = (budget.remaining(), budget.reset()) else { return false };
        let before = self.advertised.as_deref().filter(|rest| !rest.is_over(now));
        // Responses may overtake each other: the request that was sent later has the newer state.
        let is_newer = before.is_none_or(|before| before.seen() <= sent);
        if is_newer {
            let (in_flight, resets_at) = (self.in_flight.max(others), now.saturating_add(nanos(reset)));
            let rest = AdvertisedRest::new(budget.limit(), remaining, in_flight, resets_at, sent).after(before);
            self.advertised = Some(Box::new(rest.among(self.among)));
            self.refresh();
        }
        is_newer
    }

    /// Restarts as after a pause: one request, then two, four and so on.
    pub(super) fn begin_slowly(&mut self, now: Tick) {
        self.pause.begin_ramp(now);
        self.refresh();
    }

    /// The stated rest may belong to another budget: one request is sent, and its response shows which.
    pub(super) fn doubt(&mut self, now: Tick) {
        if self.advertised.take().is_some() {
            self.pause.restart_ramp(now);
            self.refresh();
        }
    }

    /// Returns whether a budget that the service states is certainly smaller than this declared limit: fewer requests,
    /// in a window that is at least as long. A budget without a length is at least as long as the time to its reset.
    pub(super) fn is_above(&mut self, budget: &Budget, now: Tick) -> bool {
        if matches!(self.counter, Counter::Bytes(_) | Counter::Learner(_)) || !budget.counts_requests() {
            return false;
        }
        let (Some((_, own)), Some(length)) = (self.counter.amounts(now), self.counter.length()) else { return false };
        let theirs = budget.window().or(budget.reset()).map(nanos);
        budget.limit().is_some_and(|limit| limit > 0 && limit < own) && theirs.is_some_and(|theirs| theirs >= length)
    }

    /// Stops counting, for the sets that still contain the limiter.
    pub(super) fn retire(&mut self) {
        (self.counter, self.declared, self.advertised) = (Counter::Unlimited, false, None);
        // No process tells another of it any longer.
        self.pause.take_turn();
        self.refresh();
    }

    /// Returns whether no set uses the limiter, and the limiter holds nothing back.
    pub(super) fn is_idle(&mut self, now: Tick) -> bool {
        let is_told = self.advertised.as_ref().is_some_and(|rest| !rest.is_over(now));
        self.holders == 0 && self.in_flight == 0 && !self.pause.is_on(now) && !is_told && self.counter.is_idle(now)
    }
}

/// Resets that differ by less are of the same window: a second, in which services state them.
pub(super) const SAME_RESET: Tick = 1_000_000_000;
/// A minute.
const LOOK_AT_THE_WALL: Tick = 60 * 1_000_000_000;
