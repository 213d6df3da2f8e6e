//! Simulated services of single vendors, which behave as their documents say.
//!
//! A service is a [`Vendor`](vendor::Vendor): plain data that decides, without I/O, on each request at its arrival and
//! on each answer. A [`Host`](host::Host) stands before it: ports on loopback, the log, the counts, the latency.

mod answer;
mod aprimo;
mod authority;
mod constant_contact;
mod fixed;
mod genesys;
mod head;
mod host;
mod keyed;
mod multipart;
mod queue;
mod sitecore_send;
mod vendor;
mod wall;

pub use self::aprimo::{Aprimo, AprimoBuilder, OrderEnd};
pub use self::constant_contact::{ActivityEnd, ConstantContact, ConstantContactBuilder};
pub use self::genesys::{Genesys, GenesysBuilder, JobEnd, LimitHeaders};
pub use self::sitecore_send::{SitecoreSend, SitecoreSendBuilder};
