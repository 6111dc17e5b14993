//! The TOML configuration: every key, once.
//!
//! A key is declared in one place, the `settings!` tables below, with its type,
//! its kind (what a value must look like), its default and its meaning. The
//! same declaration makes the field of the struct, reads the file, and writes
//! the reference and the example. Reading never stops at the first error:
//! whoever edits the file sees all of them, each with its place and its cure.
//!
//! `section` walks over a file by the declarations, `kind` judges single values,
//! `reference` renders what the walk recorded.

mod datasets;
mod error;
mod ip_prefix;
mod kind;
mod listen_address;
mod names;
mod nearest;
mod quantity;
mod reference;
mod section;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use toml_edit::Document;

pub use datasets::{Builtin, DimensionSetting, FilterSetting, datasets, datasets_named};
pub use error::{ConfigError, ConfigErrors, InvalidValue, LoadError};
pub use ip_prefix::IpPrefix;
pub use listen_address::{ListenAddress, ListenHost};
pub use names::{interface_name, telemetry_path};

pub(crate) use nearest::{enumerated, excerpt, nearest, printable};

use crate::stats::dataset::Measure;

use error::Source;
use kind::{Flag, auto, duration, integer, list, one_of, power_of_two, size, text};
use quantity::{KIB, MIB, duration_text};
use section::{Declare, Section, Walk, settings};

/// The most ports that the kernel programs compare with.
pub const MAX_PORTS: usize = 8;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

settings! {
    /// Every key may be left out: the default is what the example shows.
    pub struct Config {
        /// The network interfaces to listen on. There is no default: they are
        /// named here or with `--interface`.
        pub interfaces: Vec<String> = (list(0..=64, text("the name of an interface", interface_name)), vec![]),
        /// The name of this server in what is exported. When it is empty, the
        /// host name is used.
        pub node: String = (text("a text", names::label), String::new()),
        /// The name of the site (data centre, anycast location) that this
        /// server belongs to.
        pub site: String = (text("a text", names::label), String::new()),
        section pub probe: Probe,
        section pub ring: Ring,
        section pub pairing: Pairing,
        section pub tcp: Tcp,
        section pub statistics: Statistics,
        section pub geoip: Geoip,
        section pub networks: Networks,
        section pub customers: Customers,
        section pub reverse_dns: ReverseDns,
        section pub privacy: Privacy,
        section pub stream: Stream,
        section pub export: Export,
        section pub rssac002: Rssac002,
        section pub dsc: Dsc,
        section pub web: Web,
        section pub log: Log,
        tables pub datasets: DatasetSettings = "dataset",
    }
}

settings! {
    /// The programs in the kernel: where they are attached and which packets
    /// they take for DNS.
    pub struct Probe {
        /// The UDP and TCP ports on which DNS is spoken.
        pub ports: Vec<u16> = (list(1..=MAX_PORTS, integer(1..=u16::MAX)), vec![53]),
        /// Whether to look into tunnels (IP in IP, 6in4, GRE), as a server
        /// behind a load balancer needs it.
        pub decapsulate: bool = (Flag, false),
        /// How packets are seen on their way in.
        pub xdp_mode: XdpMode = (one_of(), XdpMode::Auto),
        /// How packets are seen on their way out.
        pub egress: EgressMode = (one_of(), EgressMode::Auto),
        /// The addresses that this host serves DNS on. A message to or from one
        /// of them belongs to the server; the traffic of all others, such as a
        /// resolver's queries to authoritative servers, is counted as that of a
        /// client. When the list is empty, every local address is served.
        pub service_addresses: Vec<IpPrefix> = (
            list(0..=64, text("an IP address or a prefix", |text| text.parse())),
            vec![]
        ),
        /// When the kernel measures the run time of the programs, which costs
        /// some 20 ns per packet, and needs CAP_SYS_ADMIN where xdsc is not root.
        pub run_time_stats: RunTimeStats = (one_of(), RunTimeStats::Sampled),
    }
}

