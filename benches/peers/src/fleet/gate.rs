//! Gate: the limiter of a process.

use std::path::Path;

use longhaul::limits::{Permit, Priority, RequestKey};
use longhaul::{Limit, Throttle};

use super::gcra::Gcra;
use super::orders::{Orders, Store};
use crate::Failure;

pub(super) enum Gate {
    Throttle(Throttle, RequestKey),
    Gcra(Gcra),
}

impl Gate {
    /// Opens the limiter of one of the windows of a process.
    pub(super) async fn open(orders: &Orders, key: usize) -> Result<Self, Failure> {
        let throttle = match &orders.place {
            Store::None => Throttle::new(),
            Store::File(folder) => Throttle::file(Path::new(folder).join(key.to_string()))?,
            Store::Redis { url, namespace } => Throttle::redis(url, &format!("{namespace}-{key}")).await?,
            Store::Gcra { url, namespace } => {
                return Ok(Self::Gcra(Gcra::open(url, format!("{namespace}-{key}"), orders.limit).await?));
            }
        };
        throttle.add_limit(Limit::per(orders.limit.count, orders.limit.length))?;
        Ok(Self::Throttle(throttle, RequestKey::new()))
    }

    /// Returns a permit, where the limiter looks at what becomes of it.
    pub(super) async fn acquire(&self) -> Result<Option<Permit>, Failure> {
        match self {
            Self::Throttle(throttle, keys) => Ok(Some(throttle.acquire(Priority::Call, keys).await?)),
            Self::Gcra(gcra) => {
                gcra.acquire().await?;
                Ok(None)
            }
        }
    }
}
