//! Datasets of made-up traffic, against what is true of it.
//!
//! The truth comes from the plain fields that the packets are made of, so every
//! cell of every dataset must be equal: nothing lost, nothing added.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    sync::OnceLock,
};

use integration_tests::traffic::{Cells, DATASETS, Profile, Traffic, Truth, write_pcap};
use tempfile::{NamedTempFile, TempPath};
use xdsc::{
    dsc_conf::DscConf,
    export::dsc::Format,
    read::{DatasetOptions, DatasetReading},
    stats::{
        plan::Compat,
        table::{CaptureCounts, Interval},
    },
};
use xdsc_fuzz::dsc_files;

/// A capture, what is true of it, and the messages in it.
struct Known {
    capture: TempPath,
    truth: Truth,
    messages: u64,
}

/// So many exchanges in so many minutes.
fn known(profile: Profile, seed: u64, exchanges: u64, minutes: u64) -> Known {
    let traffic = Traffic::new(profile, seed, exchanges / (minutes * 60));
    let mut file = NamedTempFile::new().expect("a file");
    let mut truth = Truth::default();
    let mut out = BufWriter::new(&mut file);
    let messages = write_pcap(traffic.take(exchanges as usize), &mut out, &mut truth);
    out.flush().expect("room");
    drop(out);
    Known {
        capture: file.into_temp_path(),
        truth,
        messages: messages.expect("room"),
    }
}

/// More than a million messages in five minutes.
fn million() -> &'static Known {
    static MILLION: OnceLock<Known> = OnceLock::new();
    MILLION.get_or_init(|| known(Profile::Everyday, 1, 600_000, 5))
}

/// As many as make every kind of cell, in two minutes.
fn some() -> &'static Known {
    static SOME: OnceLock<Known> = OnceLock::new();
    SOME.get_or_init(|| known(Profile::Everyday, 2, 24_000, 2))
}

fn read(captures: &[&Path], conf: &str, compat: Compat) -> Vec<Interval> {
    let conf = DscConf::parse(conf.as_bytes(), "datasets", Path::new("/")).expect("a dsc.conf");
    let options = DatasetOptions::of_dsc(&conf, compat).expect("no files");
    let mut reading = DatasetReading::new(options);
    let mut intervals = Vec::new();
    let mut sink = |interval| {
        intervals.push(interval);
        Ok(())
    };
    for capture in captures {
        let errors = reading.file(capture, &mut sink).expect("no output");
        assert!(errors.is_empty(), "{errors:?}");
    }
    reading.finish(&mut sink).expect("no output");
    intervals
}

/// Intervals of a minute are DSC's default.
fn in_one(conf: &str) -> String {
    format!("statistics_interval 86400;\n{conf}")
}

/// The cells of all intervals, by dataset.
fn added_up(intervals: &[Interval]) -> BTreeMap<String, Cells> {
    let mut datasets = BTreeMap::<String, Cells>::new();
    for table in intervals.iter().flat_map(|interval| &interval.tables) {
        let name = &table.dataset.name;
        let cells = datasets.entry(name.clone()).or_default();
        let mut total = 0;
        for row in &table.rows {
            for cell in &row.cells {
                let key = (printed(&row.value), printed(&cell.value));
                *cells.entry(key).or_default() += cell.count;
                total += cell.count;
            }
        }
        assert_eq!((total, 0), (table.total, table.uncounted), "{name}");
    }
    datasets
}

fn printed(value: &[u8]) -> String {
    str::from_utf8(value).expect("ASCII").to_owned()
}

/// Every cell that differs in any dataset, with what is true and what was told.
fn differences(truth: &Truth, told: &BTreeMap<String, Cells>) -> Vec<String> {
    assert!(truth.datasets.keys().copied().eq(told.keys()));
    let mut differing = Vec::new();
    for (name, is) in &truth.datasets {
        let told = &told[*name];
        for key in is.keys().chain(told.keys()) {
            let (is, told) = (is.get(key), told.get(key));
            if is != told {
                differing.push(format!("{name} {key:?}: {is:?}, told {told:?}"));
            }
        }
    }
    differing.truncate(20);
    differing
}

