//! The kernel side of xdsc: XDP on ingress, TC on egress (and on ingress where
//! the XDP slot is taken), one code path.
//!
//! A thin client of `dns-wire`: [`frame`] is the one door to the packet,
//! [`ring`] the one to the rings, [`host`] connects both with the parser.
//! Whatever happens, the packet goes on.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(
    internal_features,
    reason = "the BPF target has no stable atomic exchange; `ring` needs one on machines with weak ordering"
)]
#![deny(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[cfg(feature = "bench")]
mod bench;
mod call;
mod frame;
#[cfg(feature = "bench")]
mod generate;
mod host;
#[cfg(feature = "trace")]
mod macro_support;
mod maps;
mod ring;

/// The logging macros look for [`macro_support`] in a crate of this name.
#[cfg(feature = "trace")]
extern crate self as aya_log_ebpf;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, tcx_action_base::TCX_NEXT, xdp_action::XDP_PASS},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

use crate::{
    frame::{TcEgress, TcIngress, XdpIngress},
    host::observe,
};

/// What arrives, at the driver.
#[xdp(frags)]
#[inline(always)]
pub fn xdp_ingress(context: XdpContext) -> u32 {
    observe(&XdpIngress(context));
    XDP_PASS
}

/// What arrives, where another program holds the XDP slot.
#[classifier]
#[inline(always)]
pub fn tc_ingress(context: TcContext) -> i32 {
    make_headers_linear(&context);
    observe(&TcIngress(context));
    PASS_ON
}

/// What leaves.
#[classifier]
#[inline(always)]
pub fn tc_egress(context: TcContext) -> i32 {
    observe(&TcEgress(context));
    PASS_ON
}

/// Some drivers leave only the Ethernet header of what arrives in the first
/// buffer. What leaves has its headers there.
#[inline(always)]
fn make_headers_linear(context: &TcContext) {
    const ENOUGH: u32 = 512;
    let wanted = ENOUGH.min(context.len());
    if context.data_end() - context.data() < wanted as usize {
        // Where it fails, the packet is counted as unreadable.
        let _ = context.pull_data(wanted);
    }
}

/// "Not decided here": the next program or filter decides. tcx and clsact
/// spell it alike.
const PASS_ON: i32 = TCX_NEXT;
const _: () = assert!(TC_ACT_UNSPEC == TCX_NEXT);

/// The kernel requires it of programs that use its helpers for time and packets.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier accepts no endless loop: that it loads proves that no panic
    // can be reached.
    loop {}
}
