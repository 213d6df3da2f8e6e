//! Far: a proxy that makes a server seem far away.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// A proxy on loopback, which ends with this.
pub(super) struct Far {
    accepts: AbortHandle,
    pub(super) address: SocketAddr,
}

impl Far {
    pub(super) async fn start(server: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepts = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(join(client, server, round_trip / 2));
            }
        });
        Ok(Self { accepts: accepts.abort_handle(), address })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

async fn join(client: TcpStream, server: SocketAddr, way: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // The end of one way is the end of both.
    tokio::select! {
        done = carry(from_client, to_server, way) => done,
        done = carry(from_server, to_client, way) => done,
    }
}

/// Carries bytes as they come, each so much later.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Duration) -> io::Result<()> {
    let (sender, mut receiver) = unbounded_channel();
    let read = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = from.read(&mut buffer).await?;
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            if bytes.is_empty() || sender.send((Instant::now() + way, bytes)).is_err() {
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::select! {
        done = read => done,
        done = write => done,
    }
}
