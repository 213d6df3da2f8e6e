//! The protocol as a pure function: answers go in, steps come out.

mod nothing_false;
mod reading;
