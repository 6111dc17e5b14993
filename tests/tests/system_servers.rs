//! xdsc beside real name servers: its numbers are those of the client and of the
//! server.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    INTERFACES, Network, SECOND_SERVER, SERVER,
    client::{Load, Transport, kdig},
    daemon::Daemon,
    eventually,
    exposition::Samples,
    in_network,
    server::{HUGE, Kind, NameServer},
};

/// Every transaction is paired, so that the pairing can be held to equality.
const PAIR_ALL: &str = "[pairing]\none_in = 1\n";

/// Two threads, which hand TCP segments to each other.
const TWO_THREADS: &str = "[pairing]\none_in = 1\n[ring]\ndrain_threads = 2\n";

const QUESTIONS: [(&str, &str); 6] = [
    ("www.example", "A"),
    ("www.example", "AAAA"),
    ("example", "MX"),
    ("example", "SOA"),
    ("text.example", "TXT"),
    ("absent.example", "A"),
];

#[test]
fn knot_and_dnsperf_over_udp() -> Result<()> {
    everyone_agrees(Kind::Knot, Transport::Udp, PAIR_ALL)
}

#[test]
fn knot_and_dnsperf_over_tcp() -> Result<()> {
    everyone_agrees(Kind::Knot, Transport::Tcp, PAIR_ALL)
}

#[test]
fn nsd_and_dnsperf_over_udp() -> Result<()> {
    everyone_agrees(Kind::Nsd, Transport::Udp, TWO_THREADS)
}

#[test]
fn nsd_and_dnsperf_over_tcp() -> Result<()> {
    everyone_agrees(Kind::Nsd, Transport::Tcp, TWO_THREADS)
}

/// By IPv4, then by IPv6.
fn everyone_agrees(kind: Kind, transport: Transport, config: &str) -> Result<()> {
    in_network(|network| {
        let server = NameServer::start(network, kind)?;
        let daemon = Daemon::start(network, config)?;
        for address in SERVER {
            let load = Load {
                server: address,
                transport,
                questions: &QUESTIONS,
                rounds: 500,
                rate: None,
            };
            load_is_counted(&load, network, &server, &daemon)
                .with_context(|| format!("by {}", family(address)))?;
        }
        daemon.stop()?;
        Ok(())
    })
}

fn load_is_counted(
    load: &Load<'_>,
    network: &Network,
    server: &NameServer<'_>,
    daemon: &Daemon<'_>,
) -> Result<()> {
    let (account, before) = (server.account()?, daemon.quiet()?);
    let tally = load.run(network)?;
    let account = server.account()?.since(&account);
    let counted = Counted::between(&before, &settled(daemon)?, load)?;

    // The experiment itself: nothing got lost on the cable.
    ensure!(tally.sent == 6 * load.rounds && tally.completed == tally.sent);
    ensure!(account.queries == tally.sent, "{account:?}");
    // xdsc.
    ensure!(counted.queries == tally.sent, "{counted:?} {tally:?}");
    ensure!(
        counted.responses == tally.completed,
        "{counted:?} {tally:?}"
    );
    ensure!(counted.rcodes == tally.rcodes, "{counted:?} {tally:?}");
    ensure!(counted.rcodes == account.rcodes, "{counted:?} {account:?}");
    ensure!(counted.qtypes == load.qtypes(), "{counted:?}");
    ensure!(counted.qtypes == account.qtypes, "{counted:?} {account:?}");
    ensure!(counted.answered == tally.completed, "{counted:?}");
    ensure!(counted.timed == tally.completed, "{counted:?}");
    ensure!(counted.unpaired == 0, "{counted:?}");
    // A SYN-ACK that was sent twice tells no time.
    let timed = counted.handshakes <= counted.connections;
    let any = (counted.handshakes > 0) == (load.transport.name() == "tcp");
    ensure!(timed && any, "{counted:?}");
    Ok(())
}

/// What xdsc counted of a load.
#[derive(Debug)]
struct Counted {
    queries: u64,
    responses: u64,
    rcodes: std::collections::BTreeMap<String, u64>,
    qtypes: std::collections::BTreeMap<String, u64>,
    answered: u64,
    timed: u64,
    unpaired: u64,
    connections: u64,
    handshakes: u64,
}

