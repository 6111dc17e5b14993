//! Connects the parser with the kernel's counters and rings.

use aya_ebpf::btf_maps::lpm_trie::Key;
use dns_wire::{
    Settings,
    counters::{Counters, Delivery, Hook, Outcome},
    locate::{Family, Flow, Link, Payload},
    message::Message,
    observe::{Context, Host},
};

use crate::{
    frame::{self, Frame},
    maps, ring,
};

/// One run of a program.
struct Run<'a, C> {
    frame: &'a Frame<'a, C>,
    counters: &'a mut Counters,
    settings: Settings,
}

/// Sees the packet.
#[inline(always)]
pub fn observe<C: frame::Context>(frame: &Frame<'_, C>, hook: Hook) {
    let Some(counters) = maps::COUNTERS.get_ptr_mut(hook.index() as u32) else {
        return;
    };
    let settings = maps::settings();
    let mut run = Run {
        frame,
        // SAFETY: the array belongs to this CPU and hook; `Counters` is a
        // transparent array of its cells.
        counters: unsafe { &mut *counters.cast::<Counters>() },
        settings,
    };
    let outcome = dns_wire::observe(frame, Link::Ethernet, hook, &settings, &mut run);
    trace(frame, hook, outcome);
}

impl<C: frame::Context> Host for Run<'_, C> {
    #[inline(always)]
    fn counters(&mut self) -> &mut Counters {
        self.counters
    }

    #[inline(always)]
    fn is_service_address(&mut self, flow: &Flow, address: [u64; 2]) -> bool {
        let [high, low] = match flow.family {
            Family::Ipv6 => address,
            // RFC 4291, section 2.5.5.2: IPv4-mapped.
            Family::Ipv4 | Family::Other => [0, 0xffff_u64 << 16 | address[0] << 32],
        };
        let key = Key::new(128, octets(high, low));
        maps::SERVICE.get(&key).is_some()
    }

    #[inline(always)]
    fn message(&mut self, context: &Context, message: &Message) -> Delivery {
        if self.settings.counts_only() {
            return Delivery::CountOnly;
        }
        ring::message(self.frame, context, message, self.settings.seed())
    }

    #[inline(always)]
    fn segment(&mut self, context: &Context, payload: &Payload) -> Delivery {
        if self.settings.counts_only() {
            return Delivery::CountOnly;
        }
        ring::segment(self.frame, context, payload, self.settings.seed())
    }
}

#[inline(always)]
fn octets(high: u64, low: u64) -> [u8; 16] {
    // SAFETY: two words are sixteen octets.
    unsafe { core::mem::transmute([high, low]) }
}

#[cfg(feature = "trace")]
#[inline(always)]
fn trace<C: frame::Context>(frame: &Frame<'_, C>, hook: Hook, outcome: Outcome) {
    use dns_wire::Packet as _;
    aya_log_ebpf::info!(
        frame.context(),
        "{} {}: {} octets",
        hook.label(),
        outcome.label(),
        frame.wire_len()
    );
}

#[cfg(not(feature = "trace"))]
#[inline(always)]
fn trace<C: frame::Context>(_: &Frame<'_, C>, _: Hook, _: Outcome) {}
