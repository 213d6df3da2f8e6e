//! Outcome: the result of a finished task.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;

use super::renewal::Renewal;
use super::{TaskCore, TaskShared, Update};
use crate::download::{Download, DownloadAll, Renew};
use crate::error::{Error, ErrorKind};
use crate::message::{Priority, Response};
use crate::page::{PageBytes, PageSource, Pages, Walk};
use crate::protocol::{Cursor, Finding, State};
use crate::redact::SecretUrl;
use crate::store::Held;
use crate::transport::Sending;

/// The result of a finished task: a value, links to download, or both.
///
/// A partial success is an outcome too: check [`state`](Outcome::state) if the difference matters.
pub struct Outcome<T> {
    update: Update,
    finding: Finding,
    core: Arc<TaskCore>,
    cursor: Cursor,
    headers: HeaderMap,
    /// The result itself, if it was too large to hold: the first download reads it as it arrives.
    rest: Mutex<Option<Response>>,
    /// The task in the store that keeps it: held until the outcome is dropped.
    held: Option<Arc<Held>>,
    output: PhantomData<fn() -> T>,
}

impl<T> Outcome<T> {
    pub(super) fn new(shared: &Arc<TaskShared>, finding: Finding, rest: Option<Response>) -> Self {
        let live = shared.live();
        let headers = live.headers.as_deref().cloned().unwrap_or_default();
        Self {
            update: live.last.clone(),
            rest: Mutex::new(rest.filter(|_| finding.is_itself)),
            finding,
            core: shared.core.clone(),
            cursor: live.cursor.clone(),
            headers,
            held: live.held.clone(),
            output: PhantomData,
        }
    }

    /// Returns the final state: succeeded, or partially succeeded.
    #[must_use]
    pub const fn state(&self) -> State {
        self.update.state()
    }

    /// Returns the last update: word, polls, status.
    #[must_use]
    pub const fn last_update(&self) -> &Update {
        &self.update
    }

    /// Returns the links to the result, in the service's order. The links are as the service gave them, and may expire;
    /// a [`download`](Outcome::download) renews them.
    #[must_use]
    pub fn links(&self) -> &[SecretUrl] {
        &self.finding.links
    }

    /// Returns the final body as received: the result, or the document that names its links. `None` if there was no
    /// body, or if it is too large to hold and must be downloaded.
    #[must_use]
    pub const fn bytes(&self) -> Option<&Bytes> {
        self.finding.body.as_ref()
    }

