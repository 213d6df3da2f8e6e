//! One limit for several processes, by a file or by a Redis server: nothing is ever sent above it, whoever is killed.
//! The tests with a server need `LONGHAUL_REDIS`, its program, which tests/run.sh finds.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use longhaul::limits::{Priority, RequestKey};
use longhaul::{Limit, Throttle};
use tokio::net::UdpSocket;

use crate::child::again;
use crate::folder::Folder;

/// A process that sends under a shared limit until it is killed, or until nothing was granted for a while.
#[tokio::test]
async fn sends() {
    let Ok(store) = std::env::var("LONGHAUL_SHARED_STORE") else { return };
    let var = |name| std::env::var(name).unwrap();
    let throttle = match store.strip_prefix("file:") {
        Some(path) => Throttle::file(path).unwrap(),
        None => Throttle::redis(&store, "test").await.unwrap(),
    };
    throttle.add_limit(serde_json::from_str(&var("LONGHAUL_SHARED_LIMIT")).unwrap()).unwrap();
    // A server that has just begun lends nothing for a lease, a guard and a window.
    let patience = Duration::from_secs(var("LONGHAUL_SHARED_PATIENCE").parse().unwrap());
    let workers = (0..var("LONGHAUL_SHARED_WORKERS").parse().unwrap()).map(|_| {
        let (throttle, service) = (throttle.clone(), var("LONGHAUL_SHARED_SERVICE"));
        tokio::spawn(async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(service).await.unwrap();
            loop {
                let asked = throttle.acquire(Priority::Call, &RequestKey::new()).timeout(patience);
                let Ok(mut permit) = asked.await else { return };
                permit.sent();
                socket.send(&[0]).await.unwrap();
                socket.recv(&mut [0]).await.unwrap();
                permit.answered();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// Processes that are killed with the test.
struct Senders(Vec<Child>);

impl Senders {
    fn start(&mut self, store: &str, limit: &Limit, workers: u32, service: &Service) {
        let mut command = again(std::env::current_exe().unwrap(), module_path!(), "sends");
        command
            .env("LONGHAUL_SHARED_STORE", store)
            .env("LONGHAUL_SHARED_LIMIT", serde_json::to_string(limit).unwrap())
            .env("LONGHAUL_SHARED_PATIENCE", if limit.to_string().contains("day") { "5" } else { "30" })
            .env("LONGHAUL_SHARED_WORKERS", workers.to_string())
            .env("LONGHAUL_SHARED_SERVICE", service.socket.local_addr().unwrap().to_string());
        self.0.push(command.spawn().unwrap());
    }

    /// Kills a process: it has no chance to give anything back.
    fn kill(&mut self, at: usize) {
        let mut child = self.0.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn have_ended(&mut self) -> bool {
        self.0.iter_mut().all(|child| child.try_wait().unwrap().is_some())
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A service that counts arrivals strictly, and answers a few milliseconds later.
struct Service {
    socket: std::net::UdpSocket,
    count: usize,
    window: Duration,
    arrivals: VecDeque<Instant>,
    answers: VecDeque<(Instant, std::net::SocketAddr)>,
    served: usize,
    refused: usize,
}

impl Service {
    fn new(count: usize, window: Duration) -> Self {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let (arrivals, answers) = (VecDeque::new(), VecDeque::new());
        Self { socket, count, window, arrivals, answers, served: 0, refused: 0 }
    }

    /// Serves until a condition holds.
    fn serve(&mut self, mut is_over: impl FnMut(&Self) -> bool) {
        let (mut heard, mut served) = (Instant::now(), self.served);
        while !is_over(self) {
            if self.served > served {
                (heard, served) = (Instant::now(), self.served);
            }
            assert!(heard.elapsed() < PATIENCE, "nothing arrives any longer, after {served}");
            let arrived = self.socket.recv_from(&mut [0]);
            let now = Instant::now();
            while self.answers.front().is_some_and(|(due, _)| *due <= now) {
                let (_, to) = self.answers.pop_front().unwrap();
                drop(self.socket.send_to(&[0], to));
            }
            match arrived {
                Ok((_, from)) => {
                    self.count_in(now);
                    self.answers.push_back((now + Duration::from_millis(15), from));
                }
                Err(error) => assert!(is_nothing(&error), "{error}"),
            }
        }
    }

    fn count_in(&mut self, now: Instant) {
        while self.arrivals.front().is_some_and(|at| now.duration_since(*at) >= self.window) {
            self.arrivals.pop_front();
        }
        if self.arrivals.len() >= self.count {
            self.refused += 1;
        } else {
            self.arrivals.push_back(now);
            self.served += 1;
        }
    }
}

/// Nothing is quiet for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that was killed leaves an address to which nothing can be sent.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

/// A time zone in which it is noon: no day ends during a test.
fn zone_at_noon() -> String {
    let hours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
    match i64::try_from(hours).unwrap() - 12 {
        0 => "UTC".into(),
        // The sign of these names is the opposite of the usual one.
        behind => format!("Etc/GMT{behind:+}"),
    }
}

#[test]
fn a_day_goes_on_after_its_process_was_killed() {
    let folder = Folder::new();
    let store = format!("file:{}", folder.at("limits").display());
    let (limit, mut senders) = (Limit::per_day(400, zone_at_noon()), Senders(Vec::new()));
    let mut service = Service::new(400, Duration::from_secs(24 * 60 * 60));
    senders.start(&store, &limit, 4, &service);
    service.serve(|service| service.served >= 150);
    senders.kill(0);
    // Twice, so that what one that was killed had borrowed is known to be lost, and no more.
    senders.start(&store, &limit, 4, &service);
    service.serve(|service| service.served >= 300);
    senders.kill(0);
    senders.start(&store, &limit, 4, &service);
    service.serve(|_| senders.have_ended());
    // Each that was killed takes up to 4 that it had borrowed ahead, and 4 in flight with it.
    assert_eq!(service.refused, 0);
    assert!((384..=400).contains(&service.served), "{}", service.served);
    // A third day's process finds nothing left.
    let before = service.served;
    senders.start(&store, &limit, 1, &service);
    service.serve(|_| senders.have_ended());
    assert_eq!((service.served, service.refused), (before, 0));
}

#[test]
fn four_processes_keep_one_limit_and_use_it() {
    let is_long = std::env::var_os("LONGHAUL_LONG").is_some();
    for (count, seconds) in [(20, if is_long { 60 } else { 8 }), (4, if is_long { 60 } else { 8 })] {
        let folder = Folder::new();
        let store = format!("file:{}", folder.at("limits").display());
        let (limit, mut senders) = (Limit::per_second(count), Senders(Vec::new()));
        let mut service = Service::new(count as usize, Duration::from_secs(1));
        (0..4).for_each(|_| senders.start(&store, &limit, 10, &service));
        service.serve(|service| service.served > 0);
        let (began, length) = (Instant::now(), Duration::from_secs(seconds));
        service.serve(|_| began.elapsed() >= length);
        let share = service.served as f64 / f64::from(count) / length.as_secs_f64();
        eprintln!("{count}/1s by 4: {} served, {share:.3} of the limit", service.served);
        assert_eq!(service.refused, 0, "of {}", service.served);
        assert!(share >= 0.8, "{share} of the limit");
        // One is killed: the others go on with what it does not hold, and later with all.
        senders.kill(0);
        let (before, began) = (service.served, Instant::now());
        service.serve(|_| began.elapsed() >= length);
        assert_eq!(service.refused, 0, "of {}", service.served);
        let share = (service.served - before) as f64 / f64::from(count) / length.as_secs_f64();
        eprintln!("{count}/1s by 3 after a kill: {share:.3} of the limit");
        assert!(share >= 0.6, "{share} of the limit");
    }
}

/// A Redis server of a test, which keeps nothing on the disk.
struct Redis {
    program: String,
    port: u16,
    child: Child,
    folder: Folder,
}

impl Redis {
    /// Starts a server, if its program is named.
    fn start() -> Option<Self> {
        let Ok(program) = std::env::var("LONGHAUL_REDIS") else {
            eprintln!("skipped: tests/run.sh finds the program of a Redis server");
            return None;
        };
        let folder = Folder::new();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Self::run(&program, port, &folder);
        let redis = Self { program, port, child, folder };
        redis.wait();
        Some(redis)
    }

    fn run(program: &str, port: u16, folder: &Folder) -> Child {
        let (port, folder) = (port.to_string(), folder.at("").to_str().unwrap().to_owned());
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &folder];
        let arguments = arguments.into_iter().chain(["--enable-debug-command", "yes"]);
        Command::new(program).args(arguments).stdout(Stdio::null()).spawn().unwrap()
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Waits until the server takes connections.
    fn wait(&self) {
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn tell(&self, command: &str) {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        // A command that stops the server is not waited for.
        if !command.starts_with("DEBUG") && !command.starts_with("CLIENT") {
            let _ = stream.read(&mut [0; 64]).unwrap();
        }
    }

    /// Kills the server, and starts it empty.
    fn lose_all(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        self.child = Self::run(&self.program, self.port, &self.folder);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_server_that_fails_in_every_way_lets_nobody_pass_the_limit() {
    let Some(mut redis) = Redis::start() else { return };
    let is_long = std::env::var_os("LONGHAUL_LONG").is_some();
    let between = Duration::from_secs(if is_long { 15 } else { 3 });
    let (limit, mut senders, store) = (Limit::per_second(15), Senders(Vec::new()), redis.url());
    let mut service = Service::new(15, Duration::from_secs(1));
    (0..4).for_each(|_| senders.start(&store, &limit, 6, &service));
    service.serve(|service| service.served > 0);
    let all = Instant::now();
    let run = |service: &mut Service, fault: &str| {
        let (before, began) = (service.served, Instant::now());
        service.serve(|_| began.elapsed() >= between);
        let share = (service.served - before) as f64 / 15.0 / between.as_secs_f64();
        eprintln!("{fault}: {share:.2} of the limit, {} refused", service.refused);
        assert_eq!(service.refused, 0, "{fault}");
        share
    };
    assert!(run(&mut service, "undisturbed") >= 0.85);
    for command in ["SCRIPT FLUSH", "FLUSHALL", "CLIENT PAUSE 1500", "DEBUG SLEEP 1.5"] {
        redis.tell(command);
        assert!(run(&mut service, command) >= 0.7, "{command}");
    }
    redis.lose_all();
    assert!(run(&mut service, "killed, and started empty") >= 0.7);
    senders.kill(0);
    run(&mut service, "a process killed");
    #[cfg(unix)]
    if is_long {
        let stopped = senders.0[0].id().to_string();
        Command::new("kill").args(["-STOP", &stopped]).status().unwrap();
        run(&mut service, "a process stopped for longer than its lease");
        Command::new("kill").args(["-CONT", &stopped]).status().unwrap();
        run(&mut service, "and woken");
    }
    let share = service.served as f64 / 15.0 / all.elapsed().as_secs_f64();
    eprintln!("in all: {share:.2} of the limit");
}

#[test]
fn a_day_goes_on_at_a_server_after_its_process_was_killed() {
    let Some(redis) = Redis::start() else { return };
    let (limit, mut senders, store) = (Limit::per_day(300, zone_at_noon()), Senders(Vec::new()), redis.url());
    let mut service = Service::new(300, Duration::from_secs(24 * 60 * 60));
    senders.start(&store, &limit, 4, &service);
    service.serve(|service| service.served >= 100);
    senders.kill(0);
    senders.start(&store, &limit, 4, &service);
    service.serve(|_| senders.have_ended());
    assert_eq!(service.refused, 0);
    assert!((293..=300).contains(&service.served), "{}", service.served);
}
