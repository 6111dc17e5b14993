//! The days of RSSAC002 that a running xdsc keeps: they survive its restart, and
//! are those of the traffic.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    Network, SERVER,
    client::{Load, Transport},
    daemon::{Daemon, refusal},
    in_network,
    server::{Kind, NameServer},
};
use serde_json::Value;

const QUESTIONS: [(&str, &str); 3] = [
    ("www.example", "A"),
    ("example", "MX"),
    ("absent.example", "A"),
];

fn settings(network: &Network) -> String {
    let folder = network.directory().join("days");
    format!(
        "[rssac002]\ndirectory = {:?}\nservice = \"ns1.example\"\n",
        folder.display()
    )
}

/// Asks by both families and transports; the queries of each.
fn ask(network: &Network, rounds: u64) -> Result<u64> {
    let mut sent = 0;
    for server in SERVER {
        for transport in [Transport::Udp, Transport::Tcp] {
            let load = Load {
                server,
                transport,
                questions: &QUESTIONS,
                rounds,
                rate: None,
            };
            let tally = load.run(network)?;
            ensure!(tally.sent == tally.completed, "{tally:?}");
            sent = tally.sent;
        }
    }
    Ok(sent)
}

/// The partial files; there are two where midnight has passed meanwhile.
fn partials(network: &Network) -> Result<Vec<Value>> {
    let folder = network.directory().join("days/partial");
    let files = fs::read_dir(folder)?;
    files
        .map(|file| Ok(serde_json::from_str(&fs::read_to_string(file?.path())?)?))
        .collect()
}

/// A map of all days, summed up.
fn sum(days: &[Value], pointer: &str) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for day in days {
        let map = day.pointer(pointer).and_then(Value::as_object);
        for (key, count) in map.into_iter().flatten() {
            *sum.entry(key.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
    }
    sum
}

#[test]
fn a_day_survives_a_restart() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let mut sent = 0;
        for rounds in [50, 70] {
            let daemon = Daemon::start(network, &settings(network))?;
            sent += ask(network, rounds)?;
            let samples = daemon.quiet()?;
            let errors = samples.count("xdsc_rssac002_write_errors_total", &[])?;
            ensure!(errors == 0, "{errors} errors");
            daemon.stop()?;
        }
        let days = partials(network)?;
        let volume = sum(&days, "/traffic-volume");
        ensure!(volume.len() == 8, "{volume:?}");
        ensure!(volume.values().all(|count| *count == sent), "{volume:?}");
        let each = 4 * sent / 3;
        let rcodes = sum(&days, "/rcode-volume");
        let expected = [("0".to_owned(), 2 * each), ("3".to_owned(), each)];
        ensure!(rcodes == expected.into(), "{rcodes:?}");
        for sizes in ["request", "response"] {
            for transport in ["udp", "tcp"] {
                let bins = sum(&days, &format!("/traffic-sizes/{transport}-{sizes}-sizes"));
                let all: u64 = bins.values().sum();
                ensure!(all == 2 * sent, "{transport} {sizes}: {bins:?}");
            }
        }
        sources_are_published(network)
    })
}

/// One client of each family, on the first day at least.
fn sources_are_published(network: &Network) -> Result<()> {
    let folder = network.directory().join("days/partial");
    let first = fs::read_dir(&folder)?.next().context("a day")??.path();
    let out = network.directory().join("published");
    let [into, from] = [&out, &first].map(|path| path.display().to_string());
    let arguments = ["rssac002", "merge", "--service", "ns1.example", "--output"];
    let arguments = [&arguments[..], &[&*into, &from]].concat();
    let merged = refusal(network, &[], &arguments)?;
    ensure!(merged.status.success(), "{merged:?}");
    let files = walk(&out)?;
    let sources = files.iter().find(|text| text.contains("unique-sources"));
    let sources = sources.context("unique-sources")?;
    for family in ["ipv4: 1\n", "ipv6: 1\n", "ipv6-aggregate: 1\n"] {
        ensure!(
            sources.contains(&format!("num-sources-{family}")),
            "{sources}"
        );
    }
    Ok(())
}

/// The texts of all files below a folder.
fn walk(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            texts.extend(walk(&path)?);
        } else {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(texts)
}

#[test]
fn a_damaged_day_keeps_xdsc_from_starting() -> Result<()> {
    in_network(|network| {
        let settings = settings(network);
        Daemon::start(network, &settings)?.stop()?;
        let folder = network.directory().join("days/partial");
        let file = fs::read_dir(&folder)?.next().context("a day")??.path();
        fs::write(&file, "half a d")?;
        let config = network.file("damaged.toml", &settings)?;
        let arguments = ["run", "--interface", "dns0", "--config", &config];
        let refused = refusal(network, &[], &arguments)?;
        ensure!(!refused.status.success(), "{refused:?}");
        ensure!(refused.said.contains("is not a day"), "{}", refused.said);
        ensure!(fs::read_to_string(&file)? == "half a d");
        Ok(())
    })
}
