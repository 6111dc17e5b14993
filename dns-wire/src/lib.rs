//! The DNS packet parser of xdsc and the ABI between its kernel and user side.
//!
//! One parser, generic over where the bytes come from ([`Packet`]): the XDP and
//! TC programs, the daemon's TCP reassembly, the capture reader, the tests and
//! the fuzzers all run the code of this crate. [`observe`] is the whole way of
//! one packet: find the DNS message ([`locate`](mod@locate)), parse it
//! ([`message`]), count it ([`counters`]), hand a record on ([`record`],
//! [`ring`]). [`opt`] reads what stands deeper in a whole message.
//!
//! Deliberately absent: `unsafe`, allocation, the BPF library, a clock.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::panic)]

#[cfg(test)]
extern crate std;

#[macro_use]
mod table;

pub mod counters;
pub mod handshake;
pub mod iana;
pub mod icmp;
pub mod locate;
pub mod message;
pub mod observe;
pub mod opt;
pub mod packet;
mod plain;
pub mod record;
pub mod reject;
pub mod ring;
pub mod settings;
pub mod tally;

pub use observe::observe;
pub use packet::{Packet, Slice};
pub use settings::Settings;
