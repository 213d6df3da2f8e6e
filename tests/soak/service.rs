//! The service: long-running exports over raw HTTP/1.1, with trouble on purpose, and a ledger of what is true.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::ledger::{Ledger, content};

/// A service on a port of this machine. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Service(Arc<Inner>);

struct Inner {
    port: u16,
    /// Of a hundred requests, so many meet trouble.
    chaos: u32,
    ledger: Mutex<Ledger>,
    serving: tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
    restarts: AtomicUsize,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// The connection ends before anything is done.
    ResetBefore,
    /// It is done, and the connection ends without an answer.
    ResetAfter,
    /// It is done, and the answer's body breaks off.
    Cut,
    /// It is done, and the answer comes late.
    Slow,
    /// It is done, and no answer comes while the client waits.
    Silent,
    Busy(u16),
    /// Refused, and the words of the refusal break off.
    BusyCut(u16),
    /// It may have been done.
    Failed {
        acts: bool,
    },
}

struct Heard {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Service {
    pub(crate) async fn start(chaos: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self(Arc::new(Inner {
            port: listener.local_addr().unwrap().port(),
            chaos,
            ledger: Mutex::default(),
            serving: tokio::sync::Mutex::default(),
            restarts: AtomicUsize::new(0),
        }));
        *service.0.serving.lock().await = Some(tokio::spawn(service.clone().serve(listener)));
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.0.port)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap()
    }

    pub(crate) fn restarts(&self) -> usize {
        self.0.restarts.load(SeqCst)
    }

    /// Ends all connections and takes none for a while. What it knows it keeps.
    pub(crate) async fn restart(&self, away: Duration) {
        let mut serving = self.0.serving.lock().await;
        if let Some(running) = serving.take() {
            running.abort();
            let _ = running.await;
        }
        self.0.restarts.fetch_add(1, SeqCst);
        tokio::time::sleep(away).await;
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", self.0.port)).await {
                Ok(listener) => break listener,
                // An outgoing connection may have the port for the moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        *serving = Some(tokio::spawn(self.clone().serve(listener)));
    }

    async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    let service = self.clone();
                    connections.spawn(async move { drop(service.connection(stream).await) });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut held = Vec::new();
        while let Some(heard) = read(&mut stream, &mut held).await? {
            let trouble = self.trouble();
            self.ledger().heard(&heard.line(), heard.generation());
            self.ledger().troubled += usize::from(trouble.is_some());
            let said = match trouble {
                Some(Trouble::ResetBefore) => return Ok(()),
                Some(Trouble::Busy(status) | Trouble::BusyCut(status)) => Said::busy(status),
                Some(Trouble::Failed { acts }) => {
                    if acts {
                        self.act(&heard);
                    }
                    Said::new(500, br#"{"code":"Internal","message":"something broke"}"#.to_vec())
                }
                _ => self.act(&heard),
            };
            match trouble {
                Some(Trouble::ResetAfter) => return Ok(()),
                Some(Trouble::Slow) => tokio::time::sleep(Duration::from_millis(fastrand::u64(200..2500))).await,
                Some(Trouble::Silent) => {
                    tokio::time::sleep(Duration::from_secs(8)).await;
                    return Ok(());
                }
                _ => {}
            }
            let cut = matches!(trouble, Some(Trouble::Cut | Trouble::BusyCut(_)));
            let bytes = said.bytes(cut);
            stream.write_all(&bytes).await?;
            if cut {
                return Ok(());
            }
            let mut ledger = self.ledger();
            if let Some(wait) = said.wait() {
                ledger.promised(&heard.line(), heard.generation(), wait);
            }
            if let Some(id) = said.accepted().filter(|_| heard.method == "POST") {
                ledger.tasks[id].told = Some(heard.generation().to_owned());
            }
        }
        Ok(())
    }

    fn trouble(&self) -> Option<Trouble> {
        (fastrand::u32(..100) < self.0.chaos).then(|| match fastrand::u32(..400) {
            0..60 => Trouble::ResetBefore,
            60..120 => Trouble::ResetAfter,
            120..200 => Trouble::Cut,
            200..260 => Trouble::Slow,
            260..280 => Trouble::Silent,
            // Few: each stops all whom it concerns for as long as it asks.
            280..282 => Trouble::Busy(429),
            282 => Trouble::Busy(503),
            283 => Trouble::BusyCut(503),
            number => Trouble::Failed { acts: number % 2 == 0 },
        })
    }

