//! Any signed or plain link into a file, without an API: `cargo run --example download -- --help`.
//!
//! ```text
//! download 'https://….blob.core.windows.net/exports/7.parquet?se=…&sig=…' --out 7.parquet
//! ```
//!
//! A transfer that breaks off goes on by itself; one that was stopped or killed goes on with the same command.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

mod lines;
mod options;
mod screen;
#[path = "../terminal/terminal.rs"]
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use longhaul::downloads::ProgressWatch;
use longhaul::{Client, Download};
use tokio::time::Instant;

use lines::{End, ProgressLine, print};
use options::{HELP, Options};
use screen::Screen;

fn main() -> ExitCode {
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("download: {error}\ndownload: try `--help`");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("download: no runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let end = runtime.block_on(run(&options));
    // What a stopped download holds is written before the process ends.
    runtime.shutdown_timeout(Duration::from_secs(10));
    let code = end.exit_code();
    if print(&end).is_err() { ExitCode::from(1) } else { ExitCode::from(code) }
}

async fn run(options: &Options) -> End {
    let download = match download(options) {
        Ok(download) => download,
        Err(error) => return End::of_error(&error),
    };
    let watch = download.progress();
    let screen = Screen::new();
    let shown = show(watch.clone(), &screen);
    let saved = tokio::select! {
        // The display never ends the download.
        biased;
        saved = download.to_file(&options.out) => Some(saved),
        () = interrupt() => None,
        () = shown => None,
    };
    match saved {
        Some(Ok(receipt)) => {
            screen.end(&watch.now(), true);
            End::of_receipt(&receipt)
        }
        Some(Err(error)) => {
            screen.end(&watch.now(), false);
            End::of_error(&error).at(&watch.now())
        }
        None => {
            screen.freeze();
            screen::say("the same command goes on where it was, if the storage can prove that the file is the same");
            End::interrupted().at(&watch.now())
        }
    }
}

fn download(options: &Options) -> longhaul::Result<Download> {
    // The link is fetched as it is: the base is never asked, and no credential goes along.
    let mut builder = Client::builder("https://api.example.com");
    if options.is_loopback() {
        builder = builder.no_proxy();
    }
    let mut download = builder.build()?.download(&options.url).overwrite(options.overwrite).resume(options.resume);
    if let Some(connections) = options.connections {
        download = download.connections(connections);
    }
    if let Some(checksum) = &options.checksum {
        download = download.checksum(checksum.clone());
    }
    if let Some(deadline) = options.deadline {
        download = download.timeout(deadline);
    }
    Ok(download)
}

/// Shows the progress as it comes, and prints it once a second at most. It never ends.
async fn show(mut watch: ProgressWatch, screen: &Screen) {
    let mut printed = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut last = watch.now();
    loop {
        tick.tick().await;
        let progress = watch.now();
        screen.show(&progress);
        if progress != last && printed.elapsed() >= Duration::from_secs(1) {
            (printed, last) = (Instant::now(), progress);
            // Nobody reads any more: the file is still wanted.
            print(&ProgressLine::of(&progress)).ok();
        }
        if watch.changed().await.is_none() {
            return std::future::pending().await;
        }
    }
}

/// Waits for Ctrl-C.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
