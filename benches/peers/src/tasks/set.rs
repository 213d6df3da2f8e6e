//! Set: the tasks of a longhaul client, as one stream, and one by one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::limits::Clock;
use longhaul::retries::Schedule;
use longhaul::tasks::TaskEvent;
use longhaul::{Client, Limit, PollPolicy};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::service::{Reply, Service};
use super::{PAUSE, SUBMITS, Scene};
use crate::Failure;

pub(super) async fn stream(scene: Scene, service: Service, polls: usize) -> Result<(), Failure> {
    let client = client(scene, &service)?;
    let mut tasks = client.tasks::<u32>().submits_at_once(SUBMITS).polls_at_once(polls);
    let feed = client.clone();
    tasks.feed((0..scene.tasks).map(move |_| feed.task().post("tasks")));
    while let Some((_, event)) = tasks.next().await {
        match event {
            TaskEvent::Done(outcome) => service.ended(outcome.value()?),
            TaskEvent::Failed(failed) => return Err(failed.into_error().into()),
            _ => {}
        }
    }
    Ok(())
}

pub(super) async fn spawned(scene: Scene, service: Service) -> Result<(), Failure> {
    let client = client(scene, &service)?;
    let submits = Arc::new(Semaphore::new(SUBMITS));
    let mut tasks = JoinSet::new();
    for _ in 0..scene.tasks {
        let (service, client, submits) = (service.clone(), client.clone(), submits.clone());
        tasks.spawn(async move {
            let permit = submits.acquire().await?;
            let task = client.task().post("tasks").submit::<u32>().await?;
            drop(permit);
            service.ended(task.await?.value()?);
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn client(scene: Scene, service: &Service) -> Result<Client, Failure> {
    let builder = Client::builder("https://api.example.com")
        .http(service.clone())
        .clock(Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
        .poll_policy(PollPolicy::standard().schedule(Schedule::steps([PAUSE])));
    Ok(match scene.limit {
        Some(limit) => builder.limit(Limit::per_second(limit)).build()?,
        None => builder.build()?,
    })
}

impl Http for Service {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let service = self.clone();
        Box::pin(async move {
            let reply = if request.method() == Method::POST {
                service.submit().await
            } else {
                service.poll(request.url().path()).await
            };
            let response = Response::new(status(&reply), request.url().clone());
            let (name, value) = match reply {
                Reply::Submitted(number) => ("location", location(number)?),
                Reply::Refused => ("retry-after", HeaderValue::from_static("1")),
                Reply::Pending => return Ok(response),
                Reply::Done(number) => return Ok(response.body_from(Bytes::from(number.to_string()))),
            };
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]);
            Ok(response.headers_from(headers))
        })
    }
}

const fn status(reply: &Reply) -> StatusCode {
    match reply {
        Reply::Submitted(_) | Reply::Pending => StatusCode::ACCEPTED,
        Reply::Done(_) => StatusCode::OK,
        Reply::Refused => StatusCode::TOO_MANY_REQUESTS,
    }
}

fn location(number: u32) -> Result<HeaderValue, HttpError> {
    HeaderValue::try_from(format!("/tasks/{number}")).map_err(|error| HttpError::broken().because(error))
}
