//! The consumer's side of the rings: the one door to their memory.
//!
//! The layout and the arithmetic are in [`dns_wire::ring`]; the producer is the
//! kernel program on one CPU.

use std::{
    io,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering, fence},
    },
};

use aya::maps::MapData;
use dns_wire::{
    counters::{Delivery, Hook},
    record::{self, LINE, MAX_LEVEL, MAX_LINES, Record},
    ring::{self, word},
    tally::cell,
};
use memmap2::{MmapOptions, MmapRaw};

use super::probe::{Geometry, LoadError, Probe};
use crate::{
    prefetch::prefetch,
    stats::lag::{Batch, LagReport, StageLag},
};

/// Where the tally of a block counts the packets whose record is in the ring.
const DELIVERED: usize = ring::CONTROL + 8 * (cell::RECORDS + Delivery::Delivered.index());

/// Lines so far ahead are asked for: a record has at most two of them, mostly.
const AHEAD: [u64; 2] = [16, 17];

/// The memory of all rings, mapped.
#[derive(Debug)]
struct Memory {
    blocks: MmapRaw,
    chunks: MmapRaw,
}

/// One ring, as anybody may look at it while somebody else reads it.
#[derive(Debug)]
pub struct RingWatch {
    memory: Arc<Memory>,
    hook: Hook,
    cpu: u64,
    geometry: Geometry,
    lag: StageLag,
    /// What sampling has added to the variance of numbers of messages.
    variance: AtomicU64,
}

/// The reader of one ring.
#[derive(Debug)]
pub struct Ring {
    watch: Arc<RingWatch>,
    /// How far the ring was filled at the last [look](Self::look).
    head: u64,
    /// Where reading goes on; published when a batch is done.
    tail: u64,
    /// What the program is told.
    wishes: Wishes,
}

/// What the daemon asks of the program that fills a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wishes {
    /// One transaction in `2^share_bits` is to be paired.
    share_bits: u8,
    /// One record in `2^floor` at most is to be put in.
    floor: u8,
}

/// What a ring says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RingState {
    /// The records that the kernel put in, those taken out, and those that wait.
    pub lag: LagReport,
    /// Lines in use.
    pub used_lines: u64,
    /// Lines in all.
    pub lines: u64,
    /// Sampling level at the moment: one record in `2^level`.
    pub level: u8,
    /// Variance, by sampling, of the number of messages that the records taken
    /// out stand for.
    pub variance: u64,
}

/// A record that contradicts the ring's protocol: the memory was damaged, or
/// the program and this daemon do not belong together.
#[derive(Debug, thiserror::Error)]
#[error(
    "ring of {} on CPU {cpu} holds a damaged record at position {position}; \
     everything before it was read. Restart xdsc; if it happens again, report it",
    hook.label()
)]
pub struct Damaged {
    hook: Hook,
    cpu: u64,
    position: u64,
    read: Batch,
}

impl Damaged {
    /// What was read before it.
    #[must_use]
    pub const fn read(&self) -> &Batch {
        &self.read
    }
}

impl Ring {
    /// Maps the rings of a loaded probe; one reader per hook and CPU.
    ///
    /// # Errors
    /// When a map is missing or cannot be mapped.
    pub fn all(probe: &Probe) -> Result<Vec<Self>, LoadError> {
        let geometry = probe.geometry();
        let blocks = probe.ring_map("BLOCKS")?;
        let chunks = probe.ring_map("CHUNKS")?;
        let rings = geometry.rings() as usize;
        let memory = Arc::new(Memory {
            blocks: map(blocks, "BLOCKS", rings * ring::BLOCK)?,
            chunks: map(
                chunks,
                "CHUNKS",
                rings * geometry.chunks as usize * ring::CHUNK,
            )?,
        });
        let readers = (0..geometry.rings()).filter_map(|index| {
            let hook = Hook::from_index((index / geometry.cpus) as usize)?;
            Some(Self::new(&memory, geometry, hook, index % geometry.cpus))
        });
        Ok(readers.collect())
    }

    fn new(memory: &Arc<Memory>, geometry: Geometry, hook: Hook, cpu: u64) -> Self {
        Self {
            watch: Arc::new(RingWatch {
                memory: Arc::clone(memory),
                hook,
                cpu,
                geometry,
                lag: StageLag::default(),
                variance: AtomicU64::new(0),
            }),
            head: 0,
            tail: 0,
            wishes: Wishes::default(),
        }
    }

