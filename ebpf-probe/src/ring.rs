//! The producer's side of the rings: the one door to their memory.
//!
//! The layout and the arithmetic are in [`dns_wire::ring`].

use core::{arch::asm, ffi::c_void, hint::black_box};

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns, bpf_loop};
use dns_wire::{
    counters::Delivery,
    locate::{Payload, Transport},
    message::Message,
    observe::{Context, Finding},
    packet::{NAME_AT, NameArea, Packet},
    record::{self, HEAD, HEAD_WORDS, MAX_LINES, MAX_SEGMENT, Stamp},
    ring::{self, word},
};

use crate::{
    frame::{self, Frame},
    maps::{self, Block},
};

/// Most records that one payload takes: 64 KiB of octets.
const MAX_PARTS: usize = 65_536 / MAX_SEGMENT + 1;

/// The ring of this CPU and hook, held for one packet.
#[derive(Clone, Copy)]
struct Ring {
    block: Block,
}

/// Room for one packet's records, and how they are chosen.
struct Place {
    position: u64,
    hash: u32,
    level: u8,
    share_bits: u8,
    paired: bool,
}

/// Hands a whole message on.
#[inline(always)]
pub fn message<P: Packet>(
    block: Block,
    packet: &P,
    context: impl Fn() -> Context,
    message: &Message,
    seed: u64,
) -> Delivery {
    let hash = hash(&context(), message, seed);
    let lines = record::lines(message.question.name_len) as u64;
    let ring = match Ring::hold(block) {
        Ok(ring) => ring,
        Err(delivery) => return delivery,
    };
    let delivery = match ring.reserve(&context(), hash, lines) {
        Ok(place) => ring.write_message(packet, &context, message, &place),
        Err(delivery) => delivery,
    };
    ring.let_go();
    delivery
}

/// The number of the message's transaction, or of its connection.
#[inline(always)]
pub fn hash(context: &Context, message: &Message, seed: u64) -> u32 {
    let id = match context.flow.transport {
        Transport::Udp => message.header.id(),
        Transport::Tcp => 0,
    };
    context.flow.hash(id, seed)
}

/// Nanoseconds of `CLOCK_MONOTONIC`: precise ones for what is paired, for TCP and
/// for raw octets, coarse ones for the rest. The coarse clock moves once per tick,
/// and the tick is read without a call, so the clock is asked only when the tick is
/// another.
#[inline(always)]
pub fn time_ns(precise: bool, block: &Block) -> u64 {
    if precise {
        // SAFETY: the helper has no preconditions.
        return unsafe { bpf_ktime_get_ns() };
    }
    // SAFETY: the helper has no preconditions.
    let tick = unsafe { bpf_jiffies64() };
    if tick == block.load(word::TICK) {
        return block.load(word::TICK_NS);
    }
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    block.store(word::TICK, tick);
    block.store(word::TICK_NS, now);
    now
}

/// Hands a payload's octets on, in as many records as they take, one behind the
/// other, or not at all.
#[inline(always)]
pub fn raw<C: frame::Context>(
    block: Block,
    frame: &Frame<'_, C>,
    context: &Context,
    payload: &Payload,
    finding: Finding,
    seed: u64,
) -> Delivery {
    let parts = payload.len.div_ceil(MAX_SEGMENT) as u64;
    let id = match context.flow.transport {
        Transport::Udp => finding.id(),
        Transport::Tcp => 0,
    };
    let hash = context.flow.hash(id, seed);
    let ring = match Ring::hold(block) {
        Ok(ring) => ring,
        Err(delivery) => return delivery,
    };
    let delivery = match ring.reserve(context, hash, parts * MAX_LINES as u64) {
        Ok(place) => ring.write_raw(frame, context, payload, finding, &place),
        Err(delivery) => delivery,
    };
    ring.let_go();
    delivery
}

impl Ring {
    /// The ring of this CPU, unless a run that this one interrupted is in the
    /// midst of it.
    #[inline(always)]
    fn hold(block: Block) -> Result<Self, Delivery> {
        if block.load(word::BUSY) != 0 {
            return Err(Delivery::Reentered);
        }
        block.store(word::BUSY, 1);
        Ok(Self { block })
    }

    #[inline(always)]
    fn let_go(&self) {
        self.block.store(word::BUSY, 0);
    }

