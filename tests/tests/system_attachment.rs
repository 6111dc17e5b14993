//! How xdsc comes to an interface, and how it leaves.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    INTERFACES, Network, SERVER, Side,
    client::{Load, Transport},
    daemon::{Daemon, refusal},
    in_network,
    server::{Kind, NameServer},
};

const AUTO: &str = "[probe]\nxdp_mode = \"auto\"\n";
const QUESTIONS: [(&str, &str); 2] = [("www.example", "A"), ("example", "SOA")];

#[test]
fn native_xdp_and_tcx_leave_nothing_behind() -> Result<()> {
    sees_and_leaves("", "xdp_native", "tcx")
}

#[test]
fn generic_xdp_and_clsact_leave_nothing_behind() -> Result<()> {
    let config = "[probe]\nxdp_mode = \"generic\"\negress = \"clsact\"\n";
    sees_and_leaves(config, "xdp_generic", "clsact")
}

#[test]
fn tcx_both_ways_leaves_nothing_behind() -> Result<()> {
    let config = "[probe]\nxdp_mode = \"tcx\"\negress = \"tcx\"\n";
    sees_and_leaves(config, "tcx", "tcx")
}

/// As XDP makes the driver copy each packet.
#[test]
fn veth_gets_tcx_unasked() -> Result<()> {
    sees_and_leaves(AUTO, "tcx", "tcx")
}

/// The driver of a tap has XDP of its own.
#[test]
fn card_gets_native_xdp_unasked_and_tcx_where_that_is_taken() -> Result<()> {
    in_network(|network| {
        const CARD: &str = "tap0";
        let add = ["tuntap", "add", "dev", CARD, "mode", "tap"];
        network.output(Side::Server, "ip", &add)?;
        let first = Daemon::start_apart(network, CARD, 9953, AUTO)?;
        attached_as(&first, "xdp_native", "tcx")?;
        let second = Daemon::start_apart(network, CARD, 9954, AUTO)?;
        attached_as(&second, "tcx", "tcx")?;
        let log = second.log()?;
        ensure!(log.contains("WARN"), "{log}");
        ensure!(log.contains("another program holds the XDP slot"), "{log}");
        second.stop()?;
        first.stop()?;
        Ok(())
    })
}

/// There is no driver that could have XDP.
#[test]
fn loopback_gets_tcx_unasked() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start_apart(network, "lo", 9953, AUTO)?;
        attached_as(&daemon, "tcx", "tcx")?;
        let log = daemon.log()?;
        ensure!(log.contains("no native XDP here, taking tcx"), "{log}");
        daemon.stop()?;
        Ok(())
    })
}

/// Counts a load as attached, and is gone without a trace after SIGTERM.
fn sees_and_leaves(config: &str, ingress: &str, egress: &str) -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, config)?;
        attached_as(&daemon, ingress, egress)?;
        sees(&daemon, network)?;
        let objects = daemon.kernel_objects()?;
        ensure!(objects.programs.len() == 3, "{objects:?}");
        ensure!(!objects.maps.is_empty(), "{objects:?}");
        daemon.stop()?;
        objects.gone()?;
        nothing_at_interface(network)
    })
}

/// The programs hold no relocation against the kernel's types.
#[test]
fn kernel_without_btf_will_do() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start_without_btf(network)?;
        let btf = format!("/proc/{}/root/sys/kernel/btf/vmlinux", daemon.pid());
        ensure!(!std::fs::exists(btf)?);
        attached_as(&daemon, "xdp_native", "tcx")?;
        sees(&daemon, network)?;
        daemon.stop()?;
        Ok(())
    })
}

fn attached_as(daemon: &Daemon<'_>, ingress: &str, egress: &str) -> Result<()> {
    let samples = daemon.scrape()?;
    for (hook, mode) in [("ingress", ingress), ("egress", egress)] {
        let modes = samples.values_of("mode", "xdsc_attachment_info", &[("hook", hook)]);
        ensure!(modes == [mode.to_owned()].into(), "{hook}: {modes:?}");
    }
    Ok(())
}

