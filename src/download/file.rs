//! The file sink: fetches into a part, which becomes the target when it is complete.

use std::io;
use std::path::{Path, absolute};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::checksum::{Algorithm, Expected};
use super::deadline::{in_time, too_late};
use super::disk::Disk;
use super::identity::Identity;
use super::job::{Ended, Job, io_error};
use super::kept_file::KeptFile;
use super::names::Names;
use super::object;
use super::part::{Kept, Part};
use super::progress::Gauge;
use super::reader::{Piece, Reader};
use super::receipt::Receipt;
use super::settings::{Overwrite, Settings};
use super::source::Source;
use super::verification::Verification;
use super::{parts, straight};
use crate::error::{Error, ErrorKind};
use crate::message::Response;

/// Writes a result that is already held.
pub(super) async fn write_held(
    target: &Path,
    bytes: Bytes,
    settings: &Settings,
    gauge: &Gauge,
) -> Result<Receipt, Error> {
    let length = bytes.len() as u64;
    let path = absolute(target).map_err(|error| io_error(target, error))?;
    check_free(&path, settings.overwrite)?;
    gauge.set(0, Some(length));
    if settings.overwrite == Overwrite::IfDifferent
        && let Some(file) = KeptFile::at(&path, 0).await
        && file.length() == length
        && file.has(&[Expected::of(Algorithm::Sha256, &bytes)]).await
    {
        return Ok(unchanged(length, path, vec!["length"], gauge));
    }
    let disk = Disk::new(open(target, &path, 0, false).await?);
    let replaces = settings.overwrite != Overwrite::Never;
    let verification = Verification::of(None, settings);
    verification.check_enough()?;
    let (algorithms, expected) = (verification.algorithms(), verification.expected().to_vec());
    let refused = |error| io_error(target, error);
    let found = disk
        .run(move |part| {
            part.begin(Identity::of_length(length), &expected)?;
            part.write(0, &bytes)?;
            part.checksums(length, &algorithms)
        })
        .await
        .map_err(refused)?;
    let verified = match verification.check(&found, Some(length)) {
        Ok(verified) => verified,
        Err(error) => {
            disk.begin_anew().await.ok();
            return Err(error);
        }
    };
    disk.finish(length, replaces).await.map_err(refused)?;
    gauge.set(length, Some(length));
    Ok(Receipt { bytes: length, verified, path: Some(path), ..Receipt::default() })
}

/// Fetches into a file, resuming the part of an earlier call. `begun`: a reader whose first answer was read already.
pub(super) async fn fetch(
    target: &Path,
    source: Arc<Source>,
    mut begun: Begun,
    settings: &Settings,
    gauge: &Gauge,
) -> Result<Receipt, Error> {
    // A later change of the process' working directory does not change the file's location.
    let path = absolute(target).map_err(|error| io_error(target, error))?;
    check_free(&path, settings.overwrite)?;
    let object = object::of(&source.url());
    let kept_file = match settings.overwrite {
        Overwrite::IfDifferent => KeptFile::at(&path, object).await,
        Overwrite::Never | Overwrite::Always => None,
    };
    let kept_file = match (kept_file, &settings.checksum) {
        (Some(file), Some(checksum)) => {
            if file.has(std::slice::from_ref(checksum.expected())).await {
                return Ok(unchanged(file.length(), path, vec![checksum.expected().algorithm.name()], gauge));
            }
            // Whatever the storage says, the application wants another file.
            None
        }
        (file, _) => file,
    };
    let permit = match begun.permit.take() {
        Some(permit) => Some(permit),
        None => in_time(settings.until, source.connection(), || too_late(&source, gauge)).await?,
    };
    let opening = open(target, &path, object, settings.resumes);
    let part = in_time(settings.until, opening, || too_late(&source, gauge)).await?;
    let disk = Arc::new(Disk::new(part));
    let job = Job::new(&source, settings, &disk, target, gauge);
    let running = run(&job, begun, kept_file.as_ref(), &path);
    // At the deadline, the connections are dropped; what they hold is written all the same.
    let mut ran = in_time(settings.until, running, || too_late(&source, gauge)).await;
    // The last step is short, and either done or not: no deadline ends it.
    if let Ok(receipt) = &ran
        && !receipt.is_unchanged
    {
        let replaces = settings.overwrite != Overwrite::Never;
        if let Err(error) = disk.finish(receipt.bytes, replaces).await {
            ran = Err(io_error(target, error));
        } else {
            gauge.set(receipt.bytes, Some(receipt.bytes));
        }
    }
    drop(permit);
    gauge.connections(0);
    if ran.is_err() {
        let kept = match disk.settle().await {
            Ok(()) => disk.run(Part::keep).await,
            unsettled => unsettled,
        };
        if let Err(error) = kept {
            tracing::debug!(%error, "what came of a download could not be kept");
        }
    }
    // The lock of the part is free before the caller goes on.
    if let Some(disk) = Arc::into_inner(disk) {
        disk.close().await;
    }
    ran
}