    fn act(&self, heard: &Heard) -> Said {
        let id = || heard.path.rsplit('/').next()?.parse::<usize>().ok();
        let mut ledger = self.ledger();
        match (heard.method.as_str(), heard.path.as_str()) {
            ("POST", "/v1/exports") => {
                let body: serde_json::Value = serde_json::from_slice(&heard.body).unwrap_or_default();
                let job = body["job"].as_u64().and_then(|job| usize::try_from(job).ok());
                let id = ledger.accept(heard.header("idempotency-key"), job);
                let said = Said::new(202, format!(r#"{{"id":"{id}"}}"#).into_bytes());
                said.with("operation-location", format!("/v1/tasks/{id}")).with("retry-after", "1".into())
            }
            ("GET", path) if path.starts_with("/v1/tasks/") => {
                let Some((id, task)) = id().and_then(|id| Some((id, ledger.tasks.get(id)?.clone()))) else {
                    return Said::new(404, Vec::new());
                };
                if Instant::now() < task.ready {
                    return Said::new(200, br#"{"status":"Running"}"#.to_vec()).with("retry-after", "1".into());
                }
                let body = if task.fails {
                    r#"{"status":"Failed","error":{"code":"Bad","message":"on purpose"}}"#.to_owned()
                } else {
                    // Links live shortly, and the first of many a task has expired when it comes.
                    ledger.tasks[id].links += 1;
                    let lives = if task.links == 0 && fastrand::u32(..10) == 0 { 0 } else { 2500 };
                    let ends = now() + lives;
                    format!(
                        r#"{{"status":"Succeeded","result":{{"url":"http://127.0.0.1:{}/files/{id}?exp={ends}&sig={ends}"}}}}"#,
                        self.0.port
                    )
                };
                Said::new(200, body.into_bytes())
            }
            ("GET", path) if path.starts_with("/files/") => {
                let Some((id, task)) = id().and_then(|id| Some((id, ledger.tasks.get(id)?.clone()))) else {
                    return Said::new(404, Vec::new());
                };
                let ends = heard.query.split('&').find_map(|pair| pair.strip_prefix("exp=")?.parse::<u64>().ok());
                if ends.is_none_or(|ends| ends < now()) {
                    ledger.expired += 1;
                    return Said::new(403, b"<Error><Code>AuthenticationFailed</Code></Error>".to_vec());
                }
                drop(ledger);
                file(heard, id, task.length)
            }
            _ => Said::new(404, Vec::new()),
        }
    }
}

/// A storage that knows ranges and strong ETags.
fn file(heard: &Heard, id: usize, length: usize) -> Said {
    let etag = format!("\"v{id}\"");
    if heard.header("if-match").is_some_and(|wanted| wanted != etag) {
        return Said::new(412, Vec::new());
    }
    let bytes = content(id, length);
    let from = heard.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let said = match from {
        Some(from) if from < length => {
            let said = Said::new(206, bytes[from..].to_vec());
            said.with("content-range", format!("bytes {from}-{}/{length}", length - 1))
        }
        Some(_) => return Said::new(416, Vec::new()).with("content-range", format!("bytes */{length}")),
        None => Said::new(200, bytes),
    };
    said.with("etag", etag)
}

impl Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The process that sent it.
    fn generation(&self) -> &str {
        self.header("user-agent").unwrap_or_default()
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Said {
    const fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    fn busy(status: u16) -> Self {
        let body = br#"{"code":"Busy","message":"too much for now"}"#.to_vec();
        Self::new(status, body).with("retry-after", "1".into())
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    fn wait(&self) -> Option<Duration> {
        self.header("retry-after")?.parse().ok().map(Duration::from_secs)
    }

    fn accepted(&self) -> Option<usize> {
        self.header("operation-location")?.rsplit('/').next()?.parse().ok()
    }

    fn bytes(&self, cut: bool) -> Vec<u8> {
        let mut bytes =
            format!("HTTP/1.1 {} Status\r\ncontent-length: {}\r\n", self.status, self.body.len()).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let most = if cut { fastrand::usize(..=self.body.len().saturating_sub(1)) } else { self.body.len() };
        bytes.extend_from_slice(&self.body[..most]);
        bytes
    }
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut TcpStream, held: &mut Vec<u8>) -> io::Result<Option<Heard>> {
    let head = loop {
        if let Some(end) = held.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&held[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let mut heard = Heard {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: lines.filter_map(header).collect(),
        body: Vec::new(),
    };
    let length = heard.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while held.len() < head + length {
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
    }
    heard.body = held[head..head + length].to_vec();
    held.drain(..head + length);
    Ok(Some(heard))
}

/// Milliseconds since 1970.
fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
