//! The round-trip time of handshakes, from one hook to the other.

use anyhow::{Result, ensure};
use dns_wire::{Settings, counters::Hook, locate::Family};
use integration_tests::{
    kernel::Kernel,
    packet::{Ipv4, Ipv6, Tcp, flag, frame},
    privileged,
};
use xdsc::source::live::{probe::LoadOptions, test_run::Program};

/// The server's number; the client acknowledges the next.
const SERVER: u32 = 0xffff_ffff;

fn syn_ack() -> Tcp {
    Tcp {
        sequence: SERVER,
        flags: flag::SYN | flag::ACK,
        ..Tcp::between(53, 40_000)
    }
}

fn ack(acknowledgement: u32) -> Tcp {
    Tcp {
        acknowledgement,
        ..Tcp::flagged(flag::ACK)
    }
}

/// A step of a handshake: the program that sees it, and what it sees.
type Step = (Program, Tcp);

fn leaves(tcp: Tcp) -> Step {
    (Program::TcEgress, tcp)
}

fn arrives(tcp: Tcp) -> Step {
    (Program::XdpIngress, tcp)
}

fn packet(family: Family, (program, tcp): &Step) -> Vec<u8> {
    let (v4, v6) = (Ipv4::default(), Ipv6::default());
    let back = *program == Program::TcEgress;
    let payload = tcp.carry(&[]);
    match family {
        Family::Ipv6 if back => frame(
            &Ipv6 {
                source: v6.destination,
                destination: v6.source,
                ..v6
            }
            .carry(&payload),
        ),
        Family::Ipv6 => frame(&v6.carry(&payload)),
        Family::Ipv4 | Family::Other if back => frame(
            &Ipv4 {
                source: v4.destination,
                destination: v4.source,
                ..v4
            }
            .carry(&payload),
        ),
        Family::Ipv4 | Family::Other => frame(&v4.carry(&payload)),
    }
}

/// Handshakes that were timed, and the nanoseconds that they took.
fn timed(family: Family, steps: &[Step]) -> Result<(u64, u64)> {
    let mut kernel = Kernel::load(&LoadOptions {
        settings: Settings::default(),
        ..LoadOptions::default()
    })?;
    for step in steps {
        let run = kernel.run(step.0, &packet(family, step))?;
        ensure!(run.records.is_empty());
    }
    let leaving = kernel.counters(Hook::Egress)?;
    ensure!(leaving.handshakes(family).iter().sum::<u64>() == 0);
    let arriving = kernel.counters(Hook::Ingress)?;
    let count = arriving.handshakes(family).iter().sum();
    Ok((count, arriving.handshake_ns(family)))
}

#[test]
fn handshakes_are_timed_from_syn_ack_to_ack() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let done = || arrives(ack(0));
    let with = |flags| arrives(Tcp { flags, ..done().1 });
    let of_client = (
        Program::TcEgress,
        Tcp {
            source: 40_000,
            destination: 53,
            ..syn_ack()
        },
    );
    let cases: Vec<(&str, Vec<Step>, u64)> = vec![
        ("handshake", vec![leaves(syn_ack()), done()], 1),
        ("ACK twice", vec![leaves(syn_ack()), done(), done()], 1),
        (
            "SYN-ACK twice",
            vec![leaves(syn_ack()), leaves(syn_ack()), done()],
            0,
        ),
        (
            "another number is acknowledged",
            vec![leaves(syn_ack()), arrives(ack(1))],
            0,
        ),
        (
            "old ACK before",
            vec![leaves(syn_ack()), arrives(ack(77)), done()],
            1,
        ),
        ("ACK alone", vec![done()], 0),
        (
            "RST",
            vec![leaves(syn_ack()), with(flag::RST | flag::ACK)],
            0,
        ),
        ("both arrive", vec![arrives(syn_ack()), arrives(ack(0))], 0),
        (
            "the host is the client",
            vec![
                of_client,
                arrives(Tcp {
                    source: 53,
                    destination: 40_000,
                    ..done().1
                }),
            ],
            0,
        ),
    ];
    for family in [Family::Ipv4, Family::Ipv6] {
        for (name, steps, expected) in &cases {
            let (count, took_ns) = timed(family, steps)?;
            ensure!(count == *expected, "{name} over {family:?}: {count}");
            // Between two runs lies no second, and no less than a microsecond.
            let plausible = (1000..1_000_000_000).contains(&took_ns);
            ensure!(
                plausible == (count == 1),
                "{name} over {family:?}: {took_ns} ns"
            );
        }
    }
    Ok(())
}
