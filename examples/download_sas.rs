//! A result behind a signed URL (SAS, presigned) goes into a file; a connection that breaks is resumed where it broke.
//!
//! ```text
//! cargo run --example download_sas                                     # a simulated storage that breaks twice
//! cargo run --example download_sas -- 'https://….blob.core.windows.net/…?sig=…' FILE   # a link of yours
//! ```

#![expect(clippy::print_stdout, reason = "an example that shows what it got")]

use std::env;
use std::error::Error;
use std::path::PathBuf;

use longhaul::testing::{self, Finish, Simulator};
use longhaul::{Client, Download};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (link, file) = (env::args().nth(1), env::args().nth(2));
    let target = file.map_or_else(|| env::temp_dir().join("longhaul-download.parquet"), PathBuf::from);
    match link {
        // A link that was obtained elsewhere needs no API: the base is never asked, and no credential goes along.
        Some(link) => save(Client::builder("https://api.example.com").build()?.download(link), target).await,
        None => {
            // Its storage drops the first two connections after 400,000 bytes each.
            let service = Simulator::builder().finish(Finish::Signed).cut_bodies(2, 400_000).start().await?;
            let client = testing::client(&service).build()?;
            let task = client.task().post("exports").json(&json!({ "size": 1_000_000 })).submit::<Value>().await?;
            save(task.await?.download(), target).await
        }
    }
}

async fn save(download: Download, target: PathBuf) -> Result<(), Box<dyn Error>> {
    // Shown, a link has no query: the signature in there is the right to read.
    println!("from {}", download.link().ok_or("no link")?);
    let mut progress = download.progress();
    let show = async {
        while let Some(progress) = progress.changed().await {
            println!("{:>7} of {:?} bytes", progress.bytes(), progress.total());
        }
    };
    let (receipt, ()) = tokio::join!(download.to_file(&target), show);
    let receipt = receipt?;
    println!("{} bytes, after {} breaks, in {}", receipt.bytes(), receipt.reopened(), target.display());
    Ok(())
}
