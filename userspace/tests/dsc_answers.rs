//! Datasets of captures against what DSC itself says of them.
//!
//! With `Compat::Dsc` all of DSC's answers come out, its defects included;
//! without it, docs/deviations.md lists every cell that differs, and the list is
//! checked both ways. The captures and the answers stay outside of the
//! repository: in `shared/data` beside it, or where `XDSC_SHARED_DATA` says.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "XML has more kinds of events than matter"
)]

mod shared_data;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use quick_xml::events::Event;
use serde_json::Value;
use xdsc::{
    dsc_conf::DscConf,
    read::{DatasetOptions, DatasetReading},
    stats::{plan::Compat, table::Interval},
};

use shared_data::data;

/// Counts by dataset, row and column.
type Answer = BTreeMap<(String, String, String), u64>;
/// Row and column, DSC's count and ours.
type Difference = ((String, String), u64, u64);

fn printable(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn value(object: &Value, key: &str) -> String {
    let text = object[key].as_str().expect("a value");
    match object["base64"].as_bool() {
        Some(true) => printable(&BASE64_STANDARD.decode(text).expect("base64")),
        _ => text.to_owned(),
    }
}

fn of_json(text: &str) -> Answer {
    let mut answer = Answer::new();
    let datasets: Vec<Value> = serde_json::from_str(text).expect("DSC JSON");
    for dataset in &datasets {
        let name = dataset["name"].as_str().expect("a name");
        let rows = dataset["dimensions"][0].as_str().expect("rows");
        let columns = dataset["dimensions"][1].as_str().expect("columns");
        for row in dataset["data"].as_array().expect("rows") {
            for cell in row[columns].as_array().expect("cells") {
                let key = (name.to_owned(), value(row, rows), value(cell, "val"));
                *answer.entry(key).or_default() += cell["count"].as_u64().expect("a count");
            }
        }
    }
    answer.retain(|(name, ..), _| name != "pcap_stats");
    answer
}

fn of_xml(text: &str) -> Answer {
    let mut answer = Answer::new();
    let (mut name, mut row) = (String::new(), String::new());
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        let (Event::Start(tag) | Event::Empty(tag)) = (match reader.read_event().expect("XML") {
            Event::Eof => break,
            other => other,
        }) else {
            continue;
        };
        let attributes: BTreeMap<String, String> = tag
            .attributes()
            .map(|one| one.expect("an attribute"))
            .map(|one| (one.key.as_ref().to_owned(), one.value.into_owned()))
            .collect();
        if let Some(given) = attributes.get("dimensions") {
            assert_eq!(given, "2");
            name.clone_from(&attributes["name"]);
        }
        let Some(value) = attributes.get("val") else {
            continue;
        };
        let value = match attributes.get("base64") {
            Some(_) => printable(&BASE64_STANDARD.decode(value).expect("base64")),
            None => value.clone(),
        };
        match attributes.get("count") {
            Some(count) => {
                let key = (name.clone(), row.clone(), value);
                *answer.entry(key).or_default() += count.parse::<u64>().expect("a count");
            }
            None => row = value,
        }
    }
    answer.retain(|(name, ..), _| name != "pcap_stats");
    answer
}

fn ours(conf: &Path, capture: &Path, compat: Compat) -> Answer {
    let conf = load(conf);
    let options = DatasetOptions::of_dsc(&conf, compat).expect("its files");
    let mut answer = Answer::new();
    let mut sink = |interval: Interval| {
        for table in &interval.tables {
            let name = &table.dataset.name;
            let (mut total, uncounted) = (0, table.uncounted);
            for row in &table.rows {
                for cell in &row.cells {
                    let key = (name.clone(), printable(&row.value), printable(&cell.value));
                    *answer.entry(key).or_default() += cell.count;
                    total += cell.count;
                }
            }
            // DSC never prints ports below 1024.
            let is_lossy = compat == Compat::Dsc && name.contains("range");
            assert!(total + uncounted == table.total || is_lossy, "{name}");
        }
        Ok(())
    };
    let mut reading = DatasetReading::new(options);
    let errors = reading.file(capture, &mut sink).expect("no output");
    assert!(errors.is_empty(), "{}: {errors:?}", capture.display());
    reading.finish(&mut sink).expect("no output");
    answer
}

/// A dsc.conf of DSC's tests, which copy their files to other names before they
/// run.
fn load(conf: &Path) -> DscConf {
    let text = fs::read_to_string(conf).expect("a dsc.conf");
    let folder = conf.parent().expect("a folder");
    let plain = text.replace(".dist;", ";");
    DscConf::parse(plain.as_bytes(), &conf.display().to_string(), folder).expect("a dsc.conf")
}

