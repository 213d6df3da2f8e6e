//! Exports without end, eight at a time, under the eyes of Prometheus.
//!
//! ```text
//! cd examples/prometheus
//! cargo run                                # exports of a simulated service in this process
//! cargo run -- https://api.example.com/v1  # of a real one
//! curl http://127.0.0.1:9464/metrics
//! ```
//!
//! The credentials of a real service come from the environment: `LONGHAUL_BEARER`, and `LONGHAUL_API_KEY_HEADER` as
//! `Name: value`. `LISTEN` is the address of the metrics, 127.0.0.1:9464 by default. Prometheus wants two settings:
//!
//! ```yaml
//! scrape_configs:
//!   - job_name: exports
//!     scrape_interval: 15s
//!     static_configs: [{targets: ["127.0.0.1:9464"]}]
//! rule_files: [docs/dashboards/alerts.yml]
//! ```

use std::env;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, Limit, OAuth, Profile};
use longhaul_prometheus::{export, serve_metrics};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Shows an error with its causes: a `main` that returns it would print its `Debug`.
fn show(error: &(dyn Error + 'static)) {
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
}

async fn run() -> Result<(), Box<dyn Error>> {
    // The recorder first: what is counted before it is there goes nowhere.
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:9464".into()).parse()?;
    serve_metrics(address)?;
    println!("http://{address}/metrics until Ctrl-C");

    let simulator = simulate().await?;
    let client = match env::args().nth(1) {
        Some(url) => Client::builder(url).profile(Profile::smag_task()).credential(credential()?),
        None => testing::client(&simulator).credential(simulated_login(&simulator)),
    };
    let client = client.limit(Limit::per_second(10)).limit(Limit::per_minute(500)).build()?;

    let exports = stream::repeat_with(|| export(&client)).buffer_unordered(8).for_each(|ended| async {
        if let Err(error) = ended {
            eprintln!("{error}");
            // A service that is down is not asked in a tight loop.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    tokio::select! {
        () = exports => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

/// Not quite reliable, so that the dashboard has something to show.
async fn simulate() -> io::Result<Simulator> {
    Simulator::builder()
        .limit(9, Duration::from_secs(1))
        .tokens(Duration::from_secs(60))
        .latency(Duration::from_millis(60))
        .jitter(Duration::from_millis(80))
        .task_duration(Duration::from_secs(3))
        .fail_every(20)
        .start()
        .await
}

fn simulated_login(service: &Simulator) -> Credential {
    let oauth = OAuth::client_credentials(service.token_url(), service.client_id(), service.client_secret());
    Credential::oauth(oauth).and(Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key()))
}

fn credential() -> Result<Credential, Box<dyn Error>> {
    let mut credential = Credential::none();
    if let Ok(token) = env::var("LONGHAUL_BEARER") {
        credential = credential.and(Credential::bearer(token));
    }
    if let Ok(header) = env::var("LONGHAUL_API_KEY_HEADER") {
        let (name, value) = header.split_once(':').ok_or("LONGHAUL_API_KEY_HEADER is not 'Name: value'")?;
        credential = credential.and(Credential::api_key_header(name.trim(), value.trim()));
    }
    Ok(credential)
}
