//! What is counted of messages, and kept of transactions.
//!
//! Deliberately absent: a clock, tokio, I/O. Time arrives with the messages, so
//! that files and live traffic give the same numbers.

pub mod cells;
pub mod classify;
pub mod dataset;
pub mod distinct;
pub mod engine;
pub mod geo;
pub mod label;
pub mod observed;
pub mod pairing;
pub mod plan;
pub mod qname;
pub mod shard;
pub mod table;
mod values;
pub mod zones;
