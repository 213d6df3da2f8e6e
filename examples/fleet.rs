//! A fleet: several worker processes share one task store, one limit and one list of work, and any of them may be killed.
//!
//! ```sh
//! cargo run --example fleet                                  # 4 workers, 60 tasks, no kills
//! cargo run --example fleet -- --kill-every 700              # kills a random worker every 700 ms
//! cargo run --example fleet -- --without-keys --kill-every 700
//! cargo run --example fleet -- --redis redis://127.0.0.1     # tasks and limit in a Redis server, for many machines
//! ```
//!
//! The parent starts the simulated service, the workers, and new workers for those that it kills. Each worker submits
//! what nobody has submitted yet, takes over what dead workers left, and writes a line for each task it has done. Kill
//! workers by hand, too: the parent prints their process ids.

#![expect(clippy::print_stdout, reason = "a program that shows its user what happens")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use longhaul::tasks::{FileTaskStore, Recovered, RedisTaskStore, TaskStore};
use longhaul::testing::Simulator;
use longhaul::{Client, Credential, ErrorKind, Limit, Profile, Task, Throttle};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Tasks of a worker that was killed are free after this time. The default of 30 seconds suits real tasks.
const LEASE: Duration = Duration::from_secs(2);
/// A Redis server forgets what this run leaves behind.
const KEPT: Duration = Duration::from_secs(900);

struct Options {
    workers: usize,
    tasks: usize,
    limit: u32,
    kill_every: Option<Duration>,
    has_keys: bool,
    redis: Option<String>,
}

/// The place of the tasks and of the limit: a folder, or a namespace of a Redis server.
enum Store {
    Folder(PathBuf),
    Redis { url: String, namespace: String },
}

impl Store {
    fn of(folder: &Path, redis: Option<String>) -> Self {
        match redis {
            // The name of the folder is unique.
            Some(url) => {
                let name = folder.file_name().unwrap_or_default();
                Self::Redis { url, namespace: name.to_string_lossy().into_owned() }
            }
            None => Self::Folder(folder.to_owned()),
        }
    }

    fn tasks(&self) -> Result<Arc<dyn TaskStore>> {
        Ok(match self {
            Self::Folder(folder) => Arc::new(FileTaskStore::new(folder.join("tasks")).lease_time(LEASE)),
            Self::Redis { url, namespace } => {
                Arc::new(RedisTaskStore::new(url, namespace)?.lease_time(LEASE).keep_finished(KEPT))
            }
        })
    }

