//! DSC's files, read back as a presenter reads them: by parsers that know XML
//! and JSON, but nothing of the writer.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use quick_xml::events::Event;
use serde_json::Value;

/// Counts by dataset, row and column, the values decoded from base64.
pub type Cells = BTreeMap<(String, Vec<u8>, Vec<u8>), u64>;

/// A file of DSC JSON.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn of_json(text: &[u8]) -> Cells {
    let mut cells = Cells::new();
    let datasets: Vec<Value> = serde_json::from_slice(text).expect("JSON");
    for dataset in &datasets {
        let name = dataset["name"].as_str().expect("a name");
        let [rows, columns] =
            [0, 1].map(|n| dataset["dimensions"][n].as_str().expect("a dimension"));
        for row in dataset["data"].as_array().expect("rows") {
            for cell in row[columns].as_array().expect("cells") {
                let count = cell["count"].as_u64().expect("a count");
                let key = (
                    name.to_owned(),
                    json_value(row, rows),
                    json_value(cell, "val"),
                );
                *cells.entry(key).or_default() += count;
            }
        }
    }
    cells
}

fn json_value(object: &Value, key: &str) -> Vec<u8> {
    let text = object[key].as_str().expect("a value");
    match object["base64"].as_bool() {
        Some(true) => BASE64_STANDARD.decode(text).expect("base64"),
        _ => text.into(),
    }
}

/// A file of DSC XML.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn of_xml(text: &[u8]) -> Cells {
    let text = str::from_utf8(text).expect("ASCII");
    let mut cells = Cells::new();
    let (mut name, mut row) = (String::new(), Vec::new());
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        let tag = match reader.read_event().expect("XML") {
            Event::Eof => return cells,
            Event::Start(tag) | Event::Empty(tag) => tag,
            _ => continue,
        };
        let attributes: BTreeMap<String, String> = tag
            .attributes()
            .map(|one| one.expect("an attribute"))
            .map(|one| (one.key.as_ref().to_owned(), one.value.into_owned()))
            .collect();
        if tag.name().as_ref() == "array" {
            name.clone_from(&attributes["name"]);
        }
        let Some(text) = attributes.get("val") else {
            continue;
        };
        let value = match attributes.get("base64") {
            Some(_) => BASE64_STANDARD.decode(text).expect("base64"),
            None => text.clone().into_bytes(),
        };
        match attributes.get("count") {
            Some(count) => {
                let count = count.parse::<u64>().expect("a count");
                *cells.entry((name.clone(), row.clone(), value)).or_default() += count;
            }
            None => row = value,
        }
    }
}