/// Asks a few questions, and finds them counted, both ways.
fn sees(daemon: &Daemon<'_>, network: &Network) -> Result<()> {
    let count = |kind| -> Result<u64> {
        let samples = daemon.quiet()?;
        samples.count("xdsc_dns_messages_total", &[("type", kind)])
    };
    let (queries, responses) = (count("query")?, count("response")?);
    let mut sent = 0;
    for (server, transport) in [(SERVER[0], Transport::Udp), (SERVER[1], Transport::Tcp)] {
        let load = Load {
            server,
            transport,
            questions: &QUESTIONS,
            rounds: 25,
            rate: None,
        };
        let tally = load.run(network)?;
        ensure!(tally.completed == tally.sent, "{tally:?}");
        sent += tally.sent;
    }
    let (queries, responses) = (count("query")? - queries, count("response")? - responses);
    ensure!(queries == sent, "{queries} queries of {sent}");
    ensure!(responses == sent, "{responses} responses of {sent}");
    Ok(())
}

fn nothing_at_interface(network: &Network) -> Result<()> {
    let interface = INTERFACES[0];
    let qdiscs = network.output(Side::Server, "tc", &["qdisc", "show", "dev", interface])?;
    ensure!(!qdiscs.contains("clsact"), "{qdiscs}");
    let link = network.output(Side::Server, "ip", &["link", "show", interface])?;
    ensure!(!link.contains("xdp"), "{link}");
    Ok(())
}

#[test]
fn busy_xdp_slot_is_told_of_where_it_is_demanded() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let first = Daemon::start(network, "")?;
        attached_as(&first, "xdp_native", "tcx")?;

        let config = network.file("native.toml", "[probe]\nxdp_mode = \"native\"\n")?;
        let arguments = ["run", "--config", &config, "--interface", INTERFACES[0]];
        let arguments = [&arguments[..], &["--web.listen-address", "127.0.0.1:9954"]].concat();
        let refused = refusal(network, &[], &arguments)?;
        ensure!(refused.status.code() == Some(1), "{refused:?}");
        for part in [
            "cannot attach to `dns0` as xdp_native",
            "another XDP program is there",
            "xdp off",
            "leave `xdp_mode` at \"auto\"",
        ] {
            ensure!(
                refused.said.contains(part),
                "no `{part}` in {}",
                refused.said
            );
        }

        let second = Daemon::start_on_port(network, 9954, AUTO)?;
        attached_as(&second, "tcx", "tcx")?;
        // Neither takes packets away from the other.
        sees(&second, network)?;
        sees(&first, network)?;
        second.stop()?;
        sees(&first, network)?;
        first.stop()?;
        nothing_at_interface(network)
    })
}

#[test]
fn killed_daemon_leaves_the_server_answering_and_the_place_free() -> Result<()> {
    in_network(|network| {
        let server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, "")?;
        sees(&daemon, network)?;
        let objects = daemon.kernel_objects()?;
        ensure!(objects.links.len() == 2, "{objects:?}");
        daemon.kill()?;
        server.answers(Side::Client)?;
        objects.gone()?;
        nothing_at_interface(network)?;

        let again = Daemon::start(network, "")?;
        attached_as(&again, "xdp_native", "tcx")?;
        sees(&again, network)?;
        again.stop()?;
        Ok(())
    })
}

/// A program at a clsact qdisc has no link that ends with its owner: the next
/// daemon clears it away, or every packet would be parsed twice from then on.
#[test]
fn killed_daemon_at_clsact_is_cleared_away_by_the_next() -> Result<()> {
    in_network(|network| {
        const CONFIG: &str = "[probe]\negress = \"clsact\"\n";
        let server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, CONFIG)?;
        let objects = daemon.kernel_objects()?;
        daemon.kill()?;
        server.answers(Side::Client)?;

        let again = Daemon::start(network, CONFIG)?;
        objects.gone()?;
        let log = again.log()?;
        ensure!(log.contains("a killed xdsc had left"), "{log}");
        sees(&again, network)?;
        again.stop()?;
        nothing_at_interface(network)
    })
}

