//! Everything that is known of clients, at once: a real server, clients with many
//! addresses, databases, tables, a real resolver. What `/metrics` and `xdsc tail`
//! say is what was sent; and databases that are replaced, or broken, under load
//! cost no message and no lookup.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    mmdb::Mmdb,
    network::{
        Network, SERVER, Side,
        client::{Load, Transport, tally},
        daemon::{Daemon, binary},
        eventually,
        exposition::Samples,
        in_network,
        process::Process,
        resolver::{Unbound, address, name_of},
        server::{Kind, NameServer},
    },
    packet::{Dns, name},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Where the resolver is, among the clients.
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

/// What every client asks in a round: name, type, and the RCODE of its answer.
const QUESTIONS: [(&str, u16, &str, &str); 4] = [
    ("www.example", 1, "A", "NOERROR"),
    ("www.example", 28, "AAAA", "NOERROR"),
    ("absent.example", 1, "A", "NXDOMAIN"),
    ("www.elsewhere", 1, "A", "REFUSED"),
];

/// A client, and what the tables below say of it.
struct Client {
    number: u32,
    country: &'static str,
    continent: &'static str,
    asn: Option<u32>,
    network: &'static str,
    customer: &'static str,
}

const ORGANISATION: &str = "Example Networks";

/// By hand: eight in each of four networks of 10.0.0.0/16.
fn clients() -> Vec<Client> {
    let networks = [
        (0_u32, "DE", "EU", Some(64_500), "none", "unassigned"),
        (
            256,
            "BR",
            "SA",
            Some(64_501),
            "example-resolver",
            "unassigned",
        ),
        (512, "BR", "SA", None, "none", "Example Access"),
        (768, "??", "??", None, "none", "Wide"),
    ];
    let of = |(base, country, continent, asn, network, customer): (u32, _, _, _, _, _)| {
        (1..=8_u32).map(move |host| Client {
            number: base + host,
            country,
            continent,
            asn,
            network,
            customer,
        })
    };
    networks.into_iter().flat_map(of).collect()
}

const NETWORKS: &str = "prefix,network\n10.0.1.0/24,example-resolver\n";
const CUSTOMERS: &str =
    "match,customer\nexample,Example Zones\n10.0.2.0/23,Wide\n10.0.2.0/24,Example Access\n";

fn databases(folder: &Path) -> Result<()> {
    let country = |code: &str, continent: &str| json!({"country": {"iso_code": code}, "continent": {"code": continent}});
    Mmdb::new("GeoLite2-Country")
        .network("10.0.0.0/24", country("DE", "EU"))
        .network("10.0.1.0/24", country("BR", "SA"))
        .network("10.0.2.0/24", country("BR", "SA"))
        .write(&folder.join("country.mmdb"))?;
    let asn = |number: u32| json!({"autonomous_system_number": number, "autonomous_system_organization": ORGANISATION});
    Mmdb::new("GeoLite2-ASN")
        .network("10.0.0.0/24", asn(64_500))
        .network("10.0.1.0/24", asn(64_501))
        .write(&folder.join("asn.mmdb"))?;
    Ok(())
}

fn settings(network: &Network) -> Result<String> {
    let folder = network.directory();
    databases(folder)?;
    let (networks, customers) = (
        network.file("networks.csv", NETWORKS)?,
        network.file("customers.csv", CUSTOMERS)?,
    );
    let folder = folder.display();
    Ok(format!(
        "[geoip]\ndatabases = [\"{folder}/country.mmdb\", \"{folder}/asn.mmdb\"]\n\
         reload_interval = \"1s\"\n\
         [networks]\nfile = \"{networks}\"\n\
         [customers]\nfile = \"{customers}\"\n\
         [privacy]\nclients = \"address\"\n\
         [reverse_dns]\nenabled = true\nresolvers = [\"{RESOLVER}\"]\n\
         queries_per_second = 200\nmin_seen = 5\nallow = [\"10.0.0.0/16\"]\n"
    ))
}

