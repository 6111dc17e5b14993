//! Brings the TCP records of several rings into the order of time.
//!
//! A connection that moves from one CPU to another leaves its records in two
//! rings, which are read one after the other, maybe by two threads. So each stream
//! belongs to one thread. Records are laid aside while rings are read, handed to
//! that thread once per batch, and handed on in order once all threads have read
//! all that is older. Nothing waits for anybody: a thread that hangs keeps records
//! of the others back until they take up their room. What finds none is handed on
//! out of order, or, where its stream is another thread's, lost and counted.
//!
//! Here rather than with the rings, as it knows nothing of the kernel.

#[cfg(test)]
mod tests;

use std::{
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dns_wire::record::Record;
use foldhash::quality::RandomState;

use super::stream::stream_key;

/// Room that there is at least, for some segments of the largest size.
const LEAST: usize = 1 << 18;
/// Octets of room that are kept when they are not in use.
const KEPT: usize = 1 << 20;

/// Where the threads hand records to each other.
#[derive(Debug)]
struct Places {
    inboxes: Vec<Mutex<Queue>>,
    /// Up to when each thread has read its rings.
    reached: Vec<AtomicU64>,
    hasher: RandomState,
}

/// One thread's side of it.
#[derive(Debug)]
pub struct Sorter {
    places: Arc<Places>,
    index: usize,
    /// For each thread; what is its own it keeps.
    outgoing: Vec<Queue>,
    waiting: Queue,
    /// Empty, to change places with another.
    spare: Queue,
    /// Octets that may lie in each queue.
    room: usize,
    is_full: bool,
    unordered: u64,
    lost: u64,
}

/// What becomes of a record that is to be put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It waits.
    Waits,
    /// There is no room: it is to be handed on at once.
    AtOnce,
    /// There is no room on the way to its stream; it is counted as lost.
    Lost,
}

/// Records that wait.
#[derive(Debug, Default)]
struct Queue {
    entries: Vec<Entry>,
    octets: Vec<u8>,
}

/// A record, the octets of which stand elsewhere.
#[derive(Clone, Copy, Debug)]
struct Entry {
    head: Record<'static>,
    at: usize,
    len: usize,
}

impl Sorter {
    /// One for each of so many threads; `room` octets may wait in each, and as
    /// many on their way to it.
    #[must_use]
    pub fn for_threads(threads: usize, room: usize) -> Vec<Self> {
        let places = Arc::new(Places {
            inboxes: (0..threads).map(|_| Mutex::default()).collect(),
            reached: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::default(),
        });
        let sorter = |index| Self {
            places: Arc::clone(&places),
            index,
            outgoing: (0..threads).map(|_| Queue::default()).collect(),
            waiting: Queue::default(),
            spare: Queue::default(),
            room: room.max(LEAST),
            is_full: false,
            unordered: 0,
            lost: 0,
        };
        (0..threads).map(sorter).collect()
    }

    /// Lays a record aside, if there is room. Of a message that is known already,
    /// its place in the stream is all that is kept.
    pub fn put(&mut self, record: &Record<'_>) -> Put {
        let owner = self.places.owner(record);
        if owner == self.index {
            if self.waiting.put(record, self.room) {
                return Put::Waits;
            }
            self.is_full = true;
            self.unordered += 1;
            return Put::AtOnce;
        }
        let outgoing = self.outgoing.get_mut(owner);
        if outgoing.is_some_and(|outgoing| outgoing.put(record, self.room)) {
            return Put::Waits;
        }
        self.lost += 1;
        Put::Lost
    }

    /// All rings of this thread were read up to a time: tells the others, and
    /// hands their records over. Those that find no room are lost.
    pub fn reach(&mut self, time_ns: u64) {
        for (outgoing, inbox) in self.outgoing.iter_mut().zip(&self.places.inboxes) {
            if outgoing.entries.is_empty() {
                continue;
            }
            if !locked(inbox).append(outgoing, self.room) {
                self.lost += outgoing.entries.len() as u64;
            }
            outgoing.clear();
        }
        self.places.reach(self.index, time_ns);
    }

