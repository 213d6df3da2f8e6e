//! Aside: the observations of ordinary requests, stored in a few bytes until the ledger counts them in batches.
//!
//! The ledger is some ten kilobytes of counters and histograms. A single request would find none of them in the cache;
//! 128 requests that are counted in a row find all of them.

use std::mem;
use std::time::Duration;

use http::StatusCode;

use super::recorder::{CountedPlace, Ended, Names, Recorder, Sent};
use crate::event::RequestInfo;
use crate::message::{Priority, write_route};

/// Observations that are not in the ledger yet, in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Aside {
    sent: Vec<Sent>,
    ended: Vec<Ended>,
    rows: Vec<Row>,
    /// The row of the previous request.
    last: usize,
    /// A buffer for the route that is looked up.
    text: String,
}

/// The place of a route at a host.
#[derive(Debug)]
struct Row {
    route: Box<str>,
    host: Box<str>,
    place: CountedPlace,
    names: Names,
}

impl Aside {
    /// Records a request that was sent.
    pub(super) fn sent(&mut self, class: Priority, queued: Duration, second: u64) {
        if self.sent.last().is_none_or(|last| last.second != second) {
            self.sent.push(Sent { second, requests: 0, polls: 0, queued: Duration::ZERO });
        }
        if let Some(last) = self.sent.last_mut() {
            last.requests += 1;
            last.polls += u64::from(class == Priority::Poll);
            last.queued = last.queued.saturating_add(queued);
        }
    }

    /// Records its response. Returns the names under which the response is counted.
    pub(super) fn answered(
        &mut self,
        asked: &RequestInfo<'_>,
        status: StatusCode,
        took: Duration,
        second: u64,
        place: impl FnOnce(&RequestInfo<'_>) -> (CountedPlace, Names),
    ) -> Names {
        let (place, names) = self.look_up(asked, place);
        self.ended.push(Ended { place, class: asked.class, status: Some(status), took, second });
        names
    }

    /// Returns whether the batch is large enough to be counted.
    pub(super) fn is_full(&self) -> bool {
        self.ended.len().max(self.sent.len()) >= MOST
    }

    /// Counts the whole batch in the ledger.
    #[inline(never)]
    pub(super) fn fold_into(&mut self, ledger: &mut Recorder, slow_after: Duration) {
        self.sent.drain(..).for_each(|sent| ledger.sent(&sent));
        self.ended.drain(..).for_each(|ended| ledger.ended(&ended, slow_after));
    }

    /// Returns the place of a request; `place` finds it in the ledger if it is not known here.
    fn look_up(
        &mut self,
        asked: &RequestInfo<'_>,
        place: impl FnOnce(&RequestInfo<'_>) -> (CountedPlace, Names),
    ) -> (CountedPlace, Names) {
        let mut text = mem::take(&mut self.text);
        let host = asked.url.host_str().unwrap_or_default();
        let route = asked.route.unwrap_or_else(|| {
            text.clear();
            write_route(&mut text, Some(asked.method), host, asked.url.path());
            &text
        });
        let is_it = |row: &Row| *row.route == *route && *row.host == *host;
        if !self.rows.get(self.last).is_some_and(is_it) {
            self.last = self.rows.iter().position(is_it).unwrap_or(usize::MAX);
        }
        let found = match self.rows.get(self.last) {
            Some(row) => (row.place, row.names.clone()),
            None => {
                let (place, names) = place(asked);
                // Rows of places that are in use return at once.
                if self.rows.len() >= MOST_ROWS {
                    self.rows.clear();
                }
                self.last = self.rows.len();
                self.rows.push(Row { route: route.into(), host: host.into(), place, names: names.clone() });
                (place, names)
            }
        };
        self.text = text;
        found
    }
}

/// The number of responses in a batch.
const MOST: usize = 128;
const MOST_ROWS: usize = 64;
