//! Depot: a storage of one object that a test tells how to answer each request, in memory or over real sockets.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use longhaul::http::{Body, Http, HttpError, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A storage of one object. Clones share it.
#[derive(Clone)]
pub(crate) struct Depot(Arc<Inner>);

struct Inner {
    content: Bytes,
    rule: Box<Rule>,
    log: Mutex<Log>,
}

type Rule = dyn Fn(&Ask, Answer) -> Answer + Send + Sync;

#[derive(Default)]
struct Log {
    asks: Vec<Ask>,
    open: usize,
    most_open: usize,
    sent: usize,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Counted from 0.
    pub(crate) number: usize,
    /// The path and the query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) first: usize,
    pub(crate) end: usize,
}

/// The answer to one request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    end: End,
    /// Bytes a second; `None` for as fast as they are taken.
    rate: Option<usize>,
    piece: usize,
    is_chunked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// The connection is closed after so many bytes of the body.
    Cut(usize),
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// Nothing follows after so many bytes, and the connection stays.
    Stall(usize),
    /// No answer comes, and the connection stays.
    Silent,
}

impl Ask {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    fn read(&mut self, total: usize) {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let range = range.map(|(first, last)| {
            let first = first.parse().unwrap();
            (first, last.parse().map_or(total, |last: usize| (last + 1).min(total)).max(first))
        });
        (self.first, self.end) = range.unwrap_or((0, total));
    }
}

impl Answer {
    /// A 206 of the range that is asked for, or a 200, with the ETag `"v1"`.
    fn honest(ask: &Ask, content: &Bytes) -> Self {
        let total = content.len();
        let slice = content.slice(ask.first.min(total)..ask.end.min(total));
        let answer = Self::of(200, slice).set("etag", "\"v1\"");
        match ask.header("range") {
            None => answer,
            Some(_) if ask.first >= total => {
                Self::of(416, "").set("content-range", format!("bytes */{total}")).set("etag", "\"v1\"")
            }
            Some(_) => answer.ranged(ask.first, ask.end, total),
        }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn ranged(mut self, first: usize, end: usize, total: usize) -> Self {
        self.status = 206;
        self.set("content-range", format!("bytes {first}-{}/{total}", end - 1))
    }

    pub(crate) fn of(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            end: End::Whole,
            rate: None,
            piece: 16 << 10,
            is_chunked: false,
        }
    }

    /// Whether it is of the object, and not of an error.
    pub(crate) fn is_of_object(&self) -> bool {
        matches!(self.status, 200 | 206)
    }

    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self
    }

    pub(crate) fn cut(self, after: usize) -> Self {
        self.ends(End::Cut(after))
    }

    pub(crate) fn reset(self, after: usize) -> Self {
        self.ends(End::Reset(after))
    }

    pub(crate) fn stall(self, after: usize) -> Self {
        self.ends(End::Stall(after))
    }

    pub(crate) fn silent(self) -> Self {
        self.ends(End::Silent)
    }

    fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub(crate) fn rate(mut self, bytes_per_second: usize) -> Self {
        self.rate = Some(bytes_per_second);
        self
    }

    /// Sends so many bytes at a time.
    pub(crate) fn pieces(mut self, bytes: usize) -> Self {
        self.piece = bytes;
        self
    }

    /// States no length. A body that is cut then lacks its last chunk.
    pub(crate) fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Only the beginning of the body, as if it were all.
    pub(crate) fn short(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    /// The bytes that are sent.
    fn sent(&self) -> Bytes {
        let most = match self.end {
            End::Whole => self.body.len(),
            End::Silent => 0,
            End::Cut(after) | End::Reset(after) | End::Stall(after) => after.min(self.body.len()),
        };
        self.body.slice(..most)
    }

    /// The end, if it comes before that of the body.
    fn early_end(&self) -> End {
        match self.end {
            End::Cut(after) | End::Reset(after) | End::Stall(after) if after < self.body.len() => self.end,
            End::Silent => End::Silent,
            _ if self.is_chunked => self.end,
            _ => End::Whole,
        }
    }

    async fn pause(&self, bytes: usize) {
        if let Some(rate) = self.rate {
            tokio::time::sleep(Duration::from_nanos(bytes as u64 * 1_000_000_000 / rate as u64)).await;
        }
    }
}

/// Counts a body for as long as it is sent.
struct Open(Depot);

