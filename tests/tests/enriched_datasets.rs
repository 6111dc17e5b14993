//! Datasets by what is known of clients and names: countries, autonomous systems,
//! networks, customers, octets; and how clients are shown.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use dns_wire::{
    Slice,
    counters::{Hook, Role},
    locate::{Family, Flow, Transport},
    message,
};
use integration_tests::mmdb::Mmdb;
use serde_json::json;
use tempfile::TempDir;
use xdsc::{
    config::{ClientsShown, Config, CustomerBy},
    enrich::{
        privacy::Privacy,
        tables::{SharedTables, Tables, nothing_known, shared, tables_of},
    },
    stats::{
        dataset::{Dataset, Dimension, Indexer, Layer, Measure},
        engine::{Counts, Engine},
        label::Style,
        observed::Observed,
        plan::{Compat, Plan, Rules},
        table::Table,
    },
};

const CELLS: usize = 100;

/// A message between a client and a server, which the tests speak of.
#[derive(Clone, Copy, Debug)]
struct Told<'a> {
    client: &'a str,
    server: &'a str,
    is_response: bool,
    role: Role,
    /// QNAME, of labels.
    name: &'a str,
    /// EDNS options.
    options: &'a [u8],
    weight: u64,
}

impl Default for Told<'_> {
    fn default() -> Self {
        Self {
            client: "192.0.2.1",
            server: "203.0.113.53",
            is_response: false,
            role: Role::Server,
            name: "www.example.com",
            options: &[],
            weight: 1,
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn words(address: IpAddr) -> [u64; 2] {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => octets = address.octets(),
    }
    let word = |n: usize| u64::from_ne_bytes(octets[n..n + 8].try_into().expect("8 octets"));
    [word(0), word(8)]
}

impl Told<'_> {
    fn qname(&self) -> Vec<u8> {
        let labels = self.name.split('.').filter(|label| !label.is_empty());
        let labels = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        labels.chain([0]).collect()
    }

    /// A header, and the question for A.
    fn octets(&self) -> Vec<u8> {
        let flags = if self.is_response { 0x80 } else { 0 };
        let head = [0, 1, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&head[..], &self.qname(), &[0, 1, 0, 1]].concat()
    }

    fn count(&self, engine: &mut Engine) {
        let (octets, name) = (self.octets(), self.qname());
        let message = message::parse(&Slice::new(&octets), 0, octets.len()).expect("a message");
        let (client, server) = (words(ip(self.client)), words(ip(self.server)));
        let (source, destination) = if self.is_response {
            (server, client)
        } else {
            (client, server)
        };
        let family = match ip(self.client) {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        };
        engine.message(&Observed {
            time_ns: 1,
            hook: Hook::Ingress,
            role: self.role,
            flow: Flow {
                family,
                transport: Transport::Udp,
                hop_limit: 60,
                source,
                destination,
                source_port: 5353,
                destination_port: 53,
            },
            message,
            name: &name,
            options: self.options,
            weight: self.weight,
        });
    }
}

fn flat(indexer: Indexer, measure: Measure) -> Dataset {
    let dimension = |indexer: Indexer| Dimension {
        label: indexer.label().to_owned(),
        indexer,
    };
    Dataset {
        name: indexer.label().to_owned(),
        layer: Layer::Dns,
        measure,
        dimensions: [dimension(Indexer::Null), dimension(indexer)],
        filters: Vec::new(),
        min_count: None,
        max_cells: None,
    }
}

fn engine(datasets: Vec<Dataset>, rules: Rules) -> Engine {
    Engine::new(Arc::new(Plan::new(datasets, rules)), CELLS, 7)
}

/// Values and amounts of a dataset of one dimension.
fn cells(table: &Table) -> Vec<(String, u64)> {
    let cells = table.rows.iter().flat_map(|row| &row.cells);
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("UTF-8");
    cells.map(|cell| (text(&cell.value), cell.count)).collect()
}

/// What one message is counted as.
fn value(told: &Told<'_>, indexer: Indexer, rules: Rules) -> String {
    let mut engine = engine(vec![flat(indexer, Measure::Messages)], rules);
    told.count(&mut engine);
    let cells = cells(&engine.tables(Style::Named)[0]);
    assert_eq!(cells.len(), 1, "{told:?}: {cells:?}");
    cells[0].0.clone()
}

