//! Probe: an additional poll of some tasks, without which a change to shorter durations would never show.

use super::timetable::Timetable;

/// Returns the age of the additional poll, before the first one of the timetable, if it is the turn of this task.
///
/// A first poll that finds the task ended does not show how long ago. Two kinds of probes do: one at the middle of what
/// is still unknown, which halves it, and one at a random distance before the first poll, small distances being as likely
/// as large ones, which notices that tasks have become shorter.
pub(super) fn probe(table: &Timetable, turn: u64, chance: f64) -> Option<f64> {
    let first = table.next(0.0);
    let middle = table.middle(first);
    let is_vague = first - middle > table.cost() * VAGUE;
    if is_vague && turn < YOUNG {
        return turn.is_multiple_of(OFTEN).then_some(middle);
    }
    let halves = (turn / SELDOM).is_multiple_of(2) && is_vague;
    turn.is_multiple_of(SELDOM).then(|| if halves { middle } else { before(first, table.cost(), chance) })
}

/// Returns an age before the first poll: between 0.07 % and 70 % before it, and by a fifth of the poll cost at least.
fn before(first: f64, cost: f64, chance: f64) -> f64 {
    let distance = f64::max(first * 0.7 * 10.0_f64.powf(-3.0 * chance), cost * 0.2);
    if distance < first { first - distance } else { first * 0.5 }
}

/// In the long run one task in eight is probed: an eighth of a poll is what certainty costs per task.
const SELDOM: u64 = 8;
/// Until so many tasks have begun, one in three is probed while the end of the tasks is vague.
const YOUNG: u64 = 40;
const OFTEN: u64 = 3;
/// The middle of what is unknown is worth a poll if it lies so much of the poll cost before the first poll.
const VAGUE: f64 = 0.05;