#[test]
fn qdisc_that_others_use_stays() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "[probe]\negress = \"clsact\"\n")?;
        // Classic BPF: return 0, no match.
        let filter = ["bpf", "bytecode", "1,6 0 0 0"];
        let add = [
            "filter",
            "add",
            "dev",
            INTERFACES[0],
            "ingress",
            "prio",
            "1",
        ];
        network.output(Side::Server, "tc", &[&add[..], &filter].concat())?;
        let objects = daemon.kernel_objects()?;
        daemon.stop()?;
        objects.gone()?;
        let show = ["filter", "show", "dev", INTERFACES[0], "ingress"];
        let filters = network.output(Side::Server, "tc", &show)?;
        ensure!(filters.contains("bytecode"), "{filters}");
        Ok(())
    })
}

#[test]
fn stop_under_load_reads_every_record_and_disturbs_nobody() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, "")?;
        let load = Load {
            server: SERVER[0],
            transport: Transport::Udp,
            questions: &QUESTIONS,
            rounds: 10_000,
            rate: Some(5_000),
        };
        let arguments = load.arguments(network)?;
        let mut client = network.command(Side::Client, "dnsperf");
        let client = client
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        integration_tests::network::eventually("queries to be counted", || {
            let seen = daemon.scrape()?.count("xdsc_dns_messages_total", &[])?;
            ensure!(seen > 2_000, "{seen} messages so far");
            Ok(())
        })?;
        let log = daemon.stop()?;
        for hook in ["ingress", "egress"] {
            let seen = Seen::of(&log, hook)?;
            ensure!(seen.dns > 1_000, "{seen:?}");
            ensure!(seen.lost == 0, "{seen:?}");
            ensure!(seen.delivered + seen.sampled_out == seen.dns, "{seen:?}");
            ensure!(seen.produced == seen.delivered, "{seen:?}");
            ensure!(seen.consumed == seen.produced, "{seen:?}");
        }
        let output = client.wait_with_output()?;
        let tally = integration_tests::network::client::tally(&String::from_utf8(output.stdout)?)?;
        ensure!(tally.completed == tally.sent, "{tally:?}");
        Ok(())
    })
}

/// The last words of the log about a hook; nothing but datagrams was sent.
#[derive(Debug)]
struct Seen {
    dns: u64,
    delivered: u64,
    sampled_out: u64,
    lost: u64,
    produced: u64,
    consumed: u64,
}

impl Seen {
    fn of(log: &str, hook: &str) -> Result<Self> {
        let hook = format!("hook=\"{hook}\"");
        let mut lines = log.lines().filter(|line| line.contains(" seen "));
        let line = lines
            .find(|line| line.contains(&hook))
            .with_context(|| log.to_owned())?;
        let field = |name: &str| -> Result<u64> {
            let mut words = line.split_whitespace();
            let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            Ok(value
                .with_context(|| format!("no {name} in {line}"))?
                .parse()?)
        };
        Ok(Self {
            dns: field("dns")?,
            delivered: field("delivered")?,
            sampled_out: field("sampled_out")?,
            lost: field("lost")?,
            produced: field("produced")?,
            consumed: field("consumed")?,
        })
    }
}

#[test]
fn stop_does_not_wait_for_a_client_that_says_nothing() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "")?;
        let mut idle = network.within(Side::Server, || {
            let address: SocketAddr = "127.0.0.1:9953".parse()?;
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\n")?;
            Ok(stream)
        })?;
        let objects = daemon.kernel_objects()?;
        daemon.stop()?;
        objects.gone()?;
        drop(idle.read(&mut [0; 16]));
        Ok(())
    })
}
