//! The one door to the packet.

use core::{arch::asm, ffi::c_void, hint::black_box, mem::transmute_copy};

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, xdp_md},
    helpers::{bpf_skb_load_bytes, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::{TcContext, XdpContext},
};
use dns_wire::{
    Packet,
    counters::Hook,
    locate::Chain,
    message::{MAX_LABEL, MAX_LABELS},
    packet::{self, NAME_AT, NameArea},
    record::{HEAD, LINE},
    reject::Reject,
};

use crate::{
    call::{self, Calls},
    maps,
};

/// The frame of one program run.
pub struct Frame<'a, C> {
    start: usize,
    end: usize,
    context: &'a C,
}

/// What the programs do differently.
pub trait Context: Calls {
    /// Where the program stands.
    const HOOK: Hook;

    /// Where the first buffer starts, and where it ends.
    fn bounds(&self) -> (usize, usize);

    /// Octets of the whole frame, where they differ from those of that buffer.
    fn full_len(&self) -> usize;

    /// Copies `len` octets at offset `at` to `to`; whether it could.
    ///
    /// # Safety
    /// - `to` points to `len` writable octets.
    unsafe fn load_bytes(&self, at: u32, to: *mut c_void, len: u32) -> bool;
}

/// A run of `xdp_ingress`.
pub struct XdpIngress(pub XdpContext);

impl XdpIngress {
    /// That with this pointer.
    #[inline(always)]
    pub fn new(context: *mut xdp_md) -> Self {
        Self(XdpContext::new(context))
    }

    /// The pointer, for functions.
    #[inline(always)]
    pub fn pointer(&self) -> *mut xdp_md {
        self.0.ctx
    }
}

impl Context for XdpIngress {
    const HOOK: Hook = Hook::Ingress;

    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.0.data(), self.0.data_end())
    }

    #[inline(always)]
    fn full_len(&self) -> usize {
        // SAFETY: the context is that of this run.
        unsafe { bpf_xdp_get_buff_len(self.0.ctx) as usize }
    }

    #[inline(always)]
    unsafe fn load_bytes(&self, at: u32, to: *mut c_void, len: u32) -> bool {
        // SAFETY: the caller vouches for `to`; the helper checks the packet.
        unsafe { bpf_xdp_load_bytes(self.0.ctx, at, to, len) == 0 }
    }
}

/// Declares a run of a TC program.
macro_rules! tc {
    ($(#[$doc:meta])* $name:ident, $hook:expr) => {
        $(#[$doc])*
        pub struct $name(pub TcContext);

        impl $name {
            /// That with this pointer.
            #[inline(always)]
            pub fn new(context: *mut __sk_buff) -> Self {
                Self(TcContext::new(context))
            }

            /// The pointer, for functions.
            #[inline(always)]
            pub fn pointer(&self) -> *mut __sk_buff {
                self.0.skb.skb
            }
        }

        impl Context for $name {
            const HOOK: Hook = $hook;

            #[inline(always)]
            fn bounds(&self) -> (usize, usize) {
                (self.0.data(), self.0.data_end())
            }

            #[inline(always)]
            fn full_len(&self) -> usize {
                self.0.len() as usize
            }

            #[inline(always)]
            unsafe fn load_bytes(&self, at: u32, to: *mut c_void, len: u32) -> bool {
                // SAFETY: the caller vouches for `to`; the helper checks the packet.
                unsafe { bpf_skb_load_bytes(self.0.as_ptr(), at, to, len) == 0 }
            }
        }
    };
}

tc! {
    /// A run of `tc_ingress`.
    TcIngress, Hook::Ingress
}
tc! {
    /// A run of `tc_egress`.
    TcEgress, Hook::Egress
}

impl<'a, C: Context> Frame<'a, C> {
    /// The frame of a run.
    #[inline(always)]
    pub fn of(context: &'a C) -> Self {
        let (start, end) = context.bounds();
        Self {
            start,
            end,
            context,
        }
    }
}

impl<C: Context> Frame<'_, C> {
    /// The context of the run.
    #[inline(always)]
    pub fn context(&self) -> &C {
        self.context
    }
}

/// `LEN` octets of a frame.
pub struct Part<const LEN: usize> {
    start: usize,
}

impl<const LEN: usize> packet::Part for Part<LEN> {
    #[inline(always)]
    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        if at + N > LEN {
            return [0; N];
        }
        // SAFETY: whoever made it has checked that `LEN` octets are there.
        unsafe { load(self.start + at) }
    }
}

