//! Those who get the stream.
//!
//! Every exchange goes to all of them at once; each reads at its own pace from
//! what the common buffer holds. Who is too slow misses the oldest, is told how
//! many, and holds nobody up.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::broadcast::{self, error::RecvError};

use super::stats::SubscriberStats;
use crate::{
    enrich::exchange::Exchange,
    source::live::clock::now_ns,
    stats::lag::{Batch, StageLag},
};

/// All places, taken or free.
#[derive(Debug)]
pub(super) struct Subscribers {
    places: Mutex<Places>,
    /// Exchanges that the buffer holds.
    buffer: usize,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Places {
    /// None once closed.
    sender: Option<broadcast::Sender<Arc<Exchange>>>,
    slots: Vec<Slot>,
}

/// A place for a subscriber; its counters go on with the next one.
#[derive(Debug, Default)]
struct Slot {
    is_taken: bool,
    state: Option<Arc<State>>,
}

#[derive(Debug, Default)]
struct State {
    sent: AtomicU64,
    dropped: AtomicU64,
    lag: StageLag,
}

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// All places are taken.
    #[error(
        "all {0} places for subscribers of the stream are taken; end one of them, or raise `stream.subscribers`"
    )]
    Full(usize),
    /// The daemon stops.
    #[error("xdsc is stopping")]
    Closed,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Next {
    /// An exchange.
    Exchange(Arc<Exchange>),
    /// So many were missed here.
    Dropped(u64),
    /// The stream has ended.
    End,
}

/// A place in the stream; free again when dropped.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<Exchange>>,
    state: Arc<State>,
    place: usize,
    subscribers: Arc<Subscribers>,
}

impl Subscribers {
    pub(super) fn new(places: usize, buffer: usize) -> Arc<Self> {
        // The channel rounds up to this.
        let buffer = buffer.max(1).next_power_of_two();
        Arc::new(Self {
            places: Mutex::new(Places {
                sender: Some(broadcast::Sender::new(buffer)),
                slots: (0..places).map(|_| Slot::default()).collect(),
            }),
            buffer,
            refused: AtomicU64::new(0),
        })
    }

    pub(super) fn subscribe(self: &Arc<Self>) -> Result<Subscription, Refused> {
        let mut places = self.places();
        let count = places.slots.len();
        let receiver = places.sender.as_ref().map(broadcast::Sender::subscribe);
        let receiver = receiver.ok_or(Refused::Closed)?;
        let free = places.slots.iter_mut().enumerate();
        let Some((place, slot)) = free.into_iter().find(|(_, slot)| !slot.is_taken) else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refused::Full(count));
        };
        slot.is_taken = true;
        let state = Arc::clone(slot.state.get_or_insert_default());
        Ok(Subscription {
            receiver,
            state,
            place,
            subscribers: Arc::clone(self),
        })
    }

    /// Whether anybody listens.
    pub(super) fn is_any(&self) -> bool {
        self.places().slots.iter().any(|slot| slot.is_taken)
    }

    /// Sends exchanges to all who listen.
    pub(super) fn send(&self, exchanges: impl Iterator<Item = Exchange>) {
        let places = self.places();
        let Some(sender) = &places.sender else {
            return;
        };
        for exchange in exchanges {
            let batch = Batch::one(exchange.complete_ns);
            let taken = places.slots.iter().filter(|slot| slot.is_taken);
            for state in taken.filter_map(|slot| slot.state.as_ref()) {
                state.lag.produced(&batch);
            }
            // Without receivers it is nobody's loss.
            drop(sender.send(Arc::new(exchange)));
        }
    }

    /// Ends all subscriptions, when they have read to the end.
    pub(super) fn close(&self) {
        self.places().sender = None;
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// All places that were ever taken.
    pub(super) fn stats(&self, now_ns: u64) -> Vec<SubscriberStats> {
        let places = self.places();
        let used = places.slots.iter().enumerate().filter_map(|(place, slot)| {
            let state = slot.state.as_ref()?;
            Some(state.stats(place, slot.is_taken, self.buffer as u64, now_ns))
        });
        used.collect()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stats(&self, place: usize, is_taken: bool, buffer: u64, now_ns: u64) -> SubscriberStats {
        let mut lag = self.lag.report(now_ns);
        // What the buffer no longer holds is lost, though nobody has noticed yet.
        let overrun = lag.backlog.saturating_sub(buffer);
        lag.backlog -= overrun;
        SubscriberStats {
            place,
            is_taken,
            sent: self.sent.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed) + overrun,
            lag,
        }
    }
}

impl Subscription {
    /// What comes next; may be given up at any time.
    pub async fn next(&mut self) -> Next {
        match self.receiver.recv().await {
            Ok(exchange) => {
                let batch = Batch::one(exchange.complete_ns);
                self.state.lag.consumed(&batch, now_ns());
                Next::Exchange(exchange)
            }
            Err(RecvError::Lagged(count)) => {
                self.state.lag.lost(count);
                self.state.dropped.fetch_add(count, Ordering::Relaxed);
                Next::Dropped(count)
            }
            Err(RecvError::Closed) => Next::End,
        }
    }

    /// So many were passed on to whoever subscribed.
    pub fn sent(&self, count: u64) {
        self.state.sent.fetch_add(count, Ordering::Relaxed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut places = self.subscribers.places();
        let buffer = self.subscribers.buffer as u64;
        let backlog = self.state.lag.report(now_ns()).backlog;
        let overrun = backlog.saturating_sub(buffer);
        // What it leaves unread was not kept from it.
        self.state.dropped.fetch_add(overrun, Ordering::Relaxed);
        self.state.lag.lost(backlog);
        if let Some(slot) = places.slots.get_mut(self.place) {
            slot.is_taken = false;
        }
    }
}
