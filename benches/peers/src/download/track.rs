//! Track: what one subject gave in all rounds of a scenario.

use std::time::{Duration, Instant};

use super::measure::Cost;
use super::subjects::Subject;
use crate::Failure;

pub(super) struct Track<'a> {
    pub(super) subject: &'a Subject,
    /// Round by round, up to its first failure.
    pub(super) seen: Vec<Seen>,
    pub(super) failed: Option<String>,
}

/// One round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) cost: Cost,
    /// Bytes on the wire, as a share of the file's length.
    pub(super) wire: f64,
    /// MiB of memory above the same subject with a file of one byte.
    pub(super) above: f64,
}

/// How many rounds there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    pub(super) most: usize,
    /// No further one begins after that, so that a busy machine does not make the short form long.
    pub(super) within: Duration,
}

impl Rounds {
    pub(super) const ONE: Self = Self { most: 1, within: Duration::ZERO };
}

/// Lets all subjects take turns. The first of a round is another one each time. A subject that failed is not asked again.
pub(super) fn rounds<'a>(
    subjects: impl IntoIterator<Item = &'a Subject>,
    rounds: Rounds,
    mut once: impl FnMut(&Subject) -> Result<Seen, Failure>,
) -> Vec<Track<'a>> {
    let track = |subject| Track { subject, seen: Vec::new(), failed: None };
    let mut tracks: Vec<_> = subjects.into_iter().map(track).collect();
    let begun = Instant::now();
    for round in 0..rounds.most {
        if round > 0 && begun.elapsed() > rounds.within {
            break;
        }
        // The one to compare with is neither the first of the first round nor the last.
        let first = (round + tracks.len() / 2) % tracks.len().max(1);
        let (before, from) = tracks.split_at_mut(first);
        for track in from.iter_mut().chain(before).filter(|track| track.failed.is_none()) {
            match once(track.subject) {
                Ok(seen) => track.seen.push(seen),
                Err(error) => track.failed = Some(error.to_string()),
            }
        }
    }
    tracks
}
