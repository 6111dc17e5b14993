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

pub use error::{ConfigError, ConfigErrors, InvalidValue, LoadError};
pub use ip_prefix::IpPrefix;
pub use listen_address::{ListenAddress, ListenHost};
pub use names::{interface_name, telemetry_path};

pub(crate) use nearest::{enumerated, excerpt, nearest, printable};

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
        section pub web: Web,
        section pub log: Log,
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
        /// direction. When it is `"auto"`, the number of CPUs decides.
        pub bytes: Option<u64> = (auto(power_of_two(size(64 * KIB..=16 * MIB))), None),
        /// The number of threads that empty the rings; `"auto"` is one, which
        /// reads some millions of records per second. With more, a TCP stream
        /// whose segments come by different CPUs may fall out of step.
        pub drain_threads: Option<usize> = (auto(integer(1..=64)), None),
        /// How long a thread sleeps between two looks at its rings under load.
        /// It must not exceed `poll_max`.
        pub poll_min: Duration = (duration(50 * MILLISECOND / 1000..=SECOND), MILLISECOND / 2),
        /// How long a thread sleeps between two looks at its rings when idle.
        pub poll_max: Duration = (duration(50 * MILLISECOND / 1000..=SECOND), 20 * MILLISECOND),
    }
}

settings! {
    /// Pairing of queries with their replies, for response times, unanswered
    /// queries and unsolicited replies.
    pub struct Pairing {
        /// One transaction in this many is paired.
        pub one_in: u32 = (power_of_two(integer(1..=1024)), 8),
        /// Below this many messages per second, all transactions are paired.
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
        /// The most memory for segments that wait for others.
        pub memory: u64 = (size(64 * KIB..=65_536 * MIB), 16 * MIB),
        /// How long a stream without segments is kept.
        pub idle_timeout: Duration = (duration(SECOND..=3600 * SECOND), 30 * SECOND),
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

/// How packets are seen on their way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum XdpMode {
    /// XDP in the driver, else generic XDP, else, where another program has
    /// taken the XDP slot, TCX.
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
