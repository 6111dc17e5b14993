//! What is counted of messages, and kept of transactions.
//!
//! Deliberately absent: a clock, tokio, I/O. Time arrives with the messages, so
//! that files and live traffic give the same numbers.

pub mod aggregate;
mod atoms;
pub mod builtin;
pub mod cells;
pub mod choice;
pub mod classify;
mod counts;
pub mod dataset;
pub mod distinct;
pub mod engine;
pub mod flood;
pub mod frequent;
pub mod intervals;
mod joints;
mod known_names;
pub mod label;
pub mod lag;
pub mod locals;
pub mod observed;
mod octets;
pub mod pairing;
mod passage;
pub mod plan;
pub mod qname;
pub mod response_time;
mod route;
pub mod shard;
pub mod sketches;
pub mod table;
mod timed;
pub(crate) mod values;
mod waiting;
pub mod zones;
