//! Folder: all results of an outcome, each in a file of its own.

use std::collections::HashSet;
use std::fmt;
use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};

use super::progress::{Gauge, Progress, ProgressWatch};
use super::receipt::Receipt;
use super::settings::Overwrite;
use super::{Download, file_name};
use crate::error::Error;

/// The names that are taken in a folder.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Returns a safe name that none of the others has, also where a file system ignores case.
    pub(super) fn take(&mut self, suggested: Option<&str>) -> String {
        let safe = suggested.and_then(file_name::safe).unwrap_or_else(|| UNNAMED.to_owned());
        let name = file_name::distinct(&safe, |name| self.0.contains(&name.to_lowercase()));
        self.0.insert(name.to_lowercase());
        name
    }
}

/// Downloads all links of an outcome into a folder: [`Outcome::download_all`](crate::Outcome::download_all). Await it
/// for the receipts, in the order of the links.
///
/// Each file gets the name that the storage suggests, made safe, else that of its link; no two are alike. A file that is
/// there already and the same is kept ([`Overwrite::IfDifferent`]), so that the same call after an error fetches only
/// what is missing.
#[must_use = "nothing is sent until it is awaited"]
pub struct DownloadAll {
    downloads: Vec<Download>,
    folder: PathBuf,
    at_once: usize,
    gauge: Arc<Gauge>,
}

impl DownloadAll {
    pub(crate) fn new(downloads: Vec<Download>, folder: PathBuf) -> Self {
        let downloads = downloads.into_iter().map(|download| download.overwrite(Overwrite::IfDifferent)).collect();
        Self { downloads, folder, at_once: AT_ONCE, gauge: Arc::default() }
    }

    /// Sets how many files are downloaded at a time: 4 by default, 1 at least.
    pub const fn at_once(mut self, files: usize) -> Self {
        self.at_once = if files == 0 { 1 } else { files };
        self
    }

    /// Changes the settings of each download.
    pub fn each_with(mut self, change: impl Fn(Download) -> Download) -> Self {
        self.downloads = self.downloads.into_iter().map(change).collect();
        self
    }

    /// Returns a watch on the progress of all files together, brought up to date five times a second. The total is
    /// known once each storage has stated its own.
    #[must_use]
    pub fn progress(&self) -> ProgressWatch {
        self.gauge.watch()
    }

    /// Downloads all, and returns what came of each link, in the order of the links.
    ///
    /// # Cancel safety
    /// As [`Download::to_file`]: what is whole stays, and what is not can be resumed.
    pub async fn each(self) -> Vec<Result<Receipt, Error>> {
        let watches: Vec<_> = self.downloads.iter().map(Download::progress).collect();
        let show = || self.gauge.show(watches.iter().map(ProgressWatch::now).sum::<Progress>());
        let mut fetched = std::pin::pin!(fetch(self.downloads, self.folder, self.at_once));
        let mut tick = tokio::time::interval(SHOW_EVERY);
        loop {
            tokio::select! {
                biased;
                receipts = &mut fetched => {
                    show();
                    return receipts;
                }
                _ = tick.tick() => show(),
            }
        }
    }
}

/// The first answers are read one after another, so that the names do not depend on which one is faster.
async fn fetch(downloads: Vec<Download>, folder: PathBuf, at_once: usize) -> Vec<Result<Receipt, Error>> {
    let named = stream::unfold((downloads.into_iter(), Names::default()), |(mut downloads, mut names)| async move {
        let begun = downloads.next()?.begin(&mut names).await;
        Some((begun, (downloads, names)))
    });
    let receipts = named.enumerate().map(move |(index, named)| {
        let folder = folder.clone();
        async move {
            match named {
                Ok(named) => (index, named.fetch_into(&folder).await),
                Err(error) => (index, Err(error)),
            }
        }
    });
    // One slow file holds only its own place.
    let mut receipts: Vec<_> = receipts.buffer_unordered(at_once).collect().await;
    receipts.sort_by_key(|(index, _)| *index);
    receipts.into_iter().map(|(_, receipt)| receipt).collect()
}

impl IntoFuture for DownloadAll {
    type Output = Result<Vec<Receipt>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Downloads all. All files are tried; the error is that of the first link that failed.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.each().await.into_iter().collect() })
    }
}

impl fmt::Debug for DownloadAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadAll")
            .field("downloads", &self.downloads)
            .field("folder", &self.folder)
            .field("at_once", &self.at_once)
            .finish_non_exhaustive()
    }
}

const UNNAMED: &str = "download";
/// Each file has several connections of its own where that gains.
const AT_ONCE: usize = 4;
const SHOW_EVERY: Duration = Duration::from_millis(200);
