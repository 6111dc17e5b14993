//! The daemon and the file reader of xdsc.
//!
//! Data flows one way, and the modules are named after the way: `source`
//! (rings or capture files) -> `stats` -> `export` -> `http`.

pub mod cli;
pub mod config;
pub mod configure;
pub mod dsc_conf;
pub mod dsc_files;
pub mod enrich;
pub mod export;
pub mod http;
mod interrupt;
pub mod live_view;
pub mod manual;
pub mod memory;
pub mod names;
pub mod prefetch;
pub mod read;
mod remote;
pub mod rssac002;
pub mod run;
pub mod source;
pub mod statistics;
pub mod stats;
pub mod tail;
pub mod terminal;
pub mod top;
pub mod view;
