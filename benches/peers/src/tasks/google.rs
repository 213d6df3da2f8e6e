//! Google: a poller of google-cloud-lro for each task, built as its generated clients build it, with the service in the
//! place of their gRPC.

use std::sync::Arc;
use std::time::Duration;

use google_cloud_gax::error::Error;
use google_cloud_gax::polling_backoff_policy::PollingBackoffPolicy;
use google_cloud_gax::polling_error_policy::Aip194Strict;
use google_cloud_gax::polling_state::PollingState;
use google_cloud_longrunning::model::Operation as Message;
use google_cloud_lro::Poller;
use google_cloud_lro::internal::{Operation, new_poller};
use google_cloud_wkt::{Any, Empty, UInt32Value};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::service::{Reply, Service};
use super::{PAUSE, SUBMITS, Scene};
use crate::Failure;

pub(super) async fn spawned(scene: Scene, service: Service) -> Result<(), Failure> {
    let (errors, pauses) = (Arc::new(Aip194Strict), Arc::new(Pause));
    let submits = Arc::new(Semaphore::new(SUBMITS));
    let mut tasks = JoinSet::new();
    for _ in 0..scene.tasks {
        let (errors, pauses, service, submits) = (errors.clone(), pauses.clone(), service.clone(), submits.clone());
        tasks.spawn(async move {
            let (by_submit, by_poll) = (service.clone(), service.clone());
            let submit = async move || {
                let _permit = submits.acquire().await.ok();
                operation(&by_submit.submit().await, None)
            };
            let poll = move |name: String| {
                let service = by_poll.clone();
                async move { operation(&service.poll(&name).await, Some(name)) }
            };
            let poller = new_poller(errors, pauses, submit, poll);
            service.ended(poller.until_done().await?);
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn operation(reply: &Reply, name: Option<String>) -> Result<Operation<UInt32Value, Empty>, Error> {
    let name = name.unwrap_or_default();
    Ok(Operation::new(match *reply {
        Reply::Submitted(number) => Message::new().set_name(format!("tasks/{number}")),
        Reply::Pending => Message::new().set_name(name),
        Reply::Done(number) => {
            let number = Any::from_msg(&number).map_err(Error::ser)?;
            Message::new().set_name(name).set_done(true).set_response(number)
        }
        Reply::Refused => return Err(Error::io("refused")),
    }))
}

/// The same pause between all polls.
#[derive(Debug)]
struct Pause;

impl PollingBackoffPolicy for Pause {
    fn wait_period(&self, _: &PollingState) -> Duration {
        PAUSE
    }
}
