//! Downloads from a real storage: Azurite, the emulator of Azure's, which `tests/run.sh` starts.
//!
//! Without it every test here says so and passes, but in CI.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::{Method, StatusCode};
use longhaul::http::{Body, Http, HttpError, Request, Response};
use longhaul::{Client, ClientBuilder, ErrorKind, Outcome, Profile, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::storage::{Azurite, SignedLife};

#[tokio::test]
async fn a_large_blob_comes_byte_for_byte() {
    let Some(blob) = Blob::put("large", 64 * MIB).await else { return };
    let folder = Folder::new();
    let receipt = client().build().unwrap().download(blob.link(HOUR)).to_file(folder.target()).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened(), receipt.renewed()), (64 * MIB as u64, 0, 0));
    assert_eq!(folder.names(), ["7"]);
    assert!(fs::read(folder.target()).unwrap() == blob.content, "other bytes");
}

#[tokio::test]
async fn an_empty_blob_is_an_empty_file() {
    let Some(blob) = Blob::put("empty", 0).await else { return };
    let folder = Folder::new();
    let receipt = client().build().unwrap().download(blob.link(HOUR)).to_file(folder.target()).await.unwrap();
    assert_eq!(receipt.bytes(), 0);
    assert_eq!(folder.names(), ["7"]);
    assert_eq!(fs::read(folder.target()).unwrap(), b"");
}

#[tokio::test]
async fn a_missing_blob_is_no_result() {
    let Some(blob) = Blob::put("missing", 10).await else { return };
    blob.azurite.delete_blob(&blob.container, BLOB).await;
    let folder = Folder::new();
    let error = client().build().unwrap().download(blob.link(HOUR)).to_file(folder.target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultUnavailable, "{error}");
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn a_link_that_is_refused_is_denied_with_what_is_known() {
    let Some(blob) = Blob::put("refused", 10).await else { return };
    let forged = blob.azurite.sas_with_wrong_signature(&blob.container, BLOB);
    for (link, words) in
        [(blob.link(SignedLife::Expired), "the link has expired"), (forged, "the link has not expired yet")]
    {
        let error = client().build().unwrap().download(link).to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {error:?}").contains("sig="));
    }
}

#[tokio::test]
async fn a_transfer_that_is_cut_again_and_again_is_sent_only_once() {
    let Some(blob) = Blob::put("cut", 20 * MIB).await else { return };
    let storage = Storage::cutting([3, 0, 7, 5].map(|mib| Cut { after: mib * MIB, then: Meanwhile::Nothing }));
    let folder = Folder::new();
    let client = client().storage_http(storage.clone()).build().unwrap();
    let receipt = client.download(blob.link(HOUR)).connections(1).to_file(folder.target()).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened()), (20 * MIB as u64, 4));
    assert!(fs::read(folder.target()).unwrap() == blob.content, "other bytes");
    let seen = storage.seen();
    assert_eq!(seen.iter().map(|seen| seen.status).collect::<Vec<_>>(), [206; 5]);
    let offsets = [0, 3, 3, 10, 15].map(|mib| format!("bytes={}-", mib * MIB));
    assert_eq!(seen.iter().map(|seen| seen.range.clone()).collect::<Vec<_>>(), offsets);
    assert_eq!(seen.iter().map(|seen| seen.pinned).collect::<Vec<_>>(), [false, true, true, true, true]);
    assert_eq!(seen.iter().map(|seen| seen.bytes).sum::<usize>(), 20 * MIB);
}

#[tokio::test]
async fn a_transfer_that_is_cut_behind_its_last_byte_has_all() {
    let Some(blob) = Blob::put("behind", MIB).await else { return };
    let storage = Storage::cutting([Cut { after: MIB, then: Meanwhile::Nothing }]);
    let client = client().storage_http(storage.clone()).build().unwrap();
    let got = client.download(blob.link(HOUR)).to_memory(MIB).await.unwrap();
    assert!(got == blob.content, "other bytes");
    assert_eq!(storage.seen().len(), 2);
}

#[tokio::test]
async fn a_blob_replaced_mid_way_is_an_error_and_then_a_new_file() {
    let Some(blob) = Blob::put("replaced", 2 * MIB).await else { return };
    let newer = random(2 * MIB);
    let then = Meanwhile::Replaced(blob.azurite.clone(), blob.container.clone(), newer.clone());
    let storage = Storage::cutting([Cut { after: MIB, then }]);
    let folder = Folder::new();
    let client = client().storage_http(storage.clone()).build().unwrap();
    let error = client.download(blob.link(HOUR)).connections(1).to_file(folder.target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultChanged, "{error}");
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    assert_eq!(storage.seen().iter().map(|seen| seen.status).collect::<Vec<_>>(), [206, 412]);

    let receipt = client.download(blob.link(HOUR)).connections(1).to_file(folder.target()).await.unwrap();
    assert_eq!(receipt.resumed_at(), 0);
    assert_eq!(folder.names(), ["7"]);
    assert!(fs::read(folder.target()).unwrap() == newer, "other bytes");
}

