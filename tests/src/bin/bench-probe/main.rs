//! What a packet costs in the kernel programs, by the kernel's own test runs.
//!
//! All cases take turns in every round, so that what else the machine does hits
//! all alike. Records are taken away by a thread on another CPU, and every one
//! must arrive: a ring that is full costs less. A case of DNS is eight packets,
//! of which one gets the precise time, as in the default configuration.
//!
//! TC runs on egress are compared with an empty TC program. Then the programs are
//! attached, and packets counted by the second.
//!
//! The last line is JSON. Its keys, medians in ns unless said otherwise:
//! - `empty_ns`, `empty_tc_ns`: an empty program, what a test run costs by itself.
//! - `non_dns_udp_ns`, `non_dns_tcp_ns`, `non_dns_tcp_egress_ns`: a packet on ports
//!   that nobody watches.
//! - `counting_only_ns`: a query that is parsed and counted, with no record.
//! - `ipv4_query_ns`, `ipv6_query_ns`, `response_ns`: with a record handed on.
//! - `ipv4_query_built_ns`: with a record built in memory of its own.
//! - `ipv4_query_ringbuf_reserve_ns`, `ipv4_query_ringbuf_output_ns`: the same
//!   record through the kernel's ring buffer; `ipv4_query_ringbuf_ns` is the less.
//! - `ringbuf_ratio`, `ringbuf_ratio_above_empty`, `ringbuf_ratio_above_counting`:
//!   how many times as much that is, in all, and above those programs.
//! - `part_port_test_ns`, `part_counting_ns`, `part_building_ns`,
//!   `part_hand_over_ns`, `part_ringbuf_hand_over_ns`: differences of the above:
//!   what a query costs, step by step.
//! - `live_empty_pps`, `live_counting_only_pps`, `live_pps`, and the same with
//!   `_tc_`: packets per second on a cable, the median of the turns in which nothing
//!   was sampled out; of the transactions one in eight is paired here, too.
//! - `live_delivered_share`: records of those that arrived, per message, in all turns.
//! - `live_turns_sampled`: turns that were left out, since something was sampled out.

mod cases;
mod figures;
mod live;
mod packets;
mod programs;

use std::{
    env,
    io::{self, Write as _},
};

use anyhow::Result;
use dns_wire::Settings;
use integration_tests::bench::pin;

use crate::{
    figures::Figures,
    programs::{Baseline, PROGRAM_CPU, Real},
};

/// Turns of every case.
const ROUNDS: usize = 61;

fn main() -> Result<()> {
    pin(PROGRAM_CPU)?;
    let rounds = env::args().nth(1).map_or(Ok(ROUNDS), |n| n.parse())?;
    let settings = Settings::default();
    let mut real = Real::load(settings)?;
    let mut counting = Real::load(settings.with_count_only(true))?;
    let mut baseline = Baseline::load(settings)?;
    let mut figures = Figures::default();
    cases::run(&real, &counting, &baseline, rounds, &mut figures)?;
    let rates = live::measure(&mut real, &mut counting, &mut baseline)?;
    figures.add_rates(&rates);
    let mut out = io::stdout().lock();
    figures.table(&mut out)?;
    writeln!(out, "{}", figures.json())?;
    Ok(())
}