settings! {
    /// The rings that carry records from the kernel to the daemon.
    pub struct Ring {
        /// The size of each ring; there are two per CPU, one for each
        /// direction. When it is `"auto"`, they get 4 MiB each on up to 8 CPUs,
        /// and less on more, so that all together take 64 MiB of memory at most,
        /// but 256 KiB each at least. `xdsc_ring_size_bytes` tells the size.
        pub bytes: Option<u64> = (auto(power_of_two(size(64 * KIB..=16 * MIB))), None),
        /// The number of threads that empty the rings; `"auto"` is one, which
        /// reads some millions of records per second.
        pub drain_threads: Option<usize> = (auto(integer(1..=64)), None),
        /// The share of one CPU, in percent, that the threads may use together
        /// to read the rings. What does not fit is sampled: totals stay exact,
        /// and datasets stay unbiased. `"auto"` is no bound.
        pub cpu_budget: Option<u32> = (auto(integer(1..=6400)), None),
        /// How long a thread sleeps between two looks at its rings at most load;
        /// at less, up to sixteen times as long. It must not exceed `poll_max`.
        pub poll_min: Duration = (duration(50 * MILLISECOND / 1000..=SECOND), MILLISECOND / 2),
        /// How long a thread sleeps between two looks at its rings when idle.
        pub poll_max: Duration = (duration(50 * MILLISECOND / 1000..=SECOND), 20 * MILLISECOND),
    }
}

settings! {
    /// Pairing of queries with their replies, for response times, unanswered
    /// queries and unsolicited replies.
    pub struct Pairing {
        /// However many messages there are, one transaction in this many is
        /// paired.
        pub one_in: u32 = (power_of_two(integer(1..=1024)), 8),
        /// Below this many records per second of a drain thread, all transactions
        /// are paired; with twice as many, every second, and so on down to one in
        /// `one_in`. Where records are sampled, those that are kept count.
        pub full_below: u32 = (integer(0..=1_000_000_000), 20_000),
        /// How long a query waits for its reply before it counts as unanswered.
        pub timeout: Duration = (duration(100 * MILLISECOND..=60 * SECOND), 5 * SECOND),
        /// The most queries that wait at a time.
        pub capacity: u32 = (integer(1024..=16_777_216), 65_536),
    }
}

settings! {
    /// Reassembly of DNS messages that span several TCP segments.
    pub struct Tcp {
        /// The most streams that are followed at a time.
        pub streams: u32 = (integer(16..=16_777_216), 16_384),
        /// The most memory for segments of unfinished messages. With several
        /// drain threads as much again may wait in each of a few places for
        /// segments that are older or come by another CPU.
        pub memory: u64 = (size(64 * KIB..=65_536 * MIB), 16 * MIB),
        /// How long a stream without segments is kept.
        pub idle_timeout: Duration = (duration(SECOND..=3600 * SECOND), 30 * SECOND),
    }
}

settings! {
    /// What is counted of messages beside the exact counters: datasets, as DSC
    /// has them. docs/METRICS.md names the families of the default ones.
    pub struct Statistics {
        /// The built-in datasets that are counted: `default`, `all`, or names,
        /// most of which are those of DSC's sample configuration. What `all`
        /// has beyond `default` costs time and, for EDNS options, records of
        /// whole messages.
        pub datasets: Vec<Builtin> = (
            list(0..=128, text("the name of a built-in dataset", |text| text.parse())),
            vec![Builtin::default_group()]
        ),
        /// Of an IPv4 client's address, so many bits are told in the datasets
        /// of clients' networks.
        pub client_v4_prefix: u8 = (integer(0..=32), 24),
        /// The same of IPv6.
        pub client_v6_prefix: u8 = (integer(0..=128), 48),
        /// A file of suffixes that count as top-level domains: the Public
        /// Suffix List, or DSC's `tld_list`. Empty: the last label counts.
        pub suffix_list: String = (text("the path of a file", names::path), String::new()),
        /// A file of the delegated top-level domains, in IANA's format. Empty:
        /// the list that xdsc was built with.
        pub known_tlds: String = (text("the path of a file", names::path), String::new()),
        /// The zones that are served here: a file with a name per line, or a
        /// folder with a file for each. Empty: no statistics by zone.
        pub zones: String = (text("the path of a file or folder", names::path), String::new()),
        /// The most cells that a dataset has between two hand-overs to the
        /// aggregate, which happen every few seconds, and once three quarters
        /// of the cells are taken. What finds no room is counted in the cell `other`.
        pub cells: u32 = (integer(256..=1_048_576), 20_480),
        /// For each dataset, so many values are watched until they are frequent
        /// enough for a cell of their own.
        pub top_candidates: u32 = (integer(64..=1_048_576), 4096),
    }
}

