//! The global functions of the programs.
//!
//! The verifier checks a global function once and by itself. Inlined, the
//! parsing of a message, and the loop of 128 turns in it, would be checked again
//! on each of the many ways that lead there through the layers below. That is
//! why arguments and results are plain numbers here.

use core::arch::asm;

use aya_ebpf::bindings::{__sk_buff, xdp_md};
#[cfg(feature = "trace")]
use dns_wire::counters::{Hook, Outcome};
use dns_wire::{
    Packet,
    locate::{self, Chain, Payload, Transport},
    message::{self, MAX_NAME},
    observe::Finding,
    packet::{NAME_AT, NameArea},
    reject::Reject,
};

use crate::{
    frame::{Frame, TcEgress, TcIngress, Window, XdpIngress},
    host::{find, hand_on_raw, observe_control, observe_payload},
};

/// Results above are errors: this plus the reason's index.
pub const ERROR: u64 = 0x100;

/// The result of a call as an index. The compiler looks into the function and
/// would leave a bounds check out; the verifier does not, and demands it.
#[inline(always)]
pub fn result(result: u64) -> usize {
    let mut index = result as usize;
    // SAFETY: a register onto itself. (No instruction at all would give two
    // source lines to the next one, which kernels refuse.)
    unsafe { asm!("{0} = {0}", inout(reg) index, options(pure, nomem, nostack)) };
    index
}

/// What a `name_fault` function says, or [`window_name_len`] of no name: only the
/// reasons that a name can be refused for.
#[inline(always)]
pub fn decode_fault(fault: u64) -> Reject {
    const CANDIDATES: [Reject; 4] = [
        Reject::NamePointer,
        Reject::NameLabelType,
        Reject::NameLength,
        Reject::NameTruncated,
    ];
    let index = (result(fault) as u64).wrapping_sub(ERROR);
    for candidate in CANDIDATES {
        if index == candidate.index() as u64 {
            return candidate;
        }
    }
    Reject::Snapped
}

/// What [`window_name_len`] says.
#[inline(always)]
pub fn decode(length: u64) -> Result<usize, Reject> {
    let length = result(length);
    if (length as u64) < ERROR {
        Ok(length)
    } else {
        Err(decode_fault(length as u64))
    }
}

#[inline(always)]
const fn encode_fault(reason: Reject) -> u64 {
    ERROR + reason.index() as u64
}

#[inline(always)]
fn name_fault<P: Packet>(packet: &P, at: u64, end: u64) -> u64 {
    encode_fault(message::name_fault(
        packet,
        at as usize & 0x7fff,
        end as usize,
    ))
}

/// Above a packed chain: it leads nowhere, or was not captured.
const BROKEN_CHAIN: u64 = 1 << 32;
const SNAPPED_CHAIN: u64 = 1 << 33;

#[inline(always)]
fn encode_chain<P: Packet>(packet: &P, protocol: u64, at: u64, end: u64) -> u64 {
    let (at, end) = (at as usize & 0x7fff, end as usize & 0x1_ffff);
    match locate::extensions(packet, protocol as u8, at, end) {
        Ok(chain) => chain.pack(),
        Err(Reject::Snapped) => SNAPPED_CHAIN,
        Err(_) => BROKEN_CHAIN,
    }
}

/// What an `extensions` function says.
#[inline(always)]
pub fn decode_chain(chain: u64) -> Result<Chain, Reject> {
    match result(chain) as u64 {
        BROKEN_CHAIN => Err(Reject::Ipv6Extensions),
        SNAPPED_CHAIN => Err(Reject::Snapped),
        chain => Ok(Chain::unpack(chain)),
    }
}

/// The payload of such words, as it is now: what comes of them must be found again
/// each time, as there is no room to keep it.
#[inline(always)]
fn unpacked(transport: Transport, mut where_: u64, mut what: u64) -> Payload {
    // SAFETY: registers onto themselves.
    unsafe {
        asm!("{0} = {0}", "{1} = {1}", inout(reg) where_, inout(reg) what, options(nomem, nostack))
    };
    Payload {
        transport,
        ..Payload::unpack([where_, what])
    }
}

/// What a program has functions of its own for.
pub trait Calls {
    /// Finds the payload; the first of the words that say what was found. The
    /// others are in the block.
    fn locate(&self) -> u64;

    /// Sees a packed payload; the finding.
    fn payload(&self, transport: Transport, where_: u64, what: u64) -> u64;

    /// Sees a packed segment without payload.
    fn control(&self, where_: u64, what: u64);

    /// Hands a packed payload's octets on, and counts the delivery.
    fn raw(&self, where_: u64, what: u64, finding: Finding);

    /// Follows the IPv6 extension headers.
    fn extensions(&self, protocol: u8, at: usize, end: usize) -> u64;

    /// Tells why a name is none.
    fn name_fault(&self, at: usize, end: usize) -> u64;

    /// Copies `len` octets at `from`.
    fn copy_name(&self, from: usize, len: usize, to: &mut NameArea);
}