impl<C: Context> Packet for Frame<'_, C> {
    type Part<const LEN: usize> = Part<LEN>;

    #[inline(always)]
    fn part<const LEN: usize>(&self, at: usize) -> Option<Part<LEN>> {
        let start = self.start + (at & 0x7fff);
        if behind::<LEN>(start) > self.end {
            return None;
        }
        Some(Part { start })
    }

    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        // The verifier must see that the offset is bounded. The parser never
        // gets farther: two chains of extension headers take 14 KiB each.
        let from = self.start + (at & 0x7fff);
        if behind::<N>(from) > self.end {
            return None;
        }
        // SAFETY: the check above is the one that the verifier demands; a load
        // out of bounds would not have been accepted.
        Some(unsafe { load(from) })
    }

    #[inline(always)]
    fn read_header(&self, at: usize) -> Option<([u8; 8], [u8; 4])> {
        let from = self.start + (at & 0x7fff);
        if behind::<12>(from) > self.end {
            return None;
        }
        // SAFETY: checked, as in `read`.
        let first = unsafe { load(from) };
        // SAFETY: as above.
        let second = unsafe { load(from + 8) };
        Some((first, second))
    }

    #[inline(always)]
    fn wire_len(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    fn reaches(&self, end: usize) -> bool {
        end <= self.wire_len() || end <= self.context.full_len()
    }

    #[inline(always)]
    fn holds(&self, end: usize) -> bool {
        end <= self.wire_len()
    }

    /// Without a call, as for short names' copies. What it returns is new to the
    /// verifier, which then checks what follows once, not once for each length.
    #[inline(always)]
    fn labels_end(&self, at: usize) -> Option<(usize, bool)> {
        let mut next = self.start + (at & 0x7fff);
        for _ in 0..MAX_LABELS / LABELS_A_TURN {
            for _ in 0..LABELS_A_TURN {
                next = behind::<1>(next);
                if next > self.end {
                    return None;
                }
                // SAFETY: checked, as in `read`.
                let label = unsafe { octet_before(next) };
                if label == 0 || label > MAX_LABEL {
                    return Some((between(self.start, next) - 1, label == 0));
                }
                next += label;
            }
        }
        None
    }

    #[inline(always)]
    fn name_fault(&self, at: usize, end: usize) -> Reject {
        call::decode_fault(self.context.name_fault(at, end))
    }

    #[inline(always)]
    fn extensions(&self, protocol: u8, at: usize, end: usize) -> Result<Chain, Reject> {
        call::decode_chain(self.context.extensions(protocol, at, end))
    }

    /// Most names are short, and enough follows them: copied without a loop and
    /// without a call, which mitigations make dear on many machines.
    #[inline(always)]
    fn copy_name(&self, at: usize, len: usize, to: &mut NameArea) {
        match self.short_name(at) {
            Some(words) if len <= SHORT => {
                // SAFETY: from `NAME_AT` on the area has 256 octets.
                let to = unsafe { to.as_mut_ptr().add(NAME_AT) };
                // SAFETY: as above; records and their heads are whole words.
                unsafe { to.cast::<[u64; SHORT / 8]>().write(words) };
            }
            Some(_) | None => self.context.copy_name(at, len, to),
        }
    }
}

/// Labels that one turn of the loop over them takes: most names need one turn.
const LABELS_A_TURN: usize = 4;

/// Octets that fit into the second line of a record, behind the head.
pub const SHORT: usize = 2 * LINE - HEAD;

impl<C: Context> Frame<'_, C> {
    /// [`SHORT`] octets at `at`, by one check.
    #[inline(always)]
    fn short_name(&self, at: usize) -> Option<[u64; SHORT / 8]> {
        let from = self.start + (at & 0x7fff);
        if behind::<SHORT>(from) > self.end {
            return None;
        }
        let mut words = [0; SHORT / 8];
        for (place, word) in words.iter_mut().enumerate() {
            // SAFETY: all of them were checked to lie in the frame.
            *word = u64::from_ne_bytes(unsafe { load(from + place * 8) });
        }
        Some(words)
    }
}