#[tokio::test]
async fn a_file_that_was_left_goes_on_with_a_fresh_link() {
    let Some(blob) = Blob::put("left", 4 * MIB).await else { return };
    let folder = Folder::new();
    let storage = Storage::cutting([Cut { after: 3 * MIB, then: Meanwhile::Expired }]);
    let cut = client().storage_http(storage.clone()).build().unwrap();
    let error = cut.download(blob.link(SHORT)).connections(1).to_file(folder.target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
    assert!(error.to_string().contains("the link has expired"), "{error}");

    let receipt = cut.download(blob.link(HOUR)).connections(1).to_file(folder.target()).await.unwrap();
    assert_eq!(receipt.resumed_at(), 3 * MIB as u64);
    assert!(fs::read(folder.target()).unwrap() == blob.content, "other bytes");
    assert_eq!(storage.seen().iter().map(|seen| seen.bytes).sum::<usize>(), 4 * MIB);
}

#[tokio::test]
async fn a_transfer_that_meets_the_expiry_is_renewed() {
    let Some(blob) = Blob::put("renewed", 4 * MIB).await else { return };
    let folder = Folder::new();
    // The first link is dead on arrival, the second dies under the transfer, the third lives. The second is renewed before
    // it is used again, because it says when it ends.
    let api = Api::of(&blob, [SignedLife::Expired, SHORT, HOUR]);
    let storage = Storage::cutting([Cut { after: 3 * MIB, then: Meanwhile::Expired }]);
    let outcome = api.outcome(storage.clone()).await.unwrap();
    let receipt = outcome.download().connections(1).to_file(folder.target()).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.renewed(), receipt.reopened()), (4 * MIB as u64, 2, 1));
    assert!(fs::read(folder.target()).unwrap() == blob.content, "other bytes");
    let seen = storage.seen();
    assert_eq!(seen.iter().map(|seen| seen.status).collect::<Vec<_>>(), [403, 206, 206]);
    assert_eq!(seen.iter().map(|seen| seen.bytes).sum::<usize>(), 4 * MIB);
}

#[tokio::test]
async fn a_body_that_is_on_its_way_survives_the_expiry_of_its_link() {
    let Some(blob) = Blob::put("survives", 64 * MIB).await else { return };
    let link = blob.link(SHORT);
    let mut chunks = client().build().unwrap().download(&link).stream();
    let mut got = chunks.try_next().await.unwrap().unwrap().to_vec();
    expired(&link).await;
    while let Some(chunk) = chunks.try_next().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert!(got == blob.content, "other bytes");
}

#[tokio::test]
async fn links_that_live_for_two_seconds_carry_a_slow_download_to_its_end() {
    let is_long = std::env::var_os("LONGHAUL_LONG").is_some_and(|long| long == "1");
    let (mib, rate) = if is_long { (256, 16 * MIB) } else { (16, 2 * MIB) };
    let Some(blob) = Blob::put("short-lives", mib * MIB).await else { return };
    let folder = Folder::new();
    let api = Api::of(&blob, std::iter::repeat_n(TWO_SECONDS, 1_000));
    // Each body breaks off after a small part of the whole, so that every link is used several times, also too late.
    let cuts = (0..1_000).map(|_| Cut { after: mib * MIB / 64, then: Meanwhile::Nothing });
    let storage = Storage::cutting(cuts);
    let outcome = api.outcome(storage.clone()).await.unwrap();
    let receipt = outcome.download().bandwidth(rate as u64).to_file(folder.target()).await.unwrap();
    assert_eq!(receipt.bytes(), (mib * MIB) as u64);
    assert!(receipt.renewed() >= 3 && receipt.reopened() >= 8, "{receipt:?}");
    assert!(fs::read(folder.target()).unwrap() == blob.content, "other bytes");
    assert_eq!(folder.names(), ["7"]);
    // What a connection left to another may have been on its way already.
    let bytes: usize = storage.seen().iter().map(|seen| seen.bytes).sum();
    assert!(bytes < mib * MIB + 8 * MIB, "{bytes} bytes for {mib} MiB");
}

/// The name of every blob; each test has a container of its own.
const BLOB: &str = "export.parquet";
const MIB: usize = 1 << 20;
const HOUR: SignedLife = SignedLife::ValidFor(Duration::from_secs(3_600));
const TWO_SECONDS: SignedLife = SignedLife::ValidFor(Duration::from_secs(2));
/// Long enough to be used once, short enough to wait for its end.
const SHORT: SignedLife = SignedLife::ValidFor(Duration::from_secs(3));

/// A blob on Azurite, and what is in it.
struct Blob {
    azurite: Arc<Azurite>,
    container: String,
    content: Bytes,
}

impl Blob {
    /// `None` where there is no Azurite.
    async fn put(name: &str, length: usize) -> Option<Self> {
        let azurite = Arc::new(Azurite::from_env()?);
        let container = format!("download-{name}");
        let content = random(length);
        azurite.create_container(&container).await;
        azurite.put_blob(&container, BLOB, content.clone()).await;
        Some(Self { azurite, container, content })
    }

