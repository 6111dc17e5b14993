//! Connections: accepted, bounded in number and in patience, and ended politely.
//!
//! `axum::serve` waits for ever for a client that sends nothing; an endpoint on
//! a public name server may not. So the accept loop is here, with hyper's own
//! HTTP/1 connection below it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use super::Listeners;

/// Further clients wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;

/// From the connection's start, or from the answer before, to the end of the
/// request's head. Longer than the usual minute between two scrapes, so that a
/// scraper keeps its connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// A request's head in memory; scrapers send a few hundred bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// A client that takes nothing of its answer for so long has gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What requests in flight get to finish once the daemon stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// After a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves `router` on `listeners` until `shutdown` resolves; then accepts no
/// more, lets requests in flight finish for up to five seconds, and returns.
///
/// # Errors
/// Only for sockets that tokio cannot register, before anything is served.
pub async fn serve(
    listeners: Listeners,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let sockets = listeners.into_tokio()?;
    let mut server = Server::new(router);
    tokio::select! {
        () = shutdown => {}
        () = server.accept_all(&sockets) => {}
    }
    drop(sockets);
    server.finish().await;
    Ok(())
}

struct Server {
    router: Router,
    slots: Arc<Semaphore>,
    graceful: GracefulShutdown,
    /// Aborts what is left when dropped.
    connections: JoinSet<()>,
}

impl Server {
    fn new(router: Router) -> Self {
        Self {
            router,
            slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            graceful: GracefulShutdown::new(),
            connections: JoinSet::new(),
        }
    }

    /// Ends only by being dropped.
    async fn accept_all(&mut self, sockets: &[TcpListener]) {
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                return;
            };
            match accept_any(sockets).await {
                Ok((stream, peer)) => self.spawn(stream, peer, slot),
                Err(error) => pause_after(&error).await,
            }
            self.reap();
        }
    }

    fn spawn(&mut self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        let router = self.router.clone();
        let watcher = self.graceful.watcher();
        self.connections.spawn(async move {
            let _slot = slot;
            // TLS goes here: a handshake in the connection's own task holds up
            // no other client, and `converse` takes any stream.
            if let Err(error) = converse(stream, peer, router, watcher).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }

    /// Forgets the connections that have ended.
    fn reap(&mut self) {
        while let Some(ended) = self.connections.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a connection's task failed");
            }
        }
    }

    async fn finish(self) {
        if timeout(SHUTDOWN_GRACE, self.graceful.shutdown())
            .await
            .is_err()
        {
            let cut = self.connections.len();
            tracing::warn!(
                connections = cut,
                "cut off connections that did not finish in time"
            );
        }
    }
}

/// The next client on any of the sockets.
async fn accept_any(sockets: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        let mut accepts = sockets.iter().map(|socket| socket.poll_accept(context));
        accepts.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// A client that is gone before it was accepted is no trouble; for others, such
/// as too many open files, an immediate retry would spin.
async fn pause_after(error: &io::Error) {
    let clients_own = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
    ];
    if !clients_own.contains(&error.kind()) {
        tracing::warn!(%error, "cannot accept a connection; trying again in a second");
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Serves the requests of one connection, until either side ends it.
async fn converse<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    watcher: Watcher,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let service = router.map_request(move |request: Request<Incoming>| with_peer(request, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(service),
        );
    watcher.watch(connection).await
}

fn with_peer(mut request: Request<Incoming>, peer: SocketAddr) -> Request<Incoming> {
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// What becomes of a connection to a client that first sends `request` and
    /// then does nothing, not even hang up. Time is simulated.
    async fn abandoned(request: &[u8]) -> (hyper::Result<()>, DuplexStream) {
        let large = "x".repeat(1 << 20);
        let router = Router::new().route("/", get(async || large));
        let (mut client, server) = duplex(1024);
        client
            .write_all(request)
            .await
            .expect("the request fits the pipe");
        let graceful = GracefulShutdown::new();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let ended = converse(server, peer, router, graceful.watcher()).await;
        (ended, client)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_cut_off() {
        let started = tokio::time::Instant::now();
        let (ended, _client) = abandoned(b"GET / HTTP/1.1\r\nHost:").await;
        assert!(ended.expect_err("the head is incomplete").is_timeout());
        assert_eq!(started.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_cut_off() {
        let started = tokio::time::Instant::now();
        let (ended, mut client) = abandoned(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(ended.is_err());
        assert_eq!(started.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
        let mut taken = Vec::new();
        client
            .read_to_end(&mut taken)
            .await
            .expect("what was sent can be read");
        assert!(taken.starts_with(b"HTTP/1.1 200 OK"));
    }
}
