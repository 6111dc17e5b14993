//! Those who watch: bounded in number, and served the same octets.
//!
//! All who want the same view share a channel; what goes over it is written once a
//! second, by the thread that looks. A channel holds the newest event only, so a
//! viewer who is slow misses some, and one who takes nothing for long is let go.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};

use super::{Audience, LiveView, Wanted};
use crate::view::Viewers;

/// So many watch at a time.
pub const MAX_VIEWERS: usize = 64;
/// A viewer that takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// What every stream begins with: whoever loses it comes back after two seconds.
const RETRY: &[u8] = b"retry: 2000\n\n";

/// All places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_VIEWERS} viewers watch already; close some pages, or ask for the summary instead")]
pub struct TooMany;

/// The channels and those who are at their ends.
#[derive(Debug)]
pub(super) struct Watching {
    places: Arc<Semaphore>,
    channels: Mutex<Vec<Channel>>,
    refused: AtomicU64,
    dropped: Arc<AtomicU64>,
}

/// One view, for all who want it.
#[derive(Debug)]
struct Channel {
    wanted: Wanted,
    audience: Audience,
    events: watch::Sender<Bytes>,
}

/// The events for one viewer.
#[derive(Debug)]
pub struct Subscription {
    events: watch::Receiver<Bytes>,
    dropped: Arc<AtomicU64>,
    _place: OwnedSemaphorePermit,
}

impl Default for Watching {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_VIEWERS)),
            channels: Mutex::default(),
            refused: AtomicU64::new(0),
            dropped: Arc::default(),
        }
    }
}

impl Watching {
    pub(super) fn subscribe(
        &self,
        view: &LiveView,
        wanted: Wanted,
        audience: Audience,
    ) -> Result<Subscription, TooMany> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let Ok(place) = place else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(TooMany);
        };
        let mut channels = self.channels();
        let mut same = channels.iter();
        let same = same.find(|channel| channel.wanted == wanted && channel.audience == audience);
        let events = match same {
            Some(channel) => channel.events.subscribe(),
            None => {
                let first = event(view, &wanted, audience).unwrap_or_default();
                let (events, receiver) = watch::channel(first);
                channels.push(Channel {
                    wanted,
                    audience,
                    events,
                });
                receiver
            }
        };
        Ok(Subscription {
            events,
            dropped: Arc::clone(&self.dropped),
            _place: place,
        })
    }

    /// Writes the views that somebody wants, and tells them.
    pub(super) fn tell(&self, view: &LiveView) {
        let wanted: Vec<_> = {
            let mut channels = self.channels();
            channels.retain(|channel| channel.events.receiver_count() > 0);
            let wanted = channels.iter();
            wanted
                .map(|channel| {
                    (
                        channel.wanted.clone(),
                        channel.audience,
                        channel.events.clone(),
                    )
                })
                .collect()
        };
        // Not under the lock, for which those who come wait.
        for (wanted, audience, events) in wanted {
            if let Some(event) = event(view, &wanted, audience) {
                events.send_replace(event);
            }
        }
    }

    /// Whether nobody watches.
    pub(super) fn is_empty(&self) -> bool {
        self.channels().is_empty()
    }

    /// Ends all streams; new ones end at once.
    pub(super) fn close(&self) {
        self.places.close();
        self.channels().clear();
    }

    pub(super) fn viewers(&self) -> Viewers {
        let free = self.places.available_permits();
        Viewers {
            now: MAX_VIEWERS.saturating_sub(free) as u64,
            max: MAX_VIEWERS as u64,
            refused: self.refused.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    fn channels(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Puts the events into a pipe, each when it is there, until its other end is
    /// gone, there are no more, or nobody takes them.
    pub async fn into_pipe(mut self, pipe: mpsc::Sender<Bytes>) {
        self.events.mark_changed();
        let mut piece = Bytes::from_static(RETRY);
        loop {
            if !piece.is_empty() {
                match timeout(PATIENCE, pipe.send(piece)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => {
                        self.dropped.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
            let changed = tokio::select! {
                () = pipe.closed() => return,
                changed = self.events.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            piece = self.events.borrow_and_update().clone();
        }
    }
}

/// The view as a server-sent event: JSON has no line breaks of its own.
fn event(view: &LiveView, wanted: &Wanted, audience: Audience) -> Option<Bytes> {
    let view = view.view(wanted, audience).ok()?;
    let mut event = b"event: view\ndata: ".to_vec();
    serde_json::to_writer(&mut event, &view).ok()?;
    event.extend_from_slice(b"\n\n");
    Some(event.into())
}
