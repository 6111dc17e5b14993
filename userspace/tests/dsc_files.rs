//! DSC's own configurations and files, read and written.
//!
//! They are another project's work and stay outside of the repository: in
//! `shared/data` beside it, or where `XDSC_SHARED_DATA` says.

mod shared_data;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;
use xdsc::{
    dsc_conf::DscConf,
    export::dsc::{to_json, to_xml},
    stats::{
        dataset::{Dataset, Dimension, Indexer, Layer, Measure},
        table::{CaptureCounts, Cell, Interval, Row, Table},
    },
};

use shared_data::data;

/// The files of both folders whose names end so.
fn files(data: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["dsc-upstream", "dsc-edge", "live"] {
        let entries = fs::read_dir(data.join(folder)).expect("the folder can be read");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        found.extend(paths.filter(|path| path.to_string_lossy().ends_with(end)));
    }
    found.sort();
    found
}

/// One array of a file.
#[derive(Default)]
struct Array {
    name: String,
    labels: Vec<String>,
    times: [i64; 2],
    rows: Vec<Row>,
}

fn table(array: Array) -> Table {
    let mut labels = array.labels.into_iter().map(|label| Dimension {
        label,
        indexer: Indexer::Qname,
    });
    let dataset = Dataset {
        name: array.name,
        layer: Layer::Dns,
        dimensions: [(); 2].map(|()| labels.next().expect("two dimensions")),
        filters: Vec::new(),
        measure: Measure::Messages,
        min_count: None,
        max_cells: None,
    };
    Table {
        dataset: Arc::new(dataset),
        total: 0,
        uncounted: 0,
        rows: array.rows,
    }
}

fn capture(row: &Row) -> CaptureCounts {
    let count = |name: &[u8]| {
        let cell = row.cells.iter().find(|cell| cell.value == name);
        cell.map_or(0, |cell| cell.count)
    };
    CaptureCounts {
        name: String::from_utf8(row.value.clone()).expect("a name"),
        captured: count(b"pkts_captured"),
        received: count(b"filter_received"),
        dropped: count(b"kernel_dropped"),
    }
}

/// The file as what it was printed from.
fn interval(arrays: Vec<Array>) -> Interval {
    let [start, stop] = arrays[0].times;
    let (stats, arrays): (Vec<_>, Vec<_>) = arrays
        .into_iter()
        .partition(|array| array.name == "pcap_stats");
    Interval {
        start,
        stop,
        tables: arrays.into_iter().rev().map(table).collect(),
        captures: stats
            .iter()
            .flat_map(|s| s.rows.iter().map(capture))
            .collect(),
    }
}

fn decoded(value: &str, is_base64: bool) -> Vec<u8> {
    if is_base64 {
        STANDARD.decode(value).expect("base64")
    } else {
        value.into()
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).expect("attributes");
    found.map(|attribute| attribute.value.to_string())
}

fn number<T: std::str::FromStr>(element: &BytesStart<'_>, name: &str) -> T {
    let text = attribute(element, name).expect("an attribute");
    text.parse().ok().expect("a number")
}

fn value(element: &BytesStart<'_>) -> Vec<u8> {
    let text = attribute(element, "val").expect("a value");
    decoded(&text, attribute(element, "base64").is_some())
}

fn arrays_of_xml(text: &str) -> Vec<Array> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut arrays: Vec<Array> = Vec::new();
    loop {
        let event = reader.read_event().expect("well-formed XML");
        let (Event::Start(element) | Event::Empty(element)) = &event else {
            if matches!(event, Event::Eof) {
                return arrays;
            }
            continue;
        };
        let name = element.name().as_ref().to_owned();
        match name.as_str() {
            "dscdata" | "data" => continue,
            "array" => {
                arrays.push(Array {
                    name: attribute(element, "name").expect("a name"),
                    times: [number(element, "start_time"), number(element, "stop_time")],
                    ..Array::default()
                });
                continue;
            }
            _ => {}
        }
        let array = arrays.last_mut().expect("elements are in arrays");
        if name == "dimension" {
            array
                .labels
                .push(attribute(element, "type").expect("a type"));
        } else if name == array.labels[0] {
            array.rows.push(Row {
                value: value(element),
                cells: Vec::new(),
                ..Row::default()
            });
        } else {
            let row = array.rows.last_mut().expect("cells are in rows");
            row.cells.push(Cell {
                value: value(element),
                count: number(element, "count"),
            });
        }
    }
}