settings! {
    /// Countries and autonomous systems of clients. With databases, the datasets
    /// `country_code`, `continent`, `asn`, `asn_vs_rcode` and `country_vs_qtype`
    /// are counted beside the default ones. A file that is replaced is read
    /// again; one that is broken does not take the place of the one before.
    pub struct Geoip {
        /// MMDB files: GeoLite2, GeoIP2, DB-IP, IPinfo. Several are asked in
        /// their order, and the first one that knows a value tells it.
        pub databases: Vec<String> = (list(0..=16, text("the path of a file", names::path)), vec![]),
        /// Each thread keeps what is known of so many addresses.
        pub cache: u32 = (integer(1024..=16_777_216), 65_536),
        /// How often files are looked at: databases, networks and customers. One
        /// that has changed is read when two looks in a row saw the same.
        pub reload_interval: Duration = (duration(SECOND..=86_400 * SECOND), 10 * SECOND),
    }
}

settings! {
    /// Clients' networks that are known by name, such as public resolvers and
    /// crawlers. With a file, the datasets `network` and
    /// `network_vs_rcode` are counted.
    pub struct Networks {
        /// A CSV file: lines of a prefix and a name, as in
        /// `192.0.2.0/24,example-resolver`; lines that begin with `#` are
        /// comments. Of several prefixes of an address the longest one counts.
        /// docs/tables.md has the whole format. Empty: none.
        pub file: String = (text("the path of a file", names::path), String::new()),
    }
}

settings! {
    /// Customers, by the zones that they own or by addresses. With a table, the
    /// datasets `customer`, `customer_bytes`, `customer_vs_rcode` and
    /// `customer_vs_qname` are counted. What belongs to nobody is `unassigned`.
    pub struct Customers {
        /// A CSV file: lines of a zone or a prefix, and a name, as in
        /// `example.com,Example` or `192.0.2.0/24,Example`; lines that begin with
        /// `#` are comments. The longest match counts. docs/tables.md has the
        /// whole format. Empty: none.
        pub file: String = (text("the path of a file", names::path), String::new()),
        /// A PostgreSQL database to read the table from, too, as in
        /// `host=/run/postgresql dbname=billing user=xdsc`; without TLS. What is
        /// in the file as well is as the file says. Empty: none.
        pub postgres: String = (text("a connection string", names::path), String::new()),
        /// The query whose rows are the table: two columns of text, zone or
        /// prefix, and name.
        pub query: String = (
            text("a query", names::path),
            "SELECT match, customer FROM customers".to_owned()
        ),
        /// How often the query is run.
        pub refresh: Duration = (duration(10 * SECOND..=86_400 * SECOND), 300 * SECOND),
        /// What a customer is told by; the first one that matches counts.
        pub by: Vec<CustomerBy> = (list(1..=3, one_of()), vec![CustomerBy::Zone, CustomerBy::Client]),
    }
}

