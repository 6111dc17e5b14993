//! Packets per second through a pair of virtual interfaces with a program at
//! them: what arrives, natively in XDP; and what leaves, in TC, behind the kernel's
//! forwarding, since its generator makes frames that arrive only.
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
/// Where responses come from, at the first cable, and where they go, at the second.
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 2), 53);
const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 130), 40_053);

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
        rates.extend(leaving(
            network,
            &baseline.transmit,
            &mut baseline.empty,
            &mut programs,
        )?);
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
            let turn = Turn {
                key,
                frames: FRAMES,
                at: (Side::Server, interface),
            };
            samples.push(turn.rate(network, generator, &packet)?);
            program.detach(attached)?;
        }
    }
    Ok(samples)
}

/// Responses from the generator at the first cable, forwarded to the second; the
/// programs are where they leave.
fn leaving(
    network: &Network,
    generator: &Program,
    arrival: &mut Program,
    programs: &mut [(&'static str, &mut Program)],
) -> Result<Samples> {
    network.add_second_cable()?;
    let [arrives, leaves] = INTERFACES;
    let there = mac(network, Side::Client, CLIENT_INTERFACES[1])?;
    let here = mac(network, Side::Server, arrives)?;
    let route = format!(
        "echo 1 > /proc/sys/net/ipv4/ip_forward && \
         ip neighbor replace {} lladdr {there} dev {leaves}",
        CLIENT.0
    );
    network.output(Side::Server, "sh", &["-c", &route])?;
    // Somebody must take them, or ICMP would answer.
    let _client = network.within(Side::Client, || Ok(UdpSocket::bind(CLIENT)?))?;
    let packet = packets::routed_response(&here, SERVER, CLIENT)?;
    // A cable takes live frames only where XDP is at the other end.
    let kept = network.within(Side::Server, || arrival.attach(arrives))?;
    let mut samples: Samples = programs.iter().map(|(key, _)| (*key, Vec::new())).collect();
    for _ in 0..TURNS {
        for ((key, program), (_, samples)) in programs.iter_mut().zip(&mut samples) {
            let attached = network.within(Side::Server, || program.attach(leaves))?;
            let turn = Turn {
                key,
                frames: RESPONSES,
                at: (Side::Client, CLIENT_INTERFACES[1]),
            };
            samples.push(turn.rate(network, generator, &packet)?);
            program.detach(attached)?;
        }
    }
    arrival.detach(kept)?;
    Ok(samples)
}

/// What the generator sends, and where it must arrive.
struct Turn {
    key: &'static str,
    frames: u32,
    at: (Side, &'static str),
}

impl Turn {
    /// Packets that arrived per second.
    fn rate(&self, network: &Network, generator: &Program, packet: &[u8]) -> Result<f64> {
        let before = received(network, self.at)?;
        let start = Instant::now();
        network.within(Side::Client, || {
            pin(PROGRAM_CPU);
            generator.generate(packet, self.frames, CLIENT_INTERFACES[0])
        })?;
        let elapsed = start.elapsed();
        let received = received(network, self.at)? - before;
        ensure!(
            received > u64::from(self.frames) / 2,
            "{}: {received} of {} frames arrived",
            self.key,
            self.frames
        );
        Ok(received as f64 / elapsed.as_secs_f64())
    }
}

/// An interface's address.
fn mac(network: &Network, side: Side, interface: &str) -> Result<String> {
    let link = link(network, side, interface)?;
    let address = link
        .pointer("/0/address")
        .and_then(serde_json::Value::as_str);
    Ok(address.context("an interface without address")?.to_owned())
}

/// Packets that an interface has received.
fn received(network: &Network, (side, interface): (Side, &str)) -> Result<u64> {
    link(network, side, interface)?
        .pointer("/0/stats64/rx/packets")
        .and_then(serde_json::Value::as_u64)
        .context("an interface without count of packets")
}

/// What `ip` says of an interface.
fn link(network: &Network, side: Side, interface: &str) -> Result<serde_json::Value> {
    let text = network.output(side, "ip", &["-s", "-j", "link", "show", interface])?;
    Ok(serde_json::from_str(&text)?)
}

/// The share of the messages whose record is in the ring.
fn delivered(after: &Counters, before: &Counters) -> f64 {
    let delivered = after.records(Delivery::Delivered) - before.records(Delivery::Delivered);
    let messages = after.outcomes(Outcome::Dns) - before.outcomes(Outcome::Dns);
    delivered as f64 / messages as f64
}