/// What was read before the target was known.
#[derive(Default)]
pub(super) struct Begun {
    /// The right to a connection.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) received: Option<Response>,
    pub(super) reader: Option<Box<Reader>>,
}

async fn run(job: &Job<'_>, begun: Begun, kept_file: Option<&KeptFile>, path: &Path) -> Result<Receipt, Error> {
    let kept = job.blocking(|part| Ok(part.kept())).await?;
    let resumed_at = kept.as_ref().map_or(0, |kept| kept.bytes);
    let trusts_weak = job.settings.trusts_weak;
    let kept = kept.filter(|kept| kept.identity.has_proof(trusts_weak));
    // A part goes on with another range: the body of an answer that named the file is let go.
    let opened = begun.reader.filter(|_| kept.is_none());
    let reader = opened.unwrap_or_else(|| {
        let reader = Reader::new(job.source.clone()).received(begun.received.filter(|_| kept.is_none()));
        Box::new(reader.unless(kept_file.and_then(|file| file.etag().map(str::to_owned))))
    });
    let mut receipt = Receipt { resumed_at, path: Some(path.to_owned()), ..Receipt::default() };
    let mut verification = Verification::of(None, job.settings);
    let mut ended = match kept {
        Some(kept) => {
            job.gauge.set(kept.bytes, kept.identity.total);
            match go_on(job, &kept, kept_file, &mut verification).await {
                // The part of an earlier call belongs to an older result: none of it is used.
                Err(error) if error.kind() == ErrorKind::ResultChanged && job.gauge.now().bytes() == kept.bytes => {
                    tracing::debug!(%error, "the part of an earlier call is of another object");
                    Ended::Anew(reader)
                }
                ended => ended?,
            }
        }
        None => Ended::Anew(reader),
    };
    let mut begins = 0;
    let total = loop {
        let mut reader = match ended {
            Ended::Whole { total } => break total,
            Ended::Anew(reader) => reader,
            Ended::Unchanged { verified } => {
                // The part is of no use any more.
                job.disk.begin_anew().await.map_err(|error| job.refused(error))?;
                let length = kept_file.map_or(0, KeptFile::length);
                return Ok(unchanged(length, path.to_owned(), verified, job.gauge));
            }
        };
        if begins > 0 || receipt.resumed_at > 0 {
            job.disk.begin_anew().await.map_err(|error| job.refused(error))?;
            job.gauge.set(0, None);
            receipt.resumed_at = 0;
        }
        begins += 1;
        if begins > MOST_BEGINS {
            let why = "the download began anew again and again: this storage neither resumes nor sends it all at once";
            return Err(job.source.error(ErrorKind::Interrupted, why).with_attempts(begins));
        }
        if let Some(Piece::NotModified) = reader.begin().await.inspect_err(|_| job.count(&reader))? {
            let length = kept_file.map_or(0, KeptFile::length);
            return Ok(unchanged(length, path.to_owned(), vec!["etag"], job.gauge));
        }
        verification = Verification::of(reader.head(), job.settings);
        if let Some(file) = kept_file {
            let identity = reader.identity().cloned();
            if let Some(verified) = file.is_same(identity, &verification).await {
                return Ok(unchanged(file.length(), path.to_owned(), verified, job.gauge));
            }
        }
        ended = begin(job, reader, &verification).await?;
    };
    receipt.verified = verify(job, &verification, total).await?;
    receipt.warnings = verification.warnings(&job.source.url());
    receipt.bytes = total;
    receipt.renewed = job.source.renewed();
    (receipt.reopened, receipt.connections) = job.counts();
    Ok(receipt)
}

