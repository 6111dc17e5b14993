//! Grafana's dashboards against a real Prometheus, which scraped real daemons: two
//! sites, three nodes, real servers, and traffic of every kind. Each query of each
//! panel gives data, with the variables as Grafana substitutes them.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    mmdb::Mmdb,
    network::{
        CLIENT_INTERFACES, INTERFACES, Network, SECOND_SERVER, SERVER, Side,
        client::{Load, Transport, kdig},
        daemon::{Daemon, binary},
        eventually,
        frame::{self, Sender},
        in_network,
        process::Process,
        prometheus::Prometheus,
        resolver::Unbound,
        server::{HUGE, Kind, NameServer},
    },
    traffic::{Exchange, Profile, SERVER_V4, SERVER_V6, Traffic},
};
use serde_json::{Value, json};

/// Panels that may show nothing, and why: all others must have data.
const MAY_BE_EMPTY: [(&str, &str, &str); 8] = [
    (
        "xdsc-overview",
        "Queries now, a day and a week ago",
        "there is no past here",
    ),
    ("xdsc-overview", "Silent nodes", "all nodes are asked"),
    ("xdsc-overview", "Alerts", "nothing is wrong for long"),
    (
        "xdsc-queries",
        "Different names by zone",
        "it tells of full minutes",
    ),
    (
        "xdsc-attack",
        "Different names by zone",
        "it tells of full minutes",
    ),
    (
        "xdsc-responses",
        "Names with AD",
        "an authoritative server validates nothing",
    ),
    (
        "xdsc-responses",
        "Extended errors",
        "it depends on the server's version whether it has any",
    ),
    (
        "xdsc-health",
        "Since the file was written",
        "the file is written every few minutes",
    ),
];

/// Site, interface and port of each node.
const NODES: [(&str, &str, u16); 3] = [
    ("ams", INTERFACES[0], 9953),
    ("sjc", INTERFACES[1], 9954),
    ("sjc", INTERFACES[1], 9955),
];

const QUESTIONS: [(&str, &str); 8] = [
    ("www.example", "A"),
    ("www.example", "AAAA"),
    ("example", "MX"),
    ("example", "DNSKEY"),
    ("text.example", "TXT"),
    (HUGE, "TXT"),
    ("absent.example", "A"),
    ("www.elsewhere", "A"),
];

/// Queries that dnsperf does not send.
const ODDITIES: [&[&str]; 6] = [
    &["-c", "CH", "version.bind", "TXT"],
    &["+nsid", "+dnssec", "www.example", "A"],
    &["+cookie", "www.example", "AAAA"],
    &["+subnet=203.0.113.0/24", "www.example", "A"],
    &["+noedns", "localhost", "A"],
    &["+tcp", "example", "SOA"],
];

/// Where the resolver is, among the clients.
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

/// Where the cache of the fleet is, beside the daemons.
const CACHE: &str = "127.0.0.1:6379";

#[test]
fn every_query_of_every_panel_gives_data() -> Result<()> {
    in_network(|network| {
        network.add_second_cable()?;
        let _server = NameServer::start(network, Kind::Knot)?;
        let _cache = fleet_cache(network)?;
        let _resolver = Unbound::start_at(network, (Side::Client, RESOLVER))?;
        let nodes: Vec<_> = NODES
            .iter()
            .map(|node| start(network, *node))
            .collect::<Result<_>>()?;
        let prometheus = Prometheus::start_with(network, &scrape_config())?;
        eventually("Prometheus to scrape all nodes", || {
            let scraped = prometheus.value("count(xdsc_build_info)")?;
            ensure!(scraped == NODES.len() as f64, "{scraped} nodes");
            Ok(())
        })?;
        let _tail = tail(network, &nodes[0])?;
        let begin = now()?;
        traffic(network)?;
        // A rate takes two samples, also of what came last.
        let once = scraped_since(&prometheus, now()?)?;
        let shown = begin..=scraped_since(&prometheus, once)?;
        let dashboards = dashboards()?;
        for choice in [Choice::All, Choice::Each] {
            let mut asked = 0;
            let mut faults = Vec::new();
            for dashboard in &dashboards {
                let view = View::new(&prometheus, dashboard, choice, shown.clone())?;
                asked += view.ask_all(&mut faults)?;
            }
            ensure!(faults.is_empty(), "{choice:?}: {}", faults.join("\n"));
            ensure!(asked > 300, "only {asked} queries");
        }
        for node in nodes {
            node.stop()?;
        }
        Ok(())
    })
}

