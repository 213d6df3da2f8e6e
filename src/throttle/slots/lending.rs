//! Lending: what a member is lent, what it is asked to give back, and which others are nudged.
//!
//! A member below its share rounded down comes first, then one below its share rounded up, each in the order in which
//! they began to wait; what nobody needs goes to whoever wants more. Nobody is lent a slot that a member ahead of it
//! waits for.
//!
//! While all wants fit, a member that waits and gets a slot that is free only later keeps waiting for an earlier one:
//! others are nudged that may hold idle slots, and what they give back goes to it, too.

use std::collections::BTreeMap;

use super::member::{Kept, Member};
use super::message::Ask;
use super::pool::{End, Pool};
use super::shares::Share;
use super::{LONGEST_FROZEN, LONGEST_STEP, Micros};

/// The outcome for the member that asks.
pub(super) struct Lent {
    pub(super) kept: Kept,
    pub(super) nudged: Vec<String>,
}

/// The needs of the other members.
#[derive(Default)]
struct Others {
    /// Below their share rounded down: of all, and of those who began to wait earlier.
    low: u64,
    low_ahead: u64,
    /// Beyond that, below their share rounded up: of all, and of those who began to wait earlier.
    high: u64,
    high_ahead: u64,
    /// The slots that they were lent although they need earlier ones.
    late: u64,
    /// Whether any of them wants more than it holds.
    are_hungry: bool,
    /// Those who hold more than their share or their want, and were not asked for it yet.
    over: Vec<String>,
}

/// Lends free slots to the member that asks, whose record is up to date. `debt`: the slots that are held beyond those of
/// the window; `comes_back`: slots have just become free.
pub(super) fn lend(
    members: &mut BTreeMap<String, Member>,
    free: &mut Pool,
    (count, debt): (u64, u64),
    ask: &Ask,
    comes_back: bool,
    now: Micros,
) -> Lent {
    let share = Share::of(members, count);
    let Some(own) = members.get_mut(&ask.member) else { return Lent { kept: Kept::default(), nudged: Vec::new() } };
    let until = now.saturating_add(ask.window).saturating_add(SOON);
    let mut usable = free.until(until);
    if own.want.min(share.low) > own.held && own.below_low == 0 {
        own.below_low = now;
    }
    if own.want.min(share.high) > own.held && own.below_high == 0 {
        own.below_high = now;
    }
    let mut own = own.clone();
    let soon = now.saturating_add(EARLY);
    let others = Others::of(members, &share, count, (&ask.member, &own), soon);

    let urgent = own.want.min(share.low).saturating_sub(own.held);
    let fair = own.want.min(share.high).saturating_sub(own.held);
    let full = own.want.min(count).saturating_sub(own.held);
    let lent = [
        urgent.min(usable.saturating_sub(others.low_ahead)),
        fair.min(usable.saturating_sub(others.low).saturating_sub(others.high_ahead)),
        full.min(usable.saturating_sub(others.low).saturating_sub(others.high)),
    ];
    own.late = own.late.min(own.want.saturating_sub(own.held.saturating_sub(own.late)));
    let mut grants = free.take(lent.into_iter().max().unwrap_or(0), until, End::Earliest);
    let got: u64 = grants.iter().map(|(_, slots)| slots).sum();
    own.held += got;
    usable -= got;
    own.is_called = false;
    let is_late = own.wait_for(&grants, soon, share.is_scarce);
    if !share.is_scarce && got + own.late > 0 && ask.window <= LONGEST_FROZEN {
        // Slots that are free now serve those who hold later ones; of the rest, each gets a part for requests to come.
        let ready = free.until(soon).saturating_sub(others.low);
        let size = u64::try_from(members.len()).unwrap_or(u64::MAX);
        let part = if size > 1 { ready.saturating_sub(others.late) / size.saturating_add(1) } else { 0 };
        let spare = part.saturating_sub(own.held.saturating_sub(own.want));
        let more = free.take(spare.max(own.late.min(ready)), soon, End::Earliest);
        let got: u64 = more.iter().map(|(_, slots)| slots).sum();
        own.held += got;
        usable -= got;
        own.late = own.late.saturating_sub(got);
        grants.extend(more);
    }
    let is_late = is_late && own.late > 0;

    let is_below_low = own.held < own.want.min(share.low);
    let is_below_high = own.held < own.want.min(share.high);
    if !is_below_low {
        own.below_low = 0;
    }
    if !is_below_high {
        own.below_high = 0;
    }
    // A slot that is owed is needed as much as one that a member waits for.
    let missing = others.low.saturating_sub(usable).saturating_add(debt);
    let mut recall = recall(&mut own, members, (&share, &others, missing, usable), ask, now);
    if recall == 0 && debt > 0 && own.held > own.want.min(share.low) {
        recall = 1;
    }
    own.recalled = recall;
    let poll = if is_below_low { ask.window.clamp(SOON, LONGEST_STEP) } else { 0 };

    let mut nudged = Vec::new();
    if is_below_high || is_late || debt > 0 {
        let needs = own.want.min(share.high).saturating_sub(own.held) + own.late + debt;
        nudged = holding_over(members, &others.over, share.high, needs, if is_late { soon } else { Micros::MAX });
        if is_late && others.over.is_empty() {
            nudged = silent(members, &ask.member, soon);
        }
        if is_below_low && others.over.is_empty() && usable == 0 && !share.is_below_one {
            // What the others told of their wants may be old: the two that hold most are asked anew.
            nudged = holding_most(members, &ask.member);
        }
    }
    if comes_back {
        nudged.extend(waiting_for(members, &share, count, &ask.member, usable));
        let mut ready = free.until(soon);
        for (name, other) in members.iter().filter(|(name, other)| **name != ask.member && other.is_late(soon)) {
            if ready > 0 && !nudged.contains(name) {
                nudged.push(name.clone());
                ready = ready.saturating_sub(other.late);
            }
        }
    }
    for name in &nudged {
        if let Some(member) = members.get_mut(name) {
            member.is_called = true;
        }
    }
    let contended = missing > 0 || others.are_hungry;
    members.insert(ask.member.clone(), own);
    Lent { kept: Kept { is_void: false, recall, poll, contended, grants }, nudged }
}