/// Goes on with the part of an earlier call.
async fn go_on(
    job: &Job<'_>,
    kept: &Kept,
    kept_file: Option<&KeptFile>,
    verification: &mut Verification,
) -> Result<Ended, Error> {
    let identity = kept.identity.clone();
    let (missing, end) = match identity.total {
        Some(total) => (job.blocking(move |part| Ok(part.gaps(total))).await?, Some(total)),
        None => (Vec::new(), job.blocking(|part| Ok(part.end_of_beginning())).await?),
    };
    // The first answer says whether the object is still the same, also if nothing is missing, and what its checksums
    // are.
    let mut reader = match (missing.first(), end) {
        (Some(gap), _) => Reader::of_range(job.source.clone(), identity.clone(), gap.start, gap.end),
        (None, Some(end)) => Reader::of_rest(job.source.clone(), identity.clone(), end),
        (None, None) => return Ok(Ended::Anew(Box::new(Reader::new(job.source.clone())))),
    };
    if reader.begin().await.inspect_err(|_| job.count(&reader))?.is_some() {
        return Ok(Ended::Anew(Box::new(reader)));
    }
    *verification = Verification::of(reader.head(), job.settings).with_earlier(&kept.expected, job.settings);
    if let Some(file) = kept_file
        && let Some(verified) = file.is_same(reader.identity().cloned(), verification).await
    {
        return Ok(Ended::Unchanged { verified });
    }
    if verification.check_enough().is_err() {
        // The answer to the whole may state what the answer to a part does not.
        return Ok(Ended::Anew(Box::new(Reader::new(job.source.clone()))));
    }
    if let (Some(total), true) = (identity.total, missing.is_empty()) {
        return Ok(Ended::Whole { total });
    }
    let (known, expected) = (identity.clone(), verification.expected().to_vec());
    job.blocking(move |part| part.begin(known, &expected)).await?;
    if missing.is_empty() {
        return straight::fetch(job, reader).await;
    }
    parts::fetch(job, Some(reader), identity, missing).await
}

/// Begins with the first byte, whose answer is read.
async fn begin(job: &Job<'_>, reader: Box<Reader>, verification: &Verification) -> Result<Ended, Error> {
    let identity = reader.identity().cloned().unwrap_or_default();
    verification.check_enough().map_err(|error| error.with_url(job.source.url().url()))?;
    job.gauge.set(0, identity.total);
    let (known, expected) = (identity.clone(), verification.expected().to_vec());
    job.blocking(move |part| part.begin(known, &expected)).await?;
    let has_ranges = reader.head().is_some_and(|head| head.has_ranges) && job.source.can_resume();
    match identity.total {
        Some(total) if has_ranges && total > 0 && identity.has_proof(job.settings.trusts_weak) => {
            parts::fetch(job, Some(*reader), identity, std::iter::once(0..total).collect()).await
        }
        _ => straight::fetch(job, *reader).await,
    }
}

/// Compares the checksums. A file that does not fit is discarded: the next call begins anew.
async fn verify(job: &Job<'_>, verification: &Verification, total: u64) -> Result<Vec<&'static str>, Error> {
    let algorithms = verification.algorithms();
    let found = match algorithms.is_empty() {
        true => Vec::new(),
        false => job.blocking(move |part| part.checksums(total, &algorithms)).await?,
    };
    match verification.check(&found, job.gauge.now().total()) {
        Ok(verified) => Ok(verified),
        Err(error) => {
            job.disk.begin_anew().await.map_err(|error| job.refused(error))?;
            Err(error.with_url(job.source.url().url()))
        }
    }
}

fn unchanged(length: u64, path: std::path::PathBuf, verified: Vec<&'static str>, gauge: &Gauge) -> Receipt {
    gauge.set(length, Some(length));
    Receipt { bytes: length, path: Some(path), is_unchanged: true, verified, ..Receipt::default() }
}

/// Refuses a name that is taken, before the first request.
fn check_free(path: &Path, overwrite: Overwrite) -> Result<(), Error> {
    if overwrite == Overwrite::Never && path.symlink_metadata().is_ok() {
        return Err(io_error(path, io::ErrorKind::AlreadyExists.into()));
    }
    Ok(())
}

/// Opens the part, after a short wait for the writer of a call that was just dropped.
async fn open(target: &Path, path: &Path, object: u64, resumes: bool) -> Result<Part, Error> {
    for _ in 0..LOCK_TRIES {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || Part::open(&path, object, resumes)).await;
        let opened = opened.unwrap_or_else(|crash| Err(io::Error::other(crash)));
        if let Some(part) = opened.map_err(|error| io_error(target, error))? {
            return Ok(part);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    let part = Names::of(target).part;
    Err(Error::new(ErrorKind::Io, format!("another download holds {}", part.display())))
}

const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// A storage that breaks off and cannot resume is asked for the whole this often.
const MOST_BEGINS: u32 = 8;
