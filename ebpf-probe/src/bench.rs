//! Programs that the real ones are compared with: empty ones; two that hand the
//! same records on through the kernel's own ring buffer, one per CPU; and one that
//! builds the records and hands none on.
//!
//! The two differ in how a record gets there: built in place in reserved room,
//! which the verifier wants to have a constant size, or built aside and copied.
//! Everything before that is the code of the real programs.

use core::{ffi::c_void, hint::black_box, marker::PhantomData};

use aya_ebpf::{
    bindings::{BPF_RB_NO_WAKEUP, xdp_action::XDP_PASS, xdp_md},
    btf_maps::{ArrayOfMaps, PerCpuArray, RingBuf},
    helpers::{
        bpf_get_smp_processor_id, bpf_ringbuf_output, bpf_ringbuf_reserve, bpf_ringbuf_submit,
    },
    macros::{btf_map, classifier, xdp},
    programs::{TcContext, XdpContext},
};
use dns_wire::{
    Settings,
    counters::{Delivery, Hook, Outcome},
    locate::{Family, Layers, Link, Located, Payload},
    message::Message,
    observe::{self, Context, Finding, Host},
    packet::{NAME_AT, NameArea, Packet, Part as _},
    record::{self, HEAD, HEAD_WORDS, LINE, Stamp},
    tally::Tally,
};

use crate::{
    PASS_ON, call,
    frame::{Frame, SHORT, Window, XdpIngress},
    host::Run,
    maps::{self, Block},
    ring,
};

/// Octets of each ring buffer.
const RINGBUF: usize = 4 << 20;
/// Most lines of a message's record.
const LINES: usize = record::lines(dns_wire::message::MAX_NAME);
/// One transaction in eight gets the precise time.
const SHARE_BITS: u32 = 3;

/// A ring buffer per CPU. The loader sets the number and puts them in.
#[btf_map]
static RINGBUFS: ArrayOfMaps<RingBuf<u64, RINGBUF>, 1> = ArrayOfMaps::new();

/// Where a record is built before it is copied.
#[btf_map]
static SCRATCH: PerCpuArray<[u64; LINES * LINE / 8], 1> = PerCpuArray::new();

/// What XDP costs by itself.
#[xdp(frags)]
pub fn bench_empty(_: XdpContext) -> u32 {
    XDP_PASS
}

/// What TC costs by itself.
#[classifier]
pub fn bench_empty_tc(_: TcContext) -> i32 {
    PASS_ON
}

/// `xdp_ingress` with records built in place in a ring buffer.
#[xdp(frags)]
#[inline(always)]
pub fn bench_reserve(context: XdpContext) -> u32 {
    observe::<Reserve>(&XdpIngress(context));
    XDP_PASS
}

/// `xdp_ingress` with records copied into a ring buffer.
#[xdp(frags)]
#[inline(always)]
pub fn bench_output(context: XdpContext) -> u32 {
    observe::<Output>(&XdpIngress(context));
    XDP_PASS
}

/// `xdp_ingress` with records that are built, and nothing more.
#[xdp(frags)]
#[inline(always)]
pub fn bench_build(context: XdpContext) -> u32 {
    observe::<Build>(&XdpIngress(context));
    XDP_PASS
}

/// How a record gets into the ring buffer.
trait Way {
    /// The global function that sees a payload.
    fn payload(context: *mut xdp_md, where_: u64, what: u64) -> u64;

    /// Hands the record on; whether there was room.
    fn hand_on<P: Packet>(packet: &P, name: (usize, usize), head: [u64; HEAD_WORDS]) -> Option<()>;
}

struct Reserve;
struct Output;
struct Build;

#[inline(always)]
fn observe<W: Way>(context: &XdpIngress) {
    if let Some(block) = Block::of(Hook::Ingress) {
        let frame = Frame::of(context);
        let mut host = Baseline::<W>::new(&frame, block);
        dns_wire::observe(
            &frame,
            Link::Ethernet,
            Hook::Ingress,
            maps::settings(),
            &mut host,
        );
    }
}

/// The real programs' host with another way out.
struct Baseline<'a, W> {
    run: Run<'a, XdpIngress>,
    block: Block,
    context: *mut xdp_md,
    way: PhantomData<W>,
}

impl<'a, W> Baseline<'a, W> {
    #[inline(always)]
    fn new(frame: &'a Frame<'a, XdpIngress>, block: Block) -> Self {
        Self {
            run: Run::new(frame, block),
            block,
            context: frame.context().pointer(),
            way: PhantomData,
        }
    }
}

