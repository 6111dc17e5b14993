//! The files, to the blank; and that every value survives.

use std::fs;
use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use base64::Engine as _;
use proptest::prelude::*;
use quick_xml::events::Event;

use super::*;
use crate::stats::dataset::{Dataset, Dimension, Indexer, Layer, Measure};
use crate::stats::table::{CaptureCounts, Cell, Row, Table};

type Rows<'a> = &'a [(&'a [u8], &'a [(&'a [u8], u64)])];

fn dimension(label: &str) -> Dimension {
    Dimension {
        label: label.to_owned(),
        indexer: Indexer::Qname,
    }
}

fn table(name: &str, min_count: u64, max_cells: u32, rows: Rows<'_>) -> Table {
    let dataset = Dataset {
        name: name.to_owned(),
        layer: Layer::Dns,
        dimensions: [dimension("All"), dimension("Qname")],
        filters: Vec::new(),
        measure: Measure::Messages,
        min_count: NonZeroU64::new(min_count),
        max_cells: NonZeroU32::new(max_cells),
    };
    let row = |(value, cells): &(&[u8], &[(&[u8], u64)])| Row {
        value: value.to_vec(),
        cells: (cells.iter())
            .map(|(value, count)| Cell {
                value: value.to_vec(),
                count: *count,
            })
            .collect(),
        ..Row::default()
    };
    Table {
        dataset: Arc::new(dataset),
        total: 0,
        uncounted: 0,
        rows: rows.iter().map(row).collect(),
    }
}

fn interval(tables: Vec<Table>) -> Interval {
    Interval {
        start: 1_700_000_000,
        stop: 1_700_000_060,
        tables,
        captures: Vec::new(),
    }
}

fn example() -> Interval {
    let names: Rows<'_> = &[
        (
            b"ALL",
            &[(b"example.com", 5_000_000_000), (b"", 2), (b"a=b", 1)],
        ),
        (b"n/a", &[]),
    ];
    let capture = CaptureCounts {
        name: "eth0".to_owned(),
        captured: 7,
        received: 9,
        dropped: 0,
    };
    Interval {
        captures: vec![capture],
        ..interval(vec![
            table("first", 0, 0, names),
            table("second", 0, 0, &[]),
        ])
    }
}

#[test]
fn xml_is_laid_out_as_by_dsc() {
    let expected = "\
<dscdata>
<array name=\"pcap_stats\" dimensions=\"2\" start_time=\"1700000000\" stop_time=\"1700000060\">
  <dimension number=\"1\" type=\"ifname\"/>
  <dimension number=\"2\" type=\"pcap_stat\"/>
  <data>
    <ifname val=\"eth0\">
      <pcap_stat val=\"filter_received\" count=\"9\"/>
      <pcap_stat val=\"pkts_captured\" count=\"7\"/>
    </ifname>
  </data>
</array>
<array name=\"second\" dimensions=\"2\" start_time=\"1700000000\" stop_time=\"1700000060\">
  <dimension number=\"1\" type=\"All\"/>
  <dimension number=\"2\" type=\"Qname\"/>
  <data>
  </data>
</array>
<array name=\"first\" dimensions=\"2\" start_time=\"1700000000\" stop_time=\"1700000060\">
  <dimension number=\"1\" type=\"All\"/>
  <dimension number=\"2\" type=\"Qname\"/>
  <data>
    <All val=\"ALL\">
      <Qname val=\"example.com\" count=\"5000000000\"/>
      <Qname val=\"\" count=\"2\"/>
      <Qname val=\"YT1i\" base64=\"1\" count=\"1\"/>
    </All>
    <All val=\"bi9h\" base64=\"1\">
    </All>
  </data>
</array>
</dscdata>
";
    assert_eq!(String::from_utf8_lossy(&to_xml(&example())), expected);
}

#[test]
fn json_is_laid_out_as_by_dsc() {
    let expected = r#"[
{
  "name": "pcap_stats",
  "start_time": 1700000000,
  "stop_time": 1700000060,
  "dimensions": [ "ifname", "pcap_stat" ],
  "data": [
    {
      "ifname": "eth0",
      "pcap_stat": [
        { "val": "filter_received", "count": 9 },
        { "val": "pkts_captured", "count": 7 }
      ]
    }
  ]
},
{
  "name": "second",
  "start_time": 1700000000,
  "stop_time": 1700000060,
  "dimensions": [ "All", "Qname" ],
  "data": [
  ]
},
{
  "name": "first",
  "start_time": 1700000000,
  "stop_time": 1700000060,
  "dimensions": [ "All", "Qname" ],
  "data": [
    {
      "All": "ALL",
      "Qname": [
        { "val": "example.com", "count": 5000000000 },
        { "val": "", "count": 2 },
        { "val": "YT1i", "base64": true, "count": 1 }
      ]
    },
    {
      "All": "bi9h",
      "base64": true,
      "Qname": []
    }
  ]
}
]
"#;
    assert_eq!(String::from_utf8_lossy(&to_json(&example())), expected);
}

/// The values and counts of the only dataset's only row, read by another's parser.
fn cells_of_xml(text: &[u8]) -> Vec<(Vec<u8>, u64)> {
    let mut reader = quick_xml::Reader::from_reader(text);
    let mut cells = Vec::new();
    loop {
        let event = reader.read_event().expect("well-formed XML");
        if matches!(event, Event::Eof) {
            return cells;
        }
        let Event::Empty(element) = event else {
            continue;
        };
        let attribute = |name: &str| {
            let found = element.try_get_attribute(name).expect("attributes");
            found.map(|attribute| attribute.value.as_bytes().to_vec())
        };
        if element.name().as_ref() == "Qname" {
            let value = attribute("val").expect("a value");
            let count = attribute("count").expect("a count");
            let count = String::from_utf8(count).expect("digits");
            cells.push((
                decoded(value, attribute("base64").is_some()),
                count.parse().expect("a number"),
            ));
        }
    }
}

fn cells_of_json(text: &[u8]) -> Vec<(Vec<u8>, u64)> {
    let document: serde_json::Value = serde_json::from_slice(text).expect("JSON");
    let cells = document[1]["data"][0]["Qname"].as_array().expect("cells");
    (cells.iter())
        .map(|cell| {
            let value = cell["val"].as_str().expect("a value").as_bytes();
            let is_base64 = cell["base64"].as_bool() == Some(true);
            let count = cell["count"].as_u64().expect("a count");
            (decoded(value.to_vec(), is_base64), count)
        })
        .collect()
}

fn decoded(value: Vec<u8>, is_base64: bool) -> Vec<u8> {
    let decode = |value| base64::engine::general_purpose::STANDARD.decode(value);
    if is_base64 {
        decode(value).expect("base64")
    } else {
        value
    }
}

fn cells(found: &[(&[u8], u64)]) -> Vec<(Vec<u8>, u64)> {
    (found.iter())
        .map(|(value, count)| (value.to_vec(), *count))
        .collect()
}

#[test]
fn cells_beyond_the_limits_are_skipped_and_told() {
    let rows: Rows<'_> = &[(b"ALL", &[(b"a", 9), (b"b", 4), (b"c", 4), (b"d", 1)])];
    // Worked out by hand from dsc.conf(5): how many cells, and what they sum to.
    for (min_count, max_cells, expected) in [
        (0, 0, &[(&b"a"[..], 9), (b"b", 4), (b"c", 4), (b"d", 1)][..]),
        (
            4,
            3,
            &[
                (b"a", 9),
                (b"b", 4),
                (b"c", 4),
                (b"-:SKIPPED:-", 1),
                (b"-:SKIPPED_SUM:-", 1),
            ],
        ),
        (
            5,
            0,
            &[(b"a", 9), (b"-:SKIPPED:-", 3), (b"-:SKIPPED_SUM:-", 9)],
        ),
        (
            0,
            1,
            &[(b"a", 9), (b"-:SKIPPED:-", 3), (b"-:SKIPPED_SUM:-", 9)],
        ),
        (
            2,
            2,
            &[
                (b"a", 9),
                (b"b", 4),
                (b"-:SKIPPED:-", 2),
                (b"-:SKIPPED_SUM:-", 5),
            ],
        ),
        (10, 9, &[(b"-:SKIPPED:-", 4), (b"-:SKIPPED_SUM:-", 18)]),
        (1, 4, &[(b"a", 9), (b"b", 4), (b"c", 4), (b"d", 1)]),
    ] {
        let interval = interval(vec![table("t", min_count, max_cells, rows)]);
        let expected = cells(expected);
        assert_eq!(
            cells_of_xml(&to_xml(&interval)),
            expected,
            "{min_count}, {max_cells}"
        );
        assert_eq!(
            cells_of_json(&to_json(&interval)),
            expected,
            "{min_count}, {max_cells}"
        );
    }
}

proptest! {
    #[test]
    fn every_value_survives(values: Vec<(Vec<u8>, u64)>) {
        let mut sorted = values;
        sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let borrowed: Vec<_> = sorted.iter().map(|(v, c)| (v.as_slice(), *c)).collect();
        let interval = interval(vec![table("t", 0, 0, &[(b"ALL", &borrowed)])]);
        prop_assert_eq!(cells_of_xml(&to_xml(&interval)), sorted.clone());
        prop_assert_eq!(cells_of_json(&to_json(&interval)), sorted);
    }

    #[test]
    fn every_name_gives_a_document(name in ".*") {
        let mut table = table("t", 0, 0, &[(b"ALL", &[(b"a", 1)])]);
        Arc::make_mut(&mut table.dataset).name = name;
        let interval = interval(vec![table]);
        prop_assert_eq!(cells_of_xml(&to_xml(&interval)).len(), 1);
        prop_assert_eq!(cells_of_json(&to_json(&interval)).len(), 1);
    }
}

fn writer(directory: &Path) -> Writer {
    Writer {
        directory: directory.to_owned(),
        formats: vec![Format::Xml, Format::Json],
        ownership: Ownership::default(),
        min_free: 0,
    }
}

#[test]
fn files_are_named_by_the_end_of_the_interval() {
    let folder = tempfile::tempdir().expect("a folder");
    let interval = example();
    let mut writer = writer(folder.path());
    writer.ownership.mode = 0o640;
    for _ in 0..2 {
        let paths = writer.write(&interval).expect("written");
        assert_eq!(
            paths,
            [
                folder.path().join("1700000060.dscdata.xml"),
                folder.path().join("1700000060.dscdata.json")
            ]
        );
        assert_eq!(fs::read(&paths[0]).expect("a file"), to_xml(&interval));
        assert_eq!(fs::read(&paths[1]).expect("a file"), to_json(&interval));
        let mode = fs::metadata(&paths[0]).expect("a file").mode();
        assert_eq!(mode & 0o7777, 0o640);
    }
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 2, "no temporary file is left");
}

#[test]
fn a_full_file_system_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = writer(folder.path());
    writer.min_free = u64::MAX;
    let error = writer.write(&example()).expect_err("no such disk");
    let told = error.to_string();
    assert!(told.contains("must keep 18446744073709551615"), "{told}");
    assert!(
        told.contains("the interval up to 1700000060 is lost"),
        "{told}"
    );
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
fn a_missing_folder_is_an_error() {
    let error = writer(Path::new("/surely/not/here")).write(&example());
    let told = error.expect_err("no such folder").to_string();
    assert!(
        told.starts_with("cannot write /surely/not/here: "),
        "{told}"
    );
}

#[test]
fn owners_are_names_or_numbers() {
    let found = Ownership::resolve(Some("root"), Some("0"), 0o644).expect("root");
    assert_eq!((found.user, found.group), (Some(0), Some(0)));
    let error = Ownership::resolve(Some("surely-no-user"), None, 0o644).expect_err("nobody");
    assert_eq!(
        error.to_string(),
        "there is no user surely-no-user; create it, or name another"
    );
}
