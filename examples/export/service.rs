//! The service under test: a simulated one in this process, or one at a URL.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use longhaul::downloads::Receipt;
use longhaul::testing::{self, Content, Simulator};
use longhaul::{Client, Limit, Task};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Failure;
use crate::options::Options;
use crate::report::{Counted, in_json};

pub(crate) struct Service {
    pub(crate) client: Client,
    simulator: Option<Simulator>,
}

impl Service {
    pub(crate) async fn of(options: &Options) -> Result<Self, Failure> {
        let (builder, simulator) = match &options.url {
            Some(url) => (Client::builder(url).credential(options.credential.clone()), None),
            None => {
                let simulator = simulate(options).await?;
                (testing::client(&simulator), Some(simulator))
            }
        };
        let client = builder.profile(options.profile.clone()).limit(Limit::per_second(options.limit)).build()?;
        Ok(Self { client, simulator })
    }

    /// Submits one export; returns as soon as the service has accepted it.
    pub(crate) async fn submit(&self, options: &Options, number: u32) -> Result<Task<Value>, longhaul::Error> {
        let body = match (&options.body, &self.simulator) {
            (Some(body), _) => body.clone(),
            (None, Some(_)) => json!({ "duration_ms": 1_000 + number % 8 * 400 }),
            (None, None) => json!({}),
        };
        self.client.task().post(&options.path).json(&body).submit().await
    }

    /// Checks a file, and returns the standard of the check. Only for a simulated result are the expected contents
    /// known.
    pub(crate) async fn verify(
        &self,
        id: Option<&str>,
        path: &Path,
        receipt: &Receipt,
    ) -> Result<&'static str, Failure> {
        let file = File::open(path)?;
        let expected = self.simulator.as_ref().zip(id).and_then(|(simulator, id)| simulator.expected(id));
        let (right, against) = match expected {
            Some(content) => (tokio::task::spawn_blocking(move || content.verify(file)).await??, "content"),
            None => (file.metadata()?.len() == receipt.bytes(), "length"),
        };
        if right { Ok(against) } else { Err(format!("{} has the wrong {against}", path.display()).into()) }
    }

    /// Returns the counts of a simulated service.
    pub(crate) fn counts(&self) -> Option<Counted> {
        self.simulator.as_ref().map(counts)
    }
}

/// Runs a simulated service until stdin ends, and prints its counts.
pub(crate) async fn serve(options: &Options) -> Result<ExitCode, Failure> {
    let simulator = simulate(options).await?;
    println!("export LONGHAUL_URL='{}'", simulator.url());
    println!("export LONGHAUL_BEARER='{}'", simulator.bearer());
    println!("export LONGHAUL_API_KEY_HEADER='Ocp-Apim-Subscription-Key: {}'", simulator.subscription_key());
    eprintln!("set these in another shell, and there: cargo run --example export -- --url \"$LONGHAUL_URL\"");
    let (ended, end) = tokio::sync::oneshot::channel();
    // On a thread of its own: a read of stdin cannot be canceled.
    std::thread::spawn(move || ended.send(io::copy(&mut io::stdin(), &mut io::sink())));
    tokio::select! {
        _ = end => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let content = |uid: &String| simulator.expected(uid).map(|content| (uid.clone(), json!(hash(&content))));
    let results: serde_json::Map<_, _> = simulator.tasks().iter().filter_map(content).collect();
    println!("{}", json!({ "counts": in_json(counts(&simulator)), "sha256": results }));
    Ok(ExitCode::SUCCESS)
}

/// Strict, not fast, and not quite reliable: its storage drops the first connection for each larger result.
async fn simulate(options: &Options) -> io::Result<Simulator> {
    Simulator::builder()
        .limit(options.limit, Duration::from_secs(1))
        .latency(Duration::from_millis(20))
        .task_duration(Duration::from_secs(2))
        .retry_after(Duration::from_secs(1))
        .hint_on_submit(true)
        .result_size(options.size)
        .storage_rate(8 << 20)
        .cut_bodies(1, 1 << 20)
        .start()
        .await
}

fn counts(simulator: &Simulator) -> Counted {
    let counts = simulator.counts();
    vec![
        ("requests", counts.requests()),
        ("submits", counts.submits()),
        ("polls", counts.polls()),
        ("early_polls", counts.early_polls()),
        ("throttled", counts.throttled()),
        ("unauthorized", counts.unauthorized()),
        ("downloads", counts.downloads()),
        ("misplaced_credentials", counts.misplaced_credentials()),
    ]
}

fn hash(content: &Content) -> String {
    let mut hash = Sha256::new();
    for at in (0..content.len()).step_by(1 << 20) {
        hash.update(content.bytes(at..at + (1 << 20)));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