#[test]
fn what_was_sent_is_told_with_all_that_is_known() -> Result<()> {
    in_network(|network| {
        route_clients(network)?;
        let _server = NameServer::start(network, Kind::Nsd)?;
        let resolver = Unbound::start_at(network, (Side::Client, RESOLVER))?;
        let daemon = Daemon::start(network, &settings(network)?)?;
        let tail = Tail::start(network, &daemon)?;
        let clients = clients();
        // In the second round each client is asked for, in the third its name is known.
        let mut octets = 0;
        for round in 1..=3 {
            octets += ask(network, &clients)?;
            tail.lines_after(round * clients.len() * QUESTIONS.len())?;
            eventually("all names", || {
                let names = daemon
                    .scrape()?
                    .count("xdsc_reverse_dns_cache_entries", &[])?;
                let expected = if round == 1 { 0 } else { clients.len() as u64 };
                ensure!(names >= expected, "{names} of {expected}");
                Ok(())
            })?;
        }
        let (served, own) = by_role(tail.end()?);
        exchanges_are_what_was_asked(&served, &clients)?;
        let asks_resolver = |exchange: &Value| exchange["server"] == *RESOLVER.to_string();
        ensure!(
            own.len() == clients.len() && own.iter().all(asks_resolver),
            "{own:?}"
        );
        let samples = daemon.quiet()?;
        metrics_are_what_was_asked(&samples, &clients, octets)?;
        own_queries_are_nobodys(&samples, &resolver)?;
        daemon.stop()?;
        Ok(())
    })
}

/// Addresses of 10.0.0.0/16 are all the clients'.
fn route_clients(network: &Network) -> Result<()> {
    let clients = ["route", "add", "local", "10.0.0.0/16", "dev", "lo"];
    network.output(Side::Client, "ip", &clients)?;
    let via = ["route", "add", "10.0.0.0/16", "via", "192.0.2.2"];
    network.output(Side::Server, "ip", &via)?;
    Ok(())
}

/// Every client asks everything once; the octets of queries and responses.
fn ask(network: &Network, clients: &[Client]) -> Result<u64> {
    network.within(Side::Client, || {
        let mut octets = 0;
        for client in clients {
            let socket = UdpSocket::bind((address(client.number), 0))?;
            socket.set_read_timeout(Some(Duration::from_secs(10)))?;
            socket.connect(SocketAddr::from((SERVER[0], 53)))?;
            for (qname, qtype, ..) in QUESTIONS {
                let query = Dns::query(&name(qname), qtype).bytes();
                let mut answer = [0; 4096];
                octets += socket.send(&query)? as u64;
                octets += socket.recv(&mut answer).context("no answer")? as u64;
            }
        }
        Ok(octets)
    })
}

/// A running `xdsc tail`.
struct Tail(Process);

impl Tail {
    fn start(network: &Network, daemon: &Daemon<'_>) -> Result<Self> {
        let arguments = ["tail", "--format", "json", "--clients", "address"];
        let tail = Self(network.start(Side::Server, &binary()?, &arguments)?);
        eventually("the subscriber", || {
            let subscribers = daemon.scrape()?.count("xdsc_enriched_subscribers", &[])?;
            ensure!(subscribers == 1, "{subscribers} subscribers");
            Ok(())
        })?;
        Ok(tail)
    }

