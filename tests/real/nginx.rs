//! Against nginx as the limiter: 15 a second with a queue of 100, as some services are set up.
//!
//! `tests/run.sh` installs nginx and names it in the environment; without it these tests are skipped.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use longhaul::{Client, Limit, Profile, RetryPolicy};
use tempfile::TempDir;

const REQUESTS: usize = 130;

/// nginx in front of a service that remembers the order of what it was asked.
struct Limiter {
    nginx: Child,
    folder: TempDir,
    url: String,
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Limiter {
    /// 15 at once, and 100 in the queue. `None` where there is no nginx.
    async fn start() -> Option<Self> {
        Self::start_with("burst=114 delay=14").await
    }

    /// With this queue; `None` where there is no nginx.
    async fn start_with(queue: &str) -> Option<Self> {
        let program = std::env::var_os("LONGHAUL_NGINX")?;
        let seen = Arc::default();
        let upstream = serve(Arc::clone(&seen)).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let shown = folder.path().display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {shown}/{kind};\n"))
            .concat();
        let settings = format!(
            "daemon off; worker_processes 1; pid {shown}/pid; error_log {shown}/errors;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off;
                 {paths}
                 limit_req_zone $server_port zone=a:1m rate=15r/s;
                 limit_req_status 429;
                 server {{
                     listen 127.0.0.1:{port} backlog=1024;
                     location / {{
                         limit_req zone=a {queue};
                         proxy_pass http://{upstream};
                     }}
                 }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, settings).unwrap();
        let nginx = Command::new(program).arg("-c").arg(&file).stderr(Stdio::null()).spawn().unwrap();
        let limiter = Self { nginx, folder, url: format!("http://127.0.0.1:{port}"), seen };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(limiter);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "nginx did not come up: {}",
            std::fs::read_to_string(limiter.folder.path().join("errors")).unwrap_or_default()
        );
    }

    fn client(&self, limit: Limit) -> Client {
        Client::builder(&self.url).limit(limit).retry(RetryPolicy::none()).no_proxy().build().unwrap()
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        // The master ends its worker on this signal.
        let _ = Command::new("kill").arg("-TERM").arg(self.nginx.id().to_string()).status();
        let _ = self.nginx.wait();
    }
}

/// A service whose paths are numbers.
async fn serve(seen: Arc<Mutex<Vec<usize>>>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let answer = service_fn(|request: http::Request<hyper::body::Incoming>| {
                    seen.lock().unwrap().extend(request.uri().path().trim_start_matches('/').parse::<usize>());
                    async { Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default())) }
                });
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    address
}

async fn all_at_once(client: &Client) -> usize {
    let calls = (0..REQUESTS).map(|number| client.request(Method::GET, number.to_string()).send());
    join_all(calls).await.into_iter().filter(Result::is_ok).count()
}

#[tokio::test]
async fn without_a_limit_it_refuses_what_its_queue_cannot_hold() {
    let Some(limiter) = Limiter::start().await else { return };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let bare = (0..REQUESTS).map(|number| http.get(format!("{}/{number}", limiter.url)).send());
    let refused = join_all(bare)
        .await
        .into_iter()
        .filter(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS));
    let refused = refused.count();
    println!("bare: {refused} of {REQUESTS} refused");
    // 15, less what drained while they came.
    assert!((1..=15).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_declared_queue_is_used_and_nothing_is_refused() {
    let Some(limiter) = Limiter::start().await else { return };
    let client = limiter.client(Limit::per_second(15).and_server_queue(100));
    let begun = std::time::Instant::now();
    assert_eq!(all_at_once(&client).await, REQUESTS);
    println!("with its queue declared: all answered in {:.2?}, ideal 7.67 s", begun.elapsed());
    assert_eq!((client.stats().throttled(), client.stats().requests()), (0, REQUESTS as u64));
    let seen = limiter.seen.lock().unwrap().clone();
    // The first 15 go at once, each on a connection of its own, and may overtake each other; no other does.
    let late = seen.iter().enumerate().filter(|(at, number)| at.abs_diff(**number) > 15).count();
    assert_eq!((late, seen.len()), (0, REQUESTS), "{seen:?}");
}

#[tokio::test]
async fn an_exact_window_never_needs_the_queue() {
    let Some(limiter) = Limiter::start().await else { return };
    let client = limiter.client(Limit::per_second(15));
    assert_eq!(all_at_once(&client).await, REQUESTS);
    assert_eq!(client.stats().throttled(), 0);
}

/// The queue as Aprimo documents it, and the plainest one of the same length, which holds all but the first request.
#[tokio::test]
async fn the_profile_of_aprimo_is_never_refused() {
    for queue in ["burst=114 delay=14", "burst=100"] {
        let Some(limiter) = Limiter::start_with(queue).await else { return };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let bare = join_all((0..REQUESTS).map(|number| http.get(format!("{}/{number}", limiter.url)).send())).await;
        let is_refused = |answer: &reqwest::Response| answer.status() == StatusCode::TOO_MANY_REQUESTS;
        let refused = bare.iter().filter(|answer| answer.as_ref().is_ok_and(is_refused)).count();
        println!("{queue}, bare: {refused} of {REQUESTS} refused");
        assert!(refused > 0);
        drop(limiter);

        let Some(limiter) = Limiter::start_with(queue).await else { return };
        let profile = Profile::aprimo().retry(RetryPolicy::none());
        let client = Client::builder(&limiter.url).profile(profile).no_proxy().build().unwrap();
        assert_eq!(all_at_once(&client).await, REQUESTS);
        assert_eq!((client.stats().throttled(), client.stats().requests()), (0, REQUESTS as u64));
    }
}
