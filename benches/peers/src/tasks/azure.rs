//! Azure: a poller of azure_core for each task, with a pipeline as its client libraries have it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::poller::{
    Poller, PollerContinuation, PollerOptions, PollerResult, PollerState, PollerStatus, StatusMonitor, get_retry_after,
};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, Context, HttpClient, JsonFormat, Method, Pipeline, RawResponse, Request,
    StatusCode, Transport, Url,
};
use azure_core::json::from_json;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::service::{Reply, Service};
use super::{PAUSE, SUBMITS, Scene};
use crate::Failure;

pub(super) async fn spawned(scene: Scene, service: Service) -> Result<(), Failure> {
    let transport = Some(Transport::new(Arc::new(Wire(service.clone()))));
    let options = ClientOptions { transport, ..ClientOptions::default() };
    let pipeline = Pipeline::new(Some("peers"), Some("0.0.0"), options, Vec::new(), Vec::new(), None);
    let submits = Arc::new(Semaphore::new(SUBMITS));
    let mut tasks = JoinSet::new();
    for _ in 0..scene.tasks {
        let (service, pipeline, submits) = (service.clone(), pipeline.clone(), submits.clone());
        tasks.spawn(async move {
            let ended = poller(pipeline, submits).await?.into_model()?;
            service.ended(ended.id);
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// The status of a task, which also is its result.
#[derive(Deserialize)]
struct Monitor {
    id: u32,
    status: String,
}

impl StatusMonitor for Monitor {
    type Output = Self;
    type Format = JsonFormat;

    fn status(&self) -> PollerStatus {
        PollerStatus::from(&*self.status)
    }
}

fn poller(pipeline: Pipeline, submits: Arc<Semaphore>) -> Poller<Monitor> {
    let options = PollerOptions { frequency: azure(PAUSE), context: Context::new() };
    let ask = move |state: PollerState, options: PollerOptions<'static>| {
        let (pipeline, submits) = (pipeline.clone(), submits.clone());
        let asked = async move {
            let _permit = match state {
                PollerState::Initial => submits.acquire().await.ok(),
                PollerState::More(_) => None,
            };
            step(&pipeline, state, &options).await
        };
        Box::pin(asked) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    };
    Poller::new(ask, Some(options))
}

/// A submit or a poll.
async fn step(
    pipeline: &Pipeline,
    state: PollerState,
    options: &PollerOptions<'static>,
) -> azure_core::Result<PollerResult<Monitor>> {
    let mut request = match state {
        PollerState::Initial => Request::new(Url::parse("https://api.example.com/tasks")?, Method::Post),
        PollerState::More(PollerContinuation::Links { next_link, .. }) => Request::new(next_link, Method::Get),
        PollerState::More(_) => {
            return Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Other, "no link"));
        }
    };
    let (status, headers, body) = pipeline.send(&options.context, &mut request, None).await?.deconstruct();
    let monitor: Monitor = from_json(&body)?;
    let next_link = match headers.get_optional_str(&LOCATION) {
        Some(link) => Url::parse(link)?,
        None => request.url().clone(),
    };
    let retry_after = get_retry_after(&headers, &[], options);
    let response = RawResponse::from_bytes(status, headers, body.clone()).into();
    Ok(match monitor.status() {
        PollerStatus::InProgress => PollerResult::InProgress {
            response,
            retry_after,
            continuation: PollerContinuation::Links { next_link, final_link: None },
        },
        PollerStatus::Succeeded => PollerResult::Succeeded {
            response,
            target: Box::new(move || {
                Box::pin(async move { Ok(RawResponse::from_bytes(status, Headers::new(), body).into()) })
            }),
        },
        _ => PollerResult::Done { response },
    })
}

/// The service as a transport.
struct Wire(Service);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let reply = match request.method() {
            Method::Post => self.0.submit().await,
            _ => self.0.poll(request.url().path()).await,
        };
        let mut headers = Headers::new();
        let (status, body) = match reply {
            Reply::Submitted(number) => {
                headers.insert(LOCATION, format!("https://api.example.com/tasks/{number}"));
                (StatusCode::Accepted, format!(r#"{{"id":{number},"status":"InProgress"}}"#))
            }
            Reply::Pending => (StatusCode::Ok, r#"{"id":0,"status":"InProgress"}"#.to_owned()),
            Reply::Done(number) => (StatusCode::Ok, format!(r#"{{"id":{number},"status":"Succeeded"}}"#)),
            Reply::Refused => {
                headers.insert("retry-after", "1");
                (StatusCode::TooManyRequests, String::new())
            }
        };
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

fn azure(time: std::time::Duration) -> azure_core::time::Duration {
    azure_core::time::Duration::seconds(time.as_secs() as i64)
}

const LOCATION: HeaderName = HeaderName::from_static("operation-location");