    #[inline(always)]
    fn write_message<P: Packet>(
        &self,
        packet: &P,
        context: impl Fn() -> Context,
        message: &Message,
        place: &Place,
    ) -> Delivery {
        let question = &message.question;
        let Some(at) = self.record(place.position) else {
            return Delivery::RingFull;
        };
        // The area begins within the head, which is written afterwards.
        // SAFETY: a record has room for a head and the longest name, and a
        // chunk ends in slack of one largest record.
        let area = unsafe { &mut *at.add(HEAD - NAME_AT).cast::<NameArea>() };
        packet.copy_name(question.name_at, question.name_len, area);
        let context = context();
        // The segments of a connection that come by several CPUs are put in order
        // by their times.
        let precise = place.paired || context.flow.transport == Transport::Tcp;
        let head = record::message_head(&context, message, &self.stamp(place, precise));
        // SAFETY: `at` is the start of a record of at least two lines.
        unsafe { at.cast::<[u64; HEAD_WORDS]>().write(head) };
        let lines = record::lines(question.name_len) as u64;
        self.publish(ring::advance(place.position, lines), 0);
        Delivery::Delivered
    }

    /// The parts are written in a loop of the kernel's: the verifier looks at
    /// its body once, not once for each of 46 turns on each way that leads here.
    #[inline(always)]
    fn write_raw<C: frame::Context>(
        &self,
        frame: &Frame<'_, C>,
        context: &Context,
        payload: &Payload,
        finding: Finding,
        place: &Place,
    ) -> Delivery {
        let head = record::raw_head(context, payload, finding, &self.stamp(place, true));
        // SAFETY: nobody else uses the scratch while the ring is held.
        unsafe { self.block.scratch().write(head) };
        let mut parts = Parts {
            ring: *self,
            context: frame.context(),
            at: payload.at as u32,
            len: payload.len as u32,
            position: place.position,
            written: 0,
        };
        // SAFETY: the callback has the signature that the helper demands, and
        // `parts` outlives the call.
        unsafe {
            bpf_loop(
                MAX_PARTS as u32,
                write_part::<C> as *mut c_void,
                (&raw mut parts).cast(),
                0,
            );
        }
        if parts.written < parts.len {
            return Delivery::Unreadable;
        }
        // At once: the reader finds all of them, or none.
        let records = payload.len.div_ceil(MAX_SEGMENT) as u64;
        self.publish(parts.position, records - 1);
        Delivery::Delivered
    }

    #[inline(always)]
    fn stamp(&self, place: &Place, precise: bool) -> Stamp {
        Stamp {
            time_ns: time_ns(precise, &self.block),
            position: place.position as u32,
            level: place.level,
            share_bits: place.share_bits,
            paired: place.paired,
            hash: place.hash,
        }
    }

    /// Room for `lines` lines at the head, if the packet is one to be kept.
    #[inline(always)]
    fn reserve(&self, context: &Context, hash: u32, lines: u64) -> Result<Place, Delivery> {
        let [_, chunks] = *maps::rings();
        let capacity = ring::lines(chunks);
        let position = self.block.load(word::HEAD);
        let wishes = self.block.load(word::WISHES);
        let paired = ring::wants_paired(wishes, hash);
        let mut level = ring::floor(wishes);
        let needed = position + lines;
        if needed - self.block.load(word::TAIL_SEEN) >= capacity / 2 {
            // From here on the level depends on it: a stale tail would let an
            // idle ring look half full, and sample.
            let tail = self.block.load(word::TAIL);
            self.block.store(word::TAIL_SEEN, tail);
            let used = needed - tail;
            level = level.max(ring::level(used, capacity));
            // A record may skip to the next chunk, but never more than it is long.
            if used > capacity {
                self.block.store(word::LEVEL, u64::from(level));
                self.sample(context, hash, level, paired)?;
                return Err(Delivery::RingFull);
            }
        }
        self.block.store(word::LEVEL, u64::from(level));
        self.sample(context, hash, level, paired)?;
        Ok(Place {
            position,
            hash,
            level,
            share_bits: ring::share_bits(wishes),
            paired,
        })
    }