/// The address behind `N` octets at `from`, by an instruction that the compiler
/// does not see through: of a check in another form than `from + N > end` the
/// verifier learns nothing.
#[inline(always)]
fn behind<const N: usize>(from: usize) -> usize {
    let mut behind = from;
    // SAFETY: an addition to a register.
    unsafe { asm!("{0} += {1}", inout(reg) behind, const N, options(pure, nomem, nostack)) };
    behind
}

/// Octets from one address in the packet to another, by an instruction that the
/// compiler cannot make one of 32 bits, which the verifier refuses.
#[inline(always)]
fn between(start: usize, end: usize) -> usize {
    let mut octets = end;
    // SAFETY: a subtraction from a register.
    unsafe {
        asm!("{0} -= {1}", inout(reg) octets, in(reg) start, options(pure, nomem, nostack));
    }
    octets
}

/// A copy of the payload's start, where it does not lie in the first buffer:
/// sent TCP segments keep their data in pages of their own.
pub struct Window {
    bytes: *const u8,
    len: usize,
}

impl Window {
    /// Octets that a window can have: a length prefix, a header, the longest
    /// question and an OPT record fit.
    pub const SIZE: usize = 320;

    /// The window as last copied on this CPU.
    #[inline(always)]
    pub fn last(len: usize) -> Option<Self> {
        let bytes = maps::WINDOW.get_ptr_mut(0)?.cast::<u8>();
        Some(Self { bytes, len })
    }

    /// Copies the start of the payload at offset `at` of the frame.
    #[inline(always)]
    pub fn copy<C: Context>(frame: &Frame<'_, C>, at: usize, len: usize) -> Option<Self> {
        let bytes = maps::WINDOW.get_ptr_mut(0)?.cast::<u8>();
        // The verifier must see the bounds on the value that the helper gets.
        let len = black_box(len.min(Self::SIZE)) & 0x1ff;
        if len == 0 || len > Self::SIZE {
            return None;
        }
        // SAFETY: `bytes` has `SIZE` writable octets.
        let copied = unsafe {
            frame
                .context
                .load_bytes(at as u32, bytes.cast(), len as u32)
        };
        copied.then_some(Self { bytes, len })
    }
}

impl Packet for Window {
    type Part<const LEN: usize> = Part<LEN>;

    /// Left to single reads.
    #[inline(always)]
    fn part<const LEN: usize>(&self, _: usize) -> Option<Part<LEN>> {
        None
    }

    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let from = at & 0x1ff;
        if from + N > self.len || from > Self::SIZE - N {
            return None;
        }
        // SAFETY: checked above to lie in the window.
        Some(unsafe { load(self.bytes.add(from) as usize) })
    }

    #[inline(always)]
    fn wire_len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn name_len(&self, at: usize, end: usize) -> Result<usize, Reject> {
        let length = call::window_name_len(at as u64, end as u64, self.len as u64);
        call::decode(length)
    }

    #[inline(always)]
    fn copy_name(&self, at: usize, len: usize, to: &mut NameArea) {
        call::window_copy_name(at as u64, len as u64, to);
    }
}

/// The octet before an address in a whole register: LLVM would compare and add it
/// as one of eight bits, with a mask before each.
///
/// # Safety
/// - `behind` is the address behind a readable octet.
#[inline(always)]
unsafe fn octet_before(behind: usize) -> usize {
    let octet;
    // SAFETY: readable by the caller's word.
    unsafe {
        asm!(
            "{0} = *(u8 *)({1} - 1)",
            out(reg) octet,
            in(reg) behind,
            options(pure, readonly, nostack),
        );
    }
    octet
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
            unsafe { transmute_copy::<$word, [u8; N]>(&(from as *const $word).read()) }
        };
    }
    match N {
        1 => word!(u8),
        2 => word!(u16),
        4 => word!(u32),
        _ => word!(u64),
    }
}
