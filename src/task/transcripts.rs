//! Transcripts: keeps the answers of a client's tasks, for a look at them later.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use url::Url;

use crate::message::{Answer, Reply, Transcript};
use crate::protocol::Cursor;

/// Keeps the answers of a client's tasks without their secrets, for a look at them later
/// ([`ClientBuilder::transcripts`](crate::ClientBuilder::transcripts)), or for a test of a profile
/// ([`Profile::replay`](crate::Profile::replay)).
///
/// ```
/// use longhaul::tasks::Transcripts;
/// use longhaul::testing::{reply, script};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> longhaul::Result<()> {
/// let service = script([
///     reply(202).header("location", "/tasks/7"),
///     reply(200).json(json!({"status": "failed"})),
/// ]);
/// let transcripts = Transcripts::new();
/// let client = service.client().transcripts(&transcripts).build()?;
/// let task = client.task().post("exports").submit::<()>().await?;
/// assert!(task.await.is_err());
/// let all = transcripts.all();
/// assert_eq!(all[0].len(), 2);
/// let text = serde_json::to_string_pretty(&all[0]).unwrap();
/// # Ok(())
/// # }
/// ```
///
/// Clones share what they keep. Memory is bounded: the latest 100 tasks, and of each the first 1,000 answers.
#[derive(Clone, Default)]
pub struct Transcripts(Arc<Mutex<Vec<Recorded>>>);

/// The answers of one task.
struct Recorded {
    /// The id and the status URL, by which the task's next answer is found.
    names: [Option<String>; 2],
    began: SystemTime,
    transcript: Transcript,
}

impl Transcripts {
    /// Creates an empty set of transcripts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what was recorded, a transcript for each task, in the order of their submits.
    #[must_use]
    pub fn all(&self) -> Vec<Transcript> {
        self.lock().iter().map(|recorded| recorded.transcript.clone()).collect()
    }

    /// Keeps an answer. `before` is where the task stood when it asked, and `after` where the answer led.
    pub(super) fn record(
        &self,
        before: [Option<String>; 2],
        after: &Cursor,
        (base, kind): (&Url, Option<&str>),
        reply: &Reply,
        now: SystemTime,
    ) {
        let names = names_of(after);
        let mut all = self.lock();
        let is_known = before.iter().any(Option::is_some);
        // Tasks of several kinds may have one id.
        let found = all
            .iter_mut()
            .rev()
            .find(|recorded| is_known && recorded.names == before && recorded.transcript.kind() == kind);
        let recorded = match found {
            Some(recorded) => recorded,
            None => {
                if all.len() == MOST_TASKS {
                    all.remove(0);
                }
                let transcript = Transcript::new(base.clone(), after.submit_method().clone(), kind.map(str::to_owned));
                all.push(Recorded { names: before, began: now, transcript });
                let Some(last) = all.last_mut() else { return };
                last
            }
        };
        if names.iter().any(Option::is_some) {
            recorded.names = names;
        }
        if recorded.transcript.len() < MOST_ANSWERS {
            let after = now.duration_since(recorded.began).unwrap_or(Duration::ZERO);
            recorded.transcript.push(Answer::record(reply, after));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the number of tasks: a status URL may be signed.
impl fmt::Debug for Transcripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcripts({} tasks)", self.lock().len())
    }
}

/// Returns the names by which an answer is assigned to its task.
pub(super) fn names_of(cursor: &Cursor) -> [Option<String>; 2] {
    let url = cursor.status_url().map(|url| url.expose().to_owned());
    [cursor.id().map(str::to_owned), url]
}

const MOST_TASKS: usize = 100;
const MOST_ANSWERS: usize = 1_000;

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, StatusCode};

    use super::*;

    #[test]
    fn tasks_of_one_id_and_other_urls_are_apart() {
        let kept = Transcripts::new();
        let url: Url = "https://a.example/".parse().unwrap();
        let cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
        let reply = Reply::new(StatusCode::OK, url.clone(), HeaderMap::new(), "{}");
        let names = |at: &str| [Some("7".to_owned()), Some(format!("https://a.example/{at}/7"))];
        for (at, kind) in [("a", None), ("b", None), ("a", None), ("b", Some("k"))] {
            kept.record(names(at), &cursor, (&url, kind), &reply, SystemTime::UNIX_EPOCH);
        }
        assert_eq!(kept.all().iter().map(Transcript::len).collect::<Vec<_>>(), [2, 1, 1]);
    }

    #[test]
    fn debug_shows_no_status_url() {
        let kept = Transcripts::new();
        let url: Url = "https://a.example/".parse().unwrap();
        let cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
        let reply = Reply::new(StatusCode::OK, url.clone(), HeaderMap::new(), "{}");
        let signed = Some("https://a.example/7?sig=S1G".to_owned());
        kept.record([None, signed], &cursor, (&url, None), &reply, SystemTime::UNIX_EPOCH);
        assert_eq!(format!("{kept:?}"), "Transcripts(1 tasks)");
    }
}