    fn lines(&self) -> Result<Vec<Value>> {
        let log = self.0.log()?;
        // The last one may not be complete.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().filter(|line| line.starts_with('{'));
        Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    fn lines_after(&self, number: usize) -> Result<()> {
        eventually("what was asked", || {
            let (served, _) = by_role(self.lines()?);
            ensure!(served.len() == number, "{} of {number}", served.len());
            Ok(())
        })
    }

    fn end(mut self) -> Result<Vec<Value>> {
        self.0.end_by(Signal::SIGINT)?;
        self.lines()
    }
}

/// Exchanges that the host was the server of, and those that it was the client of.
fn by_role(told: Vec<Value>) -> (Vec<Value>, Vec<Value>) {
    told.into_iter()
        .partition(|exchange| exchange["role"] == "server")
}

fn exchanges_are_what_was_asked(told: &[Value], clients: &[Client]) -> Result<()> {
    for client in clients {
        let address = address(client.number).to_string();
        let own: Vec<_> = told.iter().filter(|it| it["client"] == *address).collect();
        ensure!(own.len() == 3 * QUESTIONS.len(), "{address}: {own:?}");
        for exchange in &own {
            place_is_right(exchange, client)?;
        }
        for (qname, _, qtype, rcode) in QUESTIONS {
            let asked = own.iter().filter(|it| {
                it["qname"] == qname
                    && it["qtype"] == qtype
                    && it["response"]["rcode"] == rcode
                    && it["kind"] == "answered"
                    && it["weight"] == 1
                    && it["response"]["response_time_seconds"].as_f64() > Some(0.0)
            });
            ensure!(asked.count() == 3, "{address} {qname} {qtype}: {own:?}");
        }
        let (early, last) = own.split_at(2 * QUESTIONS.len());
        ensure!(early.iter().take(4).all(|it| it["ptr"].is_null()));
        let named = last.iter().all(|it| it["ptr"] == *name_of(client.number));
        ensure!(named, "{address}: {last:?}");
    }
    Ok(())
}

fn place_is_right(exchange: &Value, client: &Client) -> Result<()> {
    let in_zone = exchange["qname"]
        .as_str()
        .is_some_and(|qname| qname.ends_with(".example"));
    let customer = if in_zone {
        "Example Zones"
    } else {
        client.customer
    };
    let or_none = |text: &str, none: &str| {
        if text == none {
            Value::Null
        } else {
            json!(text)
        }
    };
    let expected = [
        ("country", or_none(client.country, "??")),
        ("continent", or_none(client.continent, "??")),
        ("asn", json!(client.asn)),
        ("as_org", json!(client.asn.map(|_| ORGANISATION))),
        ("network", or_none(client.network, "none")),
        ("customer", or_none(customer, "unassigned")),
    ];
    for (key, value) in expected {
        ensure!(exchange[key] == value, "{key} is not {value}: {exchange}");
    }
    Ok(())
}

fn metrics_are_what_was_asked(samples: &Samples, clients: &[Client], octets: u64) -> Result<()> {
    let each = 3 * QUESTIONS.len() as u64;
    let sum = |value: &dyn Fn(&Client) -> String| {
        let mut sums = BTreeMap::new();
        for client in clients {
            *sums.entry(value(client)).or_default() += each;
        }
        sums
    };
    let asn = |client: &Client| client.asn.map_or("??".to_owned(), |asn| asn.to_string());
    for (dataset, label, expected) in [
        (
            "country_code",
            "country_code",
            sum(&|c| c.country.to_owned()),
        ),
        (
            "country_vs_qtype",
            "country_code",
            sum(&|c| c.country.to_owned()),
        ),
        ("continent", "continent", sum(&|c| c.continent.to_owned())),
        ("asn", "asn", sum(&asn)),
        ("asn_vs_rcode", "asn", sum(&asn)),
        ("network", "network", sum(&|c| c.network.to_owned())),
    ] {
        let family = format!("xdsc_dataset_{dataset}_messages_total");
        let told = samples.by(label, &family, &[])?;
        ensure!(told == expected, "{dataset}: {told:?}, not {expected:?}");
    }
    // Three of four questions are about the zone; the fourth goes by the client.
    let all = clients.len() as u64 * each;
    let expected = [
        ("Example Access", 8 * 3),
        ("Example Zones", all / 4 * 3),
        ("Wide", 8 * 3),
        ("unassigned", 2 * 8 * 3),
    ];
    let customers = samples.by("customer", "xdsc_dataset_customer_messages_total", &[])?;
    let expected = expected
        .map(|(name, count)| (name.to_owned(), count))
        .into();
    ensure!(customers == expected, "{customers:?}, not {expected:?}");
    let bytes = samples.count("xdsc_dataset_customer_bytes_total", &[])?;
    ensure!(bytes == octets, "{bytes} octets of {octets}");
    let labels = [("customer", "Example Zones"), ("rcode", "NXDOMAIN")];
    let absent = samples.count("xdsc_dataset_customer_vs_rcode_messages_total", &labels)?;
    ensure!(absent == all / 4, "{absent} of {all}");
    Ok(())
}

/// What xdsc asks itself is in the account, but no client's.
fn own_queries_are_nobodys(samples: &Samples, resolver: &Unbound<'_>) -> Result<()> {
    let asked: u64 = resolver.queries_by_second()?.values().sum();
    let sent = samples.count("xdsc_reverse_dns_queries_total", &[])?;
    ensure!((asked, sent) == (32, 32), "{asked} of {sent}");
    let of = |role| [("role", role), ("type", "query")];
    let own = samples.count("xdsc_dns_messages_total", &of("client"))?;
    let clients = samples.count("xdsc_dns_messages_total", &of("server"))?;
    ensure!(
        (own, clients) == (32, 384),
        "{own} of its own, {clients} of clients"
    );
    Ok(())
}

#[test]
fn databases_that_are_replaced_or_broken_cost_nothing() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let file = network.directory().join("country.mmdb");
        write_country(&file, "DE")?;
        let daemon = Daemon::start(
            network,
            &format!(
                "[geoip]\ndatabases = [\"{}\"]\nreload_interval = \"1s\"\n",
                file.display()
            ),
        )?;
        let load = Load {
            server: SERVER[0],
            transport: Transport::Udp,
            questions: &[("www.example", "A")],
            rounds: 30_000,
            rate: Some(3_000),
        };
        let arguments = load.arguments(network)?;
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut clients = network.start(Side::Client, "dnsperf", &arguments)?;
        for round in 0..3 {
            let next = file.with_extension("next");
            write_country(&next, if round % 2 == 0 { "FR" } else { "DE" })?;
            fs::rename(&next, &file)?;
            reloads(&daemon, "ok", round + 1)?;
        }
        // In place, and shorter: the death of who has mapped it.
        let in_place = fs::File::options().write(true).open(&file)?;
        in_place.set_len(600)?;
        reloads(&daemon, "error", 1)?;
        ensure!(clients.ended()?.is_none(), "the load was over too early");
        let status = eventually("the end of the load", || {
            clients.ended()?.context("clients still ask")
        })?;
        ensure!(status.success(), "{status}");
        let sent = tally(&clients.log()?)?.sent;
        let samples = daemon.quiet()?;
        let family = "xdsc_dataset_country_code_messages_total";
        let countries = samples.by("country_code", family, &[])?;
        let counted: u64 = countries.values().sum();
        ensure!(counted == sent, "{counted} of {sent}: {countries:?}");
        let known: Vec<_> = countries.keys().map(String::as_str).collect();
        ensure!(known == ["DE", "FR"], "{countries:?}");
        ensure!(samples.count("xdsc_table_stale", &[("table", "geoip")])? == 1);
        ensure!(daemon.stop()?.contains("country.mmdb"));
        Ok(())
    })
}

fn write_country(file: &Path, code: &str) -> Result<()> {
    let record = json!({"country": {"iso_code": code}});
    let database = Mmdb::new("GeoLite2-Country").network("192.0.2.0/24", record);
    Ok(database.write(file)?)
}

fn reloads(daemon: &Daemon<'_>, result: &str, number: u64) -> Result<()> {
    let start = Instant::now();
    eventually("the database to be read again", || {
        let labels = [("table", "geoip"), ("result", result)];
        let reloads = daemon
            .scrape()?
            .count("xdsc_table_reloads_total", &labels)?;
        ensure!(reloads == number, "{reloads} after {:?}", start.elapsed());
        Ok(())
    })
}
