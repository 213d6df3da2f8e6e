//! Orders: what a process of the fleet is told, as JSON on its command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::budget::Window;

pub(super) struct Orders {
    pub(super) place: Store,
    pub(super) limit: Window,
    pub(super) way: Way,
    /// One for each window of the limit.
    pub(super) services: Vec<SocketAddr>,
    pub(super) number: usize,
}

/// By what a process shares its limit.
#[derive(Clone)]
pub(super) enum Store {
    None,
    File(PathBuf),
    Redis { url: String, namespace: String },
    Gcra { url: String, namespace: String },
}

/// How requests come.
#[derive(Clone)]
pub(super) enum Way {
    Greedy {
        workers: usize,
    },
    Open {
        /// The numbers of the streams of arrivals.
        streams: Vec<usize>,
        /// The mean time between two arrivals of a stream.
        mean: Duration,
        time: Duration,
        /// Arrivals before this are not counted: the processes have no slots yet.
        skipped: Duration,
    },
}

impl Orders {
    pub(super) fn to_text(&self) -> String {
        let (kind, place, namespace) = match &self.place {
            Store::None => ("none", "", ""),
            Store::File(folder) => ("file", folder.to_str().unwrap_or_default(), ""),
            Store::Redis { url, namespace } => ("redis", &**url, &**namespace),
            Store::Gcra { url, namespace } => ("gcra", &**url, &**namespace),
        };
        let way = match &self.way {
            Way::Greedy { workers } => json!({ "workers": workers }),
            Way::Open { streams, mean, time, skipped } => json!({
                "streams": streams, "mean": micros(*mean), "time": micros(*time), "skipped": micros(*skipped),
            }),
        };
        let services: Vec<_> = self.services.iter().map(ToString::to_string).collect();
        json!({
            "kind": kind, "place": place, "namespace": namespace, "way": way, "services": services,
            "count": self.limit.count, "length": micros(self.limit.length), "number": self.number,
        })
        .to_string()
    }

    pub(super) fn of(text: &str) -> Option<Self> {
        let orders: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| Some(orders.get(name)?.as_str()?.to_owned());
        let (url, namespace) = (text("place")?, text("namespace")?);
        let place = match &*text("kind")? {
            "file" => Store::File(url.into()),
            "redis" => Store::Redis { url, namespace },
            "gcra" => Store::Gcra { url, namespace },
            _ => Store::None,
        };
        let way = orders.get("way")?;
        let way = match way.get("workers") {
            Some(workers) => Way::Greedy { workers: whole(workers)? },
            None => Way::Open {
                streams: way.get("streams")?.as_array()?.iter().map(whole).collect::<Option<_>>()?,
                mean: duration(way.get("mean")?)?,
                time: duration(way.get("time")?)?,
                skipped: duration(way.get("skipped")?)?,
            },
        };
        let address = |service: &Value| service.as_str()?.parse().ok();
        let services = orders.get("services")?.as_array()?.iter().map(address).collect::<Option<_>>()?;
        let count = orders.get("count")?.as_u64()?.try_into().ok()?;
        let limit = Window { count, length: duration(orders.get("length")?)? };
        Some(Self { place, limit, way, services, number: whole(orders.get("number")?)? })
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

fn duration(micros: &Value) -> Option<Duration> {
    micros.as_u64().map(Duration::from_micros)
}

fn whole(number: &Value) -> Option<usize> {
    number.as_u64()?.try_into().ok()
}
