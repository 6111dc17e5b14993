//! The kernel programs, packet by packet: the table is the specification.
//!
//! Each packet runs through all three programs, with and without a look into
//! tunnels. The verdict, every field of the records and every single counter
//! must be as written here by hand.

mod case;
mod handshakes;
mod layers;
mod messages;
mod migration;
mod sampling;
mod streams;
mod whole;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use dns_wire::{Settings, counters::Role, locate::NotDns, reject::Reject};
use integration_tests::{
    kernel::{Conservation, Kernel, described, difference, hook_of},
    packet::{Dns, Ipv4, Udp, frame, name},
    privileged,
};
use xdsc::source::live::{probe::LoadOptions, test_run::Program};

use case::{Case, End};

/// Whether the programs look into tunnels.
#[derive(Clone, Copy, Debug)]
enum Tunnels {
    LookInto,
    PassBy,
}

fn kernel(tunnels: Tunnels) -> Result<Kernel> {
    let look = matches!(tunnels, Tunnels::LookInto);
    Kernel::load(&LoadOptions {
        settings: Settings::default().with_decapsulation(look),
        ..LoadOptions::default()
    })
}

/// XDP_PASS, and TC's "the next one decides".
const fn pass(program: Program) -> i32 {
    match program {
        Program::XdpIngress => 2,
        Program::TcIngress | Program::TcEgress => -1,
    }
}

