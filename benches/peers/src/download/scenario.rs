//! Scenario: the same file over links of several kinds.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::folder::Folder;
use super::measure::{self, Cost};
use super::nginx::Nginx;
use super::server::{CUT, Kind, Server};
use super::subjects::Subject;
use super::table::{CPU, Column, MIB, PEAK, SECONDS, SYNCED, TIMES, Table, WALL, WIRE, WIRE_OF_RAW};
use super::track::{Rounds, Seen, Track, rounds};
use super::{content, fetch};
use crate::report::Report;
use crate::spread::Spread;
use crate::{Failure, Length};

/// Bytes of the files, and how often each is fetched.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) file: u64,
    pub(super) on_disk: u64,
    capped: u64,
    cut: u64,
    made: u64,
    tmpfs: Rounds,
    disk: Rounds,
    cuts: Rounds,
    /// How long one download may take.
    at_most: Duration,
}

impl Sizes {
    pub(super) fn of(length: Length) -> Self {
        let seconds = length.pick(12, 300);
        let rounds = |short, long| match length {
            Length::Short => Rounds { most: short, within: Duration::from_secs(9) },
            Length::Long => Rounds { most: long, within: Duration::MAX },
        };
        Self {
            file: length.pick(512 << 20, 2 << 30),
            on_disk: length.pick(256 << 20, 2 << 30),
            capped: length.pick(128 << 20, 2 << 30),
            cut: length.pick(128 << 20, 2 << 30),
            made: length.pick(4 << 30, 64 << 30),
            tmpfs: rounds(3, 9),
            disk: rounds(1, 5),
            cuts: rounds(1, 3),
            at_most: Duration::from_secs(seconds),
        }
    }
}

/// Where files are written at full speed.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    title: &'static str,
    folder: &'a Folder,
    length: u64,
    rounds: Rounds,
    columns: &'static [Column],
    goal: &'static str,
}

impl<'a> Place<'a> {
    pub(super) fn tmpfs(sizes: Sizes, folder: &'a Folder) -> Self {
        let (columns, goal) = (&[WALL, SECONDS, CPU, WIRE_OF_RAW, MIB], "1.00 of raw, 32 MiB");
        Self { title: "to tmpfs", folder, length: sizes.file, rounds: sizes.tmpfs, columns, goal }
    }

    pub(super) fn disk(sizes: Sizes, folder: &'a Folder) -> Self {
        let (columns, goal) = (&[SYNCED, WALL, SECONDS, CPU, WIRE_OF_RAW, MIB], "1.05 of raw, synced");
        Self { title: "to disk", folder, length: sizes.on_disk, rounds: sizes.disk, columns, goal }
    }
}

/// All subjects, and all servers but nginx.
pub(super) struct Field<'a> {
    subjects: &'a [Subject],
    sizes: Sizes,
    server: &'a Server,
    memory: &'a Folder,
    /// Bytes of memory that each subject needs for a file of one byte.
    baselines: HashMap<&'static str, f64>,
}

impl<'a> Field<'a> {
    pub(super) fn new(subjects: &'a [Subject], sizes: Sizes, server: &'a Server, memory: &'a Folder) -> Self {
        Self { subjects, sizes, server, memory, baselines: HashMap::new() }
    }

    /// Measures a file of one byte: what each subject needs for nothing.
    pub(super) fn one_byte(&mut self, report: &mut Report) -> Result<(), Failure> {
        const ROUNDS: Rounds = Rounds { most: 3, within: Duration::MAX };
        let url = self.server.url(Kind::Made, 1);
        let tracks = rounds(self.subjects, ROUNDS, |subject| {
            self.server.sent()?;
            let cost = self.to_file(subject, &url, 1, self.memory, 0)?;
            Ok(self.seen(subject, cost, self.server.sent()?, 1))
        });
        let note = format!("{}; the memory is the baseline of what follows", counted(&tracks));
        let columns = &[PEAK, SECONDS];
        Table { title: "one byte", note: &note, length: 1, columns, may_fail: false }.print(report, &tracks)?;
        for track in &tracks {
            let peak = track.seen.iter().map(|seen| seen.cost.peak).collect::<Spread>().median();
            self.baselines.insert(track.subject.name, peak);
        }
        Ok(())
    }

