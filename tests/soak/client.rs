//! The client's process: submits jobs, keeps a token of each, waits, downloads, and goes on where a killed one ended.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt;
use longhaul::protocols::{ResultKind, Source};
use longhaul::retries::Schedule;
use longhaul::{Client, Error, ErrorKind, Limit, Profile, Protocol, ResumeToken, RetryPolicy, Task};

pub(crate) const FOLDER: &str = "LONGHAUL_SOAK_FOLDER";
pub(crate) const URL: &str = "LONGHAUL_SOAK_URL";
pub(crate) const JOBS: &str = "LONGHAUL_SOAK_CLIENT_JOBS";
pub(crate) const AT_ONCE: &str = "LONGHAUL_SOAK_CLIENT_AT_ONCE";
pub(crate) const GENERATION: &str = "LONGHAUL_SOAK_GENERATION";

/// What a client's process is to do.
pub(crate) struct Job {
    folder: PathBuf,
    url: String,
    jobs: usize,
    at_once: usize,
    generation: String,
}

impl Job {
    pub(crate) fn of_environment() -> Option<Self> {
        let text = |name| std::env::var(name).ok();
        Some(Self {
            folder: text(FOLDER)?.into(),
            url: text(URL)?,
            jobs: text(JOBS)?.parse().ok()?,
            at_once: text(AT_ONCE)?.parse().ok()?,
            generation: text(GENERATION)?,
        })
    }
}

/// The client of a generation, which its User-Agent names.
pub(crate) fn build(url: &str, generation: &str) -> Client {
    let links = Protocol::auto().result(Source::pointer("/result/url"), ResultKind::Link);
    Client::builder(url)
        .no_proxy()
        .profile(Profile::auto().protocol(links))
        .limit(Limit::concurrent(64))
        .user_agent(format!("soak/{generation}"))
        .attempt_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_secs(5))
        .retry(
            RetryPolicy::standard()
                .retries(8)
                .schedule(Schedule::exponential(Duration::from_millis(200), Duration::from_secs(3))),
        )
        .build()
        .unwrap()
}

pub(crate) fn run(job: &Job) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let client = build(&job.url, &job.generation);
        // As many open files as a small machine allows.
        let downloads = tokio::sync::Semaphore::new(32);
        let open = (0..job.jobs).filter(|number| !at(&job.folder, *number, "done").exists());
        futures::stream::iter(open)
            .for_each_concurrent(job.at_once, |number| {
                let (client, folder, downloads) = (&client, &job.folder, &downloads);
                async move {
                    let begun = Instant::now();
                    let end = one(client, folder, number, downloads).await;
                    write(&at(folder, number, "done"), &format!("{end}\n{}", begun.elapsed().as_millis()));
                }
            })
            .await;
    });
}

/// Whether the service is asked to know the job again by a key.
pub(crate) const fn is_keyed(number: usize) -> bool {
    !number.is_multiple_of(4)
}

pub(crate) fn at(folder: &Path, number: usize, what: &str) -> PathBuf {
    folder.join(format!("{number}.{what}"))
}

/// From wherever it stands to its end: `ok`, `failed`, or `unknown` for one whose submit may have been heard and that has
/// no key.
async fn one(client: &Client, folder: &Path, number: usize, downloads: &tokio::sync::Semaphore) -> &'static str {
    for _ in 0..MOST_TRIES {
        let task = match token(folder, number) {
            Some(token) => client.resume::<()>(token).unwrap(),
            None if !is_keyed(number) && at(folder, number, "intent").exists() => return "unknown",
            None => match submit(client, folder, number).await {
                Ok(task) => task,
                Err(error) => {
                    note(folder, "submit", number, &error);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        match task.await {
            Ok(outcome) => {
                let _permit = downloads.acquire().await.unwrap();
                match outcome.download().to_file(at(folder, number, "bin")).await {
                    Ok(_) => return "ok",
                    Err(error) => note(folder, "download", number, &error),
                }
            }
            Err(error) if error.kind() == ErrorKind::TaskFailed => return "failed",
            Err(error) => {
                note(folder, "wait", number, &error);
                if let Some(token) = error.token() {
                    write(&at(folder, number, "token"), &token.to_string());
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    "gave up"
}

async fn submit(client: &Client, folder: &Path, number: usize) -> Result<Task<()>, Error> {
    write(&at(folder, number, "intent"), "");
    let new = client.task().post("exports").json(&serde_json::json!({"job": number}));
    let new = if is_keyed(number) { new.idempotency_key(format!("job-{number}")) } else { new };
    let task = new.submit::<()>().await?;
    write(&at(folder, number, "token"), &task.token().to_string());
    Ok(task)
}

fn token(folder: &Path, number: usize) -> Option<ResumeToken> {
    fs::read_to_string(at(folder, number, "token")).ok()?.parse().ok()
}

/// At once or not at all, as a program that may be killed must.
fn write(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, path).unwrap();
}

/// An error that the library gave back: its cause, for the table.
fn note(folder: &Path, what: &str, number: usize, error: &Error) {
    let path = folder.join("errors.log");
    let mut log = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    log.write_all(format!("{what}\t{:?}\t{number}\t{error}\n", error.kind()).as_bytes()).unwrap();
}

const MOST_TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(300);
