//! Rank: the urgency of a class.

use crate::message::Priority;

/// Returns the urgency of a class: 0 is the most urgent.
pub(in crate::throttle) const fn rank(class: Priority) -> usize {
    match class {
        Priority::Token => 0,
        Priority::Cancel => 1,
        Priority::Submit => 2,
        Priority::Call => 3,
        Priority::Poll => 4,
        Priority::Result => 5,
        Priority::Download => 6,
        Priority::Batch => 7,
    }
}

pub(super) const CLASSES: usize = 8;
