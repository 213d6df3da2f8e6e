//! Shares: how a window is divided when its members want more than it has.

use std::collections::BTreeMap;

use super::member::Member;

/// The share of each member, of whole slots: its fraction rounded down, but at least one, and rounded up. Without
/// scarcity both are the whole window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) low: u64,
    pub(super) high: u64,
    /// Whether the wants do not fit.
    pub(super) is_scarce: bool,
    /// Whether there are more members than slots.
    pub(super) is_below_one: bool,
}

impl Share {
    /// Divides a window evenly: a member that wants less than an even part gets what it wants, and the rest is divided
    /// among the others.
    pub(super) fn of(members: &BTreeMap<String, Member>, count: u64) -> Self {
        let mut wants: Vec<u64> =
            members.values().map(|member| member.want.min(count)).filter(|want| *want > 0).collect();
        wants.sort_unstable();
        let mut rest = count;
        for (at, want) in wants.iter().enumerate() {
            let others = u64::try_from(wants.len() - at).unwrap_or(u64::MAX);
            if want.saturating_mul(others) > rest {
                let (low, high) = ((rest / others).max(1), rest.div_ceil(others));
                return Self { low, high, is_scarce: true, is_below_one: rest < others };
            }
            rest -= want;
        }
        Self { low: count, high: count, is_scarce: false, is_below_one: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(wants: &[u64], count: u64) -> Share {
        let members = wants.iter().enumerate();
        let member = |want: &u64| Member { want: *want, ..Member::default() };
        Share::of(&members.map(|(at, want)| (at.to_string(), member(want))).collect(), count)
    }

    #[test]
    fn what_one_does_not_want_the_others_share() {
        for (wants, count, low, high, is_scarce) in [
            (&[][..], 4, 4, 4, false),
            (&[4, 0], 4, 4, 4, false),
            (&[9], 4, 4, 4, false),
            (&[1, 9], 10, 10, 10, false),
            (&[2, 9], 10, 8, 8, true),
            (&[2, 9, 9], 10, 4, 4, true),
            (&[9, 9, 9, 9], 15, 3, 4, true),
            (&[1, 1, 1], 2, 1, 1, true),
        ] {
            let share = share(wants, count);
            assert_eq!((share.low, share.high, share.is_scarce), (low, high, is_scarce), "{wants:?} of {count}");
            assert_eq!(share.is_below_one, wants == [1, 1, 1]);
        }
    }
}
