//! The consumer's side of the rings: the one door to their memory.
//!
//! The layout and the arithmetic are in [`dns_wire::ring`]; the producer is the
//! kernel program on one CPU.

use std::{io, os::fd::AsFd as _, sync::Arc};

use aya::maps::MapData;
use dns_wire::{
    counters::{Delivery, Hook},
    record::{self, LINE, MAX_LINES, Record},
    ring::{self, word},
    tally::cell,
};
use memmap2::{MmapOptions, MmapRaw};

use super::probe::{Geometry, LoadError, Probe};

/// Where the tally of a block counts the packets whose record is in the ring.
const DELIVERED: usize = ring::CONTROL + 8 * (cell::RECORDS + Delivery::Delivered.index());

/// The memory of all rings, mapped.
#[derive(Debug)]
struct Memory {
    blocks: MmapRaw,
    chunks: MmapRaw,
}

/// The reader of one ring.
#[derive(Debug)]
pub struct Ring {
    memory: Arc<Memory>,
    hook: Hook,
    cpu: u64,
    geometry: Geometry,
    /// Where reading goes on; published when a batch is done.
    tail: u64,
    /// Records read.
    consumed: u64,
}

/// What a ring says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingState {
    /// Records that the kernel put in.
    pub produced: u64,
    /// Records taken out.
    pub consumed: u64,
    /// Lines in use.
    pub used_lines: u64,
    /// Lines in all.
    pub lines: u64,
    /// Sampling level of the last message: one record in `2^level`.
    pub level: u8,
    /// Time of the oldest record not yet taken, ns of `CLOCK_MONOTONIC`.
    pub oldest_ns: Option<u64>,
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
}

impl Ring {
    /// Maps the rings of a loaded probe; one reader per hook and CPU.
    ///
    /// # Errors
    /// When a map is missing or cannot be mapped.
    pub fn all(probe: &mut Probe) -> Result<Vec<Self>, LoadError> {
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
            memory: Arc::clone(memory),
            hook,
            cpu,
            geometry,
            tail: 0,
            consumed: 0,
        }
    }

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

    /// Hands everything that is in the ring now to `sink`, then frees it.
    ///
    /// Returns the number of records.
    ///
    /// # Errors
    /// [`Damaged`]; what stood before was handed on, the rest is skipped.
    pub fn drain(&mut self, mut sink: impl FnMut(&Record<'_>)) -> Result<u64, Damaged> {
        let head = self.load(word::HEAD);
        let before = self.consumed;
        while self.tail != head {
            let Some(record) = self.record(self.tail) else {
                let position = self.tail;
                self.tail = head;
                self.publish();
                return Err(Damaged {
                    hook: self.hook,
                    cpu: self.cpu,
                    position,
                });
            };
            sink(&record);
            let lines = record.lines() as u64;
            self.tail = ring::advance(self.tail, lines);
            self.consumed += 1;
        }
        if self.consumed != before {
            self.publish();
        }
        Ok(self.consumed - before)
    }

    /// Sets the share of transactions that the program pairs: one in
    /// `2^share_bits`.
    pub fn set_share(&self, share_bits: u32) {
        self.store(word::SHARE, u64::from(share_bits));
    }

    /// What the ring says of itself now.
    #[must_use]
    pub fn state(&self) -> RingState {
        let head = self.load(word::HEAD);
        RingState {
            produced: self.load(DELIVERED) + self.load(word::FURTHER),
            consumed: self.consumed,
            used_lines: head - self.tail,
            lines: ring::lines(self.geometry.chunks),
            level: self.load(word::LEVEL) as u8,
            oldest_ns: (head != self.tail)
                .then(|| self.record(self.tail).map(|record| record.time_ns()))
                .flatten(),
        }
    }

    fn publish(&self) {
        self.store(word::TAIL, self.tail);
    }

    /// The record at a position that the producer has published and this side
    /// has not freed yet.
    fn record(&self, position: u64) -> Option<Record<'_>> {
        let record = Record::parse(self.bytes(position)).ok()?;
        (record.position() == position as u32).then_some(record)
    }

    fn index(&self) -> u64 {
        self.hook.index() as u64 * self.geometry.cpus + self.cpu
    }

    /// The bytes of the record at a position, by the length that it states.
    fn bytes(&self, position: u64) -> &[u8] {
        let chunks = self.geometry.chunks;
        let chunk = self.index() * chunks + ring::chunk(position, chunks);
        let at = chunk as usize * ring::CHUNK + ring::offset(position);
        // SAFETY: `chunk` is one of this ring's chunks and the offset that of a
        // line in it, so the address lies in the mapping.
        let start = unsafe { self.memory.chunks.as_ptr().add(at) };
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

    /// The kernel publishes `HEAD` with a release; this is the acquire.
    fn load(&self, word: usize) -> u64 {
        self.control(word)
            .load(std::sync::atomic::Ordering::Acquire)
    }

    fn store(&self, word: usize, value: u64) {
        self.control(word)
            .store(value, std::sync::atomic::Ordering::Release);
    }

    fn control(&self, word: usize) -> &std::sync::atomic::AtomicU64 {
        let at = self.index() as usize * ring::BLOCK + word;
        // SAFETY: `at` is the offset of one of the words of this ring's block, so
        // the address lies in the mapping.
        let word = unsafe { self.memory.blocks.as_mut_ptr().add(at) };
        // SAFETY: aligned, as ring and word offsets are multiples of 8; valid
        // as long as `self`; and all access from this side is atomic.
        unsafe { std::sync::atomic::AtomicU64::from_ptr(word.cast()) }
    }
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
