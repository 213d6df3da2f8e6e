//! Renewal: a fresh link to a finished task's result, by asking its status again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures::future::BoxFuture;
use http::HeaderMap;
use tokio::time::Instant;

use super::TaskCore;
use crate::download::{Renew, Renewed};
use crate::error::{Error, ErrorKind};
use crate::message::Priority;
use crate::protocol::{Asking, Cursor, Step};

/// The parts needed to ask the status again.
#[derive(Clone)]
pub(super) struct Renewal {
    core: Arc<TaskCore>,
    cursor: Cursor,
    headers: HeaderMap,
    index: usize,
}

impl Renewal {
    /// Creates a renewal for the link at this index; `None` for a task without a status URL.
    pub(super) fn new(core: Arc<TaskCore>, cursor: Cursor, headers: HeaderMap, index: usize) -> Option<Self> {
        cursor.can_be_asked_again().then_some(Self { core, cursor, headers, index })
    }

    async fn ask(self) -> Result<Renewed, Error> {
        let Self { core, mut cursor, headers, index } = self;
        let begun = Instant::now();
        // A wait that would pass the deadline ends at once, and reports its full length.
        let wait = async |asked: Duration| {
            if begun.elapsed().saturating_add(asked) >= LONGEST {
                return Err(failed("the service asks to wait for longer").with_retry_after(Some(asked)));
            }
            tokio::time::sleep(asked).await;
            Ok(())
        };
        cursor.rewind();
        // A party of its own in the queue, as each task is. Tasks are identified by their addresses, which are even.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let party = NEXT.fetch_add(2, Relaxed);
        for _ in 0..MAX_STEPS {
            let Some(asking) = core.protocol.next(&cursor, headers.clone()) else { break };
            // Every request of a renewal has the class of a result: it must not queue behind the polls of all tasks.
            let request = asking.request.for_task(core.kind.clone(), party).of_class(Priority::Result);
            let asking = Asking { request, ..asking };
            let heard = core.ask(asking, None, None).await?;
            match core.read(&mut cursor, &heard) {
                Step::Done(_, finding) => {
                    let is_bare = finding.is_bare;
                    let link = finding.links.get(index).cloned();
                    return link
                        .map(|link| Renewed { link, is_bare })
                        .ok_or_else(|| failed("it names no such link any more"));
                }
                Step::Follow { after, .. } => wait(after).await?,
                // Without an answer, or after a refusal for load, the renewal asks again as a task would, but not
                // forever.
                Step::Wait(report) if report.warning().is_some() => {
                    wait(report.hint().unwrap_or(PAUSE).max(PAUSE)).await?;
                }
                Step::Wait(_) => return Err(failed("the service says that the task is not finished any more")),
                Step::Ended(report, fault) => {
                    let why = format!("the service says now that the task is {}", report.state());
                    return Err(failed(&why).with_fault(fault));
                }
                Step::Stop { why, fault, .. } => return Err(failed(&why).with_fault(fault)),
            }
        }
        Err(failed("the status redirects in a circle"))
    }
}

impl Renew for Renewal {
    fn renew(&self) -> BoxFuture<'static, Result<Renewed, Error>> {
        let asking = tokio::time::timeout(LONGEST, self.clone().ask());
        Box::pin(async move { asking.await.unwrap_or_else(|_| Err(failed("it took too long"))) })
    }
}

fn failed(why: &str) -> Error {
    Error::new(ErrorKind::AccessDenied, format!("the link was refused, and the status gave no fresh one: {why}"))
}

/// Redirects, the status, the result: more steps than any service needs.
const MAX_STEPS: u32 = 16;
/// A download waits no longer than this for a fresh link.
const LONGEST: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_secs(1);