    /// What others may look at.
    #[must_use]
    pub const fn watch(&self) -> &Arc<RingWatch> {
        &self.watch
    }

    /// Looks how far the ring is filled: the next [`drain`](Self::drain) goes up
    /// to there.
    ///
    /// Whoever reads the clock after the look knows the records' ages, however
    /// long the thread is kept from going on: what comes meanwhile is left to the
    /// next look, and the next reading of the clock.
    pub fn look(&mut self) {
        self.head = self.watch.load(word::HEAD);
    }

    /// Hands everything up to the last look to `sink`, then frees it.
    ///
    /// `now_ns` is the time after the look.
    ///
    /// # Errors
    /// [`Damaged`]; what stood before was handed on, the rest is skipped.
    pub fn drain(
        &mut self,
        now_ns: u64,
        mut sink: impl FnMut(&Record<'_>),
    ) -> Result<Batch, Damaged> {
        if self.tail == self.head {
            return Ok(Batch::default());
        }
        let first_ns = self.watch.time_ns(self.tail);
        let (mut count, mut added) = (0, 0);
        let mut damaged_at = None;
        while self.tail != self.head {
            self.prefetch();
            let Some(record) = self.record(self.tail) else {
                damaged_at = Some(self.tail);
                self.tail = self.head;
                break;
            };
            sink(&record);
            added += variance(record.level());
            self.tail = ring::advance(self.tail, record.lines() as u64);
            count += 1;
        }
        self.watch.store(word::TAIL, self.tail);
        self.watch.variance.fetch_add(added, Ordering::Relaxed);
        let read = Batch::new(count, first_ns, now_ns);
        self.watch.lag.consumed(&read, now_ns);
        damaged_at.map_or(Ok(read), |position| {
            Err(Damaged {
                hook: self.watch.hook,
                cpu: self.watch.cpu,
                position,
                read,
            })
        })
    }

    /// Sets the share of transactions that the program pairs: one in
    /// `2^share_bits`.
    pub fn set_share(&mut self, share_bits: u8) {
        self.wishes.share_bits = share_bits;
        self.wish();
    }

    /// Sets the lowest level of sampling: one record in `2^floor` or fewer.
    pub fn set_floor(&mut self, floor: u8) {
        self.wishes.floor = floor.min(MAX_LEVEL);
        self.wish();
    }

    /// The share of it that was in use at the last look, 0 to 1, and the level of
    /// sampling at the last message.
    #[must_use]
    pub fn pressure(&self) -> (f64, u8) {
        let used = self.head - self.tail;
        let lines = ring::lines(self.watch.geometry.chunks);
        let level = self.watch.load(word::LEVEL) as u8;
        (used as f64 / lines as f64, level)
    }

    fn wish(&self) {
        let Wishes { share_bits, floor } = self.wishes;
        self.watch
            .store(word::WISHES, ring::wishes(share_bits, floor));
    }

    /// Asks for lines that are read some records later, if they are there already.
    #[inline(always)]
    fn prefetch(&self) {
        for line in AHEAD {
            let position = self.tail + line;
            if position < self.head {
                prefetch(self.watch.start(position));
            }
        }
    }

    /// The record at a position that the producer has published and this side
    /// has not freed yet.
    fn record(&self, position: u64) -> Option<Record<'_>> {
        let record = Record::parse(self.bytes(position)).ok()?;
        (record.position() == position as u32).then_some(record)
    }

    /// The bytes of the record at a position, by the length that it states.
    fn bytes(&self, position: u64) -> &[u8] {
        let start = self.watch.start(position);
        // SAFETY: the second word of the first line.
        let word = unsafe { start.add(8) }.cast::<u64>();
        // SAFETY: readable as said above, and aligned as lines are.
        let word = unsafe { word.read_volatile() };
        let lines = record::lines_stated(word).min(MAX_LINES);
        // SAFETY:
        // - Behind the last line of a chunk is slack of one largest record, so
        //   the bytes lie in the mapping, which lives as long as `self`.
        // - The producer does not write to lines between `TAIL` and `HEAD`, and
        //   callers ask for those only.
        unsafe { std::slice::from_raw_parts(start, lines * LINE) }
    }
}