impl Others {
    fn of(
        members: &BTreeMap<String, Member>,
        share: &Share,
        count: u64,
        (name, own): (&String, &Member),
        soon: Micros,
    ) -> Self {
        let mut others = Self::default();
        // The order of waiting: by time, then by name.
        let is_ahead = |since: Micros, own_since: Micros, other: &String| {
            since > 0 && (since < own_since || (since == own_since && other < name))
        };
        for (other, member) in members.iter().filter(|(other, _)| *other != name) {
            let (low, high) = (member.want.min(share.low), member.want.min(share.high));
            let (needs_low, needs_high) = (low.saturating_sub(member.held), high.saturating_sub(member.held.max(low)));
            others.low += needs_low;
            others.high += needs_high;
            if needs_low > 0 {
                if is_ahead(member.below_low, own.below_low, other) {
                    others.low_ahead += needs_low;
                }
            } else if needs_high > 0 && is_ahead(member.below_high, own.below_high, other) {
                others.high_ahead += needs_high;
            }
            others.late += if member.is_late(soon) { member.late } else { 0 };
            others.are_hungry |= member.want.min(count) > member.held;
            let kept = member.held.saturating_sub(member.recalled);
            if kept > if share.is_below_one { 0 } else { share.high } || kept > member.want {
                others.over.push(other.clone());
            }
        }
        others
    }
}

/// Returns how many slots the member that asks should give back.
fn recall(
    own: &mut Member,
    members: &BTreeMap<String, Member>,
    (share, others, missing, usable): (&Share, &Others, u64, u64),
    ask: &Ask,
    now: Micros,
) -> u64 {
    let needed = missing + others.high;
    let due = own.want.min(share.high);
    let mut recall = if own.held > share.high && needed > 0 {
        needed.min(own.held - share.high)
    } else if missing > 0 && own.held > due {
        missing.min(own.held - due)
    } else if missing > 0 && share.is_below_one && own.held > 0 {
        // There are more members than slots: a slot goes round.
        1
    } else {
        0
    };
    // Whole slots do not divide evenly: who has one more gives it up after a term.
    if share.is_scarce && !share.is_below_one && share.high > share.low && own.held > share.low {
        let term = SHORTEST_TERM.max(2 * ask.window).saturating_mul(share.low);
        if own.above_low == 0 {
            own.above_low = now;
        } else if recall == 0 && now - own.above_low >= term {
            let is_poor = |(name, member): &(&String, &Member)| {
                **name != ask.member && member.want > share.low && member.held <= share.low
            };
            let poor = members.iter().filter(is_poor).count();
            if u64::try_from(poor).unwrap_or(u64::MAX) > usable {
                (recall, own.above_low) = (1, now);
            }
        }
    } else {
        own.above_low = 0;
    }
    recall
}

