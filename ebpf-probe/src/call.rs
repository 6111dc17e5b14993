//! The global functions of the programs.
//!
//! The verifier checks a global function once and by itself. Inlined, the
//! parsing of a message, and the loop of 128 turns in it, would be checked again
//! on each of the many ways that lead there through the layers below. That is
//! why arguments and results are plain numbers here.

use core::arch::asm;

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};
#[cfg(feature = "trace")]
use dns_wire::counters::Outcome;
use dns_wire::{
    Packet,
    counters::Hook,
    locate::{self, Chain, Payload, Transport},
    message::{self, MAX_NAME},
    observe::Finding,
    packet::{NAME_AT, NameArea},
    reject::Reject,
};

use crate::{
    frame::{Frame, Window},
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

/// Finds the payload in the frame of an XDP run; the first of the words that say
/// what was found. The others are in the block's scratch.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_locate(context: *mut xdp_md) -> u64 {
    let frame = XdpContext::new(context);
    find(&Frame::xdp(&frame), Hook::Ingress)
}

/// Finds the payload in the frame of a TC run, likewise.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_locate(context: *mut __sk_buff, hook: u64) -> u64 {
    let frame = TcContext::new(context);
    find(&Frame::tc(&frame), hook_of(hook))
}

/// Sees the payload of a datagram in the frame of an XDP run; the finding.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_datagram(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
    let payload = Payload {
        transport: Transport::Udp,
        ..Payload::unpack([where_, what])
    };
    let frame = XdpContext::new(context);
    observe_payload(Frame::xdp(&frame), &payload, Hook::Ingress).pack()
}

/// Sees the payload of a segment in the frame of an XDP run; the finding.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_stream(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
    let payload = Payload {
        transport: Transport::Tcp,
        ..Payload::unpack([where_, what])
    };
    let frame = XdpContext::new(context);
    observe_payload(Frame::xdp(&frame), &payload, Hook::Ingress).pack()
}

/// Sees the payload of a datagram in the frame of a TC run; the finding.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_datagram(context: *mut __sk_buff, where_: u64, what: u64, hook: u64) -> u64 {
    let payload = Payload {
        transport: Transport::Udp,
        ..Payload::unpack([where_, what])
    };
    let frame = TcContext::new(context);
    observe_payload(Frame::tc(&frame), &payload, hook_of(hook)).pack()
}

/// Sees the payload of a segment in the frame of a TC run; the finding.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_stream(context: *mut __sk_buff, where_: u64, what: u64, hook: u64) -> u64 {
    let payload = Payload {
        transport: Transport::Tcp,
        ..Payload::unpack([where_, what])
    };
    let frame = TcContext::new(context);
    observe_payload(Frame::tc(&frame), &payload, hook_of(hook)).pack()
}

/// Sees a TCP segment without payload in the frame of an XDP run.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_control(context: *mut xdp_md, where_: u64, what: u64) -> u64 {
    let control = Payload::unpack([where_, what]);
    let frame = XdpContext::new(context);
    observe_control(Frame::xdp(&frame), &control, Hook::Ingress);
    0
}

/// Sees a TCP segment without payload in the frame of a TC run.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_control(context: *mut __sk_buff, where_: u64, what: u64, hook: u64) -> u64 {
    let control = Payload::unpack([where_, what]);
    let frame = TcContext::new(context);
    observe_control(Frame::tc(&frame), &control, hook_of(hook));
    0
}

/// Hands octets on from the frame of an XDP run, and counts the delivery.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_raw(context: *mut xdp_md, where_: u64, what: u64, finding: u64) -> u64 {
    let payload = Payload::unpack([where_, what]);
    let frame = XdpContext::new(context);
    let finding = Finding::unpack(finding);
    hand_on_raw(Frame::xdp(&frame), &payload, finding, Hook::Ingress).index() as u64
}

/// Hands octets on from the frame of a TC run, and counts the delivery.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_raw(
    context: *mut __sk_buff,
    where_: u64,
    what: u64,
    finding: u64,
    hook: u64,
) -> u64 {
    let payload = Payload::unpack([where_, what]);
    let frame = TcContext::new(context);
    let finding = Finding::unpack(finding);
    hand_on_raw(Frame::tc(&frame), &payload, finding, hook_of(hook)).index() as u64
}

#[inline(always)]
fn hook_of(index: u64) -> Hook {
    if index == Hook::Egress.index() as u64 {
        Hook::Egress
    } else {
        Hook::Ingress
    }
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

/// Why a name in the frame of an XDP run is none.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_name_fault(context: *mut xdp_md, at: u64, end: u64) -> u64 {
    name_fault(&Frame::xdp(&XdpContext::new(context)), at, end)
}

/// Why a name in the frame of a TC run is none.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_name_fault(context: *mut __sk_buff, at: u64, end: u64) -> u64 {
    name_fault(&Frame::tc(&TcContext::new(context)), at, end)
}

/// Follows the extension headers in the frame of an XDP run.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_extensions(context: *mut xdp_md, protocol: u64, at: u64, end: u64) -> u64 {
    encode_chain(&Frame::xdp(&XdpContext::new(context)), protocol, at, end)
}

/// Follows the extension headers in the frame of a TC run.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_extensions(context: *mut __sk_buff, protocol: u64, at: u64, end: u64) -> u64 {
    encode_chain(&Frame::tc(&TcContext::new(context)), protocol, at, end)
}

/// Copies a name from the frame of an XDP run.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xdp_copy_name(
    context: *mut xdp_md,
    from: u64,
    len: u64,
    to: *mut NameArea,
) -> u64 {
    copy(&Frame::xdp(&XdpContext::new(context)), from, len, to)
}

/// Copies a name from the frame of a TC run.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tc_copy_name(
    context: *mut __sk_buff,
    from: u64,
    len: u64,
    to: *mut NameArea,
) -> u64 {
    copy(&Frame::tc(&TcContext::new(context)), from, len, to)
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
    let hook = hook_of(hook);
    aya_log_ebpf_macros::info!((), "{} {}: {} octets", hook.label(), outcome.label(), len);
    0
}
