//! A result behind a signed URL (SAS, presigned) goes into a file, through two broken connections.
//!
//! `cargo run --example download_sas`

#![expect(clippy::print_stdout, reason = "an example that shows what it got")]

use std::error::Error;
use std::fs::{self, File};

use longhaul::testing::{self, Finish, Simulator};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The service's storage drops the first two connections after 400,000 bytes each.
    let service =
        Simulator::builder().hint_on_submit(true).finish(Finish::Signed).cut_bodies(2, 400_000).start().await?;
    let client = testing::client(&service).build()?;
    let task = client.task().post("exports").json(&json!({ "size": 1_000_000 })).submit::<Value>().await?;
    let id = task.handle().id().ok_or("a task without an id")?;
    let outcome = task.await?;

    // A link is shown without its query: the signature in the query grants the right to read.
    println!("from {}", outcome.links().first().ok_or("no link")?);
    let target = std::env::temp_dir().join(format!("longhaul-{id}.parquet"));
    let download = outcome.download();
    let mut progress = download.progress();
    let show = async {
        while let Some(progress) = progress.changed().await {
            println!("{:>7} of {:?} bytes", progress.bytes(), progress.total());
        }
    };
    let (receipt, ()) = tokio::join!(download.to_file(&target), show);
    let receipt = receipt?;

    println!("{} bytes, after {} breaks, in {}", receipt.bytes(), receipt.reopened(), target.display());
    let expected = service.expected(&id).ok_or("no such task")?;
    assert!(expected.verify(File::open(&target)?)?);
    assert_eq!(receipt.reopened(), 2);
    assert_eq!(service.counts().misplaced_credentials(), 0);
    fs::remove_file(target)?;
    Ok(())
}
