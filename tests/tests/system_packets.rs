//! DNS in frames that no client sends: tagged, cut, wrapped.

use anyhow::{Result, ensure};
use integration_tests::network::{
    daemon::Daemon,
    exposition::Samples,
    frame::{
        GRE, IP_IN_IP, IPV4, MORE_FRAGMENTS, PROVIDER_VLAN, Sender, UDP, VLAN, ethernet, gre, ipv4,
        ipv4_fragment, query, udp,
    },
    in_network,
};

/// Queries in the frames, and fragments other than the first.
const QUERIES: u64 = 7;
const LATER_FRAGMENTS: u64 = 1;

fn frames() -> Vec<Vec<u8>> {
    let whole = |id| ipv4(UDP, &udp(&query(id, 0)));
    // The offset is in units of 8 octets (RFC 791).
    let large = udp(&query(6, 2000));
    let (first, rest) = large.split_at(1480);
    vec![
        ethernet(&[], IPV4, &whole(0)),
        ethernet(&[VLAN], IPV4, &whole(1)),
        ethernet(&[PROVIDER_VLAN], IPV4, &whole(2)),
        ethernet(&[PROVIDER_VLAN, VLAN], IPV4, &whole(3)),
        ethernet(&[], IPV4, &ipv4(IP_IN_IP, &whole(4))),
        ethernet(&[VLAN], IPV4, &ipv4(GRE, &gre(&whole(5)))),
        ethernet(&[], IPV4, &ipv4_fragment(MORE_FRAGMENTS, UDP, first)),
        ethernet(&[], IPV4, &ipv4_fragment(1480 / 8, UDP, rest)),
    ]
}

#[test]
fn odd_frames_are_counted_by_native_xdp() -> Result<()> {
    odd_frames_are_counted("native")
}

#[test]
fn odd_frames_are_counted_by_generic_xdp() -> Result<()> {
    odd_frames_are_counted("generic")
}

#[test]
fn odd_frames_are_counted_by_tcx() -> Result<()> {
    odd_frames_are_counted("tcx")
}

fn odd_frames_are_counted(mode: &str) -> Result<()> {
    in_network(|network| {
        let config = format!("[probe]\nxdp_mode = \"{mode}\"\ndecapsulate = true\n");
        let daemon = Daemon::start(network, &config)?;
        let sender = Sender::new(network)?;
        for frame in frames() {
            sender.send(&frame)?;
        }
        let samples = daemon.quiet()?;
        ensure!(queries(&samples)? == QUERIES, "{}", queries(&samples)?);
        ensure!(outcome(&samples, "fragment")? == LATER_FRAGMENTS);
        ensure!(outcome(&samples, "rejected")? == 0);
        // Seven of them ask for the address of www.example.
        let labels = [("type", "query"), ("qtype", "A")];
        let addresses = samples.count("xdsc_dns_qtype_messages_total", &labels)?;
        ensure!(addresses == QUERIES, "{addresses}");
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn tunnels_are_not_looked_into_unasked() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "")?;
        let sender = Sender::new(network)?;
        for frame in frames() {
            sender.send(&frame)?;
        }
        let samples = daemon.quiet()?;
        ensure!(queries(&samples)? == QUERIES - 2, "{}", queries(&samples)?);
        daemon.stop()?;
        Ok(())
    })
}

fn queries(samples: &Samples) -> Result<u64> {
    let labels = [("hook", "ingress"), ("role", "server"), ("type", "query")];
    samples.count("xdsc_dns_messages_total", &labels)
}

fn outcome(samples: &Samples, outcome: &str) -> Result<u64> {
    let labels = [("hook", "ingress"), ("outcome", outcome)];
    samples.count("xdsc_packet_outcomes_total", &labels)
}