/// Tables in files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn privacy(&self, clients: ClientsShown) -> Privacy {
        std::fs::write(self.path("key"), "0123456789abcdef").expect("a file");
        let mut config = Config::default();
        config.privacy.clients = clients;
        config.privacy.key_file = self.path("key").display().to_string();
        Privacy::from_config(&config).expect("a key")
    }

    fn tables(&self, customers: &str) -> SharedTables {
        let text = |path: &Path| path.display().to_string();
        let mut config = Config::default();
        let files = ["country.mmdb", "asn.mmdb", "networks.csv", "customers.csv"];
        let [countries, systems, networks, owners] = files.map(|name| self.path(name));
        Mmdb::new("Test-Country")
            .network(
                "192.0.2.0/24",
                json!({"country": {"iso_code": "NL"}, "continent": {"code": "EU"}}),
            )
            .network(
                "2001:db8::/32",
                json!({"country": {"iso_code": "JP"}, "continent": {"code": "AS"}}),
            )
            .network(
                "203.0.113.0/24",
                json!({"country": {"iso_code": "SE"}, "continent": {"code": "EU"}}),
            )
            .write(&countries)
            .expect("a database");
        let system = |number: u32, name: &str| json!({"autonomous_system_number": number, "autonomous_system_organization": name});
        Mmdb::new("Test-ASN")
            .network("192.0.2.0/24", system(64496, "Example One"))
            .network("2001:db8::/32", system(64497, "\u{c9}xample Two"))
            .network("203.0.113.0/24", system(64498, "Example Three"))
            .write(&systems)
            .expect("a database");
        std::fs::write(&networks, "192.0.2.0/25,example-resolver\n").expect("a file");
        std::fs::write(&owners, customers).expect("a file");
        config.geoip.databases = vec![text(&countries), text(&systems)];
        config.networks.file = text(&networks);
        config.customers.file = text(&owners);
        shared(tables_of(&config).expect("four files"))
    }
}

const CUSTOMERS: &str =
    "example.com,Zone Owner\n192.0.2.0/24,Client Owner\n203.0.113.53,Server Owner\n";

fn rules(tables: &SharedTables) -> Rules {
    Rules {
        tables: Arc::clone(tables),
        ..Rules::default()
    }
}

#[test]
fn clients_are_known_by_their_addresses() {
    let folder = Folder::new();
    let (known, nothing) = (folder.tables(CUSTOMERS), nothing_known());
    for (client, tables, country, continent, asn, org, network) in [
        (
            "192.0.2.1",
            &known,
            "NL",
            "EU",
            "64496",
            "Example One",
            "example-resolver",
        ),
        (
            "192.0.2.129",
            &known,
            "NL",
            "EU",
            "64496",
            "Example One",
            "none",
        ),
        (
            "2001:db8::1",
            &known,
            "JP",
            "AS",
            "64497",
            "\u{c9}xample Two",
            "none",
        ),
        ("198.51.100.1", &known, "??", "??", "??", "??", "none"),
        ("2001:db9::1", &known, "??", "??", "??", "??", "none"),
        // DSC's, where there is no database.
        ("192.0.2.1", &nothing, "?4", "?4", "?4", "?4", "none"),
        ("2001:db8::1", &nothing, "?6", "?6", "?6", "?6", "none"),
    ] {
        let server = if client.contains(':') {
            "2001:db8:53::53"
        } else {
            "203.0.113.53"
        };
        for is_response in [false, true] {
            let told = Told {
                client,
                server,
                is_response,
                ..Told::default()
            };
            for (indexer, expected) in [
                (Indexer::Country, country),
                (Indexer::Continent, continent),
                (Indexer::Asn, asn),
                (Indexer::AsOrg, org),
                (Indexer::Network, network),
            ] {
                assert_eq!(
                    value(&told, indexer, rules(tables)),
                    expected,
                    "{indexer:?} of {told:?}"
                );
            }
        }
    }
}

/// DSC looks the source up, which of a response is the server.
#[test]
fn dsc_knows_the_source() {
    let folder = Folder::new();
    let tables = folder.tables(CUSTOMERS);
    for (is_response, country, asn) in [(false, "NL", "64496"), (true, "SE", "64498")] {
        let told = Told {
            is_response,
            ..Told::default()
        };
        let rules = || Rules {
            compat: Compat::Dsc,
            ..rules(&tables)
        };
        assert_eq!(value(&told, Indexer::Country, rules()), country);
        assert_eq!(value(&told, Indexer::Asn, rules()), asn);
    }
}