    fn link(&self, life: SignedLife) -> String {
        self.azurite.sas(&self.container, BLOB, life)
    }
}

fn random(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::fill(&mut bytes);
    bytes.into()
}

fn client() -> ClientBuilder {
    Client::builder("http://127.0.0.1:9/v1").no_proxy()
}

/// Waits until Azurite refuses the link.
async fn expired(link: &str) {
    let http = bare();
    while http.head(link).send().await.unwrap().status() != StatusCode::FORBIDDEN {
        // Azurite has one thread, and other tests want it too.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn bare() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().http1_only().build().unwrap()
}

/// An API whose only task is finished, and whose status names a link that lives as long as the next of these.
struct Api {
    azurite: Arc<Azurite>,
    container: String,
    lives: Mutex<VecDeque<SignedLife>>,
}

impl Api {
    fn of(blob: &Blob, lives: impl IntoIterator<Item = SignedLife>) -> Self {
        let lives = Mutex::new(lives.into_iter().collect());
        Self { azurite: blob.azurite.clone(), container: blob.container.clone(), lives }
    }

    async fn outcome(self, storage: Storage) -> Result<Outcome<Value>> {
        let client = client().profile(Profile::smag_task()).http(self).storage_http(storage).build()?;
        client.task().post("exports").submit().await?.await
    }
}

impl Http for Api {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let (status, body) = if request.method() == Method::POST {
            (StatusCode::CREATED, json!({"TaskUid": "7", "Location": "tasks/7", "RetryAfter": 1}))
        } else {
            let life = self.lives.lock().unwrap().pop_front().expect("a life for each time");
            let link = self.azurite.sas(&self.container, BLOB, life);
            (StatusCode::OK, json!({"Status": "finished", "Result": link}))
        };
        let response = Response::new(status, request.url().clone());
        Box::pin(async move { Ok(response.body_from(Bytes::from(body.to_string()))) })
    }
}

/// A client for storage that cuts bodies, each after so many bytes, and notes what was asked for.
#[derive(Clone)]
struct Storage {
    http: reqwest::Client,
    cuts: Arc<Mutex<VecDeque<Cut>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

struct Cut {
    after: usize,
    then: Meanwhile,
}

/// What happens between the last byte of a body and its end.
enum Meanwhile {
    Nothing,
    /// The link expires.
    Expired,
    /// The blob becomes another.
    Replaced(Arc<Azurite>, String, Bytes),
}

#[derive(Clone)]
struct Seen {
    range: String,
    pinned: bool,
    status: u16,
    bytes: usize,
}

impl Storage {
    fn cutting(cuts: impl IntoIterator<Item = Cut>) -> Self {
        let cuts = Arc::new(Mutex::new(cuts.into_iter().collect()));
        Self { http: bare(), cuts, seen: Arc::default() }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A body up to its cut.
struct CutBody {
    storage: Storage,
    /// Its place among what was seen.
    place: usize,
    link: String,
    cut: Option<Cut>,
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
}

impl CutBody {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, HttpError> {
        if let Some(cut) = self.cut.take_if(|cut| cut.after == 0) {
            cut.then.happen(&self.link).await;
            return Err(HttpError::broken());
        }
        let Some(mut chunk) = self.chunks.try_next().await.map_err(broken)? else { return Ok(None) };
        if let Some(cut) = &mut self.cut {
            chunk.truncate(cut.after);
            cut.after -= chunk.len();
        }
        self.storage.seen.lock().unwrap()[self.place].bytes += chunk.len();
        Ok(Some((chunk, self)))
    }
}

impl Meanwhile {
    async fn happen(self, link: &str) {
        match self {
            Self::Nothing => {}
            Self::Expired => expired(link).await,
            Self::Replaced(azurite, container, content) => azurite.put_blob(&container, BLOB, content).await,
        }
    }
}

impl Http for Storage {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let storage = self.clone();
        Box::pin(async move {
            let (url, headers) = (request.url().clone(), request.headers().clone());
            let (range, pinned) = (headers["range"].to_str().unwrap().to_owned(), headers.contains_key("if-match"));
            let incoming = storage.http.get(url.clone()).headers(headers).send().await.map_err(broken)?;
            let status = incoming.status();
            let place = {
                let mut seen = storage.seen.lock().unwrap();
                seen.push(Seen { range, pinned, status: status.as_u16(), bytes: 0 });
                seen.len() - 1
            };
            let response = Response::new(status, url.clone()).headers_from(incoming.headers().clone());
            if !status.is_success() {
                return Ok(response.body_from(incoming.bytes().await.map_err(broken)?));
            }
            let cut = storage.cuts.lock().unwrap().pop_front();
            let chunks = incoming.bytes_stream().boxed();
            let body = CutBody { storage, place, link: url.into(), cut, chunks };
            Ok(response.body_from(Body::stream(stream::try_unfold(body, CutBody::next))))
        })
    }
}

fn broken(error: reqwest::Error) -> HttpError {
    HttpError::broken().because(error)
}

/// A folder of a test's own, gone with it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("7")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
