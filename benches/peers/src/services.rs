//! Services: the profiles of five services, each against its simulated service, beside loops written by hand.

mod aprimo;
mod by_hand;
mod constant_contact;
mod genesys;
mod side;
mod sitecore_send;
mod smag;

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::report::Report;
use crate::{Failure, Length};

pub(crate) fn run(report: &mut Report, length: Length) -> Result<(), Failure> {
    // All services and all subjects side by side, each subject with a service of its own.
    let tables = Runtime::new()?.block_on(async {
        let tables = tokio::try_join!(
            constant_contact::table(length),
            aprimo::table(),
            genesys::table(length),
            sitecore_send::table(),
            smag::table(length),
        )?;
        Ok::<_, Failure>(<[_; 5]>::from(tables))
    })?;
    for table in &tables {
        table.print(report)?;
    }
    Ok(())
}

/// How long a request takes at each service, beside a wait in its queue.
const LATENCY: Duration = Duration::from_millis(50);

const SECOND: Duration = Duration::from_secs(1);
