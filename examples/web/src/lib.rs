//! A web service in front of slow exports: a request starts one and is answered at once, a worker waits for the end.
//!
//! The web side and the worker share a folder and nothing else. The folder holds the resume token of each unfinished
//! export, so a worker that starts later, also in another process, goes on where the one before it stopped.
//!
//! | request | response |
//! | --- | --- |
//! | `POST /exports`, a JSON body for the service behind | 202 with `Location` and `{"id": ..}` |
//! | `GET /exports/{id}` | 200 with `{"status": "running", "percentComplete": 40.0, ..}`; 404 for an unknown id |
//! | `GET /exports/{id}/file` | 200 with the result; 404 until it is there |

mod routes;
mod store;
mod worker;

pub use routes::routes;
pub use store::{ExportId, Status, Store};
pub use worker::Worker;
