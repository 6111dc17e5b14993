//! Replays what the fuzzers start from and what they have found, on stable.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::corpora;

/// A fuzzer's harness.
type Harness = fn(&[u8]);

const HARNESSES: [(&str, Harness); 8] = [
    ("packet", xdsc_fuzz::packet),
    ("message", xdsc_fuzz::message),
    ("options", xdsc_fuzz::options),
    ("name", xdsc_fuzz::name),
    ("record", xdsc_fuzz::record),
    ("capture", xdsc_fuzz::capture),
    ("statistics", xdsc_fuzz::statistics),
    ("dsc_conf", xdsc_fuzz::dsc_conf),
];

/// Writes the inputs from the builders instead of comparing.
const WRITE: &str = "XDSC_WRITE_CORPORA";

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target)
}

fn files(target: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    entries
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, fs::read(entry.path())?))
        })
        .collect()
}

#[test]
fn every_input_passes_its_harness() -> Result<()> {
    for (target, harness) in HARNESSES {
        let files = files(target)?;
        ensure!(!files.is_empty(), "no inputs for {target}");
        files.values().for_each(|input| harness(input));
    }
    Ok(())
}

#[test]
fn inputs_from_the_builders_are_up_to_date() -> Result<()> {
    let write = std::env::var_os(WRITE).is_some();
    for (target, inputs) in corpora::all()? {
        if write {
            fs::create_dir_all(folder(target))?;
        }
        for (name, input) in inputs {
            let path = folder(target).join(&name);
            if write {
                fs::write(&path, &input)?;
            }
            let found = fs::read(&path).unwrap_or_default();
            ensure!(
                found == input,
                "{} is out of date; write it anew by `{WRITE}=1 cargo test -p integration-tests \
                 --test fuzz_corpora up_to_date`",
                path.display()
            );
        }
    }
    Ok(())
}
