//! The cases of the test runs: which program on which packets, and that each
//! packet went the way that its case is named after.

use anyhow::{Context as _, Result, ensure};
use dns_wire::counters::{Delivery, Hook, Outcome};

use crate::{
    figures::Figures,
    packets,
    programs::{Baseline, Consumer, Program, Real},
};

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

/// Runs all cases, turn by turn.
pub(crate) fn run(
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