/// Packets that are the same with and without a look into tunnels.
fn cases() -> Vec<Case> {
    [
        layers::link(),
        layers::ipv4(),
        layers::ipv6(),
        layers::fragments(),
        layers::transports(),
        layers::control(),
        layers::icmp(),
        layers::broken_transports(),
        messages::names(),
        messages::cut_everywhere(),
        messages::edns(),
        messages::questions(),
        messages::query_sizes(),
        messages::responses(),
        messages::kinds(),
        streams::whole(),
        streams::raw_segments(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn tunnel_cases(tunnels: Tunnels) -> Vec<Case> {
    let packets = layers::tunnels()
        .into_iter()
        .chain(layers::broken_tunnels());
    packets
        .map(|packet| {
            let expected = match tunnels {
                Tunnels::LookInto => packet.looking,
                Tunnels::PassBy => packet.passing,
            };
            Case::new(packet.name, packet.frame, expected)
        })
        .collect()
}

/// What is wrong with a run of a case.
fn complaints(kernel: &mut Kernel, program: Program, case: &Case) -> Result<Vec<String>> {
    let hook = hook_of(program);
    let before = kernel.counters(hook)?;
    let run = kernel.run(program, &case.frame)?;
    let after = kernel.counters(hook)?;
    let mut complaints = case.expected.complaints(hook, &run.records);
    if run.verdict != pass(program) {
        complaints.push(format!("verdict {}", run.verdict));
    }
    let counted = difference(&after, &before);
    let expected = case.expected.counters(hook, case.frame.len());
    if counted != expected {
        let (counted, expected) = (described(&counted), described(&expected));
        complaints.push(format!("counted {counted:?} instead of {expected:?}"));
    }
    let sums = Conservation::of(&after);
    if !sums.holds() {
        complaints.push(format!("not conserved: {sums:?}"));
    }
    Ok(complaints)
}

fn check(kernel: &mut Kernel, programs: &[Program], cases: &[Case]) -> Result<()> {
    let mut wrong = Vec::new();
    for case in cases {
        for program in programs {
            for complaint in complaints(kernel, *program, case)? {
                wrong.push(format!("{}: {}: {complaint}", program.name(), case.name));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_program_sees_every_packet_as_specified() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    for tunnels in [Tunnels::LookInto, Tunnels::PassBy] {
        let mut kernel = kernel(tunnels)?;
        check(&mut kernel, &Program::ALL, &cases())?;
        check(&mut kernel, &Program::ALL, &tunnel_cases(tunnels))?;
        check(
            &mut kernel,
            &[Program::XdpIngress],
            &layers::cut_within_ip(),
        )?;
    }
    Ok(())
}

#[test]
fn frames_in_several_buffers_are_read_to_their_end() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut kernel = kernel(Tunnels::PassBy)?;
    check(
        &mut kernel,
        &[Program::XdpIngress],
        &streams::in_several_buffers(),
    )
}

/// Between two resolvers both ports are 53, and only QR tells who asks.
#[test]
fn between_two_servers_the_header_tells_the_role() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut kernel = kernel(Tunnels::PassBy)?;
    let of = |flags| {
        let message = Dns::query(&name("example"), 6).flags(flags).bytes();
        frame(&Ipv4::default().carry(&Udp::between(53, 53).carry(&message)))
    };
    let (query, response) = (of(Dns::QUERY), of(Dns::RESPONSE));
    for (program, frame, role) in [
        (Program::XdpIngress, &query, Role::Server),
        (Program::XdpIngress, &response, Role::Client),
        (Program::TcIngress, &query, Role::Server),
        (Program::TcIngress, &response, Role::Client),
        (Program::TcEgress, &query, Role::Client),
        (Program::TcEgress, &response, Role::Server),
    ] {
        let run = kernel.run(program, frame)?;
        let roles: Vec<_> = run.records.iter().map(|record| record.role).collect();
        assert_eq!(roles, [role], "{program:?}");
    }
    Ok(())
}

/// What arrives by XDP and what leaves by TC must meet in one transaction.
#[test]
fn query_and_response_have_the_same_hash() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut kernel = kernel(Tunnels::PassBy)?;
    let to_server = Ipv4::default();
    let to_client = Ipv4 {
        source: to_server.destination,
        destination: to_server.source,
        ..Ipv4::default()
    };
    let mut hash = |program, ip: &Ipv4, udp: Udp, id| -> Result<u32> {
        let message = Dns {
            id,
            ..Dns::query(&name("example"), 6)
        }
        .bytes();
        let run = kernel.run(program, &frame(&ip.carry(&udp.carry(&message))))?;
        Ok(run.records.first().context("no record")?.hash)
    };
    let query = hash(Program::XdpIngress, &to_server, Udp::query(), 7)?;
    let response = hash(Program::TcEgress, &to_client, Udp::response(), 7)?;
    let other = hash(Program::XdpIngress, &to_server, Udp::query(), 8)?;
    assert_eq!(query, response);
    assert_ne!(query, other);
    Ok(())
}

/// Link layers are at least 14 octets long: the kernel takes no shorter frames.
#[test]
fn shortest_frames_pass() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut kernel = kernel(Tunnels::PassBy)?;
    for program in Program::ALL {
        let run = kernel.run(program, &[0; 14])?;
        assert_eq!(run.verdict, pass(program));
        assert!(kernel.run(program, &[0; 13]).is_err(), "{program:?}");
    }
    Ok(())
}

#[test]
fn table_has_every_reason_to_reject() {
    let table = cases()
        .into_iter()
        .chain(tunnel_cases(Tunnels::LookInto))
        .filter_map(|case| match case.expected.end {
            End::Rejected(reason) => Some(reason),
            End::Dns(_) | End::Segment(_) | End::NotDns(..) | End::Icmp(..) | End::Fragment => None,
        });
    let mut found: BTreeSet<_> = table.collect();
    // Only captures end before the packet does.
    assert!(found.insert(Reject::Snapped));
    assert_eq!(found, Reject::ALL.iter().copied().collect());
}

#[test]
fn table_has_every_kind_that_is_not_dns() {
    let table = cases()
        .into_iter()
        .filter_map(|case| match case.expected.end {
            End::NotDns(kind, _) | End::Icmp(kind, _) => Some(kind),
            End::Dns(_) | End::Segment(_) | End::Rejected(_) | End::Fragment => None,
        });
    let found: BTreeSet<_> = table.collect();
    assert_eq!(found, NotDns::ALL.iter().copied().collect());
}

#[test]
fn no_two_packets_have_the_same_name() {
    let mut names = BTreeSet::new();
    for case in cases().into_iter().chain(tunnel_cases(Tunnels::LookInto)) {
        assert!(
            names.insert(case.name.clone()),
            "{} stands twice",
            case.name
        );
    }
}
