//! What is known of clients and names beyond their packets: countries,
//! autonomous systems, networks, customers, names in the reverse zones.
//!
//! Enrichment never slows the drain. Tables are loaded and verified beside it
//! and swapped in whole (`tables`); a thread that counts looks them up through a
//! cache of its own (`locator`). What would have to wait - reverse DNS, a shared
//! cache - happens behind bounded queues, for the few clients that matter: what
//! is not known yet is told without it, and counted.

pub mod customers;
pub mod exchange;
pub mod geo;
pub mod locator;
pub mod networks;
pub mod prefixes;
pub mod privacy;
pub mod reload;
pub mod reverse_dns;
pub mod stream;
pub mod table_file;
pub mod tables;
pub mod watch;