    /// Fetches what nginx serves, as fast as it goes.
    pub(super) fn uncapped(
        &self,
        report: &mut Report,
        nginx: &mut Nginx,
        place: &Place<'_>,
    ) -> Result<Vec<Track<'a>>, Failure> {
        let Place { title, folder, length, rounds: many, columns, goal } = *place;
        content::write(&self.memory.path().join(SOURCE), length)?;
        let url = nginx.url(SOURCE);
        // The first ones find everything cold: memory that the machine has yet to get costs twice the time.
        for subject in self.subjects.iter().take(2) {
            self.to_file(subject, &url, length, folder, 0)?;
        }
        nginx.sent()?;
        let tracks = rounds(self.subjects, many, |subject| {
            let cost = self.to_file(subject, &url, length, folder, 0);
            let sent = nginx.sent()?;
            Ok(self.seen(subject, cost?, sent, length))
        });
        let note = format!("{}; goal of longhaul: {goal}", counted(&tracks));
        Table { title, note: &note, length, columns, may_fail: false }.print(report, &tracks)?;
        Ok(tracks)
    }

    pub(super) fn capped(&self, report: &mut Report, how_long: Length) -> Result<Vec<Track<'a>>, Failure> {
        let (length, url) = (self.sizes.capped, self.server.url(Kind::Capped, self.sizes.capped));
        let is_told = |subject: &&Subject| {
            let one = subject.connections == 1 && subject.name != fetch::RAW;
            how_long == Length::Long || !one
        };
        let tracks = rounds(self.subjects.iter().filter(is_told), Rounds::ONE, |subject| {
            self.server.sent()?;
            let cost = self.to_file(subject, &url, length, self.memory, 0)?;
            Ok(self.seen(subject, cost, self.server.sent()?, length))
        });
        let left_out = how_long.pick("; peers with one connection only with --long", "");
        let note = format!("one round; goal of longhaul: 7.5 times one connection{left_out}");
        let columns = &[TIMES, SECONDS, CPU, WIRE];
        Table { title: "at 20 MiB/s per connection", note: &note, length, columns, may_fail: false }
            .print(report, &tracks)?;
        Ok(tracks)
    }

    pub(super) fn cut(&self, report: &mut Report) -> Result<Vec<Track<'a>>, Failure> {
        let (length, url) = (self.sizes.cut, self.server.url(Kind::Cut, self.sizes.cut));
        // As often as one needs that goes on where it was cut.
        let again = length / CUT - 1;
        let others = self.subjects.iter().filter(|subject| subject.name != fetch::RAW);
        let tracks = rounds(others, self.sizes.cuts, |subject| {
            self.server.sent()?;
            let cost = self.to_file(subject, &url, length, self.memory, again)?;
            Ok(self.seen(subject, cost, self.server.sent()?, length))
        });
        let note = format!("{}; goal of longhaul: 1.01 of the length", counted(&tracks));
        let columns = &[WIRE, SECONDS, MIB];
        Table { title: "cut every 32 MiB", note: &note, length, columns, may_fail: true }.print(report, &tracks)?;
        Ok(tracks)
    }

    pub(super) fn made(&self, report: &mut Report) -> Result<Vec<Track<'a>>, Failure> {
        let (length, url) = (self.sizes.made, self.server.url(Kind::Made, self.sizes.made));
        let able = self.subjects.iter().filter(|subject| subject.discards);
        let tracks = rounds(able, Rounds::ONE, |subject| {
            self.server.sent()?;
            let cost = self.measure(&subject.discard(&url)?, Path::new(fetch::NOWHERE))?;
            let sent = self.server.sent()?;
            if sent < length {
                return Err(format!("done after {sent} of {length} bytes").into());
            }
            Ok(self.seen(subject, cost, sent, length))
        });
        let columns = &[MIB, WALL, SECONDS, CPU];
        let note = "one round, into a writer that keeps nothing; goal of longhaul: 32 MiB";
        Table { title: "into a writer", note, length, columns, may_fail: false }.print(report, &tracks)?;
        Ok(tracks)
    }

    /// Downloads into a folder, and checks each byte.
    fn to_file(&self, subject: &Subject, url: &str, length: u64, folder: &Folder, again: u64) -> Result<Cost, Failure> {
        let target = folder.afresh()?.join("target");
        let cost = self.measure(&subject.command(url, &target, again)?, &target)?;
        content::check(&target, length)?;
        Ok(cost)
    }

    fn measure(&self, command: &Command, target: &Path) -> Result<Cost, Failure> {
        measure::run(command, target, self.sizes.at_most, self.memory.path())
    }

    fn seen(&self, subject: &Subject, cost: Cost, sent: u64, length: u64) -> Seen {
        let baseline = self.baselines.get(subject.name).copied().unwrap_or(0.0);
        let above = (cost.peak - baseline).max(0.0) / f64::from(1 << 20);
        Seen { cost, wire: sent as f64 / length as f64, above }
    }
}

/// What the cells of a table are, as so many rounds were made.
fn counted(tracks: &[Track<'_>]) -> String {
    match tracks.iter().map(|track| track.seen.len()).max().unwrap_or(0) {
        1 => "one round".into(),
        rounds => format!("min / median of {rounds} rounds"),
    }
}

/// The name of the file that nginx serves.
const SOURCE: &str = "source";
