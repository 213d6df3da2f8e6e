//! What a client of longhaul counts, at `/metrics` for Prometheus.
//!
//! longhaul reports to the facade of the crate `metrics`; any exporter of it will do. Names lose their dots on the way:
//! `longhaul.limit_use` is `longhaul_limit_use` here. `docs/dashboards` of longhaul has a dashboard for Grafana and alert
//! rules over these names.

use std::net::SocketAddr;

use longhaul::Client;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use serde_json::{Value, json};

/// Serves `/metrics` at this address, from a task on the current runtime.
pub fn serve_metrics(address: SocketAddr) -> Result<(), BuildError> {
    // Without buckets a histogram is a summary, whose quantiles cannot be added up over processes.
    ["longhaul.latency", "longhaul.queued", "longhaul.refresh_latency"]
        .into_iter()
        .try_fold(PrometheusBuilder::new(), |builder, name| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &SECONDS)
        })?
        .with_http_listener(address)
        .install()
}

/// One export from its submit to its result, which is thrown away.
pub async fn export(client: &Client) -> longhaul::Result<()> {
    let task = client.task().post("exports").json(&json!({ "size": 100_000 })).submit::<Value>().await?;
    task.await?.download().to_memory(1 << 20).await?;
    Ok(())
}

/// From an answer within a data centre to the slowest one that is waited for.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
