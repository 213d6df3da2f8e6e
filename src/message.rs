//! Messages: requests to the service, its responses, and the interface to an HTTP client between them.

mod beginning;
mod body;
mod flow;
mod http;
mod json;
mod media;
mod multipart;
mod origin;
mod reply;
mod request;
mod reserved;
mod response;
mod route;
mod transcript;
mod weight;

pub use body::Body;
pub use http::{Http, HttpError};
pub use multipart::Multipart;
pub use reply::Reply;
pub use request::{Priority, Request};
pub use response::Response;
pub use transcript::Transcript;

pub(crate) use media::looks_like_html;
pub(crate) use reply::Extent;
pub(crate) use reserved::{RESERVED_WHY, is_reserved, is_routing};
pub(crate) use response::{is_transient, without_bom};

pub(crate) use origin::{Origin, Standing, Trust};
pub(crate) use route::write_route;
pub(crate) use transcript::Answer;
