//! Peers: the other libraries, each as its documentation says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fast_down::fast_puller::{FastDownPuller, FastDownPullerOptions, build_client};
use fast_down::http::Prefetch;
use fast_down::multi::download_multi;
use fast_down::{Event, Proxy, StdFilePusher};
use futures::TryStreamExt;
use gosh_dl::{DownloadEngine, DownloadEvent, EngineConfig};
use http::HeaderMap;
use object_store::http::HttpBuilder;
use object_store::{ClientOptions, ObjectStoreExt};
use parking_lot::Mutex;
use rusty_cat::api::{DownloadPounceBuilder, MeowClient, MeowConfig};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::sink;
use crate::Failure;

/// Its total timeout of 30 s is turned off, because it holds for a body too.
pub(super) async fn object_store(url: &str, target: Option<&Path>) -> Result<(), Failure> {
    let url = Url::parse(url)?;
    let options = ClientOptions::new().with_allow_http(true).with_timeout_disabled();
    let origin = url.origin().ascii_serialization();
    let store = HttpBuilder::new().with_url(origin).with_client_options(options).build()?;
    let mut chunks = store.get(&url.path().trim_start_matches('/').into()).await?.into_stream();
    let mut sink = sink(target).await?;
    while let Some(chunk) = chunks.try_next().await? {
        sink.write_all(&chunk).await?;
    }
    Ok(sink.flush().await?)
}

/// As the example of its README, but with the length and the validator that its `prefetch` finds.
pub(super) async fn fast_down(url: &str, target: &Path) -> Result<(), Failure> {
    let client = build_client(HeaderMap::new(), Proxy::System, false, false, false, None, 10)?;
    let (info, response) = client.prefetch(Url::parse(url)?).await.map_err(|(error, _)| error.to_string())?;
    let pusher = StdFilePusher::new(tokio::fs::File::create(target).await?, info.size, false).await?;
    let puller = FastDownPuller::new(FastDownPullerOptions {
        url: info.final_url,
        headers: Arc::default(),
        proxy: Proxy::System,
        accept_invalid_certs: false,
        accept_invalid_hostnames: false,
        cookie_store: false,
        file_id: info.file_id,
        resp: Some(Arc::new(Mutex::new(Some(response)))),
        available_ips: Arc::from([]),
        max_redirects: 10,
    })?;
    let options = fast_down::multi::DownloadOptions {
        download_chunks: std::iter::once(0..info.size),
        concurrent: 8,
        retry_gap: Duration::from_secs(1),
        pull_timeout: Duration::from_secs(30),
        push_queue_cap: 1024,
        min_chunk_size: 1 << 20,
        max_speculative: 3,
    };
    let result = download_multi(puller, pusher, options);
    // It has no error at the end: what was written is counted.
    let mut written = 0;
    while let Ok(event) = result.recv().await {
        match event {
            Event::PushProgress(range) => written += range.end - range.start,
            Event::PullError(_, error) => eprintln!("fast-down: {error}"),
            _ => {}
        }
    }
    if written < info.size { Err(format!("{written} of {} bytes", info.size).into()) } else { Ok(()) }
}

pub(super) async fn gosh_dl(url: &str, target: &Path) -> Result<(), Failure> {
    let (folder, name) = (target.parent().ok_or("no folder")?, target.file_name().ok_or("no name")?);
    let engine = DownloadEngine::new(EngineConfig::default().download_dir(folder)).await?;
    // Before the download is added, as its README says.
    let mut events = engine.subscribe();
    let name = name.to_string_lossy().into_owned();
    let options = gosh_dl::DownloadOptions::new().max_connections(8).save_dir(folder).filename(name);
    let added = engine.add_http(url, options).await?;
    loop {
        match events.recv().await {
            Ok(DownloadEvent::Completed { id }) if id == added => break,
            Ok(DownloadEvent::Failed { id, error, .. }) if id == added => return Err(error.into()),
            // Behind on events: the last ones are still to come.
            Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(engine.shutdown().await?)
}

/// Parts of 8 MiB, the most that its README advises, and 8 of them at once. The HTTP client is given, because its own
/// needs a TLS provider to be installed, and has a total timeout of 5 s for each part.
pub(super) async fn rusty_cat(url: &str, target: &Path) -> Result<(), Failure> {
    let name = target.file_name().ok_or("no name")?.to_string_lossy().into_owned();
    let config = MeowConfig::builder().http_client(reqwest::Client::new()).build()?;
    let client = MeowClient::new(config);
    let task = DownloadPounceBuilder::new(name, target, 8 << 20, url).with_max_parts_in_flight(8).build();
    let result = client.enqueue_and_wait(task, |_| {}).await;
    client.close().await?;
    result?;
    Ok(())
}
