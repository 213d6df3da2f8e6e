//! `examples/task`, run as a user runs it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use longhaul::testing::{Finish, Simulator, SimulatorBuilder};
use serde_json::{Value, json};

use super::folder::Folder;
use super::program;

const LIMIT: Duration = Duration::from_secs(30);

/// A child that was started, and does not outlive the test.
struct Running {
    child: Child,
    until: Instant,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    stdout: String,
}

/// What a child left.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        spawn(move || BufReader::new(stdout).lines().try_for_each(|line| sender.send(line.unwrap())));
        let errors = spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map_or_else(|error| error.to_string(), |_| text)
        });
        Self { child, until: Instant::now() + LIMIT, lines, errors: Some(errors), stdout: String::new() }
    }

    /// The next line, once it is printed; none after the last.
    fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(self.until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.stdout += &format!("{line}\n");
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it takes more than {LIMIT:?}, and had printed\n{}", self.stdout),
        }
    }

    fn end(mut self) -> Ran {
        while self.line().is_some() {}
        let code = self.child.wait().unwrap().code();
        let stderr = self.errors.take().unwrap().join().unwrap();
        Ran { code, stdout: std::mem::take(&mut self.stdout), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ran {
    /// Every line, as JSON.
    fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    fn outcome(&self) -> Value {
        let last = self.events().pop().unwrap_or_else(|| panic!("nothing was printed, but {}", self.stderr));
        assert_eq!(last["event"], "outcome", "{}", self.stdout);
        last
    }

    #[track_caller]
    fn ends(&self, code: i32, outcome: &str) -> Value {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        let end = self.outcome();
        assert_eq!(end["outcome"], outcome, "{}", self.stdout);
        end
    }
}

/// The example, with a proxy in its environment that nobody listens at: it must not be used on loopback.
fn task(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("task"));
    command.args(arguments).env("HTTP_PROXY", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
    command
}

fn run(arguments: &[&str]) -> Ran {
    Running::start(&mut task(arguments)).end()
}

/// A simulated service, and what the command line must say to be let in.
struct Bench {
    service: Simulator,
    url: String,
    headers: [String; 2],
}

impl Bench {
    async fn start(builder: SimulatorBuilder) -> Self {
        let service = builder.hint_on_submit(true).start().await.unwrap();
        let url = service.url().join("exports").unwrap().to_string();
        let bearer = format!("Authorization: Bearer {}", service.bearer());
        let key = format!("Ocp-Apim-Subscription-Key: {}", service.subscription_key());
        Self { service, url, headers: [bearer, key] }
    }

    /// The headers and the profile, then `more`.
    fn task(&self, more: &[&str]) -> Command {
        let [bearer, key] = &self.headers;
        let mut command = task(&["-H", bearer, "-H", key, "--profile", "smag_task"]);
        command.args(more);
        command
    }

    fn export(&self, more: &[&str]) -> Ran {
        Running::start(self.task(more).args(["POST", &self.url])).end()
    }

    fn check_file(&self, path: &str) {
        let uid = self.service.tasks().pop().unwrap();
        assert!(self.service.expected(&uid).unwrap().verify(File::open(path).unwrap()).unwrap());
    }

    /// Neither a credential where it does not belong nor any of its secrets in the output.
    fn check_secrets(&self, ran: &Ran) {
        assert_eq!(self.service.counts().misplaced_credentials(), 0);
        for secret in ["sig=", self.service.bearer(), self.service.subscription_key()] {
            assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
        }
        for secret in [self.service.bearer(), self.service.subscription_key()] {
            assert!(!ran.stdout.contains(secret), "{}", ran.stdout);
        }
    }
}

fn quick() -> SimulatorBuilder {
    Simulator::builder().task_duration(Duration::from_millis(300)).result_size(300_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_however_the_service_tells_where_the_result_is() {
    for finish in [Finish::Resource, Finish::Signed, Finish::ResultOnly] {
        let bench = Bench::start(quick().finish(finish)).await;
        let folder = Folder::new();
        let file = folder.file("farms.parquet");
        let ran = bench.export(&["--json", r#"{"farms": [1]}"#, "--out", &file, "--explain"]);
        let end = ran.ends(0, "succeeded");
        assert_eq!(end["error"], Value::Null);
        assert!(end["link"].as_str().unwrap().ends_with("?…"), "{end}");
        let mut events = ran.events();
        assert_eq!(events.swap_remove(events.len() - 2), json!({"event": "download", "bytes": 300_000, "file": file}));
        bench.check_file(&file);
        bench.check_secrets(&ran);
        assert!(ran.stderr.contains("protocol: smag_task"), "{}", ran.stderr);
        match finish {
            Finish::Resource => assert_eq!(end["value"]["Rows"], 3_000),
            Finish::ResultOnly => assert_eq!(end["value"]["Status"], "finished"),
            _ => {
                assert_eq!(end["value"], Value::Null);
                assert!(!ran.stdout.contains("sig="), "{}", ran.stdout);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_format_that_scripts_depend_on() {
    let bench = Bench::start(quick()).await;
    let ran = bench.export(&["--min-interval", "400"]);
    let events = ran.events();
    assert_eq!(events[0]["state"], "accepted");
    assert_eq!(events[0]["status"], 201);
    assert!(events[0]["next_poll_ms"].as_u64().unwrap() >= 400, "{}", ran.stdout);
    assert_eq!(events[events.len() - 2]["percent"], 100.0);
    let (first, last) = (ran.stdout.lines().next().unwrap(), ran.stdout.lines().last().unwrap());
    for (line, keys) in [
        (first, ["event", "state", "word", "percent", "status", "next_poll_ms", "warning"].as_slice()),
        (last, &["event", "outcome", "value", "link", "error", "status", "polls"]),
    ] {
        let mut rest = line;
        for key in keys {
            let (before, after) = rest.split_once(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}: {line}"));
            assert!(before.ends_with(['{', ',']), "{key}: {line}");
            rest = after;
        }
        assert_eq!(serde_json::from_str::<Value>(line).unwrap().as_object().unwrap().len(), keys.len());
    }
    assert!(first.starts_with(r#"{"event":"update","state":"accepted","word":null,"percent":null,"status":201,"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_has_the_service_s_words() {
    let bench = Bench::start(quick()).await;
    let end = bench.export(&["--json", r#"{"fail": "disk full"}"#]).ends(1, "failed");
    assert_eq!(end["error"]["kind"], "task_failed");
    assert_eq!(end["error"]["code"], "ExportFailed");
    assert_eq!(end["error"]["message"], "disk full");
    assert!(end["error"]["body"].as_str().unwrap().contains("CorrelationId"));
    assert_eq!(end["value"], Value::Null);
    assert_eq!(end["status"], 200);
    assert!(end["polls"].as_u64().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signature_leaves_it_in_a_message() {
    let bench = Bench::start(quick()).await;
    let ran = bench.export(&["--json", r#"{"fail": "see https://s.example/b?sig=S1 or sig=S2, sorry"}"#]);
    let end = ran.ends(1, "failed");
    assert_eq!(end["error"]["message"], "see https://s.example/b?… or … sorry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_submit_is_an_error() {
    let bench = Bench::start(quick()).await;
    let nobody = run(&["POST", &bench.url]);
    let end = nobody.ends(2, "error");
    assert_eq!((&end["error"]["kind"], &end["status"]), (&json!("unauthorized"), &json!(401)));
    assert!(end["error"]["message"].as_str().unwrap().starts_with("Access denied"), "{end}");

    let nowhere = Running::start(bench.task(&[]).args(["POST", &format!("{}/nowhere", bench.url)])).end();
    let end = nowhere.ends(2, "error");
    assert_eq!((&end["error"]["kind"], &end["status"], &end["polls"]), (&json!("rejected"), &json!(404), &json!(0)));
    assert!(end["error"]["body"].as_str().unwrap().contains("Resource not found."), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_wait() {
    let bench = Bench::start(quick().task_duration(LIMIT * 10)).await;
    let end = bench.export(&["--deadline", "1.5"]).ends(2, "error");
    assert_eq!(end["error"]["kind"], "deadline_exceeded");
    assert_eq!(end["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_a_kill_without_a_second_submit() {
    let bench = Bench::start(quick().task_duration(Duration::from_secs(2))).await;
    let folder = Folder::new();
    let (token, file) = (folder.file("token.json"), folder.file("farms.parquet"));
    let mut first = Running::start(bench.task(&["--token-out", &token]).args(["POST", &bench.url]));
    assert!(first.line().unwrap().contains("accepted"));
    drop(first);

    check_token(&token, &bench);
    let ran = Running::start(&mut bench.task(&["--resume", &token, "--out", &file])).end();
    ran.ends(0, "succeeded");
    bench.check_file(&file);
    assert_eq!(bench.service.counts().submits(), 1);
    // Once more, with the URL said, when it is over long since.
    Running::start(&mut bench.task(&["--resume", &token, &bench.url])).end().ends(0, "succeeded");
    assert_eq!(bench.service.counts().submits(), 1);
}

fn check_token(path: &str, bench: &Bench) {
    let text = fs::read_to_string(path).unwrap();
    let token: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(token["base"], bench.service.url().as_str());
    assert!(!text.contains(bench.service.bearer()) && !text.contains(bench.service.subscription_key()));
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777, 0o600);
    let beside = Path::new(path).parent().unwrap().read_dir().unwrap().count();
    assert_eq!(beside, 1, "nothing else is left beside the token");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_with_a_token_to_go_on_with() {
    let bench = Bench::start(quick().task_duration(LIMIT * 10)).await;
    let folder = Folder::new();
    let token = folder.file("token.json");
    let mut running = Running::start(bench.task(&["--token-out", &token]).args(["POST", &bench.url]));
    assert!(running.line().unwrap().contains("accepted"));
    let sent = Command::new("kill").args(["-INT", &running.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let end = running.end().ends(2, "error");
    assert_eq!(end["error"]["kind"], "interrupted");
    check_token(&token, &bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_a_profile_of_one_s_own() {
    let bench = Bench::start(quick()).await;
    let folder = Folder::new();
    let (toml, json) = (folder.file("mine.toml"), folder.file("mine.json"));
    let text = r#"
        name = "mine"
        [protocol]
        name = "mine"
        status_url = [{ at = "header:location", kind = "monitor" }]
        result = [{ at = "/Location", kind = "url" }, { at = "/Result", kind = "link" }]
        words = { finished = "partially_succeeded" }
        [kinds.whole]
        name = "whole"
        status_url = [{ at = "/Location", kind = "monitor" }]
    "#;
    fs::write(&toml, text).unwrap();
    fs::write(&json, serde_json::to_vec(&toml::from_str::<Value>(text).unwrap()).unwrap()).unwrap();
    for profile in [&toml, &json] {
        let end = bench.export(&["--profile", profile]).ends(3, "partially_succeeded");
        assert_eq!((&end["value"]["Rows"], &end["error"]), (&json!(3_000), &Value::Null));
        bench.export(&["--profile", profile, "--kind", "whole"]).ends(0, "succeeded");
        let end = bench.export(&["--profile", profile, "--kind", "none"]).ends(2, "error");
        assert_eq!(end["error"]["kind"], "config");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_the_final_state_from_where_it_is_told() {
    let bench = Bench::start(quick()).await;
    let end = bench.export(&["--final-state-via", "operation"]).ends(0, "succeeded");
    assert_eq!((&end["value"]["Status"], &end["link"]), (&json!("finished"), &Value::Null));
    assert_eq!(bench.service.counts().follow_ups(), 0);
}

#[test]
fn a_wrong_command_line_is_told_on_stderr() {
    let folder = Folder::new();
    let (nothing, broken) = (folder.file("nothing.json"), folder.file("broken.toml"));
    fs::write(&broken, "protocol = 7").unwrap();
    let url = "http://127.0.0.1:9/x";
    for (arguments, words) in [
        (["--profile", "nope", "POST", url].as_slice(), "nope"),
        (&["--profile", &nothing, "POST", url], "nothing.json"),
        (&["--profile", &broken, "POST", url], "broken.toml"),
        (&["--what", "POST", url], "--what"),
        (&["--json", "{", "POST", url], "--json"),
        (&["-H", "secret", "POST", url], "Name: value"),
        (&["--deadline", "soon", "POST", url], "--deadline"),
        (&["--final-state-via", "luck", "POST", url], "original-uri"),
        (&["--token-out", &format!("{nothing}/token"), "POST", url], "--token-out"),
        (&["--resume", &nothing], "nothing.json"),
        (&["--resume", &broken], "resume token"),
        (&["POST"], "METHOD and URL"),
        (&["POST", "exports?sig=s3cret"], "absolute"),
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(words) && ran.stdout.is_empty(), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(!ran.stderr.contains("secret") && !ran.stderr.contains("s3cret"), "{}", ran.stderr);
    }
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for option in ["--json", "-H", "--profile", "--kind", "--resume", "--out", "--explain", "signed links"] {
        assert!(help.stdout.contains(option), "{option}");
    }
}

#[test]
fn nobody_there_is_an_error() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let end = run(&["--deadline", "1", "POST", &format!("http://{closed}/x")]).ends(2, "error");
    assert!(end["status"].is_null() && end["error"]["body"].is_null(), "{end}");
}

/// A server of `tests/servers/pattern.py`, which stops when it is dropped.
struct Python {
    running: Running,
    url: String,
}

impl Python {
    /// None where there is no python3, unless this is CI.
    fn start(arguments: &[&str]) -> Option<Self> {
        let works = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
        if !works {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "python3 was not found, and in CI no test is skipped"
            );
            eprintln!("python3 was not found: skipped");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/pattern.py");
        let mut running = Running::start(Command::new("python3").arg(script).args(arguments).stdin(Stdio::piped()));
        let Some(port) = running.line() else {
            panic!("{}", running.end().stderr);
        };
        Some(Self { running, url: format!("http://127.0.0.1:{port}/api/") })
    }

    /// Closes its stdin, and waits for its end.
    fn stop(mut self) {
        drop(self.running.child.stdin.take());
        let ran = self.running.end();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
}

#[test]
fn follows_the_pattern_of_the_architecture_center() {
    for code in ["303", "302"] {
        let Some(server) = Python::start(&["architecture-center", code]) else { return };
        let ran = run(&["--json", "{}", "POST", &format!("{}work?a=%2F&b=c+d", server.url)]);
        let end = ran.ends(0, "succeeded");
        assert_eq!(end["value"], json!({"rows": 7, "submitted": "/api/work?a=%2F&b=c+d"}));
        assert_eq!((&end["link"], &end["status"], &end["polls"]), (&Value::Null, &json!(200), &json!(3)));
        let events = ran.events();
        assert_eq!(events.len(), 5, "{}", ran.stdout);
        assert!(events[0]["next_poll_ms"].as_u64().unwrap() >= 1_000);
        assert_eq!((&events[1]["state"], &events[1]["word"]), (&json!("running"), &json!("In progress")));

        let end = run(&["POST", &format!("{}rest?code=k3y", server.url)]).ends(2, "error");
        assert_eq!((&end["status"], &end["error"]["code"]), (&json!(400), &json!("BadPath")));
        server.stop();
    }
}

#[test]
fn follows_a_careless_operation_location() {
    let Some(server) = Python::start(&["operation-location"]) else { return };
    let folder = Folder::new();
    let (file, token) = (folder.file("rows.json"), folder.file("token.json"));
    let url = format!("{}rows", server.url);
    let ran = run(&["-H", "X-Tenant: t1", "--out", &file, "--token-out", &token, "POST", &url]);
    let end = ran.ends(0, "succeeded");
    assert_eq!((&end["value"], &end["polls"]), (&json!({"rows": 7}), &json!(3)));
    assert_eq!(fs::read_to_string(&file).unwrap(), r#"{"rows": 7}"#, "as the service wrote it");
    let percents: Vec<_> = ran.events()[..4].iter().map(|event| event["percent"].as_f64()).collect();
    assert_eq!(percents, [None, Some(40.0), Some(80.0), Some(100.0)]);
    assert!(ran.events()[0]["next_poll_ms"].as_u64().unwrap() >= 500);

    // A token holds no header that may be a secret.
    run(&["-H", "X-Tenant: t1", "--resume", &token]).ends(0, "succeeded");

    let end = run(&["POST", &url]).ends(2, "error");
    assert_eq!((&end["error"]["kind"], &end["error"]["code"]), (&json!("status_unreadable"), &json!("NoTenant")));
    server.stop();
}
