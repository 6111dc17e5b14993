//! DSC's files while the daemon runs: from a dsc.conf to one file for each
//! interval.
//!
//! The datasets of the dsc.conf have rules of their own, so an engine of their
//! own counts them, exactly; this module says what it must count, and makes an
//! interval of what it has counted. Packets that are no DNS come from the kernel's
//! counters, response times from the pairing. There is no clock here: whoever
//! writes tells the time.
//!
//! Unlike DSC, nothing is left out before the first boundary, nor at the end, and
//! a file that is there is not written over.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use dns_wire::{
    counters::{Counters, Delivery, Hook, Outcome, Role},
    locate::{Family, Protocol},
};
use tracing::warn;

use crate::{
    config::{Config, DscFormat, LoadError},
    dsc_conf::{DscConf, PlanError},
    export::dsc::{self, Format, Ownership, Writer},
    source::live::{IntervalCounts, drain::FilePlan},
    stats::{
        dataset::{Dataset, Filter, Indexer, Layer, Predicate},
        label::{Style, label},
        plan::{Compat, Plan},
        response_time::ResponseTime,
        table::{CaptureCounts, Cell, Interval, Row, Table},
        values::direction,
    },
};

/// The files.
#[derive(Debug)]
pub struct DscFiles {
    plan: FilePlan,
    writer: Writer,
    /// Seconds of an interval.
    length: u64,
    /// What `pcap_stats` calls the interfaces.
    interfaces: String,
    /// The open interval.
    start: u64,
    stop: u64,
    /// What the hooks had counted when it began.
    before: [Box<Counters>; 2],
}

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum DscFilesError {
    /// The dsc.conf cannot be read or understood.
    #[error(transparent)]
    Conf(#[from] LoadError),
    /// What it names cannot be used.
    #[error("{file}: {cause}")]
    Plan {
        /// The dsc.conf.
        file: String,
        /// Why.
        cause: PlanError,
    },
    /// Files cannot be given away.
    #[error("{file}: {cause}")]
    Owner {
        /// The dsc.conf.
        file: String,
        /// Why.
        cause: dsc::Error,
    },
    /// What cannot be done while the traffic passes.
    #[error("{file}: {message}")]
    Live {
        /// The dsc.conf.
        file: String,
        /// All of it, by line.
        message: String,
    },
}

impl DscFiles {
    /// What the configuration asks for; none without a dsc.conf. It is `now`, in
    /// seconds since the Unix epoch.
    ///
    /// # Errors
    /// Whatever stands against it, with its cure.
    pub fn open(config: &Config, now: u64) -> Result<Option<Self>, DscFilesError> {
        if config.dsc.conf.is_empty() {
            return Ok(None);
        }
        let file = config.dsc.conf.clone();
        let conf = DscConf::load(file.as_ref())?;
        for ignored in &conf.ignored {
            warn!("{file}: {ignored}");
        }
        let directory = directory(config, &conf);
        let faults = faults(config, &conf, directory.as_ref());
        let Some(directory) = directory.filter(|_| faults.is_empty()) else {
            let message = faults.join("\n  ");
            return Err(DscFilesError::Live { file, message });
        };
        let plan = plan(config, &conf, &file)?;
        let ownership = Ownership::resolve(
            conf.output_user.as_deref(),
            conf.output_group.as_deref(),
            conf.output_mod,
        )
        .map_err(|cause| DscFilesError::Owner { file, cause })?;
        let configured = config.dsc.interval.map(|interval| interval.as_secs());
        let length = configured.unwrap_or_else(|| conf.statistics_interval.into());
        let mut files = Self {
            plan,
            writer: Writer {
                directory,
                formats: formats(config, &conf),
                ownership,
                min_free: conf.minfree_bytes,
            },
            length: length.max(1),
            interfaces: config.interfaces.join(":"),
            start: now,
            stop: now,
            before: Default::default(),
        };
        files.stop = files.boundary_after(now);
        Ok(Some(files))
    }

    /// What must be counted for them.
    #[must_use]
    pub const fn plan(&self) -> &FilePlan {
        &self.plan
    }

    /// Whether the open interval is over, or the clock has left it.
    #[must_use]
    pub const fn is_over(&self, now: u64) -> bool {
        now >= self.stop || now.saturating_add(self.length) < self.start
    }

    /// Ends the open interval at its boundary, and opens the next one. Messages
    /// of datasets that found no room.
    ///
    /// # Errors
    /// When the interval could not be written: it is lost.
    pub fn cut(&mut self, counts: &IntervalCounts, now: u64) -> Result<u64, dsc::Error> {
        let written = self.write(counts, self.stop);
        self.before.clone_from(&counts.hooks);
        self.start = now - now % self.length;
        self.stop = self.boundary_after(now);
        written
    }

    /// Ends the last interval where it is.
    ///
    /// # Errors
    /// As for [`cut`](Self::cut).
    pub fn end(&mut self, counts: &IntervalCounts, now: u64) -> Result<u64, dsc::Error> {
        let stop = now.clamp(self.start.saturating_add(1), self.stop);
        self.write(counts, stop)
    }

    const fn boundary_after(&self, now: u64) -> u64 {
        (now / self.length + 1) * self.length
    }

    fn write(&self, counts: &IntervalCounts, stop: u64) -> Result<u64, dsc::Error> {
        let mut interval = Interval {
            start: self.start.cast_signed(),
            stop: stop.cast_signed(),
            tables: self.tables(counts),
            captures: vec![self.capture(counts)],
        };
        // After a restart within a second, or when the clock was set back.
        while self.writer.has_written(interval.stop) {
            interval.stop += 1;
        }
        self.writer.write(&interval)?;
        Ok(interval.tables.iter().map(|table| table.uncounted).sum())
    }

    fn tables(&self, counts: &IntervalCounts) -> Vec<Table> {
        let plan = &self.plan.plan;
        let mut tables = counts.counts.tables(plan, Style::Dsc);
        let mut times = Some(&counts.times);
        for table in &mut tables {
            if table.dataset.layer == Layer::Ip {
                *table = self.packets(table, &counts.hooks);
            } else if is_timed(&table.dataset)
                && let Some(times) = times.take()
            {
                *table = timed(table, times, plan);
            }
        }
        tables
    }

    /// The packets of the interval, of a dataset of layer `ip`.
    fn packets(&self, table: &Table, hooks: &[Box<Counters>; 2]) -> Table {
        let mut cells: BTreeMap<[Vec<u8>; 2], u64> = BTreeMap::new();
        let rules = self.plan.plan.rules();
        for (hook, (now, before)) in Hook::ALL.iter().zip(hooks.iter().zip(&self.before)) {
            let since = now.since(before);
            for family in [Family::Ipv4, Family::Ipv6] {
                for protocol in Protocol::ALL {
                    let (packets, _) = since.packets(family, *protocol);
                    let values = table.dataset.dimensions.each_ref().map(|dimension| {
                        let indexer = dimension.indexer;
                        match packet_value(indexer, *hook, family, *protocol) {
                            Some(key) => label(indexer, key, &[], rules, Style::Dsc),
                            None => b"other".to_vec(),
                        }
                    });
                    if packets > 0 {
                        *cells.entry(values).or_default() += packets;
                    }
                }
            }
        }
        let mut rows: BTreeMap<Vec<u8>, Vec<Cell>> = BTreeMap::new();
        for ([row, value], count) in cells {
            rows.entry(row).or_default().push(Cell { value, count });
        }
        filled(table, rows)
    }

    fn capture(&self, counts: &IntervalCounts) -> CaptureCounts {
        let mut capture = CaptureCounts {
            name: self.interfaces.clone(),
            ..CaptureCounts::default()
        };
        for (now, before) in counts.hooks.iter().zip(&self.before) {
            let since = now.since(before);
            let packets: u64 = Outcome::ALL.iter().map(|o| since.outcomes(*o)).sum();
            capture.captured += packets;
            capture.received += packets;
            capture.dropped +=
                since.records(Delivery::RingFull) + since.records(Delivery::Reentered);
        }
        capture
    }
}

/// The key of a packet's value; none for protocols that share a counter.
const fn packet_value(
    indexer: Indexer,
    hook: Hook,
    family: Family,
    protocol: Protocol,
) -> Option<u64> {
    match (indexer, protocol) {
        (Indexer::IpProto, Protocol::Udp) => Some(17),
        (Indexer::IpProto, Protocol::Tcp) => Some(6),
        (Indexer::IpProto, Protocol::Icmp) => Some(1),
        (Indexer::IpProto, Protocol::Icmpv6) => Some(58),
        (Indexer::IpProto, Protocol::Other) => None,
        (Indexer::IpVersion, _) => Some(match family {
            Family::Ipv4 | Family::Other => 4,
            Family::Ipv6 => 6,
        }),
        (Indexer::IpDirection, _) => Some(match hook {
            Hook::Ingress => direction::RECV,
            Hook::Egress => direction::SENT,
        }),
        _ => Some(0),
    }
}

fn timed(table: &Table, times: &BTreeMap<ResponseTime, u64>, plan: &Plan) -> Table {
    let cells = times.iter().map(|(value, count)| Cell {
        value: value.label().into_bytes(),
        count: *count,
    });
    let row = label(Indexer::Null, 0, &[], plan.rules(), Style::Dsc);
    let rows = BTreeMap::from([(row, cells.collect())]);
    filled(table, rows)
}

/// The table with these rows, the biggest cells first.
fn filled(table: &Table, rows: BTreeMap<Vec<u8>, Vec<Cell>>) -> Table {
    let rows = rows.into_iter().filter(|(_, cells)| !cells.is_empty());
    let rows: Vec<_> = rows
        .map(|(value, mut cells)| {
            cells.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            Row {
                value,
                cells,
                ..Row::default()
            }
        })
        .collect();
    let counts = rows
        .iter()
        .flat_map(|row| &row.cells)
        .map(|cell| cell.count);
    Table {
        dataset: Arc::clone(&table.dataset),
        total: counts.sum(),
        uncounted: 0,
        rows,
    }
}

fn plan(config: &Config, conf: &DscConf, file: &str) -> Result<FilePlan, DscFilesError> {
    let plan = conf
        .plan(Compat::None)
        .map_err(|cause| DscFilesError::Plan {
            file: file.to_owned(),
            cause,
        })?;
    let timed = plan.datasets().iter().find(|dataset| is_timed(dataset));
    let role = timed.map(|dataset| {
        let served = dataset.filters.iter().any(is_of_the_server);
        served.then_some(Role::Server)
    });
    Ok(FilePlan {
        times: role.map(|role| (plan.times(), role)),
        plan: Arc::new(plan),
        cells: config.dsc.cells as usize,
    })
}

fn is_timed(dataset: &Dataset) -> bool {
    dataset.dimensions[1].indexer == Indexer::ResponseTime
}

fn is_of_the_server(filter: &Filter) -> bool {
    matches!(filter, Filter::Is(Predicate::Server | Predicate::Served))
}

fn directory(config: &Config, conf: &DscConf) -> Option<PathBuf> {
    if config.dsc.directory.is_empty() {
        return conf.run_dir.clone();
    }
    Some(PathBuf::from(&config.dsc.directory))
}

fn formats(config: &Config, conf: &DscConf) -> Vec<Format> {
    if config.dsc.formats.is_empty() {
        return conf.output_formats.clone();
    }
    let formats = config.dsc.formats.iter();
    formats
        .map(|format| match format {
            DscFormat::Xml => Format::Xml,
            DscFormat::Json => Format::Json,
        })
        .collect()
}

/// All that a running daemon cannot do of a dsc.conf.
fn faults(config: &Config, conf: &DscConf, directory: Option<&PathBuf>) -> Vec<String> {
    let mut faults = Vec::new();
    match directory {
        None => faults.push(
            "there is no folder for the files: give `dsc.directory`, or `run_dir` here".to_owned(),
        ),
        Some(folder) if !folder.is_dir() => faults.push(format!(
            "{} is no folder: create it, or name another in `dsc.directory`",
            folder.display()
        )),
        Some(_) => {}
    }
    if !config.probe.ports.contains(&conf.dns_port) {
        faults.push(format!(
            "`dns_port` is {}, which is not among `probe.ports` of xdsc: name it there",
            conf.dns_port
        ));
    }
    faults.extend(conf.datasets.iter().filter_map(fault));
    faults
}

/// What stands against a dataset. Those of layer `ip` have only indexers of
/// packets, or would be of layer `dns`.
fn fault(dataset: &Dataset) -> Option<String> {
    let name = &dataset.name;
    let first = dataset.dimensions[0].indexer;
    if first == Indexer::ResponseTime || is_timed(dataset) && first != Indexer::Null {
        return Some(format!(
            "dataset `{name}`: `response_time` must be the second dimension, with `null` as the \
             first"
        ));
    }
    let any = Filter::Is(Predicate::Any);
    let plain = |filter: &Filter| *filter == any || is_of_the_server(filter);
    if is_timed(dataset) && !dataset.filters.iter().all(plain) {
        return Some(format!(
            "dataset `{name}`: response times are of whole transactions: take `any` as its filter"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dns_wire::{counters::Count as _, locate::Layers};

    use super::*;
    use crate::stats::engine::Counts;

    /// A multiple of 60.
    const MINUTE: u64 = 1_768_089_600;

    fn config(folder: &Path, conf: &str) -> Config {
        let file = folder.join("dsc.conf");
        std::fs::write(&file, conf).expect("a file");
        let mut config = Config {
            interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
            ..Config::default()
        };
        config.dsc.conf = file.display().to_string();
        config.dsc.directory = folder.display().to_string();
        config
    }

    fn open(folder: &Path, conf: &str, now: u64) -> DscFiles {
        let files = DscFiles::open(&config(folder, conf), now).expect("a good dsc.conf");
        files.expect("files")
    }

    fn refused(conf: &str) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        match DscFiles::open(&config(folder.path(), conf), 0) {
            Ok(_) => panic!("{conf} is accepted"),
            Err(error) => error.to_string(),
        }
    }

    /// So many packets at each hook: TCP over IPv4, and another protocol over IPv6.
    fn hooks(tcp: usize, other: usize) -> [Box<Counters>; 2] {
        let mut counters = Box::<Counters>::default();
        for (count, family, protocol) in [
            (tcp, Family::Ipv4, Protocol::Tcp),
            (other, Family::Ipv6, Protocol::Other),
        ] {
            for _ in 0..count {
                counters.packet(
                    Layers {
                        family,
                        protocol,
                        end: 60,
                    },
                    60,
                );
            }
        }
        [counters.clone(), counters]
    }

    fn counts(files: &DscFiles, hooks: [Box<Counters>; 2]) -> IntervalCounts {
        IntervalCounts {
            counts: Box::new(Counts::new(&files.plan.plan, 16, 1)),
            times: BTreeMap::from([
                (ResponseTime::Within(10, 100), 3),
                (ResponseTime::Within(100, 1000), 7),
            ]),
            hooks,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let files = std::fs::read_dir(folder).expect("a folder");
        let names = files.map(|file| file.expect("a file").file_name());
        let names = names.map(|name| name.into_string().expect("text"));
        let mut names: Vec<_> = names.filter(|name| name.contains("dscdata")).collect();
        names.sort();
        names
    }

    #[test]
    fn intervals_end_at_multiples_of_their_length() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let conf = "statistics_interval 60;\noutput_format JSON;\n";
        let mut files = open(folder, conf, MINUTE - 5);
        let none = counts(&files, hooks(0, 0));
        let mut cut_at = |now| {
            assert!(files.is_over(now), "{now}");
            assert_eq!(files.cut(&none, now).expect("written"), 0);
        };
        cut_at(MINUTE);
        // A second late, then after a clock that was put forward, and back.
        cut_at(MINUTE + 61);
        cut_at(MINUTE + 600);
        cut_at(MINUTE);
        assert!(!files.is_over(MINUTE + 59));
        files.end(&none, MINUTE + 30).expect("written");
        let stops = [0, 30, 60, 120, 660].map(|after| MINUTE + after);
        assert_eq!(
            names(folder),
            stops.map(|stop| format!("{stop}.dscdata.json"))
        );
    }

    #[test]
    fn a_file_that_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        std::fs::write(folder.join(format!("{MINUTE}.dscdata.xml")), "mine").expect("a file");
        let mut files = open(folder, "", MINUTE - 5);
        let none = counts(&files, hooks(0, 0));
        files.cut(&none, MINUTE).expect("written");
        let stops = [0, 1].map(|after| MINUTE + after);
        assert_eq!(
            names(folder),
            stops.map(|stop| format!("{stop}.dscdata.xml"))
        );
    }

    #[test]
    fn packets_and_times_come_from_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let conf = "dataset direction_vs_ipproto ip Direction:ip_direction IPProto:ip_proto any;\n\
                    dataset version ip All:null IPVersion:ip_version any;\n\
                    dataset response_time dns All:null ResponseTime:response_time any;\n";
        let mut files = open(folder.path(), conf, MINUTE);
        let first = counts(&files, hooks(5, 2));
        files.cut(&first, MINUTE + 60).expect("written");
        let second = counts(&files, hooks(8, 3));
        let tables = files.tables(&second);
        let told: Vec<_> = tables.iter().map(told).collect();
        let expected = [
            "recv: tcp 3, other 1; sent: tcp 3, other 1",
            "ALL: IPv4 6, IPv6 2",
            "ALL: 100-1000 7, 10-100 3",
        ];
        assert_eq!(told, expected);
        let capture = files.capture(&second);
        assert_eq!(capture.name, "eth0:eth1");
    }

    fn told(table: &Table) -> String {
        let rows = table.rows.iter().map(|row| {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let cells = row.cells.iter();
            let cells = cells.map(|cell| format!("{} {}", text(&cell.value), cell.count));
            format!(
                "{}: {}",
                text(&row.value),
                cells.collect::<Vec<_>>().join(", ")
            )
        });
        rows.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_cannot_be_done_live_is_refused_with_its_cure() {
        for (conf, complaint) in [
            (
                "dns_port 5353;",
                "`dns_port` is 5353, which is not among `probe.ports`",
            ),
            (
                "dataset x dns Qtype:qtype Time:response_time any;",
                "`response_time` must be the second dimension, with `null` as the first",
            ),
            (
                "dataset x dns All:null Time:response_time queries-only;",
                "response times are of whole transactions",
            ),
            (
                "dataset x dns All:null Time:no_such_thing any;",
                "no_such_thing",
            ),
        ] {
            let told = refused(conf);
            assert!(told.contains(complaint), "{conf}: {told}");
            assert!(told.contains("dsc.conf"), "{told}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        for (directory, complaint) in [
            ("", "there is no folder for the files"),
            ("/absent/folder", "/absent/folder is no folder"),
        ] {
            let mut config = config(folder.path(), "");
            config.dsc.directory = directory.to_owned();
            let told = DscFiles::open(&config, 0).expect_err(directory).to_string();
            assert!(told.contains(complaint), "{told}");
        }
        assert!(
            DscFiles::open(&Config::default(), 0)
                .expect("none")
                .is_none()
        );
    }
}
