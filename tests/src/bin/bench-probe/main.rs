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

mod figures;
mod live;
mod packets;
mod programs;

use std::{
    env,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result, ensure};
use dns_wire::{
    Settings,
    counters::{Delivery, Hook, Outcome},
};
use integration_tests::bench::pin;

use crate::{
    figures::Figures,
    programs::{Baseline, Consumer, PROGRAM_CPU, Program, Real},
};

/// Turns of every case.
const ROUNDS: usize = 61;
/// Runs of a case in a round: two lines each fill half of a ring, which is where
/// sampling would begin if nothing were taken away.
const RUNS: u32 = 16_000;

/// A program and what it is run on.
struct Case<'a> {
    key: &'static str,
    program: &'a Program,
    packets: Vec<Vec<u8>>,
    /// Takes the records, where the case makes any.
    consumer: Option<&'a Consumer>,
    /// The empty program to compare with.
    empty: &'static str,
    samples: Vec<f64>,
}

const EMPTY: &str = "empty_ns";
const EMPTY_TC: &str = "empty_tc_ns";

fn main() -> Result<()> {
    pin(PROGRAM_CPU)?;
    let rounds = env::args().nth(1).map_or(Ok(ROUNDS), |n| n.parse())?;
    let settings = Settings::default();
    let mut real = Real::load(settings)?;
    let mut counting = Real::load(settings.with_count_only(true))?;
    let mut baseline = Baseline::load(settings)?;
    let mut figures = Figures::default();
    test_runs(&real, &counting, &baseline, rounds, &mut figures)?;
    let rates = live::measure(&mut real, &mut counting, &mut baseline)?;
    figures.add_rates(&rates);
    let mut out = io::stdout().lock();
    figures.table(&mut out)?;
    writeln!(out, "{}", figures.json())?;
    Ok(())
}

fn test_runs(
    real: &Real,
    counting: &Real,
    baseline: &Baseline,
    rounds: usize,
    figures: &mut Figures,
) -> Result<()> {
    let mut cases = cases(real, counting, baseline);
    for _ in 0..rounds {
        for case in &mut cases {
            case.round()?;
        }
    }
    check(real, counting, baseline, rounds)?;
    for case in cases {
        figures.add(case.key, case.empty, &case.samples);
    }
    figures.compare_ring_buffers();
    Ok(())
}

#[rustfmt::skip]
fn cases<'a>(real: &'a Real, counting: &'a Real, baseline: &'a Baseline) -> Vec<Case<'a>> {
    let xdp = &real.xdp_ingress;
    let ours = &real.consumer;
    let kernels = &baseline.consumer;
    vec![
        Case::new(EMPTY, &baseline.empty, packets::ipv4_queries()),
        Case::new("non_dns_udp_ns", xdp, packets::other_udp()),
        Case::new("non_dns_tcp_ns", xdp, packets::other_tcp()),
        Case::new("counting_only_ns", &counting.xdp_ingress, packets::ipv4_queries()),
        Case::new("ipv4_query_ns", xdp, packets::ipv4_queries()).taken_by(ours),
        Case::new("ipv6_query_ns", xdp, packets::ipv6_queries()).taken_by(ours),
        Case::new("ipv4_query_built_ns", &baseline.build, packets::ipv4_queries()),
        Case::new("ipv4_query_ringbuf_reserve_ns", &baseline.reserve, packets::ipv4_queries())
            .taken_by(kernels),
        Case::new("ipv4_query_ringbuf_output_ns", &baseline.output, packets::ipv4_queries())
            .taken_by(kernels),
        Case::new(EMPTY_TC, &baseline.empty_tc, packets::responses()),
        Case::new("non_dns_tcp_egress_ns", &real.tc_egress, packets::other_tcp()).on_egress(),
        Case::new("response_ns", &real.tc_egress, packets::responses())
            .taken_by(ours)
            .on_egress(),
    ]
}

impl<'a> Case<'a> {
    fn new(key: &'static str, program: &'a Program, packets: Vec<Vec<u8>>) -> Self {
        Self {
            key,
            program,
            packets,
            consumer: None,
            empty: EMPTY,
            samples: Vec::new(),
        }
    }

    fn taken_by(mut self, consumer: &'a Consumer) -> Self {
        self.consumer = Some(consumer);
        self
    }

    fn on_egress(mut self) -> Self {
        self.empty = EMPTY_TC;
        self
    }

    /// Runs all packets, the same number of times; their mean is a sample.
    fn round(&mut self) -> Result<()> {
        let repeat = RUNS / self.packets.len() as u32;
        let mut sum = 0.0;
        for packet in &self.packets {
            sum += self.program.run(packet, repeat)?;
        }
        self.samples.push(sum / self.packets.len() as f64);
        match self.consumer {
            Some(consumer) => consumer.wait_for(u64::from(RUNS)).context(self.key),
            None => Ok(()),
        }
    }
}

/// Every packet must have gone the way that its case is named after.
fn check(real: &Real, counting: &Real, baseline: &Baseline, rounds: usize) -> Result<()> {
    let runs = rounds as u64 * u64::from(RUNS);
    let ingress = real.counters(Hook::Ingress)?;
    let egress = real.counters(Hook::Egress)?;
    let counted = counting.counters(Hook::Ingress)?;
    let compared = baseline.counters()?;
    let expected = [
        ("queries delivered", ingress.records(Delivery::Delivered), 2),
        ("queries", ingress.outcomes(Outcome::Dns), 2),
        (
            "other packets that arrived",
            ingress.outcomes(Outcome::NotDns),
            2,
        ),
        (
            "responses delivered",
            egress.records(Delivery::Delivered),
            1,
        ),
        ("responses", egress.outcomes(Outcome::Dns), 1),
        (
            "other packets that left",
            egress.outcomes(Outcome::NotDns),
            1,
        ),
        (
            "queries counted only",
            counted.records(Delivery::CountOnly),
            1,
        ),
        (
            "queries through ring buffers, or built only",
            compared.records(Delivery::Delivered),
            3,
        ),
    ];
    for (what, number, cases) in expected {
        ensure!(
            number == cases * runs,
            "{what}: {number} instead of {}; the figures mean nothing",
            cases * runs
        );
    }
    Ok(())
}
