//! Connects the parser with the kernel's counters and rings.

use aya_ebpf::{btf_maps::lpm_trie::Key, helpers::bpf_ktime_get_ns};
use dns_wire::{
    Settings,
    counters::{Count as _, Delivery, Hook, Outcome},
    handshake::SynAck,
    locate::{self, Family, Layers, Link, Located, Payload, locate},
    message::Message,
    observe::{Context, Finding, Host, raw_context},
    packet::Packet,
    ring::word,
    tally::Tally,
};

use crate::{
    call,
    frame::{self, Frame, Window},
    maps::{self, Block},
    ring,
};

/// One run of a program.
pub struct Run<'a, C> {
    frame: &'a Frame<'a, C>,
    block: Block,
}

/// Sees the packet.
#[inline(always)]
pub fn observe<C: frame::Context>(context: &C) {
    if let Some(block) = Block::of(C::HOOK) {
        let frame = Frame::of(context);
        let mut run = Run::new(&frame, block);
        let settings = maps::settings();
        let outcome = dns_wire::observe(&frame, Link::Ethernet, C::HOOK, settings, &mut run);
        trace(context, outcome);
    }
}

/// Finds the payload, on the far side of the call.
#[inline(always)]
pub fn find<C: frame::Context>(frame: &Frame<'_, C>) -> u64 {
    let (layers, located) = locate(frame, Link::Ethernet, maps::settings());
    let [first, second, third] = locate::pack(&layers, &located);
    if let Some(block) = Block::of(C::HOOK) {
        block.store(word::LOCATED, second);
        block.store(word::LOCATED + 8, third);
    }
    first
}

/// Sees the payload, on the far side of the call.
#[inline(always)]
pub fn observe_payload<C: frame::Context>(
    frame: Frame<'_, C>,
    payload: impl Fn() -> Payload,
) -> Finding {
    let Some(block) = Block::of(C::HOOK) else {
        return Finding::REJECTED;
    };
    let mut run = Run::new(&frame, block);
    let settings = maps::settings();
    dns_wire::observe::observe_payload(&frame, payload, C::HOOK, settings, &mut run)
}

/// Sees the segment without payload, on the far side of the call.
#[inline(always)]
pub fn observe_control<C: frame::Context>(frame: Frame<'_, C>, control: &Payload) {
    if let Some(block) = Block::of(C::HOOK) {
        let mut run = Run::new(&frame, block);
        let settings = maps::settings();
        dns_wire::observe::observe_control(&frame, control, C::HOOK, settings, &mut run);
    }
}

/// Hands the octets on, on the far side of the call, and counts the delivery.
#[inline(always)]
pub fn hand_on_raw<C: frame::Context>(
    frame: Frame<'_, C>,
    payload: &Payload,
    finding: Finding,
) -> Delivery {
    let Some(block) = Block::of(C::HOOK) else {
        return Delivery::Unreadable;
    };
    let mut run = Run::new(&frame, block);
    let settings = maps::settings();
    let delivery = if settings.counts_only() {
        Delivery::CountOnly
    } else {
        match raw_context(&frame, payload, finding, C::HOOK, settings, &mut run) {
            Ok(context) => ring::raw(block, &frame, &context, payload, finding, settings.seed()),
            Err(_) => Delivery::Unreadable,
        }
    };
    run.counters().delivery(delivery);
    delivery
}

impl<'a, C> Run<'a, C> {
    /// The run of a program on this frame.
    #[inline(always)]
    pub fn new(frame: &'a Frame<'a, C>, block: Block) -> Self {
        Self { frame, block }
    }
}

impl<C: frame::Context> Host for Run<'_, C> {
    type Counts = Tally;

    #[inline(always)]
    fn counters(&mut self) -> &mut Tally {
        self.block.tally()
    }

    #[inline(always)]
    fn is_service_address(&mut self, family: Family, address: [u64; 2]) -> bool {
        let [high, low] = match family {
            Family::Ipv6 => address,
            // RFC 4291, section 2.5.5.2: IPv4-mapped.
            Family::Ipv4 | Family::Other => [0, 0xffff_u64 << 16 | address[0] << 32],
        };
        let key = Key::new(128, octets(high, low));
        maps::SERVICE.get(&key).is_some()
    }

    #[inline(always)]
    fn locate<P: Packet>(&mut self, _: &P, _: Link, _: Hook, _: &Settings) -> (Layers, Located) {
        let first = call::result(self.frame.context().locate()) as u64;
        let second = self.block.load(word::LOCATED);
        let third = self.block.load(word::LOCATED + 8);
        locate::unpack([first, second, third])
    }

    #[inline(always)]
    fn payload<P: Packet>(&mut self, _: &P, payload: &Payload, _: Hook, _: &Settings) -> Finding {
        let [where_, what] = payload.pack();
        let context = self.frame.context();
        let finding = context.payload(payload.transport, where_, what);
        Finding::unpack(call::result(finding) as u64)
    }

    #[inline(always)]
    fn control<P: Packet>(&mut self, _: &P, control: &Payload, _: Hook, _: &Settings) -> Outcome {
        let [where_, what] = control.pack();
        self.frame.context().control(where_, what);
        Outcome::NotDns
    }

    #[inline(always)]
    fn handshake_begins(&mut self, connection: u64, ack: u32) {
        // SAFETY: nobody keeps the value.
        let before = unsafe { maps::HANDSHAKES.get(connection) }.copied();
        // SAFETY: the helper has no preconditions.
        let now = unsafe { bpf_ktime_get_ns() };
        let sent = SynAck::new(now, ack, before.as_ref());
        // Where there is no room the handshake goes untimed.
        let _ = maps::HANDSHAKES.insert(connection, sent, 0);
    }

    #[inline(always)]
    fn handshake_ends(&mut self, connection: u64, ack: u32) -> Option<u64> {
        // SAFETY: copied before anything else is done with the map.
        let sent = *unsafe { maps::HANDSHAKES.get(connection) }?;
        if !sent.is_acknowledged(ack) {
            return None;
        }
        let _ = maps::HANDSHAKES.remove(connection);
        // SAFETY: the helper has no preconditions.
        sent.round_trip_ns(unsafe { bpf_ktime_get_ns() })
    }

    type Window = Window;

    #[inline(always)]
    fn window(&mut self, payload: &Payload) -> Option<Window> {
        Window::copy(self.frame, payload.at, payload.len)
    }

    #[inline(always)]
    fn message<P: Packet>(
        &mut self,
        packet: &P,
        context: impl Fn() -> Context,
        message: &Message,
    ) -> Delivery {
        if maps::settings().counts_only() {
            return Delivery::CountOnly;
        }
        ring::message(
            self.block,
            packet,
            context,
            message,
            maps::settings().seed(),
        )
    }

    #[inline(always)]
    fn raw<P: Packet>(
        &mut self,
        _: &P,
        payload: &Payload,
        finding: Finding,
        _: Hook,
        _: &Settings,
    ) {
        let [where_, what] = payload.pack();
        self.frame.context().raw(where_, what, finding);
    }
}

#[inline(always)]
fn octets(high: u64, low: u64) -> [u8; 16] {
    // SAFETY: two words are sixteen octets.
    unsafe { core::mem::transmute([high, low]) }
}

#[cfg(feature = "trace")]
#[inline(always)]
fn trace<C: frame::Context>(context: &C, outcome: Outcome) {
    call::trace(
        C::HOOK.index() as u64,
        outcome.index() as u64,
        context.full_len() as u64,
    );
}

#[cfg(not(feature = "trace"))]
#[inline(always)]
fn trace<C: frame::Context>(_: &C, _: Outcome) {}