impl Open {
    fn new(depot: &Depot) -> Self {
        let mut log = depot.log();
        log.open += 1;
        log.most_open = log.most_open.max(log.open);
        drop(log);
        Self(depot.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.log().open -= 1;
    }
}

impl Depot {
    pub(crate) fn new(content: Bytes, rule: impl Fn(&Ask, Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { content, rule: Box::new(rule), log: Mutex::default() }))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap()
    }

    pub(crate) fn asks(&self) -> Vec<Ask> {
        self.log().asks.clone()
    }

    /// How many bodies were sent at once at most.
    pub(crate) fn most_open(&self) -> usize {
        self.log().most_open
    }

    /// How many bytes of bodies were handed out.
    pub(crate) fn sent(&self) -> usize {
        self.log().sent
    }

    fn answer(&self, target: String, headers: Vec<(String, String)>) -> Answer {
        let content = &self.0.content;
        let mut ask = Ask { number: 0, target, headers, first: 0, end: 0 };
        ask.read(content.len());
        {
            let mut log = self.log();
            ask.number = log.asks.len();
            log.asks.push(ask.clone());
        }
        (self.0.rule)(&ask, Answer::honest(&ask, content))
    }

    /// Serves over loopback, for as long as the runtime lives, and returns a signed link.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = format!("http://{}/7.csv?sig=S3CRET", listener.local_addr().unwrap());
        let depot = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let depot = depot.clone();
                // A client that hangs up ends its connection.
                tokio::spawn(async move { depot.talk(stream).await.ok() });
            }
        });
        link
    }

    async fn talk(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let head = String::from_utf8(head).unwrap();
            let mut lines = head.lines();
            let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
            let headers = lines.filter_map(|line| line.split_once(": "));
            let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
            let answer = self.answer(target, headers);
            let open = Open::new(self);
            if answer.end != End::Silent {
                self.send_over(&answer, &mut stream).await?;
            }
            match answer.early_end() {
                End::Whole => {}
                End::Cut(_) => return stream.shutdown().await,
                End::Reset(_) => return stream.set_zero_linger(),
                End::Stall(_) | End::Silent => {
                    stream.read_u8().await?;
                }
            }
            drop(open);
        }
    }

    async fn send_over(&self, answer: &Answer, stream: &mut TcpStream) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} -\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if answer.is_chunked {
            head.push_str("transfer-encoding: chunked\r\n");
        } else if answer.headers.iter().all(|(name, _)| name != "content-length") {
            head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        for piece in answer.sent().chunks(answer.piece) {
            answer.pause(piece.len()).await;
            if answer.is_chunked {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                stream.write_all(piece).await?;
                stream.write_all(b"\r\n").await?;
            } else {
                stream.write_all(piece).await?;
            }
            self.log().sent += piece.len();
        }
        if answer.is_chunked && answer.early_end() == End::Whole {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        stream.flush().await
    }
}

impl Http for Depot {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let url = request.url();
        let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let answer = self.answer(target, headers);
        let length = (!answer.is_chunked).then(|| ("content-length".to_owned(), answer.body.len().to_string()));
        let stated = answer.headers.iter().cloned();
        let headers: HeaderMap = length
            .into_iter()
            .chain(stated)
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect();
        let response = Response::new(StatusCode::from_u16(answer.status).unwrap(), url.clone()).headers_from(headers);
        let end = match answer.early_end() {
            End::Whole => stream::empty().boxed(),
            End::Cut(_) | End::Reset(_) => stream::iter([Err(HttpError::broken())]).boxed(),
            End::Stall(_) => stream::pending().boxed(),
            End::Silent => return Box::pin(std::future::pending()),
        };
        let (body, depot) = (answer.sent(), self.clone());
        let pieces = stream::unfold((answer, body, Open::new(self)), move |(answer, mut body, open)| {
            let depot = depot.clone();
            async move {
                let piece = body.split_to(body.len().min(answer.piece));
                if piece.is_empty() {
                    // A body that stalls stays open.
                    if matches!(answer.early_end(), End::Stall(_)) {
                        std::future::pending::<()>().await;
                    }
                    return None;
                }
                answer.pause(piece.len()).await;
                depot.log().sent += piece.len();
                Some((Ok(piece), (answer, body, open)))
            }
        });
        Box::pin(async move { Ok(response.body_from(Body::stream(pieces.chain(end)))) })
    }
}
