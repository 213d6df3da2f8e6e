//! Resuming: tasks that were saved as tokens.

use super::Client;
use super::request_builder::earlier;
use crate::error::{Error, ErrorKind};
use crate::protocol::Protocol;
use crate::task::{ResumeToken, Task, Trace};

impl Client {
    /// Resumes a saved task. The first poll is sent at once, or at the time that the service asked for. Resuming needs
    /// no runtime; awaiting the task does.
    ///
    /// A resumed task implies an earlier run, whose requests the service may still count. If this client's account has
    /// sent nothing yet, its first requests are sent as after a refusal: one, then two, four and so on
    /// ([`ClientBuilder::slow_start`](crate::ClientBuilder::slow_start)).
    ///
    /// A token is trusted input, and an unsealed token may have been edited: [`ResumeToken`] lists the parts of it that
    /// are used.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidToken`] if the token belongs to another service, another version, or a kind that this client
    /// does not know; and, for an unsealed token, if it holds a protocol of its own or a URL of another origin.
    pub fn resume<T>(&self, token: ResumeToken) -> Result<Task<T>, Error> {
        self.take_up(token, None)
    }

    /// Resumes a task that was submitted with [a protocol of its own](crate::TaskBuilder::protocol), and reads it by
    /// the given protocol; otherwise as [`resume`](Client::resume).
    ///
    /// ```
    /// # use longhaul::testing::{reply, script};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> longhaul::Result<()> {
    /// # let service = script([reply(202).json(serde_json::json!({"jobId": "j7"})), reply(200).json(serde_json::json!({"status": "succeeded", "result": 7}))]);
    /// # let client = service.client().build()?;
    /// use longhaul::Protocol;
    ///
    /// let jobs = Protocol::auto().status_template("jobs/{id}");
    /// let task = client.task().protocol(jobs.clone()).post("jobs").submit::<u32>().await?;
    /// let text = task.token().to_string();
    ///
    /// assert!(client.resume::<u32>(text.parse()?).unwrap_err().to_string().contains("resume_with"));
    /// assert_eq!(client.resume_with::<u32>(text.parse()?, jobs)?.await?.value()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`resume`](Client::resume); [`ErrorKind::InvalidToken`] if the protocol's name differs from the token's.
    pub fn resume_with<T>(&self, token: ResumeToken, protocol: Protocol) -> Result<Task<T>, Error> {
        self.take_up(token, Some(protocol))
    }

    pub(super) fn take_up<T>(&self, token: ResumeToken, passed: Option<Protocol>) -> Result<Task<T>, Error> {
        let parts = token.open(&self.0.transport.trust)?;
        let core = match (passed, parts.given, &parts.kind) {
            (Some(protocol), ..) => self.core_of(protocol),
            (None, Some(protocol), _) if parts.trusted => self.core_of(*protocol),
            (None, Some(_), _) => {
                let why = "it contains a protocol, and a client takes none from a token that is not sealed: pass the \
                           protocol to Client::resume_with, or seal tokens with ResumeToken::seal";
                return Err(Error::new(ErrorKind::InvalidToken, why));
            }
            (None, None, Some(kind)) => self.core(kind).map_err(|_| {
                let why = format!("it is of the kind `{kind}`, which this client's profile does not have");
                Error::new(ErrorKind::InvalidToken, why)
            })?,
            (None, None, None) => self.0.default.clone(),
        };
        if core.protocol.name() != parts.protocol {
            let (theirs, ours) = (parts.protocol, core.protocol.name());
            let why = format!("it was made with the protocol `{theirs}`, and this client reads it with `{ours}`");
            return Err(Error::new(ErrorKind::InvalidToken, why));
        }
        if self.0.slow_start {
            core.transport.wire.throttle.start_slowly_once();
        }
        let cursor = parts.cursor.on_behalf(self.0.transport.trust.clone());
        let trace = Trace::of(core.kind.as_deref());
        let deadline = earlier(self.0.task_timeout, None);
        Ok(Task::resumed(core, cursor, parts.headers, parts.pause, parts.size_class)
            .default_deadline(deadline)
            .traced(trace))
    }
}