impl<W: Way> Host for Baseline<'_, W> {
    type Counts = Tally;

    #[inline(always)]
    fn counters(&mut self) -> &mut Tally {
        self.run.counters()
    }

    #[inline(always)]
    fn is_service_address(&mut self, family: Family, address: [u64; 2]) -> bool {
        self.run.is_service_address(family, address)
    }

    #[inline(always)]
    fn locate<P: Packet>(
        &mut self,
        packet: &P,
        link: Link,
        hook: Hook,
        settings: &Settings,
    ) -> (Layers, Located) {
        self.run.locate(packet, link, hook, settings)
    }

    #[inline(always)]
    fn payload<P: Packet>(&mut self, _: &P, payload: &Payload, _: Hook, _: &Settings) -> Finding {
        let [where_, what] = payload.pack();
        let finding = W::payload(self.context, where_, what);
        Finding::unpack(call::result(finding) as u64)
    }

    /// Not compared.
    #[inline(always)]
    fn control<P: Packet>(&mut self, _: &P, _: &Payload, _: Hook, _: &Settings) -> Outcome {
        Outcome::NotDns
    }

    #[inline(always)]
    fn handshake_begins(&mut self, _: u64, _: u32) {}

    #[inline(always)]
    fn handshake_ends(&mut self, _: u64, _: u32) -> Option<u64> {
        None
    }

    type Window = Window;

    #[inline(always)]
    fn window(&mut self, payload: &Payload) -> Option<Window> {
        self.run.window(payload)
    }

    #[inline(always)]
    fn message<P: Packet>(
        &mut self,
        packet: &P,
        context: impl Fn() -> Context,
        message: &Message,
    ) -> Delivery {
        let hash = ring::hash(&context(), message, maps::settings().seed());
        let paired = record::is_paired(hash, SHARE_BITS);
        let stamp = Stamp {
            time_ns: ring::time_ns(paired, &self.block),
            position: 0,
            level: 0,
            share_bits: 0,
            paired,
            hash,
        };
        let head = record::message_head(&context(), message, &stamp);
        let name = (message.question.name_at, message.question.name_len);
        match W::hand_on(packet, name, head) {
            Some(()) => Delivery::Delivered,
            None => Delivery::RingFull,
        }
    }

    /// Not compared.
    #[inline(always)]
    fn raw<P: Packet>(&mut self, _: &P, _: &Payload, _: Finding, _: Hook, _: &Settings) {}
}

#[inline(always)]
fn see_payload<W: Way>(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
    let payload = Payload::unpack([where_, what]);
    let context = XdpIngress::new(context);
    let Some(block) = Block::of(Hook::Ingress) else {
        return Finding::REJECTED.pack();
    };
    let frame = Frame::of(&context);
    let mut host = Baseline::<W>::new(&frame, block);
    let settings = maps::settings();
    observe::observe_payload(&frame, || payload, Hook::Ingress, settings, &mut host).pack()
}

/// Sees the payload, and reserves.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn reserve_payload(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
    see_payload::<Reserve>(context, where_, what)
}

/// Sees the payload, and copies.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn output_payload(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
    see_payload::<Output>(context, where_, what)
}

/// Sees the payload, and builds.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn build_payload(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
    see_payload::<Build>(context, where_, what)
}

/// The ring buffer of this CPU.
#[inline(always)]
fn ring_buffer() -> Option<*mut c_void> {
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let ring = RINGBUFS.get(cpu)?;
    Some(core::ptr::from_ref(ring).cast_mut().cast())
}

/// Fills reserved room of `N` octets: a record of the longest name or of one of
/// up to 40 octets.
///
/// # Safety
/// - `room` points to `N` octets.
#[inline(always)]
unsafe fn fill<const N: usize, P: Packet>(
    packet: &P,
    (name_at, name_len): (usize, usize),
    head: [u64; HEAD_WORDS],
    room: *mut u8,
) {
    if N > 2 * LINE {
        // SAFETY: six lines have room for a head and the longest name.
        let area = unsafe { &mut *room.add(HEAD - NAME_AT).cast::<NameArea>() };
        packet.copy_name(name_at, name_len, area);
    } else {
        // SAFETY: behind the head are 40 octets.
        unsafe { copy_short_name(packet, name_at, name_len, room.add(HEAD)) };
    }
    // SAFETY: room for a head is there.
    unsafe { room.cast::<[u64; HEAD_WORDS]>().write(head) };
}

