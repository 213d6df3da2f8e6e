//! Service: a small HTTP/1.1 server in a process of its own, whose CPU is not the client's.

use std::convert::Infallible;
use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use crate::Failure;

/// The server's process; it ends with this.
pub(super) struct Service {
    process: Child,
    /// What is asked for.
    pub(super) url: String,
}

impl Service {
    /// Starts this program anew, as the server.
    pub(super) fn start() -> Result<Self, Failure> {
        let mut process =
            Command::new(env::current_exe()?).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no standard output")?).read_line(&mut address)?;
        Ok(Self { process, url: format!("http://{}{PATH}", address.trim()) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Is the server, until standard input ends.
pub(crate) fn serve() -> Result<(), Failure> {
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(answer(stream));
        }
    })
}

async fn answer(stream: TcpStream) {
    let answer = service_fn(async |_| {
        let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok::<_, Infallible>(response)
    });
    let _ = stream.set_nodelay(true);
    // A client may go whenever it likes.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

pub(super) const ANSWER: &[u8] = br#"{"id":"farm","name":"Hof am See","fields":[1,2,3],"area":12.5}"#;

const PATH: &str = "/v1/farms/north";
