//! A hint to the processor: one instruction that safe Rust has no name for.
//!
//! Records, joints and cells are read from memory that is larger than the caches.
//! Whoever knows what is needed a few messages later asks for it, and does something
//! else until it has come.
#![expect(unsafe_code, reason = "the instruction is an intrinsic")]

/// Starts to fetch what is behind `place` into the caches, wherever that points to.
#[inline(always)]
pub fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction reads nothing that the program could see, and
        // faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(place);
}