/// The functions of a program: each exists for each program, so that hook and
/// kind of packet are constants in them.
macro_rules! calls {
    (
        $context:ident($raw:ty):
        $locate:ident $datagram:ident $stream:ident $control:ident $hand_on:ident
        $extensions:ident $name_fault:ident $copy_name:ident
    ) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $locate(context: *mut $raw) -> u64 {
            find(&Frame::of(&$context::new(context)))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $datagram(context: *mut $raw, where_: u64, what: u64) -> u64 {
            let payload = || unpacked(Transport::Udp, where_, what);
            observe_payload(Frame::of(&$context::new(context)), payload).pack()
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $stream(context: *mut $raw, where_: u64, what: u64) -> u64 {
            let payload = || unpacked(Transport::Tcp, where_, what);
            observe_payload(Frame::of(&$context::new(context)), payload).pack()
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $control(context: *mut $raw, where_: u64, what: u64) -> u64 {
            let control = Payload::unpack([where_, what]);
            observe_control(Frame::of(&$context::new(context)), &control);
            0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $hand_on(context: *mut $raw, where_: u64, what: u64, finding: u64) -> u64 {
            let payload = Payload::unpack([where_, what]);
            let finding = Finding::unpack(finding);
            let delivery = hand_on_raw(Frame::of(&$context::new(context)), &payload, finding);
            delivery.index() as u64
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $extensions(context: *mut $raw, protocol: u64, at: u64, end: u64) -> u64 {
            encode_chain(&Frame::of(&$context::new(context)), protocol, at, end)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name_fault(context: *mut $raw, at: u64, end: u64) -> u64 {
            name_fault(&Frame::of(&$context::new(context)), at, end)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $copy_name(
            context: *mut $raw,
            from: u64,
            len: u64,
            to: *mut NameArea,
        ) -> u64 {
            copy(&Frame::of(&$context::new(context)), from, len, to)
        }

        impl Calls for $context {
            #[inline(always)]
            fn locate(&self) -> u64 {
                $locate(self.pointer())
            }

            #[inline(always)]
            fn payload(&self, transport: Transport, where_: u64, what: u64) -> u64 {
                match transport {
                    Transport::Udp => $datagram(self.pointer(), where_, what),
                    Transport::Tcp => $stream(self.pointer(), where_, what),
                }
            }

            #[inline(always)]
            fn control(&self, where_: u64, what: u64) {
                $control(self.pointer(), where_, what);
            }

            #[inline(always)]
            fn raw(&self, where_: u64, what: u64, finding: Finding) {
                $hand_on(self.pointer(), where_, what, finding.pack());
            }

            #[inline(always)]
            fn extensions(&self, protocol: u8, at: usize, end: usize) -> u64 {
                $extensions(self.pointer(), u64::from(protocol), at as u64, end as u64)
            }

            #[inline(always)]
            fn name_fault(&self, at: usize, end: usize) -> u64 {
                $name_fault(self.pointer(), at as u64, end as u64)
            }

            #[inline(always)]
            fn copy_name(&self, from: usize, len: usize, to: &mut NameArea) {
                $copy_name(self.pointer(), from as u64, len as u64, to);
            }
        }
    };
}

calls! { XdpIngress(xdp_md):
    xdp_locate xdp_datagram xdp_stream xdp_control xdp_raw
    xdp_extensions xdp_name_fault xdp_copy_name
}
calls! { TcIngress(__sk_buff):
    tc_ingress_locate tc_ingress_datagram tc_ingress_stream tc_ingress_control tc_ingress_raw
    tc_ingress_extensions tc_ingress_name_fault tc_ingress_copy_name
}
calls! { TcEgress(__sk_buff):
    tc_egress_locate tc_egress_datagram tc_egress_stream tc_egress_control tc_egress_raw
    tc_egress_extensions tc_egress_name_fault tc_egress_copy_name
}

/// Length of a name in the window.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn window_name_len(at: u64, end: u64, len: u64) -> u64 {
    match Window::last(len as usize) {
        Some(window) => match message::name_len(&window, at as usize & 0x1ff, end as usize) {
            Ok(len) => len as u64,
            Err(reason) => encode_fault(reason),
        },
        None => ERROR,
    }
}

/// Copies a name from the window.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn window_copy_name(from: u64, len: u64, to: *mut NameArea) -> u64 {
    match Window::last(Window::SIZE) {
        Some(window) => copy(&window, from, len, to),
        None => 0,
    }
}

/// Copies word by word. The last word ends where the name ends; there is always
/// one to read, since a header of 12 octets precedes the name.
#[inline(always)]
fn copy<P: Packet>(packet: &P, from: u64, len: u64, to: *mut NameArea) -> u64 {
    let (from, len) = (from as usize, len as usize & 0xff);
    if to.is_null() || len == 0 {
        return 0;
    }
    for word in 0..MAX_NAME / 8 {
        if word * 8 + 8 > len {
            break;
        }
        copy_word(packet, from + word * 8, to, NAME_AT + word * 8);
    }
    copy_word(packet, (from + len).wrapping_sub(8), to, NAME_AT + len - 8);
    len as u64
}

#[inline(always)]
fn copy_word<P: Packet>(packet: &P, from: usize, to: *mut NameArea, at: usize) {
    if let Some(octets) = packet.read::<8>(from) {
        // SAFETY: `at` is at most 255, and the area has 8 octets more than that.
        unsafe {
            to.cast::<u8>()
                .add(at)
                .cast::<u64>()
                .write(u64::from_ne_bytes(octets));
        }
    }
}

/// Logs what a packet ended as: by itself, since the stack of the programs has
/// no room left for it.
#[cfg(feature = "trace")]
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn trace(hook: u64, outcome: u64, len: u64) -> u64 {
    let outcome = Outcome::from_index(result(outcome)).unwrap_or(Outcome::Rejected);
    let hook = Hook::from_index(result(hook)).unwrap_or(Hook::Ingress);
    aya_log_ebpf_macros::info!((), "{} {}: {} octets", hook.label(), outcome.label(), len);
    0
}
