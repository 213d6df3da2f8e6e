//! A web service that takes the webhooks of a slow service: each of them ends the pause before the next poll of one task.
//!
//! A webhook is a hint and no proof. It may be late, lost or repeated, so the tasks are polled as before, only less often:
//! the webhook makes the poll come at once, and the poll says what is so.
//!
//! | request | response |
//! | --- | --- |
//! | `POST /hooks/exports`, `{"id": "7"}` with `X-Signature: sha256=<hex>` | 204 |
//! | with a signature that is missing or wrong | 401 |
//! | of something else than JSON with an `id` | 400 |
//! | for a task that nobody waits for | 404: the service sends it again later |

mod hook;
mod signature;
mod waiting;

pub use hook::routes;
pub use signature::Secret;
pub use waiting::{Waiting, Watched};
