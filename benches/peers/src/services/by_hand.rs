//! By hand: reqwest in a loop, as an application that knows no limiter repeats what was refused.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use super::SECOND;
use crate::Failure;

/// A loop that repeats a refused call until it succeeds.
#[derive(Clone, Copy)]
pub(super) struct Loop {
    pub(super) subject: &'static str,
    pause: Pause,
    /// How many calls are made at once; all, if none is given.
    at_once: Option<usize>,
}

/// The time before the next try, and between two polls.
#[derive(Clone, Copy)]
enum Pause {
    Second,
    /// As long as the header `Retry-After` says, or else a second.
    Asked,
}

/// Where the service states no wait in a standard header.
pub(super) const WITHOUT_HINTS: [Loop; 2] = [
    Loop { subject: "loop: again after 1 s", pause: Pause::Second, at_once: None },
    Loop { subject: "loop: again after 1 s, 4 at once", pause: Pause::Second, at_once: Some(4) },
];

/// Where the service states waits.
pub(super) const WITH_HINTS: [Loop; 3] = [
    Loop { subject: "loop: again after 1 s", pause: Pause::Second, at_once: None },
    Loop { subject: "loop: as Retry-After says", pause: Pause::Asked, at_once: None },
    Loop { subject: "loop: as Retry-After says, 4 at once", pause: Pause::Asked, at_once: Some(4) },
];

/// Where tasks are waited for, which nobody does four by four.
pub(super) const OF_TASKS: [Loop; 2] = {
    let [second, asked, _] = WITH_HINTS;
    [second, asked]
};

impl Loop {
    /// How many calls are made at once.
    pub(super) fn at_once(&self) -> usize {
        self.at_once.unwrap_or(usize::MAX)
    }

    /// Sends a request until it is not refused.
    pub(super) async fn call(&self, request: &RequestBuilder) -> Result<Answer, Failure> {
        loop {
            let request = request.try_clone().ok_or("a body that streams")?;
            let answer = Answer::read(request.send().await?).await?;
            match answer.verdict() {
                Verdict::Fine => return Ok(answer),
                Verdict::Refused => self.rest(&answer).await,
                Verdict::Failed => return Err(format!("{}: {}", answer.status, answer.body).into()),
            }
        }
    }

    /// Pauses before the next request after this answer.
    pub(super) async fn rest(&self, answer: &Answer) {
        sleep(match self.pause {
            Pause::Second => SECOND,
            Pause::Asked => answer.retry_after.unwrap_or(SECOND),
        })
        .await;
    }
}

pub(super) struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Value,
}

enum Verdict {
    Fine,
    Refused,
    Failed,
}

impl Answer {
    async fn read(response: Response) -> Result<Self, Failure> {
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Self { status, retry_after: seconds.map(Duration::from_secs), body })
    }

    /// A member of the body that is text.
    pub(super) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.body.get(name).and_then(Value::as_str).ok_or_else(|| format!("no {name}: {}", self.body).into())
    }

    /// Sitecore Send refuses inside a 200.
    fn verdict(&self) -> Verdict {
        let code = self.body.get("Code").and_then(Value::as_u64).unwrap_or(0);
        if self.status == StatusCode::TOO_MANY_REQUESTS || code == 429 {
            Verdict::Refused
        } else if self.status.is_success() && code == 0 {
            Verdict::Fine
        } else {
            Verdict::Failed
        }
    }
}

pub(super) fn http() -> Result<reqwest::Client, Failure> {
    Ok(reqwest::Client::builder().no_proxy().retry(reqwest::retry::never()).build()?)
}

/// A request with JSON.
pub(super) fn json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json").body(body.to_string())
}