    /// Hands on, in order, all that is older than what any thread has still to
    /// read: up to the time that is returned.
    pub fn take(&mut self, mut sink: impl FnMut(&Record<'_>)) -> u64 {
        // Before the inbox is looked into: what comes there later is younger.
        let until_ns = self.places.reached_by_all();
        self.receive(&mut sink);
        if std::mem::take(&mut self.is_full) {
            self.hand_on(u64::MAX, &mut sink);
        } else {
            self.hand_on(until_ns, &mut sink);
        }
        until_ns
    }

    /// Hands on everything, in order: nobody will hand over more.
    pub fn finish(&mut self, mut sink: impl FnMut(&Record<'_>)) {
        self.receive(&mut sink);
        self.hand_on(u64::MAX, &mut sink);
    }

    /// Records that were handed on at once, since there was no room to wait.
    #[must_use]
    pub const fn unordered(&self) -> u64 {
        self.unordered
    }

    /// Records for which there was no room on the way to their streams.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes what others have handed over; where that does not fit, what waits
    /// goes first.
    fn receive(&mut self, sink: &mut impl FnMut(&Record<'_>)) {
        let Some(inbox) = self.places.inboxes.get(self.index) else {
            return;
        };
        let mut inbox = locked(inbox);
        if inbox.entries.is_empty() {
            return;
        }
        let mut received = std::mem::take(&mut self.spare);
        std::mem::swap(&mut *inbox, &mut received);
        drop(inbox);
        if !self.waiting.append(&received, self.room) {
            self.unordered += self.waiting.entries.len() as u64;
            self.hand_on(u64::MAX, sink);
            self.waiting.append(&received, self.room);
        }
        received.clear();
        self.spare = received;
    }

    /// Hands on what waits and is not younger.
    fn hand_on(&mut self, until_ns: u64, sink: &mut impl FnMut(&Record<'_>)) {
        let waiting = &mut self.waiting;
        if waiting.entries.is_empty() {
            return;
        }
        waiting.entries.sort_by_key(|entry| entry.head.time_ns());
        let time_ns = |entry: &Entry| entry.head.time_ns();
        let due = waiting
            .entries
            .partition_point(|entry| time_ns(entry) <= until_ns);
        if due == 0 {
            return;
        }
        waiting.first(due, &mut *sink);
        let mut rest = std::mem::take(&mut self.spare);
        for record in waiting.records().skip(due) {
            rest.put(&record, self.room);
        }
        std::mem::swap(waiting, &mut rest);
        rest.clear();
        self.spare = rest;
    }
}

impl Queue {
    fn put(&mut self, record: &Record<'_>, room: usize) -> bool {
        let octets = if record.is_segment() {
            record.payload()
        } else {
            &[]
        };
        if self.used() + size_of::<Entry>() + octets.len() > room {
            return false;
        }
        self.entries.push(Entry {
            head: record.head(),
            at: self.octets.len(),
            len: octets.len(),
        });
        self.octets.extend_from_slice(octets);
        true
    }

    /// Takes in all records of another, or none.
    fn append(&mut self, other: &Self, room: usize) -> bool {
        if self.used() + other.used() > room {
            return false;
        }
        let at = self.octets.len();
        self.octets.extend_from_slice(&other.octets);
        let moved = other.entries.iter().map(|entry| Entry {
            at: at + entry.at,
            ..*entry
        });
        self.entries.extend(moved);
        true
    }

    fn used(&self) -> usize {
        self.octets.len() + size_of_val(self.entries.as_slice())
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.entries.iter().map(|entry| {
            let octets = self.octets.get(entry.at..entry.at + entry.len);
            entry.head.with_payload(octets.unwrap_or(&[]))
        })
    }

    /// Shows the first records.
    fn first(&self, count: usize, mut sink: impl FnMut(&Record<'_>)) {
        self.records().take(count).for_each(|record| sink(&record));
    }

    /// Room that was not needed this time is given back.
    fn clear(&mut self) {
        if self.used() <= KEPT {
            self.octets.shrink_to(KEPT);
            self.entries.shrink_to(KEPT / size_of::<Entry>());
        }
        self.octets.clear();
        self.entries.clear();
    }
}

/// A thread that ends keeps nobody waiting.
impl Drop for Sorter {
    fn drop(&mut self) {
        self.places.reach(self.index, u64::MAX);
    }
}

impl Places {
    fn reach(&self, thread: usize, time_ns: u64) {
        if let Some(reached) = self.reached.get(thread) {
            reached.fetch_max(time_ns, Ordering::Release);
        }
    }

    fn owner(&self, record: &Record<'_>) -> usize {
        match self.inboxes.len() {
            0 | 1 => 0,
            threads => self.hasher.hash_one(stream_key(record)) as usize % threads,
        }
    }

    fn reached_by_all(&self) -> u64 {
        let reached = self.reached.iter();
        let reached = reached.map(|reached| reached.load(Ordering::Acquire));
        reached.min().unwrap_or(u64::MAX)
    }
}

/// A thread that panicked has left whole records there.
fn locked(inbox: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}