    /// Returns the final body as text; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.bytes().map(|body| String::from_utf8_lossy(body).into_owned())
    }

    /// Returns the download of the result: of its one link, or of the body if the answer contained the result.
    ///
    /// The sink reports an error if there is no result to download, if there are several links, or if the result has
    /// pages ([`pages`](Outcome::pages), [`page_bytes`](Outcome::page_bytes)).
    ///
    /// A result on the API's own origin that is larger than the client's body limit is not fetched twice: the first
    /// download continues the received answer, whose connection stays open as long as the outcome lives.
    pub fn download(&self) -> Download {
        match self.finding.links.as_slice() {
            [] => self.in_hand(),
            [link] => self.linked(0, link),
            links => Download::impossible(Error::new(
                ErrorKind::ResultShape,
                format!("the result has {} links; `downloads()` returns them all", links.len()),
            )),
        }
    }

    /// Returns the downloads of all links, in the service's order; the download of the body if there are no links.
    #[must_use]
    pub fn downloads(&self) -> Vec<Download> {
        if self.finding.links.is_empty() && self.finding.body.is_some() {
            return vec![self.in_hand()];
        }
        self.finding.links.iter().enumerate().map(|(index, link)| self.linked(index, link)).collect()
    }

    /// Downloads all links into a folder, each into a file of its own name, several at a time.
    ///
    /// ```no_run
    /// # async fn run(outcome: longhaul::Outcome<()>) -> longhaul::Result<()> {
    /// for receipt in outcome.download_all("exports").await? {
    ///     println!("{:?}: {} bytes", receipt.path(), receipt.bytes());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A file that is there already and the same is kept; the same call after an error fetches only what is missing. The
    /// folder must exist.
    pub fn download_all(&self, folder: impl Into<PathBuf>) -> DownloadAll {
        let downloads = self.downloads();
        let downloads = if downloads.is_empty() { vec![self.download()] } else { downloads };
        DownloadAll::new(downloads, folder.into())
    }

    /// Returns whether the result is paged.
    #[must_use]
    pub const fn has_pages(&self) -> bool {
        self.finding.pages.is_some()
    }

    /// Returns the rows of a paged result, by the rule of the protocol ([`Protocol::pages`](crate::Protocol::pages)).
    ///
    /// ```
    /// use futures::TryStreamExt;
    /// use longhaul::testing::{reply, script};
    /// use longhaul::Protocol;
    /// use longhaul::protocols::{Next, PageRule, Source};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// let service = script([
    ///     reply(202).json(json!({"jobId": "j7"})),
    ///     reply(200).json(json!({"state": "FULFILLED"})),
    ///     reply(200).json(json!({"rows": [1, 2], "cursor": "c"})),
    ///     reply(200).json(json!({"rows": [3]})),
    /// ]);
    /// let client = service.client().build()?;
    /// let jobs = Protocol::auto().status_template("jobs/{id}").pages(
    ///     PageRule::new("jobs/{id}/results", Source::pointer("/rows/*"))
    ///         .next(Next::cursor(Source::pointer("/cursor"), "cursor")),
    /// );
    /// let task = client.task().protocol(jobs).post("jobs").submit::<()>().await?;
    /// let rows: Vec<u32> = task.await?.pages::<u32>().try_collect().await?;
    /// assert_eq!(rows, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The stream reports an error if the protocol has no rule for pages.
    pub fn pages<R: DeserializeOwned>(&self) -> Pages<R> {
        Pages::new(self.walk())
    }

    /// Returns the pages as bytes, one after the other, or as one file: for CSV, NDJSON and similar formats
    /// ([`PageRule::bytes`](crate::protocols::PageRule::bytes)).
    ///
    /// ```
    /// use longhaul::testing::{reply, script};
    /// use longhaul::Protocol;
    /// use longhaul::protocols::{Next, PageRule, Source};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// let csv = |locator, body| reply(200).header("content-type", "text/csv").header("sforce-locator", locator).body(body);
    /// let service = script([
    ///     reply(200).json(json!({"id": "750x", "state": "UploadComplete"})),
    ///     reply(200).json(json!({"id": "750x", "state": "JobComplete"})),
    ///     csv("MTAw", "Id,Name\n1,A\n"),
    ///     csv("null", "Id,Name\n2,B\n"),
    /// ]);
    /// let client = service.client().build()?;
    /// let query = Protocol::auto().status_template("jobs/query/{id}").pages(
    ///     PageRule::bytes()
    ///         .url("jobs/query/{id}/results")
    ///         .next(Next::cursor(Source::header("Sforce-Locator"), "locator"))
    ///         .skip_repeated_header(),
    /// );
    /// let task = client.task().protocol(query).post("jobs/query").submit::<()>().await?;
    /// let mut table = Vec::new();
    /// task.await?.page_bytes().to_writer(&mut table).await?;
    /// assert_eq!(table, b"Id,Name\n1,A\n2,B\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The stream reports an error if the protocol has no rule for pages.
    pub fn page_bytes(&self) -> PageBytes {
        PageBytes::new(self.walk())
    }

    fn walk(&self) -> Walk {
        let (Some(first), Some(rule)) = (&self.finding.pages, self.core.protocol.page_rule()) else {
            let why = match self.core.protocol.page_rule() {
                Some(_) => "the task finished without a first page".to_owned(),
                None => format!(
                    "the protocol `{}` has no rule for pages: set one with Protocol::pages",
                    self.core.protocol.name()
                ),
            };
            return Walk::impossible(Error::new(ErrorKind::ResultShape, why));
        };
        let source = PageSource {
            transport: self.core.transport.clone(),
            method: Method::GET,
            headers: self.headers.clone(),
            class: Priority::Result,
        };
        Walk::new(source, rule.clone(), first.clone(), self.finding.page.as_deref().cloned()).bare(self.finding.is_bare)
    }

    /// Asks the service to delete the task, if the protocol says how ([`Protocol::cleanup`](crate::Protocol::cleanup)).
    /// The results may be deleted with it: read them first.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the protocol defines no cleanup, and the errors of any call.
    pub async fn cleanup(&self) -> Result<(), Error> {
        let Some(request) = self.core.protocol.cleanup_request(&self.cursor, self.headers.clone()) else {
            let why = format!(
                "the protocol `{}` has no request that cleans up this task: see Protocol::cleanup",
                self.core.protocol.name()
            );
            return Err(Error::new(ErrorKind::Unsupported, why));
        };
        Sending::of(&self.core.transport, &request).call().await.map(drop)
    }

    /// Acknowledges the task in the client's [task store](crate::ClientBuilder::task_store), after the application has
    /// done its work with the outcome: [`TaskHandle::ack`](crate::TaskHandle::ack).
    ///
    /// # Errors
    /// As [`TaskHandle::ack`](crate::TaskHandle::ack).
    ///
    /// # Cancel safety
    /// As [`TaskHandle::ack`](crate::TaskHandle::ack).
    pub async fn ack(&self) -> Result<(), Error> {
        match &self.held {
            Some(held) => held.ack().await,
            None => Ok(()),
        }
    }

    /// Returns the name under which the client's task store keeps the task:
    /// [`TaskHandle::stored_as`](crate::TaskHandle::stored_as).
    #[must_use]
    pub fn stored_as(&self) -> Option<&str> {
        self.held.as_ref().map(|held| &**held.name())
    }

    fn in_hand(&self) -> Download {
        // The body is the first page at most, or only says that the task has ended: a part is not the file.
        if self.finding.pages.is_some() {
            let why = "the result has pages: `pages()` gives their rows, and `page_bytes()` their bytes";
            return Download::impossible(Error::new(ErrorKind::ResultShape, why));
        }
        if let Some(places) = &self.finding.lacks_link {
            let why = format!(
                "the final answer has no link at {places}, where the protocol places the link of the result: the answer \
                 is the status, and not the file. `value()` returns it; Protocol::result sets the place"
            );
            return Download::impossible(Error::new(ErrorKind::ResultUnavailable, why));
        }
        match &self.finding.body {
            Some(body) => {
                if crate::message::looks_like_html(body) {
                    tracing::warn!("the value that is downloaded is a page of HTML");
                }
                Download::held(body.clone())
            }
            None => Download::impossible(Error::new(
                ErrorKind::ResultShape,
                "the task finished without a link and without a body",
            )),
        }
    }

    fn linked(&self, index: usize, link: &SecretUrl) -> Download {
        let renewal = Renewal::new(self.core.clone(), self.cursor.clone(), self.headers.clone(), index);
        let renew = renewal.map(|renewal| Arc::new(renewal) as Arc<dyn Renew>);
        // No code panics while it holds the lock.
        let opened = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let from = Some(Box::new(self.cursor.next_url().unwrap_or_else(|| self.core.base.clone())));
        Download::linked(self.core.carrier.clone(), link.clone(), from, self.headers.clone(), renew)
            .bare(self.finding.is_bare)
            .opened(opened)
    }
}

impl<T: DeserializeOwned> Outcome<T> {
    /// Returns the value, decoded from JSON at this point: a body of the wrong shape never loses finished work.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if the body has another shape; [`ErrorKind::ResultShape`] if there is only a link, or if
    /// there is no result and `T` cannot be made from nothing, as `()` and `Option` can.
    pub fn value(&self) -> Result<T, Error> {
        let Some(body) = &self.finding.body else {
            if !self.finding.links.is_empty() {
                return Err(Error::new(ErrorKind::ResultShape, "the result is a link: download it"));
            }
            return serde_json::from_str("null")
                .map_err(|_| Error::new(ErrorKind::ResultShape, "the task finished without a body"));
        };
        serde_json::from_slice(crate::message::without_bom(body)).map_err(|error| {
            let page = if crate::message::looks_like_html(body) { ", but a page of HTML" } else { "" };
            let what = format!("the result is no {}{page}: ", std::any::type_name::<T>());
            Error::decoding(&what, error, &self.finding.hidden.mask())
        })
    }
}

impl<T> fmt::Debug for Outcome<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("update", &self.update).field("finding", &self.finding).finish_non_exhaustive()
    }
}
