//! Renewal: a fresh link to a finished task's result, by asking its status again.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::HeaderMap;

use super::Core;
use crate::download::{Renew, Renewed};
use crate::error::{Error, ErrorKind};
use crate::protocol::{Cursor, Step};

/// What it takes to ask again.
#[derive(Clone)]
pub(super) struct Renewal {
    core: Arc<Core>,
    cursor: Cursor,
    headers: HeaderMap,
    index: usize,
}

impl Renewal {
    /// For the link at this place; `None` for a task that has no status to ask for.
    pub(super) fn new(core: Arc<Core>, cursor: Cursor, headers: HeaderMap, index: usize) -> Option<Self> {
        cursor.can_be_asked_again().then_some(Self { core, cursor, headers, index })
    }

    async fn ask(self) -> Result<Renewed, Error> {
        let Self { core, mut cursor, headers, index } = self;
        cursor.rewind();
        for _ in 0..MAX_STEPS {
            let Some(asking) = core.protocol.next(&cursor, headers.clone()) else { break };
            let heard = core.ask(asking, None, None).await?;
            match core.read(&mut cursor, &heard) {
                Step::Done(_, finding) => {
                    let is_bare = finding.is_bare;
                    let link = finding.links.get(index).cloned();
                    return link
                        .map(|link| Renewed { link, is_bare })
                        .ok_or_else(|| failed("it names no such link any more"));
                }
                Step::Follow { after, .. } => tokio::time::sleep(after).await,
                // No answer, or a refusal for load: as a task would, it is asked again, but not for ever.
                Step::Wait(report) if report.warning().is_some() => {
                    let pause = report.hint().unwrap_or(PAUSE).max(PAUSE);
                    tokio::time::sleep(pause).await;
                }
                Step::Wait(_) => return Err(failed("the service says that the task is not finished any more")),
                Step::Ended(report, fault) => {
                    let why = format!("the service says now that the task is {}", report.state());
                    return Err(failed(&why).with_fault(fault));
                }
                Step::Stop { why, fault, .. } => return Err(failed(&why).with_fault(fault)),
            }
        }
        Err(failed("the status led in circles"))
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
/// A download waits no longer for a fresh link.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(600);
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