fn arrays_of_json(document: &Value) -> Vec<Array> {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let value = |object: &Value, key: &str| {
        let is_base64 = object["base64"].as_bool() == Some(true);
        decoded(&text(&object[key]), is_base64)
    };
    let array = |array: Value| {
        let labels: Vec<_> = list(&array["dimensions"]).iter().map(text).collect();
        let cell = |cell: &Value| Cell {
            value: value(cell, "val"),
            count: cell["count"].as_u64().expect("a count"),
        };
        let row = |row: &Value| Row {
            value: value(row, &labels[0]),
            cells: list(&row[labels[1].as_str()]).iter().map(cell).collect(),
            ..Row::default()
        };
        Array {
            name: text(&array["name"]),
            times: ["start_time", "stop_time"].map(|key| array[key].as_i64().expect("a time")),
            rows: list(&array["data"]).iter().map(row).collect(),
            labels,
        }
    };
    list(document).into_iter().map(array).collect()
}

#[test]
fn every_configuration_is_read() {
    let Some(data) = data() else { return };
    let paths = files(&data, ".conf");
    assert_eq!(paths.len(), 11, "{paths:?}");
    for path in paths {
        let text = fs::read_to_string(&path).expect("a file");
        let conf = DscConf::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(conf.datasets.len(), lines("dataset "), "{}", path.display());
        assert_eq!(conf.local_addresses.len(), lines("local_address "));
        assert_eq!(conf.interfaces.len(), lines("interface "));
        assert_eq!(conf.ignored.len(), lines("dnstap_"), "{:?}", conf.ignored);
    }
}

#[test]
fn xml_of_dsc_is_written_as_it_was() {
    let Some(data) = data() else { return };
    let mut paths = files(&data, ".gold");
    paths.extend(files(&data, ".xml_gold"));
    assert_eq!(paths.len(), 10, "{paths:?}");
    for path in paths {
        let text = fs::read_to_string(&path).expect("a file");
        let written = to_xml(&interval(arrays_of_xml(&text)));
        let written = String::from_utf8(written).expect("UTF-8");
        assert!(written == text, "{}:\n{written}", path.display());
    }
}

#[test]
fn json_of_dsc_is_written_as_it_was() {
    let Some(data) = data() else { return };
    let [path] = files(&data, ".json_gold").try_into().expect("one file");
    let text = fs::read_to_string(&path).expect("a file");
    let document = serde_json::from_str(&text).expect("JSON");
    let written = to_json(&interval(arrays_of_json(&document)));
    assert_eq!(String::from_utf8(written).expect("UTF-8"), text);
}

/// Their layout is not DSC's and `pcap_stats` is gone; the rest is as DSC said.
#[test]
fn json_that_was_laid_out_anew_says_the_same() {
    let Some(data) = data() else { return };
    let mut paths = files(&data, ".json");
    assert_eq!(paths.len(), 42, "{paths:?}");
    paths.extend(files(&data, ".dsc.json.xz"));
    for path in paths {
        let mut text = Vec::new();
        let file = fs::File::open(&path).expect("a file");
        let read = match path.extension().is_some_and(|end| end == "xz") {
            true => std::io::copy(&mut liblzma::read::XzDecoder::new(file), &mut text),
            false => std::io::copy(&mut { file }, &mut text),
        };
        read.expect("a file");
        let document: Value = serde_json::from_slice(&text).expect("JSON");
        let written = to_json(&interval(arrays_of_json(&document)));
        let mut written: Value = serde_json::from_slice(&written).expect("JSON");
        let stats = written.as_array_mut().expect("a list").remove(0);
        assert_eq!(stats["name"], "pcap_stats");
        assert!(written == document, "{}", path.display());
    }
}
