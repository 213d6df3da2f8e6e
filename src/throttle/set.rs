//! Set: the gauges that one request meets.

/// The gauges that one request meets, in the order in which they were installed. Five fit without an allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Set {
    /// One of them is of a key, and forgotten when nobody holds it.
    pub(super) is_keyed: bool,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Few(u8, [u32; 5]),
    Many(Box<[u32]>),
}

impl Default for Set {
    fn default() -> Self {
        Self { is_keyed: false, kind: Kind::Few(0, [0; 5]) }
    }
}

impl Set {
    pub(super) fn add(&mut self, gauge: u32) {
        match &mut self.kind {
            Kind::Few(used, gauges) => match gauges.get_mut(usize::from(*used)) {
                Some(place) => {
                    *place = gauge;
                    *used += 1;
                }
                None => self.kind = Kind::Many(gauges.iter().copied().chain([gauge]).collect()),
            },
            Kind::Many(gauges) => self.kind = Kind::Many(gauges.iter().copied().chain([gauge]).collect()),
        }
    }

    pub(super) fn gauges(&self) -> &[u32] {
        match &self.kind {
            Kind::Few(used, gauges) => gauges.get(..usize::from(*used)).unwrap_or_default(),
            Kind::Many(gauges) => gauges,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_many_as_there_are() {
        let mut set = Set::default();
        assert!(size_of::<Set>() <= 32);
        for gauge in 0..12 {
            set.add(gauge);
            assert_eq!(set.gauges(), (0..=gauge).collect::<Vec<_>>());
        }
    }
}
