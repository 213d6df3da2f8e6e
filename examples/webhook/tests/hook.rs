//! A webhook makes the poll come at once, and a wrong one does nothing.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use longhaul::retries::Schedule;
use longhaul::testing::{Script, reply, script};
use longhaul::{PollPolicy, Task};
use longhaul_webhook::{Secret, Waiting, routes};
use serde_json::{Value, json};
use tower::ServiceExt;

type Outcome = Result<(), Box<dyn Error>>;

/// The longest pause of a poll policy.
const LONG: Duration = Duration::from_secs(600);
const BODY: &str = r#"{"id": "7", "event": "export.finished"}"#;

/// A task with the id 7, which is polled once in ten minutes, and whose first poll finds it done.
async fn task(service: &Script) -> longhaul::Result<Task<Value>> {
    service.then(reply(202).header("location", "tasks/7").json(json!({"id": "7"})));
    service.then(reply(200).json(json!({"status": "succeeded"})));
    let seldom = PollPolicy::standard().without_jitter().schedule(Schedule::constant(LONG).without_jitter());
    service.client().poll_policy(seldom).build()?.task().post("exports").submit().await
}

async fn hook(waiting: &Waiting, signature: Option<&str>, body: &'static str) -> Result<StatusCode, Box<dyn Error>> {
    let mut request = Request::post("/hooks/exports");
    if let Some(signature) = signature {
        request = request.header("x-signature", signature);
    }
    let routes = routes(waiting.clone(), Secret::new("s3cret")?);
    Ok(routes.oneshot(request.body(Body::from(body))?).await?.status())
}

#[tokio::test(start_paused = true)]
async fn a_webhook_ends_the_pause() -> Outcome {
    let (service, waiting) = (script([]), Waiting::default());
    let task = task(&service).await?;
    let watched = waiting.watch(&task).ok_or("no id")?;
    let signature = Secret::new("s3cret")?.sign(BODY.as_bytes());
    let (outcome, status) = tokio::join!(task, async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        hook(&waiting, Some(&signature), BODY).await
    });
    assert_eq!((outcome?.last_update().polls(), status?), (1, StatusCode::NO_CONTENT));
    assert_eq!(service.gaps(), [Duration::from_secs(10)]);
    // Nobody waits for it now, so the service is to send the next one again.
    drop(watched);
    assert_eq!(hook(&waiting, Some(&signature), BODY).await?, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_not_of_the_service_nudges_nobody() -> Outcome {
    let right = Secret::new("s3cret")?;
    let other = Secret::new("guessed")?.sign(BODY.as_bytes());
    let of_another_body = right.sign(b"{}");
    let cut = right.sign(BODY.as_bytes()).chars().take(20).collect::<String>();
    for signature in
        [None, Some(""), Some("sha256="), Some("sha256=zz"), Some(&other), Some(&of_another_body), Some(&cut)]
    {
        let (service, waiting) = (script([]), Waiting::default());
        let task = task(&service).await?;
        let _watched = waiting.watch(&task).ok_or("no id")?;
        let (outcome, status) = tokio::join!(task, async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            hook(&waiting, signature, BODY).await
        });
        outcome?;
        assert_eq!(status?, StatusCode::UNAUTHORIZED, "{signature:?}");
        assert_eq!(service.gaps(), [LONG], "{signature:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_signed_body_without_an_id_is_refused() -> Outcome {
    let signature = Secret::new("s3cret")?.sign(b"[]");
    assert_eq!(hook(&Waiting::default(), Some(&signature), "[]").await?, StatusCode::BAD_REQUEST);
    Ok(())
}
