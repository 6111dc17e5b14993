//! Where messages leave the drain for the stream.
//!
//! Each thread that reads rings has a [`Tap`] of its own, with a bounded queue
//! that only it fills and only the enrich thread empties. While nobody wants the
//! stream, a tap costs a branch; while somebody does, the few messages that are
//! taken are copied, and one that finds the queue full is dropped and counted.
//! The drain never waits, locks or allocates for it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use crossbeam_queue::ArrayQueue;
use dns_wire::{message::Message, record::Record};

use super::raw::Raw;
use crate::stats::{
    choice,
    lag::{Batch, StageLag},
};

/// Instead of a thinning: nothing is taken.
const OFF: u8 = u8::MAX;

/// What the taps and the enrich thread share.
#[derive(Debug)]
pub struct Intake {
    /// One transaction in 2 to this is taken, of those that are paired.
    thinning: AtomicU8,
    /// Messages that each queue takes.
    capacity: usize,
    lanes: Mutex<Vec<Arc<Lane>>>,
    queue_full: AtomicU64,
    lag: StageLag,
}

/// The queue of one tap.
#[derive(Debug)]
struct Lane {
    queue: ArrayQueue<Raw>,
    /// All messages up to this time have gone by the tap.
    reached_ns: AtomicU64,
}

impl Intake {
    /// Nothing is taken yet. At most `capacity` messages wait, for `taps` taps
    /// together.
    #[must_use]
    pub fn new(capacity: usize, taps: usize) -> Arc<Self> {
        Arc::new(Self {
            thinning: AtomicU8::new(OFF),
            capacity: capacity.div_ceil(taps.max(1)).max(1),
            lanes: Mutex::default(),
            queue_full: AtomicU64::new(0),
            lag: StageLag::default(),
        })
    }

    /// One more tap.
    #[must_use]
    pub fn tap(self: &Arc<Self>) -> Tap {
        let lane = Arc::new(Lane {
            queue: ArrayQueue::new(self.capacity),
            reached_ns: AtomicU64::new(0),
        });
        self.with_lanes(|lanes| lanes.push(Arc::clone(&lane)));
        let mut tap = Tap {
            thinning: OFF,
            to: To::Queue {
                lane,
                intake: Arc::clone(self),
            },
        };
        tap.refresh();
        tap
    }

    /// From the taps' next batches on, one transaction in `2^thinning` is taken,
    /// or none.
    pub(super) fn set(&self, thinning: Option<u8>) {
        let thinning = thinning.map_or(OFF, |thinning| thinning.min(choice::MAX_THINNING));
        self.thinning.store(thinning, Ordering::Relaxed);
    }

    /// Takes up to `most` messages out of each queue. Returns the time up to which
    /// all that was to be taken had been put in before.
    pub(super) fn take(&self, most: usize, mut sink: impl FnMut(&Raw)) -> u64 {
        let lanes = self.with_lanes(|lanes| lanes.clone());
        let mut reached_ns = u64::MAX;
        for lane in &lanes {
            let reached = lane.reached_ns.load(Ordering::Acquire);
            let mut left = most;
            while left > 0
                && let Some(raw) = lane.queue.pop()
            {
                left -= 1;
                sink(&raw);
            }
            // What is left in the queue is not known yet.
            reached_ns = reached_ns.min(if left > 0 { reached } else { 0 });
        }
        if lanes.is_empty() { 0 } else { reached_ns }
    }

    /// Messages that wait, in the fullest queue's measure: whether one is more
    /// than half full.
    pub(super) fn is_crowded(&self) -> bool {
        self.with_lanes(|lanes| {
            let mut lanes = lanes.iter();
            lanes.any(|lane| lane.queue.len() * 2 > lane.queue.capacity())
        })
    }

    /// Messages that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.with_lanes(|lanes| lanes.iter().map(|lane| lane.queue.len()).sum())
    }

    /// Messages that can wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.with_lanes(|lanes| lanes.len() * self.capacity)
    }

    /// Messages that were dropped since the queue was full.
    #[must_use]
    pub fn queue_full(&self) -> u64 {
        self.queue_full.load(Ordering::Relaxed)
    }

    /// The account of what goes in and comes out.
    #[must_use]
    pub const fn lag(&self) -> &StageLag {
        &self.lag
    }

    fn with_lanes<T>(&self, look: impl FnOnce(&mut Vec<Arc<Lane>>) -> T) -> T {
        look(&mut self.lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, lane: &Lane, raw: Raw) {
        self.lag.produced(&Batch::one(raw.time_ns));
        if lane.queue.push(raw).is_err() {
            self.lag.lost(1);
            self.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The tap of one reader of records.
#[derive(Debug)]
pub struct Tap {
    thinning: u8,
    to: To,
}

#[derive(Debug)]
enum To {
    Nowhere,
    Queue {
        lane: Arc<Lane>,
        intake: Arc<Intake>,
    },
    Kept(Vec<Raw>),
}

impl Default for Tap {
    fn default() -> Self {
        Self {
            thinning: OFF,
            to: To::Nowhere,
        }
    }
}

impl Tap {
    /// One that keeps all messages of paired transactions until they are
    /// [taken](Self::kept): for files, whose reader does the rest itself.
    #[must_use]
    pub const fn keeping() -> Self {
        Self {
            thinning: 0,
            to: To::Kept(Vec::new()),
        }
    }

    /// Shows it a message, whose transaction may be chosen. `record` is its own,
    /// or that of its last segment; `name` is QNAME on the wire.
    #[inline]
    pub fn show(&mut self, record: &Record<'_>, message: &Message, name: &[u8], time_ns: u64) {
        if self.thinning != OFF {
            self.take(record, message, name, time_ns);
        }
    }

    #[inline(never)]
    fn take(&mut self, record: &Record<'_>, message: &Message, name: &[u8], time_ns: u64) {
        if !record.is_paired() || !choice::is_taken(record.hash(), self.thinning) {
            return;
        }
        let mut raw = Raw::new(record, message, name, time_ns);
        raw.choice.thinning = self.thinning;
        match &mut self.to {
            To::Nowhere => {}
            To::Queue { lane, intake } => intake.put(lane, raw),
            To::Kept(kept) => kept.push(raw),
        }
    }

    /// Follows what is wanted now: to be called once per batch.
    pub fn refresh(&mut self) {
        if let To::Queue { intake, .. } = &self.to {
            self.thinning = intake.thinning.load(Ordering::Relaxed);
        }
    }

    /// All messages up to `now_ns` have been shown.
    pub fn advance(&self, now_ns: u64) {
        if let To::Queue { lane, .. } = &self.to {
            lane.reached_ns.fetch_max(now_ns, Ordering::Release);
        }
    }

    /// What it keeps, in the order in which it was shown.
    pub fn kept(&mut self) -> Vec<Raw> {
        match &mut self.to {
            To::Nowhere | To::Queue { .. } => Vec::new(),
            To::Kept(kept) => std::mem::take(kept),
        }
    }
}
