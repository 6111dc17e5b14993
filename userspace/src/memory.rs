//! Huge pages for what is counted in.
//!
//! A message is counted in some lines of tables that are read at random, and that
//! have more pages of 4 KiB than the processor keeps the addresses of. So all memory
//! comes from one heap, and the kernel is asked to lay its beginning, where the
//! tables come to be, on pages of 2 MiB. Where it has none, or the C library is not
//! glibc, nothing changes.

/// Asks for it. To be called first: where there are threads already, it does nothing.
pub fn prefer_huge_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::prefer_huge_pages();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::{fs, ptr};

    use libc::{
        M_ARENA_MAX, M_MMAP_THRESHOLD, M_TOP_PAD, M_TRIM_THRESHOLD, MADV_HUGEPAGE, c_int, c_void,
    };

    /// Octets that the heap is made to have. They are addresses only, until they are
    /// written to.
    const HEAP: c_int = 64 << 20;
    /// What comes from the heap: blocks up to the most that glibc allows.
    const LARGEST: c_int = 32 << 20;
    /// Octets by which it grows later on.
    const STEP: c_int = 2 << 20;
    const PAGE: usize = 4096;

    pub(super) fn prefer_huge_pages() {
        if !is_alone() {
            return;
        }
        for (parameter, value) in [
            // Threads have no heaps of their own.
            (M_ARENA_MAX, 1),
            (M_MMAP_THRESHOLD, LARGEST),
            (M_TRIM_THRESHOLD, c_int::MAX),
            (M_TOP_PAD, HEAP),
        ] {
            // SAFETY: there is no other thread that could allocate meanwhile.
            unsafe { libc::mallopt(parameter, value) };
        }
        // More than a new heap has left, so it grows by this and the padding.
        // SAFETY: freed below.
        let block = unsafe { libc::malloc(STEP as usize) };
        // SAFETY: asks for the end of the heap.
        let end = unsafe { libc::sbrk(0) };
        // SAFETY: from above; nobody else has it.
        unsafe { libc::free(block) };
        // SAFETY: as above.
        unsafe { libc::mallopt(M_TOP_PAD, STEP) };
        advise(block.addr(), end.addr());
    }

    /// Whether this is the only thread.
    fn is_alone() -> bool {
        fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
    }

    /// Asks for huge pages between two addresses, if these are of the heap: other
    /// allocators may stand in for glibc's.
    fn advise(block: usize, end: usize) {
        let start = block.next_multiple_of(PAGE);
        let Some(len) = end.checked_sub(start) else {
            return;
        };
        if block == 0 || len > 2 * HEAP as usize {
            return;
        }
        let start: *mut c_void = ptr::without_provenance_mut(start);
        // It may fail: then there are none.
        // SAFETY: advice only, on addresses of this process.
        unsafe { libc::madvise(start, len, MADV_HUGEPAGE) };
    }
}
