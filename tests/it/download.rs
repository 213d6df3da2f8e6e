//! Downloads, seen from outside: every sink, over a script, over the simulator, and over a store that stalls.

mod busy;
mod chaos;
mod checksums;
mod clock;
mod depot;
mod disk;
mod folder;
mod journal;
mod narrow;
mod overwrite;
mod parallel;
mod raw;
mod receipt;
mod redirect;
mod renew;
mod resume;
mod runs;
mod secrets;
mod settings;
mod sinks;
mod splice;
mod targets;
mod whole;

use std::collections::{BTreeSet, VecDeque};
use std::error::Error as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, StatusCode};
use longhaul::downloads::{ProgressWatch, Receipt};
use longhaul::http::{Body, Http, HttpError, Request, Response};
use longhaul::testing::{self, Canned, Finish, Script, Seen, Side, Simulator, SimulatorBuilder, reply, script};
use longhaul::{Client, ClientBuilder, Credential, Download, Error, ErrorKind, Outcome, Profile};
use serde_json::{Value, json};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use self::depot::{Answer, Ask, Depot};
use crate::support::{Folder, secs, shown};

/// Ten bytes, and the link that they are behind.
const TEN_BYTES: &[u8] = b"0123456789";
const LINK: &str = "https://store.example.net/exports/7.parquet?se=2030-01-02T00%3A00%3A00Z&sig=S3CRET";
/// Another link to the same.
const FRESH: &str = "https://store.example.net/exports/7.parquet?se=2030-01-03T00%3A00%3A00Z&sig=S3CRET2";
const DATE: &str = "Mon, 31 Dec 2029 00:00:00 GMT";
/// A minute or more after the date.
const MUCH_LATER: &str = "Tue, 01 Jan 2030 00:00:00 GMT";
const LATER: &str = "Mon, 31 Dec 2029 00:00:01 GMT";
const GONE: ErrorKind = ErrorKind::ResultUnavailable;

/// How many bytes a store hands out at once.
const CHUNK: usize = 16 << 10;

fn whole(body: impl Into<Bytes>) -> Canned {
    reply(200).body(body)
}

/// A 206 without validators.
fn bare_part(range: &str, body: impl Into<Bytes>) -> Canned {
    reply(206).header("content-range", &format!("bytes {range}")).body(body)
}

/// A 206 of the first version.
fn part(range: &str, body: impl Into<Bytes>) -> Canned {
    bare_part(range, body).header("etag", "\"v1\"")
}

/// The rest of the ten bytes.
fn part_of_ten(first: usize) -> Canned {
    part(&format!("{first}-9/10"), &TEN_BYTES[first..])
}

/// What a submit is answered with.
fn accepted() -> Canned {
    reply(201).header("location", "https://api.example.com/v1/tasks/7").header("retry-after", "1")
}

/// A status that names a link.
fn told(link: &str) -> Canned {
    reply(200).json(json!({"Status": "finished", "Result": link}))
}

/// The outcome of a task that the first answers of the script are of.
async fn finished(service: &Script) -> Outcome<Value> {
    let client = service.client().profile(Profile::smag_task()).build().unwrap();
    client.task().post("exports").submit().await.unwrap().await.unwrap()
}

/// The ten bytes in memory, from a script.
async fn memory(service: &Script) -> Result<Bytes, Error> {
    service.client().build().unwrap().download(LINK).to_memory(10).await
}

/// Leaves four of ten bytes in `7.part`.
async fn interrupted(folder: &Folder) -> Script {
    let service = script([part("0-9/10", "0123").cut(), reply(404)]);
    service.client().build().unwrap().download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    service
}

/// This header of every request, `-` where it is missing.
fn asked(service: &Script, header: &str) -> Vec<String> {
    service.requests().iter().map(|request| request.header(header).unwrap_or("-").to_owned()).collect()
}

fn assert_all_bare(service: &Script) {
    for name in ["authorization", "cookie", "referer", "proxy-authorization"] {
        assert!(asked(service, name).iter().all(|value| value == "-"), "{name} was sent");
    }
}

async fn reaches(progress: &mut ProgressWatch, bytes: u64) {
    while progress.now().bytes() < bytes {
        progress.changed().await.expect("it goes on");
    }
}

