//! A day in a file that nodes keep and exchange: JSON, with the sketches in
//! base64.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Day, Error, RCODES, Sizes, Sources, Volume, write_whole};
use crate::stats::distinct::Distinct;
use crate::stats::sketches::Clients;

/// What the file is, and the version of its form.
const FORMAT: &str = "xdsc-rssac002-partial";
const VERSION: u32 = 2;

/// Larger files are none of ours: three sketches, some thousand counters.
const MAX_OCTETS: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Partial {
    format: String,
    version: u32,
    date: String,
    traffic_volume: BTreeMap<String, u64>,
    /// By bin.
    traffic_sizes: BTreeMap<String, BTreeMap<usize, u64>>,
    rcode_volume: BTreeMap<u16, u64>,
    /// Which key sources were hashed with; none as long as there are none.
    sources_key: Option<String>,
    /// Sketches in base64.
    unique_sources: BTreeMap<String, String>,
}

/// What is looked at before the rest is understood.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// Writes what a node has counted of a day. The file appears when it is whole
/// and on the disk, and takes the place of one that is there.
///
/// # Errors
/// When the system refuses.
pub fn write_partial(day: &Day, path: &Path) -> Result<(), Error> {
    // Texts and numbers can always be written.
    let mut text = serde_json::to_vec(&partial(day)).unwrap_or_default();
    text.push(b'\n');
    write_whole(path, &text)
}

/// Reads what [`write_partial`] wrote.
///
/// # Errors
/// When the file cannot be read, or is not such a file, or a damaged one.
pub fn read_partial(path: &Path) -> Result<Day, Error> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(MAX_OCTETS + 1).read_to_end(&mut text));
    read.map_err(|cause| Error::Io {
        path: path.to_owned(),
        cause,
    })?;
    day(&text).map_err(|message| Error::NotPartial {
        path: path.to_owned(),
        message,
    })
}

fn partial(day: &Day) -> Partial {
    let volume = |volume: &Volume| (volume.label().to_owned(), day.volume[volume.index()]);
    let bins = |sizes: &Sizes| {
        let counts = day.sizes[sizes.index()].iter().copied().enumerate();
        (
            sizes.label().to_owned(),
            counts.filter(|(_, count)| *count > 0).collect(),
        )
    };
    let sketch = |sources: &Sources| {
        let registers = sources.of(&day.sources).registers();
        (sources.label().to_owned(), STANDARD.encode(registers))
    };
    Partial {
        format: FORMAT.to_owned(),
        version: VERSION,
        date: day.date.to_string(),
        traffic_volume: Volume::ALL.iter().map(volume).collect(),
        traffic_sizes: Sizes::ALL.iter().map(bins).collect(),
        rcode_volume: day.rcodes.clone(),
        sources_key: day.sources.key_id().map(|id| format!("{id:016x}")),
        unique_sources: Sources::ALL.iter().map(sketch).collect(),
    }
}

/// The day, or what is wrong.
fn day(text: &[u8]) -> Result<Day, String> {
    if u64::try_from(text.len()).is_ok_and(|octets| octets > MAX_OCTETS) {
        return Err(format!("is larger than {MAX_OCTETS} octets"));
    }
    let head: Head = parsed(text)?;
    if head.format != FORMAT {
        return Err("is another kind of file".to_owned());
    }
    if head.version != VERSION {
        return Err(format!(
            "has version {} of the form, and this is version {VERSION}",
            head.version
        ));
    }
    let partial: Partial = parsed(text)?;
    let date: Date = (partial.date.parse()).map_err(|_| "has no proper date".to_owned())?;
    let mut day = Day::new(date);
    for volume in Volume::ALL {
        day.add_volume(*volume, *part(&partial.traffic_volume, volume.label())?);
    }
    for sizes in Sizes::ALL {
        bins(
            &mut day,
            *sizes,
            part(&partial.traffic_sizes, sizes.label())?,
        )?;
    }
    for (rcode, count) in &partial.rcode_volume {
        if *rcode >= RCODES {
            return Err(format!("has the RCODE {rcode}, of more than 12 bits"));
        }
        day.add_rcode(*rcode, *count);
    }
    let sketches = [
        sketch(&partial, Sources::Ipv4)?,
        sketch(&partial, Sources::Ipv6)?,
        sketch(&partial, Sources::Ipv6Aggregate)?,
    ];
    day.sources = Clients::of_sketches(key_id(&partial)?, sketches);
    Ok(day)
}

fn parsed<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| format!("is not a day: {error}"))
}

fn part<'a, T>(parts: &'a BTreeMap<String, T>, label: &str) -> Result<&'a T, String> {
    parts.get(label).ok_or_else(|| format!("lacks `{label}`"))
}

fn bins(day: &mut Day, sizes: Sizes, bins: &BTreeMap<usize, u64>) -> Result<(), String> {
    for (bin, count) in bins {
        if *bin > sizes.last_bin() {
            return Err(format!("has a bin too many in `{}`", sizes.label()));
        }
        day.add_bin(sizes, *bin, *count);
    }
    Ok(())
}

fn key_id(partial: &Partial) -> Result<Option<u64>, String> {
    let id = partial.sources_key.as_deref();
    let id = id.map(|id| u64::from_str_radix(id, 16));
    id.transpose()
        .map_err(|_| "has a damaged `sources-key`".to_owned())
}

fn sketch(partial: &Partial, sources: Sources) -> Result<Distinct, String> {
    let text = part(&partial.unique_sources, sources.label())?;
    let registers = STANDARD.decode(text).ok();
    let sketch = registers.and_then(|registers| Distinct::from_registers(registers).ok());
    sketch.ok_or_else(|| format!("has a damaged sketch, `{}`", sources.label()))
}
