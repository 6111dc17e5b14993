//! Alerts that a real Prometheus raises over a real daemon: the right one, and no
//! other.
//!
//! The rules are those of `dashboards/prometheus` with all durations thirty times
//! shorter ([`faster`]): a rate is one of ten seconds, and what must last for two
//! minutes must last for four seconds. Thresholds are as they are.

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    mmdb::Mmdb,
    network::{
        Network, SERVER, Side,
        client::{Load, Transport},
        daemon::Daemon,
        eventually, in_network,
        process::Process,
        prometheus::{Alert, Prometheus},
        server::{Kind, NameServer},
    },
    rules::{FILES, faster, folder, load},
};

use serde_json::json;

const TIMES_FASTER: u64 = 30;
const CONFIG: &str = "node = \"ns1\"\nsite = \"ams\"\n";
/// As long as honest traffic alone must raise nothing: longer than a rate's window
/// and the `for` of most alerts, thirty times shorter.
const CALM: Duration = Duration::from_secs(12);
const HONEST: [(&str, &str); 3] = [
    ("www.example", "A"),
    ("www.example", "AAAA"),
    ("nothing.example", "A"),
];

#[test]
fn a_flood_of_random_names_raises_its_alert_alone() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let _daemon = Daemon::start(network, &(CONFIG.to_owned() + &countries(network)?))?;
        let prometheus = prometheus(network)?;
        let _honest = traffic(network, SERVER[1], &HONEST, 1500, 100)?;
        thread::sleep(CALM);
        ensure!(prometheus.fired()?.is_empty(), "{:?}", prometheus.firing()?);

        let names: Vec<_> = (0..20_000)
            .map(|n: u32| format!("{:08x}.victim.example", n.wrapping_mul(0x9e37_79b1)))
            .collect();
        let questions: Vec<_> = names.iter().map(|name| (name.as_str(), "A")).collect();
        let _flood = traffic(network, SERVER[0], &questions, 1, 700)?;
        let alert = raised(&prometheus, "XdscRandomSubdomain")?;
        ensure!(alert.labels["zone"] == "victim.example", "{alert:?}");
        ensure!(alert.labels["job"] == "xdsc", "{alert:?}");
        let link = &alert.annotations["runbook_url"];
        ensure!(link == "docs/runbooks/XdscRandomSubdomain.md", "{link}");
        // Others have had the time to come as well.
        thread::sleep(CALM);
        everything_is_recorded(&prometheus)?;
        alone(&prometheus, "XdscRandomSubdomain")
    })
}

#[test]
fn a_server_that_stops_raises_its_alert_alone_until_it_is_back() -> Result<()> {
    in_network(|network| {
        let server = NameServer::start(network, Kind::Knot)?;
        let _daemon = Daemon::start(network, CONFIG)?;
        let prometheus = prometheus(network)?;
        let _honest = traffic(network, SERVER[0], &HONEST, 2000, 100)?;
        thread::sleep(CALM);
        ensure!(prometheus.fired()?.is_empty(), "{:?}", prometheus.firing()?);

        drop(server);
        let alert = raised(&prometheus, "XdscServerNotAnswering")?;
        ensure!(alert.labels["severity"] == "critical", "{alert:?}");
        for (label, value) in [("node", "ns1"), ("site", "ams")] {
            ensure!(alert.labels[label] == value, "{alert:?}");
        }
        let _server = NameServer::start(network, Kind::Knot)?;
        eventually("the alert to end", || {
            let firing = prometheus.firing()?;
            ensure!(firing.is_empty(), "{firing:?}");
            Ok(())
        })?;
        alone(&prometheus, "XdscServerNotAnswering")
    })
}

fn prometheus(network: &Network) -> Result<Prometheus<'_>> {
    let rules: Result<Vec<_>> = FILES
        .iter()
        .map(|file| {
            let text = fs::read_to_string(folder().join(file))?;
            Ok((*file, faster(&text, TIMES_FASTER)?))
        })
        .collect();
    Prometheus::start_with_rules(network, &rules?)
}

/// The section of a configuration that knows where the flood comes from.
fn countries(network: &Network) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let path = network.directory().join("country.mmdb");
    Mmdb::new("GeoLite2-Country")
        .built(now)
        .network("192.0.2.0/24", json!({"country": {"iso_code": "NL"}}))
        .write(&path)?;
    Ok(format!("[geoip]\ndatabases = [\"{}\"]\n", path.display()))
}

/// Every rule gives what it is there for, but those that need a past, or a node
/// that is missing.
fn everything_is_recorded(prometheus: &Prometheus<'_>) -> Result<()> {
    let complaints = prometheus.complaints_of_rules()?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    for rule in load("recording.yml")? {
        let name = rule.record.context("a record")?;
        if name.ends_with("baseline") || name.ends_with("nodes_missing:count") {
            continue;
        }
        prometheus
            .value(&format!("count({name})"))
            .with_context(|| name)?;
    }
    let offset = prometheus.value("abs(xdsc_time_seconds - timestamp(xdsc_time_seconds))")?;
    ensure!(offset < 5.0, "the clocks are {offset} s apart");
    Ok(())
}

/// Asks beside the test, at most so often per second; what is not answered within
/// a second is given up.
fn traffic(
    network: &Network,
    server: IpAddr,
    questions: &[(&str, &str)],
    rounds: u64,
    rate: u32,
) -> Result<Process> {
    let load = Load {
        server,
        transport: Transport::Udp,
        questions,
        rounds,
        rate: Some(rate),
    };
    let mut arguments = load.arguments(network)?;
    arguments.extend(["-t".to_owned(), "1".to_owned()]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    network.start(Side::Client, "dnsperf", &arguments)
}

fn raised(prometheus: &Prometheus<'_>, name: &str) -> Result<Alert> {
    eventually("the alert", || {
        let mut firing = prometheus.firing()?.into_iter();
        firing
            .find(|alert| alert.labels["alertname"] == name)
            .with_context(|| format!("no {name}"))
    })
}

fn alone(prometheus: &Prometheus<'_>, name: &str) -> Result<()> {
    let fired = prometheus.fired()?;
    let expected = BTreeSet::from([name.to_owned()]);
    ensure!(fired == expected, "{fired:?}");
    Ok(())
}