impl Depot {
    fn builder(&self) -> ClientBuilder {
        script([]).client().storage_http(self.clone())
    }

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }
}

fn fastrand_bytes(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::fill(&mut bytes);
    bytes.into()
}

/// A simulated service, and the outcome of a task of it.
struct Bench {
    service: Simulator,
    client: Client,
    outcome: Outcome<Value>,
}

impl Bench {
    async fn start(builder: SimulatorBuilder) -> Self {
        let quick = builder.task_duration(Duration::ZERO).hint_on_submit(true).retry_after(Duration::from_millis(1));
        let service = quick.start().await.unwrap();
        let client = testing::client(&service).build().unwrap();
        let outcome = client.task().post("exports").submit().await.unwrap().await.unwrap();
        Self { service, client, outcome }
    }

    fn content(&self) -> testing::Content {
        self.service.expected(&self.service.tasks()[0]).unwrap()
    }

    fn is_whole(&self, path: &Path) -> bool {
        self.content().verify(fs::File::open(path).unwrap()).unwrap()
    }
}

/// Each way out of a download.
#[derive(Clone, Copy, Debug)]
enum Sink {
    File,
    Writer,
    Stream,
    Memory,
}

impl Sink {
    async fn run(self, download: Download, folder: &Folder) -> Result<Bytes, Error> {
        match self {
            Self::File => {
                download.to_file(folder.at("7")).await?;
                Ok(folder.read("7").into())
            }
            Self::Writer => {
                let mut written = Vec::new();
                download.to_writer(&mut written).await?;
                Ok(written.into())
            }
            Self::Stream => Ok(download.stream().try_collect::<Vec<_>>().await?.concat().into()),
            Self::Memory => download.to_memory(2_000_000).await,
        }
    }
}

/// One object in memory, behind a storage that stalls.
#[derive(Clone)]
struct Store(Arc<Mutex<Shelf>>);

struct Shelf {
    content: Bytes,
    /// After how many bytes each of the next bodies stalls for ever.
    stalls: VecDeque<usize>,
    /// The first byte of each request.
    asked: Vec<usize>,
    sent: usize,
}

impl Store {
    fn new(content: impl Into<Bytes>) -> Self {
        let shelf = Shelf { content: content.into(), stalls: VecDeque::new(), asked: Vec::new(), sent: 0 };
        Self(Arc::new(Mutex::new(shelf)))
    }

    fn stalling_after(self, stalls: impl IntoIterator<Item = usize>) -> Self {
        self.0.lock().unwrap().stalls.extend(stalls);
        self
    }

    fn client(&self) -> Client {
        script([]).client().storage_http(self.clone()).build().unwrap()
    }

    fn asked(&self) -> Vec<usize> {
        self.0.lock().unwrap().asked.clone()
    }

    fn sent(&self) -> usize {
        self.0.lock().unwrap().sent
    }

    /// Counts what it hands out.
    fn chunks(self, body: Bytes) -> impl Stream<Item = Result<Bytes, HttpError>> {
        stream::unfold((self, body), async |(store, mut body)| {
            let chunk = body.split_to(body.len().min(CHUNK));
            store.0.lock().unwrap().sent += chunk.len();
            (!chunk.is_empty()).then_some((Ok(chunk), (store, body)))
        })
    }
}

impl Http for Store {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let range = request.headers()["range"].to_str().unwrap();
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        let mut shelf = self.0.lock().unwrap();
        shelf.asked.push(first);
        let (total, stall) = (shelf.content.len(), shelf.stalls.pop_front());
        let stop = last.parse().map_or(total, |last: usize| last + 1);
        let end = stall.map_or(stop, |after| first + after);
        let body = self.clone().chunks(shelf.content.slice(first..end));
        let body = if stall.is_some() { body.chain(stream::pending()).left_stream() } else { body.right_stream() };
        let headers: HeaderMap = [
            (http::header::ETAG, "\"v1\"".parse().unwrap()),
            (http::header::CONTENT_RANGE, format!("bytes {first}-{}/{total}", stop - 1).parse().unwrap()),
        ]
        .into_iter()
        .collect();
        let response = Response::new(StatusCode::PARTIAL_CONTENT, request.url().clone()).headers_from(headers);
        Box::pin(async move { Ok(response.body_from(Body::stream(body))) })
    }
}
