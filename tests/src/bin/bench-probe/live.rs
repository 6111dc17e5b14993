//! Packets per second through a pair of virtual interfaces with a program at
//! them: what arrives, from the kernel's own generator, natively in XDP; and what
//! leaves, responses from a socket, in TC.
//!
//! Generator, cable and program share a CPU, so a rate says what one packet costs
//! in all. The programs take turns.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use dns_wire::counters::{Counters, Delivery, Hook, Outcome};
use integration_tests::network::{CLIENT_INTERFACES, INTERFACES, Network, Side, in_network};

use crate::{
    packets,
    programs::{Baseline, PROGRAM_CPU, Program, Real, pin},
};

/// Turns of every program.
const TURNS: usize = 9;
/// Packets of a turn.
const FRAMES: u32 = 300_000;
const RESPONSES: u32 = 100_000;
/// Where responses come from, and where they go.
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 53);
const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 2), 40_053);

/// Packets per second, by key, and the share of the records that arrived.
pub(crate) struct Rates {
    pub(crate) rates: Vec<(&'static str, Vec<f64>)>,
    pub(crate) delivered_share: f64,
}

/// Measures all.
pub(crate) fn measure(
    real: &mut Real,
    counting: &mut Real,
    baseline: &mut Baseline,
) -> Result<Rates> {
    let mut rates = Vec::new();
    let before = real.counters(Hook::Ingress)?;
    in_network(|network| {
        let mut programs = [
            ("live_empty_pps", &mut baseline.empty),
            ("live_counting_only_pps", &mut counting.xdp_ingress),
            ("live_pps", &mut real.xdp_ingress),
        ];
        rates.extend(arriving(network, &baseline.transmit, &mut programs)?);
        let mut programs = [
            ("live_empty_tc_pps", &mut baseline.empty_tc),
            ("live_counting_only_tc_pps", &mut counting.tc_egress),
            ("live_tc_pps", &mut real.tc_egress),
        ];
        rates.extend(leaving(network, &mut programs)?);
        Ok(())
    })?;
    let delivered_share = delivered(&real.counters(Hook::Ingress)?, &before);
    Ok(Rates {
        rates,
        delivered_share,
    })
}

type Samples = Vec<(&'static str, Vec<f64>)>;

/// Queries from the generator; the programs are at the other end.
fn arriving(
    network: &Network,
    generator: &Program,
    programs: &mut [(&'static str, &mut Program)],
) -> Result<Samples> {
    let mut samples: Samples = programs.iter().map(|(key, _)| (*key, Vec::new())).collect();
    let packet = packets::ipv4_queries().pop().context("a packet")?;
    let interface = INTERFACES[0];
    for _ in 0..TURNS {
        for ((key, program), (_, samples)) in programs.iter_mut().zip(&mut samples) {
            let attached = network.within(Side::Server, || program.attach(interface))?;
            let before = received(network, interface)?;
            let start = Instant::now();
            network.within(Side::Client, || {
                pin(PROGRAM_CPU);
                generator.generate(&packet, FRAMES, CLIENT_INTERFACES[0])
            })?;
            let elapsed = start.elapsed();
            let received = received(network, interface)? - before;
            program.detach(attached)?;
            ensure!(
                received > u64::from(FRAMES) / 2,
                "{key}: {received} of {FRAMES} frames arrived"
            );
            samples.push(received as f64 / elapsed.as_secs_f64());
        }
    }
    Ok(samples)
}

/// Responses from a socket; the programs are at its interface.
fn leaving(network: &Network, programs: &mut [(&'static str, &mut Program)]) -> Result<Samples> {
    let mut samples: Samples = programs.iter().map(|(key, _)| (*key, Vec::new())).collect();
    // Somebody must take them, or every one would be answered by ICMP.
    let _client = network.within(Side::Client, || Ok(UdpSocket::bind(CLIENT)?))?;
    let server = network.within(Side::Server, || Ok(UdpSocket::bind(SERVER)?))?;
    let response = packets::response(1);
    for _ in 0..TURNS {
        for ((_, program), (_, samples)) in programs.iter_mut().zip(&mut samples) {
            let attached = network.within(Side::Server, || program.attach(INTERFACES[0]))?;
            let start = Instant::now();
            for _ in 0..RESPONSES {
                server.send_to(&response, CLIENT)?;
            }
            let elapsed = start.elapsed();
            program.detach(attached)?;
            samples.push(f64::from(RESPONSES) / elapsed.as_secs_f64());
        }
    }
    Ok(samples)
}

/// Packets that an interface of the server's has received.
fn received(network: &Network, interface: &str) -> Result<u64> {
    let text = network.output(Side::Server, "ip", &["-s", "-j", "link", "show", interface])?;
    let links: serde_json::Value = serde_json::from_str(&text)?;
    links
        .pointer("/0/stats64/rx/packets")
        .and_then(serde_json::Value::as_u64)
        .with_context(|| format!("no count of packets in: {text}"))
}

/// The share of the messages whose record is in the ring.
fn delivered(after: &Counters, before: &Counters) -> f64 {
    let delivered = after.records(Delivery::Delivered) - before.records(Delivery::Delivered);
    let messages = after.outcomes(Outcome::Dns) - before.outcomes(Outcome::Dns);
    delivered as f64 / messages as f64
}
