//! The maps and the read-only data, all shared by the three programs.

use core::arch::asm;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, LpmTrie, LruHashMap, PerCpuArray},
    helpers::bpf_get_smp_processor_id,
    macros::btf_map,
};
use dns_wire::{
    Settings,
    counters::Hook,
    handshake::SynAck,
    record::HEAD_WORDS,
    ring::{self, word},
    tally::Tally,
};

use crate::frame::Window;

/// Read-only settings, written by the loader. Plain arrays: the wrapper that
/// the BPF library has for such data puts a type name into the object's BTF
/// that kernels refuse.
#[unsafe(no_mangle)]
static SETTINGS: [u64; 4] = [53, 0, 0, 0];

/// Read-only: number of possible CPUs, and chunks per ring.
#[unsafe(no_mangle)]
static RINGS: [u64; 2] = [1, 1];

/// What a program on a CPU writes to: the control words of its ring, and its
/// tally. `hook * cpus + cpu`; the loader sets the number.
#[btf_map]
static BLOCKS: Array<[u64; ring::BLOCK / 8], 2, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Data of the rings: `(hook * cpus + cpu) * chunks + chunk`. The loader sets
/// the number.
#[btf_map]
pub static CHUNKS: Array<[u64; ring::CHUNK / 8], 2, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The service addresses: IPv6 prefixes, IPv4 ones as IPv4-mapped.
#[btf_map]
pub static SERVICE: LpmTrie<[u8; 16], u8, 64> = LpmTrie::new();

/// Handshakes under way, by connection; the oldest make room.
#[btf_map]
pub static HANDSHAKES: LruHashMap<u64, SynAck, 16_384> = LruHashMap::new();

/// Where the start of a payload is copied to; a place per CPU.
#[btf_map]
pub static WINDOW: PerCpuArray<[u8; Window::SIZE], 1> = PerCpuArray::new();

/// What this program writes to on this CPU, and nobody else but for the words
/// that [`word`] calls the consumer's and the daemon's.
#[derive(Clone, Copy)]
pub struct Block {
    start: *mut u8,
    /// Its place among the blocks, and its ring's among the rings.
    pub index: u64,
}

impl Block {
    /// The block of this CPU.
    #[inline(always)]
    pub fn of(hook: Hook) -> Option<Self> {
        let [cpus, _] = *rings();
        // SAFETY: the helper has no preconditions.
        let cpu = u64::from(unsafe { bpf_get_smp_processor_id() });
        let index = hook.index() as u64 * cpus + cpu;
        let start = BLOCKS.get_ptr_mut(index as u32)?.cast();
        Some(Self { start, index })
    }

    /// What the program counts into.
    #[inline(always)]
    pub fn tally(&mut self) -> &mut Tally {
        // SAFETY: a block is so long.
        let tally = unsafe { self.start.add(ring::CONTROL) };
        // SAFETY: aligned as blocks are; a tally is a transparent array of
        // numbers, and no other reference to it is there.
        unsafe { &mut *tally.cast() }
    }

    /// A control word's value.
    #[inline(always)]
    pub fn load(&self, word: usize) -> u64 {
        // SAFETY: `word` is the offset of a control word.
        let word = unsafe { self.start.add(word) };
        // SAFETY: as above; the daemon writes some of them, hence volatile.
        unsafe { word.cast::<u64>().read_volatile() }
    }

    /// Sets a control word.
    #[inline(always)]
    pub fn store(&self, word: usize, value: u64) {
        // SAFETY: `word` is the offset of a control word.
        let word = unsafe { self.start.add(word) };
        // SAFETY: as above; the daemon reads some of them, hence volatile.
        unsafe { word.cast::<u64>().write_volatile(value) }
    }

    /// Room for a record's head.
    #[inline(always)]
    pub fn scratch(&self) -> *mut [u64; HEAD_WORDS] {
        // SAFETY: the control words end behind so much room.
        unsafe { self.start.add(word::SCRATCH).cast() }
    }
}

/// The settings, read where they are asked for: read at once, they would occupy
/// the stack.
#[inline(always)]
pub fn settings() -> &'static Settings {
    let settings = patched(&raw const SETTINGS);
    // SAFETY: settings are a transparent array of words, and nobody writes them.
    unsafe { &*settings.cast() }
}

/// Number of possible CPUs, and chunks per ring.
#[inline(always)]
pub fn rings() -> &'static [u64; 2] {
    // SAFETY: that is what it is of, and nobody writes it.
    unsafe { &*patched(&raw const RINGS) }
}

/// What the loader may have overwritten, so that the compiler must not put in
/// what the source says.
#[inline(always)]
fn patched<T>(mut place: *const T) -> *const T {
    // SAFETY: a register onto itself.
    unsafe { asm!("{0} = {0}", inout(reg) place, options(pure, nomem, nostack)) };
    place
}