fn start<'a>(
    network: &'a Network,
    (site, interface, port): (&str, &str, u16),
) -> Result<Daemon<'a>> {
    Daemon::start_apart(network, interface, port, &settings(network, site, port)?)
}

/// Everything that xdsc can tell.
fn settings(network: &Network, site: &str, port: u16) -> Result<String> {
    let folder = network.directory().join(port.to_string());
    fs::create_dir_all(folder.join("dsc"))?;
    databases(&folder)?;
    let file = |name: &str, text: &str| network.file(&format!("{port}-{name}"), text);
    let zones = file("zones.txt", "example\ncom\n")?;
    let networks = file(
        "networks.csv",
        "prefix,network\n11.0.0.0/8,example-resolver\n",
    )?;
    let customers = file(
        "customers.csv",
        "match,customer\nexample,Example\ncom,Commerce\n",
    )?;
    let dsc = file(
        "dsc.conf",
        "dataset qtype dns All:null Qtype:qtype queries-only;\n",
    )?;
    let services = SERVER.iter().chain(&SECOND_SERVER).map(ToString::to_string);
    let injected = [SERVER_V4.to_string(), SERVER_V6.to_string()];
    let services: Vec<_> = services.chain(injected).collect();
    let folder = folder.display();
    Ok(format!(
        "node = \"{site}-{port}\"\nsite = \"{site}\"\n\
         [probe]\nxdp_mode = \"auto\"\nrun_time_stats = \"always\"\nservice_addresses = {services:?}\n\
         [statistics]\ndatasets = [\"all\"]\nzones = {zones:?}\n\
         [geoip]\ndatabases = [\"{folder}/country.mmdb\", \"{folder}/asn.mmdb\"]\n\
         [networks]\nfile = {networks:?}\n\
         [customers]\nfile = {customers:?}\n\
         [privacy]\nclients = \"address\"\n\
         [reverse_dns]\nenabled = true\nresolvers = [\"{RESOLVER}\"]\nmin_seen = 1\n\
         cache_file = \"{folder}/names\"\nredis = \"redis://{CACHE}/0\"\n\
         [rssac002]\ndirectory = \"{folder}/days\"\nservice = \"ns1.example\"\n\
         [dsc]\nconf = {dsc:?}\ndirectory = \"{folder}/dsc\"\nformats = [\"json\"]\n\
         interval = \"2s\"\n"
    ))
}

/// Of the addresses that made-up traffic comes from.
fn databases(folder: &Path) -> Result<()> {
    let country = |code: &str, continent: &str| json!({"country": {"iso_code": code}, "continent": {"code": continent}});
    Mmdb::new("GeoLite2-Country")
        .network("11.0.0.0/8", country("DE", "EU"))
        .network("32.0.0.0/4", country("BR", "SA"))
        .network("2a00::/16", country("FR", "EU"))
        .write(&folder.join("country.mmdb"))?;
    let system = |number: u32| json!({"autonomous_system_number": number, "autonomous_system_organization": "Example Networks"});
    Mmdb::new("GeoLite2-ASN")
        .network("11.0.0.0/8", system(64_500))
        .network("32.0.0.0/4", system(64_501))
        .write(&folder.join("asn.mmdb"))?;
    Ok(())
}

/// As docs/dashboards.md has it: sites are labels of targets.
fn scrape_config() -> String {
    let targets: String = NODES
        .iter()
        .map(|(site, _, port)| {
            format!("      - targets: ['127.0.0.1:{port}']\n        labels: {{site: {site}}}\n")
        })
        .collect();
    format!(
        "global:\n  scrape_interval: 2s\n  scrape_timeout: 2s\nscrape_configs:\n  \
         - job_name: xdsc\n    static_configs:\n{targets}"
    )
}

fn fleet_cache(network: &Network) -> Result<Process> {
    let folder = network.directory().display().to_string();
    let arguments = ["--bind", "127.0.0.1", "--save", "", "--dir", &folder];
    let process = network.start(Side::Server, "redis-server", &arguments)?;
    eventually("the cache to listen", || {
        let log = process.log()?;
        ensure!(log.contains("Ready to accept connections"), "{log}");
        Ok(())
    })?;
    Ok(process)
}

/// A subscriber who is told little, so that its log stays short.
fn tail(network: &Network, daemon: &Daemon<'_>) -> Result<Process> {
    let tail = network.start(Side::Server, &binary()?, &["tail", "--qname", "localhost"])?;
    daemon.subscribed()?;
    Ok(tail)
}

