//! The body of a stream: lines as they come, in pieces.
//!
//! A task of its own reads the subscription and writes lines into a buffer, which
//! goes out when it is full or a moment old. A client that reads slowly makes the
//! task wait, so that its subscription falls behind and loses the oldest; one that
//! reads nothing is cut by the connection's time-out.

use std::{
    convert::Infallible,
    io::Write as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::enrich::{
    exchange::{
        filter::Filter,
        shown::{Disclosure, Shown},
    },
    stream::{Next, Subscription},
};

/// A line waits at most so long for others.
const FLUSH: Duration = Duration::from_millis(200);
/// A buffer of this size goes out at once.
const PIECE: usize = 16 * 1024;
/// Pieces that wait for the connection.
const PIECES: usize = 4;
/// An empty line tells that the stream lives when nothing else did for so long.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// What of the stream a subscriber wants, and gets to see.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) filter: Filter,
    pub(super) disclosure: Disclosure,
    /// It ends after so many exchanges.
    pub(super) count: Option<u64>,
}

/// A body that the subscription fills.
pub(super) fn body(subscription: Subscription, view: View) -> Body {
    let (pieces, receiver) = mpsc::channel(PIECES);
    let writer = Writer {
        subscription,
        view,
        pieces,
        buffer: Vec::new(),
        unsent: 0,
        due: Instant::now() + HEARTBEAT,
    };
    tokio::spawn(writer.run());
    Body::new(Pieces(receiver))
}

struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The client has gone.
struct Gone;

struct Writer {
    subscription: Subscription,
    view: View,
    pieces: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
    /// Exchanges in the buffer.
    unsent: u64,
    /// When the buffer goes out, or, if it is empty, an empty line.
    due: Instant,
}

impl Writer {
    /// Ends when the stream does, the count is reached, or the client has gone.
    async fn run(mut self) {
        let mut left = self.view.count.unwrap_or(u64::MAX);
        while left > 0 {
            let next = tokio::select! {
                () = self.pieces.closed() => return,
                next = timeout_at(self.due, self.subscription.next()) => next,
            };
            let written = match next {
                Ok(Next::Exchange(exchange)) => {
                    if self.view.filter.matches(&exchange, &self.view.disclosure) {
                        left -= 1;
                        self.unsent += 1;
                        self.line(&Shown::new(&exchange, &self.view.disclosure));
                    }
                    self.flush_if(self.buffer.len() >= PIECE).await
                }
                Ok(Next::Dropped(count)) => {
                    self.line(&json!({ "dropped": count }));
                    Ok(())
                }
                Ok(Next::End) => break,
                Err(_) => {
                    if self.buffer.is_empty() {
                        self.buffer.push(b'\n');
                    }
                    self.flush_if(true).await
                }
            };
            if written.is_err() {
                return;
            }
        }
        // Whoever has gone misses nothing.
        drop(self.flush_if(!self.buffer.is_empty()).await);
    }

    fn line(&mut self, line: &impl serde::Serialize) {
        if self.buffer.is_empty() {
            self.due = Instant::now() + FLUSH;
        }
        // Plain values and a buffer in memory: neither fails.
        drop(serde_json::to_writer(&mut self.buffer, line));
        drop(self.buffer.write_all(b"\n"));
    }

    async fn flush_if(&mut self, due: bool) -> Result<(), Gone> {
        if !due {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.pieces.send(piece).await.map_err(|_| Gone)?;
        self.subscription.sent(std::mem::take(&mut self.unsent));
        self.due = Instant::now() + HEARTBEAT;
        Ok(())
    }
}
