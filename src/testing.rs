//! For tests: a scripted service in memory, and simulated services on loopback.
//!
//! [`script`] answers from a queue and records the requests, on a paused clock if the test has one; [`Simulator`] is a
//! whole service over real sockets; [`ConstantContact`], [`Aprimo`] and [`SitecoreSend`] behave as these vendors document
//! their services. They serve the tests of this crate, and those of its users (feature `testing`).

mod counts;
mod grant;
mod script;
mod seen;
mod server;
mod services;
mod simulator;
mod tokens;
mod trouble;
mod window;

pub use counts::Counts;
pub use script::{Canned, Recorded, Script, reply, script};
pub use seen::{Seen, Side};
pub use services::{ActivityEnd, Aprimo, AprimoBuilder, ConstantContact, ConstantContactBuilder, OrderEnd};
pub use services::{Genesys, GenesysBuilder, JobEnd, LimitHeaders};
pub use services::{SitecoreSend, SitecoreSendBuilder};
pub use simulator::{Content, Finish, RefusalHint, Simulator, SimulatorBuilder};
pub use trouble::TokenTrouble;

use crate::client::{Client, ClientBuilder};
use crate::credential::Credential;
use crate::profile::Profile;
use crate::protocol::Protocol;

/// Returns a client for a simulated service: its URL, its credentials, its profile.
///
/// ```
/// use longhaul::testing::{self, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Simulator::start().await?;
/// let client = testing::client(&service).build()?;
/// # Ok(())
/// # }
/// ```
pub fn client(service: &Simulator) -> ClientBuilder {
    let credential = Credential::bearer(service.bearer())
        .and(Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key()));
    // SMAG's documents define no cancel; the simulated service supports one.
    let mut protocol = Protocol::smag_task();
    if let Ok(cancel) = "DELETE {status}".parse() {
        protocol = protocol.cancel(cancel);
    }
    Client::builder(service.url()).profile(Profile::smag_task().protocol(protocol)).credential(credential).no_proxy()
}
