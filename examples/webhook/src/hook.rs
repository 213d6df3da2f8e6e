//! The route that takes the webhooks.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::Deserialize;

use crate::signature::Secret;
use crate::waiting::Waiting;

/// The route, for the tasks that are awaited and the secret of the service. axum refuses a body of more than 2 MB.
pub fn routes(waiting: Waiting, secret: Secret) -> Router {
    Router::new().route("/hooks/exports", post(take)).with_state(Hook { waiting, secret })
}

#[derive(Clone)]
struct Hook {
    waiting: Waiting,
    secret: Secret,
}

/// The part of a webhook that is used. Its other parts are not believed: the poll says what is so.
#[derive(Deserialize)]
struct Notice {
    id: String,
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> StatusCode {
    // The signature covers the bytes as they came, so it is checked before they are read.
    let signature = headers.get("x-signature").and_then(|value| value.to_str().ok());
    if !signature.is_some_and(|signature| hook.secret.verifies(&body, signature)) {
        return StatusCode::UNAUTHORIZED;
    }
    match serde_json::from_slice::<Notice>(&body) {
        Ok(notice) if hook.waiting.nudge(&notice.id) => StatusCode::NO_CONTENT,
        Ok(_) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
