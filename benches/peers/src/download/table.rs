//! Table: the rows of a scenario.

use super::track::{Seen, Track};
use crate::Failure;
use crate::report::{Report, Row, Unit};
use crate::spread::Spread;

/// A number of a round, which may be compared with the first subject's in the same round.
pub(super) type Value = fn(&Seen, &Seen) -> f64;

pub(super) struct Column(pub(super) &'static str, pub(super) Unit, pub(super) Value);

pub(super) const WALL: Column = Column("wall of raw", Unit::Ratio, |seen, raw| seen.cost.wall / raw.cost.wall);
pub(super) const SYNCED: Column =
    Column("wall of raw, synced", Unit::Ratio, |seen, raw| seen.cost.synced / raw.cost.synced);
pub(super) const CPU: Column = Column("CPU of raw", Unit::Ratio, |seen, raw| seen.cost.cpu / raw.cost.cpu);
pub(super) const WIRE_OF_RAW: Column = Column("wire of raw", Unit::Precise, |seen, raw| seen.wire / raw.wire);
pub(super) const WIRE: Column = Column("wire of length", Unit::Precise, |seen, _| seen.wire);
pub(super) const TIMES: Column =
    Column("times one connection", Unit::Ratio, |seen, raw| raw.cost.wall / seen.cost.wall);
pub(super) const PEAK: Column = Column("MiB at most", Unit::Count, |seen, _| seen.cost.peak / f64::from(1 << 20));
pub(super) const SECONDS: Column = Column("wall s", Unit::Seconds, |seen, _| seen.cost.wall);
pub(super) const MIB: Column = Column("MiB above", Unit::Count, |seen, _| seen.above);

/// How a scenario is shown.
pub(super) struct Table<'a> {
    pub(super) title: &'a str,
    pub(super) note: &'a str,
    /// Bytes of the file.
    pub(super) length: u64,
    pub(super) columns: &'a [Column],
    /// Whether an end before the end of the file is a result, and no accident.
    pub(super) may_fail: bool,
}

impl Table<'_> {
    pub(super) fn print(&self, report: &mut Report, tracks: &[Track<'_>]) -> Result<(), Failure> {
        let raw = tracks.first().ok_or("no subjects")?;
        let rows: Vec<_> = tracks.iter().map(|track| self.row(track, raw)).collect();
        report.table(self.title, self.note, &rows)?;
        for track in tracks {
            if let Some(why) = &track.failed {
                println!("  {}: failed: {why}", track.subject.name);
            }
        }
        Ok(())
    }

    fn row(&self, track: &Track<'_>, raw: &Track<'_>) -> Row {
        let mut row = Row::new(track.subject.name);
        if self.may_fail {
            row = row.one("finished", Unit::Count, f64::from(u8::from(track.failed.is_none())));
        }
        for Column(metric, unit, value) in self.columns {
            row = match track.failed {
                None => row.rounds(metric, *unit, values(track, raw, *value)),
                Some(_) => row.none(metric),
            };
        }
        row.one("GiB", Unit::Seconds, self.length as f64 / (1_u64 << 30) as f64)
    }
}

/// The median of all rounds, if none failed.
pub(super) fn median(track: &Track<'_>, raw: &Track<'_>, value: Value) -> Option<f64> {
    track.failed.is_none().then(|| values(track, raw, value).collect::<Spread>().median())
}

/// Where the first subject itself has failed there is nothing to compare with, and it stands for itself.
fn values<'a>(track: &'a Track<'_>, raw: &'a Track<'_>, value: Value) -> impl Iterator<Item = f64> {
    (0..).zip(&track.seen).map(move |(at, seen)| value(seen, raw.seen.get(at).unwrap_or(seen)))
}