settings! {
    /// Names of clients that matter, from the reverse zones (PTR records): of
    /// those that are often in the sample that the enriched stream takes.
    pub struct ReverseDns {
        /// Whether xdsc asks at all: it then sends queries of its own.
        pub enabled: bool = (Flag, false),
        /// The resolvers to ask, as in `192.0.2.1` or `[2001:db8::1]:5353`.
        /// Never the server that xdsc watches. Empty: those of /etc/resolv.conf.
        pub resolvers: Vec<String> = (list(0..=8, text("an address", names::resolver)), vec![]),
        /// The most queries that are sent per second.
        pub queries_per_second: u32 = (integer(1..=100_000), 20),
        /// The most queries that are sent at once after a quiet time.
        pub burst: u32 = (integer(1..=100_000), 20),
        /// The most queries that wait for an answer.
        pub in_flight: u32 = (integer(1..=4096), 16),
        /// How long a query waits for its answer.
        pub timeout: Duration = (duration(100 * MILLISECOND..=30 * SECOND), 2 * SECOND),
        /// The most addresses that wait to be looked up.
        pub queue: u32 = (integer(16..=1_048_576), 1024),
        /// A client is looked up when it was seen so often in the sample.
        pub min_seen: u32 = (integer(1..=1_000_000), 3),
        /// Networks that are never looked up, beside those of private and
        /// special use.
        pub deny: Vec<IpPrefix> = (
            list(0..=1024, text("an IP address or a prefix", |text| text.parse())),
            vec![]
        ),
        /// Networks that are looked up whatever stands above.
        pub allow: Vec<IpPrefix> = (
            list(0..=1024, text("an IP address or a prefix", |text| text.parse())),
            vec![]
        ),
        /// Whether a name counts only if its own address records lead back to
        /// the client, which takes a second query.
        pub confirm: bool = (Flag, false),
        /// The most addresses whose names are kept.
        pub cache: u32 = (integer(1024..=16_777_216), 65_536),
        /// A name is kept at least so long, whatever its TTL.
        pub ttl_min: Duration = (duration(SECOND..=604_800 * SECOND), 300 * SECOND),
        /// A name is kept at most so long, whatever its TTL.
        pub ttl_max: Duration = (duration(SECOND..=604_800 * SECOND), 86_400 * SECOND),
        /// That there is no name is kept at least so long.
        pub negative_ttl_min: Duration = (duration(SECOND..=604_800 * SECOND), 300 * SECOND),
        /// That there is no name is kept at most so long.
        pub negative_ttl_max: Duration = (duration(SECOND..=604_800 * SECOND), 3600 * SECOND),
        /// A file that keeps the names over restarts, with the addresses of
        /// clients: only its owner may read it. xdsc writes beside it first, and
        /// must be allowed to. Empty: none.
        pub cache_file: String = (text("the path of a file", names::path), String::new()),
        /// A cache that a fleet shares over the protocol of Redis, as in
        /// `redis://192.0.2.1/0`. It gets the addresses of clients. xdsc goes on
        /// without it. Empty: none.
        pub redis: String = (text("a URL", names::path), String::new()),
    }
}

settings! {
    /// How clients are shown in metrics and in the enriched stream: their
    /// addresses, and the networks in their EDNS Client Subnet options. DSC's
    /// files have them as DSC writes them. Names in reverse zones that this host
    /// itself asks for, as xdsc does for clients, are shown as far as addresses are.
    pub struct Privacy {
        /// As prefixes, as pseudonyms, or by their addresses. The lengths of
        /// prefixes are `statistics.client_v4_prefix` and `client_v6_prefix`.
        /// Datasets of networks show networks in any case, with pseudonyms those
        /// of pseudonyms; datasets by `client` do not go with prefixes.
        pub clients: ClientsShown = (one_of(), ClientsShown::Prefix),
        /// A file with a secret of at least 16 octets that pseudonyms are made
        /// with: all nodes with the same secret make the same ones. Empty: one
        /// that is made up at each start.
        pub key_file: String = (text("the path of a file", names::path), String::new()),
    }
}

settings! {
    /// The enriched stream: queries with their responses and all that is known
    /// of their clients, for `xdsc tail` and other subscribers.
    pub struct Stream {
        /// The most exchanges per second: above, a share of them is taken.
        pub max_rate: u32 = (integer(10..=1_000_000), 5_000),
        /// The most messages that wait to be enriched.
        pub queue: u32 = (integer(256..=1_048_576), 8_192),
        /// The most exchanges that wait for the slowest subscriber, who then
        /// misses the oldest ones.
        pub buffer: u32 = (integer(64..=1_048_576), 4_096),
        /// The most subscribers at a time.
        pub subscribers: u32 = (integer(0..=1024), 16),
    }
}

settings! {
    /// Bounds of the datasets' metrics.
    pub struct Export {
        /// The most series of all datasets together.
        pub max_series: u32 = (integer(16..=10_000_000), 20_000),
        /// The most cells of a dataset that has no bound of its own.
        pub max_cells: u32 = (integer(1..=1_000_000), 200),
        /// A cell that has counted nothing for so long goes.
        pub idle_expiry: Duration = (duration(60 * SECOND..=604_800 * SECOND), 3600 * SECOND),
    }
}