#[test]
fn a_customer_is_told_by_the_first_way_that_matches() {
    use CustomerBy::{Client, Server, Zone};
    let folder = Folder::new();
    let tables = folder.tables(CUSTOMERS);
    let mine = Told::default();
    let other_name = Told {
        name: "example.net",
        ..mine
    };
    let stranger = Told {
        client: "198.51.100.1",
        ..mine
    };
    let neither = Told {
        name: "example.net",
        ..stranger
    };
    for (by, told, expected) in [
        (&[Zone, Client][..], mine, "Zone Owner"),
        (&[Client, Zone], mine, "Client Owner"),
        (&[Zone, Client], other_name, "Client Owner"),
        (&[Client, Zone], stranger, "Zone Owner"),
        (&[Zone, Client], neither, "unassigned"),
        (&[Zone, Client, Server], neither, "Server Owner"),
        (&[Server], mine, "Server Owner"),
        (&[Zone], other_name, "unassigned"),
    ] {
        for is_response in [false, true] {
            let told = Told {
                is_response,
                ..told
            };
            let rules = Rules {
                customers_by: by.to_vec(),
                ..rules(&tables)
            };
            assert_eq!(
                value(&told, Indexer::Customer, rules),
                expected,
                "{by:?} of {told:?}"
            );
        }
    }
}

#[test]
fn octets_are_added_up_to_the_last_one() {
    let folder = Folder::new();
    let datasets = vec![
        flat(Indexer::Customer, Measure::Bytes),
        flat(Indexer::Customer, Measure::Messages),
        flat(Indexer::Qname, Measure::Bytes),
    ];
    let mut engine = engine(datasets, rules(&folder.tables(CUSTOMERS)));
    let long = "a-long-label-of-40-octets-of-a-long-name.example.org";
    let strangers = "198.51.100.1";
    let (mut owned, mut foreign) = (0, 0);
    for (name, client, weight) in [
        ("www.example.com", strangers, 1),
        ("example.com", strangers, 8),
        (long, strangers, 2),
        ("", strangers, 1),
    ] {
        let told = Told {
            name,
            client,
            weight,
            ..Told::default()
        };
        // 12 octets of header, 4 of QTYPE and QCLASS, and QNAME on the wire.
        let octets = 16
            + if name.is_empty() {
                1
            } else {
                name.len() as u64 + 2
            };
        let sum = if name.ends_with("example.com") {
            &mut owned
        } else {
            &mut foreign
        };
        *sum += octets * weight;
        told.count(&mut engine);
    }
    // More names than there are cells.
    for n in 0..2 * CELLS as u64 {
        let name = format!("n{n:05}.example.net");
        Told {
            name: &name,
            client: strangers,
            weight: 3,
            ..Told::default()
        }
        .count(&mut engine);
    }
    foreign += 2 * CELLS as u64 * 3 * (16 + 18 + 2);
    let mut counts = Counts::new(engine.plan(), CELLS, 7);
    engine.exchange(&mut counts);
    let tables = counts.tables(engine.plan(), Style::Named);
    let [bytes, messages, names] = [0, 1, 2].map(|n| tables[n].clone());
    assert_eq!(
        cells(&bytes),
        [
            ("unassigned".to_owned(), foreign),
            ("Zone Owner".to_owned(), owned)
        ]
    );
    assert_eq!(
        cells(&messages),
        [
            ("unassigned".to_owned(), 600 + 3),
            ("Zone Owner".to_owned(), 9)
        ]
    );
    assert_eq!(names.total, owned + foreign);
    let counted: u64 = cells(&names).iter().map(|(_, octets)| octets).sum();
    assert!(names.uncounted > 0);
    assert_eq!(counted + names.uncounted, names.total);
}

#[test]
fn no_message_is_counted_between_two_sets_of_tables() {
    let folder = Folder::new();
    let tables = folder.tables("192.0.2.0/24,Before\n");
    let customer = flat(Indexer::Customer, Measure::Messages);
    let mut engine = engine(vec![customer], rules(&tables));
    let told = Told::default();
    for _ in 0..5 {
        told.count(&mut engine);
    }
    tables.store(folder.tables("192.0.2.0/24,After\n").load_full());
    told.count(&mut engine);
    engine.refresh();
    for _ in 0..3 {
        told.count(&mut engine);
    }
    tables.store(Arc::new(Tables::default()));
    engine.refresh();
    told.count(&mut engine);
    let expected = [("Before", 6), ("After", 3), ("unassigned", 1)];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(cells(&engine.tables(Style::Named)[0]), expected);
    let caches = engine.caches().expect("customers by address");
    assert_eq!(caches.places.misses, 3);
    // Messages that are counted by joints ask no more.
    assert!(caches.places.hits > 0, "{caches:?}");
}

