//! The services of the field, each as a profile. Data only.

mod databricks;
mod dropbox;
mod durable_functions;
mod fhir;
mod hubspot;
mod ivoa_uws;
mod mailchimp;
mod marketo;
mod microsoft_graph;
mod ogc_processes;
mod openai;
mod power_bi;
mod replicate;
mod salesforce_bulk;
mod shopify;
mod snowflake;
mod trino;
mod twilio;
mod zuora;

pub use databricks::databricks;
pub use dropbox::dropbox;
pub use durable_functions::durable_functions;
pub use fhir::fhir;
pub use hubspot::hubspot;
pub use ivoa_uws::ivoa_uws;
pub use mailchimp::mailchimp;
pub use marketo::marketo;
pub use microsoft_graph::microsoft_graph;
pub use ogc_processes::ogc_processes;
pub use openai::openai;
pub use power_bi::power_bi;
pub use replicate::replicate;
pub use salesforce_bulk::salesforce_bulk;
pub use shopify::shopify;
pub use snowflake::snowflake;
pub use trino::trino;
pub use twilio::twilio;
pub use zuora::zuora;

use crate::protocol::{Exchange, Protocol};

/// Sets a request that is written as text. The tests parse every text, and so none is left out.
fn exchange(protocol: Protocol, text: &str, set: fn(Protocol, Exchange) -> Protocol) -> Protocol {
    match text.parse() {
        Ok(exchange) => set(protocol, exchange),
        Err(_) => protocol,
    }
}
