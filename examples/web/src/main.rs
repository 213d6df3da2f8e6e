//! The web service as a program.
//!
//! ```text
//! cd examples/web
//! cargo run                                    # exports of a simulated service in this process
//! cargo run -- https://api.example.com/v1 DIR  # of a real one, with the tokens and results in DIR
//! ```
//!
//! The credentials of a real service come from the environment: `LONGHAUL_BEARER`, and `LONGHAUL_API_KEY_HEADER` as
//! `Name: value`. `LISTEN` is the address of the web service, 127.0.0.1:8080 by default.
//!
//! To see a restart, run `cargo run --example export -- --serve` in the folder of longhaul, set what it prints in another
//! shell, and there start this program with `"$LONGHAUL_URL" DIR`, submit, stop it by Ctrl-C, and start it again.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, Limit, Profile};
use longhaul_web::{Store, Worker, routes};
use tokio::net::TcpListener;

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
    let mut arguments = env::args().skip(1);
    // The simulated service ends with this process, so nothing of it is worth keeping.
    let simulator = Simulator::builder().task_duration(Duration::from_secs(10)).start().await?;
    let (client, folder) = match arguments.next() {
        Some(url) => (real(&url)?, PathBuf::from(arguments.next().ok_or("wanted a folder behind the URL")?)),
        None => (testing::client(&simulator).build()?, fresh_folder()),
    };
    let store = Store::open(folder.clone())?;
    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".into())).await?;
    let address = listener.local_addr()?;
    println!("exports in {}; try:", folder.display());
    println!("  curl -i http://{address}/exports --json '{{\"size\": 1000}}'");
    println!("  curl http://{address}/exports/ID");

    let worker = Worker::new(client.clone(), store.clone()).run();
    let web = axum::serve(listener, routes(client, store)).with_graceful_shutdown(interrupted());
    tokio::select! {
        ended = worker => ended?,
        ended = web => ended?,
    }
    println!("stopped; unfinished exports go on at the service, and with the next start here");
    Ok(())
}

fn real(url: &str) -> Result<Client, Box<dyn Error>> {
    let mut credential = Credential::none();
    if let Ok(token) = env::var("LONGHAUL_BEARER") {
        credential = credential.and(Credential::bearer(token));
    }
    if let Ok(header) = env::var("LONGHAUL_API_KEY_HEADER") {
        let (name, value) = header.split_once(':').ok_or("LONGHAUL_API_KEY_HEADER is not 'Name: value'")?;
        credential = credential.and(Credential::api_key_header(name.trim(), value.trim()));
    }
    let limit = Limit::per_second(10);
    Ok(Client::builder(url).profile(Profile::smag_task()).credential(credential).limit(limit).build()?)
}

fn fresh_folder() -> PathBuf {
    env::temp_dir().join(format!("longhaul-web-{}", std::process::id()))
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
