//! The one door to the packet.

use core::{cell::Cell, ffi::c_void, mem::transmute_copy};

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_skb_load_bytes, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::{TcContext, XdpContext},
};
use dns_wire::Packet;

/// The frame of one program run.
pub struct Frame<'a, C> {
    start: usize,
    end: usize,
    context: &'a C,
    spill: &'a Cell<u64>,
}

/// What XDP and TC do differently.
pub trait Context: EbpfContext {
    /// Octets of the whole frame, where they differ from `end - start`.
    fn full_len(&self) -> usize;

    /// Copies `len` octets at offset `at` to `to`; whether it could.
    ///
    /// # Safety
    /// - `to` points to `len` writable octets.
    unsafe fn load_bytes(&self, at: u32, to: *mut c_void, len: u32) -> bool;
}

impl<'a> Frame<'a, XdpContext> {
    /// The frame of an XDP run. `spill` is for what lies beyond the first
    /// buffer: one place on the stack for all reads, of which there are many.
    #[inline(always)]
    pub fn xdp(context: &'a XdpContext, spill: &'a Cell<u64>) -> Self {
        Self {
            start: context.data(),
            end: context.data_end(),
            context,
            spill,
        }
    }
}

impl<'a> Frame<'a, TcContext> {
    /// The frame of a TC run, with `spill` as for [`Frame::xdp`].
    #[inline(always)]
    pub fn tc(context: &'a TcContext, spill: &'a Cell<u64>) -> Self {
        Self {
            start: context.data(),
            end: context.data_end(),
            context,
            spill,
        }
    }
}

impl Context for XdpContext {
    #[inline(always)]
    fn full_len(&self) -> usize {
        // SAFETY: the context is that of this run.
        unsafe { bpf_xdp_get_buff_len(self.ctx) as usize }
    }

    #[inline(always)]
    unsafe fn load_bytes(&self, at: u32, to: *mut c_void, len: u32) -> bool {
        // SAFETY: the caller vouches for `to`; the helper checks the packet.
        unsafe { bpf_xdp_load_bytes(self.ctx, at, to, len) == 0 }
    }
}

impl Context for TcContext {
    #[inline(always)]
    fn full_len(&self) -> usize {
        self.len() as usize
    }

    #[inline(always)]
    unsafe fn load_bytes(&self, at: u32, to: *mut c_void, len: u32) -> bool {
        // SAFETY: the caller vouches for `to`; the helper checks the packet.
        unsafe { bpf_skb_load_bytes(self.as_ptr(), at, to, len) == 0 }
    }
}

impl<C: Context> Frame<'_, C> {
    /// The context of the run.
    #[inline(always)]
    pub fn context(&self) -> &C {
        self.context
    }

    /// `N` octets, when they lie in the first buffer.
    #[inline(always)]
    pub fn read_linear<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let from = self.start + at;
        if from + N > self.end {
            return None;
        }
        // SAFETY: the check above is the one that the verifier demands; a load
        // out of bounds would not have been accepted.
        Some(unsafe { load(from) })
    }

    /// `N` octets from another buffer.
    #[inline(always)]
    fn read_beyond<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if !load_beyond(self.context, at as u32, N as u32, self.spill) {
            return None;
        }
        let octets = self.spill.get().to_ne_bytes();
        octets.first_chunk().copied()
    }
}

impl<C: Context> Packet for Frame<'_, C> {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        match self.read_linear(at) {
            Some(octets) => Some(octets),
            // Data of sent TCP segments and of jumbo frames is in other buffers.
            None => self.read_beyond(at),
        }
    }

    #[inline(always)]
    fn wire_len(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    fn reaches(&self, end: usize) -> bool {
        end <= self.wire_len() || end <= self.context.full_len()
    }
}

/// Copies `len` octets, up to 8, into `spill`. Out of line: it is called from
/// wherever the parser reads, and seldom.
#[cold]
#[inline(never)]
fn load_beyond<C: Context>(context: &C, at: u32, len: u32, spill: &Cell<u64>) -> bool {
    if len == 0 || len > 8 {
        return false;
    }
    // SAFETY: `spill` has 8 writable octets.
    unsafe { context.load_bytes(at, spill.as_ptr().cast(), len) }
}

/// One load of `N` octets: LLVM would take them one by one, since it does not
/// know that the kernel's machines load words from any address.
///
/// # Safety
/// - `from` is the address of `N` readable octets.
#[inline(always)]
unsafe fn load<const N: usize>(from: usize) -> [u8; N] {
    macro_rules! word {
        ($word:ty) => {
            // SAFETY: readable by the caller's word; the sizes are equal, as
            // the match arm says; and the verifier refuses the program where
            // the machine cannot load unaligned words.
            unsafe { transmute_copy(&*(from as *const $word)) }
        };
    }
    match N {
        1 => word!(u8),
        2 => word!(u16),
        4 => word!(u32),
        _ => word!(u64),
    }
}
