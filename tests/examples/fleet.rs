//! The fleet, whose workers are killed at random: no task is lost, and none is done twice. With `LONGHAUL_LONG=1` in the
//! environment, for two minutes. The runs with a Redis server need `LONGHAUL_REDIS`, its program, which tests/run.sh
//! finds.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::folder::Folder;
use crate::short::run;

#[test]
fn a_fleet_with_keys_does_each_task_once() {
    for fleet in runs(&[]) {
        assert_eq!((fleet.number(" uncertain"), fleet.number(" tasks at the service")), (0, fleet.tasks), "{fleet:?}");
    }
}

#[test]
fn a_fleet_without_keys_does_no_task_twice_and_counts_the_uncertain_ones() {
    for fleet in runs(&["--without-keys"]) {
        // An uncertain task is at the service or not.
        let certain = fleet.tasks - fleet.number(" uncertain");
        assert!((certain..=fleet.tasks).contains(&fleet.number(" tasks at the service")), "{fleet:?}");
    }
}

/// A run of the fleet that has ended.
#[derive(Debug)]
struct Fleet {
    tasks: usize,
    shown: String,
}

impl Fleet {
    fn new(tasks: usize, arguments: &[&str]) -> Self {
        let tasks_argument = tasks.to_string();
        let fleet = Self { tasks, shown: run("fleet", &[&["--tasks", &tasks_argument], arguments].concat()) };
        let shown = &fleet.shown;
        eprintln!("{arguments:?}\n{}", shown[shown.find("all: ").unwrap()..].trim());
        assert!(!shown.contains("error"), "{shown}");
        assert_eq!((fleet.number(" tasks acknowledged"), fleet.number(" open")), (tasks, 0), "{shown}");
        assert_eq!((fleet.number(" acknowledged twice"), fleet.number(" refused with 429")), (0, 0), "{shown}");
        fleet
    }

    /// Returns the number before some words.
    fn number(&self, words: &str) -> usize {
        let (before, _) = self.shown.rsplit_once(words).unwrap();
        before.rsplit([' ', '\n']).next().unwrap().parse().unwrap()
    }
}

/// Runs a fleet that shares a folder beside one that shares a Redis server, if there is one.
fn runs(more: &[&str]) -> Vec<Fleet> {
    let (tasks, size) = match std::env::var_os("LONGHAUL_LONG") {
        Some(_) => (700, ["--workers", "8", "--kill-every", "700", "--limit", "60"]),
        None => (12, ["--workers", "2", "--kill-every", "900", "--limit", "40"]),
    };
    thread::scope(|scope| {
        let file = scope.spawn(|| Fleet::new(tasks, &[&size[..], more].concat()));
        let redis = scope.spawn(|| {
            let server = Server::start()?;
            Some(Fleet::new(tasks, &[&size[..], more, &["--redis", &server.url]].concat()))
        });
        [Some(file.join().unwrap()), redis.join().unwrap()].into_iter().flatten().collect()
    })
}

struct Server {
    child: Child,
    url: String,
    _folder: Folder,
}

impl Server {
    /// `None` where there is no server.
    fn start() -> Option<Self> {
        let (program, folder) = (std::env::var_os("LONGHAUL_REDIS")?, Folder::new());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the server has ended");
            thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, url: format!("redis://127.0.0.1:{port}"), _folder: folder })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
