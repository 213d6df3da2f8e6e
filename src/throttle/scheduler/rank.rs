//! Rank: how urgent a class is.

use crate::message::Class;

/// How urgent a class is: 0 is the most.
pub(in crate::throttle) const fn rank(class: Class) -> usize {
    match class {
        Class::Token => 0,
        Class::Cancel => 1,
        Class::Submit => 2,
        Class::Call => 3,
        Class::Poll => 4,
        Class::Result => 5,
        Class::Download => 6,
        Class::Batch => 7,
    }
}

pub(super) const CLASSES: usize = 8;