/// EDNS Client Subnet: code, length, family, source and scope prefix, address.
const ECS_IPV4: [u8; 12] = [0, 8, 0, 8, 0, 1, 32, 0, 198, 51, 100, 77];
const ECS_SHORT: [u8; 10] = [0, 8, 0, 6, 0, 1, 16, 0, 198, 51];
const ECS_IPV6: [u8; 15] = [
    0, 8, 0, 11, 0, 2, 56, 0, 0x20, 0x01, 0x0d, 0xb8, 0xaa, 0xbb, 0xcc,
];

#[test]
fn what_this_host_asks_about_a_client_tells_no_more_of_it() {
    use ClientsShown::{Address, Prefix, Pseudonym};
    let folder = Folder::new();
    let whole = "77.100.51.198.in-addr.arpa";
    for (clients, role, expected) in [
        (Prefix, Role::Client, "100.51.198.in-addr.arpa"),
        (Pseudonym, Role::Client, "in-addr.arpa"),
        (Address, Role::Client, whole),
        (Prefix, Role::Server, whole),
    ] {
        let told = Told {
            role,
            name: whole,
            ..Told::default()
        };
        let rules = Rules {
            privacy: folder.privacy(clients),
            ..Rules::default()
        };
        let qname = value(&told, Indexer::Qname, rules);
        assert_eq!(qname, expected, "{clients:?} {role:?}");
    }
}

#[test]
fn clients_are_shown_as_the_operator_wants() {
    let folder = Folder::new();
    let privacy = |clients| folder.privacy(clients);
    let shown = |clients, indexer, options: &[u8]| {
        let rules = Rules {
            privacy: privacy(clients),
            ..Rules::default()
        };
        value(
            &Told {
                options,
                ..Told::default()
            },
            indexer,
            rules,
        )
    };
    use ClientsShown::{Address, Prefix, Pseudonym};
    for (indexer, options, plain, prefix) in [
        (Indexer::Client, &[][..], "192.0.2.1", "192.0.2.0/24"),
        (Indexer::ClientSubnet, &[], "192.0.2.0/24", "192.0.2.0/24"),
        (
            Indexer::EdnsEcsSubnet,
            &ECS_IPV4,
            "198.51.100.77",
            "198.51.100.0",
        ),
        (
            Indexer::EdnsEcsSubnet,
            &ECS_SHORT,
            "198.51.0.0",
            "198.51.0.0",
        ),
        (
            Indexer::EdnsEcsSubnet,
            &ECS_IPV6,
            "2001:db8:aabb:cc00::",
            "2001:db8:aabb::",
        ),
        (Indexer::EdnsEcsAddress, &ECS_IPV4, "C633644D", "C6336400"),
        (Indexer::EdnsEcsAddress, &ECS_SHORT, "C633", "C633"),
        (
            Indexer::EdnsEcsAddress,
            &ECS_IPV6,
            "20010DB8AABBCC",
            "20010DB8AABB00",
        ),
        (Indexer::Server, &[], "203.0.113.53", "203.0.113.53"),
    ] {
        assert_eq!(shown(Address, indexer, options), plain, "{indexer:?}");
        assert_eq!(shown(Prefix, indexer, options), prefix, "{indexer:?}");
        let pseudonym = shown(Pseudonym, indexer, options);
        assert_eq!(
            pseudonym == plain,
            indexer == Indexer::Server,
            "{indexer:?}"
        );
        assert_eq!(pseudonym.contains('/'), plain.contains('/'), "{indexer:?}");
    }
    // Two ways to tell one network have one pseudonym.
    let text = |indexer, options| shown(Pseudonym, indexer, options);
    let network: IpAddr = ip(&text(Indexer::EdnsEcsSubnet, &ECS_IPV4));
    let alias = privacy(Pseudonym).alias(ip("198.51.100.77")).to_string();
    let (first, _) = alias.rsplit_once('.').expect("IPv4");
    assert_eq!(network, ip(&format!("{first}.0")));
}
