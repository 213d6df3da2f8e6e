//! The web side: it submits, answers at once, and reads the store.

use std::io::ErrorKind;

use axum::Router;
use axum::body::Body;
use axum::extract::{Json, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use longhaul::Client;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use crate::store::{ExportId, Store};
use crate::worker::token_of;

/// The routes, over a service and the exports that were submitted to it.
pub fn routes(client: Client, store: Store) -> Router {
    Router::new()
        .route("/exports", post(submit))
        .route("/exports/{id}", get(status))
        .route("/exports/{id}/file", get(file))
        .with_state(App { client, store })
}

#[derive(Clone)]
struct App {
    client: Client,
    store: Store,
}

async fn submit(State(app): State<App>, Json(body): Json<Value>) -> Result<Response, Failure> {
    // A handler is dropped when its caller hangs up, and an export must not be lost between its submit and its token.
    // So both happen in a task of their own.
    let submitted = tokio::spawn(async move {
        let task = app.client.task().post("exports").json(&body).submit::<Value>().await?;
        let id = app.store.add(task.id().as_deref(), &token_of(&task.handle()))?;
        Ok::<_, Failure>(id)
    });
    let id = submitted.await.map_err(|error| Failure::internal(&error))??;
    let location = [(header::LOCATION, format!("/exports/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(json!({ "id": id }))).into_response())
}

async fn status(State(app): State<App>, Path(id): Path<ExportId>) -> Result<Response, Failure> {
    Ok(app.store.status(&id)?.map_or_else(not_found, |status| Json(status).into_response()))
}

async fn file(State(app): State<App>, Path(id): Path<ExportId>) -> Result<Response, Failure> {
    match tokio::fs::File::open(app.store.file(&id)).await {
        Ok(file) => Ok(Body::from_stream(ReaderStream::new(file)).into_response()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(not_found()),
        Err(error) => Err(error.into()),
    }
}

fn not_found() -> Response {
    Failure { status: StatusCode::NOT_FOUND, message: "no such export, or not yet".into() }.into_response()
}

/// A failure as the caller sees it. The text of a longhaul error holds no secret.
struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    fn internal(error: &dyn std::error::Error) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: error.to_string() }
    }
}

impl From<longhaul::Error> for Failure {
    fn from(error: longhaul::Error) -> Self {
        let status = if error.is_transient() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        Self { status, message: error.to_string() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}