impl RingWatch {
    /// The hook that fills it.
    #[must_use]
    pub const fn hook(&self) -> Hook {
        self.hook
    }

    /// The CPU that fills it.
    #[must_use]
    pub const fn cpu(&self) -> u64 {
        self.cpu
    }

    /// Records taken out so far.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.lag.consumed_so_far()
    }

    /// What the ring says of itself now.
    #[must_use]
    pub fn state(&self, now_ns: u64) -> RingState {
        let (used_lines, oldest_ns) = self.waiting();
        // After the lines: what is in use was not taken out before.
        let produced = self.load(DELIVERED) + self.load(word::FURTHER);
        let backlog = match used_lines {
            0 => 0,
            _ => produced.saturating_sub(self.consumed()),
        };
        let floor = ring::floor(self.load(word::WISHES));
        RingState {
            lag: self.lag.report_of(produced, backlog, oldest_ns, now_ns),
            used_lines,
            lines: ring::lines(self.geometry.chunks),
            // What waits was put in at the level of the last message; what comes
            // to an empty ring is sampled at the floor.
            level: match used_lines {
                0 => floor,
                _ => floor.max(self.load(word::LEVEL) as u8),
            },
            variance: self.variance.load(Ordering::Relaxed),
        }
    }

    /// Lines in use, and when the oldest record in them happened.
    fn waiting(&self) -> (u64, Option<u64>) {
        /// A reader frees a batch once in a fraction of a millisecond.
        const TRIES: usize = 3;
        let mut used_lines = 0;
        for _ in 0..TRIES {
            let tail = self.load(word::TAIL);
            used_lines = self.load(word::HEAD) - tail;
            if used_lines == 0 {
                return (0, None);
            }
            let time_ns = self.time_ns(tail);
            // The producer may have written over the time if the reader has freed
            // the record meanwhile.
            fence(Ordering::Acquire);
            if self.load(word::TAIL) == tail {
                return (used_lines, Some(time_ns));
            }
        }
        (used_lines, None)
    }

    /// When the record at a position happened: its first word. Nonsense unless
    /// the position is between `TAIL` and `HEAD`, before and after.
    fn time_ns(&self, position: u64) -> u64 {
        let start = self.start(position).cast::<u64>();
        // SAFETY: the first word of a line in the mapping, which lives as long as
        // `self`, and aligned as lines are. Volatile, as the producer may be
        // writing to it.
        unsafe { start.read_volatile() }
    }

    fn index(&self) -> u64 {
        self.hook.index() as u64 * self.geometry.cpus + self.cpu
    }

    /// Where the record at a position starts.
    fn start(&self, position: u64) -> *const u8 {
        let chunks = self.geometry.chunks;
        let chunk = self.index() * chunks + ring::chunk(position, chunks);
        let at = chunk as usize * ring::CHUNK + ring::offset(position);
        // SAFETY: `chunk` is one of this ring's chunks and the offset that of a
        // line in it, so the address lies in the mapping.
        unsafe { self.memory.chunks.as_ptr().add(at) }
    }

    /// The kernel publishes `HEAD` with a release; this is the acquire.
    fn load(&self, word: usize) -> u64 {
        self.control(word).load(Ordering::Acquire)
    }

    fn store(&self, word: usize, value: u64) {
        self.control(word).store(value, Ordering::Release);
    }

    fn control(&self, word: usize) -> &AtomicU64 {
        let at = self.index() as usize * ring::BLOCK + word;
        // SAFETY: `at` is the offset of one of the words of this ring's block, so
        // the address lies in the mapping.
        let word = unsafe { self.memory.blocks.as_mut_ptr().add(at) };
        // SAFETY: aligned, as ring and word offsets are multiples of 8; valid
        // as long as `self`; and all access from this side is atomic.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }
}

/// Of a message that is kept with a probability of 1 in w, and then counts as w
/// messages, the variance is w - 1: so each that was kept stands for w (w - 1).
fn variance(level: u8) -> u64 {
    let weight = 1_u64 << level;
    weight * (weight - 1)
}

fn map(data: &MapData, name: &'static str, len: usize) -> Result<MmapRaw, LoadError> {
    MmapOptions::new()
        .len(len)
        .map_raw(&data.fd().as_fd())
        .map_err(|error: io::Error| LoadError::Map {
            map: name,
            cause: format!("mapping {len} octets: {error}"),
        })
}