fn count(answer: &Answer, key: &(String, String, String)) -> u64 {
    answer.get(key).copied().unwrap_or(0)
}

/// Cells that differ, with DSC's count and ours.
fn differences(dsc: &Answer, ours: &Answer) -> Vec<((String, String, String), u64, u64)> {
    let keys: BTreeSet<_> = dsc.keys().chain(ours.keys()).collect();
    let counted = keys
        .into_iter()
        .map(|key| (key.clone(), count(dsc, key), count(ours, key)));
    counted.filter(|(_, dsc, ours)| dsc != ours).collect()
}

#[test]
fn dscs_own_tests_pass_in_compat() {
    let Some(data) = data() else { return };
    let folder = data.join("dsc-upstream");
    let mut wrong = Vec::new();
    for (capture, conf, gold) in [
        ("1458044657.pcap", "1458044657.conf", "1458044657.xml_gold"),
        ("1458044657.pcap", "1458044657.conf", "1458044657.json_gold"),
        (
            "1458044657.pcap",
            "response_time.conf",
            "response_time.gold",
        ),
        (
            "1458044657.pcap",
            "response_time2.conf",
            "response_time2.gold",
        ),
        (
            "1458044657.pcap",
            "response_time3.conf",
            "response_time3.gold",
        ),
        ("dns6.pcap", "dns6.conf", "dns6.gold"),
        ("dnso1tcp.pcap", "dnso1tcp.conf", "dnso1tcp.gold"),
        ("edns.pcap", "test_291.conf", "test_291.xml_gold"),
        ("test_285.pcap", "test_285.conf", "test_285.xml_gold"),
    ] {
        let text = fs::read_to_string(folder.join(gold)).expect("a gold file");
        let dsc = if gold.contains("json") {
            of_json(&text)
        } else {
            of_xml(&text)
        };
        let ours = ours(&folder.join(conf), &folder.join(capture), Compat::Dsc);
        let differing = differences(&dsc, &ours);
        wrong.extend(
            differing
                .into_iter()
                .map(|cell| format!("{gold}: {cell:?}")),
        );
        assert!(!dsc.is_empty(), "{gold}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Captures with DSC's answer, by name.
fn answered(data: &Path) -> Vec<(String, PathBuf, Answer)> {
    let edge = data.join("dsc-edge");
    let mut names: Vec<_> = fs::read_dir(&edge)
        .expect("captures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    names.sort();
    let mut answered: Vec<_> = names
        .into_iter()
        .map(|json| {
            let name = json.file_stem().expect("a name").display().to_string();
            let dsc = of_json(&fs::read_to_string(&json).expect("an answer"));
            (name, json.with_extension("pcap"), dsc)
        })
        .collect();
    let live = data.join("live");
    let mut dsc = String::new();
    let file = fs::File::open(live.join("nsd-live.dsc.json.xz")).expect("an answer");
    liblzma::read::XzDecoder::new(file)
        .read_to_string(&mut dsc)
        .expect("xz");
    answered.push((
        "nsd-live".to_owned(),
        live.join("nsd-live.raw.pcap.xz"),
        of_json(&dsc),
    ));
    answered
}

#[test]
fn every_answer_is_dscs_in_compat() {
    let Some(data) = data() else { return };
    let conf = data.join("dsc-edge/edge.conf");
    let mut wrong = Vec::new();
    for (name, capture, dsc) in answered(&data) {
        let ours = ours(&conf, &capture, Compat::Dsc);
        let differing = differences(&dsc, &ours);
        wrong.extend(
            differing
                .into_iter()
                .map(|cell| format!("{name}: {cell:?}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Which deviation of docs/deviations.md explains a dataset of a capture.
fn deviation(capture: &str, dataset: &str) -> &'static str {
    match (capture, dataset) {
        (_, "client_port" | "client_port_range") => "source-ports",
        (_, "prime") => "priming",
        ("05-idn", _) | (_, "idn_qname" | "idn_only") => "idn",
        ("07-extrcode", _) => "extended-rcode",
        ("26-class" | "04-noquestion", _) => "classification",
        ("30-qname", _) => "names",
        ("29-snaplen", _) => "snaplen",
        ("03-malformed", _) => "malformed",
        ("34-outbound", _) => "own-queries",
        ("08-tcp-nosyn", _) => "tcp-start",
        ("16-frag4-reverse" | "17-frag6", _) => "fragments",
        ("19-ip6-1461", _) => "large-ipv6",
        ("13-qinq-88a8" | "14-qinq-8100", _) => "qinq",
        ("21-gre-key" | "22-ipip", _) => "tunnels",
        (_, "direction_vs_ipproto") => "ip-layer",
        ("nsd-live", "class") => "classification",
        ("nsd-live", "qname" | "tld") => "names",
        ("nsd-live", _) => "long-names",
        _ => "NOT EXPLAINED",
    }
}

/// Cells that differ, in one line: all of them where they are few.
///
/// Real clients' addresses and names stay where they are.
fn in_short(capture: &str, dataset: &str, cells: &[Difference]) -> String {
    const FEW: usize = 6;
    let is_private = capture == "nsd-live"
        && matches!(
            dataset,
            "client" | "client_subnet" | "qname" | "idn_only" | "tld" | "class"
        );
    if cells.len() > FEW || is_private {
        let sum = |of: fn(&Difference) -> u64| cells.iter().map(of).sum::<u64>();
        let (dsc, ours) = (sum(|cell| cell.1), sum(|cell| cell.2));
        return format!("{} cells: {dsc} messages in them, {ours} here", cells.len());
    }
    let one = |((row, value), dsc, ours): &Difference| {
        let row = if row == "ALL" {
            String::new()
        } else {
            format!("{row} / ")
        };
        let cell = format!("{row}{value}")
            .escape_debug()
            .to_string()
            .replace('|', "\\|");
        format!("`{cell}` {dsc} → {ours}")
    };
    cells.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The lines of the table in docs/deviations.md.
fn table(data: &Path) -> Vec<String> {
    let conf = data.join("dsc-edge/edge.conf");
    let mut lines = Vec::new();
    for (name, capture, dsc) in answered(data) {
        let mut datasets: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for ((dataset, row, value), dsc, ours) in
            differences(&dsc, &ours(&conf, &capture, Compat::None))
        {
            let cells = datasets.entry(dataset).or_default();
            cells.push(((row, value), dsc, ours));
        }
        // Where a message more is seen, or one less, all datasets differ by it.
        if let Some(cells) = datasets.get("m_any").filter(|_| name != "nsd-live") {
            let why = deviation(&name, "m_any");
            let count = datasets.len();
            lines.push(format!(
                "| {name} | {count} datasets by `m_any` | {} | {why} |",
                in_short(&name, "m_any", cells)
            ));
            continue;
        }
        for (dataset, cells) in &datasets {
            let why = deviation(&name, dataset);
            lines.push(format!(
                "| {name} | {dataset} | {} | {why} |",
                in_short(&name, dataset, cells)
            ));
        }
    }
    lines
}

#[test]
fn every_other_difference_is_listed() {
    let Some(data) = data() else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deviations.md");
    let text = fs::read_to_string(&file).expect("docs/deviations.md");
    let heading =
        "| capture | dataset | cells that differ: DSC → xdsc | deviation |\n|---|---|---|---|\n";
    let (before, listed) = text.split_once(heading).expect("the table");
    let found = table(&data);
    for line in &found {
        let why = line.rsplit('|').nth(1).expect("a deviation").trim();
        assert!(
            before.contains(&format!("### {why}\n")),
            "no reason is given: {line}"
        );
    }
    let found = found.join("\n") + "\n";
    if env::var_os("XDSC_WRITE_DEVIATIONS").is_some() {
        fs::write(&file, format!("{before}{heading}{found}")).expect("written");
        return;
    }
    assert_eq!(
        listed, found,
        "docs/deviations.md is not what was found: see whether it is right, then run \
         `XDSC_WRITE_DEVIATIONS=1 cargo test -p xdsc --test dsc_answers`"
    );
}

#[test]
fn the_page_for_dscs_users_tells_of_every_dataset() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let read = |name| fs::read_to_string(docs.join(name)).expect("a page");
    let (page, metrics, deviations) = (
        read("from-dsc.md"),
        read("METRICS.md"),
        read("deviations.md"),
    );
    let rows: BTreeMap<&str, Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` | "))
        .map(|(name, rest)| (name, rest.split('|').map(str::trim).collect()))
        .collect();
    let ours = xdsc::stats::builtin::names().collect::<BTreeSet<_>>();
    assert_eq!(rows.len(), 35, "DSC's 34 samples and pcap_stats");
    for (name, columns) in &rows {
        assert!(
            ours.contains(name) || matches!(*name, "response_time" | "pcap_stats"),
            "{name}"
        );
        let deviation = columns[2];
        assert!(
            deviation.is_empty() || deviations.contains(&format!("### {deviation}\n")),
            "{name}"
        );
    }
    for family in page.split('`').filter(|text| text.starts_with("xdsc_")) {
        assert!(metrics.contains(&format!("| `{family}` |")), "{family}");
    }
    for indexer in xdsc::stats::dataset::Indexer::ALL {
        let told = indexer.is_dsc() || page.contains(&format!("`{}`", indexer.label()));
        assert!(told, "{}", indexer.label());
    }
}
