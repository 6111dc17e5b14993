//! The maps and the read-only data, all shared by the three programs.

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, LpmTrie, PerCpuArray},
    macros::btf_map,
};
use dns_wire::{Settings, counters::SLOTS, ring};

/// Read-only settings, written by the loader.
#[unsafe(no_mangle)]
static SETTINGS: Global<[u64; 4]> = Global::new([53, 0, 0, 0]);

/// Read-only: number of possible CPUs, and chunks per ring.
#[unsafe(no_mangle)]
static RINGS: Global<[u64; 2]> = Global::new([1, 1]);

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

/// The settings.
#[inline(always)]
pub fn settings() -> Settings {
    Settings::from_words(SETTINGS.load())
}

/// Number of possible CPUs, and chunks per ring.
#[inline(always)]
pub fn rings() -> [u64; 2] {
    RINGS.load()
}