settings! {
    /// A dataset of your own; there may be several of these tables. Its family
    /// is `xdsc_dataset_NAME_messages_total`.
    pub struct DatasetSettings {
        /// Its name, a part of the family's. There is no default.
        pub name: String = (text("a name", datasets::dataset_name), String::new()),
        /// One or two indexers, which give the labels; each may have a label
        /// before it, as in `suffix:tld`. There is no default.
        pub dimensions: Vec<DimensionSetting> = (
            list(1..=2, text("an indexer", |text| text.parse())),
            vec![]
        ),
        /// The conditions that a message must meet, all of them.
        pub filters: Vec<FilterSetting> = (
            list(0..=16, text("a filter", |text| text.parse())),
            vec![]
        ),
        /// What is added up: messages, or the octets of them.
        pub measure: DatasetMeasure = (one_of(), DatasetMeasure::Messages),
        /// The most cells; `"auto"` is `export.max_cells`.
        pub max_cells: Option<u32> = (auto(integer(1..=1_000_000)), None),
    }
}

settings! {
    /// What root server operators publish of each UTC day (RSSAC002 version 4):
    /// traffic-volume, traffic-sizes, rcode-volume, unique-sources.
    pub struct Rssac002 {
        /// The folder of the days, of this daemon alone. What it has counted of
        /// a day is in `partial/YYYYMMDD.json`, written every minute and read
        /// back at the start; `xdsc rssac002 merge` adds up those of several
        /// nodes. The YAML files of a day are written when it is over. Empty:
        /// no days.
        pub directory: String = (text("the path of a folder", names::path), String::new()),
        /// The name of the service that is published, such as
        /// `a.root-servers.net`. It must be given with `directory`.
        pub service: String = (text("the name of a service", names::service), String::new()),
        /// A file with a secret that all nodes of the service share. Sources are
        /// counted by a hash that needs it, so that nobody can choose addresses
        /// that make their number wrong. Empty: the service's name alone, which
        /// everybody knows.
        pub secret_file: String = (text("the path of a file", names::path), String::new()),
    }
}

settings! {
    /// DSC's files, for presenters that read them: one for each interval, which
    /// ends at a multiple of its length in UTC. The first and the last interval
    /// are shorter, and nothing is lost at the start or the end of xdsc.
    pub struct Dsc {
        /// A configuration of DSC, dsc.conf(5): its datasets are counted as they
        /// stand there, beside those of the metrics. Empty: no files.
        pub conf: String = (text("the path of a file", names::path), String::new()),
        /// The folder of the files, which exists. Empty: the `run_dir` of the
        /// dsc.conf.
        pub directory: String = (text("the path of a folder", names::path), String::new()),
        /// The formats of the files. Empty: the `output_format` of the dsc.conf.
        pub formats: Vec<DscFormat> = (list(0..=2, one_of()), vec![]),
        /// The length of an interval, in whole seconds; `"auto"` is the
        /// `statistics_interval` of the dsc.conf.
        pub interval: Option<Duration> = (auto(duration(SECOND..=86_400 * SECOND)), None),
        /// The most cells of a dataset in an interval. What finds no room is not
        /// in the files, but counted and logged.
        pub cells: u32 = (integer(1024..=16_777_216), 262_144),
    }
}

settings! {
    /// The HTTP endpoint.
    pub struct Web {
        /// Where to listen: `HOST:PORT`, `[IPv6]:PORT`, or `:PORT` for all
        /// addresses of both families. For port 0 the system picks one.
        pub listen_addresses: Vec<ListenAddress> = (
            list(1..=16, text("HOST:PORT, [IPv6]:PORT or :PORT", |text| text.parse())),
            vec![ListenAddress::any(9953)]
        ),
        /// The path of the metrics.
        pub telemetry_path: String = (text("a path such as /metrics", telemetry_path), "/metrics".to_owned()),
    }
}

settings! {
    /// The log, which goes to standard error.
    pub struct Log {
        /// The least severe messages that are logged.
        pub level: LogLevel = (one_of(), LogLevel::Info),
    }
}

/// The formats of DSC's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DscFormat {
    /// DSC XML.
    Xml,
    /// DSC JSON.
    Json,
}

