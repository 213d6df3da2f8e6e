//! ItemError: an item of a bulk that was not accepted, or whose fate is not known.

use std::fmt;

use bytes::Bytes;

use crate::error::Error;

/// An item of a bulk that has no value: its position, its fate, and the error.
///
/// `Display` shows all three in one line, without secrets.
#[derive(Clone)]
pub struct ItemError {
    index: usize,
    fate: ItemFate,
    error: Error,
    value: Option<Bytes>,
}

/// The fate of an item without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ItemFate {
    /// The service refused this item, and answered the others of its request on their own.
    Rejected,
    /// The service refused the request as a whole: none of its items was accepted.
    Failed,
    /// The service may have accepted the item: the request got no answer, an answer that leaves this open (such as 500
    /// and 504), or an answer in which the item's result cannot be found. The request was not repeated, because a repeat
    /// could add the item twice.
    Uncertain,
    /// The item was not sent: no request could be made, or an earlier one got an error that the rest would get, too.
    NotSent,
    /// The service accepted the item, and its result does not decode. [`ItemError::value`] holds the result.
    Undecoded,
}

impl ItemError {
    pub(super) const fn new(index: usize, fate: ItemFate, error: Error) -> Self {
        Self { index, fate, error, value: None }
    }

    pub(super) fn with_value(mut self, value: Bytes) -> Self {
        self.value = Some(value);
        self
    }

    /// Returns the position of the item among all items of the bulk, from 0 on.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Returns what is known of the item.
    #[must_use]
    pub const fn fate(&self) -> ItemFate {
        self.fate
    }

    /// Returns the error. The items of one request that failed as a whole have the same one. For an item that was not
    /// sent because of an earlier error, it is that error.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }

    /// Returns the service's result for this item as JSON text, if there was one.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
}

impl ItemFate {
    const fn words(self) -> &'static str {
        match self {
            Self::Rejected => "was refused",
            Self::Failed => "was refused with its whole request",
            Self::Uncertain => "may have been accepted",
            Self::NotSent => "was not sent",
            Self::Undecoded => "was accepted, with a result of another type",
        }
    }
}

impl fmt::Display for ItemFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {} {}: {}", self.index, self.fate, self.error)
    }
}

/// Shows the length of the value, and not the value.
impl fmt::Debug for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemError")
            .field("index", &self.index)
            .field("fate", &self.fate)
            .field("error", &self.error)
            .field("value_bytes", &self.value.as_ref().map(Bytes::len))
            .finish()
    }
}

impl std::error::Error for ItemError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
