//! Set: the gauges that one request meets.

/// The gauges that one request meets, in the order in which they were installed. Five fit without an allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Set {
    Few { is_keyed: bool, used: u8, gauges: [u32; 5] },
    Many { is_keyed: bool, gauges: Box<[u32]> },
}

impl Default for Set {
    fn default() -> Self {
        Self::Few { is_keyed: false, used: 0, gauges: [0; 5] }
    }
}

impl Set {
    pub(super) fn add(&mut self, gauge: u32) {
        match self {
            Self::Few { is_keyed, used, gauges } => match gauges.get_mut(usize::from(*used)) {
                Some(place) => {
                    *place = gauge;
                    *used += 1;
                }
                None => {
                    let gauges = gauges.iter().copied().chain([gauge]).collect();
                    *self = Self::Many { is_keyed: *is_keyed, gauges };
                }
            },
            Self::Many { gauges, .. } => *gauges = gauges.iter().copied().chain([gauge]).collect(),
        }
    }

    /// As [`add`](Self::add), for one of a key, which is forgotten when nobody holds it.
    pub(super) fn add_keyed(&mut self, gauge: u32) {
        self.add(gauge);
        let (Self::Few { is_keyed, .. } | Self::Many { is_keyed, .. }) = self;
        *is_keyed = true;
    }

    /// Whether one of them is of a key.
    pub(super) const fn is_keyed(&self) -> bool {
        let (Self::Few { is_keyed, .. } | Self::Many { is_keyed, .. }) = self;
        *is_keyed
    }

    pub(super) fn gauges(&self) -> &[u32] {
        match self {
            Self::Few { used, gauges, .. } => gauges.get(..usize::from(*used)).unwrap_or_default(),
            Self::Many { gauges, .. } => gauges,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_many_as_there_are() {
        let mut set = Set::default();
        assert_eq!(size_of::<Set>(), 24);
        for gauge in 0..12 {
            set.add(gauge);
            assert_eq!(set.gauges(), (0..=gauge).collect::<Vec<_>>());
        }
    }
}
