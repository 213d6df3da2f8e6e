//! Entry: one change of a table, and its bytes in a log.

use std::sync::Arc;

use super::state::StoredState;

/// One change of a table. Data is generic: bytes to write, or their place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry<D> {
    /// A record with new data.
    Put { head: Head, data: D },
    /// A record that keeps its data. An acknowledged record has none.
    Turn(Head),
    /// The lease of an owner, up to a time of the lease clock.
    Beat { owner: Arc<str>, until: u64 },
    /// A record is gone.
    Forget { name: Arc<str> },
}

/// A record without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) name: Arc<str>,
    pub(super) owner: Option<Arc<str>>,
    pub(super) fence: u64,
    pub(super) state: StoredState,
    /// The time of the last change of the state, in milliseconds since 1970.
    pub(super) since: u64,
}

/// The time of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Now {
    /// The lease clock, in milliseconds.
    pub(super) lease: u64,
    /// The wall clock, in milliseconds since 1970.
    pub(super) wall: u64,
}

/// Data inside a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) length: u32,
}

impl<D> Entry<D> {
    /// Returns the name of the record that the entry removes.
    pub(super) const fn forgets(&self) -> Option<&Arc<str>> {
        match self {
            Self::Forget { name } => Some(name),
            Self::Put { .. } | Self::Turn(_) | Self::Beat { .. } => None,
        }
    }
}

impl Entry<Vec<u8>> {
    /// Appends the bytes of the entry. Returns the entry with the place of its data in `bytes`; `None` if a part is too
    /// long.
    pub(super) fn encode(self, bytes: &mut Vec<u8>) -> Option<Entry<Place>> {
        Some(match self {
            Self::Put { head, data } => {
                bytes.push(PUT);
                encode_head(&head, bytes)?;
                let length = u32::try_from(data.len()).ok()?;
                bytes.extend_from_slice(&length.to_le_bytes());
                let at = bytes.len() as u64;
                bytes.extend_from_slice(&data);
                Entry::Put { head, data: Place { at, length } }
            }
            Self::Turn(head) => {
                bytes.push(TURN);
                encode_head(&head, bytes)?;
                Entry::Turn(head)
            }
            Self::Beat { owner, until } => {
                bytes.push(BEAT);
                encode_text(&owner, bytes)?;
                bytes.extend_from_slice(&until.to_le_bytes());
                Entry::Beat { owner, until }
            }
            Self::Forget { name } => {
                bytes.push(FORGET);
                encode_text(&name, bytes)?;
                Entry::Forget { name }
            }
        })
    }
}

impl Entry<Place> {
    /// Reads one entry; `None` if the bytes are none.
    pub(super) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.byte()? {
            PUT => {
                let head = decode_head(from)?;
                let length = from.u32()?;
                let at = from.at;
                from.take(usize::try_from(length).ok()?)?;
                Self::Put { head, data: Place { at, length } }
            }
            TURN => Self::Turn(decode_head(from)?),
            BEAT => Self::Beat { owner: from.text()?, until: from.u64()? },
            FORGET => Self::Forget { name: from.text()? },
            _ => return None,
        })
    }
}

fn encode_head(head: &Head, bytes: &mut Vec<u8>) -> Option<()> {
    encode_text(&head.name, bytes)?;
    encode_text(head.owner.as_deref().unwrap_or_default(), bytes)?;
    bytes.extend_from_slice(&head.fence.to_le_bytes());
    bytes.push(head.state.to_byte());
    bytes.extend_from_slice(&head.since.to_le_bytes());
    Some(())
}

fn decode_head(from: &mut Reader<'_>) -> Option<Head> {
    Some(Head {
        name: from.text()?,
        owner: Some(from.text()?).filter(|owner| !owner.is_empty()),
        fence: from.u64()?,
        state: StoredState::from_byte(from.byte()?)?,
        since: from.u64()?,
    })
}

fn encode_text(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.extend_from_slice(&u16::try_from(text.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Some(())
}

/// Reads bytes, and knows their offset in the file.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: u64,
}

impl<'a> Reader<'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        self.at += length as u64;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = self.u16()?;
        str::from_utf8(self.take(usize::from(length))?).ok().map(Arc::from)
    }
}

const PUT: u8 = 1;
const TURN: u8 = 2;
const BEAT: u8 = 3;
const FORGET: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written_and_no_cut_one_is_read() {
        let head = |owner: Option<&str>, state| Head {
            name: "a".into(),
            owner: owner.map(Into::into),
            fence: 7,
            state,
            since: 9,
        };
        for entry in [
            Entry::Put { head: head(Some("o"), StoredState::Intended), data: b"data".to_vec() },
            Entry::Put { head: head(None, StoredState::Submitted), data: Vec::new() },
            Entry::Turn(head(None, StoredState::Acknowledged)),
            Entry::Beat { owner: "o".into(), until: u64::MAX },
            Entry::Forget { name: "ä".into() },
        ] {
            let mut bytes = Vec::new();
            let placed = entry.encode(&mut bytes).unwrap();
            assert_eq!(Entry::decode(&mut Reader { bytes: &bytes, at: 0 }), Some(placed.clone()));
            for length in 0..bytes.len() {
                assert_eq!(Entry::decode(&mut Reader { bytes: &bytes[..length], at: 0 }), None, "{placed:?} {length}");
            }
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_no_entry() {
        let name: Arc<str> = "x".repeat(70_000).into();
        assert_eq!(Entry::Forget { name }.encode(&mut Vec::new()), None);
    }
}
