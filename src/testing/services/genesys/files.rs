//! Files: recordings and exports, behind signed links to a storage of another origin.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::super::answer::Answer;
use super::super::head::Head;

#[derive(Debug)]
pub(super) struct Files {
    /// The URL of the storage, without a slash at its end.
    origin: String,
    size: usize,
    life: Duration,
    /// The path of each link, by its signature, and the end of the link.
    links: HashMap<String, (String, Option<Instant>)>,
}

impl Files {
    pub(super) fn new(origin: String, size: usize, life: Duration) -> Self {
        Self { origin, size, life, links: HashMap::new() }
    }

    /// Signs a link to the file of this id.
    pub(super) fn link(&mut self, id: &str, now: Instant) -> String {
        let signature = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        let path = format!("/{id}");
        let link = format!(
            "{}{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={}&X-Amz-Expires={}&{SIGNATURE}={signature}",
            self.origin,
            jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
            self.life.as_secs(),
        );
        self.links.insert(signature, (path, now.checked_add(self.life)));
        link
    }

    /// Ends every link that was signed so far.
    pub(super) fn expire(&mut self) {
        self.links.clear();
    }

    pub(super) fn answer(&self, head: &Head, now: Instant) -> Answer {
        let link = head.query(SIGNATURE).and_then(|signature| self.links.get(&signature));
        let is_open = link.is_some_and(|(path, until)| path == head.path() && until.is_none_or(|until| now < until));
        match head.path().strip_prefix('/').filter(|_| is_open) {
            Some(id) => Answer::bytes(StatusCode::OK, "application/octet-stream", self.content(id)),
            None => Answer::bytes(
                StatusCode::FORBIDDEN,
                "application/xml",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code></Error>",
            ),
        }
    }

    /// Returns the bytes of a file, which its id determines.
    pub(super) fn content(&self, id: &str) -> Vec<u8> {
        id.bytes().cycle().take(self.size).collect()
    }
}

/// The parameter of the signature in a link.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";