    async fn throttle(&self) -> Result<Throttle> {
        Ok(match self {
            Self::Folder(folder) => Throttle::file(folder.join("limits"))?,
            Self::Redis { url, namespace } => Throttle::redis(url, namespace).await?,
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::var("FLEET_WORKER") {
        Ok(number) => Worker::from_environment(number).await?.run().await,
        Err(_) => run(options()?).await,
    }
}

/// One worker process.
struct Worker {
    number: String,
    folder: PathBuf,
    tasks: usize,
    has_keys: bool,
    client: Client,
}

impl Worker {
    async fn from_environment(number: String) -> Result<Self> {
        let var = |name: &str| std::env::var(format!("FLEET_{name}"));
        let folder = PathBuf::from(var("FOLDER")?);
        let store = Store::of(&folder, var("REDIS").ok());
        let client = Client::builder(var("URL")?)
            .profile(Profile::smag_task())
            .credential(
                Credential::bearer(var("BEARER")?)
                    .and(Credential::api_key_header("Ocp-Apim-Subscription-Key", var("KEY")?)),
            )
            // One limit for all workers.
            .throttle(&store.throttle().await?)
            .limit(Limit::per_second(var("LIMIT")?.parse()?))
            .task_store(store.tasks()?)
            .build()?;
        let (tasks, has_keys) = (var("TASKS")?.parse()?, var("HAS_KEYS")? == "true");
        Ok(Self { number, folder, tasks, has_keys, client })
    }

    async fn run(self) -> Result<()> {
        for number in 0..self.tasks {
            let name = format!("export-{number}");
            let mut task =
                self.client.task().post("exports").stored_as(&name).json(&json!({"farm": number, "size": 1000}));
            if self.has_keys {
                task = task.idempotency_key(&name);
            }
            match task.submit::<Value>().await {
                Ok(task) => self.finish(task, "done").await?,
                // Another worker, or an earlier life of this one, has it.
                Err(error) if error.kind() == ErrorKind::AlreadyStored => {}
                Err(error) => self.note("error", &format!("{name}: {error}"))?,
            }
        }
        while self.client.stored_tasks().await?.open() > 0 {
            for recovered in self.client.recover::<Value>().at_most(4).await? {
                match recovered {
                    Recovered::Task(task) => self.finish(task, "takeover").await?,
                    Recovered::Uncertain(task) => {
                        // A person, or a search at the service, has to decide: here, it is only counted.
                        self.note("uncertain", task.stored_as())?;
                        task.ack().await?;
                    }
                    other => self.note("error", &format!("{other:?}"))?,
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn finish(&self, task: Task<Value>, how: &str) -> Result<()> {
        let name = task.stored_as().unwrap_or_default();
        let outcome = match task.await {
            Ok(outcome) => outcome,
            Err(error) => return self.note("error", &format!("{name}: {error}")),
        };
        // The work of the application comes here, such as a download. It may be done twice, and acknowledged once.
        match outcome.ack().await {
            Ok(()) => self.note(how, &name),
            Err(error) if error.kind() == ErrorKind::TakenOver => self.note("lost", &name),
            Err(error) => Err(error.into()),
        }
    }

    fn note(&self, what: &str, name: &str) -> Result<()> {
        let mut file = fs::File::options().create(true).append(true).open(self.folder.join("notes"))?;
        Ok(file.write_all(format!("{what} {} {name}\n", self.number).as_bytes())?)
    }
}

/// The parent: the service, the workers, the kills and the report.
async fn run(options: Options) -> Result<()> {
    let mut service = Simulator::builder()
        .limit(options.limit, Duration::from_secs(1))
        .latency(Duration::from_millis(60))
        .task_duration(Duration::from_millis(400));
    if options.has_keys {
        service = service.idempotency_keys();
    }
    let service = service.start().await?;
    let folder = std::env::temp_dir().join(format!("longhaul-fleet-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let start = |number: usize| -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env("FLEET_WORKER", number.to_string())
            .env("FLEET_FOLDER", &folder)
            .env("FLEET_URL", service.url().as_str())
            .env("FLEET_BEARER", service.bearer())
            .env("FLEET_KEY", service.subscription_key())
            .env("FLEET_LIMIT", options.limit.to_string())
            .env("FLEET_TASKS", options.tasks.to_string())
            .env("FLEET_HAS_KEYS", options.has_keys.to_string());
        let child = command.envs(options.redis.iter().map(|url| ("FLEET_REDIS", url))).spawn()?;
        println!("worker {number} is process {}", child.id());
        Ok(child)
    };
    let begun = Instant::now();
    let mut workers = (0..options.workers).map(start).collect::<Result<Vec<_>>>()?;
    let (mut kills, mut next_kill) = (0, None);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut running = 0;
        for (number, worker) in workers.iter_mut().enumerate() {
            match worker.try_wait()? {
                None => running += 1,
                Some(status) if status.success() => {}
                // Killed, by us or by you.
                Some(_) => {
                    kills += 1;
                    running += 1;
                    *worker = start(number)?;
                }
            }
        }
        if running == 0 {
            break;
        }
        // A limit that begins at a server waits for the requests of before: kills begin with the first task that is done.
        if let Some(every) = options.kill_every
            && next_kill.is_none_or(|next| next <= Instant::now())
            && folder.join("notes").exists()
        {
            // At random, and so often in the mean.
            next_kill = Some(Instant::now() + every.mul_f64(2.0 * fastrand::f64()));
            let number = fastrand::usize(..workers.len());
            if let Some(worker) = workers.get_mut(number)
                && worker.try_wait()?.is_none()
            {
                worker.kill()?;
            }
        }
    }
    let report = report(&folder, options.tasks)?;
    let stored = Store::of(&folder, options.redis).tasks()?.counts().await?;
    fs::remove_dir_all(&folder)?;
    let (counts, seconds) = (service.counts(), begun.elapsed().as_secs_f64());
    println!("{report}");
    println!("in the store: {} tasks acknowledged, {} open", stored.acknowledged, stored.open());
    println!(
        "{:.1} s, {kills} kills, {} requests ({:.1} a second), {} refused with 429, {} tasks at the service",
        seconds,
        counts.requests(),
        counts.requests() as f64 / seconds,
        counts.throttled(),
        service.tasks().len(),
    );
    Ok(())
}

fn report(folder: &Path, tasks: usize) -> Result<String> {
    let notes = fs::read_to_string(folder.join("notes"))?;
    let mut by_worker: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for line in notes.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(what), Some(worker), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
        *by_worker.entry((worker, what)).or_default() += 1;
        match what {
            "error" => println!("{line}"),
            "lost" => {}
            _ => *ends.entry(name).or_default() += 1,
        }
    }
    let mut report: String =
        by_worker.iter().map(|((worker, what), count)| format!("worker {worker}: {count} {what}\n")).collect();
    let all = |what| by_worker.iter().filter(|((_, noted), _)| *noted == what).map(|(_, count)| count).sum::<usize>();
    report += &format!("all: {} done, {} takeovers, {} uncertain\n", all("done"), all("takeover"), all("uncertain"));
    // A worker may die between its acknowledgement and its line.
    let unnoted = tasks - ends.len();
    let twice = ends.values().filter(|count| **count > 1).count();
    report +=
        &format!("{} of {tasks} tasks noted, {unnoted} ended without a note, {twice} acknowledged twice", ends.len());
    Ok(report)
}

fn options() -> Result<Options> {
    let mut options = Options { workers: 4, tasks: 60, limit: 40, kill_every: None, has_keys: true, redis: None };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        use lexopt::prelude::*;
        match arg {
            Long("workers") => options.workers = args.value()?.parse::<usize>()?.max(1),
            Long("tasks") => options.tasks = args.value()?.parse()?,
            Long("limit") => options.limit = args.value()?.parse()?,
            Long("kill-every") => options.kill_every = Some(Duration::from_millis(args.value()?.parse()?)),
            Long("without-keys") => options.has_keys = false,
            Long("redis") => options.redis = Some(args.value()?.parse()?),
            Long("help") => {
                println!("fleet [--workers 4] [--tasks 60] [--limit 40] [--kill-every MILLISECONDS] [--without-keys]");
                println!("      [--redis URL]");
                std::process::exit(0);
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(options)
}
