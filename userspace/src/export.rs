//! From statistics to what other programs read.

mod accept;
pub mod dsc;
pub mod exposition;
pub mod process;
pub mod prometheus;
#[cfg(test)]
mod promtool;
pub mod snapshot;

pub(crate) use accept::accepts_gzip;
