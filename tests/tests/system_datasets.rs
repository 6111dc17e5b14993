//! The datasets of a running xdsc: their sums are the kernel's counters at every
//! scrape, and their cells are what was asked.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use integration_tests::network::{
    SERVER,
    client::{Load, Transport},
    daemon::Daemon,
    exposition::Samples,
    in_network,
    server::{Kind, NameServer},
};

const QUESTIONS: [(&str, &str); 4] = [
    ("www.example", "A"),
    ("www.example", "AAAA"),
    ("example", "MX"),
    ("absent.example", "A"),
];

const SETTINGS: &str = r#"
[[dataset]]
name = "every_query"
dimensions = ["opcode"]
filters = ["queries-only", "server-only"]

[[dataset]]
name = "every_reply"
dimensions = ["rcode", "qname"]
filters = ["replies-only", "server-only"]

[[dataset]]
name = "few_cells"
dimensions = ["qtype", "dns_source_port"]
filters = ["queries-only", "server-only"]
max_cells = 4
"#;

/// Families of all queries, and of all replies.
const OF_QUERIES: [&str; 6] = [
    "every_query",
    "few_cells",
    "client_subnet",
    "qname",
    "transport_vs_qtype",
    "label_count",
];
const OF_REPLIES: [&str; 2] = ["every_reply", "client_addr_vs_rcode"];

#[test]
fn sums_of_datasets_are_the_kernels_counters() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, SETTINGS)?;
        let mut sent = 0;
        for (address, transport) in [
            (SERVER[0], Transport::Udp),
            (SERVER[1], Transport::Udp),
            (SERVER[0], Transport::Tcp),
        ] {
            sent += load(address, transport).run(network)?.sent;
            let samples = daemon.quiet()?;
            sums_are_exact(&samples, sent)?;
        }
        let samples = daemon.scrape()?;
        cells_are_what_was_asked(&samples, sent)?;
        clients_are_counted(&samples)?;
        daemon.stop()?;
        Ok(())
    })
}

/// What a flood of random names may add to the daemon's memory, in octets.
const FLOOD_MEMORY: f64 = 64e6;

#[test]
fn a_flood_of_random_names_shows_as_its_zone() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, "")?;
        let quiet = daemon.quiet()?.sum("process_resident_memory_bytes", &[])?;
        let names: Vec<_> = (0..30_000).map(random_name).collect();
        // One in a hundred is about a name that is worth a cell.
        let questions: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| if n % 100 == 0 { "www.example" } else { name })
            .map(|name| (name, "A"))
            .collect();
        let flood = Load {
            server: SERVER[0],
            transport: Transport::Udp,
            questions: &questions,
            rounds: 2,
            rate: Some(20_000),
        };
        let sent = flood.run(network)?.sent;
        let samples = daemon.quiet()?;
        let family = family("qname");
        let sum = samples.count(&family, &[])?;
        ensure!(sum == sent, "{sum} of {sent}");
        let shown = samples.by("qname", &family, &[])?;
        let of = |name: &str| shown.get(name).copied().unwrap_or(0);
        ensure!(of("www.example") > sent / 200, "{shown:?}");
        ensure!(of("*.flooded.example") > sent / 4, "{shown:?}");
        ensure!(shown.len() <= 202, "{} cells", shown.len());
        let zones = samples.count("xdsc_random_subdomain_zones", &[])?;
        ensure!(zones == 1, "{zones} zones are flooded");
        let flooded = samples.sum("process_resident_memory_bytes", &[])?;
        ensure!(flooded - quiet < FLOOD_MEMORY, "from {quiet} to {flooded}");
        daemon.stop()?;
        Ok(())
    })
}

/// Multiplication by a unit of the ring of 32 bits: no two are the same.
fn random_name(n: u32) -> String {
    format!("{:08x}.flooded.example", n.wrapping_mul(0x9e37_79b1))
}

const fn load(server: IpAddr, transport: Transport) -> Load<'static> {
    Load {
        server,
        transport,
        questions: &QUESTIONS,
        rounds: 300,
        rate: None,
    }
}

fn sums_are_exact(samples: &Samples, sent: u64) -> Result<()> {
    for (datasets, kind) in [(&OF_QUERIES[..], "query"), (&OF_REPLIES[..], "response")] {
        let labels = [("role", "server"), ("type", kind)];
        let messages = samples.count("xdsc_dns_messages_total", &labels)?;
        ensure!(messages == sent, "{messages} {kind} of {sent}");
        for dataset in datasets {
            let sum = samples.count(&family(dataset), &[])?;
            ensure!(sum == messages, "{dataset}: {sum} of {messages}");
        }
    }
    let series = samples.count("xdsc_export_series", &[])?;
    ensure!(series <= samples.count("xdsc_export_max_series", &[])?);
    Ok(())
}

fn cells_are_what_was_asked(samples: &Samples, sent: u64) -> Result<()> {
    let each = sent / 4;
    let names = samples.by("qname", &family("qname"), &[])?;
    let expected = [
        ("absent.example".to_owned(), each),
        ("example".to_owned(), each),
        ("www.example".to_owned(), 2 * each),
    ];
    ensure!(names == expected.into(), "{names:?}");
    let labels = [("rcode", "NXDOMAIN"), ("qname", "absent.example")];
    let absent = samples.count(&family("every_reply"), &labels)?;
    ensure!(absent == each, "{absent} of {each}");
    // Four values, and what stands for all others and for those that went.
    let ports = samples.values_of("dns_source_port", &family("few_cells"), &[]);
    ensure!(ports.len() <= 6 && ports.contains("other"), "{ports:?}");
    Ok(())
}

fn clients_are_counted(samples: &Samples) -> Result<()> {
    for family in ["ipv4", "ipv6", "ipv6_64"] {
        let labels = [("family", family), ("window", "day")];
        let clients = samples.count("xdsc_distinct_clients", &labels)?;
        ensure!(clients == 1, "{clients} of {family}");
    }
    Ok(())
}

fn family(dataset: &str) -> String {
    format!("xdsc_dataset_{dataset}_messages_total")
}
