//! The files that are published.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::{Day, Error, Sizes, Sources, Volume, create_folder, write_whole};

/// The version of the advisory.
const VERSION: &str = "rssac002v4";

dns_wire::table! {
    /// A file of a day.
    pub enum Metric {
        /// Messages by transport and family.
        TrafficVolume = "traffic-volume",
        /// Messages by size.
        TrafficSizes = "traffic-sizes",
        /// Responses by RCODE.
        RcodeVolume = "rcode-volume",
        /// Sources of queries.
        UniqueSources = "unique-sources",
    }
}

/// Writes the files of a day, `YYYY/MM/METRIC/SERVICE-YYYYMMDD-METRIC.yaml`
/// below the folder. Those of `a.root-servers.net` are called `a-root`, as the
/// operators have agreed; those of other services are called as the services.
/// A file appears when it is whole, and takes the place of one that is there.
///
/// # Errors
/// When the service has no proper name, or the system refuses.
pub fn write_files(day: &Day, service: &str, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    check_service(service)?;
    (Metric::ALL.iter())
        .map(|metric| write_file(day, service, *metric, folder))
        .collect()
}

fn write_file(day: &Day, service: &str, metric: Metric, folder: &Path) -> Result<PathBuf, Error> {
    let path = path(day.date, service, metric, folder);
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    write_whole(&path, text(day, service, metric).as_bytes())?;
    Ok(path)
}

fn text(day: &Day, service: &str, metric: Metric) -> String {
    let mut text = format!(
        "---\nversion: {VERSION}\nservice: {service}\nstart-period: {}T00:00:00Z\nmetric: {}\n",
        day.date,
        metric.label()
    );
    match metric {
        Metric::TrafficVolume => volume(&mut text, day),
        Metric::TrafficSizes => sizes(&mut text, day),
        Metric::RcodeVolume => rcodes(&mut text, day),
        Metric::UniqueSources => sources(&mut text, day),
    }
    text
}

fn volume(text: &mut String, day: &Day) {
    for volume in Volume::ALL {
        line(text, volume.label(), day.volume[volume.index()]);
    }
}

fn sizes(text: &mut String, day: &Day) {
    for sizes in Sizes::ALL {
        let bins: Vec<_> = day.bins(*sizes).collect();
        if bins.is_empty() {
            line(text, sizes.label(), "{}");
            continue;
        }
        line(text, sizes.label(), "");
        for (label, count) in bins {
            line(text, &format!("  {label}"), count);
        }
    }
}

fn rcodes(text: &mut String, day: &Day) {
    for (rcode, count) in &day.rcodes {
        line(text, &rcode.to_string(), count);
    }
}

fn sources(text: &mut String, day: &Day) {
    let percent = day.sources.ipv4.relative_standard_error() * 100.0;
    // Writing to memory cannot fail.
    let _ = writeln!(text, "# estimates with a standard error of {percent:.1} %");
    for sources in Sources::ALL {
        let estimate = sources.of(&day.sources).estimate();
        line(text, sources.label(), estimate.round());
    }
}

fn line(text: &mut String, key: &str, value: impl std::fmt::Display) {
    let value = value.to_string();
    let blank = if value.is_empty() { "" } else { " " };
    // Writing to memory cannot fail.
    let _ = writeln!(text, "{key}:{blank}{value}");
}

/// Where the first of a day's files is, or will be.
pub(super) fn first_file(date: Date, service: &str, folder: &Path) -> PathBuf {
    path(date, service, Metric::TrafficVolume, folder)
}

fn path(date: Date, service: &str, metric: Metric, folder: &Path) -> PathBuf {
    let (label, service) = (metric.label(), file_name(service));
    let name = format!("{service}-{}-{label}.yaml", date.strftime("%Y%m%d"));
    let month = date.strftime("%Y/%m").to_string();
    folder.join(month).join(label).join(name)
}

/// Whether a service can have this name: it becomes a path, and stands in YAML
/// without quotes.
///
/// # Errors
/// When it cannot.
pub fn check_service(service: &str) -> Result<(), Error> {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'-';
    let starts = service
        .bytes()
        .next()
        .is_some_and(|octet| octet.is_ascii_alphabetic());
    if starts && service.len() < 128 && service.bytes().all(fits) {
        return Ok(());
    }
    Err(Error::Service {
        name: service.to_owned(),
    })
}

fn file_name(service: &str) -> String {
    match service.strip_suffix(".root-servers.net") {
        Some(letter) => format!("{letter}-root"),
        None => service.to_owned(),
    }
}
