//! From statistics to what other programs read.

mod accept;
pub mod exposition;
pub mod process;
#[cfg(test)]
mod promtool;

pub(crate) use accept::accepts_gzip;
