//! Packets from the kernel: load the programs, attach them, drain their rings.
//!
//! The only place in user space that knows the BPF library.

pub mod probe;
pub mod ring;
pub mod test_run;
