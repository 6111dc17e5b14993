//! The maps and the read-only data, all shared by the three programs.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, LpmTrie, LruHashMap, PerCpuArray},
    macros::btf_map,
};
use dns_wire::{Settings, counters::SLOTS, handshake::SynAck, ring};

use crate::frame::Window;

/// Read-only settings, written by the loader. Plain arrays: the wrapper that
/// the BPF library has for such data puts a type name into the object's BTF
/// that kernels refuse.
#[unsafe(no_mangle)]
static SETTINGS: [u64; 4] = [53, 0, 0, 0];

/// Read-only: number of possible CPUs, and chunks per ring.
#[unsafe(no_mangle)]
static RINGS: [u64; 2] = [1, 1];

/// The exact counters: one array per hook.
#[btf_map]
pub static COUNTERS: PerCpuArray<[u64; SLOTS], 2> = PerCpuArray::new();

/// Control words of the rings: `hook * cpus + cpu`. The loader sets the number.
#[btf_map]
pub static CONTROL: Array<[u64; ring::CONTROL / 8], 2, { BPF_F_MMAPABLE as usize }> = Array::new();

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

/// The settings.
#[inline(always)]
pub fn settings() -> Settings {
    Settings::from_words([
        patched(&SETTINGS[0]),
        patched(&SETTINGS[1]),
        patched(&SETTINGS[2]),
        patched(&SETTINGS[3]),
    ])
}

/// Number of possible CPUs, and chunks per ring.
#[inline(always)]
pub fn rings() -> [u64; 2] {
    [patched(&RINGS[0]), patched(&RINGS[1])]
}

/// A word that the loader may have overwritten, so that the compiler must not
/// put in what the source says.
#[inline(always)]
fn patched(word: &'static u64) -> u64 {
    // SAFETY: a reference is valid and aligned.
    unsafe { core::ptr::from_ref(word).read_volatile() }
}