/// Copies all that there is room for, by one check as the real programs do: the
/// reader finds the name's end.
///
/// # Safety
/// - `to` points to 40 octets.
#[inline(always)]
unsafe fn copy_short_name<P: Packet>(packet: &P, from: usize, len: usize, to: *mut u8) {
    if let Some(part) = packet.part::<SHORT>(from) {
        for word in 0..SHORT / 8 {
            // SAFETY: there is room for so many words.
            unsafe { write_word(to, word, part.get(word * 8)) };
        }
        return;
    }
    for word in 0..SHORT / 8 {
        if word * 8 >= len {
            break;
        }
        let octets = packet.read(from + word * 8).unwrap_or_default();
        // SAFETY: there is room for so many words.
        unsafe { write_word(to, word, octets) };
    }
}

/// # Safety
/// - At `to` there is room for the word of that number.
#[inline(always)]
unsafe fn write_word(to: *mut u8, word: usize, octets: [u8; 8]) {
    // SAFETY: by the caller's word.
    let to = unsafe { to.add(word * 8) };
    // SAFETY: as above; records are aligned as lines are, and heads whole words.
    unsafe { to.cast::<u64>().write(u64::from_ne_bytes(octets)) };
}

/// Reserves, fills and submits.
///
/// # Safety
/// - `ring` is a ring buffer map.
#[inline(always)]
unsafe fn reserve<const N: usize, P: Packet>(
    packet: &P,
    name: (usize, usize),
    head: [u64; HEAD_WORDS],
    ring: *mut c_void,
) -> Option<()> {
    // SAFETY: `ring` is a ring buffer.
    let room = unsafe { bpf_ringbuf_reserve(ring, N as u64, 0) };
    if room.is_null() {
        return None;
    }
    // SAFETY: `N` octets were reserved.
    unsafe { fill::<N, P>(packet, name, head, room.cast()) };
    // SAFETY: what was reserved is submitted once.
    unsafe { bpf_ringbuf_submit(room, u64::from(BPF_RB_NO_WAKEUP)) };
    Some(())
}

impl Way for Reserve {
    #[inline(always)]
    fn payload(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
        reserve_payload(context, where_, what)
    }

    #[inline(always)]
    fn hand_on<P: Packet>(packet: &P, name: (usize, usize), head: [u64; HEAD_WORDS]) -> Option<()> {
        let ring = ring_buffer()?;
        if record::lines(name.1) <= 2 {
            // SAFETY: that is a ring buffer.
            unsafe { reserve::<{ 2 * LINE }, P>(packet, name, head, ring) }
        } else {
            // SAFETY: as above.
            unsafe { reserve::<{ LINES * LINE }, P>(packet, name, head, ring) }
        }
    }
}

impl Way for Output {
    #[inline(always)]
    fn payload(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
        output_payload(context, where_, what)
    }

    #[inline(always)]
    fn hand_on<P: Packet>(packet: &P, name: (usize, usize), head: [u64; HEAD_WORDS]) -> Option<()> {
        let ring = ring_buffer()?;
        let scratch = SCRATCH.get_ptr_mut(0)?.cast::<u8>();
        // SAFETY: the scratch has six lines.
        unsafe { fill::<{ LINES * LINE }, P>(packet, name, head, scratch) };
        // The verifier must see the bounds on the value that the helper gets.
        let size = black_box(record::lines(name.1) * LINE) & 0x1ff;
        if size == 0 || size > LINES * LINE {
            return None;
        }
        // SAFETY: `ring` is a ring buffer, and the scratch has `size` octets.
        let result = unsafe {
            bpf_ringbuf_output(
                ring,
                scratch.cast(),
                size as u64,
                u64::from(BPF_RB_NO_WAKEUP),
            )
        };
        (result == 0).then_some(())
    }
}

impl Way for Build {
    #[inline(always)]
    fn payload(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
        build_payload(context, where_, what)
    }

    #[inline(always)]
    fn hand_on<P: Packet>(packet: &P, name: (usize, usize), head: [u64; HEAD_WORDS]) -> Option<()> {
        let scratch = SCRATCH.get_ptr_mut(0)?.cast::<u8>();
        // SAFETY: the scratch has six lines.
        unsafe { fill::<{ 2 * LINE }, P>(packet, name, head, scratch) };
        Some(())
    }
}