/// Returns those of `over` that hold most beyond their use, as many as are needed. Those who were nudged already are left
/// out, and those who wait for a slot that is free after `soon`.
fn holding_over(
    members: &BTreeMap<String, Member>,
    over: &[String],
    high: u64,
    mut needs: u64,
    soon: Micros,
) -> Vec<String> {
    let excess = |member: &Member| member.held.saturating_sub(member.recalled).saturating_sub(member.want.min(high));
    let known = over.iter().filter_map(|name| members.get_key_value(name));
    let mut over: Vec<_> = known.filter(|(_, member)| !member.is_called && !member.is_late(soon)).collect();
    over.sort_by_key(|(_, member)| std::cmp::Reverse(excess(member)));
    let mut nudged = Vec::new();
    for (name, member) in over {
        if needs == 0 {
            break;
        }
        nudged.push(name.clone());
        needs = needs.saturating_sub(excess(member).max(1));
    }
    nudged
}

/// Returns two other members that may hold idle slots: whoever runs short asks often, so those who have been silent for
/// longest use least of what they hold.
fn silent(members: &BTreeMap<String, Member>, own: &str, soon: Micros) -> Vec<String> {
    let may = |(name, member): &(&String, &Member)| {
        *name != own && !member.is_called && !member.is_late(soon) && member.held >= FEW
    };
    let mut silent: Vec<_> = members.iter().filter(may).collect();
    silent.sort_by_key(|(_, member)| member.ends);
    silent.into_iter().take(2).map(|(name, _)| name.clone()).collect()
}

/// Returns the two other members that hold most.
fn holding_most(members: &BTreeMap<String, Member>, own: &str) -> Vec<String> {
    let holds = |(name, member): &(&String, &Member)| *name != own && member.held > member.recalled;
    let mut holders: Vec<_> = members.iter().filter(holds).collect();
    holders.sort_by_key(|(_, member)| std::cmp::Reverse(member.held));
    holders.into_iter().take(2).map(|(name, _)| name.clone()).collect()
}

/// Returns the members that wait for `usable` slots, longest first.
fn waiting_for(
    members: &BTreeMap<String, Member>,
    share: &Share,
    count: u64,
    own: &str,
    mut usable: u64,
) -> Vec<String> {
    let mut waiting: Vec<_> = members
        .iter()
        .filter(|(name, member)| *name != own && member.want.min(count) > member.held)
        .map(|(name, member)| {
            let (low, high) = (member.want.min(share.low), member.want.min(share.high));
            let (rank, until) = if member.below_low > 0 {
                ((0, member.below_low), low)
            } else if high > member.held {
                ((1, member.below_high), high)
            } else {
                ((2, member.held), member.want.min(count))
            };
            (rank, name, until.saturating_sub(member.held))
        })
        .collect();
    waiting.sort_unstable();
    let mut nudged = Vec::new();
    for (_, name, needs) in waiting {
        if usable == 0 {
            break;
        }
        nudged.push(name.clone());
        usable = usable.saturating_sub(needs);
    }
    nudged
}

/// Slots that are free this long after the window are lent, too: 50 ms. Also the shortest time until the next ask.
const SOON: Micros = 50_000;
/// A slot that is free within 20 ms is as good as a free one.
const EARLY: Micros = 20_000;
/// Whoever holds fewer slots has hardly an idle one.
const FEW: u64 = 3;
/// For how long a member keeps a slot that does not divide evenly, for each slot of its share: 2 seconds, or two
/// windows.
const SHORTEST_TERM: Micros = 2_000_000;
