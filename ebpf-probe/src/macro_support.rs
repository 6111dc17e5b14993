//! What the logging macros expand to, in place of the library's module of this
//! name.
//!
//! The library keeps the level in a static of a generic type. That type's name
//! gets into the object's BTF, and kernels refuse the BTF, and so all maps.

use aya_ebpf::{macros::map, maps::RingBuf};
pub use aya_log_common::{
    Argument, DefaultFormatter, DisplayHint, Field, Header, Level, LogValueLength,
};

/// What is logged; the daemon's side of the library looks for this name.
#[map]
pub static AYA_LOGS: RingBuf = RingBuf::with_byte_size(1 << 17, 0);

/// Tracing is compiled in or not; who compiled it in wants all of it.
#[inline(always)]
pub fn level_enabled(_: Level) -> bool {
    true
}
