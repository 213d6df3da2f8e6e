//! Limiter set: the limiters that count one request.

use crate::throttle::ids::LimiterId;

/// The limiters that count one request, in the order in which they were installed. Five fit without an allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::throttle) enum LimiterSet {
    Few { used: u8, ids: [LimiterId; 5] },
    Many(Box<[LimiterId]>),
}

impl Default for LimiterSet {
    fn default() -> Self {
        Self::Few { used: 0, ids: [LimiterId::default(); 5] }
    }
}

impl LimiterSet {
    pub(in crate::throttle) fn add(&mut self, id: LimiterId) {
        match self {
            Self::Few { used, ids } => match ids.get_mut(usize::from(*used)) {
                Some(place) => {
                    *place = id;
                    *used += 1;
                }
                None => *self = Self::Many(ids.iter().copied().chain([id]).collect()),
            },
            Self::Many(ids) => *ids = ids.iter().copied().chain([id]).collect(),
        }
    }

    #[inline]
    pub(in crate::throttle) fn ids(&self) -> &[LimiterId] {
        match self {
            Self::Few { used, ids } => ids.get(..usize::from(*used)).unwrap_or_default(),
            Self::Many(ids) => ids,
        }
    }

    pub(in crate::throttle) fn contains(&self, id: LimiterId) -> bool {
        self.ids().contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::ids::Id;

    #[test]
    fn holds_as_many_as_there_are() {
        let mut set = LimiterSet::default();
        assert_eq!(size_of::<LimiterSet>(), 24);
        for id in 0..12 {
            set.add(LimiterId::from_slot(id));
            assert_eq!(set.ids(), (0..=id).map(LimiterId::from_slot).collect::<Vec<_>>());
        }
    }
}
