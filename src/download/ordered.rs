//! Ordered: the bytes of a download in order, for sinks that take them one after another.

use std::sync::Arc;

use bytes::Bytes;

use super::bandwidth::Bandwidth;
use super::checksum::{Algorithm, Hasher};
use super::deadline::{in_time, too_late};
use super::progress::Gauge;
use super::reader::{Piece, Reader};
use super::receipt::Receipt;
use super::settings::Settings;
use super::source::Source;
use super::verification::Verification;
use super::{DownloadSource, in_runtime};
use crate::error::{Error, ErrorKind};

/// The bytes of a source, in order.
pub(super) struct Ordered {
    from: From,
    settings: Settings,
    gauge: Arc<Gauge>,
    verification: Option<Verification>,
    hashers: Vec<(Algorithm, Hasher)>,
    verified: Vec<&'static str>,
    bandwidth: Option<Bandwidth>,
    bytes: u64,
}

enum From {
    Held(Option<Bytes>),
    Linked { source: Arc<Source>, reader: Box<Reader> },
}

pub(super) enum Next {
    Chunk(Bytes),
    /// All bytes so far are void.
    Void,
    End,
}

impl Ordered {
    pub(super) fn of(source: DownloadSource, settings: Settings, gauge: Gauge) -> Self {
        let from = match source {
            DownloadSource::Held(bytes) => {
                gauge.set(0, Some(bytes.len() as u64));
                From::Held(Some(bytes))
            }
            DownloadSource::Linked(linked) => {
                let (source, received) = linked.into_source(&settings);
                let source = Arc::new(source);
                From::Linked { reader: Box::new(Reader::new(source.clone()).received(received)), source }
            }
        };
        let bandwidth = settings.bandwidth.map(Bandwidth::new);
        let (verification, hashers, verified) = (None, Vec::new(), Vec::new());
        Self { from, settings, gauge: Arc::new(gauge), verification, hashers, verified, bandwidth, bytes: 0 }
    }

    /// Returns what comes next. At the end the checksums have been compared.
    ///
    /// Not cancel-safe: a chunk that waits for the bandwidth is lost.
    pub(super) async fn next(&mut self) -> Result<Next, Error> {
        let late = self.late();
        in_time(self.settings.until, self.step(), late).await
    }

    /// Runs what the deadline of the download holds for, too.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        in_time(self.settings.until, work, self.late()).await
    }

    /// Returns what makes the error of the deadline.
    fn late(&self) -> impl FnOnce() -> Error + use<> {
        let source = match &self.from {
            From::Linked { source, .. } => Some(source.clone()),
            From::Held(_) => None,
        };
        let gauge = self.gauge.clone();
        move || match source {
            Some(source) => too_late(&source, &gauge),
            None => Error::new(ErrorKind::DeadlineExceeded, "the result was not passed on at its deadline"),
        }
    }

    async fn step(&mut self) -> Result<Next, Error> {
        loop {
            match self.piece().await? {
                Piece::Chunk(chunk) => return self.pass_on(chunk).await,
                Piece::End => {
                    self.look()?;
                    self.verify()?;
                    self.gauge.connections(0);
                    self.gauge.set(self.bytes, self.total());
                    return Ok(Next::End);
                }
                Piece::Restart | Piece::NoRanges | Piece::NotModified => {
                    self.verification = None;
                    self.hashers.clear();
                    // Without a byte so far, there is nothing to take back.
                    if std::mem::take(&mut self.bytes) > 0 {
                        return Ok(Next::Void);
                    }
                }
            }
        }
    }

    async fn pass_on(&mut self, chunk: Bytes) -> Result<Next, Error> {
        self.look()?;
        self.hashers.iter_mut().for_each(|(_, hasher)| hasher.update(&chunk));
        self.bytes += chunk.len() as u64;
        self.gauge.set(self.bytes - chunk.len() as u64, self.total());
        self.gauge.received(chunk.len() as u64);
        if let From::Linked { source, .. } = &self.from {
            self.gauge.connections(1);
            for limit in [self.bandwidth.as_ref(), source.carrier.bandwidth.as_ref()].into_iter().flatten() {
                limit.take(chunk.len()).await;
            }
        }
        Ok(Next::Chunk(chunk))
    }

    async fn piece(&mut self) -> Result<Piece, Error> {
        match &mut self.from {
            From::Held(bytes) => match bytes.take().filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => Ok(Piece::Chunk(bytes)),
                None => Ok(Piece::End),
            },
            From::Linked { reader, .. } => {
                in_runtime()?;
                reader.next().await
            }
        }
    }

    /// Looks at the first answer once: it says which checksums are to be computed.
    fn look(&mut self) -> Result<(), Error> {
        if self.verification.is_some() {
            return Ok(());
        }
        let head = match &self.from {
            From::Held(_) => None,
            From::Linked { reader, .. } => reader.head(),
        };
        let verification = Verification::of(head, &self.settings);
        verification.check_enough()?;
        let algorithms = verification.algorithms().into_iter();
        self.hashers = algorithms.map(|algorithm| (algorithm, Hasher::new(algorithm))).collect();
        self.verification = Some(verification);
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Error> {
        let found: Vec<_> = std::mem::take(&mut self.hashers)
            .into_iter()
            .map(|(algorithm, hasher)| (algorithm, hasher.finish()))
            .collect();
        // The end is reached once; after it, there is nothing to compare.
        if let Some(verification) = self.verification.as_ref().filter(|_| self.verified.is_empty()) {
            self.verified = verification.check(&found, self.total())?;
        }
        Ok(())
    }

    pub(super) fn total(&self) -> Option<u64> {
        match &self.from {
            From::Held(_) => self.gauge.now().total(),
            From::Linked { reader, .. } => reader.total(),
        }
    }

    pub(super) fn receipt(self) -> Receipt {
        let mut receipt = Receipt { bytes: self.bytes, verified: self.verified, ..Receipt::default() };
        if let From::Linked { source, reader } = &self.from {
            (receipt.connections, receipt.reopened, receipt.renewed) = (1, reader.reopened(), source.renewed());
            let warnings = self.verification.map(|verification| verification.warnings(&source.url()));
            receipt.warnings = warnings.unwrap_or_default();
        }
        receipt
    }
}

/// Returns the error of a sink that has passed bytes on which turn out to be void.
pub(super) fn cannot_take_back() -> Error {
    Error::new(
        ErrorKind::Interrupted,
        "the transfer broke off, and this storage can neither resume nor prove that the rest would fit; a download to a \
         file begins anew",
    )
}
