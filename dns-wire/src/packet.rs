//! Where the parser reads from.

use crate::{
    locate::{self, Chain},
    message,
    reject::Reject,
};

/// Where a name is copied to: a word that may be overwritten, the name from
/// [`NAME_AT`] on, and what its last word takes more.
pub type NameArea = [u8; NAME_AT + 256];

/// Where the name begins in its area.
pub const NAME_AT: usize = 8;

/// The bytes of one frame, as the parser sees them.
///
/// In BPF a read is one bounds check against `data_end` and one load; that is
/// why it takes the number of bytes as a constant and hands them out by value.
pub trait Packet {
    /// `N` bytes at offset `at`, or `None` when the frame does not hold them.
    ///
    /// `N` is one of 1, 2, 4, 8 and 16.
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// Octets of a frame that are known to be there.
    type Part<const LEN: usize>: Part;

    /// `LEN` octets at offset `at`, if the frame holds them, by one check.
    fn part<const LEN: usize>(&self, at: usize) -> Option<Self::Part<LEN>>;

    /// The 12 octets of a DNS header at offset `at`, in one check where that is
    /// cheaper than two.
    #[inline(always)]
    fn read_header(&self, at: usize) -> Option<([u8; 8], [u8; 4])> {
        Some((self.read(at)?, self.read(at + 8)?))
    }

    /// Octets of the whole frame on the wire, link header included. More than
    /// can be read where a capture was cut by its snapshot length.
    fn wire_len(&self) -> usize;

    /// Whether the frame on the wire has `end` octets or more. For a frame in
    /// several buffers this is where the true length costs a helper call.
    #[inline(always)]
    fn reaches(&self, end: usize) -> bool {
        end <= self.wire_len()
    }

    /// Whether the first `end` octets can be read.
    #[inline(always)]
    fn holds(&self, end: usize) -> bool {
        self.reaches(end)
    }

    /// Whether the first `end` octets, which the frame on the wire has, are here.
    /// Only captures are cut.
    #[inline(always)]
    fn is_captured(&self, _end: usize) -> bool {
        true
    }

    /// Whether first fragments are left alone, too, since somebody puts them
    /// together: never in the kernel.
    #[inline(always)]
    fn sets_fragments_aside(&self) -> bool {
        false
    }

    /// Octets of the name at offset `at` in a message that ends at `end`; see
    /// [`message::name_len`].
    ///
    /// # Errors
    /// Why it is no name.
    #[inline(always)]
    fn name_len(&self, at: usize, end: usize) -> Result<usize, Reject>
    where
        Self: Sized,
    {
        message::name_len(self, at, end)
    }

    /// Where labels end; see [`message::labels_end`]. The kernel programs do it
    /// with a pointer instead of an offset.
    #[inline(always)]
    fn labels_end(&self, at: usize) -> Option<(usize, bool)> {
        message::labels_end(self, at)
    }

    /// Why a name is none; see [`message::name_fault`]. The kernel programs call
    /// it as a function that the verifier checks once.
    #[inline(always)]
    fn name_fault(&self, at: usize, end: usize) -> Reject {
        message::name_fault(self, at, end)
    }

    /// Where the chain of IPv6 extension headers leads that begins with
    /// `protocol` at offset `at` of an IP packet that ends at `end`; see
    /// [`locate::extensions`]. A function of its own in the kernel programs, too.
    ///
    /// # Errors
    /// Why it leads nowhere.
    #[inline(always)]
    fn extensions(&self, protocol: u8, at: usize, end: usize) -> Result<Chain, Reject> {
        locate::extensions(self, protocol, at, end)
    }

    /// Copies the name of `len` octets at offset `at`, which `name_len` found.
    fn copy_name(&self, at: usize, len: usize, to: &mut NameArea);
}

/// Octets of a frame, known to be there: what is read of them costs a load and,
/// since offsets are constants, no check.
pub trait Part {
    /// `N` octets at offset `at` in them; zeros where there are no so many.
    ///
    /// `N` is one of 1, 2, 4 and 8.
    fn get<const N: usize>(&self, at: usize) -> [u8; N];
}

impl<const LEN: usize> Part for &[u8; LEN] {
    #[inline(always)]
    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        let octets = self.as_slice().get(at..);
        let octets = octets.and_then(<[u8]>::first_chunk);
        octets.copied().unwrap_or([0; N])
    }
}

/// A frame in memory: from a capture file, a reassembled stream, a test.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    bytes: &'a [u8],
    wire_len: usize,
    fragments_aside: bool,
}

impl<'a> Slice<'a> {
    /// A frame that is wholly here.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            wire_len: bytes.len(),
            fragments_aside: false,
        }
    }

    /// A frame that was `wire_len` octets long, of which `bytes` were captured.
    #[must_use]
    pub fn captured(bytes: &'a [u8], wire_len: usize) -> Self {
        Self {
            bytes,
            wire_len: wire_len.max(bytes.len()),
            fragments_aside: false,
        }
    }

    /// The frame, but if it is a first fragment it is left alone.
    #[must_use]
    pub const fn with_fragments_aside(mut self) -> Self {
        self.fragments_aside = true;
        self
    }

    /// The bytes that are here.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Packet for Slice<'a> {
    type Part<const LEN: usize> = &'a [u8; LEN];

    #[inline(always)]
    fn part<const LEN: usize>(&self, at: usize) -> Option<&'a [u8; LEN]> {
        self.bytes.get(at..)?.first_chunk()
    }

    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    #[inline(always)]
    fn wire_len(&self) -> usize {
        self.wire_len
    }

    #[inline(always)]
    fn is_captured(&self, end: usize) -> bool {
        end <= self.bytes.len()
    }

    #[inline(always)]
    fn sets_fragments_aside(&self) -> bool {
        self.fragments_aside
    }

    fn copy_name(&self, at: usize, len: usize, to: &mut NameArea) {
        let from = self.bytes.get(at..).unwrap_or(&[]);
        let to = to.iter_mut().skip(NAME_AT).take(len);
        for (to, from) in to.zip(from) {
            *to = *from;
        }
    }
}