/// What a dataset adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetMeasure {
    /// Messages.
    Messages,
    /// Octets of messages.
    Bytes,
}

impl From<DatasetMeasure> for Measure {
    fn from(measure: DatasetMeasure) -> Self {
        match measure {
            DatasetMeasure::Messages => Self::Messages,
            DatasetMeasure::Bytes => Self::Bytes,
        }
    }
}

/// What a customer is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CustomerBy {
    /// The zone of the queried name.
    Zone,
    /// The client's address.
    Client,
    /// The server's address.
    Server,
}

/// How clients are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientsShown {
    /// Their networks.
    Prefix,
    /// Addresses of their own that keep what they have in common.
    Pseudonym,
    /// Their addresses.
    Address,
}

/// How packets are seen on their way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum XdpMode {
    /// XDP in the driver; where it has none or would copy each packet for it, as
    /// that of a veth does, or where another program has taken the XDP slot, TCX;
    /// without that, generic XDP.
    Auto,
    /// XDP in the driver only.
    Native,
    /// Generic XDP only, after the kernel has made a socket buffer.
    Generic,
    /// TCX ingress only (kernel 6.6).
    Tcx,
}

/// How packets are seen on their way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EgressMode {
    /// TCX, else a clsact filter.
    Auto,
    /// TCX only (kernel 6.6).
    Tcx,
    /// A clsact filter only.
    Clsact,
    /// Not at all: replies are not counted, nothing is paired.
    Off,
}

/// When the kernel measures the run time of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunTimeStats {
    /// Never.
    Off,
    /// For 0.1 s of every 10 s.
    Sampled,
    /// All the time.
    Always,
}

/// The least severe messages that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What stops the daemon or loses data.
    Error,
    /// What works, but not as configured or not as well as it could.
    Warn,
    /// Start, stop, and changes of state.
    Info,
    /// Details for those who look for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl Config {
    /// Reads a configuration; `name` stands for it in errors. A byte order mark
    /// is no part of it.
    ///
    /// # Errors
    /// All that is wrong with the keys and values, or, when the text is not
    /// TOML, the first place where it is not.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ConfigErrors> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source = Source::new(name, text);
        let document = Document::parse(text).map_err(|error| source.syntax_error(&error))?;
        let mut walk = Walk::default();
        let config = Section::top(&mut walk, Some(document.as_table())).settings();
        cross_check(&config, &mut walk);
        source.judge(config, walk.into_problems())
    }

    /// Reads the configuration in a file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Config::from_toml`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|cause| LoadError::Read {
            name: name.clone(),
            cause,
        })?;
        let text = str::from_utf8(&bytes).map_err(|error| {
            Source::new(&name, &String::from_utf8_lossy(&bytes)).not_utf8(error)
        })?;
        Ok(Self::from_toml(text, &name)?)
    }
}

/// The reference of all keys, in Markdown: `docs/config.md`.
pub fn reference() -> String {
    reference::markdown(&declared())
}

/// A configuration file that states every default, with comments.
pub fn example() -> String {
    reference::toml(&declared())
}

/// All sections and keys, by a walk over nothing.
fn declared() -> Walk {
    let mut walk = Walk::default();
    Section::top(&mut walk, None).settings::<Config>();
    walk
}

/// What no single key can tell.
fn cross_check(config: &Config, walk: &mut Walk) {
    datasets::cross_check(config, walk);
    let Rssac002 {
        directory, service, ..
    } = &config.rssac002;
    walk.require(
        &["rssac002.service", "rssac002.directory"],
        directory.is_empty() || !service.is_empty(),
        || InvalidValue {
            message: "is missing, but `rssac002.directory` is given".to_owned(),
            hint: "name the service, as in \"a.root-servers.net\"".to_owned(),
        },
    );
    let Ring {
        poll_min, poll_max, ..
    } = config.ring;
    walk.require(
        &["ring.poll_min", "ring.poll_max"],
        poll_min <= poll_max,
        || InvalidValue {
            message: format!(
                "is {}, longer than `ring.poll_max`, which is {}",
                duration_text(poll_min),
                duration_text(poll_max)
            ),
            hint: "lower `poll_min` or raise `poll_max`".to_owned(),
        },
    );
}
