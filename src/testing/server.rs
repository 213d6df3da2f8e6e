//! One listening port, and its incoming connections.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A server that runs until it is dropped, its connections with it.
#[derive(Debug)]
pub(super) struct Server {
    accepting: AbortHandle,
}

impl Server {
    /// Serves `listener` with the answers of `answer`; an error cuts the connection.
    pub(super) fn start<A, F>(listener: TcpListener, answer: A) -> Self
    where
        A: Fn(Request<Incoming>, Connection) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
    {
        let accepting = tokio::spawn(accept(listener, answer)).abort_handle();
        Self { accepting }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<A, F>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>, Connection) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    // Aborts all remaining connections when this future is dropped.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, answer.clone()));
            }
            // Most likely out of file descriptors; other connections may free some.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve<A, F>(stream: TcpStream, answer: A)
where
    A: Fn(Request<Incoming>, Connection) -> F,
    F: Future<Output = io::Result<Response<Body>>>,
{
    // Without it, the head of an answer could wait for the acknowledgement of the previous one.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (flushes, flushed) = watch::channel(());
    let connection = Connection { flushed, free_at: Arc::new(Mutex::new(Instant::now())) };
    let service = service_fn(|request| answer(request, connection.clone()));
    // An error means that the client hung up, or that the answer was cut: both end the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(Wire { stream, flushes }), service).await;
}

/// The information that an answer may have about its connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    flushed: watch::Receiver<()>,
    free_at: Arc<Mutex<Instant>>,
}

impl Connection {
    /// Waits until the system has accepted all bytes written so far.
    pub(super) async fn flushed(&mut self) {
        self.flushed.mark_unchanged();
        // An error means that the connection is gone: there is nothing more to wait for.
        let _ = self.flushed.changed().await;
    }

    /// Waits for a turn to send data that keeps the connection busy for this long.
    pub(super) async fn occupy(&self, busy: Duration) {
        let free_at = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            *free_at = (*free_at).max(Instant::now()) + busy;
            *free_at
        };
        tokio::time::sleep_until(free_at.into()).await;
    }
}

/// A socket that signals when it has been flushed.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    flushes: watch::Sender<()>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.flushes.send_replace(());
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