/// When all nodes have been scraped after a time, so that Prometheus has it all.
fn scraped_since(prometheus: &Prometheus<'_>, time: f64) -> Result<f64> {
    let scraped = format!("count(timestamp(xdsc_build_info) > {time})");
    eventually("all nodes to be scraped once more", || {
        let nodes = prometheus.value(&scraped)?;
        ensure!(nodes == NODES.len() as f64, "{nodes} nodes");
        Ok(())
    })?;
    now()
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

/// At both sites: real clients and servers, made-up clients from all over the
/// world, and what is out of order.
fn traffic(network: &Network) -> Result<()> {
    for addresses in [SERVER, SECOND_SERVER] {
        for (address, transport) in [
            (addresses[0], Transport::Udp),
            (addresses[1], Transport::Udp),
            (addresses[0], Transport::Tcp),
        ] {
            let load = Load {
                server: address,
                transport,
                questions: &QUESTIONS,
                rounds: 25,
                rate: Some(100),
            };
            load.run(network)?;
        }
        for oddity in ODDITIES {
            kdig(network, addresses[0], oddity)?;
        }
    }
    made_up(network)
}

/// Some seconds of it at both cables: a rate takes samples before and after.
fn made_up(network: &Network) -> Result<()> {
    let ends = (0..INTERFACES.len())
        .map(|cable| {
            let clients = Sender::at(network, Side::Client, CLIENT_INTERFACES[cable])?;
            Ok((
                clients,
                Sender::at(network, Side::Server, INTERFACES[cable])?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    let everyday = Traffic::new(Profile::Few, 1, 1000).take(1000);
    let flood = Traffic::new(Profile::Flood, 2, 1000).take(1500);
    let mut seldom = Traffic::new(Profile::Everyday, 3, 1000);
    let seldom: Vec<_> = (0..50)
        .filter_map(|number| Some(rarity(number, seldom.next()?)))
        .collect();
    for (number, exchange) in flood.chain(seldom).chain(everyday).enumerate() {
        for (clients, server) in &ends {
            clients.send(&exchange.query_frame())?;
            if exchange.response_after_ns.is_some() {
                server.send(&exchange.response_frame())?;
            }
            if number % 100 == 0 {
                // Too short for a header.
                clients.send(&broken(&[0, 1, 2]))?;
                // A label of a type that there is not.
                clients.send(&broken(&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 0]))?;
            }
        }
        if number % 100 == 0 {
            thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

fn broken(message: &[u8]) -> Vec<u8> {
    let packet = frame::ipv4(frame::UDP, &frame::udp(message));
    frame::ethernet(&[], frame::IPV4, &packet)
}

/// What made-up traffic has too seldom for a short test.
fn rarity(number: usize, mut exchange: Exchange) -> Exchange {
    let labels = |labels: &[&str]| labels.iter().map(ToString::to_string).collect();
    match number % 5 {
        0 => (exchange.labels, exchange.qtype) = (labels(&["a", "root-servers", "net"]), 28),
        1 => (exchange.labels, exchange.qtype) = (labels(&[]), 2),
        2 => exchange.labels = labels(&["xn--bcher-kva", "com"]),
        3 => exchange.rcode = 2,
        _ => exchange.port = 53,
    }
    exchange.response_after_ns = Some(1);
    exchange
}

fn dashboards() -> Result<Vec<Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/grafana");
    let mut paths: Vec<_> = fs::read_dir(folder)?
        .map(|file| Ok(file?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    paths
        .iter()
        .map(|path| Ok(serde_json::from_str(&fs::read_to_string(path)?)?))
        .collect()
}

/// What a user chooses of the variables.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// All, which Grafana substitutes by what the variable says.
    All,
    /// Every value that there is, one by one.
    Each,
}

/// A dashboard as a user sees it.
struct View<'a> {
    prometheus: &'a Prometheus<'a>,
    dashboard: &'a Value,
    variables: BTreeMap<String, String>,
    shown: RangeInclusive<f64>,
}

impl<'a> View<'a> {
    fn new(
        prometheus: &'a Prometheus<'a>,
        dashboard: &'a Value,
        choice: Choice,
        shown: RangeInclusive<f64>,
    ) -> Result<Self> {
        let seconds = (shown.end() - shown.start()).ceil();
        let builtin = [
            // All of the made-up traffic, even if some scrapes were too slow.
            ("__rate_interval", "30s".to_owned()),
            ("__range_s", seconds.to_string()),
            ("__range", format!("{seconds}s")),
        ];
        let variables = builtin.map(|(name, value)| (name.to_owned(), value));
        let mut view = Self {
            prometheus,
            dashboard,
            variables: variables.into(),
            shown,
        };
        let list = dashboard["templating"]["list"].as_array();
        for variable in list.context("variables")? {
            if variable["type"] == "query" {
                let name = variable["name"].as_str().context("a name")?.to_owned();
                let value = view.choose(variable, choice)?;
                view.variables.insert(name, value);
            }
        }
        Ok(view)
    }

    /// Asks for the values of a variable, as `label_values(SELECTOR, LABEL)` does.
    fn choose(&self, variable: &Value, choice: Choice) -> Result<String> {
        let query = variable["query"]["query"].as_str().context("a query")?;
        let inner = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let (selector, label) = inner
            .and_then(|inner| inner.rsplit_once(", "))
            .with_context(|| format!("{query} is no label_values()"))?;
        let values = self
            .prometheus
            .label_values(label, &self.substituted(selector))?;
        ensure!(!values.is_empty(), "{query} gives no values");
        match choice {
            Choice::All => Ok(variable["allValue"].as_str().context("all")?.to_owned()),
            Choice::Each => {
                let escaped: Vec<_> = values.iter().map(|value| escaped(value)).collect();
                Ok(format!("({})", escaped.join("|")))
            }
        }
    }

    fn substituted(&self, expression: &str) -> String {
        let mut text = expression.to_owned();
        // Longer names first: `$__range` begins `$__range_s`.
        for (name, value) in self.variables.iter().rev() {
            text = text.replace(&format!("${name}"), value);
        }
        text
    }

    /// Asks what all panels ask, and the marks; how many queries there were.
    fn ask_all(&self, faults: &mut Vec<String>) -> Result<usize> {
        let uid = self.dashboard["uid"].as_str().context("a uid")?;
        let mut asked = 0;
        for mark in self.dashboard["annotations"]["list"]
            .as_array()
            .context("marks")?
        {
            let expression = mark["expr"].as_str().context("a query")?;
            asked += 1;
            self.ask(
                expression,
                false,
                &format!("{uid}, {}", mark["name"]),
                faults,
            );
        }
        for panel in panels(self.dashboard) {
            let title = panel["title"].as_str().context("a title")?;
            let may_be_empty = MAY_BE_EMPTY
                .iter()
                .any(|(of, named, _)| (*of, *named) == (uid, title));
            for target in panel["targets"].as_array().context("targets")? {
                let expression = target["expr"].as_str().context("a query")?;
                let is_instant = target["instant"] == true;
                let place = format!("{uid}, {title}, {}", target["refId"]);
                asked += 1;
                if may_be_empty {
                    self.evaluate(expression, is_instant)
                        .with_context(|| place)?;
                } else {
                    self.ask(expression, is_instant, &place, faults);
                }
            }
        }
        Ok(asked)
    }

    fn ask(&self, expression: &str, is_instant: bool, place: &str, faults: &mut Vec<String>) {
        match self.evaluate(expression, is_instant) {
            Ok(series) if series.iter().any(has_number) => {}
            Ok(series) => faults.push(format!(
                "{place}: {} series without a number: {expression}",
                series.len()
            )),
            Err(error) => faults.push(format!("{place}: {error:#}: {expression}")),
        }
    }

    fn evaluate(&self, expression: &str, is_instant: bool) -> Result<Vec<Value>> {
        let expression = self.substituted(expression);
        ensure!(!expression.contains('$'), "a variable without a value");
        if is_instant {
            self.prometheus.instant(&expression, *self.shown.end())
        } else {
            self.prometheus.range(&expression, self.shown.clone())
        }
    }
}

/// As Grafana writes values into a regular expression within quotes.
fn escaped(value: &str) -> String {
    let special = |c: char| r"\^$*+?.()|{}[]".contains(c);
    let letters = value.chars().map(|c| {
        if special(c) {
            format!(r"\\{c}")
        } else {
            c.to_string()
        }
    });
    letters.collect()
}

/// Those of collapsed rows as well, but no words.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let items = dashboard["panels"].as_array().into_iter().flatten();
    items
        .flat_map(|item| {
            std::iter::once(item).chain(item["panels"].as_array().into_iter().flatten())
        })
        .filter(|panel| panel["type"] != "row" && panel["type"] != "text")
}

fn has_number(series: &Value) -> bool {
    let is_number = |sample: &Value| {
        let value = sample[1].as_str().and_then(|text| text.parse::<f64>().ok());
        value.is_some_and(f64::is_finite)
    };
    let many = series["values"].as_array().into_iter().flatten();
    many.chain([&series["value"]]).any(is_number)
}
