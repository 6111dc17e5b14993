//! Frames through everything that counts them in datasets, and out again in
//! DSC's files.

use std::{
    fs,
    num::NonZeroU32,
    path::Path,
    sync::{Arc, LazyLock},
};

use tempfile::NamedTempFile;
use xdsc::{
    dsc_conf::DscConf,
    export::dsc::Format,
    read::{DatasetError, DatasetOptions, DatasetReading},
    stats::{
        dataset::{Dataset, Dimension, Filter, Indexer, Layer, Measure, Predicate},
        plan::{Compat, Plan, Rules},
        table::{Interval, Table},
    },
};

use crate::dsc_files::{self, Cells};

/// Link types of captures: Ethernet, raw, SLL, SLL2, null, PPP, and one that
/// nobody knows.
const LINK_TYPES: [u32; 7] = [1, 101, 113, 276, 0, 9, 147];
/// In seconds, so that any few frames reach another interval.
const INTERVAL: NonZeroU32 = NonZeroU32::new(2).expect("not zero");

/// Some frames, counted by all indexers and filters, rightly and as DSC would.
///
/// The first octet chooses the link type. Of each frame, one octet says how many
/// half seconds it comes after the one before, two how many octets it has.
///
/// # Panics
/// When a message is in no cell of a dataset, or a file says something else.
pub fn statistics(data: &[u8]) {
    static PLANS: LazyLock<[Arc<Plan>; 2]> =
        LazyLock::new(|| [Compat::None, Compat::Dsc].map(|compat| Arc::new(plan(compat))));
    let Some(capture) = capture(data) else {
        return;
    };
    for plan in &*PLANS {
        let mut reading = reading(plan);
        let mut check = |interval: Interval| {
            check(&interval, plan.rules().compat);
            Ok(())
        };
        let errors = reading.file(capture.path(), &mut check).expect("no output");
        for error in errors {
            assert!(!matches!(error, DatasetError::Output(_)), "{error}");
        }
        reading.finish(&mut check).expect("no output");
    }
}

/// The frames as a file of pcap.
fn capture(data: &[u8]) -> Option<NamedTempFile> {
    let (link, mut rest) = data.split_first()?;
    let link = LINK_TYPES[usize::from(*link) % LINK_TYPES.len()];
    let mut file = words(&[0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 262_144, link]);
    let mut half_seconds = 0;
    while let Some(([step, high, low], after)) = rest.split_first_chunk() {
        half_seconds += u32::from(*step);
        let wanted = usize::from(u16::from_be_bytes([*high, *low]));
        let (frame, next) = after.split_at(wanted.min(after.len()));
        let (seconds, half) = (half_seconds / 2, half_seconds % 2);
        file.extend(words(&[
            1_700_000_000 + seconds,
            half * 500_000,
            frame.len() as u32,
            wanted as u32,
        ]));
        file.extend(frame);
        rest = next;
    }
    let capture = NamedTempFile::new().expect("a file");
    fs::write(capture.path(), file).expect("room");
    Some(capture)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn reading(plan: &Arc<Plan>) -> DatasetReading {
    let compat = plan.rules().compat;
    let options = DatasetOptions::of_dsc(&DscConf::default(), compat).expect("no files");
    DatasetReading::new(DatasetOptions {
        plan: Arc::clone(plan),
        interval: INTERVAL,
        ..options
    })
}

/// Each indexer alone and in a pair with the next one, each under a filter.
fn plan(compat: Compat) -> Plan {
    let mut datasets = Vec::new();
    let firsts = Indexer::ALL.iter().filter(|one| **one != Indexer::Null);
    let nexts = Indexer::ALL.iter().cycle().skip(2);
    let predicates = Predicate::ALL.iter().cycle();
    for ((first, second), predicate) in firsts.zip(nexts).zip(predicates) {
        datasets.push(dataset(Layer::Dns, [Indexer::Null, *first], Predicate::Any));
        datasets.push(dataset(Layer::Dns, [*first, *second], *predicate));
        if first.suits_ip() {
            datasets.push(dataset(Layer::Ip, [Indexer::Null, *first], Predicate::Any));
        }
    }
    let rules = Rules {
        compat,
        ..Rules::default()
    };
    Plan::new(datasets, rules)
}

fn dataset(layer: Layer, indexers: [Indexer; 2], predicate: Predicate) -> Dataset {
    let [first, second] = indexers;
    let dimension = |place: &str, indexer: Indexer| Dimension {
        label: format!("{place}_{}", indexer.label()),
        indexer,
    };
    Dataset {
        name: format!("{}_{first:?}_{second:?}_{predicate:?}", layer.label()),
        layer,
        dimensions: [dimension("row", first), dimension("column", second)],
        filters: vec![Filter::Is(predicate)],
        measure: Measure::Messages,
        min_count: None,
        max_cells: None,
    }
}

fn check(interval: &Interval, compat: Compat) {
    let mut told = Cells::new();
    for table in &interval.tables {
        let before: u64 = told.values().sum();
        for row in &table.rows {
            for cell in &row.cells {
                let name = table.dataset.name.clone();
                told.insert((name, row.value.clone(), cell.value.clone()), cell.count);
            }
        }
        let sum = told.values().sum::<u64>() - before;
        let name = &table.dataset.name;
        assert!(sum == table.total || is_lossy(table, compat), "{name}");
        assert_eq!(table.uncounted, 0, "{name}");
    }
    for format in Format::ALL {
        let mut text = Vec::new();
        format.write(interval, &mut text).expect("memory");
        let mut read = match format {
            Format::Xml => dsc_files::of_xml(&text),
            Format::Json => dsc_files::of_json(&text),
        };
        read.retain(|(name, ..), _| name != "pcap_stats");
        assert_eq!(read, told, "{format:?}");
    }
}

/// DSC never prints the lowest range of ports.
fn is_lossy(table: &Table, compat: Compat) -> bool {
    let mut dimensions = table.dataset.dimensions.iter();
    compat == Compat::Dsc && dimensions.any(|one| one.indexer == Indexer::DnsSportRange)
}

/// A configuration of DSC.
///
/// # Panics
/// When what was read of it cannot be run.
pub fn dsc_conf(data: &[u8]) {
    let conf = match DscConf::parse(data, "fuzz", Path::new("/folder")) {
        Ok(conf) => conf,
        Err(errors) => {
            assert!(errors.to_string().contains("fuzz"), "{errors}");
            return;
        }
    };
    assert!(!conf.output_formats.is_empty() && conf.statistics_interval > 0);
    for dataset in &conf.datasets {
        assert!(!dataset.name.is_empty());
        for filter in &dataset.filters {
            if let Filter::QnameMatches(index) = filter {
                assert!(*index < conf.qname_filters.len());
            }
        }
    }
    // Reading the files that it names is not for a fuzzer.
    let conf = DscConf {
        tld_list: None,
        knowntlds_file: None,
        maxminddb_country: None,
        maxminddb_asn: None,
        ..conf
    };
    for compat in [Compat::None, Compat::Dsc] {
        let plan = conf.plan(compat).expect("no files");
        assert_eq!(plan.datasets().len(), conf.datasets.len());
    }
}
