//! A packet generator in the kernel, for benchmarks: a program that is run on
//! live frames and makes each of them a copy of the next template.
//!
//! One run of the program is one packet, so what was sent is known exactly. The
//! templates come from user space, which knows what is true of them.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_TX},
    btf_maps::Array,
    helpers::{bpf_xdp_adjust_tail, bpf_xdp_store_bytes},
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// Octets of the longest frame, and of those that the program is run on.
const LONGEST: usize = 256;
/// Templates; the loader sets how many there are, a power of two.
const TEMPLATES: usize = 2;

/// A frame to be sent.
#[repr(C)]
struct Template {
    /// Octets of it.
    len: u32,
    /// Where the DNS message's ID stands, which every use of the template changes.
    id_at: u32,
    octets: [u8; LONGEST],
}

/// The frames to be sent, one after the other.
#[btf_map]
static TEMPLATE: Array<Template, TEMPLATES> = Array::new();

/// How many frames were made whole so far, one CPU at a time.
#[btf_map]
static MADE: Array<u64, 1> = Array::new();

/// Number of templates, written by the loader.
#[unsafe(no_mangle)]
static GENERATOR: [u64; 1] = [TEMPLATES as u64];

/// Makes the frame a copy of the next template, and sends it.
#[xdp]
pub fn bench_generate(context: XdpContext) -> u32 {
    match generate(&context) {
        Some(()) => XDP_TX,
        None => XDP_ABORTED,
    }
}

#[inline(always)]
fn generate(context: &XdpContext) -> Option<()> {
    let made = MADE.get_ptr_mut(0)?;
    // SAFETY: a map value; nobody else writes it meanwhile.
    let number = unsafe { made.read_volatile() };
    // SAFETY: a reference is valid and aligned; the loader may have overwritten it.
    let templates = unsafe { core::ptr::from_ref(&GENERATOR[0]).read_volatile() };
    let template = TEMPLATE.get_ptr_mut((number & (templates - 1)) as u32)?;
    // SAFETY: a map value that only this program writes.
    let template = unsafe { &mut *template };
    change_id(template);
    let len = template.len & (LONGEST as u32 * 2 - 1);
    if !(64..=LONGEST as u32).contains(&len) {
        return None;
    }
    // SAFETY: the context is that of the run.
    let cut = unsafe { bpf_xdp_adjust_tail(context.ctx, len as i32 - LONGEST as i32) };
    if cut != 0 {
        return None;
    }
    let octets = template.octets.as_mut_ptr().cast::<c_void>();
    // SAFETY: the template has `len` octets.
    let stored = unsafe { bpf_xdp_store_bytes(context.ctx, 0, octets, len) };
    if stored != 0 {
        return None;
    }
    // SAFETY: as above.
    unsafe { made.write_volatile(number + 1) };
    Some(())
}

/// The ID counts up, so that a template makes other transactions every time.
#[inline(always)]
fn change_id(template: &mut Template) {
    let at = template.id_at as usize & (LONGEST / 2 - 1);
    if let Some([high, low]) = template.octets.get_mut(at..at + 2) {
        let id = u16::from_be_bytes([*high, *low]).wrapping_add(1);
        [*high, *low] = id.to_be_bytes();
    }
}