#[test]
fn a_million_messages_are_each_in_their_cell() {
    let known = million();
    assert!(known.messages > 1_000_000);
    let intervals = read(&[&known.capture], &in_one(DATASETS), Compat::None);
    assert_eq!(intervals.len(), 1);
    assert_eq!(intervals[0].captures[0].captured, known.messages);
    let differing = differences(&known.truth, &added_up(&intervals));
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn intervals_of_a_minute_add_up_to_the_same() {
    let known = million();
    let intervals = read(&[&known.capture], DATASETS, Compat::None);
    let spans = intervals.iter().map(|one| one.stop - one.start);
    // The last one goes up to the last packet.
    assert!(spans.eq([60, 60, 60, 60, 59]));
    let differing = differences(&known.truth, &added_up(&intervals));
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn a_flood_is_counted_name_by_name() {
    let known = known(Profile::Flood, 3, 20_000, 1);
    let intervals = read(&[&known.capture], &in_one(DATASETS), Compat::None);
    let told = added_up(&intervals);
    assert_eq!(told["qname"].len(), 20_000);
    let differing = differences(&known.truth, &told);
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn what_is_written_is_true_in_each_format() {
    let known = some();
    let intervals = read(&[&known.capture], DATASETS, Compat::None);
    assert_eq!(intervals.len(), 2);
    for format in Format::ALL {
        let mut told = BTreeMap::<String, Cells>::new();
        for interval in &intervals {
            let mut text = Vec::new();
            format.write(interval, &mut text).expect("memory");
            let cells = match format {
                Format::Json => dsc_files::of_json(&text),
                Format::Xml => dsc_files::of_xml(&text),
            };
            for ((name, row, value), count) in cells {
                let key = (printed(&row), printed(&value));
                *told.entry(name).or_default().entry(key).or_default() += count;
            }
        }
        let packets = told.remove("pcap_stats").expect("packets");
        let captured: u64 = packets.values().sum();
        assert_eq!(captured, known.messages, "{format:?}");
        let differing = differences(&known.truth, &told);
        assert!(differing.is_empty(), "{format:?}: {differing:#?}");
    }
}

#[test]
fn two_captures_are_one_that_was_cut() {
    let known = some();
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = [0, 1].map(|n| folder.path().join(n.to_string()));
    let octets = fs::read(&known.capture).expect("the capture");
    let middle = packet_behind(&octets, octets.len() / 3);
    fs::write(&first, &octets[..middle]).expect("room");
    let mut file = File::create(&second).expect("room");
    file.write_all(&octets[..HEADER]).expect("room");
    file.write_all(&octets[middle..]).expect("room");
    for compat in [Compat::None, Compat::Dsc] {
        let whole = read(&[&known.capture], DATASETS, compat);
        let cut = read(&[&first, &second], DATASETS, compat);
        assert_eq!(tables_of(whole), tables_of(cut), "{compat:?}");
    }
}

/// Octets of a pcap's own header, and of a packet's.
const HEADER: usize = 24;
const PACKET_HEADER: usize = 16;

/// Where the first packet at or behind an octet begins.
fn packet_behind(pcap: &[u8], wanted: usize) -> usize {
    let mut at = HEADER;
    while at < wanted {
        let len = pcap[at + 8..].first_chunk().expect("a packet");
        at += PACKET_HEADER + u32::from_le_bytes(*len) as usize;
    }
    at
}

fn tables_of(intervals: Vec<Interval>) -> Vec<Interval> {
    let without_files = intervals.into_iter().map(|interval| Interval {
        captures: Vec::<CaptureCounts>::new(),
        ..interval
    });
    without_files.collect()
}

/// DSC's front end and its rules are other code. Where DSC has no defect, they
/// say the same: not of TCP whose beginning was not seen, of names with other
/// octets than letters, of ports, classes and IDNs.
#[test]
fn what_dsc_sees_is_as_true() {
    let plain = |label: &String| label.bytes().all(|octet| octet.is_ascii_graphic());
    let exchanges = Traffic::new(Profile::Everyday, 4, 1_000)
        .filter(|exchange| !exchange.tcp && exchange.labels.iter().all(plain))
        .filter(|exchange| {
            !exchange
                .labels
                .iter()
                .any(|label| label.contains(['.', '\\']))
        });
    let mut file = NamedTempFile::new().expect("a file");
    let mut truth = Truth::default();
    write_pcap(exchanges.take(20_000), &mut file, &mut truth).expect("room");
    let mut told = added_up(&read(&[file.path()], &without_defects(), Compat::Dsc));
    for defective in DEFECTIVE {
        truth.datasets.remove(defective);
        told.remove(defective);
    }
    let differing = differences(&truth, &told);
    assert!(differing.is_empty(), "{differing:#?}");
}

const DEFECTIVE: [&str; 3] = ["client_port_range", "classification", "idn"];

fn without_defects() -> String {
    let lines = DATASETS.lines();
    let lines = lines.filter(|line| !DEFECTIVE.iter().any(|name| line.contains(name)));
    lines.collect::<Vec<_>>().join("\n")
}
