//! A task from submit to outcome.

mod depth;
mod life;
mod nothing_lost;
mod results;
