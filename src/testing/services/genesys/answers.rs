//! Answers of ordinary calls, which are the same for everyone.

use http::StatusCode;
use serde_json::json;

use super::super::answer::Answer;

pub(super) fn me() -> Answer {
    Answer::json(StatusCode::OK, &json!({ "id": "7d0f1b6e-4a52-4b6e-9c7e-3f9a2f1d8c01", "name": "An application" }))
}

/// Returns a listing of one page.
pub(super) fn list(path: &str) -> Answer {
    let body = json!({
        "entities": [{ "id": "1", "name": "First" }, { "id": "2", "name": "Second" }],
        "pageSize": 25,
        "pageNumber": 1,
        "pageCount": 1,
        "total": 2,
        "selfUri": format!("/api/v2/{path}"),
    });
    Answer::json(StatusCode::OK, &body)
}

/// Returns the answer of a query that the service answers at once.
pub(super) fn query() -> Answer {
    Answer::json(StatusCode::OK, &json!({ "conversations": [], "totalHits": 0 }))
}