impl Counted {
    fn between(before: &Samples, after: &Samples, load: &Load<'_>) -> Result<Self> {
        let transport = load.transport.name();
        let of = |samples: &Samples| -> Result<Self> {
            let messages = |hook, kind| {
                let labels = [
                    ("hook", hook),
                    ("role", "server"),
                    ("family", family(load.server)),
                    ("transport", transport),
                    ("type", kind),
                ];
                samples.count("xdsc_dns_messages_total", &labels)
            };
            let transactions = |outcome| {
                let labels = [
                    ("role", "server"),
                    ("transport", transport),
                    ("outcome", outcome),
                ];
                samples.count("xdsc_transactions_total", &labels)
            };
            Ok(Self {
                queries: messages("ingress", "query")?,
                responses: messages("egress", "response")?,
                rcodes: samples.by("rcode", "xdsc_dns_rcode_responses_total", &[])?,
                qtypes: samples.by(
                    "qtype",
                    "xdsc_dns_qtype_messages_total",
                    &[("type", "query")],
                )?,
                answered: transactions("answered")?,
                timed: samples.count(
                    "xdsc_response_time_seconds_count",
                    &[("role", "server"), ("transport", transport)],
                )?,
                unpaired: transactions("unanswered")? + transactions("unsolicited")?,
                connections: samples.count(
                    "xdsc_tcp_events_total",
                    &[("hook", "ingress"), ("event", "syn")],
                )?,
                handshakes: samples.count(
                    "xdsc_tcp_handshake_rtt_seconds_count",
                    &[("family", family(load.server))],
                )?,
            })
        };
        let (before, mut after) = (of(before)?, of(after)?);
        for (counts, earlier) in [
            (&mut after.rcodes, &before.rcodes),
            (&mut after.qtypes, &before.qtypes),
        ] {
            for (key, count) in earlier {
                *counts.entry(key.clone()).or_default() -= count;
            }
        }
        Ok(Self {
            queries: after.queries - before.queries,
            responses: after.responses - before.responses,
            answered: after.answered - before.answered,
            timed: after.timed - before.timed,
            unpaired: after.unpaired - before.unpaired,
            connections: after.connections - before.connections,
            handshakes: after.handshakes - before.handshakes,
            ..after
        })
    }
}

/// The metrics once silent, with no transaction open.
fn settled(daemon: &Daemon<'_>) -> Result<Samples> {
    eventually("every query to be paired or given up", || {
        let samples = daemon.quiet()?;
        let pending = samples.count("xdsc_pairing_pending", &[])?;
        ensure!(pending == 0, "{pending} transactions wait");
        Ok(samples)
    })
}

const fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

#[test]
fn truncated_answer_is_asked_for_again_over_tcp() -> Result<()> {
    for kind in [Kind::Knot, Kind::Nsd] {
        in_network(|network| {
            let _server = NameServer::start(network, kind)?;
            let daemon = Daemon::start(network, PAIR_ALL)?;
            for address in SERVER {
                let answer = kdig(network, address, &[HUGE, "TXT"])?;
                ensure!(answer.contains("(TCP)"), "{answer}");
            }
            let samples = settled(&daemon)?;
            let messages = |kind, transport| {
                samples.by(
                    "family",
                    "xdsc_dns_messages_total",
                    &[("type", kind), ("transport", transport)],
                )
            };
            let once_each = [("ipv4".to_owned(), 1), ("ipv6".to_owned(), 1)].into();
            for kind in ["query", "response"] {
                for transport in ["udp", "tcp"] {
                    let counts = messages(kind, transport)?;
                    ensure!(counts == once_each, "{kind} {transport}: {counts:?}");
                }
            }
            let truncated = samples.count(
                "xdsc_dns_flag_messages_total",
                &[("type", "response"), ("flag", "TC"), ("role", "server")],
            )?;
            ensure!(truncated == 2, "{truncated} responses with TC");
            // 60 strings of 200 octets, each with its length, in each answer.
            let large = samples.sum(
                "xdsc_dns_response_size_bytes_sum",
                &[("transport", "tcp"), ("role", "server")],
            )?;
            ensure!(large > 2.0 * 60.0 * 201.0, "{large} octets by TCP");
            daemon.stop()?;
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn one_daemon_counts_both_of_its_interfaces() -> Result<()> {
    in_network(|network| {
        network.add_second_cable()?;
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start_at(network, &INTERFACES, PAIR_ALL)?;
        let mut sent = 0;
        for server in [SERVER[0], SECOND_SERVER[0], SECOND_SERVER[1]] {
            let load = Load {
                server,
                transport: Transport::Udp,
                questions: &QUESTIONS,
                rounds: 20,
                rate: None,
            };
            sent += load.run(network)?.completed;
        }
        let samples = settled(&daemon)?;
        for kind in ["query", "response"] {
            let counted = samples.count("xdsc_dns_messages_total", &[("type", kind)])?;
            ensure!(counted == sent, "{kind}: {counted} of {sent}");
        }
        let places = samples.values_of("interface", "xdsc_attachment_info", &[]);
        ensure!(places.len() == 2, "{places:?}");
        daemon.stop()?;
        Ok(())
    })
}