    /// Leaves out what the level asks for. What is paired, and every TCP
    /// connection, is kept or left out as a whole; of the rest one in 2^level is
    /// drawn.
    #[inline(always)]
    fn sample(
        &self,
        context: &Context,
        hash: u32,
        level: u8,
        paired: bool,
    ) -> Result<(), Delivery> {
        if level == 0 {
            return Ok(());
        }
        let is_kept = if paired || context.flow.transport == Transport::Tcp {
            record::is_kept(hash, level)
        } else {
            let drawn = ring::draw(self.block.load(word::DRAWN), hash);
            self.block.store(word::DRAWN, drawn);
            ring::is_drawn(drawn, level)
        };
        if is_kept {
            Ok(())
        } else {
            Err(Delivery::SampledOut)
        }
    }

    /// Where the record at `position` starts.
    #[inline(always)]
    fn record(&self, position: u64) -> Option<*mut u8> {
        let [_, chunks] = *maps::rings();
        let chunk = self.block.index * chunks + ring::chunk(position, chunks);
        let start = maps::CHUNKS.get_ptr_mut(chunk as u32)?;
        // SAFETY: an offset of a line within the chunk.
        Some(unsafe { start.cast::<u8>().add(ring::offset(position)) })
    }

    /// Makes what was written visible, then the head.
    #[inline(always)]
    fn publish(&self, head: u64, further: u64) {
        if further != 0 {
            let before = self.block.load(word::FURTHER);
            self.block.store(word::FURTHER, before + further);
        }
        release();
        self.block.store(word::HEAD, head);
    }
}

/// A payload on its way into the ring.
struct Parts<'a, C> {
    ring: Ring,
    context: &'a C,
    /// Where the payload is, and its octets.
    at: u32,
    len: u32,
    /// Where the next record goes.
    position: u64,
    /// Octets written.
    written: u32,
}

/// Writes the next part; tells the helper whether to stop.
extern "C" fn write_part<C: frame::Context>(_: u32, parts: *mut Parts<'_, C>) -> i64 {
    const GO_ON: i64 = 0;
    const STOP: i64 = 1;
    // SAFETY: the helper hands on the pointer that it was given.
    let parts = unsafe { &mut *parts };
    let offset = parts.written;
    if offset >= parts.len {
        return STOP;
    }
    let Some(at) = parts.ring.record(parts.position) else {
        return STOP;
    };
    let left = parts.len - offset;
    let len = copy_part(parts.context, parts.at + offset, left as usize, at);
    if len == 0 {
        return STOP;
    }
    // SAFETY: `at` is the start of a record of at least two lines.
    let head = unsafe { &mut *at.cast::<[u64; HEAD_WORDS]>() };
    let common = parts.ring.block.scratch().cast::<u64>();
    for (index, word) in head.iter_mut().enumerate() {
        // Word by word: the compiler would call `memmove`, one frame more on the
        // stack.
        // SAFETY: what the heads have in common was put there.
        *word = unsafe { common.add(index).read_volatile() };
    }
    record::complete_raw_head(head, offset as usize, len, parts.position as u32);
    let lines = record::lines(len) as u64;
    parts.position = ring::advance(parts.position, lines);
    parts.written = offset + len as u32;
    GO_ON
}

/// Copies up to [`MAX_SEGMENT`] octets behind the head of the record at `to`,
/// and tells how many.
#[inline(always)]
fn copy_part<C: frame::Context>(context: &C, from: u32, left: usize, to: *mut u8) -> usize {
    // The verifier must see the bounds on the value that the helper gets.
    let len = black_box(left.min(MAX_SEGMENT)) & 0x7ff;
    if len == 0 || len > MAX_SEGMENT {
        return 0;
    }
    // SAFETY: the record has `HEAD + MAX_SEGMENT` octets.
    let to: *mut c_void = unsafe { to.add(HEAD).cast() };
    // SAFETY: as above.
    let copied = unsafe { context.load_bytes(from, to, len as u32) };
    if copied { len } else { 0 }
}

/// Orders the writes of a record before the write of the head that covers it.
#[inline(always)]
fn release() {
    if cfg!(bpf_target_arch = "x86_64") {
        // x86 keeps stores in order; only the compiler must.
        // SAFETY: no instruction at all.
        unsafe { asm!("", options(nostack, preserves_flags)) }
    } else {
        // A value-returning atomic is a full barrier (kernel's
        // Documentation/atomic_t.txt), on every architecture.
        let mut word = 0_u64;
        // SAFETY: an exchange with a word of our own.
        unsafe {
            core::intrinsics::atomic_xchg::<u64, { core::intrinsics::AtomicOrdering::SeqCst }>(
                &raw mut word,
                1,
            )
        };
    }
}
